package main

import (
	"bufio"
	"os"
	"strings"
	"syscall"
	"testing"

	"mptcplab/topology/netns"
)

// interrupt starts mptcplab on a run that ends and one that does not by itself,
// signals it when the first is over, and returns its status and stdout.
func interrupt(t *testing.T, sig os.Signal, args ...string) (int, string) {
	t.Helper()
	inFolder(t, edited(t, "pairings:", "params: {size: 0B}\nsweep: {size: [1MB, 1000000MB]}\ntimeout: 1000h\npairings:", "download: 1MB", "download: $size", "bytes == 1MB", "bytes == $size"))
	c := process(t.Context(), append([]string{"run", "s.yaml", "--only", "pairing=ours", "--out", "out", "--pcap", "none"}, args...)...)
	var stdout strings.Builder
	c.Stdout = &stdout
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.HasPrefix(lines.Text(), "[1/2] ours/size=1MB/seed=3  ") {
			if err := c.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		}
	}
	_ = c.Wait() // its status is what is looked at
	if !strings.Contains(strings.Join(said, "\n"), "mptcplab: interrupted; what was measured so far is written") {
		t.Errorf("stderr: %q", said)
	}
	return c.ProcessState.ExitCode(), stdout.String()
}

// SIGINT ends with 130, SIGTERM with 143, and what was measured so far is written
// and shown: the run that was over, and the beginning of the other.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		sig    os.Signal
		status int
	}{
		{syscall.SIGINT, exitInterrupted},
		{syscall.SIGTERM, exitTerminated},
	} {
		status, stdout := interrupt(t, c.sig, "--jobs", "2")
		if status != c.status {
			t.Errorf("%v: status %d, want %d", c.sig, status, c.status)
		}
		r := results(t, "out")
		if !r.Interrupted || r.Pass || ids(r) != "ours/size=1MB/seed=3 ours/size=1000000MB/seed=3" {
			t.Fatalf("%v: interrupted %v, pass %v, runs %s", c.sig, r.Interrupted, r.Pass, ids(r))
		}
		first, second := r.Runs[0].Flows[0], r.Runs[1].Flows[0]
		if !first.Intact || second.Finished || second.Bytes == 0 || r.Runs[1].Error != "" {
			t.Errorf("%v: first %+v, second %+v", c.sig, first, second)
		}
		if !strings.Contains(stdout, "not finished") || !strings.Contains(stdout, "written: out/result.json") {
			t.Errorf("%v: stdout %s", c.sig, stdout)
		}
	}
}

// The same in real time on namespaces, also where the command started itself again
// in a user namespace.
func TestSignalsNetns(t *testing.T) {
	if err := netns.Available(); err != nil {
		if os.Getenv("MPTCPLAB_NETNS") == "required" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: no network namespaces here: %v", err)
	}
	status, _ := interrupt(t, syscall.SIGINT, "--fabric", "netns", "--impair", "relay")
	if status != exitInterrupted {
		t.Errorf("status %d, want 130", status)
	}
	r := results(t, "out")
	if !r.Interrupted || r.Pass || len(r.Runs) == 0 || !r.Runs[0].Flows[0].Intact {
		t.Errorf("interrupted %v, pass %v, runs %+v", r.Interrupted, r.Pass, r.Runs)
	}
}
