package expect

import (
	"fmt"
	"slices"
)

// ParseNow reads an expression about a run that goes on: its names have a value at
// any time, what was counted so far or what is.
func ParseNow(s string, names *Names) (*Comparison, error) {
	c, err := Parse(s, names)
	if err != nil {
		return nil, err
	}
	c.names(func(n *nameNode) {
		if err == nil {
			err = n.now()
		}
	})
	return c, err
}

// evident are the names beside those that count and gauges that have a value while
// a run goes on.
var evident = []string{"finished", "fallback", "errors"}

func (n *nameNode) now() error {
	switch {
	case n.window.Kind != Whole || n.axis != "" || n.missing != "":
		return fmt.Errorf("%s: an event looks at its own run as it is then; leave the parentheses out", n.text)
	case n.e.window || n.e.gauge || slices.Contains(evident, n.e.words):
		return nil
	}
	return fmt.Errorf("%s: %s is known only when the run is over", n.text, n.e.words)
}

// Now judges the expression with the values that names have now. A name without a
// value makes it not hold.
func (c *Comparison) Now(s Source) (measured, wanted string, holds bool) {
	e := Expectation{Tree: c, Expr: c.text}
	return e.judge(&evaluator{j: &judge{runs: make([]RunRef, 1), source: s}, group: []int{0}, over: "each"})
}

// String returns the expression as it was written.
func (c *Comparison) String() string { return c.text }
