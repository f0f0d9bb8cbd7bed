package cc

import (
	"slices"

	"mptcplab/mptcp/clock"
)

// liaFamily couples the windows of one connection by the Linked Increases
// Algorithm (RFC 6356).
type liaFamily struct{ members []*lia }

func (fam *liaFamily) New(f *Flow, _ clock.Instant) Controller {
	c := &lia{family: fam, flow: f}
	fam.members = append(fam.members, c)
	return c
}

func (fam *liaFamily) Drop(c Controller) {
	fam.members = slices.DeleteFunc(fam.members, func(m *lia) bool { return Controller(m) == c })
}

// lia is the controller of one subflow. Slow start and decrease are Reno's: "The
// algorithm we present only applies to the increase phase of the congestion
// avoidance state" (section 3).
type lia struct {
	window
	family *liaFamily
	flow   *Flow
}

// liaScale is the precision of the increase: 1/1024 segment.
const liaScale = 1024

// OnAck grows cwnd by what the coupling allows.
func (c *lia) OnAck(f *Flow, s *Sample) {
	if !mayGrow(f, s) {
		return
	}
	if acked := slowStart(f, s.Acked); acked > 0 {
		c.avoid(f, c.family.per(f), acked*liaScale)
	}
}

// per returns how many segments, in 1/1024, must be acknowledged on f for one
// segment of growth: the inverse of
//
// "min ( alpha * bytes_acked * MSS_i / cwnd_total, bytes_acked * MSS_i / cwnd_i )"
// with "alpha = cwnd_total * MAX (cwnd_i/rtt_i^2) / (SUM (cwnd_i/rtt_i))^2"
// (https://www.rfc-editor.org/rfc/rfc6356#section-3), in which cwnd_total cancels
// out.
func (fam *liaFamily) per(f *Flow) int {
	alone := f.Cwnd * liaScale
	var best, sum float64
	for _, m := range fam.members {
		w, rtt := m.bytes(), m.flow.SRTT.Seconds()
		if w == 0 || rtt <= 0 {
			continue
		}
		rate := w / rtt
		sum += rate
		best = max(best, rate/rtt)
	}
	if best == 0 {
		return alone
	}
	increase := float64(f.MSS) * best / float64(sum*sum) // segments per segment
	return max(alone, int(liaScale/increase+0.5))
}

// bytes returns the window of a subflow that counts.
//
// "The correct behavior is to use the ssthresh (slow start threshold) value for
// flows in fast retransmit" (section 3).
func (c *lia) bytes() float64 {
	f := c.flow
	if !f.Established {
		return 0
	}
	w := f.Cwnd
	if f.State == Recovery || f.State == CWR {
		w = min(f.SSThresh, max(w, c.priorCwnd))
	}
	return float64(w) * float64(f.MSS)
}

// SSThresh is Reno's: "the multiplicative decrease of the congestion avoidance
// state [is] the same as in standard TCP" (section 3).
func (c *lia) SSThresh(f *Flow) int {
	c.reduce(f)
	return max(f.Cwnd/2, 2)
}

func (c *lia) Undo(f *Flow) { c.restore(f) }

// Event does nothing: what TCP does by itself is all.
func (c *lia) Event(*Flow, clock.Instant, Event) {}
