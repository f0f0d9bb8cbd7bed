package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// ackEvent is what one ACK told.
type ackEvent struct {
	advanced    bool // una moved
	pure        bool // no payload, SYN or FIN
	awaited     bool // something was in flight
	dup         bool // a duplicate ACK (RFC 5681, 2)
	dsack       bool
	dsackTLP    bool // for a tail loss probe
	ece         bool
	wndMoved    bool          // it said something of the window
	newlySACKed bool          // SACK told something new
	originals   bool          // what was never retransmitted was delivered, from before highSeq
	lostRetrans bool          // a retransmission is lost
	timerSet    bool          // the retransmission timer is right
	acked       int           // segments newly delivered, cumulatively
	sacked      int           // segments newly delivered, by SACK
	retransmits bool          // something acknowledged had been retransmitted
	rtt         time.Duration // of the oldest run delivered that never was; 0: none
	lastRTT     time.Duration // of the newest
	sackRTT     time.Duration
	lastSACKRTT time.Duration
	small       bool // less than a full segment was acknowledged: the peer may have waited for more
	priorPipe   int
	priorLost   int // everLost before
	priorUna    wire.Seq
	priorSACK   wire.Seq // highestSACK before
	reordSACK   wire.Seq // the lowest SACKed now that was never retransmitted and lies below it
	reordAck    wire.Seq // the lowest acknowledged so
	hasReordS   bool
	hasReordA   bool
	hasTS       bool
	hasSACK     bool
}

// processAck takes the ACK of an acceptable segment into account; false: the
// segment is to be dropped.
func (c *Conn) processAck(now clock.Instant, s *wire.Segment, seq wire.Seq) bool {
	ack := s.Ack - c.iss
	if !c.ackInRange(now, ack) {
		return false
	}
	c.keepTimestamp(now, s, seq)
	c.wq.waits = false
	a := ackEvent{
		pure:      s.Len() == 0,
		awaited:   c.board.packets > 0,
		ece:       c.ecn.ok && s.Flags&(wire.ECE|wire.SYN) == wire.ECE,
		priorPipe: c.board.pipe(),
		priorLost: c.board.everLost,
		priorUna:  c.sndUna,
		priorSACK: c.highestSACK(),
		hasTS:     c.tsOK && s.Options.Has&wire.HasTimestamps != 0,
		hasSACK:   s.Options.Has&wire.HasSACK != 0,
	}
	c.lastTSEcr = 0
	if a.hasTS {
		c.lastTSEcr = s.Options.TSEcr
	}
	old := ack.Less(c.sndUna)
	c.noteAppLimited()
	if !old {
		c.lastAckRecv = now
		c.probesOut = 0
		c.ackNews(now, s, seq, ack, &a)
	}
	if c.sackOK && a.hasSACK {
		c.processSACK(now, s, ack, &a)
	}
	if a.advanced { // last: RACK takes the round trip of what is delivered last
		c.clean(now, ack, &a)
	}
	c.noteReordering(&a)
	if a.dsack {
		a.dup = false
	}
	if !c.sackOK && a.retransmits {
		a.originals = false
	}
	c.countDelivered(a.acked+a.sacked, a.ece)
	c.sampleFromAck(now, s, &a)
	c.rackUpdateReoWnd()
	c.tlpAck(now, ack, &a)
	c.mtuProbeAcked()
	c.detectLoss(now, &a)
	if !old && a.awaited {
		c.congestionControl(now, &a)
	}
	c.rearm(now, &a)
	if c.frtoNew && c.Room(now) == 0 {
		c.frto, c.frtoNew = false, false
	}
	if a.advanced {
		c.upper.Acked(now, c.sndUna)
	}
	return c.state != StateClosed
}

// ackInRange checks the acknowledgment number.
//
// "The ACK value is considered acceptable only if it is in the range of ((SND.UNA
// - MAX.SND.WND) <= SEG.ACK <= SND.NXT). All incoming segments whose ACK value
// doesn't satisfy the above condition MUST be discarded and an ACK sent back"
// (https://www.rfc-editor.org/rfc/rfc5961#section-5.2). An ACK cannot be older than
// what was ever acknowledged, either.
func (c *Conn) ackInRange(now clock.Instant, ack wire.Seq) bool {
	oldest := int(min(uint64(c.maxSndWnd), c.count.bytesAcked))
	if c.sndNxt.Less(ack) || ack.Sub(c.sndUna) < -oldest {
		c.challenge(now)
		return false
	}
	return true
}

