package expect

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"mptcplab/topology/decode"
)

// evaluator evaluates for one group of runs: the repetitions of a point, or one run.
type evaluator struct {
	j       *judge
	group   []int
	over    string
	binding int // which of what the stars stand for
}

func (n *arith) eval(ev *evaluator) (Value, error) {
	a, err := n.a.eval(ev)
	if err != nil {
		return Value{}, err
	}
	b, err := n.b.eval(ev)
	if err != nil {
		return Value{}, err
	}
	switch n.op {
	case "+":
		return Num(a.Number + b.Number), nil
	case "-":
		return Num(a.Number - b.Number), nil
	case "*":
		return Num(a.Number * b.Number), nil
	}
	if b.Number == 0 {
		return Value{}, errors.New("division by 0")
	}
	return Num(a.Number / b.Number), nil
}

// eval takes the value of a name in each repetition and reduces them: "over
// reduces repetitions first".
func (n *nameNode) eval(ev *evaluator) (Value, error) {
	names := n.list
	if n.each {
		names = names[ev.binding : ev.binding+1]
	}
	values := make([]Value, 0, len(ev.group))
	for _, run := range ev.group {
		v, err := n.inRun(ev, run, names)
		if err != nil {
			return v, err
		}
		values = append(values, v)
	}
	return reduce(ev.over, values, n.e.dim)
}

// inRun takes the value in one run, or in the one that the selector names.
func (n *nameNode) inRun(ev *evaluator, run int, names []concrete) (Value, error) {
	if n.missing != "" {
		return Value{}, fmt.Errorf("%s: %s", n.text, n.missing)
	}
	if n.axis != "" {
		other, ok := ev.j.other(run, n.axis, n.label)
		if !ok {
			return Value{}, fmt.Errorf("%s: there is no run with %s=%s and all else the same", n.text, n.axis, n.label)
		}
		run = other
	}
	var values []Value
	for _, c := range names {
		v, err := ev.j.source.Value(run, c.name, n.window)
		if err == nil && (math.IsNaN(v.Number) || math.IsInf(v.Number, 0)) {
			err = errors.New("it is no number")
		}
		if err != nil {
			return v, fmt.Errorf("no value of %s: %w", c.name, err)
		}
		v.Number *= scaleOf(n.e.dim)
		values = append(values, v)
	}
	if n.e.dim == decode.Truth {
		return Truth(!slices.ContainsFunc(values, func(v Value) bool { return !v.Truth })), nil
	}
	if len(values) == 1 {
		return values[0], nil
	}
	return Num(sum(numbers(values))), nil
}

// reduce reduces repetitions. What is true or false must be so in all of them;
// texts must be equal.
func reduce(over string, values []Value, d decode.Dim) (Value, error) {
	switch {
	case len(values) == 1:
		return values[0], nil
	case d == decode.Truth || d == decode.Words:
		for _, v := range values[1:] {
			if v != values[0] {
				return Value{}, errors.New("the repetitions differ")
			}
		}
		return values[0], nil
	}
	return Num(statistic(over, numbers(values))), nil
}

func numbers(values []Value) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = v.Number
	}
	return list
}

func sum(list []float64) float64 {
	s := 0.0
	for _, v := range list {
		s += v
	}
	return s
}

// statistic is a function of a list with at least one element.
func statistic(fn string, list []float64) float64 {
	switch fn {
	case "min":
		return slices.Min(list)
	case "max":
		return slices.Max(list)
	case "sum":
		return sum(list)
	case "mean":
		return sum(list) / float64(len(list))
	case "median":
		return quantile(list, 0.5)
	case "p95":
		return quantile(list, 0.95)
	}
	// jain: (sum x)^2 / (n sum x^2), 1 if all are equal.
	squares := 0.0
	for _, v := range list {
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	s := sum(list)
	return s * s / (float64(len(list)) * squares)
}

// quantile interpolates between the two neighbours, as spreadsheets and numpy do.
func quantile(list []float64, q float64) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	pos := q * float64(len(list)-1)
	low := int(pos)
	if low+1 >= len(list) {
		return list[low]
	}
	return list[low] + (pos-float64(low))*(list[low+1]-list[low])
}

func (n *funcNode) eval(ev *evaluator) (Value, error) {
	values := make([]Value, 0, len(ev.group))
	for _, run := range ev.group {
		var list []float64
		for i := range n.arg.list {
			v, err := n.arg.inRun(ev, run, n.arg.list[i:i+1])
			if err != nil {
				return v, err
			}
			if n.arg.e.dim != decode.Truth || v.Truth {
				list = append(list, v.Number)
			}
		}
		if n.fn == "count" {
			values = append(values, Num(float64(len(list))))
		} else {
			values = append(values, Num(statistic(n.fn, list)))
		}
	}
	return reduce(ev.over, values, decode.Number)
}

// holds compares.
func (c *Comparison) holds(a, b Value) bool {
	switch c.left.dim().kind {
	case decode.Truth:
		return (a.Truth == b.Truth) == (c.op == "==")
	case decode.Words:
		return (a.Text == b.Text) == (c.op == "==")
	}
	switch c.op {
	case "==":
		return a.Number == b.Number
	case "!=":
		return a.Number != b.Number
	case "<":
		return a.Number < b.Number
	case "<=":
		return a.Number <= b.Number
	case ">":
		return a.Number > b.Number
	case ">=":
		return a.Number >= b.Number
	}
	return math.Abs(a.Number-b.Number) <= c.percent/100*math.Abs(b.Number)
}
