package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// table is a source: values by "run name", or by name for all runs. A window is
// written after the name.
type table map[string]Value

var errNever = errors.New("the event never happened")

func (tb table) Value(run int, name string, w Window) (Value, error) {
	switch w.Kind {
	case Span:
		name += fmt.Sprintf("(%v..%v)", w.From, w.To)
	case Instant:
		name += fmt.Sprintf("(%v)", w.From)
	}
	if v, ok := tb[fmt.Sprintf("%d %s", run, name)]; ok {
		return v, nil
	}
	if v, ok := tb[name]; ok {
		return v, nil
	}
	return Value{}, errNever
}

func expectation(t *testing.T, s string, n *Names) Expectation {
	t.Helper()
	tree, err := Parse(s, n)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return Expectation{Name: s, Expr: s, Over: "each", Need: "all", Tree: tree}
}

func TestJudgeOne(t *testing.T) {
	values := table{
		"flow.get.goodput":                 Num(23.456e6),
		"flow.get.throughput":              Num(25e6),
		"flow.get.bytes":                   Num(40e6),
		"flow.get.duration":                Num(13.64),
		"flow.get.intact":                  Truth(true),
		"flow.get.path.lte.bytes(5s..12s)": Num(6.25e6),
		"flow.get.path.lte.share":          Num(0.25),
		"flow.get.path.wifi.share":         Num(0.75),
		"handover.wifi-lost.gap":           Num(0.412),
		"handover.wifi-lost.rto":           Num(0.26),
		"handover.wifi-lost.srtt":          Num(0.09),
		"handover.wifi-lost.cause":         Word("rto"),
		"flow.page.1.goodput":              Num(1e6),
		"flow.page.2.goodput":              Num(2e6),
		"flow.page.3.goodput":              Num(3e6),
		"flow.page.1.intact":               Truth(true),
		"flow.page.2.intact":               Truth(false),
		"flow.page.3.intact":               Truth(true),
		"host.phone.counter.TcpInSegs":     Num(7),
		"flow.get.subflows(3s)":            Num(2),
	}
	for _, c := range []struct {
		expr, measured, wanted string
		pass                   bool
	}{
		{"flow.get.goodput > 20mbit", "23.456mbit", "> 20mbit", true},
		{"flow.get.goodput > 24mbit", "23.456mbit", "> 24mbit", false},
		{"flow.get.goodput within 5% of 24mbit", "23.456mbit", "within 5% of 24mbit (22.8mbit..25.2mbit)", true},
		{"flow.get.goodput within 1% of 24mbit", "23.456mbit", "within 1% of 24mbit (23.76mbit..24.24mbit)", false},
		{"handover.wifi-lost.gap <= handover.wifi-lost.rto + handover.wifi-lost.srtt + 100ms", "412ms", "<= 450ms", true},
		{"handover.wifi-lost.cause == rto", "rto", "== rto", true},
		{"handover.wifi-lost.cause == remove_addr", "rto", "== remove_addr", false},
		{"flow.get.path.lte.bytes(5s..12s) > 5MB", "6.25MB", "> 5MB", true},
		{"flow.get.bytes / flow.get.goodput < 13.7s", "13.643s", "< 13.7s", true},
		{"flow.get.throughput / flow.get.goodput > 1.05", "1.0658", "> 1.05", true},
		{"0 < flow.get.bytes", "0B", "< 40MB", true},
		{"flow.get.bytes == 0", "40MB", "== 0B", false},
		{"flow.get.path.*.share >= 25%", "all 2; the last: lte: 0.25", ">= 0.25", true},
		{"flow.get.path.*.share >= 30%", "lte: 0.25", ">= 0.3", false},
		{"flow.page.goodput == 6mbit", "6mbit", "== 6mbit", true},
		{"flow.page.intact == true", "false", "== true", false},
		{"count(flow.page.*.intact) == 2", "2", "== 2", true},
		{"median(flow.page.*.goodput) == 2mbit", "2mbit", "== 2mbit", true},
		{"p95(flow.page.*.goodput) == 2.9mbit", "2.9mbit", "== 2.9mbit", true},
		{"min(flow.page.*.goodput) + max(flow.page.*.goodput) == 4mbit", "4mbit", "== 4mbit", true},
		{"jain(flow.page.*.goodput) >= 0.9", "0.85714", ">= 0.9", false},
		{"flow.get.subflows(3s) == 2", "2", "== 2", true},
		{"2 * host.phone.counter.TcpInSegs - 4 == 10", "10", "== 10", true},
		// A name without a value fails, whatever the comparison says.
		{"handover.wifi-back.gap < 1s", "no value of handover.wifi-back.gap: the event never happened", "< 1s", false},
		{"handover.wifi-back.gap != 1s", "no value of handover.wifi-back.gap: the event never happened", "!= 1s", false},
		{"flow.get.bytes > flow.get.duplicate", "40MB", "> flow.get.duplicate (no value of flow.get.duplicate: the event never happened)", false},
		{"flow.get.goodput(buffer=50KB) > 1mbit", "flow.get.goodput(buffer=50KB): there is no run with buffer=50KB and all else the same", "> 1mbit", false},
		{"flow.get.bytes / (flow.get.bytes - flow.get.bytes) > 1", "division by 0", "> 1", false},
	} {
		run := RunRef{Pairing: "mm", Point: lab().Point, Expect: []Expectation{expectation(t, c.expr, lab())}}
		v := Judge([]RunRef{run}, values)[0]
		if v.Measured != c.measured || v.Wanted != c.wanted || v.Pass != c.pass {
			t.Errorf("%s:\ngot  %q %q %v\nwant %q %q %v", c.expr, v.Measured, v.Wanted, v.Pass, c.measured, c.wanted, c.pass)
		}
	}
}

