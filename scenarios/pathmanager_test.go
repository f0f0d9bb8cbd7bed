package scenarios

import (
	"os"
	"testing"

	"mptcplab/scenarios/spec"
)

// Break-before-make, up to close_timeout and beyond.
func TestBreakBeforeMake(t *testing.T) { allHeld(t, "break-before-make.yaml") }

// mptcp_join.sh, "remove subflow and signal", as the schema's example has it.
func TestRemoveSubflowAndSignal(t *testing.T) {
	const file = "../../shared/scenarios/c-join-remove.yaml"
	if _, err := os.Stat(file); err != nil {
		t.Skip("SKIPPED: the example is not here")
	}
	allHeld(t, file)
}

// allHeld runs a file in virtual time; every expectation is to hold.
func allHeld(t *testing.T, file string) {
	t.Helper()
	res := runFile(t, loadFile(t, file, spec.Options{}), Options{Fabric: "virtual", Out: t.TempDir() + "/out", Jobs: 2, Pcap: "none"})
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
	}
}
