package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"mptcplab/scenarios/expect"
	"mptcplab/topology/decode"
)

// expectDraft is one expression of the file with where it applies.
type expectDraft struct {
	expect.Expectation
	filters []filter
}

// filter is one entry of for: labels, or a range of them.
type filter struct {
	axis   string
	labels []string
	ranges []decode.Range
	at     Position
}

var (
	overType = decode.EnumType([]string{"each", "median", "mean", "min", "max"})
	needType = decode.EnumType([]string{"all", "any"})
)

// expectKeys declares section 8 of the schema.
func (d *document) expectKeys(m *decode.Map) {
	block := func(m *decode.Map) { d.expectBlock(m) }
	schema := func() *decode.Schema {
		return decode.ListOf(decode.OneOf(decode.Pattern("."), decode.Describe(block)))
	}
	m.Key("expect", "what must hold: A OP B, or {that, for, over, need, name}, or {counters, for}", schema, func(n *decode.Node, path string) {
		if n.Kind != decode.List {
			m.Report().Errorf(n.At, "expect is a list; begin each expectation with a dash")
			return
		}
		for i, item := range n.Items {
			if item.Kind == decode.Scalar {
				d.addExpect(expectDraft{Expectation: expect.Expectation{Name: item.Text, Expr: item.Text, At: item.At}})
				continue
			}
			decode.Object(m.Report(), item, item.At, fmt.Sprintf("%s.%d", path, i), block)
		}
	})
}

func (d *document) addExpect(e expectDraft) {
	e.ID = len(d.expects)
	if e.Over == "" {
		e.Over = "each"
	}
	if e.Need == "" {
		e.Need = "all"
	}
	d.expects = append(d.expects, e)
}

func (d *document) expectBlock(m *decode.Map) {
	e := expectDraft{}
	e.At = m.At
	decode.Get(m, "that", decode.TextType, &e.Expr, "A OP B, or A within 15% of B")
	m.Key("for", "only these runs: {AXIS: value, [values] or range}; AXIS may be pairing, fabric, impair", func() *decode.Schema {
		one := &decode.Schema{Type: []string{"string", "number", "boolean"}}
		return mapOf(decode.OneOf(one, decode.ListOf(one)))
	}, func(n *decode.Node, path string) { e.filters = readFilters(m.Report(), n, path) })
	decode.Get(m, "over", overType, &e.Over, "reduces repetitions first; default each")
	decode.Get(m, "need", needType, &e.Need, "all runs, or any one; default all")
	decode.Get(m, "name", decode.TextType, &e.Name, "default: the expression")
	counters := countersKey(m)
	if m.Describing() {
		return
	}
	switch {
	case m.Has("that") == m.Has("counters"):
		m.Errorf("give either that or counters")
		return
	case m.Has("that"):
		e.At = m.PositionOf("that")
		if e.Name == "" {
			e.Name = e.Expr
		}
		if e.Expr != "" {
			d.addExpect(e)
		}
	}
	for _, c := range counters {
		one := e
		one.Expr, one.At = c.Expr, c.At
		if one.Name == "" {
			one.Name = c.Expr
		}
		d.addExpect(one)
	}
}

type counterExpr struct {
	Expr string
	At   Position
}

// countersKey reads counters: {HOST: {NAME: 2, OTHER: 4..}}; each counter becomes
// an expression, a range two.
func countersKey(m *decode.Map) (list []counterExpr) {
	value := &decode.Schema{Type: []string{"integer", "string"}}
	schema := func() *decode.Schema { return mapOf(mapOf(value)) }
	m.Key("counters", "{HOST: {NAME: 2, OTHER: 4..}}: counters under the names of nstat", schema, func(n *decode.Node, path string) {
		decode.EachEntry(m.Report(), n, path, func(host decode.Entry) {
			decode.EachEntry(m.Report(), host.Value, path+"."+host.Key, func(c decode.Entry) {
				name := "host." + host.Key + ".counter." + c.Key
				for _, cond := range counterConditions(m.Report(), c, path+"."+host.Key+"."+c.Key) {
					list = append(list, counterExpr{name + " " + cond, c.At})
				}
			})
		})
	})
	return list
}

func counterConditions(r *decode.Report, c decode.Entry, path string) []string {
	if c.Value.Kind != decode.Scalar {
		r.Errorf(c.Value.At, "%s: wanted is a number or a range such as 4..", path)
		return nil
	}
	if !decode.IsRange(c.Value.Text) {
		if _, err := strconv.ParseUint(c.Value.Text, 10, 64); err != nil {
			r.Errorf(c.Value.At, "%s: %q is neither a number nor a range such as 4..", path, c.Value.Text)
			return nil
		}
		return []string{"== " + c.Value.Text}
	}
	rg, err := decode.ParseRange(c.Value.Text)
	if err == nil && rg.From.Dim != decode.Number {
		err = fmt.Errorf("%q: counters have no unit", c.Value.Text)
	}
	if err != nil {
		r.Errorf(c.Value.At, "%s: %v", path, err)
		return nil
	}
	var conds []string
	if !math.IsInf(rg.From.Value, 0) {
		conds = append(conds, fmt.Sprintf(">= %.0f", rg.From.Value))
	}
	if !math.IsInf(rg.To.Value, 0) {
		conds = append(conds, fmt.Sprintf("<= %.0f", rg.To.Value))
	}
	return conds
}

func readFilters(r *decode.Report, n *decode.Node, path string) (list []filter) {
	decode.EachEntry(r, n, path, func(e decode.Entry) {
		f := filter{axis: e.Key, at: e.At}
		items := []*decode.Node{e.Value}
		if e.Value.Kind == decode.List {
			items = e.Value.Items
		}
		for _, i := range items {
			if i.Kind != decode.Scalar {
				r.Errorf(i.At, "%s.%s: wanted is a value, a list of values or a range", path, e.Key)
			} else if decode.IsRange(i.Text) {
				rg, err := decode.ParseRange(i.Text)
				if err != nil {
					r.Errorf(i.At, "%s.%s: %v", path, e.Key, err)
				}
				f.ranges = append(f.ranges, rg)
			} else {
				f.labels = append(f.labels, i.Text)
			}
		}
		list = append(list, f)
	})
	return list
}

// matches reports whether a label is meant by the filter.
func (f *filter) matches(label string) bool {
	if slices.Contains(f.labels, label) {
		return true
	}
	q, err := decode.ParseQuantity(label)
	if err != nil {
		return false
	}
	if slices.ContainsFunc(f.labels, func(l string) bool { p, err := decode.ParseQuantity(l); return err == nil && p == q }) {
		return true
	}
	return slices.ContainsFunc(f.ranges, func(r decode.Range) bool { return r.Contains(q) })
}
