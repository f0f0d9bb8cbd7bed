package tcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// receive takes the payload and the FIN of an acceptable segment.
func (c *Conn) receive(now clock.Instant, s *wire.Segment, seq wire.Seq) {
	switch c.state {
	case StateEstablished, StateFINWait1, StateFINWait2, StateSYNReceived: // the last: AcceptData
	default:
		c.receiveAfterFIN(now, s, seq)
		return
	}
	if s.Flags&wire.SYN != 0 { // the SYN/ACK of a simultaneous open: its SYN is known
		c.noteDuplicate(s, seq)
		return
	}
	if s.Len() == 0 {
		return
	}
	if c.state != StateEstablished && (c.orphan || c.readClosed) && c.streams() && c.isNew(s, seq) {
		// Nobody will read it: say so, as RFC 9293, 3.6.1 and RFC 2525, 2.17 want. What
		// still arrives on a subflow whose connection is over came on another one before.
		c.refuse(now, s)
		return
	}
	before := c.rcvNxt
	hadGap := !c.ranges.empty()
	fin := c.takeFIN(s, seq)
	if len(s.Payload) > 0 {
		c.takePayload(now, s, seq)
		if c.state == StateClosed {
			return
		}
	} else {
		c.noteDuplicate(s, seq)
	}
	if fin && c.rcvNxt.Less(c.rcvFIN) {
		c.record(span{c.rcvFIN, c.rcvFIN.Add(1)}) // SACK blocks count it
	}
	if c.hasFIN && c.rcvFIN.LessEq(c.rcvNxt) && !c.finArrived {
		c.rcvNxt = c.rcvFIN.Add(1)
		c.finArrived = true
		if c.state == StateEstablished {
			c.dropBeyondFIN()
		}
		hadGap = hadGap && !fin
	}
	if len(s.Payload) > 0 {
		c.sampleRcvRTT(now, s)
	}
	if c.rcvNxt != before {
		c.count.bytesReceived += uint64(c.rcvNxt.Sub(before))
		c.upper.InOrder(now, c.rcvNxt, c.finArrived)
		if c.state == StateClosed {
			return
		}
	}
	c.scheduleACK(now, s, before, hadGap, fin)
	if c.finArrived && fin || c.finArrived && c.rcvNxt != before {
		c.finReceived(now)
	}
}

// receiveAfterFIN handles what comes after the peer's FIN.
//
// "This should not occur since a FIN has been received from the remote side. Ignore the
// segment text." (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4, seventh). Old
// text is acknowledged again; text that begins before the FIN and goes beyond it is that
// of another stream, which Linux resets.
func (c *Conn) receiveAfterFIN(now clock.Instant, s *wire.Segment, seq wire.Seq) {
	switch {
	case s.Len() == 0:
	case c.state == StateTimeWait:
		c.answerOld(now, s, seq)
	case !seq.Less(c.rcvNxt):
	case c.streams() && c.isNew(s, seq):
		c.refuse(now, s)
	default:
		c.answerOld(now, s, seq)
	}
}

// isNew reports whether s has payload that goes beyond what has arrived in order.
func (c *Conn) isNew(s *wire.Segment, seq wire.Seq) bool {
	return len(s.Payload) > 0 && c.rcvNxt.Less(seq.Add(len(s.Payload)))
}

// refuse ends the connection with the RST that a segment to no connection gets
// (tcp_v4_send_reset).
func (c *Conn) refuse(now clock.Instant, s *wire.Segment) {
	c.owed.stray, c.owed.straySeq = true, s.Ack
	c.end(now, ErrReset, 0)
}

// takeFIN notes where the peer's stream ends; it reports whether s says so and
// the FIN lies in the window.
func (c *Conn) takeFIN(s *wire.Segment, seq wire.Seq) bool {
	if s.Flags&wire.FIN == 0 {
		return false
	}
	at := seq.Add(len(s.Payload))
	if at.Less(c.rcvNxt) || c.hasFIN || c.windowEnd().Less(at) {
		return false
	}
	c.hasFIN, c.rcvFIN = true, at
	return true
}

