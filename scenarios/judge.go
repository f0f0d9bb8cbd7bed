package scenarios

import (
	"time"

	"mptcplab/scenarios/expect"
	"mptcplab/scenarios/result"
)

// instants are the edges of the windows of all expectations: one may ask for
// another's run.
func (r *runner) instants() []time.Duration {
	var all [][]expect.Expectation
	for i := range r.file.Runs {
		all = append(all, r.file.Runs[i].Expect)
	}
	return expect.Instants(all...)
}

// judge judges the expectations of the runs that were begun, and puts each
// verdict into its first run.
func (r *runner) judge() {
	var refs []expect.RunRef
	var index []int
	for i := range r.file.Runs {
		if r.runs[i].ID == "" {
			continue
		}
		run := &r.file.Runs[i]
		ref := expect.RunRef{Pairing: run.Pairing, Seed: run.Seed, Impair: r.fabric.impair(), Expect: run.Expect}
		for _, a := range run.Point {
			ref.Point = append(ref.Point, expect.Axis(a))
		}
		refs = append(refs, ref)
		index = append(index, i)
	}
	for _, v := range expect.Judge(refs, source{r, index}) {
		run := &r.runs[index[v.Runs[0]]]
		run.Expect = append(run.Expect, result.Expect{That: v.Name, Measured: v.Measured, Wanted: v.Wanted, Pass: v.Pass})
	}
}