// sweep makes runs over buffer x seed with one expectation, parsed for each.
func sweep(t *testing.T, expr, over, need string, buffers ...string) []RunRef {
	var runs []RunRef
	for _, b := range buffers {
		n := lab()
		n.Point = []Axis{{"buffer", b}, {"mode", "full"}}
		for seed := range uint64(3) {
			e := expectation(t, expr, n)
			e.Over, e.Need = over, need
			runs = append(runs, RunRef{Pairing: "mm", Point: n.Point, Seed: seed, Impair: "virtual", Expect: []Expectation{e}})
		}
	}
	return runs
}

func TestOver(t *testing.T) {
	values := table{}
	for i, g := range []float64{1, 9, 2, 5, 6, 7} { // 50KB: 1 9 2, 100KB: 5 6 7
		values[fmt.Sprintf("%d flow.get.goodput", i)] = Num(g * 1e6)
	}
	for _, c := range []struct {
		over string
		want []string // measured by verdict
	}{
		{"each", []string{"1mbit", "9mbit", "2mbit", "5mbit", "6mbit", "7mbit"}},
		{"median", []string{"2mbit", "6mbit"}},
		{"mean", []string{"4mbit", "6mbit"}},
		{"min", []string{"1mbit", "5mbit"}},
		{"max", []string{"9mbit", "7mbit"}},
	} {
		var got []string
		verdicts := Judge(sweep(t, "flow.get.goodput > 0mbit", c.over, "all", "50KB", "100KB"), values)
		for _, v := range verdicts {
			got = append(got, v.Measured)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("over %s: %v, want %v", c.over, got, c.want)
		}
		if c.over != "each" && !slices.Equal(verdicts[1].Runs, []int{3, 4, 5}) {
			t.Errorf("over %s: runs %v", c.over, verdicts[1].Runs)
		}
	}
	// The reference of a selector is reduced, too: median 6 against median 2.
	v := Judge(sweep(t, "flow.get.goodput == 3 * flow.get.goodput(buffer=prev)", "median", "all", "50KB", "100KB"), values)
	if len(v) != 2 || v[0].Pass || !strings.Contains(v[0].Wanted, "is the first, nothing is before it") || !v[1].Pass {
		t.Errorf("%+v", v)
	}
}

func TestNeedAny(t *testing.T) {
	values := table{}
	for i, g := range []float64{1, 9, 2, 5, 6, 7} {
		values[fmt.Sprintf("%d flow.get.goodput", i)] = Num(g * 1e6)
	}
	for _, c := range []struct {
		expr, over string
		pass       bool
		measured   string
	}{
		{"flow.get.goodput > 8mbit", "each", true, "9mbit"},
		{"flow.get.goodput > 8mbit", "median", false, "none of 2; the first: 2mbit"},
		{"flow.get.goodput > 5mbit", "median", true, "6mbit"},
	} {
		v := Judge(sweep(t, c.expr, c.over, "any", "50KB", "100KB"), values)
		if len(v) != 1 || v[0].Pass != c.pass || v[0].Measured != c.measured || len(v[0].Runs) != 6 {
			t.Errorf("%s over %s: %+v", c.expr, c.over, v)
		}
	}
}

// Expectations for one driver are judged in runs of that driver only.
func TestImpair(t *testing.T) {
	e := expectation(t, "flow.get.bytes > 1MB", lab())
	e.Impair = []string{"netem"}
	run := RunRef{Pairing: "mm", Point: lab().Point, Impair: "relay", Expect: []Expectation{e}}
	if v := Judge([]RunRef{run}, table{}); len(v) != 0 {
		t.Errorf("judged on the relay: %+v", v)
	}
	run.Impair = "netem"
	if v := Judge([]RunRef{run}, table{}); len(v) != 1 || v[0].Pass {
		t.Errorf("not judged on netem: %+v", v)
	}
}

// What is unsaid comes first, then the order of the file, run by run.
func TestOrder(t *testing.T) {
	var runs []RunRef
	for range 2 {
		var list []Expectation
		for _, id := range []int{1, 0, -2, -1} {
			e := expectation(t, "flow.get.bytes > 1MB", lab())
			e.ID = id
			list = append(list, e)
		}
		runs = append(runs, RunRef{Pairing: "mm", Point: lab().Point, Seed: uint64(len(runs)), Expect: list})
	}
	var got []int
	for _, v := range Judge(runs, table{}) {
		got = append(got, v.Runs[0]*100+v.ID)
	}
	if want := []int{-1, -2, 0, 1, 99, 98, 100, 101}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
