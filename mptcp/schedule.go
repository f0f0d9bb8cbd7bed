package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/sched"
)

// plan is a decision of the scheduler that is being carried out, one packet a
// call of Output.
type plan struct {
	view   sched.View
	flows  []*subflow // by index in view.Paths
	paths  sched.Set  // who is still to send what the decision is about
	from   sched.Source
	budget int // bytes left of a burst, for one path
	path   *subflow
	off    uint64 // of a chunk that several paths are to send
	n      int
	helped uint64 // stream offset up to which opportunity has retransmitted
}

// sendData writes one packet with data that TCP has not sent yet: the scheduler
// says where, and the mapping is made now (late binding).
func (c *Conn) sendData(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	if c.streaming() {
		return c.sendStream(now, buf)
	}
	if !c.mapped() || c.err != nil || c.idle() {
		return 0, 0, false
	}
	if c.plan == nil {
		c.plan = new(plan)
	}
	p := c.plan
	for tries := 0; tries < 2*sched.MaxPaths; tries++ {
		if link, n, ok := c.sendBound(now, buf); ok {
			return link, n, true
		}
		if link, n, ok := c.carryOn(now, buf); ok {
			return link, n, true
		}
		c.look(now)
		d, ok := c.sched.Next(&p.view)
		if !ok || d.Paths == 0 {
			return c.opportunity(now, buf)
		}
		p.paths, p.from, p.path, p.budget, p.n = d.Paths, d.From, nil, d.Burst, 0
		if c.bindAhead(d) {
			p.paths = 0
			continue
		}
		if !c.choose(d) {
			p.paths = 0
			return c.opportunity(now, buf)
		}
	}
	return 0, 0, false
}

// idle reports whether there is nothing that could be sent.
func (c *Conn) idle() bool {
	if c.cfg.OpportunisticRetransmission && c.send.starved {
		return false
	}
	// What is under way a redundant scheduler may copy.
	return c.send.una == c.send.end && c.reinject.empty() && !c.binds()
}

// choose fixes the range that a decision for new or reinjected bytes is about:
// what the narrowest of its paths takes.
func (c *Conn) choose(d sched.Decision) bool {
	p, w := c.plan, &c.send
	room := 0
	for i := range p.flows {
		if r := p.view.Paths[i].Room; d.Paths.Has(i) && r > 0 && (room == 0 || r < room) {
			room = r
		}
	}
	switch d.From {
	case sched.New:
		p.off = w.nxt
		p.n = min(room, int(w.end-w.nxt), p.view.Window)
	case sched.Reinject:
		r, ok := c.reinject.head()
		if !ok {
			return false
		}
		p.off, p.n = r.Lo, min(room, int(r.Hi-r.Lo))
	case sched.Copy:
		p.n = room // from each path's own CopyNext on
	}
	return p.n > 0
}

// carryOn sends the next packet of the plan.
func (c *Conn) carryOn(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	p, w := c.plan, &c.send
	if p.path != nil && p.budget > 0 { // the rest of a burst
		sf := p.path
		// Whole segments: the last one may go beyond the budget, as in Linux.
		n := min(c.room(now, sf), int(w.end-w.nxt), c.sendable())
		if n > 0 && p.from == sched.New {
			p.budget -= n
			link, size := c.sendOn(now, buf, sf, w.nxt, n, freshBytes)
			c.sched.Sent(sf.id, n)
			return link, size, true
		}
		p.path, p.budget = nil, 0
	}
	for i, sf := range p.flows {
		if !p.paths.Has(i) {
			continue
		}
		p.paths &^= sched.Of(i)
		off, n := p.off, p.n
		if p.from == sched.Copy {
			off = max(sf.tx.copyNext, w.una)
			if off >= w.nxt {
				continue
			}
			n = min(n, int(w.nxt-off))
		}
		n = min(n, c.room(now, sf))
		if n <= 0 || !sf.usable() || off < w.una {
			continue
		}
		if p.from == sched.New && p.budget > n && p.paths == 0 {
			p.path, p.budget = sf, p.budget-n
		}
		as := freshBytes
		switch {
		case p.from == sched.Reinject:
			as = againBytes
		case p.from == sched.Copy || off < w.nxt:
			as = copiedBytes
		}
		link, size := c.sendOn(now, buf, sf, off, n, as)
		c.sched.Sent(sf.id, n)
		return link, size, true
	}
	return 0, 0, false
}

// room returns what the subflow takes now.
func (c *Conn) room(now clock.Instant, sf *subflow) int {
	if !sf.usable() || !sf.linked || c.stack.links[sf.link].blocked {
		return 0
	}
	return sf.tcp.Room(now)
}

// windowLeft returns how many new bytes the peer's window has room for.
func (c *Conn) windowLeft() int {
	if c.send.edge <= c.send.nxt {
		return 0
	}
	return int(c.send.edge - c.send.nxt)
}

// sendable returns how many new bytes may go out now: what the peer's window has room
// for, but no crumb of it before the connection's timer has expired. That is silly window
// avoidance (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1, with Fs = 1/2) where
// the window is the connection's. It matters for more than efficiency: Linux charges a
// receive buffer with memory, 2,304 bytes for a segment of 1,400 and not much less for a
// crumb, and offers a window that full segments just fill, rounded up to its scale's unit
// of 1,024. With a crumb more behind a hole it is over its limit, takes nothing from the
// subflows any more, not even the hole's bytes, and stands still for ever (seen with 6.18;
// mptcp_data_ready in 6.12: "over limit? can't append more skbs to msk").
func (c *Conn) sendable() int {
	w := &c.send
	n := c.windowLeft()
	if n >= min(c.mss(), int(w.end-w.nxt)) || n >= max(w.largest/2, 1) || w.crumb {
		return n
	}
	return 0
}

