package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// phase is a step of one drain: what subflows owe goes out with the connection's
// old state, then its work is done once, then everything else goes out.
type phase uint8

const (
	phaseOwed phase = iota
	phaseWork
	phaseSend
)

// output writes one packet of the connection; ok is false when all is said.
func (c *Conn) output(now clock.Instant, buf []byte) (link machine.LinkID, n int, ok bool) {
	for {
		switch c.phase {
		case phaseOwed:
			if link, n, ok = c.outputOwed(now, buf); ok {
				return link, n, true
			}
			c.phase = phaseWork
		case phaseWork:
			c.again = false
			c.work(now)
			c.phase, c.turn = phaseSend, 0
		case phaseSend:
			if link, n, ok = c.outputOwed(now, buf); ok {
				return link, n, true
			}
			if link, n, ok = c.sendData(now, buf); ok {
				return link, n, true
			}
			switch {
			case c.again:
				c.phase = phaseWork
			case !c.nothingNew():
				return 0, 0, false
			}
		}
	}
}

// nothingNew tells the subflows that the scheduler has nothing new for them; true: one had
// waited for that, and repairs what it lost instead.
func (c *Conn) nothingNew() (repairs bool) {
	if c.streaming() {
		return false
	}
	for _, sf := range c.subflows {
		if sf.linked && !c.stack.links[sf.link].blocked {
			repairs = sf.tcp.NothingNew() || repairs
		}
	}
	return repairs
}

// outputOwed writes what TCP itself owes on the subflows, in their order. What
// has no way out is lost, as a packet without route is.
func (c *Conn) outputOwed(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	for c.turn < len(c.subflows) {
		sf := c.subflows[c.turn]
		if sf.linked && c.stack.links[sf.link].blocked {
			c.turn++
			continue
		}
		n, ok := sf.tcp.Output(now, buf)
		switch {
		case !ok:
			c.turn++
		case sf.linked:
			return sf.link, n, true
		}
	}
	c.turn = 0
	return 0, 0, false
}

// work is what the connection does once per mutation, between what its subflows
// owed before and what they owe after.
func (c *Conn) work(now clock.Instant) {
	c.takeEnds(now)
	c.reap(now)
	c.confirmJoins(now)
	c.repeatFails(now)
	c.checkRemovals(now)
	c.stack.runPM(now)
	c.closeWork(now)
	c.signalWork(now)
	c.watchWindow(now)
	for _, sf := range c.subflows {
		if sf.ackAfterFIN {
			sf.ackAfterFIN, c.again = false, true
		} else if sf.ackOwed && !sf.over {
			sf.ackOwed = false
			sf.tcp.AckNow()
		}
	}
	c.reap(now)
}

// ackAll lets every subflow say what is new of the connection: a window that
// opened, a DATA_FIN.
func (c *Conn) ackAll() {
	for _, sf := range c.subflows {
		if sf.stage == open {
			sf.ackOwed = true
		}
	}
}

// expire is called when the connection's deadline has come.
func (c *Conn) expire(s *Stack, now clock.Instant) {
	c.advance(now)
	s.touch(c)
}

// advance runs the timers of the connection and its subflows.
func (c *Conn) advance(now clock.Instant) {
	for _, sf := range c.subflows {
		if sf.tcp.Deadline() <= now {
			sf.tcp.Advance(now)
		}
	}
	if c.idleAt() <= now {
		c.releaseBuffers()
	}
	if c.rtxAt <= now {
		c.retransmit(now)
	}
	if c.fastCloseDeadline() <= now {
		c.repeatFastClose(now)
	}
	if c.closeAt <= now {
		c.closeAt = clock.Never
		c.fastClosed = c.speech == multipath // if a subflow is left
		c.fail(now, ErrTimedOut, "timeout")
	}
}

// deadline returns when the connection wants time to pass.
func (c *Conn) deadline() clock.Instant {
	at := clock.Min(clock.Min(c.rtxAt, c.closeAt), c.fastCloseDeadline())
	at = clock.Min(at, c.idleDeadline())
	if c.speech == multipath && !c.done {
		at = clock.Min(at, c.signals.deadline())
	}
	for _, sf := range c.subflows {
		if sf.linked && c.stack.links[sf.link].blocked {
			continue // SetWritable wakes it
		}
		at = clock.Min(at, clock.Min(sf.tcp.Deadline(), clock.Min(clock.Min(sf.joinAt, sf.failAt), sf.removal.at)))
	}
	return at
}
