package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
)

// A connection that has been idle for a while gives its memory back, all but a few
// kilobytes; it takes new when something is to be sent or arrives again.

// idleAfter is the time since the last segment.
const idleAfter = time.Second

// idleAt returns when buffers that are empty are given back, which may have been before;
// Never: there are none.
func (c *Conn) idleAt() clock.Instant {
	if !c.holdsBuffers() {
		return clock.Never
	}
	var last clock.Instant
	for _, sf := range c.subflows {
		last = max(last, sf.tcp.LastUsed())
	}
	return last.Add(idleAfter)
}

// idleDeadline is when the connection wants to be called for that.
func (c *Conn) idleDeadline() clock.Instant {
	return max(c.idleAt(), c.stack.now.Add(time.Millisecond))
}

// holdsBuffers reports whether there is memory that is not needed now: what
// releaseBuffers gives back.
func (c *Conn) holdsBuffers() bool {
	r := &c.recv
	if c.send.ring.Size() > 0 && c.sentAll() || c.send.spare != nil || r.ring.Size() > 0 && r.ring.Len() == 0 ||
		r.ooo.Spare() || c.reinject.set.Spare() || c.planSpare() {
		return true
	}
	for _, sf := range c.subflows {
		sf.rx.current() // drops mappings that were passed
		if r := &sf.rx.ring; r.Size() > 0 && r.Len() == 0 || sf.tx.maps.spare() || sf.tx.bound.spare() || sf.rx.maps.spare() || sf.tcp.HoldsMemory() {
			return true
		}
	}
	return false
}

// planSpare reports whether there is a plan and nothing to decide.
func (c *Conn) planSpare() bool { return c.plan != nil && c.idle() && c.sentAll() }

// sentAll reports whether the peer has all that was written, on each subflow that
// carried it.
func (c *Conn) sentAll() bool {
	low := c.send.una
	for _, sf := range c.subflows {
		low = sf.tx.lowest(low)
	}
	return low == c.send.end
}

// releaseBuffers gives back what is not needed now.
func (c *Conn) releaseBuffers() {
	if c.sentAll() {
		c.send.ring.Free(c.send.end)
		c.send.ring.Release()
	}
	c.send.spare = nil
	c.recv.ring.Release()
	c.recv.ooo.Release()
	c.reinject.set.Release()
	if c.planSpare() {
		c.plan = nil
	}
	for _, sf := range c.subflows {
		sf.rx.ring.Release()
		sf.tx.maps.release()
		sf.tx.bound.release()
		sf.rx.maps.release()
		sf.tcp.ReleaseMemory()
	}
}
