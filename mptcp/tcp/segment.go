package tcp

import (
	"errors"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Segment processes a segment of this connection; s is borrowed for the call.
// The upper is called in this order: Acked, HandleOptions, Event(Established) if
// s completed the handshake, Deliver, InOrder.
func (c *Conn) Segment(now clock.Instant, s *wire.Segment) {
	c.count.segsIn++
	if len(s.Payload) > 0 {
		c.count.dataSegsIn++
	}
	c.wq.more, c.wq.ends = false, false
	c.burst += 2
	switch c.state {
	case StateClosed, StateListen:
		return
	case StateSYNSent:
		c.segmentSYNSent(now, s)
		return
	}
	seq := s.Seq - c.irs
	if !c.acceptable(now, s, seq) || !c.checkFlags(now, s, seq) {
		return
	}
	established := c.state == StateSYNReceived
	if established && !c.completeHandshake(now, s) {
		return
	}
	if !c.processAck(now, s, seq) || !c.handleOptions(now, s) {
		return
	}
	if established {
		c.sampleSYN(now, s)
		c.establish(now)
		if c.state == StateClosed {
			return
		}
	}
	c.finAcked(now)
	if c.state == StateClosed {
		return
	}
	c.receive(now, s, seq)
}

// acceptable checks the sequence number and the timestamp. What is out of the
// window is answered with an ACK and dropped (RFC 9293, 3.10.7.4, first).
func (c *Conn) acceptable(now clock.Instant, s *wire.Segment, seq wire.Seq) bool {
	end := seq.Add(s.Len())
	if c.state == StateSYNReceived && s.Flags&(wire.SYN|wire.RST) == wire.SYN && seq == 0 {
		switch {
		case s.Flags&wire.ACK == 0 && c.passive:
			c.owed.syn = true // the SYN again: our SYN/ACK may be lost
		case s.Flags&wire.ACK != 0 && !c.passive && s.Len() == 1 && s.Ack == c.iss+c.sndNxt:
			return true // the SYN/ACK of a simultaneous open
		default:
			c.challenge(now)
		}
		return false
	}
	if c.pawsRejects(now, s) {
		// "If ... SEG.TSval < TS.Recent, ... treat the arriving segment as not
		// acceptable: Send an acknowledgment in reply ... and drop the segment"
		// (https://www.rfc-editor.org/rfc/rfc7323#section-5.3).
		c.answerOld(now, s, seq)
		return false
	}
	if end.Less(c.lastAcked) || c.windowEnd().Less(seq) {
		if s.Flags&wire.RST == 0 {
			c.answerOld(now, s, seq)
			return false
		}
		return c.resetFits(seq)
	}
	return true
}

// windowEnd is the right edge of the window we advertised.
func (c *Conn) windowEnd() wire.Seq {
	if c.rcvAdv.Less(c.rcvNxt) {
		return c.rcvNxt
	}
	return c.rcvAdv
}

// pawsRejects reports whether the timestamp of s is older than one seen already
// (PAWS). A RST is exempt.
func (c *Conn) pawsRejects(now clock.Instant, s *wire.Segment) bool {
	if !c.tsOK || !c.hasTS || s.Flags&wire.RST != 0 || s.Options.Has&wire.HasTimestamps == 0 {
		return false
	}
	return int32(s.Options.TSVal-c.tsRecent) < 0 && now.Sub(c.tsRecentAt) < pawsIdle
}

// keepTimestamp remembers the timestamp to echo.
//
// "If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then SEG.TSval is
// copied to TS.Recent" (https://www.rfc-editor.org/rfc/rfc7323#section-4.3).
func (c *Conn) keepTimestamp(now clock.Instant, s *wire.Segment, seq wire.Seq) {
	if !c.tsOK || s.Options.Has&wire.HasTimestamps == 0 || !seq.LessEq(c.lastAcked) {
		return
	}
	c.tsRecent, c.tsRecentAt, c.hasTS = s.Options.TSVal, now, true
}

// checkFlags handles RST, SYN and a missing ACK as RFC 5961 has it; false: the
// segment is finished.
func (c *Conn) checkFlags(now clock.Instant, s *wire.Segment, seq wire.Seq) bool {
	if s.Flags&wire.RST != 0 {
		// "If the RST bit is set and the sequence number exactly matches the next
		// expected sequence number (RCV.NXT), then TCP MUST reset the connection";
		// if it is merely in the window, "send an acknowledgment (challenge ACK)"
		// (https://www.rfc-editor.org/rfc/rfc5961#section-3.2).
		if c.resetFits(seq) {
			c.resetReceived(now, s)
		} else {
			c.challenge(now)
			c.upper.Event(now, ResetChallenged)
		}
		return false
	}
	if s.Flags&wire.SYN != 0 && !(c.state == StateSYNReceived && seq == 0) {
		// "If the SYN bit is set, irrespective of the sequence number, TCP MUST send
		// an ACK (also referred to as challenge ACK)"
		// (https://www.rfc-editor.org/rfc/rfc5961#section-4.2).
		c.challenge(now)
		return false
	}
	return s.Flags&wire.ACK != 0
}

// resetFits reports whether a RST has the number that only the peer can know, as RFC
// 5961 has it. As in Linux that is also one which shows that ACKs of ours were lost: the
// right edge of what we SACKed, and the number of the FIN (tcp_reset_check).
func (c *Conn) resetFits(seq wire.Seq) bool {
	if !c.cfg.AsLinux {
		return seq == c.rcvNxt
	}
	switch c.state {
	case StateCloseWait, StateLastAck, StateClosing:
		if seq.Add(1) == c.rcvNxt {
			return true
		}
	}
	edge := c.rcvNxt
	if c.sackOK {
		for _, s := range c.recent {
			if s.len() > 0 && edge.Less(s.right) {
				edge = s.right
			}
		}
	}
	return seq == c.rcvNxt || seq == edge
}

// completeHandshake handles the ACK of our SYN/ACK; false: it acknowledges
// something else.
func (c *Conn) completeHandshake(now clock.Instant, s *wire.Segment) bool {
	ack := s.Ack - c.iss
	if !wire.Seq(0).Less(ack) || c.sndNxt.Less(ack) {
		// "If the segment acknowledgment is not acceptable, form a reset segment
		// <SEQ=SEG.ACK><CTL=RST> and send it".
		c.owed.stray, c.owed.straySeq = true, s.Ack
		return false
	}
	if s.Flags&wire.SYN != 0 {
		c.sndWL1 = 0
		c.owed.acks++
	} else {
		c.sndWL1 = s.Seq - c.irs - 1
		if c.passive && !c.fo.passive {
			c.maxSndWnd = 0 // the SYN's, which is not scaled, was none to send into (tcp_create_openreq_child)
		}
	}
	c.synAcked(now, ack)
	return true
}

// handleOptions shows s to the upper; false: the connection is gone.
func (c *Conn) handleOptions(now clock.Instant, s *wire.Segment) bool {
	if err := c.upper.HandleOptions(now, s); err != nil {
		var re *ResetError
		if !errors.As(err, &re) {
			re = &ResetError{Text: err.Error()}
		}
		opening := c.state == StateSYNReceived && c.passive
		if s.Seq-c.irs == c.rcvNxt {
			c.rcvNxt = c.rcvNxt.Add(len(s.Payload)) // Linux's TCP has taken it before MPTCP looks
		}
		c.abort(re)
		if opening {
			c.owed.rstFlags = wire.RST // as to a segment for no connection: Linux has none yet
		}
	}
	return c.state != StateClosed
}

// challenge owes an ACK for a segment that may be an attacker's, at a bounded rate.
func (c *Conn) challenge(now clock.Instant) {
	if c.oowAllowed(now) {
		c.owed.acks++
	}
}

// answerOld answers a segment of which nothing is taken. Of a SYN no D-SACK tells, for
// it may be another connection's, and in TIME-WAIT none does (tcp_send_dupack).
func (c *Conn) answerOld(now clock.Instant, s *wire.Segment, seq wire.Seq) {
	if s.Flags&wire.SYN == 0 && c.state != StateTimeWait {
		c.noteDuplicate(s, seq)
	}
	c.ackOutOfWindow(now, s)
}

// ackOutOfWindow owes the ACK for an unacceptable segment; if it carries no data
// (so that two ends cannot answer each other for ever) at a bounded rate.
func (c *Conn) ackOutOfWindow(now clock.Instant, s *wire.Segment) {
	if len(s.Payload) > 0 || s.Flags&wire.FIN != 0 || c.oowAllowed(now) {
		c.owed.acks++
	}
	if c.state == StateTimeWait && s.Flags&wire.FIN != 0 {
		// "The only thing that can arrive in this state is a retransmission of the
		// remote FIN. Acknowledge it, and restart the 2 MSL timeout."
		c.timers.Set(timerLinger, now.Add(c.cfg.TimeWait))
	}
}

func (c *Conn) oowAllowed(now clock.Instant) bool {
	if c.oowSent && now.Sub(c.lastOOW) < oowACKLimit {
		return false
	}
	c.oowSent, c.lastOOW = true, now
	return true
}
