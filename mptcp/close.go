package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// The closing of a connection is that of RFC 8684, appendix D: DATA_FIN and its
// DATA_ACK in both directions, then FIN on every subflow. The states are implied
// by send.closed, send.finSent, writeEnded and recv.finDone.

// endWriting ends our direction after what was written.
func (c *Conn) endWriting() {
	if c.send.closed || c.done {
		return
	}
	c.send.closed = true
	c.closedLast = c.recv.finDone
	c.send.pushAt, c.send.more = c.send.end, false
	if c.established {
		c.uncountEstablished()
	}
	c.streamClose()
	c.stack.touch(c)
}

// streamClose sends FIN behind the last byte of a plain TCP connection.
func (c *Conn) streamClose() {
	if !c.streaming() || !c.send.closed || !c.established {
		return
	}
	for _, sf := range c.subflows {
		sf.close()
	}
}

// dataFINDue reports whether a DATA_FIN belongs on segments without data: all
// data was sent, and the DATA_FIN is not acknowledged.
func (c *Conn) dataFINDue() bool {
	return c.send.closed && c.send.nxt == c.send.end && !c.writeEnded
}

// finOption writes a DATA_FIN of its own: "when the DATA_FIN is not attached to a
// TCP segment containing data, the DSS MUST have a subflow sequence number of 0, a
// Data-Level Length of 1, and the data sequence number that corresponds with the
// DATA_FIN itself" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3).
func (c *Conn) finOption(now clock.Instant, d *wire.DSS) {
	c.finGoes(now)
	d.HasMap, d.DSN64, d.DSN, d.SSN, d.DataLen, d.DataFIN = true, true, c.sndBase.Add(int(c.send.end)), 0, 1, true
	if c.checksum {
		d.HasChecksum, d.Checksum = true, wire.DSSChecksum(d.DSN, 0, 1, 0)
	}
}

// finGoes notes that a DATA_FIN goes out.
func (c *Conn) finGoes(now clock.Instant) {
	if c.send.finSent {
		return
	}
	c.send.finSent = true
	c.trace(now, trace.Event{Kind: trace.DataFINSent, Path: -1, A: uint64(c.sndBase) + c.send.end})
	c.armRetransmit(now)
}

// wantFIN notes that the peer's stream ends at off; false: that contradicts what
// was received.
func (w *recvWindow) wantFIN(c *Conn, now clock.Instant, off uint64) bool {
	if w.hasFIN && w.fin != off || !w.hasFIN && off < w.nxt {
		return false
	}
	if !w.hasFIN {
		w.hasFIN, w.fin = true, off
		c.checkDataFIN()
	}
	return true
}

// checkDataFIN asks for the connection's work once everything before the DATA_FIN
// is there.
func (c *Conn) checkDataFIN() {
	if w := &c.recv; w.hasFIN && !w.finDone && w.nxt >= w.fin {
		c.again = true
	}
}

// takeEnds acts on what Input recorded: our DATA_FIN is acknowledged, the peer's is
// reached. What the subflows owed before has gone out with the old state, as by
// Linux, whose worker does this.
func (c *Conn) takeEnds(now clock.Instant) {
	c.writeEnded = c.writeEnded || c.finAcked
	w := &c.recv
	if !w.hasFIN || w.finDone || w.nxt < w.fin {
		return
	}
	w.finDone = true
	c.trace(now, trace.Event{Kind: trace.DataFINReceived, Path: -1, A: uint64(c.rcvBase) + w.fin})
	c.ackAll()
	c.again = true
	c.notify(Readable)
}

// streamFIN is the end of the peer's direction of a plain TCP connection.
func (c *Conn) streamFIN(now clock.Instant) {
	if !c.recv.finDone {
		c.recv.hasFIN, c.recv.finDone, c.recv.fin = true, true, c.recv.nxt
		c.again = true
		c.notify(Readable)
	}
}

