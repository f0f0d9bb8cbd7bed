package cc

import "mptcplab/mptcp/clock"

// renoFamily makes controllers that know nothing of each other.
type renoFamily struct{}

func (renoFamily) New(*Flow, clock.Instant) Controller { return new(reno) }
func (renoFamily) Drop(Controller)                     {}

// reno is NewReno's window (RFC 5681) as Linux counts it (tcp_cong.c).
type reno struct {
	window
}

// OnAck grows cwnd by what was acknowledged in slow start and by one segment
// for each cwnd segments acknowledged in congestion avoidance. Segments count,
// not ACKs (RFC 3465), so delayed ACKs do not slow it down.
func (c *reno) OnAck(f *Flow, s *Sample) {
	if !mayGrow(f, s) {
		return
	}
	if acked := slowStart(f, s.Acked); acked > 0 {
		c.avoid(f, f.Cwnd, acked)
	}
}

// SSThresh is half the window.
//
// "ssthresh = max (FlightSize / 2, 2*SMSS)"
// (https://www.rfc-editor.org/rfc/rfc5681#section-3.1); Linux takes cwnd, which
// is the same where the sender is held by it.
func (c *reno) SSThresh(f *Flow) int {
	c.reduce(f)
	return max(f.Cwnd/2, 2)
}

func (c *reno) Undo(f *Flow) { c.restore(f) }

// Event does nothing: what TCP does by itself is all.
func (c *reno) Event(*Flow, clock.Instant, Event) {}

// window is what all loss-based controllers keep: the acknowledged segments that
// have not grown cwnd yet, and where things stood before the last reduction.
type window struct {
	credit                   int // segments: snd_cwnd_cnt
	reduced                  bool
	priorCwnd, priorSSThresh int
}

// Owns leaves recovery to PRR.
func (*window) Owns() bool { return false }

// Pacing says that ACKs are the clock.
func (*window) Pacing(*Flow) uint64 { return 0 }

// reduce notes where things stand before a reduction.
func (w *window) reduce(f *Flow) {
	w.credit = 0
	w.reduced = true
	w.priorCwnd, w.priorSSThresh = f.Cwnd, f.SSThresh
}

// restore takes the last reduction back, and reports whether there was one.
func (w *window) restore(f *Flow) bool {
	if !w.reduced {
		return false
	}
	w.reduced = false
	f.Cwnd = max(f.Cwnd, w.priorCwnd)
	f.SSThresh = max(f.SSThresh, w.priorSSThresh)
	return true
}

// avoid grows cwnd by one segment for each per segments acknowledged
// (tcp_cong_avoid_ai).
func (w *window) avoid(f *Flow, per, acked int) {
	if w.credit >= per { // from a time of larger per: apply it gently
		w.credit = 0
		f.Cwnd++
	}
	w.credit += acked
	if w.credit >= per {
		n := w.credit / per
		w.credit -= n * per
		f.Cwnd += n
	}
}

// mayGrow reports whether the sender uses the window that it has (RFC 7661). In
// slow start half of it is enough, or bursts would end it (tcp_is_cwnd_limited).
func mayGrow(f *Flow, s *Sample) bool {
	return s.CwndLimited || f.InSlowStart() && f.Cwnd < 2*s.InFlight
}

// slowStart grows cwnd by acked segments up to ssthresh and returns how many are
// left for congestion avoidance (tcp_slow_start).
func slowStart(f *Flow, acked int) int {
	if !f.InSlowStart() {
		return acked
	}
	n := min(acked, f.SSThresh-f.Cwnd)
	f.Cwnd += n
	return acked - n
}
