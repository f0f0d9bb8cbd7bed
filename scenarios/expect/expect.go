// Package expect is the expectations of a scenario: a small language of
// comparisons over result names (sections 8 and 9 of the schema), checked when the
// file is read and judged when the runs are done.
package expect

import "mptcplab/topology/decode"

// Expectation is one expression, bound to the runs that it judges.
type Expectation struct {
	ID   int    // the same in all runs: of the expression in the file, counted from 0
	Name string // as given, or the expression
	Expr string // "A OP B"; a counters block is one expression for each counter
	Over string // each, median, mean, min, max: reduces repetitions
	Need string // all, any: of the runs that it applies to
	At   decode.Position
	// Impair restricts it to impairment drivers (virtual, netem, relay), which
	// are known only when the run is made; nil: all.
	Impair []string
}
