package tcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Output writes one IP packet that TCP itself owes to the front of b: SYN, ACK,
// FIN, RST, a retransmission, a probe. ok is false when nothing is owed.
func (c *Conn) Output(now clock.Instant, b []byte) (n int, ok bool) {
	if c.owed.stray {
		c.owed.stray = false
		return c.emitStray(b), true
	}
	switch c.state {
	case StateClosed:
		if c.owed.rst {
			c.owed.rst = false
			n = c.emit(now, b, c.owed.rstFlags, c.sndNxt, 0)
		}
		c.sayClosed(now)
		return n, n > 0
	case StateSYNSent, StateSYNReceived:
		if c.owed.syn {
			return c.emitSYN(now, b), true
		}
		if c.state == StateSYNSent {
			return 0, false
		}
	}
	if c.owesSACK() && (c.owed.acks > 1 || !c.dataTakesACK(now)) {
		return c.emitACK(now, b), true
	}
	if n = c.retransmit(now, b); n > 0 {
		return n, true
	}
	switch {
	case c.finDue(now):
		return c.emitFIN(now, b), true
	case c.owed.probe:
		// A segment from before the window: the peer has to answer it.
		c.owed.probe = false
		return c.emit(now, b, wire.ACK, c.sndUna.Add(-1), 0), true
	case c.owed.acks > 0 && !c.dataTakesACK(now):
		return c.emitACK(now, b), true
	}
	c.checkPersist(now)
	c.boundOrphan(now)
	return 0, false
}

// emit writes the segment at ssn with n bytes of payload into b and returns the
// length of the packet. The upper's options go first: SACK takes what is left.
func (c *Conn) emit(now clock.Instant, b []byte, flags wire.Flags, ssn wire.Seq, n int) int {
	s := &c.scratch.out
	*s = wire.Segment{
		Src: *c.local, Dst: *c.remote, TTL: c.cfg.TTL, TOS: c.cfg.TOS,
		Seq: c.iss + ssn, Flags: flags,
	}
	o := &s.Options
	if flags&wire.ACK != 0 {
		s.Ack = c.irs + c.rcvNxt
	}
	if flags&wire.SYN != 0 {
		c.synOptions(o)
	}
	// "the TSopt MUST be sent in every non-<RST> segment for the duration of the
	// connection, and SHOULD be sent in an <RST> segment"
	// (https://www.rfc-editor.org/rfc/rfc7323#section-3.2). One without ACK stands for
	// the answer of a host that knows no such connection.
	active := flags&(wire.RST|wire.ACK) != wire.RST
	if c.tsOK && active {
		o.Has |= wire.HasTimestamps
		o.TSVal = c.tsClock(now)
		if flags&wire.ACK != 0 {
			o.TSEcr = c.tsRecent
		}
	}
	c.markECN(s, ssn, n)
	c.lastXmit = now
	wnd := c.upper.Options(now, s, ssn, n, maxOptionsLen-o.Len())
	single := !c.owesSACK() || c.streams() && n > 0 && n <= c.sendMSS() && ssn == c.sndNxt && c.owed.acks == 1
	if flags&(wire.SYN|wire.RST|wire.ACK) == wire.ACK {
		c.addSACK(o, min(maxOptionsLen, c.mtu-c.headerLen()-n))
	}
	if active {
		c.setWindow(s, wnd)
	}
	p := wire.AppendHeaders(b[:0], s, n)
	h := len(p)
	p = p[:h+n]
	if n > 0 {
		if flags&wire.SYN != 0 {
			ssn = 1
		}
		c.upper.Fill(p[h:], ssn)
	}
	wire.Finish(p)
	c.count.segsOut++
	if flags&wire.ACK != 0 && flags&wire.RST == 0 {
		if single {
			c.owed.acks = 0
			c.owed.nextBlock, c.owed.blocks = 0, c.owed.blocks[:0]
		}
		c.ackSent()
	}
	return len(p)
}

