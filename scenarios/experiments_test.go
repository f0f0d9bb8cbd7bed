package scenarios

import (
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// judged fails for each expectation that does not hold.
func judged(t *testing.T, res *result.Result) {
	t.Helper()
	for _, run := range res.Runs {
		for _, x := range run.Expect {
			if !x.Pass {
				t.Errorf("%s: %s: measured %s, wanted %s", run.ID, x.That, x.Measured, x.Wanted)
			}
		}
	}
	if !res.Pass && !t.Failed() {
		t.Error("the result did not pass")
	}
}

// Experiments of the literature and of Linux's selftests on schedulers and congestion
// control, as scenario files: what their expectations say holds.
func TestExperiments(t *testing.T) {
	for _, e := range []struct {
		file   string
		only   string // a part of the sweep
		repeat int    // 0: the file's
		long   bool   // more than some seconds
	}{
		{"h4-dead-path-requests.yaml", "", 0, false},
		{"s2-request-response.yaml", "", 0, false},
		{"s8-redundant.yaml", "", 2, false},
		{"s9-simult-flows.yaml", "", 0, true},
		{"c2-disjoint-paths.yaml", "", 0, true},
		{"c5-dual-homed-server.yaml", "cc=lia,olia", 0, true},
		{"c10-competing-flows.yaml", "", 1, true},
	} {
		t.Run(e.file, func(t *testing.T) {
			if e.long && testing.Short() {
				t.Skip("minutes of packets")
			}
			var o spec.Options
			if e.only != "" {
				o.Only = []string{e.only}
			}
			if e.repeat > 0 {
				o.Repeat = &e.repeat
			}
			judged(t, runFile(t, loadFile(t, e.file, o), Options{}))
		})
	}
}
