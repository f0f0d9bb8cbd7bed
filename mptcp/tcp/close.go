package tcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Close sends a FIN after everything that Unsent reports has been sent. The
// other direction stays open.
func (c *Conn) Close() {
	if c.closing {
		return
	}
	switch c.state {
	case StateSYNSent:
		c.closing, c.wq.ends = true, true
		c.gone(nil)
	case StateSYNReceived:
		c.closing, c.wq.ends = true, true
	case StateEstablished:
		c.closing, c.wq.ends = true, true
		c.state = StateFINWait1
	case StateCloseWait:
		c.closing, c.wq.ends = true, true
		c.state = StateLastAck
	}
}

// Orphan says that nobody will read from or write to the connection again: after
// Close, FIN-WAIT-2 is then bounded by FinTimeout, retransmissions are fewer, and
// data that arrives is answered by a RST.
func (c *Conn) Orphan() { c.orphan = true }

// CloseRead says that nobody will read from the connection again: data that arrives after
// Close is answered by a RST.
func (c *Conn) CloseRead() { c.readClosed = true }

// boundOrphan starts the timer of an orphan in FIN-WAIT-2, whose peer may never
// close.
func (c *Conn) boundOrphan(now clock.Instant) {
	if c.orphan && c.state == StateFINWait2 && !c.timers.Armed(timerLinger) {
		c.timers.Set(timerLinger, now.Add(c.cfg.FinTimeout))
	}
}

// Abort resets the connection: RST with the next Output, with MP_TCPRST if the
// upper's Options adds it. Err is a *ResetError with reason.
func (c *Conn) Abort(reason wire.RstReason) {
	c.abort(&ResetError{Reason: reason, Text: "tcp: connection aborted"})
}

func (c *Conn) abort(err *ResetError) {
	switch c.state {
	case StateClosed:
		return
	case StateSYNSent, StateTimeWait:
	default:
		c.owed.rst, c.owed.rstFlags = true, wire.RST|wire.ACK
	}
	c.gone(err)
}

// gone ends the connection outside of any mutation that knows the time: Closed
// is said with the next Output or Advance.
func (c *Conn) gone(err error) {
	c.state = StateClosed
	if c.err == nil {
		c.err = err
	}
	for i := range c.timers {
		c.timers.Stop(i)
	}
	c.flow.Established = false
	c.owed = owed{rst: c.owed.rst, rstFlags: c.owed.rstFlags, stray: c.owed.stray, straySeq: c.owed.straySeq, closed: c.owed.closed}
}

// end ends the connection with event e (0: none) and Closed.
func (c *Conn) end(now clock.Instant, err error, e Event) {
	if c.state == StateClosed {
		return
	}
	c.gone(err)
	if e != 0 {
		c.upper.Event(now, e)
	}
	c.sayClosed(now)
}

// sayClosed tells the upper once that the connection can be dropped.
func (c *Conn) sayClosed(now clock.Instant) {
	if c.owed.closed || c.owed.rst || c.owed.stray {
		return
	}
	c.owed.closed = true
	c.family.Drop(c.ctrl)
	c.upper.Event(now, Closed)
}

// resetReceived ends the connection at an acceptable RST.
func (c *Conn) resetReceived(now clock.Instant, s *wire.Segment) {
	err := ErrReset
	if c.state == StateSYNReceived && !c.passive {
		err = ErrRefused
	}
	if c.state == StateTimeWait {
		c.end(now, nil, 0)
		return
	}
	// The upper may read the reason (MP_TCPRST); what it answers is of no use.
	_ = c.upper.HandleOptions(now, s)
	c.end(now, err, ResetReceived)
}

// finAcked moves on when the peer has acknowledged our FIN.
func (c *Conn) finAcked(now clock.Instant) {
	if !c.finSent || c.sndUna != c.sndNxt {
		return
	}
	switch c.state {
	case StateFINWait1:
		c.state = StateFINWait2
		c.boundOrphan(now)
	case StateClosing:
		c.timeWait(now)
	case StateLastAck:
		c.end(now, nil, 0)
	}
}

// finReceived moves on when the peer's FIN has arrived in order.
func (c *Conn) finReceived(now clock.Instant) {
	switch c.state {
	case StateEstablished:
		c.state = StateCloseWait
	case StateFINWait1:
		// Our FIN was acknowledged already if finAcked has not seen it now.
		c.state = StateClosing
	case StateFINWait2:
		c.timeWait(now)
	default:
		return
	}
	c.upper.Event(now, FINReceived)
}

// timeWait enters TIME-WAIT, where retransmitted FINs are answered.
func (c *Conn) timeWait(now clock.Instant) {
	c.state = StateTimeWait
	for i := range c.timers {
		c.timers.Stop(i)
	}
	c.flow.State = cc.Open
	c.timers.Set(timerLinger, now.Add(c.cfg.TimeWait))
}