// ackNews handles an ACK that is not older than una: the window, how far it
// acknowledges, and whether it is a duplicate.
func (c *Conn) ackNews(now clock.Instant, s *wire.Segment, seq, ack wire.Seq, a *ackEvent) {
	a.wndMoved = c.updateWindow(s, seq, ack)
	if a.wndMoved && c.streams() {
		if n, _, _ := c.upper.Unsent(); n > 0 {
			c.restartAfterIdle(now) // the window kept data back (tcp_ack_update_window)
		}
	}
	// "an MPTCP implementation receiving a duplicate ACK that contains an MPTCP
	// option MUST NOT treat it as a signal of congestion"
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3). Every ACK of a working
	// MPTCP connection has a DSS, though: one that says nothing new counts.
	o := &s.Options
	signal := o.Has&(wire.HasMPTCP&^wire.HasDSS) != 0
	if o.Has&wire.HasDSS != 0 && o.DSS.HasAck && o.DSS.DataAck != c.lastAck {
		c.lastAck = o.DSS.DataAck
		signal = true
	}
	if ack == c.sndUna {
		if !a.awaited && (a.pure || c.state != StateEstablished) && c.timers.Armed(timerPersist) {
			// The peer has said again that its window is shut: the next question can wait
			// (tcp_ack_probe).
			c.timers.Set(timerPersist, now.Add(c.persistInterval(now)))
		}
		a.dup = a.awaited && a.pure && !a.wndMoved && !signal
		return
	}
	a.advanced = true
	a.small = ack.Sub(c.sndUna) < c.flow.MSS
	c.count.bytesAcked += uint64(ack.Sub(c.sndUna))
	c.sndUna = ack
	c.retransmits, c.repeatedSince = 0, clock.Never
	c.probeCredit = false
}

// updateWindow takes the peer's window from s if it is news; it reports whether
// it is.
//
// "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set
// SND.WND <- SEG.WND" (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4).
// As in Linux a segment that says the same of everything else may open the window
// or shut it, not shrink it: it may be an older one (tcp_may_update_window).
func (c *Conn) updateWindow(s *wire.Segment, seq, ack wire.Seq) bool {
	wnd := int(s.Window)
	if s.Flags&wire.SYN == 0 {
		wnd <<= c.sndScale
	}
	if !c.sndUna.Less(ack) && !c.sndWL1.Less(seq) &&
		(c.sndWL1 != seq || wnd <= c.sndWnd && wnd != 0) {
		return false
	}
	moved := wnd != c.sndWnd
	c.sndWnd, c.sndWL1 = wnd, seq
	if wnd > c.maxSndWnd {
		c.maxSndWnd = wnd
		c.mtup.bounds = true
		c.flow.MSS = c.MSS()
	}
	if moved && wnd > 0 {
		c.persistBackoff, c.probingSince = 0, clock.Never
		c.timers.Stop(timerPersist)
	}
	return true
}

// clean takes off the scoreboard what ack acknowledges.
func (c *Conn) clean(now clock.Instant, ack wire.Seq, a *ackEvent) {
	b := &c.board
	for b.head != noRun {
		r := b.at(b.head)
		if ack.Less(r.end) {
			k := max(ack.Sub(r.start), 0) / r.mss * r.mss
			if k == 0 {
				break
			}
			b.split(b.head, r.start.Add(k))
			continue
		}
		if r.flags&runEver != 0 {
			a.retransmits = true
		}
		if r.flags&runSACKed == 0 {
			a.acked += r.segs()
			c.delivered(now, r)
			if r.flags&runEver == 0 {
				a.noteOriginal(r, c.highSeq)
				if !a.hasReordA || r.start.Less(a.reordAck) {
					a.hasReordA, a.reordAck = true, r.start
				}
				a.lastRTT = now.Sub(r.sentAt)
				if a.rtt == 0 {
					a.rtt = max(a.lastRTT, 1)
				}
			}
		}
		b.removeHead()
	}
	if !c.sackOK {
		c.takeDupSACKs(a)
	}
}

// takeDupSACKs lets a cumulative ACK consume the duplicate ACKs that stood for
// what it covers; one of its segments was the hole.
func (c *Conn) takeDupSACKs(a *ackEvent) {
	b := &c.board
	known := b.dupSACKs
	b.dupSACKs = max(known-max(a.acked-1, 0), 0)
	if b.packets == 0 {
		b.dupSACKs = 0
	}
	acked := a.acked
	a.acked = max(a.acked-known, min(a.acked, 1))
	c.checkDupReordering(acked)
}

// noteOriginal notes that r, which was sent once, was delivered.
func (a *ackEvent) noteOriginal(r *run, highSeq wire.Seq) {
	if r.end.LessEq(highSeq) {
		a.originals = true
	}
}

// noteReordering looks for what was sent once and arrived behind what was sent
// later (https://www.rfc-editor.org/rfc/rfc8985#section-6.2, step 3).
func (c *Conn) noteReordering(a *ackEvent) {
	if a.hasReordS && (c.flow.State != cc.Loss || c.undoing) {
		c.sawReordering(a.reordSACK)
	}
	if c.sackOK && a.hasReordA && a.reordAck.Less(a.priorSACK) {
		c.sawReordering(a.reordAck)
	}
}

