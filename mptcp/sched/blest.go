package sched

import (
	"time"

	"mptcplab/mptcp/clock"
)

// blest is BLEST (Ferlin et al., "BLEST: Blocking Estimation-based MPTCP Scheduler
// for Heterogeneous Networks", IFIP Networking 2016): the fast path is used when it
// has room; else a slow one, but not if the fast path would then find the
// connection's window shut.
type blest struct {
	late
	minRTT
	lambda     int // by how much the fast path is expected to exceed the estimate, in 1/1000
	adaptedAt  clock.Instant
	reinjected uint64 // when it was adapted
}

// The bounds and steps of lambda.
const (
	blestLambda = 1200
	blestMin    = 1000
	blestMax    = 1300
	blestUp     = 40
	blestDown   = 10
)

func newBLEST() *blest { return &blest{lambda: blestLambda} }

func (s *blest) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, s); ok {
		return d, true
	}
	d, slow, fast, ok := pair(v, s)
	if !ok || slow == fast {
		return d, ok
	}
	f, p := &v.Paths[fast], &v.Paths[slow]
	s.adapt(v, f.SRTT)
	window := int(v.SndNxt-v.SndUna) + v.Window
	free := window - p.InFlight - p.MSS
	return d, int64(fastBytes(f, p))*int64(s.lambda) <= int64(free)*1000
}

// pair returns the decision for new bytes on the first path that has room, its
// index, and that of the first path whether it has room or not.
func pair(v *View, o order) (d Decision, slow, fast int, ok bool) {
	if v.Queued <= 0 || v.Window <= 0 {
		return d, 0, 0, false
	}
	s, _ := usable(v, all, o)
	slow, ok = pick(v, s, o)
	fast = slow
	for i := range v.paths() {
		if s.Has(i) && o.before(&v.Paths[i], &v.Paths[fast]) {
			fast = i
		}
	}
	return Decision{Paths: Of(slow), From: New}, slow, fast, ok
}

// fastBytes estimates what f sends while a segment is on its way on p, with cwnd
// growing by one each round: MSS (cwnd + (rtts-1)/2) rtts.
func fastBytes(f, p *Path) int {
	rtts := max(int64(p.SRTT)*1000/max(int64(f.SRTT), 1), 1000) // in 1/1000
	cwnd := int64(f.Cwnd/max(f.MSS, 1)) * 1000
	return int(int64(f.MSS) * (cwnd + (rtts-1000)/2) / 1000 * rtts / 1000)
}

// adapt moves lambda, at most once a round of the fast path: up if something had to
// be reinjected since, down if not.
func (s *blest) adapt(v *View, rtt time.Duration) {
	if v.Now.Sub(s.adaptedAt) < rtt {
		return
	}
	if v.Reinjected > s.reinjected {
		s.lambda = min(s.lambda+blestUp, blestMax)
	} else {
		s.lambda = max(s.lambda-blestDown, blestMin)
	}
	s.adaptedAt, s.reinjected = v.Now, v.Reinjected
}
