package cc

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

// pipeModel is a bottleneck in rounds of one RTT: a rate, a base delay, a queue.
type pipeModel struct {
	c     *bbr
	f     *Flow
	rate  float64 // segments in a base RTT
	base  time.Duration
	now   clock.Instant
	sent  uint64
	extra func(*Sample)
}

func newPipe(rate int, base time.Duration) *pipeModel {
	f := &Flow{Cwnd: 10, SSThresh: MaxSSThresh, MSS: 1000, SRTT: base, MinRTT: base, Established: true}
	return &pipeModel{c: newBBR(f, 0), f: f, rate: float64(rate), base: base}
}

// round sends what pacing and cwnd allow in an RTT and acknowledges it.
func (p *pipeModel) round() {
	perRound := float64(p.c.pacingRate) * p.base.Seconds() / float64(p.f.MSS)
	n := max(int(min(float64(p.f.Cwnd), perRound)), 1)
	took := p.base
	if float64(n) > p.rate { // it queues
		took = time.Duration(float64(p.base) * float64(n) / p.rate)
	}
	prior := p.sent
	for i := range n {
		p.sent += uint64(p.f.MSS)
		p.now = p.now.Add(took / time.Duration(n))
		rtt := p.base + (took-p.base)*time.Duration(i)/time.Duration(n)
		s := Sample{Now: p.now, Acked: 1, Delivered: p.sent, Prior: prior, LastRTT: rtt, InFlight: n, Pipe: n - 1, CwndLimited: true,
			Rate: uint64(float64(n*p.f.MSS) / took.Seconds())}
		if p.extra != nil {
			p.extra(&s)
		}
		p.c.OnAck(p.f, &s)
	}
}

// TestBBRStates: STARTUP until three rounds without growth, DRAIN, PROBE_BW; after
// ten seconds without a lower RTT PROBE_RTT with four segments, and back.
func TestBBRStates(t *testing.T) {
	p := newPipe(100, 40*ms)
	p.f.SRTT = 40 * ms
	var seen []bbrMode
	least := p.f.Cwnd
	for p.now < clock.Instant(12*time.Second) {
		p.round()
		if n := len(seen); n == 0 || seen[n-1] != p.c.mode {
			seen = append(seen, p.c.mode)
		}
		if p.c.mode == bbrProbeRTT {
			least = min(least, p.f.Cwnd)
		}
	}
	want := []bbrMode{bbrStartup, bbrProbeBW, bbrProbeRTT, bbrProbeBW} // DRAIN is over within its round
	if len(seen) == len(want)+1 && seen[1] == bbrDrain {
		seen = append(seen[:1], seen[2:]...)
	}
	for i := range want {
		if i >= len(seen) || seen[i] != want[i] {
			t.Fatalf("modes %v, want %v", seen, want)
		}
	}
	if least != bbrMinCwnd {
		t.Errorf("cwnd %d in PROBE_RTT", least)
	}
	if bw := float64(p.c.bandwidth()) / 2.5e6; bw < 0.98 || bw > 1.02 {
		t.Errorf("bandwidth %.2f of the path's", bw)
	}
	if p.c.minRTT != 40*ms {
		t.Errorf("least RTT %v", p.c.minRTT)
	}
	if want := 2*100 + 3*p.c.chunk(p.f); p.f.Cwnd < want-2 || p.f.Cwnd > want+6 {
		t.Errorf("cwnd %d, want about %d: two products and three chunks", p.f.Cwnd, want)
	}
	if p.f.HoldsBack {
		t.Error("still holds back")
	}
}

// TestBBRGains: the constants are those of the kernel.
func TestBBRGains(t *testing.T) {
	if bbrHighGain != 739 || bbrDrainGain != 88 || bbrFullBw != 320 {
		t.Errorf("gains %d, %d, full %d", bbrHighGain, bbrDrainGain, bbrFullBw)
	}
	sum := 0
	for _, g := range bbrGains {
		sum += g
	}
	if sum != bbrCycleLen*bbrUnit {
		t.Errorf("a cycle gains %d", sum)
	}
}

