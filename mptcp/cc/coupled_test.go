package cc

import (
	"math"
	"math/rand"
	"testing"
	"time"
)

// TestLIAIncrease holds the increase against RFC 6356, formula 1, by hand.
func TestLIAIncrease(t *testing.T) {
	type path struct {
		cwnd int
		rtt  time.Duration
	}
	for _, c := range []struct {
		name  string
		paths []path
		want  []float64 // segments acknowledged for one of growth
	}{
		{"one path is Reno", []path{{10, 100 * ms}}, []float64{10}},
		// alpha = 20 * (10/r^2) / (20/r)^2 = 1/2; alpha/cwnd_total = 1/40.
		{"two equal paths", []path{{10, 100 * ms}, {10, 100 * ms}}, []float64{40, 40}},
		// alpha = 40 * 10/r^2 / (40/r)^2 = 1/4; alpha/cwnd_total = 1/160.
		{"four equal paths", []path{{10, 20 * ms}, {10, 20 * ms}, {10, 20 * ms}, {10, 20 * ms}}, []float64{160, 160, 160, 160}},
		// max = 30/r^2, sum = 40/r: alpha/cwnd_total = 30/1600.
		{"unequal windows", []path{{10, 50 * ms}, {30, 50 * ms}}, []float64{1600.0 / 30, 1600.0 / 30}},
		// max = 10/0.01^2 = 1e5, sum = 1000+100: 1.21e6/1e5 = 12.1.
		{"unequal RTTs", []path{{10, 10 * ms}, {10, 100 * ms}}, []float64{12.1, 12.1}},
		// sum = 1000+300: 16.9, but no more aggressive than TCP on path 2.
		{"bounded by TCP", []path{{10, 10 * ms}, {30, 100 * ms}}, []float64{16.9, 30}},
	} {
		fam := &coupledFamily{rule: lia{}}
		for _, p := range c.paths {
			fam.New(flow(p.cwnd, p.rtt), 0)
		}
		for i, m := range fam.members {
			if got := 1 / fam.rule.increase(m); math.Abs(got-c.want[i]) > 0.01 {
				t.Errorf("%s: path %d: %v, want %v", c.name, i, got, c.want[i])
			}
		}
	}
}

// TestLIAMembers: paths that are not up or have no RTT do not count, one in
// recovery counts with ssthresh, and one that is dropped is gone.
func TestLIAMembers(t *testing.T) {
	fam := &coupledFamily{rule: lia{}}
	a, b := flow(10, 100*ms), flow(10, 100*ms)
	fam.New(a, 0)
	cb := fam.New(b, 0)
	per := func() float64 { return math.Round(1e9/fam.rule.increase(fam.members[0])) / 1e9 }
	if per() != 40 {
		t.Errorf("both: %v", per())
	}
	b.Established = false
	if per() != 10 {
		t.Errorf("the other is not up: %v", per())
	}
	b.Established, b.SRTT = true, 0
	if per() != 10 {
		t.Errorf("the other has no RTT: %v", per())
	}
	b.SRTT = 100 * ms
	b.Cwnd = 20
	b.SSThresh, b.State = cb.SSThresh(b), Recovery
	if per() != 40 {
		t.Errorf("the other is in recovery, ssthresh 10: %v", per())
	}
	fam.Drop(cb)
	if per() != 10 || len(fam.members) != 1 {
		t.Errorf("the other is dropped: %v", per())
	}
	a.SRTT = 0
	if per() != 10 {
		t.Errorf("no RTT at all: %v", per())
	}
}

// lossy runs flows in rounds of one RTT with random loss and returns the mean
// windows. A round with a loss halves the window.
func lossy(t *testing.T, name string, loss []float64) []float64 {
	fam, _ := Lookup(name)
	rnd := rand.New(rand.NewSource(7))
	var flows []*Flow
	var ctrl []Controller
	for range loss {
		f := flow(20, 100*ms)
		flows, ctrl = append(flows, f), append(ctrl, fam.New(f, 0))
	}
	mean := make([]float64, len(loss))
	const rounds = 15000
	for range rounds {
		for i, f := range flows {
			mean[i] += float64(f.Cwnd) / rounds
			w, lost := f.Cwnd, false
			for range w {
				if rnd.Float64() < loss[i] {
					lost = true
				} else {
					ack(ctrl[i], f, 0, 1)
				}
			}
			if lost {
				f.SSThresh = ctrl[i].SSThresh(f)
				f.Cwnd = f.SSThresh
			}
		}
	}
	return mean
}

