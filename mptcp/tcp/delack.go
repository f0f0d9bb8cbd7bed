package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// maxOwedACKs bounds the pure ACKs that one batch of input can ask for.
const maxOwedACKs = 64

// AckNow makes an ACK go out with the next Output, with or without news: a
// window update, a signal in the upper's options.
func (c *Conn) AckNow() {
	if c.owed.acks == 0 {
		c.owed.acks = 1
	}
}

// Probe makes a segment go out that the peer has to answer, with what it has to
// say of windows in the upper's options. A connection that probes by itself, for
// its window is shut, or that waits for an ACK anyway does not.
func (c *Conn) Probe() {
	if c.sendsData() && c.board.packets == 0 && c.sndNxt.Less(c.SndWndEnd()) {
		c.owed.probe = true
		c.probesOut++
	}
}

// scheduleACK decides when the segment that receive has taken is acknowledged.
//
// "an ACK SHOULD be generated for at least every second full-sized segment, and
// MUST be generated within 500 ms ... Out-of-order data segments SHOULD be
// acknowledged immediately ... the receiver SHOULD send an immediate ACK when it
// receives a data segment that fills in all or part of a gap"
// (https://www.rfc-editor.org/rfc/rfc5681#section-4.2).
func (c *Conn) scheduleACK(now clock.Instant, s *wire.Segment, before wire.Seq, hadGap, fin bool) {
	inOrder := c.rcvNxt != before
	if inOrder && len(s.Payload) > 0 {
		c.measureSegment(s)
		c.adaptATO(now)
	}
	if fin && inOrder && c.state == StateEstablished {
		// The application's last words or its own FIN may take the ACK along (tcp_fin
		// enters pingpong mode).
		c.pingpong, fin = true, false
	}
	at := c.ackNow
	c.ackNow = false
	switch {
	case !inOrder || hadGap || fin || c.owed.numDSACK > 0:
		if !inOrder {
			c.enterQuickACK(maxQuickACKs)
			c.count.rcvOutOfOrder++
		}
		c.owed.acks = min(c.owed.acks+1, maxOwedACKs)
	case at:
		c.AckNow()
	case c.rcvNxt.Sub(c.lastAcked) > c.rcvMSS || c.quickACKs > 0 && !c.pingpong:
		c.AckNow()
	case !c.timers.Armed(timerDelACK):
		c.timers.Set(timerDelACK, now.Add(c.ackDelay()))
	}
}

// enterQuickACK makes the next ACKs, most at most, go out at once
// (tcp_enter_quickack_mode).
func (c *Conn) enterQuickACK(most int) {
	c.incQuickACKs(most)
	c.pingpong = false
	c.ato = minATO
}

// incQuickACKs is the same unless ACKs wait for replies (tcp_incr_quickack).
func (c *Conn) incQuickACKs(most int) {
	n := max(c.rcvAdv.Sub(c.lastAcked), 0) / (2 * max(c.rcvMSS, 1))
	if n == 0 {
		n = 2
	}
	c.quickACKs = max(c.quickACKs, min(n, most))
}

// measureSegment learns what a full segment of the peer's is, and whether s is the
// end of one of its writes (tcp_measure_rcv_mss).
func (c *Conn) measureSegment(s *wire.Segment) {
	n := len(s.Payload)
	last := c.lastSegLen
	c.lastSegLen = 0
	if n >= c.rcvMSS {
		c.rcvMSS = min(n, c.mtu-c.headerLen())
		if s.Flags&wire.PSH != 0 {
			c.ackPushed = max(c.ackPushed, 1)
		}
		return
	}
	whole := n + (s.Options.Len()+3)/4*4
	if whole >= defaultMSS || whole >= minSegment && s.Flags&wire.PSH == 0 {
		// Options vary: what is the same with them twice in a row is a full segment.
		c.lastSegLen = whole - c.timestampsLen()
		if c.lastSegLen == last {
			c.rcvMSS = last
			return
		}
	}
	c.ackPushed = min(c.ackPushed+1, 2)
}

// minSegment is TCP_MIN_MSS: a segment without PSH that is larger is a full one.
const minSegment = 88

// adaptATO follows the rhythm of arrivals as Linux does: the delay of an ACK is
// what the application and the peer need for a turn (tcp_event_data_recv).
func (c *Conn) adaptATO(now clock.Instant) {
	gap := now.Sub(c.lastDataRecv)
	switch {
	case c.ato == 0:
		c.incQuickACKs(maxQuickACKs)
		c.ato = minATO
	case gap <= minATO/2:
		c.ato = c.ato/2 + minATO/2
	case gap < c.ato:
		c.ato = min(c.ato/2+gap, c.RTO())
	case gap > c.RTO():
		// The sender has restarted: it needs ACKs to open its window.
		c.incQuickACKs(maxQuickACKs)
	}
	c.lastDataRecv = now
}