// setWindow writes the window that the upper offers into s.
//
// "A TCP receiver SHOULD NOT shrink the window, i.e., move the right window edge
// to the left" (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6); and it
// moves the edge to the right by a segment at least or half its buffer
// (3.8.6.2.2). With a DATA_ACK in the segment the window belongs to the MPTCP
// connection, whose edge the upper keeps.
func (c *Conn) setWindow(s *wire.Segment, wnd int) {
	wnd = max(wnd, 0)
	scale := c.rcvScale
	if s.Flags&wire.SYN != 0 {
		scale = 0
	}
	unit := 1 << scale
	c.maxOffered = max(c.maxOffered, wnd)
	if o := &s.Options; o.Has&wire.HasDSS == 0 || !o.DSS.HasAck {
		cur := max(c.rcvAdv.Sub(c.rcvNxt), 0)
		if wnd < cur {
			// More is promised than there is: by rounding up, below.
			wnd = cur
		} else if wnd-cur < min(c.mtu-c.headerLen(), c.maxOffered/2) || wnd&^(unit-1) < cur {
			wnd = (cur + unit - 1) &^ (unit - 1)
		}
	}
	s.Window = uint16(min(wnd>>scale, 65535))
	if edge := c.rcvNxt.Add(int(s.Window) << scale); c.rcvAdv.Less(edge) {
		c.rcvAdv = edge
	}
}

// emitStray writes the RST for a segment that acknowledges what we never sent.
func (c *Conn) emitStray(b []byte) int {
	c.scratch.out = wire.Segment{
		Src: *c.local, Dst: *c.remote, TTL: c.cfg.TTL, TOS: c.cfg.TOS,
		Seq: c.owed.straySeq, Flags: wire.RST,
	}
	p := wire.AppendHeaders(b[:0], &c.scratch.out, 0)
	wire.Finish(p)
	c.count.segsOut++
	return len(p)
}

// emitSYN writes our SYN or SYN/ACK.
func (c *Conn) emitSYN(now clock.Instant, b []byte) int {
	c.owed.syn = false
	n := 0
	if c.sndNxt == 0 {
		c.sndNxt = 1
		c.synSentAt = now
		if c.fo.wish != nil {
			n = c.fo.wish.Data
		}
	} else {
		// "when the SYN timer fires, the client SHOULD retransmit a SYN packet without
		// data and Fast Open options", and so should the server its SYN/ACK
		// (https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2).
		c.fo.wish = nil
	}
	if !c.timers.Armed(timerRTO) {
		c.armRTO(now)
	}
	flags := wire.SYN
	if c.state == StateSYNReceived {
		flags |= wire.ACK
	}
	length := c.emit(now, b, flags|c.ecnOfSYN(), 0, n)
	if n > 0 {
		c.sentSYNData(now, n)
	}
	return length
}

// dataTakesACK reports whether new data of a plain stream may go out, which takes along
// the ACK that is owed: what an ACK released is sent before what its data asks for
// (tcp_data_snd_check, then tcp_ack_snd_check).
func (c *Conn) dataTakesACK(now clock.Instant) bool {
	if !c.streams() {
		return false
	}
	unsent, _, _ := c.upper.Unsent()
	return unsent > 0 && c.Room(now) > 0
}

// emitACK writes a pure ACK.
func (c *Conn) emitACK(now clock.Instant, b []byte) int {
	c.owed.acks--
	n := c.emit(now, b, wire.ACK, c.acceptableSeq(), 0)
	if c.owed.acks == 0 {
		c.owed.nextBlock, c.owed.blocks = 0, c.owed.blocks[:0]
	}
	return n
}

// acceptableSeq returns the sequence number of a segment without data: one that the peer
// accepts, if it has shrunk its window below what was sent (tcp_acceptable_seq; the
// scaled window may seem a little smaller than it is).
func (c *Conn) acceptableSeq() wire.Seq {
	if end := c.SndWndEnd(); c.sndNxt.Sub(end) > 0 && c.sndNxt.Sub(end) >= 1<<c.rcvScale {
		return end
	}
	return c.sndNxt
}

