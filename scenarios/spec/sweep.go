package spec

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"mptcplab/scenarios/expect"
	"mptcplab/topology/decode"
)

// axis is one axis of the sweep; each value is a set of changes.
type axis struct {
	name   string
	at     Position
	labels []string
	values []*decode.Node // by label: a value of the parameter, or a bundle
	bundle bool
	// sampled axes go together: value k of each is point k.
	sampled bool
}

// readSweep reads sweep: AXIS: [values] varies a parameter, AXIS: {LABEL: {...}}
// names bundles of changes.
func readSweep(root *decode.Node, r *decode.Report) []axis {
	sweep := root.Get("sweep")
	if sweep == nil {
		return nil
	}
	var axes []axis
	sample := readSample(root, r)
	decode.EachEntry(r, sweep, "sweep", func(e decode.Entry) {
		a := axis{name: e.Key, at: e.At}
		if e.Key == "sample" {
			return
		}
		if slices.Contains([]string{"pairing", "fabric", "impair", "seed"}, e.Key) {
			r.Errorf(e.At, "an axis cannot be called %q, that name is taken", e.Key)
			return
		}
		if _, err := decode.ParseName(e.Key); err != nil {
			r.Errorf(e.At, "sweep: %v", err)
		}
		if rg, ok := sample.of(e.Value); ok {
			a.sample(rg, sample, r)
		} else {
			a.read(e.Value, r)
		}
		if !a.bundle && root.Get("params").Get(a.name) == nil {
			r.Errorf(e.At, "sweep.%s varies a parameter, and there is none of that name%s", a.name, decode.Suggest(a.name, root.Get("params").Keys()))
		}
		axes = append(axes, a)
	})
	if sample.n > 0 && !slices.ContainsFunc(axes, func(a axis) bool { return a.sampled }) {
		r.Errorf(sample.at, "sweep.sample: there is no range to take samples of, such as 1mbit..100mbit")
	}
	return axes
}

func (a *axis) read(n *decode.Node, r *decode.Report) {
	path := "sweep." + a.name
	switch n.Kind {
	case decode.List:
		for _, v := range n.Items {
			if v.Kind != decode.Scalar {
				r.Errorf(v.At, "%s: wanted are plain values; name bundles of changes in a map", path)
				continue
			}
			a.add(v.Text, v, v.At, r)
		}
	case decode.Dict:
		a.bundle = true
		for _, e := range n.Entries {
			if e.Value.Kind != decode.Dict && e.Value.Kind != decode.Null {
				r.Errorf(e.Value.At, "%s.%s is %s; wanted is a map of changes, such as {topology.links.wifi.delay: 30ms}", path, e.Key, e.Value.Kind)
				continue
			}
			a.add(e.Key, e.Value, e.At, r)
		}
	default:
		a.readSteps(n, r)
	}
	if len(a.labels) == 0 && !r.Failed() {
		r.Errorf(n.At, "%s has no values", path)
	}
}

// readSteps reads FROM..TO step STEP.
func (a *axis) readSteps(n *decode.Node, r *decode.Report) {
	if !decode.IsRange(n.Text) {
		r.Errorf(n.At, "sweep.%s: wanted is a list of values, a range with a step, or a map of bundles", a.name)
		return
	}
	rg, err := decode.ParseRange(n.Text)
	if err != nil {
		r.Errorf(n.At, "sweep.%s: %v", a.name, err)
		return
	}
	if rg.Step == 0 {
		r.Errorf(n.At, "sweep.%s: a range needs a step, such as 50KB..1000KB step 50KB, or sample: N beside it in the sweep", a.name)
		return
	}
	steps := math.Floor((rg.To.Value-rg.From.Value)/rg.Step + 1e-9)
	if steps > 10_000 {
		r.Errorf(n.At, "sweep.%s: more than 10000 values", a.name)
		return
	}
	for k := 0; k <= int(steps); k++ {
		text := formatQuantity(rg.From.Value+float64(k)*rg.Step, rg.From.Dim)
		a.add(text, decode.Word(text, n.At), n.At, r)
	}
}

