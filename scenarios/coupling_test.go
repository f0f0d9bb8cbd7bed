package scenarios

import (
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// TestTorus holds the fairness of the five connections in the ring against the fixed
// points of the model at a tenth of link c: Jain's index 0.933 with EWTCP and 0.987
// with LIA. Moving away from loss is what makes the difference. One run of two minutes
// is within 0.03 of the model; COUPLED, not tested, ends at 0.976 and not at 1.
func TestTorus(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of packets")
	}
	res := runFile(t, loadFile(t, "c6-torus.yaml", spec.Options{Only: []string{"cc=ewtcp,lia"}}), Options{})
	index := map[string]float64{}
	for _, run := range res.Runs {
		index[run.Point["cc"]] = jainOfFlows(run)
		t.Logf("%s: Jain's index %.3f", run.ID, jainOfFlows(run))
	}
	for cc, model := range map[string]float64{"ewtcp": 0.933, "lia": 0.987} {
		if d := index[cc] - model; d < -0.03 || d > 0.03 {
			t.Errorf("%s: Jain's index %.3f, the model has %.3f", cc, index[cc], model)
		}
	}
	if index["ewtcp"] >= index["lia"] {
		t.Errorf("EWTCP %.3f is as fair as LIA %.3f", index["ewtcp"], index["lia"])
	}
}

func jainOfFlows(run result.Run) float64 {
	var sum, squares float64
	for _, f := range run.Flows {
		sum += f.Goodput
		squares += f.Goodput * f.Goodput
	}
	return sum * sum / (float64(len(run.Flows)) * squares)
}
