package scenarios

import (
	"testing"

	"mptcplab/scenarios/spec"
)

// The receive buffer sweep of Raiciu et al., "How Hard Can It Be?", NSDI 2012,
// figure 4: MPTCP with both mechanisms is never worse than TCP over Wi-Fi and fills
// both links from 600 KB on; without them it is worse; opportunistic retransmission
// alone wastes capacity that penalisation wins back.
func TestReceiveBufferSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("55 runs of 60 s")
	}
	once := 1
	res := runFile(t, loadFile(t, "b1-receive-buffer.yaml", spec.Options{Repeat: &once}), Options{})
	if len(res.Runs) != 55 {
		t.Fatalf("%d runs, want 55", len(res.Runs))
	}
	if res.Pass {
		return
	}
	t.Error("an expectation of the file does not hold; these are false, some of which one point may be")
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Logf("%s: %s: measured %s, wanted %s", run.ID, e.That, e.Measured, e.Wanted)
			}
		}
	}
}