// finDue reports whether the FIN can go out: after the last byte, within the
// windows, in which it takes a place. That of a subflow goes out whatever cwnd says:
// "Both hosts SHOULD send FINs on all subflows [...] even if an individual subflow has
// failed" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3).
func (c *Conn) finDue(now clock.Instant) bool {
	if !c.closing || c.finSent || !c.sendsData() || c.holdsSYNACK() && !c.orphan {
		return false
	}
	if n, _, _ := c.upper.Unsent(); n > 0 {
		return false
	}
	if c.streams() && c.board.pipe() >= c.flow.Cwnd && !c.probeCredit {
		c.heldByCwnd(now)
		return false
	}
	return c.sndNxt.Less(c.SndWndEnd())
}

// emitFIN writes our FIN.
func (c *Conn) emitFIN(now clock.Instant, b []byte) int {
	ssn := c.sndNxt
	n := c.emit(now, b, wire.FIN|wire.ACK, ssn, 0)
	first := c.board.packets == 0
	c.board.push(run{
		start: ssn, end: ssn.Add(1), mss: max(c.MSS(), 1), flags: runFIN,
		sentAt: now, burst: c.burst + 1, rate: c.rate.sent(now, first),
	})
	c.sndNxt = ssn.Add(1)
	c.finSent = true
	c.probeCredit, c.forceCredit = false, false
	c.sentSegment(now, 0)
	c.sentInReduction()
	c.validateCwnd(now)
	if first || !c.timers.Armed(timerRTO) {
		c.armRTO(now)
	}
	c.armTLP(now, false)
	return n
}

// retransmit writes the next segment that is deemed lost, if cwnd allows, or the
// last one as a tail loss probe. It returns 0 if there is none.
func (c *Conn) retransmit(now clock.Instant, b []byte) int {
	if c.owed.tlp {
		c.owed.tlp = false
		if id := c.board.tail; id != noRun && c.tlpHigh == 0 && c.board.at(id).flags&runSACKed == 0 {
			c.tlpHigh, c.tlpRetrans = c.sndNxt, true
			return c.retransmitRun(now, b, id, true)
		}
	}
	id := c.board.nextLost()
	if id == noRun || c.board.pipe() >= c.flow.Cwnd || c.frtoNew || c.holdsSYNACK() || c.pacerHolds(now) {
		return 0
	}
	if c.windowHolds(id) {
		return 0
	}
	c.trim(id)
	c.refill(id)
	c.planRepairs(id)
	n := c.retransmitRun(now, b, id, false)
	c.sentInReduction()
	if id == c.board.head && !c.timers.Armed(timerReorder) {
		c.armRTO(now) // the oldest segment has its full time again
	}
	return n
}

// planRepairs decides how many of the segments from id on that were one chunk go
// out as one again: if several, the last has PSH.
func (c *Conn) planRepairs(id runID) {
	b := &c.board
	if start := b.at(id).start; !c.streams() || start == c.repairNext && start.Less(c.repairEnd) {
		return
	}
	most := min(c.flow.Cwnd-b.pipe(), c.maxSegs(c.sendMSS()))
	n, last := b.at(id).segs(), id
	for next := b.at(id).next; next != noRun; next = b.at(next).next {
		r := b.at(next)
		if r.flags&(runJoined|runLost|runRetrans|runSACKed) != runJoined|runLost {
			break
		}
		if n+r.segs() > most {
			r.flags &^= runJoined
			b.buffers++
			break
		}
		n += r.segs()
		last = next
	}
	c.repairEnd = b.at(last).end
	c.repairPush = n > 1
}

// trim takes off the part of a run that the peer has acknowledged.
func (c *Conn) trim(id runID) {
	r := c.board.at(id)
	if r.start.Less(c.sndUna) {
		before := r.segs()
		r.start = c.sndUna
		c.board.recount(id, r.segs()-before)
	}
}

