package cc

import (
	"math"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

const ms = time.Millisecond

// lossBased are the controllers that leave recovery to PRR and are clocked by ACKs.
var lossBased = []string{"reno", "cubic", "lia", "olia", "balia", "ewtcp", "coupled", "wvegas"}

func newController(t *testing.T, name string, f *Flow) Controller {
	t.Helper()
	fam, ok := Lookup(name)
	if !ok {
		t.Fatalf("no controller %q", name)
	}
	return fam.New(f, 0)
}

// flow returns a flow in congestion avoidance.
func flow(cwnd int, rtt time.Duration) *Flow {
	return &Flow{Cwnd: cwnd, SSThresh: cwnd, MSS: 1448, SRTT: rtt, MinRTT: rtt, Established: true}
}

// ack tells c of n segments, and that cwnd was the limit.
func ack(c Controller, f *Flow, now clock.Instant, n int) {
	c.OnAck(f, &Sample{Now: now, Acked: n, InFlight: f.Cwnd, CwndLimited: true, RTT: f.SRTT})
}

// round acknowledges a window, one segment each ACK, in the RTT from now on.
func round(c Controller, f *Flow, now clock.Instant) clock.Instant {
	w := f.Cwnd
	for i := range w {
		ack(c, f, now.Add(f.SRTT*time.Duration(i)/time.Duration(w)), 1)
	}
	return now.Add(f.SRTT)
}

func TestLookup(t *testing.T) {
	for _, name := range lossBased {
		fam, ok := Lookup(name)
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		c := fam.New(flow(10, 100*ms), 0)
		if c.Owns() || c.Pacing(flow(10, 100*ms)) != 0 {
			t.Errorf("%s owns recovery or paces", name)
		}
		fam.Drop(c)
	}
	fam, _ := Lookup("bbr")
	if c := fam.New(flow(10, 100*ms), 0); !c.Owns() || c.Pacing(flow(10, 100*ms)) == 0 {
		t.Error("bbr does not own recovery or does not pace")
	}
	if _, ok := Lookup("vegas-of-mars"); ok {
		t.Error("found what does not exist")
	}
}

// TestSlowStart: all controllers double the window each RTT, also with ACKs for
// several segments, and end exactly at ssthresh.
func TestSlowStart(t *testing.T) {
	for _, name := range lossBased {
		for _, stretch := range []int{1, 2, 5} {
			f := flow(10, 100*ms)
			f.SSThresh = 100
			c := newController(t, name, f)
			for _, want := range []int{20, 40, 80} {
				for n := f.Cwnd; n > 0; n -= stretch {
					ack(c, f, 0, stretch)
				}
				if f.Cwnd != want {
					t.Errorf("%s, ACKs for %d: cwnd %d, want %d", name, stretch, f.Cwnd, want)
				}
			}
			for n := 20; n > 0; n -= stretch {
				ack(c, f, 0, stretch)
			}
			if f.Cwnd != 100 || f.InSlowStart() {
				t.Errorf("%s, ACKs for %d: cwnd %d at the end of slow start", name, stretch, f.Cwnd)
			}
		}
	}
}

func TestNotLimitedNoGrowth(t *testing.T) {
	for _, name := range lossBased {
		f := flow(10, 100*ms)
		c := newController(t, name, f)
		for range 100 {
			c.OnAck(f, &Sample{Acked: 1, InFlight: 4})
		}
		if f.Cwnd != 10 {
			t.Errorf("%s: cwnd %d without use", name, f.Cwnd)
		}
		f.SSThresh = 100
		c.OnAck(f, &Sample{Acked: 1, InFlight: 5})
		if f.Cwnd != 10 {
			t.Errorf("%s: slow start with half the window idle", name)
		}
		c.OnAck(f, &Sample{Acked: 1, InFlight: 6})
		if f.Cwnd != 11 {
			t.Errorf("%s: no slow start with more than half the window in flight", name)
		}
	}
}

func TestRenoAvoidance(t *testing.T) {
	for _, stretch := range []int{1, 2, 3} {
		f := flow(10, 100*ms)
		c := newController(t, "reno", f)
		// To come from 10 to 20 takes 10+11+...+19 = 145 segments.
		for n := 0; n+stretch <= 144; n += stretch {
			ack(c, f, 0, stretch)
		}
		if f.Cwnd != 19 {
			t.Errorf("ACKs for %d: cwnd %d after 144 segments, want 19", stretch, f.Cwnd)
		}
		ack(c, f, 0, stretch)
		if f.Cwnd != 20 {
			t.Errorf("ACKs for %d: cwnd %d, want 20", stretch, f.Cwnd)
		}
	}
}

func TestSSThresh(t *testing.T) {
	for _, c := range []struct {
		name       string
		cwnd, want int
	}{
		{"reno", 100, 50}, {"reno", 11, 5}, {"reno", 3, 2}, {"reno", 1, 2},
		{"lia", 100, 50}, {"lia", 2, 2}, {"olia", 100, 50}, {"ewtcp", 100, 50}, {"balia", 100, 50}, {"wvegas", 100, 50},
		{"coupled", 100, 50}, {"coupled", 3, 1}, {"coupled", 1, 1},
		{"cubic", 100, 70}, {"cubic", 10, 7}, {"cubic", 2, 2}, // 0.7, rounded down
	} {
		f := flow(c.cwnd, 100*ms)
		if got := newController(t, c.name, f).SSThresh(f); got != c.want {
			t.Errorf("%s: ssthresh %d of %d, want %d", c.name, got, c.cwnd, c.want)
		}
	}
}

func TestUndo(t *testing.T) {
	for _, name := range lossBased {
		f := flow(100, 100*ms)
		f.SSThresh = 80
		c := newController(t, name, f)
		c.Undo(f)
		if f.Cwnd != 100 || f.SSThresh != 80 {
			t.Errorf("%s: an undo of nothing", name)
		}
		f.SSThresh = c.SSThresh(f)
		f.Cwnd = 1
		c.Event(f, 0, RTO)
		c.Undo(f)
		if f.Cwnd != 100 || f.SSThresh != 80 {
			t.Errorf("%s: undone to cwnd %d, ssthresh %d", name, f.Cwnd, f.SSThresh)
		}
		f.Cwnd = 50
		c.Undo(f)
		if f.Cwnd != 50 {
			t.Errorf("%s: undone twice", name)
		}
	}
}

func TestCubeRoot(t *testing.T) {
	for _, c := range []struct{ x, want uint64 }{{0, 0}, {1, 1}, {7, 1}, {8, 2}, {26, 2}, {27, 3}, {1e18, 1e6}, {1e18 - 1, 999999}, {math.MaxUint64, 2097151}} {
		if got := cubeRoot(c.x); got != c.want {
			t.Errorf("cubeRoot(%d) = %d, want %d", c.x, got, c.want)
		}
	}
}

func TestCubicDelta(t *testing.T) {
	for _, s := range []float64{0, 0.5, 1, 4.2, 10, 100, 299} {
		want := 410.0 / 1024 * s * s * s
		if got := cubicDelta(int64(s * 1024)); math.Abs(float64(got)-want) > 1+want/500 {
			t.Errorf("C * %v^3 = %d, want %v", s, got, want)
		}
		if cubicDelta(-int64(s*1024)) != -cubicDelta(int64(s*1024)) {
			t.Errorf("the function is not odd at %v", s)
		}
	}
}

// TestCubicFunction follows the window after a loss at 100 segments, RTT 100 ms:
// cwnd 70, K = cubic_root(30/0.4) = 4.217 s, W(t) = 0.4 (t-K)^3 + 100. Reno with
// the same decrease would have 70 + 0.53 t/RTT up to 100 and go on with t/RTT: where
// that is less CUBIC rules.
func TestCubicFunction(t *testing.T) {
	f := flow(100, 100*ms)
	c := newController(t, "cubic", f)
	f.SSThresh = c.SSThresh(f)
	f.Cwnd = f.SSThresh
	const c04, k = 410.0 / 1024, 4.2157
	now := clock.Instant(0)
	for now < clock.Instant(11*time.Second) {
		now = round(c, f, now)
		want := c04*math.Pow(now.Seconds()-k, 3) + 100
		reno := 70 + 9.0/17*now.Seconds()/0.1
		if beyond := (reno - 100) * 17 / 9; beyond > 0 {
			reno = 100 + beyond
		}
		if want > reno+2 && math.Abs(float64(f.Cwnd)-want) > 2+want/50 {
			t.Fatalf("cwnd %d at %.1f s, want %.1f", f.Cwnd, now.Seconds(), want)
		}
	}
	if f.Cwnd < 200 { // W(11) = 225
		t.Errorf("cwnd %d at the end", f.Cwnd)
	}
}

// TestCubicFriendly: with 10 ms and a small window Reno is faster, so the window
// grows by 8/15 segments an RTT up to where it was at the loss, then by one.
func TestCubicFriendly(t *testing.T) {
	f := flow(80, 10*ms)
	c := newController(t, "cubic", f)
	f.SSThresh = c.SSThresh(f)
	f.Cwnd = f.SSThresh // 56
	now := clock.Instant(0)
	for range 40 {
		now = round(c, f, now)
	}
	if want := 56 + 40*8/15; f.Cwnd < want-3 || f.Cwnd > want+3 {
		t.Errorf("cwnd %d after 40 RTTs, want %d", f.Cwnd, want)
	}
	for range 45 - 40 + 50 { // 24 take 45 RTTs
		now = round(c, f, now)
	}
	if want := 80 + 50; f.Cwnd < want-3 || f.Cwnd > want+3 {
		t.Errorf("cwnd %d after 95 RTTs, want %d", f.Cwnd, want)
	}
}

// TestCubicFastConvergence: a loss below the last W_max lowers W_max to 0.85 of
// the window.
func TestCubicFastConvergence(t *testing.T) {
	f := flow(100, 100*ms)
	c := newController(t, "cubic", f).(*cubic)
	c.SSThresh(f)
	f.Cwnd = 80
	c.SSThresh(f)
	if c.lastMax != 68 { // 80 * 1.7/2
		t.Errorf("W_max %d, want 68", c.lastMax)
	}
	f.Cwnd = 90
	c.SSThresh(f)
	if c.lastMax != 90 {
		t.Errorf("W_max %d, want 90", c.lastMax)
	}
	c.Event(f, 0, RTO)
	if c.lastMax != 0 {
		t.Error("a timeout leaves W_max")
	}
}

// TestCubicIdle: an idle time does not count.
func TestCubicIdle(t *testing.T) {
	run := func(idle time.Duration) int {
		f := flow(100, 100*ms)
		c := newController(t, "cubic", f)
		f.SSThresh = c.SSThresh(f)
		f.Cwnd = f.SSThresh
		now := clock.Instant(0)
		for i := range 40 {
			if i == 20 && idle > 0 {
				f.LastSent = now
				now = now.Add(idle)
				c.Event(f, now, Transmit)
			}
			now = round(c, f, now)
		}
		return f.Cwnd
	}
	if a, b := run(0), run(time.Minute); b > a || b < a-2 {
		t.Errorf("cwnd %d with an idle minute, %d without", b, a)
	}
}

// TestCubicGrowthBound: at most 1.5 times in one RTT, however late.
func TestCubicGrowthBound(t *testing.T) {
	f := flow(10, 100*ms)
	c := newController(t, "cubic", f)
	f.SSThresh = c.SSThresh(f)
	f.Cwnd = f.SSThresh
	now := round(c, f, 0)
	now = now.Add(10 * time.Minute)
	before := f.Cwnd
	round(c, f, now)
	if f.Cwnd > before+before/2+1 || f.Cwnd <= before {
		t.Errorf("from %d to %d in one RTT", before, f.Cwnd)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, name := range lossBased {
		f := flow(10, 100*ms)
		c := newController(t, name, f)
		s := Sample{Acked: 1, CwndLimited: true}
		if n := testing.AllocsPerRun(100, func() { s.Now += 1e6; c.OnAck(f, &s) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
