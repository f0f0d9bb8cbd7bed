package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
)

// The demo's namespace part on a distribution kernel's netem, in the virtual
// machine: all four pairings arrive intact, and the result comes back. How long
// its gaps are says more of an emulated processor than of the stacks: those
// expectations are printed, not judged.
func TestDemoInVM(t *testing.T) {
	if os.Getenv("MPTCPLAB_VM") != "required" {
		t.Skip("NOT TESTED: boots virtual machines only with MPTCPLAB_VM=required (make test-vm)")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "mptcplab")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := filepath.Join(dir, "out")
	run := exec.Command(program, "vm", "run", "--kernel", "6.12", "--",
		"run", inRepository(t, "scenarios/wifi-lte-handover.yaml"), "--fabric", "netns", "--impair", "netem", "--out", out)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	if err := run.Run(); err != nil && run.ProcessState.ExitCode() != exitFailed {
		t.Fatal(err)
	}
	res, err := result.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if res.Impair != "netem" || res.Environment == nil || !strings.HasPrefix(res.Environment.Kernel, "6.12") {
		t.Errorf("impaired by %s on %+v, want netem on 6.12", res.Impair, res.Environment)
	}
	if len(res.Runs) != 4 || len(res.Skipped) != 0 {
		t.Fatalf("%d runs, skipped %v; want 4 and none", len(res.Runs), res.Skipped)
	}
	for _, r := range res.Runs {
		f := r.Flows[0]
		tcp := r.Pairing == "mptcp-tcp" || r.Pairing == "tcp-mptcp"
		if r.Error != "" || !f.Intact || f.DownloadBytes != 40e6 || f.SHA256Sent != f.SHA256Received || f.Fallback != tcp {
			t.Errorf("%s: error %q, intact %v, %d bytes, fallback %v", r.ID, r.Error, f.Intact, f.DownloadBytes, f.Fallback)
		}
		if !tcp && (len(f.Paths) != 2 || f.Paths[0].Bytes == 0 || f.Paths[1].Bytes == 0) {
			t.Errorf("%s: paths %+v, want bytes on two", r.ID, f.Paths)
		}
		for _, e := range r.Expect {
			if !e.Pass && !strings.Contains(e.That, "gap") {
				t.Errorf("%s: %s: measured %s", r.ID, e.That, e.Measured)
			}
		}
		for _, name := range []string{"packets.pcapng", "events.ndjson"} {
			if st, err := os.Stat(filepath.Join(out, "runs", r.ID, name)); err != nil || st.Size() == 0 {
				t.Errorf("%s: %s did not come back: %v", r.ID, name, err)
			}
		}
	}
}
