package scenarios

import (
	"fmt"
	"os"
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology/netns"
)

// TestMain gives an ordinary user's tests a user namespace, as the command does.
func TestMain(m *testing.M) {
	code, done, err := netns.Enter()
	if done {
		os.Exit(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests that need namespaces will be skipped:", err)
	}
	os.Exit(m.Run())
}

// needNamespaces skips a test, loudly, where labs can't be built; with
// MPTCPLAB_NETNS=required that is a failure. With MPTCPLAB_NETNS=elsewhere they are left to
// a run that requires them.
func needNamespaces(t *testing.T) {
	t.Helper()
	err := netns.Available()
	if !netns.Privileged() {
		err = fmt.Errorf("no privileges for network namespaces here, nor a user namespace (%w)", err)
	}
	switch required := os.Getenv("MPTCPLAB_NETNS") == "required"; {
	case os.Getenv("MPTCPLAB_NETNS") == "elsewhere":
		t.Skip("SKIPPED: on namespaces: left to make test-netns")
	case err == nil && testing.Short() && !required:
		t.Skip("SKIPPED: real-time runs take long (-short)")
	case err == nil:
	case required:
		t.Fatal("MPTCPLAB_NETNS=required: ", err)
	default:
		t.Skip("SKIPPED: ", err)
	}
}

// needKernelMPTCP is needNamespaces for tests that also need MPTCP in the kernel.
func needKernelMPTCP(t *testing.T) {
	t.Helper()
	needNamespaces(t)
	switch {
	case netns.KernelMPTCP():
	case os.Getenv("MPTCPLAB_NETNS") == "required":
		t.Fatal("MPTCPLAB_NETNS=required: this kernel has no MPTCP")
	default:
		t.Skip("SKIPPED: this kernel has no MPTCP to be compared with")
	}
}

// runNetns runs a scenario on namespaces and checks what is always expected.
func runNetns(t *testing.T, name string, o spec.Options) (res *result.Result, out string) {
	t.Helper()
	o.Fabric = "netns"
	out = t.TempDir() + "/out"
	res = runFile(t, loadFile(t, name, o), Options{Fabric: "netns", Impair: "auto", Out: out})
	for _, run := range res.Runs {
		for _, note := range run.Degraded {
			t.Logf("%s: degraded: %s", run.ID, note)
		}
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
		for _, f := range run.Flows {
			t.Logf("%s: %.1f Mbit/s in %.2f s, %d retransmitted, %d reinjected, paths %+v", run.ID, f.Goodput/1e6, f.Duration, f.Retransmitted, f.Reinjected, f.Paths)
		}
	}
	return res, out
}

// The main job on namespaces, sooner and with less to fetch: four pairings.
func TestHandoverNetns(t *testing.T) {
	needKernelMPTCP(t)
	res, _ := runNetns(t, "wifi-lte-handover.yaml", spec.Options{Sets: []string{
		"workloads.get.download=6MB",
		"timeline=[{at: 1s, name: wifi-lost, link: wifi, blackhole: true}, {at: 3s, name: wifi-back, link: wifi, blackhole: false}]",
		// what is asked of 40 MB and seven seconds does not fit
		"expect=[]",
	}})
	if len(res.Runs) != 4 || len(res.Skipped) != 0 {
		t.Fatalf("%d runs, skipped %v; want all four", len(res.Runs), res.Skipped)
	}
	for _, run := range res.Runs {
		f := run.Flows[0]
		if !f.Intact || f.SHA256Sent != f.SHA256Received || f.DownloadBytes != 6e6 {
			t.Errorf("%s: intact %v, %d bytes, sent %s received %s", run.ID, f.Intact, f.DownloadBytes, f.SHA256Sent, f.SHA256Received)
		}
		lost := run.Handover[0]
		t.Logf("%s: gap %.0f ms (%.0f ms in the capture), cause %s, path %s", run.ID, lost.GapMS, lost.CaptureGapMS, lost.Cause, lost.Path)
		switch run.Pairing {
		case "mptcp-mptcp", "mptcp-linux":
			if f.Fallback || len(f.Subflows) != 2 || lost.Path != "lte" {
				t.Errorf("%s: fallback %v, %d subflows, %q took over", run.ID, f.Fallback, len(f.Subflows), lost.Path)
			}
		default:
			// The only path is dead for two seconds.
			if !f.Fallback || f.FallbackReason == "" || lost.GapMS < 1500 {
				t.Errorf("%s: fallback %v (%s), gap %.0f ms", run.ID, f.Fallback, f.FallbackReason, lost.GapMS)
			}
		}
	}
}