// streamFINAcked is the end of ours.
func (c *Conn) streamFINAcked() {
	if c.send.closed {
		c.writeEnded = true
		c.again = true
	}
}

// closeWork moves the connection through its closing states.
func (c *Conn) closeWork(now clock.Instant) {
	if c.done {
		return
	}
	if c.streaming() {
		c.streamClose()
		if c.recv.finDone && c.writeEnded && c.subflowsSettled() {
			c.finish(now, "fin")
		}
		return
	}
	if c.speech == multipath && c.established && c.dataFINDue() && !c.send.finSent {
		c.finGoes(now)
		c.ackAll()
	}
	closed := c.recv.finDone && c.writeEnded
	for _, sf := range c.subflows {
		// "Once a DATA_FIN has been acknowledged, all remaining subflows MUST be
		// closed with standard FIN exchanges"
		// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3).
		switch {
		case sf.stage == open && closed:
			sf.ackAfterFIN = sf.ackOwed && !sf.closing // the order of Linux; the RFC leaves it open
			sf.close()
			sf.tcp.Orphan() // FIN-WAIT-2 does not last for ever
		case sf.leaving != "":
			sf.retire(sf.leaving)
		case sf.stage == open && sf.finSeen && !c.recv.finDone && (!c.send.closed || c.others(sf)):
			// A goodbye on this subflow and no half-close, which would be a DATA_FIN: "a FIN on
			// a subflow [...] only affects the subflow on which it is sent"
			// (https://www.rfc-editor.org/rfc/rfc8684#section-4). What it has under way goes to the
			// others.
			sf.retire("fin")
		case sf.stage < open && closed:
			sf.abort(wire.RstUnspecified, "connection closed") // a join came too late
		}
	}
	switch {
	case closed && c.subflowsSettled():
		c.finish(now, "data_fin")
	case !closed && c.readClosed && c.writeEnded && c.alive():
		// Nobody reads, and the peer may never end: as TCP's FIN-WAIT-2.
		if c.closeAt == clock.Never {
			c.closeAt = now.Add(or(c.cfg.TCP.FinTimeout, 60*time.Second))
		}
	case closed || c.alive():
		c.closeAt = clock.Never
	case !c.established:
		c.fail(now, ErrTimedOut, "handshake failed")
	case c.listener != nil:
		c.fail(now, ErrNotConnected, "closed before it was accepted") // no subflow can follow (in_accept_queue)
	case c.closeAt == clock.Never:
		c.closeAt = now.Add(c.cfg.CloseTimeout)
	}
}

// alive reports whether a subflow is left by which the peer can still end its
// direction: one that it closed before its DATA_FIN is none.
func (c *Conn) alive() bool {
	for _, sf := range c.subflows {
		if sf.stage != ended && (!sf.finSeen || c.recv.finDone) {
			return true
		}
	}
	return false
}

// others reports whether a subflow other than sf can carry data.
func (c *Conn) others(sf *subflow) bool {
	for _, o := range c.subflows {
		if o != sf && o.usable() && !o.stale && !o.finSeen {
			return true
		}
	}
	return false
}

// subflowsSettled reports whether no subflow that still works owes anything:
// TIME-WAIT and paths that went silent do not hold up the end.
func (c *Conn) subflowsSettled() bool {
	for _, sf := range c.subflows {
		st := sf.tcp.State()
		if sf.stage != ended && st != tcp.StateTimeWait && st != tcp.StateClosed && sf.rtos == 0 && sf.tcp.ProbesOut() == 0 {
			return false
		}
	}
	return true
}

// finish is the orderly end.
func (c *Conn) finish(now clock.Instant, text string) {
	c.conclude(now, text)
	c.notify(Finished | Readable)
}

// fail is the end with an error: what subflows are left are reset.
func (c *Conn) fail(now clock.Instant, err error, text string) {
	if c.done {
		return
	}
	c.err = err
	for _, sf := range c.subflows {
		reason := wire.RstMPTCP
		if err == ErrAborted || c.fastClosedByPeer {
			reason = wire.RstUnspecified
		}
		if sf != c.fastWait.path {
			sf.abort(reason, text)
		}
	}
	c.conclude(now, text)
	c.notify(Failed | Finished | Readable | Writable)
}

