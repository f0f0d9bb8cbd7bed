package cc

import (
	"slices"

	"mptcplab/mptcp/clock"
)

// A rule is what distinguishes the loss-based coupled algorithms: how a window
// grows in congestion avoidance and what a loss leaves of it. Slow start is
// Reno's in all of them.
type rule interface {
	// increase returns by how many segments c's window grows for each segment
	// acknowledged on it; less than 0: it shrinks.
	increase(c *coupled) float64
	// decrease returns ssthresh in segments after a loss on c.
	decrease(c *coupled) int
}

// coupledFamily couples the windows of one connection by a rule.
type coupledFamily struct {
	rule    rule
	members []*coupled
}

func (fam *coupledFamily) New(f *Flow, _ clock.Instant) Controller {
	c := &coupled{family: fam, flow: f}
	fam.members = append(fam.members, c)
	return c
}

func (fam *coupledFamily) Drop(c Controller) {
	fam.members = slices.DeleteFunc(fam.members, func(m *coupled) bool { return Controller(m) == c })
}

// coupled is the controller of one subflow.
type coupled struct {
	window
	family *coupledFamily
	flow   *Flow
	growth int64 // of the window, in 1/growthUnit segment, less than a segment
	// Bytes acknowledged since the last loss and between the last two (OLIA).
	sinceLoss, betweenLosses float64
}

// growthUnit is the precision in which growth adds up.
const growthUnit = 1 << 30

// OnAck grows cwnd: slow start, then what the coupling allows.
func (c *coupled) OnAck(f *Flow, s *Sample) {
	c.sinceLoss += float64(s.Acked * f.MSS)
	if !mayGrow(f, s) {
		return
	}
	if acked := slowStart(f, s.Acked); acked > 0 {
		c.grow(f, acked)
	}
}

// grow moves cwnd for acked segments.
func (c *coupled) grow(f *Flow, acked int) {
	step := int64(c.family.rule.increase(c) * growthUnit)
	if step >= 0 {
		step++ // so that n times 1/n is a whole
	}
	c.growth += step * int64(acked)
	for ; c.growth >= growthUnit; c.growth -= growthUnit {
		f.Cwnd++
	}
	for ; c.growth <= -growthUnit; c.growth += growthUnit {
		f.Cwnd = max(f.Cwnd-1, 1)
		f.SSThresh = min(f.SSThresh, f.Cwnd) // slow start must not undo it
	}
}

// SSThresh asks the rule.
func (c *coupled) SSThresh(f *Flow) int {
	w := c.family.rule.decrease(c)
	c.reduce(f)
	c.growth = 0
	c.betweenLosses, c.sinceLoss = c.sinceLoss, 0
	return w
}

func (c *coupled) Undo(f *Flow) { c.restore(f) }

// Event does nothing: what TCP does by itself is all.
func (c *coupled) Event(*Flow, clock.Instant, Event) {}

// bytes returns the window of a subflow that counts.
//
// "The correct behavior is to use the ssthresh (slow start threshold) value for
// flows in fast retransmit" (https://www.rfc-editor.org/rfc/rfc6356#section-3).
func (c *coupled) bytes() float64 {
	f := c.flow
	if !f.Established || f.SRTT <= 0 {
		return 0
	}
	w := f.Cwnd
	if f.State == Recovery || f.State == CWR {
		w = min(f.SSThresh, max(w, c.priorCwnd))
	}
	return float64(w) * float64(f.MSS)
}

func (c *coupled) rtt() float64 { return c.flow.SRTT.Seconds() }

// rate returns the bytes in a second that the window stands for; 0: the subflow
// does not count.
func (c *coupled) rate() float64 {
	if w := c.bytes(); w > 0 {
		return w / c.rtt()
	}
	return 0
}

// rates returns the largest rate of the connection's subflows and the sum of all.
func (fam *coupledFamily) rates() (most, sum float64) {
	for _, m := range fam.members {
		x := m.rate()
		sum += x
		most = max(most, x)
	}
	return most, sum
}

// alone is the increase of Reno.
func (c *coupled) alone() float64 { return 1 / float64(c.flow.Cwnd) }

// halving is embedded by rules with the decrease of Reno.
type halving struct{}

func (halving) decrease(c *coupled) int { return max(c.flow.Cwnd/2, 2) }