// sendOn maps n bytes at off to the subflow's next sequence numbers and sends them.
func (c *Conn) sendOn(now clock.Instant, buf []byte, sf *subflow, off uint64, n int, as carriage) (machine.LinkID, int) {
	w := &c.send
	end := off + uint64(n)
	m := sndMap{ssn: uint64(sf.tx.pos(sf.tcp.SndNxt())), off: off, n: n, push: end == w.pushAt || end == w.end}
	if w.closed && end == w.end && (c.confirmed || m.ssn != 1+sf.tx.synData) {
		m.fin = true
		c.finGoes(now)
	}
	m.csum = c.checksumOf(&m, sf.tx.wire(m.ssn))
	sf.tx.add(m)
	w.sentTo = max(w.sentTo, end)
	switch as {
	case freshBytes:
		if sf.tcp.SndWndEnd().Sub(sf.tcp.SndUna()) < c.windowLeft() { // as mptcp_check_allowed_size compares
			c.stack.counters.MPTcpExtSndWndShared++
		}
		if end > w.nxt { // not bound ahead
			w.nxt = end
			c.stats.sent += uint64(n)
		}
		w.crumb = false
	case copiedBytes:
		sf.tx.copyNext = max(sf.tx.copyNext, end)
	case againBytes:
		c.reinject.remove(off, end)
		c.noteReinjected(sf, n)
	}
	sf.traceMapped(now, &m, as != freshBytes)
	size := sf.tcp.Send(now, n, buf)
	c.armRetransmit(now)
	return sf.link, size
}

// sendStream sends new bytes of a plain TCP connection.
func (c *Conn) sendStream(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	w := &c.send
	if len(c.subflows) == 0 || w.nxt == w.end {
		return 0, 0, false
	}
	sf := c.subflows[0]
	if sf.over || !sf.linked || c.stack.links[sf.link].blocked {
		return 0, 0, false
	}
	n := min(sf.tcp.Room(now), int(w.end-w.nxt))
	if n <= 0 {
		return 0, 0, false
	}
	m := sndMap{ssn: sf.tx.pos(sf.tcp.SndNxt()), off: w.nxt, n: n}
	sf.traceMapped(now, &m, false)
	w.nxt += uint64(n)
	sf.tx.nxt = m.end()
	c.stats.sent += uint64(n)
	size := sf.tcp.Send(now, n, buf)
	return sf.link, size, true
}

// look fills the scheduler's view.
func (c *Conn) look(now clock.Instant) {
	p, w := c.plan, &c.send
	p.flows = p.flows[:0]
	v := &p.view
	v.Paths = v.Paths[:0]
	v.Now, v.Queued, v.Window = now, int(w.end-w.nxt), c.sendable()
	v.ReinjectLen, v.ReinjectSent, v.HeadCarriers = c.reinject.len(), 0, 0
	v.SndUna, v.SndNxt, v.Reinjected = w.una, w.nxt, c.stats.reinjected
	head, reinjecting := c.reinject.head()
	if c.falling() {
		reinjecting, v.ReinjectLen = false, 0
	}
	for _, sf := range c.subflows {
		if !sf.usable() || !sf.linked || len(p.flows) == sched.MaxPaths {
			continue
		}
		i := len(p.flows)
		if reinjecting && sf.tx.carries(head.Lo) {
			v.ReinjectSent |= sched.Of(i)
		}
		p.flows = append(p.flows, sf)
		v.Paths = append(v.Paths, c.pathView(now, sf))
	}
	if c.cfg.OpportunisticRetransmission && w.una < w.nxt {
		for i, sf := range p.flows {
			if sf.tx.carries(w.una) {
				v.HeadCarriers |= sched.Of(i)
			}
		}
	}
	if reinjecting && len(p.flows) > 0 && uint64(v.ReinjectSent) == 1<<len(p.flows)-1 {
		// Everybody who could carry it does: their TCP will see to it.
		c.reinject.remove(head.Lo, min(head.Hi, c.coveredTo(head.Lo)))
		c.look(now)
	}
}

// coveredTo returns the least end of the mappings that carry the byte at off on
// the paths in view.
func (c *Conn) coveredTo(off uint64) uint64 {
	end := off + 1<<32
	for _, sf := range c.plan.flows {
		for i := range sf.tx.maps.all() {
			m := &sf.tx.maps.all()[i]
			if hi := m.off + uint64(m.n); m.off <= off && off < hi {
				end = min(end, hi)
			}
		}
		for _, r := range sf.tx.bound.all() {
			if r.lo <= off && off < r.hi {
				end = min(end, r.hi)
			}
		}
	}
	return end
}

func (c *Conn) pathView(now clock.Instant, sf *subflow) sched.Path {
	f := sf.tcp.Flow()
	return sched.Path{
		ID: sf.id, SRTT: f.SRTT, RTTVar: f.RTTVar, MinRTT: f.MinRTT,
		Cwnd: f.Cwnd * f.MSS, InFlight: sf.tcp.InFlight() * f.MSS, Unacked: sf.tcp.SndNxt().Sub(sf.tcp.SndUna()), Queued: sf.tx.boundLen,
		Room: c.room(now, sf), MSS: sf.tcp.MSS(),
		Pacing: sf.tcp.PacingRate(), CAState: f.State,
		LastRecv: sf.lastRecv, LastData: sf.lastData, StaleCount: sf.rtos, CopyNext: max(sf.tx.copyNext, c.send.una),
		Backup: sf.backup || sf.peerBackup, Stale: sf.stale, RTOs: max(sf.rtos, sf.tcp.ProbesOut()-1),
	}
}