func formatQuantity(v float64, d decode.Dim) string {
	switch d {
	case decode.Time:
		return decode.FormatTime(time.Duration(math.Round(v * 1e9)))
	case decode.Rate:
		return decode.FormatRate(uint64(math.Round(v)))
	case decode.Size:
		return decode.FormatSize(uint64(math.Round(v)))
	case decode.Packets:
		return decode.FormatPackets(int(math.Round(v)))
	}
	return fmt.Sprintf("%.9g", v)
}

func (a *axis) add(label string, v *decode.Node, at Position, r *decode.Report) {
	switch {
	case label == "" || label == "." || label == ".." || strings.ContainsAny(label, "/\\=\x00\n\t"):
		r.Errorf(at, "sweep.%s: %q cannot be a label; labels become names of folders", a.name, label)
	case label == "prev":
		r.Errorf(at, `sweep.%s: a label cannot be called "prev", that name is taken`, a.name)
	case slices.Contains(a.labels, label):
		r.Errorf(at, "sweep.%s has %q twice", a.name, label)
	default:
		a.labels, a.values = append(a.labels, label), append(a.values, v)
	}
}

// grid calls f for every point, the last axis moving fastest.
func grid(axes []axis, f func(point []Axis, index []int)) {
	index := make([]int, len(axes))
	for _, a := range axes {
		if len(a.labels) == 0 {
			return
		}
	}
	for {
		point := make([]Axis, len(axes))
		for i, a := range axes {
			point[i] = Axis{Name: a.name, Label: a.labels[index[i]]}
		}
		f(point, slices.Clone(index))
		if !advance(axes, index) {
			return
		}
	}
}

// advance goes to the next point; false: there is none. Sampled axes move as one,
// in the place of their first.
func advance(axes []axis, index []int) bool {
	first := slices.IndexFunc(axes, func(a axis) bool { return a.sampled })
	for k := len(axes) - 1; k >= 0; k-- {
		if axes[k].sampled && k != first {
			continue
		}
		next := (index[k] + 1) % len(axes[k].labels)
		for i := range axes {
			if i == k || axes[k].sampled && axes[i].sampled {
				index[i] = next
			}
		}
		if next > 0 {
			return true
		}
	}
	return false
}

// applyPoint makes the changes of a point.
func applyPoint(root *decode.Node, axes []axis, index []int, r *decode.Report) {
	for i, a := range axes {
		v := a.values[index[i]]
		if a.bundle {
			apply(root, readBundle(v, "sweep."+a.name+"."+a.labels[index[i]], r), r)
		} else if params := root.Get("params"); params != nil {
			params.Put(a.name, v.At, v.Clone())
		}
	}
}

// applyOnly keeps the labels that --only names, in the tree itself, so that
// everything that follows sees a smaller file.
func applyOnly(root *decode.Node, only []string, r *decode.Report) {
	for _, s := range only {
		at := Position{File: "--only " + s}
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			r.Errorf(at, "wanted is AXIS=VALUE,VALUE")
			continue
		}
		holder := root.Get("sweep").Get(name)
		if name == "pairing" {
			holder = root.Get("pairings")
		}
		if holder == nil {
			r.Errorf(at, "there is no axis %q%s", name, decode.Suggest(name, axisNames(root)))
			continue
		}
		if name == "sample" || isSampled(root, holder) {
			r.Errorf(at, "%s is sampled, and one sample cannot be chosen; set the parameters with --set and leave the sweep out", name)
			continue
		}
		if holder.Kind == decode.Scalar { // a range with a step
			holder = materialize(root, name, holder)
		}
		have := labelsOf(holder)
		want := strings.Split(text, ",")
		if slices.Contains(have, text) {
			want = []string{text} // a label may have a comma in it
		}
		for i, w := range want {
			want[i] = sameLabel(strings.TrimSpace(w), have)
			if !slices.Contains(have, want[i]) {
				r.Errorf(at, "%s has no %q%s", name, want[i], decode.Suggest(want[i], have))
			}
		}
		keep(holder, want)
	}
}