// TestLIAFixedPoint holds long runs against the model: total rate sqrt(2/p) of
// the best path, split in proportion to 1/p (equal RTTs), and Reno sqrt(2/p) on
// each path. The model knows no whole segments and no lower bound of two, so small
// windows differ from it.
func TestLIAFixedPoint(t *testing.T) {
	for _, c := range []struct {
		name string
		cc   string
		loss []float64
		want []float64
	}{
		{"reno", "reno", []float64{0.0005, 0.002}, []float64{63.2, 31.6}},
		{"lia alone", "lia", []float64{0.0005}, []float64{63.2}},
		{"lia equal loss", "lia", []float64{0.0005, 0.0005}, []float64{31.6, 31.6}},
		{"lia unequal loss", "lia", []float64{0.0005, 0.001}, []float64{42.2, 21.1}},
	} {
		got := lossy(t, c.cc, c.loss)
		var sum, model float64
		for i := range got {
			sum += got[i]
			model += c.want[i]
		}
		if r := sum / model; r < 0.85 || r > 1.15 {
			t.Errorf("%s: total window %.1f, model %.1f", c.name, sum, model)
		}
		for i := range got {
			if d := got[i]/sum - c.want[i]/model; math.Abs(d) > 0.06 {
				t.Errorf("%s: share of path %d %.2f, model %.2f", c.name, i, got[i]/sum, c.want[i]/model)
			}
		}
		t.Logf("%s: %.1f, model %.1f", c.name, got, c.want)
	}
}

// TestRules holds the increase of each rule, in segments acknowledged for one of
// growth, against its formula by hand.
func TestRules(t *testing.T) {
	type path struct {
		cwnd  int
		rtt   time.Duration
		bytes float64 // since the last loss
	}
	even := []path{{10, 100 * ms, 1e6}, {10, 100 * ms, 1e6}}
	for _, c := range []struct {
		name  string
		rule  rule
		paths []path
		want  []float64
	}{
		{"EWTCP: two", ewtcp{}, even, []float64{40, 40}},
		{"EWTCP knows no windows", ewtcp{}, []path{{10, 100 * ms, 0}, {50, 10 * ms, 0}, {20, ms, 0}}, []float64{90, 450, 180}},
		{"COUPLED: all windows", fullyCoupled{}, []path{{10, 100 * ms, 0}, {50, 10 * ms, 0}}, []float64{60, 60}},
		// (10/r^2) / (20/r)^2 = 1/40; no best path is narrow.
		{"OLIA: even", olia{}, even, []float64{40, 40}},
		// Windows 10 and 30: 10/1600 and 30/1600. Path 1 is better: alpha 1/2 and -1/2.
		{"OLIA: the narrow one is better", olia{}, []path{{10, 50 * ms, 2e6}, {30, 50 * ms, 1e6}},
			[]float64{1 / (10.0/1600 + 0.5/10), 1 / (30.0/1600 - 0.5/30)}},
		{"OLIA: the wide one is best", olia{}, []path{{10, 50 * ms, 1e6}, {30, 50 * ms, 2e6}}, []float64{160, 1600.0 / 30}},
		// Three paths, one wide, two equally good narrow ones: +1/6, +1/6, -1/3.
		// Windows 20, 20, 40: x/r over the square of 80/r.
		{"OLIA: two narrow ones are better", olia{}, []path{{20, 50 * ms, 2e6}, {20, 50 * ms, 2e6}, {40, 50 * ms, 1e6}},
			[]float64{1 / (20.0/6400 + 1.0/6/20), 1 / (20.0/6400 + 1.0/6/20), 1 / (40.0/6400 - 1.0/3/40)}},
		{"BALIA: one path is Reno", balia{}, []path{{10, 100 * ms, 0}}, []float64{10}},
		{"BALIA: even", balia{}, even, []float64{40, 40}},
		// x = 200, 600: a = 3, 1. (10/r^2)/(40/r)^2 * 2 * 7/5 = 10/1600 * 2.8; 30/1600.
		{"BALIA: uneven", balia{}, []path{{10, 50 * ms, 0}, {30, 50 * ms, 0}}, []float64{1600 / 28.0, 1600 / 30.0}},
	} {
		fam := &coupledFamily{rule: c.rule}
		for i, p := range c.paths {
			fam.New(flow(p.cwnd, p.rtt), 0)
			fam.members[i].sinceLoss = p.bytes
		}
		for i, m := range fam.members {
			if got := 1 / c.rule.increase(m); math.Abs(got-c.want[i]) > 0.01 {
				t.Errorf("%s: path %d: %v, want %v", c.name, i, got, c.want[i])
			}
		}
	}
}

// TestRuleWithoutRTT: a subflow that does not count grows as Reno.
func TestRuleWithoutRTT(t *testing.T) {
	for _, r := range []rule{lia{}, olia{}, balia{}, ewtcp{}, fullyCoupled{}} {
		fam := &coupledFamily{rule: r}
		fam.New(flow(10, 0), 0)
		if m := fam.members[0]; r.increase(m) != 0.1 || r.decrease(m) != 5 {
			t.Errorf("%T: increase %v, ssthresh %d", r, r.increase(m), r.decrease(m))
		}
	}
}