// TestBBRCycle: each gain for an RTT; the probe until the pipe is fuller or
// overflows, the drain until it is empty.
func TestBBRCycle(t *testing.T) {
	for _, c := range []struct {
		name     string
		gain     int
		after    time.Duration
		inFlight int
		lost     int
		next     bool
	}{
		{"cruise", bbrUnit, 41 * ms, 100, 0, true},
		{"cruise, early", bbrUnit, 40 * ms, 100, 0, false},
		{"probe not felt", bbrGains[0], 41 * ms, 100, 0, false},
		{"probe felt", bbrGains[0], 41 * ms, 140, 0, true},
		{"probe with loss", bbrGains[0], 41 * ms, 100, 1, true},
		{"probe with loss, early", bbrGains[0], 39 * ms, 140, 1, false},
		{"drained", bbrGains[1], 5 * ms, 100, 0, true},
		{"not drained", bbrGains[1], 5 * ms, 130, 0, false},
		{"not drained, late", bbrGains[1], 41 * ms, 130, 0, true},
	} {
		p := newPipe(100, 40*ms)
		b := p.c
		b.mode, b.cycle, b.pacingGain, b.full = bbrProbeBW, 3, c.gain, true
		b.bw.update(10, 1, 2_500_000)
		b.minRTT = 40 * ms
		b.updateCycle(p.f, &Sample{Now: clock.Instant(c.after), InFlight: c.inFlight, Lost: c.lost})
		if (b.cycle == 4) != c.next {
			t.Errorf("%s: phase %d", c.name, b.cycle)
		}
	}
}

// TestBBRNeverBeginsWithDrain: the random phase is any but the one that drains.
func TestBBRNeverBeginsWithDrain(t *testing.T) {
	seen := map[int]bool{}
	for i := range 1000 {
		b := newPipe(100, 40*ms).c
		b.enterProbeBW(clock.Instant(i * 1000))
		seen[b.cycle] = true
	}
	if len(seen) != bbrCycleLen-1 || seen[1] {
		t.Errorf("phases %v", seen)
	}
}

// TestBBRRecovery: packet conservation in the first round of recovery, cwnd as
// before afterwards.
func TestBBRRecovery(t *testing.T) {
	p := newPipe(100, 40*ms)
	for range 40 {
		p.round()
	}
	before := p.f.Cwnd
	if got := p.c.SSThresh(p.f); got != p.f.SSThresh {
		t.Errorf("ssthresh %d", got)
	}
	p.f.State = Recovery
	s := Sample{Now: p.now, Acked: 2, Lost: 3, Pipe: 60, InFlight: 65, Delivered: p.sent, Rate: 2_500_000, Prior: 0}
	p.c.OnAck(p.f, &s)
	if p.f.Cwnd != 62 {
		t.Errorf("cwnd %d on entry, want what is in flight and what arrived", p.f.Cwnd)
	}
	s.Lost, s.Acked, s.Pipe = 0, 1, 58
	p.c.OnAck(p.f, &s)
	if p.f.Cwnd != 62 {
		t.Errorf("cwnd %d in the same round, want 62", p.f.Cwnd)
	}
	s.Pipe = 80
	p.c.OnAck(p.f, &s)
	if p.f.Cwnd != 81 {
		t.Errorf("cwnd %d, want 81", p.f.Cwnd)
	}
	s.Prior = s.Delivered // a round later it grows again
	p.c.OnAck(p.f, &s)
	if p.f.Cwnd != 82 {
		t.Errorf("cwnd %d a round later, want 82", p.f.Cwnd)
	}
	p.f.State = Open
	p.c.OnAck(p.f, &s)
	if p.f.Cwnd < before-2 {
		t.Errorf("cwnd %d after recovery, %d before it", p.f.Cwnd, before)
	}
}

