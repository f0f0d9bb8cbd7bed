package expect

import (
	"fmt"

	"mptcplab/topology/decode"
)

// dim is what a node's value is. Sizes count in bits, so that a size by a rate is
// a time.
type dim struct {
	kind      decode.Dim // Truth, Words, or Number for all that has a magnitude
	bits, sec int8
	zero      bool // the literal 0, which is of every dimension
}

func dimOf(d decode.Dim) dim {
	switch d {
	case decode.Time:
		return dim{sec: 1}
	case decode.Rate:
		return dim{bits: 1, sec: -1}
	case decode.Size:
		return dim{bits: 1}
	case decode.Truth, decode.Words:
		return dim{kind: d}
	}
	return dim{}
}

// scaleOf turns the unit of a dimension into that of the calculation.
func scaleOf(d decode.Dim) float64 {
	if d == decode.Size {
		return 8
	}
	return 1
}

func (d dim) same(o dim) bool {
	if (d.zero && o.kind == decode.Number) || (o.zero && d.kind == decode.Number) {
		return true
	}
	return d.kind == o.kind && d.bits == o.bits && d.sec == o.sec
}

func (d dim) String() string {
	switch {
	case d.kind != decode.Number:
		return d.kind.String()
	case d.bits == 0 && d.sec == 0:
		return decode.Number.String()
	case d.bits == 1 && d.sec == 0:
		return decode.Size.String()
	case d.bits == 1 && d.sec == -1:
		return decode.Rate.String()
	case d.bits == 0 && d.sec == 1:
		return decode.Time.String()
	}
	return fmt.Sprintf("of dimension bit^%d s^%d", d.bits, d.sec)
}

// Comparison is a parsed expression: A OP B, or A within PERCENT of B.
type Comparison struct {
	text        string
	op          string // "within" too
	left, right node
	percent     float64
	bindings    []string // what the stars outside functions stand for, one by one; nil: no stars
}

// node is a part of an expression.
type node interface {
	dim() dim
	eval(ev *evaluator) (Value, error)
	walk(f func(*nameNode))
}

func (c *Comparison) names(f func(*nameNode)) {
	c.left.walk(f)
	c.right.walk(f)
}

type literal struct {
	v Value
	d dim
}

func (l *literal) dim() dim                       { return l.d }
func (l *literal) eval(*evaluator) (Value, error) { return l.v, nil }
func (l *literal) walk(func(*nameNode))           {}

// nameNode is a result name with its selectors.
type nameNode struct {
	text      string
	list      []concrete
	e         *entry
	aggregate bool // the list is one value
	each      bool // the comparison holds for each of the list
	window    Window
	axis      string // (axis=label): another run
	label     string
	missing   string // why there can be no value: (axis=prev) of the first
}

func (n *nameNode) dim() dim               { return dimOf(n.e.dim) }
func (n *nameNode) walk(f func(*nameNode)) { f(n) }

// funcNode reduces what the star of its name stands for.
type funcNode struct {
	fn  string
	arg *nameNode
	d   dim
}

func (n *funcNode) dim() dim               { return n.d }
func (n *funcNode) walk(f func(*nameNode)) { f(n.arg) }

// arith is A op B, of numbers.
type arith struct {
	op   string
	a, b node
	d    dim
}

func (n *arith) dim() dim { return n.d }
func (n *arith) walk(f func(*nameNode)) {
	n.a.walk(f)
	n.b.walk(f)
}
