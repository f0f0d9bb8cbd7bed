package spec

import (
	"math"
	"strconv"
	"strings"

	"mptcplab/topology/decode"
	"mptcplab/workloads"
)

// sampling is sample: N of a sweep: a Latin hypercube over its ranges. Each range
// is cut into N strata of equal width, and each stratum has one value of it,
// anywhere within; which strata make a point together is drawn from the seed
// (McKay, Beckman, Conover 1979).
type sampling struct {
	n    int // 0: none
	seed uint64
	at   Position
}

// maxSamples bounds the points of a sweep.
const maxSamples = 10_000

func readSample(root *decode.Node, r *decode.Report) (s sampling) {
	n := root.Get("sweep").Get("sample")
	if n == nil {
		return s
	}
	s.at = n.At
	s.n, _ = decode.IntType(1, maxSamples).Read(r, n, "sweep.sample")
	s.seed = 1
	if seed := root.Get("seed"); seed != nil {
		s.seed, _ = strconv.ParseUint(seed.Text, 10, 64) // a wrong one is reported as such
	}
	return s
}

// isSampled reports whether an axis is sampled.
func isSampled(root, axis *decode.Node) bool {
	var scratch decode.Report // reported when the sweep is read
	_, ok := readSample(root, &scratch).of(axis)
	return ok
}

// of reports whether the value of an axis is a range that is sampled.
func (s sampling) of(n *decode.Node) (rg decode.Range, ok bool) {
	if s.n == 0 || n.Kind != decode.Scalar || !decode.IsRange(n.Text) {
		return rg, false
	}
	rg, err := decode.ParseRange(n.Text)
	return rg, err == nil && rg.Step == 0 && !math.IsInf(rg.From.Value, 0) && !math.IsInf(rg.To.Value, 0)
}

// sample draws the values of an axis.
func (a *axis) sample(rg decode.Range, s sampling, r *decode.Report) {
	a.sampled = true
	draws := workloads.NewStream(s.seed, "sample/"+a.name)
	strata := make([]int, s.n)
	for i := range strata { // a random permutation (Fisher, Yates)
		k := int(draws.Uniform() * float64(i+1))
		strata[i] = strata[k]
		strata[k] = i
	}
	end := rg.To.Value
	if whole(rg) {
		end++ // each number has as much room as any
	}
	width := (end - rg.From.Value) / float64(s.n)
	for _, k := range strata {
		v := rg.From.Value + float64((float64(k)+draws.Uniform())*width)
		text := formatQuantity(significant(v, rg), rg.From.Dim)
		if q, err := decode.ParseQuantity(text); err != nil || q.Dim != rg.From.Dim {
			r.Errorf(a.at, "sweep.%s: %s cannot be written as %s is", a.name, text, rg.From.Dim)
			return
		}
		a.labels, a.values = append(a.labels, text), append(a.values, decode.Word(text, a.at))
	}
}

// significant rounds to four significant digits, which are enough to tell runs
// apart, without leaving the range; whole numbers stay whole.
func significant(v float64, rg decode.Range) float64 {
	if whole(rg) {
		return min(math.Floor(v), rg.To.Value)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return min(max(rounded, rg.From.Value), rg.To.Value)
}

// whole reports whether a range is of whole numbers without a unit.
func whole(rg decode.Range) bool {
	return rg.From.Dim == decode.Number && rg.From.Value == math.Trunc(rg.From.Value) && rg.To.Value == math.Trunc(rg.To.Value)
}

// refuseEqualPoints reports samples that fall on one point: the ranges have too few
// values.
func refuseEqualPoints(points map[string]bool, id string, s sampling, r *decode.Report) {
	if points[id] {
		r.Errorf(s.at, "sweep.sample: two samples are the same, %s; take fewer", id[:strings.LastIndex(id, "/")])
	}
	points[id] = true
}
