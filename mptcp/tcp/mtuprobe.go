package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Path MTU discovery without ICMP (RFC 4821) as Linux has it: where timeouts suggest
// that a router drops large packets in silence, the MSS falls to a safe size; then
// segments larger than that are tried.

// MTUProbing is net.ipv4.tcp_mtu_probing.
type MTUProbing int8

// The modes.
const (
	MTUProbingOff       MTUProbing = iota // tcp_mtu_probing=0
	MTUProbingBlackHole                   // 1: after timeouts
	MTUProbingAlways                      // 2
)

const (
	probeRetries   = 3                // tcp_retries1: timeouts in a row that suggest a black hole
	probeBaseMSS   = 1024             // tcp_base_mss
	probeFloor     = 48               // tcp_mtu_probe_floor
	probeThreshold = 8                // tcp_probe_threshold: the search ends at that precision
	probeInterval  = 10 * time.Minute // tcp_probe_interval: then it begins anew
	probeMinCwnd   = 11
)

// mtuProbe is the search for the MTU of the path. Sizes are those of IP packets. A probe of
// a subflow has one mapping, as each of its segments; its size counts the room that is kept
// for it.
type mtuProbe struct {
	enabled   bool
	bounds    bool // low bounds the MSS
	low, high int  // known to pass; the largest that is worth a try
	size      int  // of the probe in flight; 0: none
	at        span // its place
	since     clock.Instant
}

// overhead is what a packet has beside payload and the upper's options.
func (c *Conn) overhead() int { return c.headerLen() + c.timestampsLen() }

// startMTUProbing begins the search if it is wanted from the start.
func (c *Conn) startMTUProbing(now clock.Instant) {
	p := &c.mtup
	p.high = min(c.peerMSS+c.headerLen(), c.mtu)
	p.low = min(probeBaseMSS+c.overhead(), p.high)
	p.since = now
	p.enabled = c.cfg.MTUProbing == MTUProbingAlways
	// Linux computes the MSS of a connection that it accepted before this, and again
	// when the peer's window grows.
	p.bounds = !c.passive
	c.flow.MSS = c.MSS()
}

// mtuBlackHole is called at a timeout: after a few in a row the MSS falls to that of
// search_low, then to half of it (tcp_mtu_probing).
func (c *Conn) mtuBlackHole(now clock.Instant) {
	p := &c.mtup
	if c.cfg.MTUProbing == MTUProbingOff || c.retransmits < probeRetries {
		return
	}
	if !p.enabled {
		p.enabled, p.since = true, now
	} else {
		mss := max(min((p.low-c.overhead())/2, probeBaseMSS), probeFloor, minMSS)
		p.low = mss + c.overhead()
	}
	p.bounds = true
	c.flow.MSS = c.MSS()
	c.markOversize()
}

// probeRoom returns the payload of a probe that could be sent now (tcp_mtu_probe). 0:
// none; -1: none, and nothing else before cwnd has room for it.
func (c *Conn) probeRoom(now clock.Instant, unsent int) int {
	p := &c.mtup
	if !p.enabled || !p.bounds || p.size != 0 || c.flow.State != cc.Open || c.flow.Cwnd < probeMinCwnd ||
		!c.ranges.empty() || c.owed.numDSACK > 0 || c.wq.begun {
		return 0
	}
	mss := c.MSS()
	n := (p.high+p.low)/2 - c.overhead() - c.reserved
	if p.high-p.low < probeThreshold {
		c.searchAgain(now)
		return 0
	}
	needed := n + (c.reordering+1)*mss
	switch {
	case n <= mss || unsent < needed || c.sndWnd < needed:
		return 0
	case c.SndWndEnd().Less(c.sndNxt.Add(needed)):
		return -1
	case c.board.pipe()+2 > c.flow.Cwnd:
		if c.board.pipe() == 0 {
			return 0
		}
		return -1
	}
	return n
}

// searchAgain begins the search anew a while after the last: paths change
// (tcp_mtu_check_reprobe).
func (c *Conn) searchAgain(now clock.Instant) {
	if p := &c.mtup; now.Sub(p.since) >= probeInterval {
		c.startMTUProbing(now)
		p.enabled, p.bounds = true, true
	}
}

// probeSent notes that n bytes at ssn went out as a probe. It counts for two
// segments.
func (c *Conn) probeSent(ssn wire.Seq, n int) {
	c.mtup.size, c.mtup.at = n+c.overhead()+c.reserved, span{ssn, ssn.Add(n)}
	c.flow.Cwnd--
}

// mtuProbeAcked raises the MSS when the probe has arrived (tcp_mtup_probe_success).
// cwnd stays what it is in bytes.
func (c *Conn) mtuProbeAcked() {
	p, f := &c.mtup, &c.flow
	if p.size == 0 || c.sndUna.Less(p.at.right) {
		return
	}
	c.priorSSThresh = c.currentSSThresh()
	f.Cwnd = max(f.Cwnd*(c.MSS()+c.overhead()+c.reserved)/p.size, 1)
	f.SSThresh = c.currentSSThresh()
	p.low, p.size = p.size, 0
	f.MSS = c.MSS()
}

// mtuProbeLost takes a loss for that of the probe: nothing was congested; true: it was
// the probe (tcp_mtup_probe_failed).
//
// "Failure to receive an acknowledgment for a probe packet [...] is not an indication
// of congestion" (https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2).
func (c *Conn) mtuProbeLost(now clock.Instant) bool {
	p := &c.mtup
	if p.size == 0 || c.sndUna != p.at.left {
		return false
	}
	p.high, p.size = p.size-1, 0
	c.flow.Cwnd++
	c.markOversize()
	c.enterRepair(now)
	return true
}
