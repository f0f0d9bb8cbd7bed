package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// rackState is what RACK (RFC 8985, section 5.3) remembers of deliveries.
type rackState struct {
	sentAt     clock.Instant // of the run sent last among those delivered
	order      uint64        // and its place in the order of transmission
	rtt        time.Duration
	fack       wire.Seq // the highest sequence number delivered
	valid      bool
	reordering bool // seen on this connection
	reoWndMult int
	reoWndLeft int // recoveries until reoWndMult falls back to 1
	dsackRound wire.Seq
	dsackInRTT bool
}

// reoWndPersist is how many recoveries a widened reordering window lasts
// (https://www.rfc-editor.org/rfc/rfc8985#section-6.2).
const reoWndPersist = 16

// rackDelivered takes note of a run that the ACK a says was delivered.
func (c *Conn) rackDelivered(now clock.Instant, r *run, a *ackEvent) {
	k := &c.rack
	if r.flags&runEver == 0 && k.valid && r.start.Less(a.priorFack) {
		// What was sent once and arrives behind what was sent later was reordered
		// (https://www.rfc-editor.org/rfc/rfc8985#section-6.2, step 3).
		k.reordering = true
		c.count.reordSeen++
	}
	if !k.valid || k.fack.Less(r.end) {
		k.fack = r.end
	}
	rtt := now.Sub(r.sentAt)
	if r.flags&runEver != 0 && rtt < c.rtt.min {
		// The ACK is for the original: the segment "was last retransmitted less than
		// RACK.min_rtt ago" (https://www.rfc-editor.org/rfc/rfc8985#section-6.2, step
		// 2). The other check there, by TSecr, fails for what is SACKed: an ACK echoes
		// the timestamp of the last segment in order (RFC 7323, 4.3).
		return
	}
	// RFC 8985 breaks ties of the clock by sequence number; the order of
	// transmission itself has none.
	if !k.valid || k.order < r.order {
		k.sentAt, k.order, k.rtt = r.sentAt, r.order, rtt
		k.valid = true
	}
}

// rackReoWnd returns the reordering window (RFC 8985, 6.2, step 4).
func (c *Conn) rackReoWnd() time.Duration {
	k := &c.rack
	if !k.reordering {
		if c.flow.State >= cc.Recovery || c.board.sacked >= dupThresh {
			return 0
		}
	}
	return min(c.rtt.min/4*time.Duration(max(k.reoWndMult, 1)), c.rtt.smoothed())
}

// rackDSACK widens the reordering window, at most once per round trip: a D-SACK
// says that a retransmission was needless.
func (c *Conn) rackDSACK() {
	k := &c.rack
	if k.dsackInRTT && c.sndUna.Less(k.dsackRound) && k.dsackRound.LessEq(c.sndNxt) {
		return
	}
	k.dsackInRTT, k.dsackRound = true, c.sndNxt
	k.reoWndMult = min(max(k.reoWndMult, 1)+1, 255)
	k.reoWndLeft = reoWndPersist
}

// rackRecovered lets a widened reordering window wear off.
func (c *Conn) rackRecovered() {
	k := &c.rack
	if k.reoWndLeft > 0 {
		if k.reoWndLeft--; k.reoWndLeft == 0 {
			k.reoWndMult = 1
		}
	}
}

// rackDetectLoss deems lost what was sent long enough before something that was
// delivered, and arms the reordering timer for what may follow.
//
// That is step 5 of https://www.rfc-editor.org/rfc/rfc8985#section-6.2. The list
// by time ends the search at the first run that was sent later.
func (c *Conn) rackDetectLoss(now clock.Instant) {
	c.timers.Stop(timerReorder)
	k := &c.rack
	if !k.valid {
		return
	}
	reoWnd := c.rackReoWnd()
	var wait time.Duration
	for id := c.board.oldest; id != noRun; {
		r := c.board.at(id)
		next := r.newer
		if k.order <= r.order {
			break
		}
		if left := r.sentAt.Add(k.rtt + reoWnd).Sub(now); left <= 0 {
			c.board.setLost(id)
		} else {
			wait = max(wait, left)
		}
		id = next
	}
	if wait > 0 {
		c.timers.Set(timerReorder, now.Add(wait))
	}
}