// refill lets a segment that goes out again, and has become shorter than a full one is
// now, take from the next of its chunk: what Linux keeps in one buffer is cut anew each
// time it leaves.
func (c *Conn) refill(id runID) {
	const fate = runSACKed | runLost | runRetrans
	b := &c.board
	for c.streams() {
		r := b.at(id)
		missing := c.sendMSS() - r.payload()
		if r.next == noRun || missing <= 0 || r.flags&runFIN != 0 {
			return
		}
		n := b.at(r.next)
		if n.flags&runJoined == 0 || (n.flags^r.flags)&fate != 0 || c.SndWndEnd().Less(n.end) {
			return
		}
		if n.payload() > missing {
			b.shift(id, missing)
			return
		}
		b.merge(id)
	}
}

// collapse lets a small segment that goes out again take along what follows it, as
// far as a full segment goes (tcp_retrans_try_collapse).
func (c *Conn) collapse(id runID) {
	b := &c.board
	for c.streams() {
		r := b.at(id)
		if r.next == noRun || r.flags&(runFIN|runEOR) != 0 {
			return
		}
		n := b.at(r.next)
		if n.flags&runSACKed != 0 || n.segs() > 1 || n.payload() == 0 && n.flags&runFIN == 0 ||
			r.payload()+n.payload() > c.sendMSS() || c.SndWndEnd().Less(n.end) {
			return
		}
		b.merge(id)
	}
}

// retransmitRun writes the first segment of run id once more, as a repair or as a probe.
func (c *Conn) retransmitRun(now clock.Instant, b []byte, id runID, probe bool) int {
	c.trim(id)
	r := c.board.at(id)
	if r.payload() > 0 && r.payload() < c.sendMSS() {
		c.collapse(id)
		r = c.board.at(id)
	}
	start := r.start
	flags, n := wire.ACK, 0
	if have := r.payload(); have > 0 {
		want := min(have, max(r.mss, c.MSS()))
		if room := c.SndWndEnd().Sub(start); room > 0 {
			want = min(want, room) // the peer has shrunk its window
		}
		planned, optLen, push := c.upper.Plan(start, want)
		n = min(want, max(c.fullMSS()-c.sackLen()-optLen, 1))
		if planned > 0 {
			n = min(n, planned)
		}
		if n < have {
			c.board.split(id, start.Add(n))
		}
		if push && n == planned && !c.streams() {
			flags |= wire.PSH
		}
	}
	r = c.board.at(id)
	if r.flags&runPush != 0 || c.repairPush && r.end == c.repairEnd {
		flags |= wire.PSH
	}
	if r.flags&runFIN != 0 {
		flags |= wire.FIN
	}
	c.repairNext = r.end
	length := c.emit(now, b, flags, start, n)
	if stamp := c.rate.sent(now, false); probe {
		c.board.setProbed(id, now, c.burst, stamp)
	} else {
		c.board.setRetransmitted(id, now, c.burst, stamp)
		c.undoRetrans = max(c.undoRetrans, 0) + 1
	}
	c.noteRetransmission(now, start, n)
	if !c.timers.Armed(timerRTO) {
		c.armRTO(now)
	}
	return length
}

// stampRetransmit remembers when the first of a series of retransmissions went out.
func (c *Conn) stampRetransmit(now clock.Instant) {
	if !c.stamped {
		c.stamped, c.retransStamp = true, c.tsClock(now)
	}
}

func (c *Conn) noteRetransmission(now clock.Instant, ssn wire.Seq, n int) {
	c.stampRetransmit(now)
	c.repeatedSince = min(c.repeatedSince, now)
	c.count.totalRetrans++
	c.count.bytesSent += uint64(n)
	c.count.bytesRetrans += uint64(n)
	if n > 0 {
		c.count.dataSegsOut++
	}
	c.lastRetrans, c.lastRetransLen = ssn, n
	c.sentSegment(now, n)
	c.upper.Event(now, Retransmit)
}
