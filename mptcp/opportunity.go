package mptcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/sched"
)

// Opportunistic retransmission (M1) and penalisation (M2) of Raiciu et al., "How
// Hard Can It Be? Designing and Implementing a Deployable Multipath TCP", NSDI
// 2012, 4.2, as in their code, mptcp_rcv_buf_optimization in Linux out of tree: where
// a buffer is full, a faster path carries the segment once more that the connection
// waits for, and the slower paths that carry it already are slowed down.

// held reports whether nothing new can go out although the application has more:
// the next segment does not fit into the peer's window, or all was sent and what the
// application has does not fit into our buffer.
func (c *Conn) held() bool {
	w := &c.send
	if w.nxt == w.end {
		return w.starved
	}
	return c.windowLeft() < min(c.mss(), int(w.end-w.nxt))
}

// opportunity uses the fastest path that could send but for a full buffer.
func (c *Conn) opportunity(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	p, w := c.plan, &c.send
	if !c.cfg.OpportunisticRetransmission || w.una == w.nxt || p.view.HeadCarriers == 0 || !c.held() {
		return 0, 0, false
	}
	best := p.fastest()
	if best < 0 {
		return 0, 0, false
	}
	if c.cfg.Penalization {
		c.penalise(now, best)
	}
	if p.helped > w.una || p.view.HeadCarriers.Has(best) || !p.worthwhile(best) {
		return 0, 0, false
	}
	n := min(p.view.Paths[best].Room, int(min(w.nxt, c.coveredTo(w.una))-w.una))
	p.helped = w.una + uint64(n)
	p.from, p.paths = sched.Reinject, 0
	link, size := c.sendOn(now, buf, p.flows[best], w.una, n, againBytes)
	c.sched.Sent(p.flows[best].id, n)
	return link, size, true
}

// fastest returns the path with the lowest round-trip time of those that have
// room; -1: none.
func (p *plan) fastest() int {
	best := -1
	for i := range p.flows {
		if v := &p.view.Paths[i]; v.Room > 0 && !v.Stale && v.RTOs == 0 && (best < 0 || v.SRTT < p.view.Paths[best].SRTT) {
			best = i
		}
	}
	return best
}

// worthwhile reports whether the first carrier of the head will take long: its
// window is small, or its round-trip time more than four times that of best.
func (p *plan) worthwhile(best int) bool {
	for i := range p.flows {
		if v := &p.view.Paths[i]; p.view.HeadCarriers.Has(i) {
			return v.Cwnd <= 4*v.MSS || v.SRTT > 4*p.view.Paths[best].SRTT
		}
	}
	return false
}

// penalise halves the windows of the paths that carry the head and are slower
// than best, at most once in a round-trip time of theirs, as the paper describes it.
// Their code says a round-trip time of the fast path and spares ssthresh in slow
// start: with that a path of 150 ms beside one of 20 ms goes from a full queue to
// nothing and back for ever.
func (c *Conn) penalise(now clock.Instant, best int) {
	p := c.plan
	for i, sf := range p.flows {
		v := &p.view.Paths[i]
		if p.view.HeadCarriers.Has(i) && v.SRTT > p.view.Paths[best].SRTT &&
			v.CAState == cc.Open && now.Sub(sf.penalisedAt) >= v.SRTT {
			sf.penalisedAt = now
			sf.tcp.Penalise(now)
		}
	}
}