// TestOLIAQuality: l is the larger of the bytes since the last loss and between the
// last two, and paths rank by l/rtt^2, where l^2/rtt would choose the other one.
func TestOLIAQuality(t *testing.T) {
	fam := &coupledFamily{rule: olia{}}
	near, far := flow(10, 20*ms), flow(20, 100*ms)
	cn, cf := fam.New(near, 0), fam.New(far, 0)
	ack(cn, near, 0, 100)
	ack(cf, far, 0, 200)
	n, f := fam.members[0], fam.members[1]
	if n.sinceLoss != 100*1448 || f.sinceLoss != 200*1448 {
		t.Fatalf("%v, %v bytes", n.sinceLoss, f.sinceLoss)
	}
	square := func(c *coupled) float64 { return c.sinceLoss * c.sinceLoss / c.rtt() }
	far.SRTT = 70 * ms
	if n.quality() <= f.quality() || square(n) >= square(f) {
		t.Errorf("l/rtt^2 %v, %v, l^2/rtt %v, %v", n.quality(), f.quality(), square(n), square(f))
	}
	before := n.quality()
	near.SSThresh = cn.SSThresh(near)
	if n.quality() != before || n.sinceLoss != 0 {
		t.Errorf("quality %v after a loss, %v before", n.quality(), before)
	}
	ack(cn, near, 0, 50)
	near.SSThresh = cn.SSThresh(near)
	if n.betweenLosses != 50*1448 {
		t.Errorf("%v bytes between the last two losses", n.betweenLosses)
	}
}

// TestOLIAShrinks: the widest path gives way, to one segment at least.
func TestOLIAShrinks(t *testing.T) {
	fam := &coupledFamily{rule: olia{}}
	narrow, wide := flow(2, 100*ms), flow(3, 100*ms)
	fam.New(narrow, 0)
	c := fam.New(wide, 0)
	fam.members[0].sinceLoss = 1e9
	for range 20 { // 3/25 - 1/6 = -1/21 of a segment each
		ack(c, wide, 0, 1)
	}
	if wide.Cwnd != 3 {
		t.Errorf("cwnd %d too early", wide.Cwnd)
	}
	for range 4 {
		ack(c, wide, 0, 1)
	}
	if wide.Cwnd != 2 {
		t.Errorf("cwnd %d, want 2", wide.Cwnd)
	}
}

// TestBALIADecrease: w/2 * min(a, 1.5), a = max(x)/x.
func TestBALIADecrease(t *testing.T) {
	for _, c := range []struct{ cwnd, other, want int }{
		{40, 10, 20}, {40, 40, 20}, {40, 48, 16}, {40, 60, 10}, {40, 400, 10}, {2, 400, 2},
	} {
		fam := &coupledFamily{rule: balia{}}
		fam.New(flow(c.cwnd, 100*ms), 0)
		fam.New(flow(c.other, 100*ms), 0)
		if got := fam.rule.decrease(fam.members[0]); got != c.want {
			t.Errorf("window %d beside %d: ssthresh %d, want %d", c.cwnd, c.other, got, c.want)
		}
	}
}

// TestCoupledDecrease: half of all windows, and one segment stays.
func TestCoupledDecrease(t *testing.T) {
	fam := &coupledFamily{rule: fullyCoupled{}}
	fam.New(flow(40, 100*ms), 0)
	fam.New(flow(20, 100*ms), 0)
	if a, b := fam.rule.decrease(fam.members[0]), fam.rule.decrease(fam.members[1]); a != 10 || b != 1 {
		t.Errorf("ssthresh %d and %d, want 10 and 1", a, b)
	}
}

// TestWeightsOfModel: with the same loss on two paths EWTCP takes half a TCP on
// each; COUPLED moves away from the path with more loss.
func TestWeightsOfModel(t *testing.T) {
	alone := lossy(t, "reno", []float64{0.0005})[0]
	each := lossy(t, "ewtcp", []float64{0.0005, 0.0005})
	for i, w := range each {
		if r := w / alone; r < 0.42 || r > 0.58 {
			t.Errorf("EWTCP path %d: %.2f of a TCP, want 0.5", i, r)
		}
	}
	for _, name := range []string{"coupled", "olia"} {
		w := lossy(t, name, []float64{0.0005, 0.002})
		if share := w[1] / (w[0] + w[1]); share > 0.2 {
			t.Errorf("%s: %.2f of the window on the path with four times the loss", name, share)
		}
	}
	if w := lossy(t, "balia", []float64{0.0005, 0.002}); w[1]/(w[0]+w[1]) > 0.4 {
		t.Errorf("balia: %v", w)
	}
}
