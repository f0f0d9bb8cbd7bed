package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
)

// blackhole is the time during which something is not tried, since a network has
// swallowed it: doubled each time that happens in a row, up to 64 times as long.
type blackhole struct {
	since clock.Instant
	times int // in a row
}

const maxDoublings = 6

// found notes that it happened; timeout 0: that does not matter.
func (b *blackhole) found(now clock.Instant, timeout time.Duration) bool {
	if timeout == 0 {
		return false
	}
	b.since = now
	b.times++
	return true
}

// holds reports whether it is not to be tried now.
func (b *blackhole) holds(now clock.Instant, timeout time.Duration) bool {
	if timeout == 0 || b.times == 0 {
		return false
	}
	return now < b.since.Add(timeout<<min(b.times-1, maxDoublings))
}

// over notes that it worked.
func (b *blackhole) over() { b.times = 0 }

// MPTCP is tried with a few SYNs, then without, and "not tried for a while" if it was
// the option that was in the way: the SYN/ACK came as soon as it was gone (Linux,
// net.mptcp.blackhole_timeout).

// mayOffer reports whether a new connection asks for MPTCP, and if not falls back.
func (c *Conn) mayOffer(now clock.Instant) bool {
	s := c.stack
	if !s.noMPTCP.holds(now, s.sysctl.blackhole()) {
		return true
	}
	c.fall(now, reasonBlackhole)
	return false
}

// givesUpOffer decides at each timeout of the SYN whether the next one goes without
// MP_CAPABLE; last: there is no next one.
func (c *Conn) givesUpOffer(now clock.Instant, last bool) {
	limit := c.cfg.SYNRetriesBeforeTCPFallback
	if c.speech != offered || limit >= neverFallBack {
		return
	}
	if limit = max(limit, 0); int(c.synsSent) > limit || last {
		c.synDropped = true
		c.fall(now, reasonSYNUnanswered)
	}
}

// heardSYNACK is called when the answer to the first SYN is there.
func (c *Conn) heardSYNACK(now clock.Instant) {
	s := c.stack
	switch {
	case c.speech == multipath:
		s.noMPTCP.over()
	case c.synDropped && s.noMPTCP.found(now, s.sysctl.blackhole()):
		// "It looks like MPTCP is blocked, while TCP is not" (Linux).
		s.counters.MPTcpExtBlackhole++
		c.trace(now, trace.Event{Kind: trace.Dropped, Path: -1, Text: "MPTCP is blocked here"})
	}
}
