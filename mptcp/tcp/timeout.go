package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// orphanRetries bounds the retransmissions of a connection that nobody owns any
// more (tcp_orphan_retries).
const orphanRetries = 8

// Advance lets time pass to now.
func (c *Conn) Advance(now clock.Instant) {
	c.wq.more, c.wq.ends = false, false
	c.burst += 2
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
	run(timerReorder, c.onReorderTimer)
	run(timerTLP, c.onTLP)
	run(timerRTO, c.onRTO)
	run(timerPersist, c.onPersist)
	run(timerKeepalive, c.onKeepalive)
	run(timerLinger, c.onLinger)
	if t.Expired(timerPace, now) {
		c.wq.waits = false
	}
	if t.Expired(timerDelACK, now) && c.state != StateClosed {
		c.onDelACK()
	}
}

// armRTO starts the retransmission timer anew; after a timeout not beyond the end
// of TCP_USER_TIMEOUT (tcp_clamp_rto_to_user_timeout).
func (c *Conn) armRTO(now clock.Instant) {
	d := c.RTO()
	if limit := c.cfg.UserTimeout; limit > 0 && c.repeatedSince != clock.Never && !c.holdsSYNACK() {
		d = min(d, max(c.repeatedSince.Add(limit).Sub(now), tick))
	}
	if !c.holdsSYNACK() || !c.timers.Armed(timerRTO) {
		c.timers.Set(timerRTO, now.Add(d))
	}
}

// userTimedOut reports whether TCP_USER_TIMEOUT has passed since the first
// retransmission: "the maximum amount of time in milliseconds that transmitted
// data may remain unacknowledged" (tcp(7); RFC 5482).
func (c *Conn) userTimedOut(now clock.Instant) bool {
	limit := c.cfg.UserTimeout
	return limit > 0 && c.repeatedSince != clock.Never && now.Sub(c.repeatedSince) >= limit
}

// onRTO handles the expiry of the retransmission timer.
func (c *Conn) onRTO(now clock.Instant) {
	if c.laterMTU > 0 {
		c.SetMTU(c.laterMTU)
		c.laterMTU = 0
	}
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
	if c.retransmits >= limit || c.userTimedOut(now) {
		c.end(now, c.timeoutError(), TimedOut)
		return
	}
	c.lastRTO = now
	c.mtuBlackHole(now)
	c.enterLoss(now)
	c.retransmits++
	c.count.rtos++
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
	if c.synRetransmits >= limit || c.synGivesUp(now) || !c.holdsSYNACK() && c.userTimedOut(now) {
		c.end(now, c.timeoutError(), TimedOut)
		return
	}
	if c.holdsSYNACK() && c.synRetransmits == 1 {
		c.enterLoss(now) // of what was sent early, as Linux does
	}
	if c.repeatedSince = min(c.repeatedSince, now); !c.passive {
		c.repeatedSince = c.synSentAt // of a SYN TCP_USER_TIMEOUT counts from the first one
	}
	c.synRetransmits++
	c.retransmits++
	c.count.totalRetrans++
	c.owed.syn = true
	if c.holdsSYNACK() {
		c.stampRetransmit(now)
	}
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

// waiting reports whether something waits to be sent for the first time.
func (c *Conn) waiting() bool {
	if !c.sendsData() {
		return false
	}
	n, _, _ := c.upper.Unsent()
	return n > 0 || c.closing
}

// checkPersist starts the persist timer if something waits, nothing is in flight
// that would bring an ACK, and the window (or Nagle's algorithm, or silly window
// avoidance) forbids sending.
func (c *Conn) checkPersist(now clock.Instant) {
	if c.board.packets > 0 || c.timers.Armed(timerPersist) || !c.waiting() {
		return
	}
	if n, _, more := c.upper.Unsent(); c.streams() && n > 0 {
		if c.Room(now) > 0 || c.timers.Armed(timerPace) {
			return
		}
	} else if c.windowRoom(n, more) > 0 {
		return
	}
	c.timers.Set(timerPersist, now.Add(c.persistInterval(now)))
}

// persistInterval is the time to the next probe of a window; it does not go beyond
// TCP_USER_TIMEOUT (tcp_clamp_probe0_to_user_timeout).
func (c *Conn) persistInterval(now clock.Instant) time.Duration {
	d := backedOff(max(c.RTO(), c.cfg.RTOMin), c.persistBackoff, c.cfg.RTOMax)
	if limit := c.cfg.UserTimeout; limit > 0 && c.probingSince != clock.Never {
		d = min(d, max(c.probingSince.Add(limit).Sub(now), minTimeout))
	}
	return d
}

// onPersist probes a window that stays shut.
//
// "The transmitting host SHOULD send the first zero-window probe when a zero
// window has existed for the retransmission timeout period, and SHOULD increase
// exponentially the interval between successive probes"
// (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1).
func (c *Conn) onPersist(now clock.Instant) {
	if c.board.packets > 0 || !c.waiting() {
		c.persistBackoff, c.probingSince = 0, clock.Never
		return
	}
	expired := false
	if c.probingSince == clock.Never {
		c.probingSince = now
	} else if limit := c.cfg.UserTimeout; limit > 0 {
		expired = now.Sub(c.probingSince) >= limit
	}
	limit := c.cfg.Retries2
	if c.orphan {
		limit = min(limit, orphanRetries)
	}
	if expired || c.probesOut >= limit {
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
	c.timers.Set(timerPersist, now.Add(c.persistInterval(now)))
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
	case c.cfg.UserTimeout == 0 && c.probesOut >= c.cfg.KeepaliveProbes,
		c.cfg.UserTimeout > 0 && c.probesOut > 0 && now.Sub(heard) >= c.cfg.UserTimeout:
		c.owed.rst, c.owed.rstFlags = true, wire.RST|wire.ACK
		c.end(now, ErrTimedOut, TimedOut)
	default:
		c.probesOut++
		c.owed.probe = true
		c.timers.Set(timerKeepalive, now.Add(c.cfg.KeepaliveInterval))
	}
}

// onLinger ends TIME-WAIT, or FIN-WAIT-2 of an orphan.
func (c *Conn) onLinger(now clock.Instant) { c.end(now, nil, 0) }