// sameLabel returns the label that is the same quantity in other words (50KB and
// 50kB), or the text itself.
func sameLabel(text string, have []string) string {
	q, err := decode.ParseQuantity(text)
	if err != nil || slices.Contains(have, text) {
		return text
	}
	for _, label := range have {
		if p, err := decode.ParseQuantity(label); err == nil && p == q {
			return label
		}
	}
	return text
}

func materialize(root *decode.Node, name string, n *decode.Node) *decode.Node {
	var scratch decode.Report // reported when the sweep is read
	a := axis{name: name}
	a.read(n, &scratch)
	list := &decode.Node{Kind: decode.List, Items: a.values, At: n.At}
	root.Get("sweep").Put(name, n.At, list)
	return list
}

func axisNames(root *decode.Node) []string {
	names := root.Get("sweep").Keys()
	if root.Get("pairings") != nil {
		names = append(names, "pairing")
	}
	return names
}

func labelsOf(n *decode.Node) []string {
	labels := n.Keys()
	for _, i := range n.Items {
		labels = append(labels, i.Text)
	}
	return labels
}

func keep(n *decode.Node, want []string) {
	n.Items = slices.DeleteFunc(n.Items, func(i *decode.Node) bool { return !slices.Contains(want, i.Text) })
	n.Entries = slices.DeleteFunc(n.Entries, func(e decode.Entry) bool { return !slices.Contains(want, e.Key) })
}

// selects finds (axis=label) in an expression.
var selects = regexp.MustCompile(`\(\s*([a-z][a-z0-9_-]*)\s*=\s*([^()]*?)\s*\)`)

// pruneExpects removes from the tree the expectations that --only left nothing
// to judge for: those about labels that do not run, and those that compare with
// them.
func pruneExpects(root *decode.Node, all, kept []expect.AxisNames) {
	gone := map[string]bool{}
	for i, a := range all {
		for _, l := range a.Labels {
			if !slices.Contains(kept[i].Labels, l) {
				gone[a.Name+"="+l] = true
			}
		}
	}
	expects := root.Get("expect")
	if len(gone) == 0 || expects == nil {
		return
	}
	expects.Items = slices.DeleteFunc(expects.Items, func(item *decode.Node) bool {
		text := item.Text
		if that := item.Get("that"); that != nil {
			text = that.Text
		}
		for _, m := range selects.FindAllStringSubmatch(text, -1) {
			if gone[m[1]+"="+m[2]] {
				return true
			}
		}
		return pruneFor(item.Get("for"), kept)
	})
}

// pruneFor removes labels that do not run and reports whether an axis has none left.
func pruneFor(axes *decode.Node, kept []expect.AxisNames) bool {
	if axes == nil || axes.Kind != decode.Dict {
		return false
	}
	for i := range axes.Entries {
		e := &axes.Entries[i]
		k := slices.IndexFunc(kept, func(a expect.AxisNames) bool { return a.Name == e.Key })
		if k < 0 {
			continue // fabric, impair
		}
		runs := func(n *decode.Node) bool {
			var scratch decode.Report // mistakes are reported when the value is read
			f := filter{labels: []string{n.Text}}
			if decode.IsRange(n.Text) {
				one := readFilters(&scratch, &decode.Node{Kind: decode.Dict, Entries: []decode.Entry{{Key: e.Key, Value: n}}}, "")
				f = one[0]
			}
			return slices.ContainsFunc(kept[k].Labels, f.matches)
		}
		if e.Value.Kind == decode.List {
			e.Value.Items = slices.DeleteFunc(e.Value.Items, func(n *decode.Node) bool { return !runs(n) })
			if len(e.Value.Items) == 0 {
				return true
			}
		} else if !runs(e.Value) {
			return true
		}
	}
	return false
}