// countDelivered counts n segments that an ACK says were delivered, with the peer's ECE
// or without.
func (c *Conn) countDelivered(n int, ece bool) {
	c.count.delivered += uint32(n)
	if ece {
		c.count.deliveredCE += uint32(n)
	}
}

// delivered tells the estimators of a run that the ACK at hand says arrived.
func (c *Conn) delivered(now clock.Instant, r *run) {
	c.rackDelivered(now, r)
	c.rate.deliveredRun(now, r.rate, r.sentAt, r.end.Sub(r.start))
}

// processSACK marks what the SACK option of s says arrived.
func (c *Conn) processSACK(now clock.Instant, s *wire.Segment, ack wire.Seq, a *ackEvent) {
	o := &s.Options
	var blocks [4]span
	n := 0
	for i := range o.SACK[:o.NumSACK] {
		b := span{o.SACK[i].Left - c.iss, o.SACK[i].Right - c.iss}
		if b.len() <= 0 || c.sndNxt.Less(b.right) {
			continue
		}
		if i == 0 && c.isDSACK(b, o, ack) {
			c.dsackArrived(b, a)
			continue
		}
		if b.right.LessEq(c.sndUna) {
			continue // old news
		}
		// In the order of the data: what is out of it is reordering.
		i := n
		for ; i > 0 && b.left.Less(blocks[i-1].left); i-- {
			blocks[i] = blocks[i-1]
		}
		blocks[i] = b
		n++
	}
	for _, b := range blocks[:n] {
		c.markSACKed(now, c.beyondCached(b), a)
	}
	c.sackCache, c.numSACKCache = blocks, n
}

// isDSACK reports whether b, the first block, reports a duplicate: it lies below
// the cumulative ACK or within the second block
// (https://www.rfc-editor.org/rfc/rfc2883#section-4).
func (c *Conn) isDSACK(b span, o *wire.Options, ack wire.Seq) bool {
	if b.left.Less(ack) {
		return true
	}
	if o.NumSACK < 2 {
		return false
	}
	second := span{o.SACK[1].Left - c.iss, o.SACK[1].Right - c.iss}
	return second.left.LessEq(b.left) && b.right.LessEq(second.right)
}

// dsackArrived takes a D-SACK into account (tcp_dsack_seen). One that reports more
// than we ever sent twice proves nothing.
func (c *Conn) dsackArrived(b span, a *ackEvent) {
	if b.len() > c.maxSndWnd {
		return
	}
	segs := max((b.len()+c.MSS()-1)/c.MSS(), 1)
	if segs == 1 && c.tlpHigh != 0 && c.tlpHigh == b.right {
		a.dsackTLP = true
	}
	if c.count.dsackDups += uint32(segs); c.count.dsackDups > c.count.totalRetrans {
		return
	}
	// "RACK ignores DSACKs that happen without having entered fast recovery, or
	// that match TLPs" (Linux).
	if c.rack.reordering && !a.dsackTLP {
		c.rack.dsackSeen = true
	}
	a.dsack = true
	a.sacked += segs // it was delivered, too
	if c.undoing && c.undoRetrans > 0 && c.undoMarker.Less(b.right) {
		c.undoRetrans = max(c.undoRetrans-segs, 0)
	}
}

// beyondCached returns the part of b that the ACK before did not report.
func (c *Conn) beyondCached(b span) span {
	for _, o := range c.sackCache[:c.numSACKCache] {
		if o.left == b.left && o.right.LessEq(b.right) {
			// One segment of overlap: a run may have been cut by the old edge.
			if l := o.right.Add(-c.maxRun); b.left.Less(l) {
				b.left = l
			}
			return b
		}
	}
	return b
}

// markSACKed marks the runs that lie wholly in s: a segment that was SACKed in
// part is not SACKed.
func (c *Conn) markSACKed(now clock.Instant, s span, a *ackEvent) {
	b := &c.board
	for id := b.seek(s.left); id != noRun; id = b.at(id).next {
		r := b.at(id)
		if s.right.LessEq(r.start) {
			break
		}
		if k := s.left.Sub(r.start); k > 0 {
			if k = (k + r.mss - 1) / r.mss * r.mss; k < r.end.Sub(r.start) {
				b.split(id, r.start.Add(k))
			}
			continue
		}
		if s.right.Less(r.end) {
			k := s.right.Sub(r.start) / r.mss * r.mss
			if k == 0 {
				break
			}
			b.split(id, r.start.Add(k))
			r = b.at(id)
		}
		b.sackHint = id
		if r.flags&runSACKed != 0 {
			continue
		}
		a.sacked += r.segs()
		a.newlySACKed = true
		if r.flags&runEver == 0 {
			a.lastSACKRTT = max(now.Sub(r.sentAt), 1)
			if a.sackRTT == 0 {
				a.sackRTT = a.lastSACKRTT
			}
			a.noteOriginal(r, c.highSeq)
			if r.start.Less(c.highestSACK()) && (!a.hasReordS || r.start.Less(a.reordSACK)) {
				a.hasReordS, a.reordSACK = true, r.start
			}
		}
		c.delivered(now, r)
		if b.sacked == 0 || c.highSACK.Less(r.end) {
			c.highSACK = r.end
		}
		b.setSACKed(id)
	}
}