// conclude ends the connection for everybody but its subflows' TIME-WAIT.
func (c *Conn) conclude(now clock.Instant, text string) {
	c.done = true
	for _, sf := range c.subflows {
		if sf != c.fastWait.path {
			sf.tcp.Orphan() // FIN-WAIT-2 does not last for ever
		}
	}
	c.rtxAt, c.closeAt = clock.Never, clock.Never
	c.uncountEstablished()
	c.stack.dropToken(c)
	c.reinject.reset()
	c.tellPM(now, pm.Event{Kind: pm.ConnClosed, Path: -1})
	c.trace(now, trace.Event{Kind: trace.ConnClosed, Path: -1, Text: text})
	c.again = true
}

// reap deals with subflows whose TCP ended.
func (c *Conn) reap(now clock.Instant) {
	kept := c.subflows[:0]
	for _, sf := range c.subflows {
		if sf.tcp.State() == tcp.StateTimeWait {
			sf.end("fin")
		}
		if sf.over && sf.stage != ended {
			c.endSubflow(now, sf)
		}
		if sf.gone {
			sf.forget()
			continue
		}
		kept = append(kept, sf)
	}
	clear(c.subflows[len(kept):])
	c.subflows = kept
}

// endSubflow tells everybody that a subflow is over. Its data that is not
// DATA_ACKed goes to the others.
func (c *Conn) endSubflow(now clock.Instant, sf *subflow) {
	sf.stage = ended
	sf.joinAt, sf.failAt, sf.removal.at = clock.Never, clock.Never, clock.Never
	c.requeue(sf)
	c.unbind(sf)
	c.ended = append(c.ended, sf.info(now))
	sf.trace(now, trace.Event{Kind: trace.SubflowClosed, Text: sf.reason, Local: sf.local, Remote: sf.remote})
	c.tellClosed(now, sf)
	if !c.done && (c.streaming() || !c.established) {
		c.lastSubflowEnded(now, sf)
	}
}

// lastSubflowEnded passes the end of the only subflow on to the owner. An MPTCP
// connection that was established outlives its subflows: CloseTimeout.
func (c *Conn) lastSubflowEnded(now clock.Instant, sf *subflow) {
	switch {
	case sf.join:
	case sf.reason == "fin" || c.recv.finDone && c.writeEnded:
		c.recv.finDone = true
		c.finish(now, "fin")
	case sf.reason == "timeout" && sf.tcp.Err() == tcp.ErrUnreachable:
		c.fail(now, ErrUnreachable, "unreachable")
	case sf.reason == "timeout":
		c.fail(now, ErrTimedOut, "timeout")
	case sf.reason == "icmp" && sf.tcp.Err() == tcp.ErrUnreachable:
		c.fail(now, ErrUnreachable, "unreachable")
	case sf.reason == "icmp":
		c.fail(now, ErrRefused, "refused")
	case sf.reason == "rst" && !c.established && sf.active:
		c.fail(now, ErrRefused, "refused")
	case sf.reason == "rst" && sf.finSeen && !c.writeEnded: // in CLOSE-WAIT, as Linux's tcp_reset
		c.fail(now, ErrPipe, "rst")
	case sf.reason == "rst":
		c.fail(now, ErrReset, "rst")
	default:
		c.fail(now, ErrProtocol, sf.reason)
	}
}

// forget drops the last trace of a subflow.
func (sf *subflow) forget() {
	c := sf.conn
	sf.trustFastOpen()
	c.stack.unbind(flowKey{sf.local, sf.remote}, sf)
	for i := range sf.tx.maps.all() {
		if b := sf.tx.maps.all()[i].own; b != nil {
			c.send.recycle(b)
		}
	}
	sf.tx.maps.reset()
}
