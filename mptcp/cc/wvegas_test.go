package cc

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

// vegas is one subflow of wVegas over a path that adds delay with its queue.
type vegas struct {
	c    Controller
	f    *Flow
	base time.Duration
	pipe int // segments the path holds without a queue
	now  clock.Instant
	sent uint64
}

func newVegas(fam Family, cwnd, pipe int, base time.Duration) *vegas {
	v := &vegas{f: flow(cwnd, base), base: base, pipe: pipe}
	v.c = fam.New(v.f, 0)
	return v
}

// round acknowledges a window segment by segment at the RTT that it makes.
func (v *vegas) round() {
	w := v.f.Cwnd
	rtt := max(v.base, v.base*time.Duration(w)/time.Duration(v.pipe))
	prior := v.sent
	for range w {
		v.sent += uint64(v.f.MSS)
		v.now = v.now.Add(rtt / time.Duration(w))
		v.c.OnAck(v.f, &Sample{Now: v.now, Acked: 1, InFlight: w, CwndLimited: true, LastRTT: rtt, Rate: 1, Prior: prior, Delivered: v.sent})
	}
	v.f.SRTT = rtt
}

// TestWVegasAlone: the window grows by one each round until the queueing delay has
// doubled, and is halved then.
func TestWVegasAlone(t *testing.T) {
	fam, _ := Lookup("wvegas")
	v := newVegas(fam, 40, 100, 100*ms)
	most, sum := 0, 0
	for range 200 {
		v.round()
		most = max(most, v.f.Cwnd)
		sum += v.f.Cwnd
	}
	if q := most - v.pipe; q < 1 || q > 3 {
		t.Errorf("%d segments in the queue at most, want 2 or 3", q)
	}
	if mean := sum / 200; mean < 70 || mean > 85 {
		t.Errorf("mean window %d, want about 75", mean)
	}
}

// TestWVegasSlowStart ends when more than one segment queues, which shows a round
// later, at what the path carries.
func TestWVegasSlowStart(t *testing.T) {
	fam, _ := Lookup("wvegas")
	v := newVegas(fam, 10, 100, 100*ms)
	v.f.SSThresh = MaxSSThresh
	for range 6 { // 20, 40, 80, 160, 320
		v.round()
	}
	if v.f.InSlowStart() || v.f.Cwnd > 320*100/160+1 {
		t.Errorf("cwnd %d, ssthresh %d", v.f.Cwnd, v.f.SSThresh)
	}
}

// TestWVegasShares: the queues of two paths share ten segments by rate.
func TestWVegasShares(t *testing.T) {
	fam := new(wvegasFamily)
	for i, p := range []int{90, 30, 60} {
		f := flow(p, 100*ms)
		c := fam.New(f, 0).(*wvegas)
		c.base, c.queue = 90*ms, 8*ms
		c.avoid(f, 2, 100*ms)
		if i == 0 && c.alpha != wvegasTotal {
			t.Errorf("alpha %d alone, want all", c.alpha)
		}
	}
	for i, c := range fam.members {
		want := []int{5, 2, 3}[i] // 90, 30 and 60 of 180
		c.avoid(flow([]int{90, 30, 60}[i], 100*ms), c.alpha, 100*ms)
		if c.alpha != want {
			t.Errorf("path %d: alpha %d, want %d", i, c.alpha, want)
		}
	}
	fam.Drop(fam.members[1])
	if len(fam.members) != 2 {
		t.Error("not dropped")
	}
}

// TestWVegasDrains: a queueing delay of twice the least is answered by half a
// window of what the path carries.
func TestWVegasDrains(t *testing.T) {
	f := flow(100, 100*ms)
	c := newController(t, "wvegas", f).(*wvegas)
	c.base, c.alpha, c.queue = 100*ms, 100, 10*ms
	c.avoid(f, 0, 119*ms)
	if f.Cwnd != 101 {
		t.Errorf("cwnd %d below the limit, want 101", f.Cwnd)
	}
	c.avoid(f, 0, 120*ms)
	if f.Cwnd != 102*100/240 || c.queue != 0 {
		t.Errorf("cwnd %d, want half of what 100 ms hold", f.Cwnd)
	}
}

// TestWVegasLoss: Reno while a loss is repaired; alpha begins anew afterwards.
func TestWVegasLoss(t *testing.T) {
	fam, _ := Lookup("wvegas")
	v := newVegas(fam, 100, 100, 100*ms)
	for range 50 {
		v.round()
	}
	c := v.c.(*wvegas)
	v.f.SSThresh = c.SSThresh(v.f)
	v.f.Cwnd, v.f.State = v.f.SSThresh, Recovery
	c.Event(v.f, v.now, EnterRecovery)
	v.round()
	if !c.off {
		t.Error("on in recovery")
	}
	v.f.State = Open
	v.round()
	if c.off || c.alpha != wvegasAlpha || c.base != 100*ms {
		t.Errorf("after it: off %v, alpha %d, base %v", c.off, c.alpha, c.base)
	}
	c.Event(v.f, v.now, IdleRestart)
	if c.base != 0 {
		t.Error("the base RTT survives an idle time")
	}
}