// sampleFromAck takes the round trip that the ACK shows: of a run that was never
// retransmitted (Karn), else of one that was SACKed, else of the timestamp.
func (c *Conn) sampleFromAck(now clock.Instant, s *wire.Segment, a *ackEvent) {
	rtt := a.rtt
	if a.retransmits {
		rtt = 0
	}
	if last := a.lastRTT; rtt > 0 {
		c.rtt.observeMin(now, max(last, 1))
	}
	if rtt == 0 {
		if rtt = a.sackRTT; rtt > 0 {
			c.rtt.observeMin(now, rtt)
		}
	}
	if rtt == 0 && a.advanced {
		rtt = c.echoRTT(now, s)
	}
	a.rtt = rtt
	c.flow.MinRTT = c.rtt.min
	if rtt > 0 {
		c.sampleRTT(now, rtt)
	}
}

// congestionControl moves cwnd: by proportional rate reduction while it is being
// reduced, by the controller otherwise.
func (c *Conn) congestionControl(now clock.Instant, a *ackEvent) {
	n := a.acked + a.sacked
	r := c.rate.take(now, c.rtt.min)
	owns := c.ctrl.Owns()
	reducing := c.flow.State == cc.CWR || c.flow.State == cc.Recovery
	if reducing && !owns {
		c.prr(n, c.board.everLost-a.priorLost, a.advanced)
		return
	}
	if !owns && (n == 0 || !a.advanced && c.reordering <= c.cfg.Reordering) {
		return
	}
	c.scratch.sample = cc.Sample{
		Now: now, Acked: n, Lost: c.board.everLost - a.priorLost, TotalLost: c.board.everLost,
		Delivered: c.rate.delivered, Una: c.count.bytesAcked, Nxt: c.count.bytesAcked + uint64(c.sndNxt.Sub(c.sndUna)), Rate: r.rate, Prior: r.prior, AppLimited: r.appLimited,
		RTT: a.rtt, LastRTT: a.newestRTT(), InFlight: a.priorPipe, Pipe: c.board.pipe(),
		CwndLimited: c.wasCwndLimited(), DelayedACK: a.acked == 1 && a.sacked == 0 && a.small,
		ECE: a.ece,
	}
	c.ctrl.OnAck(&c.flow, &c.scratch.sample)
	c.cwndUsedAt = now
	c.flow.Cwnd = max(c.flow.Cwnd, 1)
	if c.flow.HoldsBack {
		c.rate.limitedByApp(c.board.pipe() * c.flow.MSS)
	}
}

// newestRTT returns the round trip of the newest segment that the ACK shows
// delivered: it waited least for others.
func (a *ackEvent) newestRTT() time.Duration {
	switch {
	case a.lastRTT > 0 && !a.retransmits:
		return a.lastRTT
	case a.lastSACKRTT > 0:
		return a.lastSACKRTT
	}
	return a.rtt
}

// rearm restarts the retransmission timer when the ACK acknowledged something.
//
// "When an ACK is received that acknowledges new data, restart the
// retransmission timer" (https://www.rfc-editor.org/rfc/rfc6298#section-5, 5.3).
func (c *Conn) rearm(now clock.Instant, a *ackEvent) {
	switch {
	case c.board.packets == 0:
		c.timers.Stop(timerRTO)
		c.timers.Stop(timerTLP)
		c.timers.Stop(timerReorder)
		c.stopChrono(now, chronoBusy)
	case a.timerSet:
	case a.advanced && a.acked == 0: // a part of a segment
	case a.advanced:
		c.armRTO(now)
		if !c.timers.Armed(timerReorder) {
			c.armTLP(now, true)
		}
	case a.sackRTT > now.Sub(c.board.at(c.board.head).sentAt):
		// What was sent before the oldest segment (last) went out still arrives: that
		// one had no chance yet.
		c.armRTO(now)
		c.timers.Stop(timerTLP)
	case c.board.sacked > 0 && !c.cfg.AsLinux:
		// No probe if "segments have been SACKed": the reordering timer takes over
		// (https://www.rfc-editor.org/rfc/rfc8985#section-7.2).
		c.timers.Stop(timerTLP)
	}
}
