package tcp

import (
	"mptcplab/mptcp/wire"
)

// Linux hands new data to the device in chunks of several segments and sets PSH on
// the last segment of each chunk of two or more (tcp_transmit_skb: "force a PSH
// flag on TSO packets"). Segments leave one by one here; burst counts where those
// chunks would end.

const (
	minTSOSegs   = 2 // tcp_min_tso_segs
	tsoRTTLog    = 9 // tcp_tso_rtt_log
	gsoMaxSize   = 65536
	pacingShift  = 10 // a chunk is what the pacing rate sends in about 1 ms
	maxTSOSegs   = 64
	pacingCARate = 120 // tcp_pacing_ca_ratio, percent
	pacingSSRate = 200 // tcp_pacing_ss_ratio
)

// chunkSegs returns how many segments Linux would send in one chunk now, with
// unsent bytes waiting (tcp_mss_split_point, tcp_cwnd_test, tcp_tso_autosize).
func (c *Conn) chunkSegs(unsent int) int {
	mss := max(c.MSS(), 1)
	full := unsent / mss
	if unsent%mss != 0 && c.cfg.NoDelay {
		full++
	}
	wnd := c.SndWndEnd().Sub(c.sndNxt) / mss
	return max(1, min(full, wnd, max(1, c.flow.Cwnd/2), c.flow.Cwnd-c.board.pipe(), c.autoSegs(mss)))
}

// autoSegs returns the segments of a chunk that suit the pacing rate and, on short
// paths, the round-trip time.
func (c *Conn) autoSegs(mss int) int {
	if c.rtt.smoothed() <= 0 {
		return maxTSOSegs
	}
	bytes := c.PacingRate() >> pacingShift
	if r := c.flow.MinRTT.Microseconds() >> tsoRTTLog; r < 32 {
		bytes += gsoMaxSize >> r
	}
	return max(int(min(bytes, gsoMaxSize))/mss, minTSOSegs)
}

// PacingRate returns the bytes in a second at which the controller paces or, if it
// does not, at which Linux would (tcp_update_pacing_rate): 120 % of cwnd in a
// round-trip time, 200 % in slow start. 0: there is no round-trip time yet.
func (c *Conn) PacingRate() uint64 {
	if rate := c.ctrl.Pacing(&c.flow); rate > 0 {
		return rate
	}
	rtt := c.rtt.smoothed()
	if rtt <= 0 {
		return 0
	}
	ratio := pacingCARate
	if c.flow.Cwnd < c.flow.SSThresh/2 {
		ratio = pacingSSRate
	}
	cwnd := max(c.flow.Cwnd, c.board.packets)
	return perSecond(uint64(c.MSS()*cwnd*ratio/100), rtt)
}

// pushOfBurst returns PSH if the segment with n new bytes ends a chunk of two or
// more. Subflows have none: their chunks are their mappings.
func (c *Conn) pushOfBurst(n int) wire.Flags {
	if c.reserved != 0 {
		return 0
	}
	if c.burst == 0 {
		unsent, _, _ := c.upper.Unsent()
		c.burst = max(c.chunkSegs(unsent), 1)
		c.burstLone = c.burst == 1
	}
	c.burst--
	if c.burst == 0 && !c.burstLone {
		return wire.PSH
	}
	return 0
}