// TestBBRAppLimited: a rate that the application limited does not lower the
// estimate and fills no pipe.
func TestBBRAppLimited(t *testing.T) {
	p := newPipe(100, 40*ms)
	p.extra = func(s *Sample) { s.AppLimited, s.Rate = true, 100_000 }
	for range 20 {
		p.round()
	}
	if p.c.mode != bbrStartup || p.c.full {
		t.Errorf("mode %d, full %v", p.c.mode, p.c.full)
	}
	p.extra = nil
	for range 20 {
		p.round()
	}
	was := p.c.bandwidth()
	p.extra = func(s *Sample) { s.AppLimited, s.Rate = true, s.Rate/10 }
	for range 50 {
		p.round()
	}
	if p.c.bandwidth() != was {
		t.Errorf("bandwidth %d, was %d", p.c.bandwidth(), was)
	}
	p.f.AppLimited = true
	p.c.pacingGain = bbrGains[0]
	p.c.Event(p.f, p.now, Transmit)
	if p.c.pacingRate != pacingFor(was, bbrUnit) {
		t.Errorf("paces %d after an idle time, want the bandwidth", p.c.pacingRate)
	}
}

// TestBBRPolicer: two intervals with much loss and the same rate: that is the rate
// for 48 rounds.
func TestBBRPolicer(t *testing.T) {
	p := newPipe(100, 40*ms)
	for range 40 {
		p.round()
	}
	total := 0
	p.extra = func(s *Sample) {
		s.Rate /= 4
		if s.Delivered/1000%3 == 0 { // a third is lost
			s.Lost = 1
			total++
		}
		s.TotalLost = total
	}
	for i := 0; i < 60 && !p.c.policer.active; i++ {
		p.round()
	}
	if !p.c.policer.active {
		t.Fatal("no policer found")
	}
	if p.c.pacingGain != bbrUnit || p.c.bandwidth() == p.c.bw.best() {
		t.Errorf("gain %d, bandwidth %d", p.c.pacingGain, p.c.bandwidth())
	}
	p.extra = nil
	for range 2 * bbrLTMaxRounds {
		p.round()
	}
	if p.c.policer.active {
		t.Error("the policer is believed in for good")
	}
}

// TestBBRExtraAcked: acknowledgments that come in heaps widen cwnd, by what 100 ms
// deliver at most.
func TestBBRExtraAcked(t *testing.T) {
	p := newPipe(100, 40*ms)
	for range 40 {
		p.round()
	}
	s := Sample{Now: p.now, Acked: 40, Delivered: p.sent + 40_000, Prior: p.sent, Rate: 2_500_000, InFlight: 150, Pipe: 110}
	p.c.extra.restart(p.now)
	p.c.extra.update(p.c, p.f, &s)
	if got := p.c.extraCwnd(p.f); got != 40 {
		t.Errorf("%d segments extra, want 40", got)
	}
	p.c.extra.most[0] = 1000
	if got := p.c.extraCwnd(p.f); got < 245 || got > 255 {
		t.Errorf("%d segments extra, want 250: 100 ms of the bandwidth", got)
	}
	for range bbrExtraRounds * 2 {
		p.c.started = true
		s.Acked = 0
		s.Now = s.Now.Add(40 * ms)
		s.Acked = 1
		p.c.extra.update(p.c, p.f, &s)
	}
	if p.c.extra.most[0] >= 40 && p.c.extra.most[1] >= 40 {
		t.Error("the heap is remembered for good")
	}
}

// TestMaxFilter holds the filter against the plain maximum of its window: never
// above it, and within the window's age.
func TestMaxFilter(t *testing.T) {
	var m maxFilter
	x := uint64(1)
	var all []uint64
	for round := uint32(1); round < 500; round++ {
		x = mix(x)
		all = append(all, x%1000)
		m.update(10, round, x%1000)
		var most uint64
		for _, v := range all[max(len(all)-11, 0):] {
			most = max(most, v)
		}
		if m.best() > most || m.best() < all[len(all)-1] {
			t.Fatalf("round %d: %d, the maximum is %d", round, m.best(), most)
		}
	}
}

func TestMulDiv(t *testing.T) {
	for _, c := range []struct{ a, b, c, want uint64 }{
		{10, 20, 3, 66}, {1 << 63, 4, 8, 1 << 62}, {1 << 63, 1 << 63, 2, 1<<64 - 1}, {0, 5, 7, 0},
	} {
		if got := mulDiv(c.a, c.b, c.c); got != c.want {
			t.Errorf("%d * %d / %d = %d, want %d", c.a, c.b, c.c, got, c.want)
		}
	}
}
