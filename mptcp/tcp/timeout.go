package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
)

// orphanRetries bounds the retransmissions of a connection that nobody owns any
// more (tcp_orphan_retries).
const orphanRetries = 8

// Advance lets time pass to now.
func (c *Conn) Advance(now clock.Instant) {
	if c.state == StateClosed {
		c.sayClosed(now)
		return
	}
	t := c.timers
	run := func(id int, f func(clock.Instant)) {
		if c.state != StateClosed && t.Expired(id, now) {
			f(now)
		}
	}
	run(timerUser, c.onUserTimeout)
	run(timerReorder, c.onReorderTimer)
	run(timerTLP, c.onTLP)
	run(timerRTO, c.onRTO)
	run(timerPersist, c.onPersist)
	run(timerKeepalive, c.onKeepalive)
	run(timerLinger, c.onLinger)
	t.Expired(timerPace, now)
	if t.Expired(timerDelACK, now) && c.state != StateClosed {
		c.onDelACK()
	}
}

// armRTO starts the retransmission timer anew.
func (c *Conn) armRTO(now clock.Instant) {
	if !c.holdsSYNACK() || !c.timers.Armed(timerRTO) {
		c.timers.Set(timerRTO, now.Add(c.RTO()))
	}
}

// onRTO handles the expiry of the retransmission timer.
func (c *Conn) onRTO(now clock.Instant) {
	if c.state == StateSYNSent || c.state == StateSYNReceived {
		c.synTimeout(now)
		return
	}
	if c.board.packets == 0 {
		return
	}
	limit := c.cfg.Retries2
	if c.orphan {
		limit = min(limit, orphanRetries)
	}
	if c.sndWnd == 0 && c.retransmits > 0 && c.lastAckRecv > c.lastRTO {
		// The peer answers, with its window shut: that is no reason to give up.
		c.retransmits--
	}
	if c.retransmits >= limit {
		c.end(now, c.timeoutError(), TimedOut)
		return
	}
	c.lastRTO = now
	c.enterLoss(now)
	c.retransmits++
	// "The host MUST set RTO <- RTO * 2 ('back off the timer')"
	// (https://www.rfc-editor.org/rfc/rfc6298#section-5, 5.5).
	c.backOff(now)
}

// backOff doubles the timeout that has expired.
func (c *Conn) backOff(now clock.Instant) {
	c.expiredRTO = c.RTO()
	c.backoff++
	c.armRTO(now)
	c.upper.Event(now, RTOExpired)
}

// synTimeout sends our SYN or SYN/ACK once more, or gives up.
//
// The first SYNLinearTimeouts of an active SYN come without back-off and on top of
// SYNRetries, as Linux does (tcp_syn_linear_timeouts).
func (c *Conn) synTimeout(now clock.Instant) {
	limit, linear := c.cfg.SYNRetries+c.cfg.SYNLinearTimeouts, c.cfg.SYNLinearTimeouts
	if c.passive {
		limit, linear = c.cfg.SYNACKRetries, 0
		if c.fo.passive {
			limit++ // "Add one more retry for fastopen" (Linux)
		}
	}
	if c.synRetransmits >= limit || c.synGivesUp(now) {
		c.end(now, c.timeoutError(), TimedOut)
		return
	}
	if c.holdsSYNACK() && c.synRetransmits == 1 {
		c.enterLoss(now) // of what was sent early, as Linux does
	}
	c.synRetransmits++
	c.retransmits++
	c.count.totalRetrans++
	c.owed.syn = true
	if c.synRetransmits <= linear {
		c.expiredRTO = c.RTO()
		c.armRTO(now)
		c.upper.Event(now, RTOExpired)
		return
	}
	c.backOff(now)
}

// timeoutError is the soft error that came before the timeout, if any, as in Linux.
func (c *Conn) timeoutError() error {
	if c.softErr != nil {
		return c.softErr
	}
	return ErrTimedOut
}

// startUserTimer bounds the time that data may remain unacknowledged (RFC 5482).
func (c *Conn) startUserTimer(now clock.Instant) {
	if c.cfg.UserTimeout > 0 {
		c.timers.Set(timerUser, now.Add(c.cfg.UserTimeout))
	}
}

func (c *Conn) onUserTimeout(now clock.Instant) { c.end(now, ErrTimedOut, TimedOut) }

// waiting reports whether something waits to be sent for the first time.
func (c *Conn) waiting() bool {
	if !c.sendsData() {
		return false
	}
	n, _, _ := c.upper.Unsent()
	return n > 0 || c.closing
}

// checkPersist starts the persist timer if something waits, nothing is in flight
// that would bring an ACK, and the window (or silly window avoidance) forbids
// sending.
func (c *Conn) checkPersist(now clock.Instant) {
	if c.board.packets > 0 || c.timers.Armed(timerPersist) || !c.waiting() {
		return
	}
	if c.windowRoom() > 0 {
		return
	}
	c.timers.Set(timerPersist, now.Add(c.persistInterval()))
	if !c.timers.Armed(timerUser) {
		c.startUserTimer(now)
	}
}

func (c *Conn) persistInterval() time.Duration {
	return backedOff(c.rtt.rto, c.persistBackoff, c.cfg.RTOMax)
}

// onPersist probes a window that stays shut.
//
// "The transmitting host SHOULD send the first zero-window probe when a zero
// window has existed for the retransmission timeout period, and SHOULD increase
// exponentially the interval between successive probes"
// (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1).
func (c *Conn) onPersist(now clock.Instant) {
	if c.board.packets > 0 || !c.waiting() {
		c.persistBackoff = 0
		return
	}
	if c.probesOut >= c.cfg.Retries2 {
		c.end(now, c.timeoutError(), TimedOut)
		return
	}
	c.persistBackoff++
	if c.sndNxt.Less(c.SndWndEnd()) {
		// Something fits, though little: silly window avoidance ends here
		// (3.8.6.2.1: the override timeout).
		c.forceCredit = true
	} else {
		c.owed.probe = true
		c.probesOut++
	}
	c.timers.Set(timerPersist, now.Add(c.persistInterval()))
}

// startKeepalive arms the keepalive timer, if it is wanted.
func (c *Conn) startKeepalive(now clock.Instant) {
	if c.cfg.KeepaliveIdle > 0 {
		c.timers.Set(timerKeepalive, now.Add(c.cfg.KeepaliveIdle))
	}
}

// onKeepalive probes a peer that has been silent too long
// (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4).
func (c *Conn) onKeepalive(now clock.Instant) {
	heard := max(c.lastDataRecv, c.lastAckRecv)
	switch {
	case c.board.packets > 0 || c.waiting():
		c.startKeepalive(now)
	case now < heard.Add(c.cfg.KeepaliveIdle):
		c.timers.Set(timerKeepalive, heard.Add(c.cfg.KeepaliveIdle))
	case c.probesOut >= c.cfg.KeepaliveProbes:
		c.owed.rst = true
		c.end(now, ErrTimedOut, TimedOut)
	default:
		c.probesOut++
		c.owed.probe = true
		c.timers.Set(timerKeepalive, now.Add(c.cfg.KeepaliveInterval))
	}
}

// onLinger ends TIME-WAIT, or FIN-WAIT-2 of an orphan.
func (c *Conn) onLinger(now clock.Instant) { c.end(now, nil, 0) }