// takePayload trims the payload of s to the window and to what is new, and hands
// it to the upper.
func (c *Conn) takePayload(now clock.Instant, s *wire.Segment, seq wire.Seq) {
	p := s.Payload
	c.noteDuplicate(s, seq)
	c.receiveECN(s)
	all := span{seq, seq.Add(len(p))}
	if all.left.Less(c.rcvNxt) {
		all.left = c.rcvNxt
	}
	end := c.windowEnd()
	if c.hasFIN && c.rcvFIN.Less(end) {
		end = c.rcvFIN
	}
	if end.Less(all.right) {
		all.right = end
	}
	for all.len() > 0 && len(c.ranges.spans) < maxRanges {
		g, ok := c.ranges.gap(all)
		if !ok {
			break
		}
		off := g.left.Sub(seq)
		kept := min(max(c.upper.Deliver(now, g.left, p[off:off+g.len()]), 0), g.len())
		if c.state == StateClosed {
			return
		}
		c.record(span{g.left, g.left.Add(kept)})
		if all.left = g.right; all.left.Less(c.rcvNxt) {
			all.left = c.rcvNxt // what was staged behind the gap
		}
	}
}

// record notes that s is kept.
func (c *Conn) record(s span) {
	switch {
	case s.len() <= 0:
	case s.left == c.rcvNxt:
		c.rcvNxt = c.ranges.advance(s.right)
		c.forgetSACKs()
	default:
		c.pushSACK(c.ranges.add(s))
		if o := &c.owed; len(o.blocks) < maxOwedACKs {
			o.blocks = append(o.blocks, s.left)
		}
	}
}

// pushSACK puts s, which grew last, first among the blocks to report.
//
// "The first SACK block ... MUST specify the contiguous block of data containing
// the segment which triggered this ACK ... The SACK option SHOULD be filled out
// by repeating the most recently reported SACK blocks"
// (https://www.rfc-editor.org/rfc/rfc2018#section-4).
func (c *Conn) pushSACK(s span) {
	prev := s
	for i := range c.recent {
		cur := c.recent[i]
		c.recent[i] = prev
		if cur.len() == 0 {
			return
		}
		if cur.touches(s) {
			// Part of s now: close the gap that it leaves.
			c.dropSACKs(i+1, s)
			return
		}
		prev = cur
	}
}

// dropSACKs removes the blocks from i on that are part of s.
func (c *Conn) dropSACKs(i int, s span) {
	n := i
	for ; i < len(c.recent); i++ {
		if cur := c.recent[i]; cur.len() > 0 && !cur.touches(s) {
			c.recent[n] = cur
			n++
		}
	}
	for ; n < len(c.recent); n++ {
		c.recent[n] = span{}
	}
}

// forgetSACKs removes the blocks that rcvNxt has passed.
func (c *Conn) forgetSACKs() {
	n := 0
	for _, s := range c.recent {
		if s.len() > 0 && c.rcvNxt.Less(s.left) {
			c.recent[n] = s
			n++
		}
	}
	for ; n < len(c.recent); n++ {
		c.recent[n] = span{}
	}
}

// dropBeyondFIN forgets what arrived out of order, since it lies behind the end of the
// stream, and the duplicates not told of yet (tcp_fin).
func (c *Conn) dropBeyondFIN() {
	c.ranges.spans = c.ranges.spans[:0]
	clear(c.recent[:])
	c.owed.numDSACK = 0
}

// noteDuplicate owes a D-SACK for what of s, its SYN and FIN among it, had arrived
// already.
//
// The first block of the next ACK reports it, once
// (https://www.rfc-editor.org/rfc/rfc2883#section-4).
func (c *Conn) noteDuplicate(s *wire.Segment, seq wire.Seq) {
	if !c.sackOK || s.Len() == 0 || c.owed.numDSACK == len(c.owed.dsacks) {
		return
	}
	p := span{seq, seq.Add(s.Len())}
	var dup span
	if p.left.Less(c.rcvNxt) {
		dup = p
		if c.rcvNxt.Less(dup.right) {
			dup.right = c.rcvNxt
		}
	} else if o, ok := c.ranges.overlap(p); ok {
		dup = o
	} else {
		return
	}
	c.owed.dsacks[c.owed.numDSACK] = dup
	c.owed.numDSACK++
}