// onReorderTimer runs when the reordering window of something has passed
// (RFC 8985, 6.3).
func (c *Conn) onReorderTimer(now clock.Instant) {
	before := c.board.pipe()
	c.rackDetectLoss(now)
	if c.board.pipe() < before {
		if c.flow.State < cc.Recovery {
			c.enterRecovery(now)
			if !c.ctrl.Owns() {
				c.prr(0, c.board.lost, false)
			}
		}
		c.armRTO(now)
	}
}

// armTLP schedules a tail loss probe if one is of use, not later than the RTO.
//
// "PTO = 2 * SRTT; If FlightSize is one segment: PTO += TLP.max_ack_delay"; not
// "in fast recovery, RTO recovery, or [if] segments have been SACKed"
// (https://www.rfc-editor.org/rfc/rfc8985#section-7.2).
func (c *Conn) armTLP(now clock.Instant) {
	c.timers.Stop(timerTLP)
	if !c.sackOK || c.tlpHigh != 0 || c.tlpBlind || c.board.packets == 0 || c.flow.State != cc.Open ||
		c.board.sacked != 0 || !c.sendsData() && !c.finSent || c.holdsSYNACK() {
		return
	}
	pto := initialRTO
	if c.rtt.srtt8 != 0 {
		pto = 2 * c.rtt.smoothed()
		if c.board.packets == 1 {
			pto += maxATO
		}
	}
	// Where the RTO is earlier the probe goes in its place, as in Linux
	// (tcp_schedule_loss_probe).
	if c.timers.Armed(timerRTO) {
		c.timers.Set(timerTLP, min(now.Add(max(pto, time.Millisecond)), c.timers[timerRTO]))
	}
}

// onTLP sends a probe: a new segment if there is one and the window allows it,
// else the last segment again.
func (c *Conn) onTLP(now clock.Instant) {
	if c.board.packets == 0 || c.tlpHigh != 0 {
		return
	}
	// No second probe before an RTT sample: "loss probe retransmissions do not
	// prevent taking the RTT samples necessary to adapt SRTT" (7.3).
	c.tlpBlind = true
	if n, _, _ := c.upper.Unsent(); n > 0 && c.sendsData() && c.sndNxt.Less(c.SndWndEnd()) {
		c.probeCredit = true
	} else {
		c.owed.tlp = true
	}
	c.extendRTO(now)
}

// extendRTO leaves the probe the time of its answer, a round trip, before the
// retransmission timer expires.
//
// "the sender MUST re-arm the RTO timer"
// (https://www.rfc-editor.org/rfc/rfc8985#section-7.3). Its pseudocode and Linux
// count a whole RTO from the probe. Here the timer of the oldest segment stands
// if it is later than the answer can be: so a path that went silent is given up
// an RTO after its last sign of life, and MPTCP sends the data elsewhere. A
// connection without MPTCP (nothing reserved for options) does as Linux.
func (c *Conn) extendRTO(now clock.Instant) {
	if c.reserved == 0 || c.rtt.srtt8 == 0 || !c.timers.Armed(timerRTO) {
		c.armRTO(now)
		return
	}
	answer := now.Add(c.rtt.smoothed() + time.Duration(c.rtt.mdev4))
	c.timers.Set(timerRTO, max(c.timers[timerRTO], answer))
}

// tlpAck ends a tail loss probe when its ACK arrives.
//
// If it was a retransmission and repaired the only loss, the ACK looks like any
// other; congestion control has to hear of the loss all the same
// (https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2).
func (c *Conn) tlpAck(now clock.Instant, ack wire.Seq, a *ackEvent) {
	if c.tlpHigh == 0 || ack.Less(c.tlpHigh) {
		return
	}
	switch {
	case !c.tlpRetrans:
		c.tlpHigh = 0
	case a.dsack:
		c.tlpHigh = 0 // the original and the probe both arrived
	case c.tlpHigh.Less(ack):
		c.tlpHigh = 0
		c.enterCWR()
		c.leaveReduction()
		c.flow.State = cc.Open
	case !a.advanced && !a.hasSACK && a.pure:
		c.tlpHigh = 0 // a duplicate ACK: the original had arrived
	}
}