// Drained says that the application has read; empty: everything. An ACK that
// waits goes out if it was for two segments, or if the peer waits for it
// (tcp_cleanup_rbuf).
func (c *Conn) Drained(empty bool) {
	if !c.timers.Armed(timerDelACK) {
		return
	}
	if c.rcvNxt.Sub(c.lastAcked) > c.rcvMSS || empty && (c.ackPushed > 1 || c.ackPushed == 1 && !c.pingpong) {
		c.AckNow()
	}
}

// QuickACK is TCP_QUICKACK: off says that replies follow what arrives, so that ACKs wait
// for them; on, one that waits goes out if the application has read everything.
func (c *Conn) QuickACK(on, empty bool) {
	c.pingpong = !on
	if on && empty && c.timers.Armed(timerDelACK) {
		c.AckNow()
	}
}

// QuickACKs reports whether ACKs do not wait for replies.
func (c *Conn) QuickACKs() bool { return !c.pingpong }

// ackDelay returns how long an ACK may wait: not longer than a round trip, and that of
// a FIN before any data only until the next tick (an icsk_ack.ato of 0).
func (c *Conn) ackDelay() time.Duration {
	if c.ato == 0 {
		return tick
	}
	d := c.ato
	if c.rtt.srtt8 != 0 {
		d = min(d, max(c.rtt.smoothed(), minATO))
	}
	return min(max(d, minATO), maxATO)
}

// onDelACK sends an ACK that waited for company in vain.
func (c *Conn) onDelACK() {
	if c.pingpong {
		c.pingpong = false
		c.ato = minATO
	} else {
		c.ato = min(c.ato*2, c.RTO())
	}
	c.AckNow()
}

// ackSent notes that the segment just written acknowledged everything.
func (c *Conn) ackSent() {
	c.lastAcked = c.rcvNxt
	c.ackPushed = 0
	if c.quickACKs > 0 {
		c.quickACKs--
	}
	c.timers.Stop(timerDelACK)
}

// owesSACK reports whether the ACKs owed tell of something beyond rcvNxt, so
// that each has to go out by itself.
func (c *Conn) owesSACK() bool {
	return c.owed.acks > 0 && (c.owed.acks > 1 || c.owed.numDSACK > 0 || !c.ranges.empty())
}

// sackLen returns the bytes that the SACK option takes of the next segment of a plain
// stream. A subflow's segments with data keep their place: a full one leaves the option
// out, since a pure ACK has said before what there is to say.
func (c *Conn) sackLen() int {
	if !c.streams() || !c.sackOK || c.owed.numDSACK == 0 && c.ranges.empty() {
		return 0
	}
	n := min(c.owed.numDSACK, 1)
	for _, s := range c.recent {
		if s.len() > 0 {
			n++
		}
	}
	return 4 + 8*min(n, (maxOptionsLen-c.timestampsLen()-4)/8)
}

// addSACK adds as many blocks as fit beside the upper's options into space bytes:
// first the duplicate that is to be reported, then what arrived last.
func (c *Conn) addSACK(o *wire.Options, space int) {
	if !c.sackOK || c.owed.numDSACK == 0 && c.ranges.empty() {
		return
	}
	room := (space - o.Len() - 4) / 8
	n := 0
	add := func(s span) {
		if n < room && n < len(o.SACK) {
			o.SACK[n] = wire.SACKBlock{Left: c.irs + s.left, Right: c.irs + s.right}
			n++
		}
	}
	if c.owed.numDSACK > 0 && room > 0 {
		d := c.owed.dsacks[0]
		copy(c.owed.dsacks[:], c.owed.dsacks[1:c.owed.numDSACK])
		c.owed.numDSACK--
		add(d)
		c.addEnclosing(d, add)
	} else if room > 0 {
		first := c.takeBlock()
		if first.len() > 0 {
			add(first)
		}
		for _, s := range c.recent {
			if s.len() > 0 && (first.len() == 0 || !s.touches(first)) {
				add(s)
			}
		}
	}
	if n > 0 {
		o.Has |= wire.HasSACK
		o.NumSACK = n
	}
}

// takeBlock returns the block that holds the segment for which the next of the ACKs
// is owed; an empty one if none is. Of several segments that arrived before an ACK
// could go out, each is reported first once: beside a DSS and timestamps there is
// room for one block only, and what is never reported the sender repeats.
func (c *Conn) takeBlock() span {
	for o := &c.owed; o.nextBlock < len(o.blocks); {
		seq := o.blocks[o.nextBlock]
		o.nextBlock++
		if i := c.ranges.find(seq); i < len(c.ranges.spans) && c.ranges.spans[i].left.LessEq(seq) {
			return c.ranges.spans[i]
		}
	}
	return span{}
}

// addEnclosing adds the blocks that follow a D-SACK block: the one that holds
// the duplicate first, if it lies beyond rcvNxt (RFC 2883, 4).
func (c *Conn) addEnclosing(d span, add func(span)) {
	for _, s := range c.recent {
		if s.len() > 0 && s.touches(d) {
			add(s)
		}
	}
	for _, s := range c.recent {
		if s.len() > 0 && !s.touches(d) {
			add(s)
		}
	}
}
