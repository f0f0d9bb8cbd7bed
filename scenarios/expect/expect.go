// Package expect is the expectations of a scenario: a small language of
// comparisons over result names (sections 8 and 9 of the schema). Names, units and
// dimensions are checked when the file is read; runs are judged when they are
// done. A name without a value fails, with the reason: it is never zero.
package expect

import (
	"slices"
	"time"

	"mptcplab/topology/decode"
)

// Expectation is one expression, bound to one of the runs that it judges.
type Expectation struct {
	ID   int    // the same in all runs: of the expression in the file, from 0; negative: unsaid
	Name string // as given, or the expression
	Expr string // "A OP B"; a counters block is one expression for each counter
	Over string // each, median, mean, min, max: reduces repetitions
	Need string // all, any: of the runs that it applies to
	At   decode.Position
	// Impair restricts it to impairment drivers (virtual, netem, relay), which
	// are known only when the run is made; nil: all.
	Impair []string
	// Tree is Expr, parsed for the run.
	Tree *Comparison
}

// Axis is one axis of a sweep and its value in a run.
type Axis struct{ Name, Label string }

// RunRef is a run to be judged.
type RunRef struct {
	Pairing string
	Point   []Axis
	Seed    uint64
	Impair  string // the driver that made it: virtual, netem or relay
	Expect  []Expectation
}

// Window is the part of a run that a name is asked for.
type Window struct {
	Kind     WindowKind
	From, To time.Duration // Span: both; Instant: From. To of 0: until the end
}

// WindowKind is the kind of a window.
type WindowKind uint8

// The kinds of windows.
const (
	Whole   WindowKind = iota // no selector: the whole run
	Span                      // (2s..10s)
	Instant                   // (3s): the value of a gauge then
)

// Value is what a name was in a run: a number in seconds, bit/s, bytes or
// without unit, as its dimension says; a truth; or a text.
type Value struct {
	Number float64
	Truth  bool
	Text   string
}

// Num, Truth and Word make values.
func Num(v float64) Value { return Value{Number: v} }

// Truth makes a value that is true or false.
func Truth(b bool) Value { return Value{Truth: b} }

// Word makes a value that is a text.
func Word(s string) Value { return Value{Text: s} }

// Source says what names were. Names are those of section 9, written out: no
// stars, and members of parallel workloads one by one (flow.get.1.bytes). The
// error says why there is no value.
type Source interface {
	Value(run int, name string, w Window) (Value, error)
}

// Verdict is one judged expectation. With over it is about all repetitions of a
// point, with need: any about all runs.
type Verdict struct {
	Runs     []int // indexes, ascending; the verdict belongs to the first
	ID       int
	Name     string // as given, or the expression
	Expr     string
	Measured string // the left side with its unit, or why there is no value
	Wanted   string // "<= 230ms"
	Pass     bool
	At       decode.Position
}

// Instants returns the edges of all windows and all instants that expectations
// ask for, ascending: a recorder samples exactly then. Selectors may ask for
// other runs, so that one list is for all.
func Instants(runs ...[]Expectation) []time.Duration {
	var list []time.Duration
	for _, run := range runs {
		for _, e := range run {
			if e.Tree == nil {
				continue
			}
			e.Tree.names(func(n *nameNode) {
				if n.window.Kind != Whole {
					list = append(list, n.window.From)
				}
				if n.window.Kind == Span && n.window.To > 0 {
					list = append(list, n.window.To)
				}
			})
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
