package expect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Judge judges all expectations of all runs. Verdicts come in the order of their
// first runs, then of the file.
func Judge(runs []RunRef, source Source) []Verdict {
	j := &judge{runs: runs, source: source, index: map[string]int{}}
	for i := range runs {
		j.index[key(&runs[i], "", "")] = i
	}
	for _, g := range j.groups() {
		j.verdict(g)
	}
	slices.SortStableFunc(j.verdicts, func(a, b Verdict) int {
		if a.Runs[0] != b.Runs[0] {
			return a.Runs[0] - b.Runs[0]
		}
		return order(a.ID) - order(b.ID)
	})
	return j.verdicts
}

// order puts what is unsaid, with negative ids, first.
func order(id int) int {
	if id < 0 {
		return -1 - id - 1<<30
	}
	return id
}

type judge struct {
	runs     []RunRef
	source   Source
	index    map[string]int
	verdicts []Verdict
}

// group is what one verdict is about: sets of runs, each reduced by over.
type group struct {
	e    *Expectation
	sets [][]int
}

// key names a run, with one axis replaced.
func key(r *RunRef, axis, label string) string {
	var b strings.Builder
	pairing := r.Pairing
	if axis == "pairing" {
		pairing = label
	}
	b.WriteString(pairing)
	for _, a := range r.Point {
		if a.Name == axis {
			a.Label = label
		}
		b.WriteString("\x00" + a.Name + "=" + a.Label)
	}
	b.WriteString("\x00" + strconv.FormatUint(r.Seed, 10))
	return b.String()
}

// other finds the run that differs only in one axis.
func (j *judge) other(run int, axis, label string) (int, bool) {
	i, ok := j.index[key(&j.runs[run], axis, label)]
	return i, ok
}

func (j *judge) groups() []*group {
	var list []*group
	anyOf := map[int]*group{}
	repeats := map[string]int{} // the set in its group
	for i := range j.runs {
		r := &j.runs[i]
		for k := range r.Expect {
			e := &r.Expect[k]
			if e.Impair != nil && !slices.Contains(e.Impair, r.Impair) {
				continue
			}
			g := anyOf[e.ID]
			if g == nil {
				g = &group{e: e}
			}
			point := *r
			point.Seed = 0
			id := strconv.Itoa(e.ID) + "\x00" + key(&point, "", "")
			if at, ok := repeats[id]; ok && e.Over != "each" {
				if e.Need == "any" {
					g.sets[at] = append(g.sets[at], i)
				} else {
					list[at].sets[0] = append(list[at].sets[0], i)
				}
				continue
			}
			g.sets = append(g.sets, []int{i})
			repeats[id] = len(list)
			if e.Need == "any" {
				repeats[id] = len(g.sets) - 1
			}
			if len(g.sets) == 1 {
				list = append(list, g)
			}
			if e.Need == "any" {
				anyOf[e.ID] = g
			}
		}
	}
	return list
}

// verdict judges a group: all sets of need: any are one verdict, which passes if
// one set does.
func (j *judge) verdict(g *group) {
	v := Verdict{ID: g.e.ID, Name: g.e.Name, Expr: g.e.Expr, At: g.e.At}
	for _, set := range g.sets {
		v.Runs = append(v.Runs, set...)
	}
	slices.Sort(v.Runs)
	for _, set := range g.sets {
		// The tree is that of the set's own run: its parameters may differ.
		one := j.expectation(set[0], g.e.ID)
		measured, wanted, pass := one.judge(&evaluator{j: j, group: set, over: one.Over})
		if pass || v.Measured == "" {
			v.Measured, v.Wanted, v.Pass, v.Expr = measured, wanted, pass, one.Expr
		}
		if pass {
			break
		}
	}
	if !v.Pass && len(g.sets) > 1 {
		v.Measured = fmt.Sprintf("none of %d; the first: %s", len(g.sets), v.Measured)
	}
	j.verdicts = append(j.verdicts, v)
}

func (j *judge) expectation(run, id int) *Expectation {
	for k := range j.runs[run].Expect {
		if e := &j.runs[run].Expect[k]; e.ID == id {
			return e
		}
	}
	return nil
}

// judge evaluates one expectation for one group; with stars all must hold, and
// the first that does not is what was measured.
func (e *Expectation) judge(ev *evaluator) (measured, wanted string, pass bool) {
	c := e.Tree
	if c == nil {
		return "the expression was not parsed", e.Expr, false
	}
	for ev.binding = range max(1, len(c.bindings)) {
		a, err := c.left.eval(ev)
		if err != nil {
			return err.Error(), c.asked(), false
		}
		b, err := c.right.eval(ev)
		measured = c.format(a)
		if err != nil {
			return measured, c.asked() + " (" + err.Error() + ")", false
		}
		wanted, pass = c.wanted(b), c.holds(a, b)
		if c.bindings != nil {
			measured = c.bindings[ev.binding] + ": " + measured
		}
		if !pass {
			break
		}
	}
	if pass && len(c.bindings) > 1 {
		measured = fmt.Sprintf("all %d; the last: %s", len(c.bindings), measured)
	}
	return measured, wanted, pass
}

// wanted is the right side as people read it.
func (c *Comparison) wanted(b Value) string {
	s := c.opText() + " " + c.format(b)
	if c.op == "within" {
		s += fmt.Sprintf(" (%s..%s)", c.format(Num(b.Number*(1-c.percent/100))), c.format(Num(b.Number*(1+c.percent/100))))
	}
	return s
}

// asked is the right side in the words of the file.
func (c *Comparison) asked() string {
	_, text, _ := strings.Cut(c.text, c.op)
	if c.op == "within" {
		_, text, _ = strings.Cut(text, " of ")
	}
	return c.opText() + " " + strings.TrimSpace(text)
}

func (c *Comparison) opText() string {
	if c.op == "within" {
		return fmt.Sprintf("within %g%% of", c.percent)
	}
	return c.op
}
