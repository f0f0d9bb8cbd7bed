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
	rtt        time.Duration // of the run delivered last
	rttBurst   uint32
	valid      bool
	advanced   bool // something was delivered since an ACK made us look for losses
	reordering bool // seen on this connection
	dsackSeen  bool
	reoWndMult int
	reoWndLeft int    // recoveries until reoWndMult falls back to 1
	lastRound  uint64 // delivered bytes when reoWndMult was last widened
}

const (
	// reoWndPersist is how many recoveries a widened reordering window lasts
	// (https://www.rfc-editor.org/rfc/rfc8985#section-6.2).
	reoWndPersist = 16
	// minTimeout is the least that RACK and TLP wait for more ACKs:
	// TCP_TIMEOUT_MIN, two ticks of Linux's clock.
	minTimeout = 2 * time.Millisecond
	tick       = time.Millisecond
)

// rackDelivered takes note of a run that the ACK at hand says was delivered.
func (c *Conn) rackDelivered(now clock.Instant, r *run) {
	k := &c.rack
	rtt := now.Sub(r.sentAt)
	if r.flags&runEver != 0 && rtt < c.rtt.min {
		// The ACK is for the original: the segment "was last retransmitted less than
		// RACK.min_rtt ago" (https://www.rfc-editor.org/rfc/rfc8985#section-6.2, step
		// 2). The other check there, by TSecr, fails for what is SACKed: an ACK echoes
		// the timestamp of the last segment in order (RFC 7323, 4.3).
		return
	}
	// Linux takes the round trip of whatever is delivered; RFC 8985 only that of
	// what was sent last. Ties of the clock are broken by the order of transmission.
	k.advanced = true
	k.rtt, k.rttBurst = rtt, r.burst
	if !k.valid || k.order < r.order {
		k.sentAt, k.order = r.sentAt, r.order
		k.valid = true
	}
}

// rackReoWnd returns the reordering window (RFC 8985, 6.2, step 4).
func (c *Conn) rackReoWnd() time.Duration {
	k := &c.rack
	if !k.reordering {
		if c.flow.State >= cc.Recovery || c.board.sacked >= c.reordering {
			return 0
		}
	}
	return min(c.rtt.min/4*time.Duration(max(k.reoWndMult, 1)), c.rtt.smoothed())
}

// rackUpdateReoWnd widens the reordering window, at most once per round trip, if a
// D-SACK said that a retransmission was needless.
func (c *Conn) rackUpdateReoWnd() {
	k := &c.rack
	if !c.rate.haveSample {
		return
	}
	if c.rate.sample.delivered < k.lastRound {
		k.dsackSeen = false // not a round trip since
	}
	switch {
	case k.dsackSeen:
		k.reoWndMult = min(max(k.reoWndMult, 1)+1, 255)
		k.dsackSeen = false
		k.lastRound = c.rate.delivered
		k.reoWndLeft = reoWndPersist
	case k.reoWndLeft == 0:
		k.reoWndMult = 1
	}
}

// rackRecovered lets a widened reordering window wear off.
func (c *Conn) rackRecovered() { c.rack.reoWndLeft = max(c.rack.reoWndLeft-1, 0) }

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
		left := r.sentAt.Add(k.rtt + reoWnd).Sub(now)
		if left == 0 && int32(r.burst-k.rttBurst) > 0 {
			left = 1 // it was sent a little later than what the round trip is of
		}
		if left <= 0 {
			c.board.setLost(id)
		} else {
			wait = max(wait, left)
		}
		id = next
	}
	if wait > 0 {
		// "When arming a RACK reordering timer or TLP PTO timer, the sender SHOULD cancel
		// any other pending timers" (https://www.rfc-editor.org/rfc/rfc8985#section-8).
		c.timers.Stop(timerTLP)
		wait = (wait + minTimeout + tick - 1) / tick * tick
		c.timers.Set(timerReorder, now.Add(min(wait, c.RTO())))
	}
}

// onReorderTimer runs when the reordering window of something has passed
// (RFC 8985, 6.3).
func (c *Conn) onReorderTimer(now clock.Instant) {
	before := c.board.pipe()
	c.rackDetectLoss(now)
	if c.board.pipe() < before {
		if c.flow.State != cc.Recovery {
			c.enterRecovery(now, false)
			if !c.ctrl.Owns() {
				c.prr(1, 0, false)
			}
		}
		c.armRTO(now)
	}
}

// armTLP schedules a tail loss probe if one is of use, not later than the RTO, which
// an ACK has just set anew (advancing) or counts from when the oldest segment was sent.
//
// "PTO = 2 * SRTT; If FlightSize is one segment: PTO += TLP.max_ack_delay"; not
// "in fast recovery, RTO recovery, or [if] segments have been SACKed"
// (https://www.rfc-editor.org/rfc/rfc8985#section-7.2).
func (c *Conn) armTLP(now clock.Instant, advancing bool) {
	armed := c.timers.Armed(timerTLP)
	c.timers.Stop(timerTLP)
	if !c.sackOK || c.board.packets == 0 || c.board.sacked != 0 && !c.cfg.AsLinux || c.holdsSYNACK() ||
		c.flow.State != cc.Open && c.flow.State != cc.CWR || !c.sendsData() && !c.finSent {
		if armed && c.streams() && c.board.packets > 0 {
			c.resumeRTO(now)
		}
		return
	}
	pto := initialRTO
	if c.rtt.srtt8 != 0 {
		pto = 2 * c.rtt.smoothed()
		if c.board.packets == 1 {
			pto += maxATO
		} else {
			pto += minTimeout
		}
	}
	if !c.timers.Armed(timerRTO) {
		return
	}
	c.timers.Stop(timerReorder)
	at := now.Add(max(pto, tick))
	if !c.streams() {
		// The timer of the oldest segment stands (extendRTO).
		c.timers.Set(timerTLP, min(at, c.timers[timerRTO]))
		return
	}
	// Where the RTO is earlier the probe goes in its place, and the RTO has to wait until
	// it has gone: in Linux both have one timer (tcp_schedule_loss_probe).
	rto := now.Add(c.RTO())
	if !advancing {
		rto = c.board.at(c.board.head).sentAt.Add(c.RTO())
	}
	if rto > now {
		at = min(at, rto)
	}
	c.timers.Set(timerTLP, at)
	c.timers.Set(timerRTO, max(c.timers[timerRTO], at.Add(tick)))
}

// onTLP sends a probe: a new segment if there is one and the window allows it,
// else the last segment again.
func (c *Conn) onTLP(now clock.Instant) {
	if c.board.packets == 0 {
		return
	}
	switch {
	case c.tlpHigh != 0 || c.tlpBlind && !c.cfg.AsLinux:
		// One at a time, and none before an RTT sample: "loss probe retransmissions do not
		// prevent taking the RTT samples necessary to adapt SRTT" (7.3).
		c.resumeRTO(now)
		return
	case c.nextFits():
		c.probeCredit = true
	case c.windowHolds(c.board.tail):
		c.resumeRTO(now)
		return
	default:
		c.owed.tlp = true
	}
	c.tlpBlind = true
	c.extendRTO(now)
}

// nextFits reports whether there is a new segment and the peer's window has room for all
// of it (tcp_snd_wnd_test).
func (c *Conn) nextFits() bool {
	n, _, _ := c.upper.Unsent()
	return n > 0 && c.sendsData() && c.sndNxt.Add(min(n, c.sendMSS())).LessEq(c.SndWndEnd())
}

// windowHolds reports whether the peer has shrunk its window so that a run, which is not
// the oldest, lies beyond it.
func (c *Conn) windowHolds(id runID) bool {
	start := c.board.at(id).start
	return c.sndUna.Less(start) && c.SndWndEnd().LessEq(start)
}

// resumeRTO lets the retransmission timer run on where no probe was sent: it counts from
// when the oldest segment was (tcp_rearm_rto).
func (c *Conn) resumeRTO(now clock.Instant) {
	at := c.board.at(c.board.head).sentAt.Add(c.RTO())
	c.timers.Set(timerRTO, max(at, now.Add(tick)))
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
	case !c.tlpRetrans, a.dsackTLP:
		c.tlpHigh = 0 // new data; or the original and the probe both arrived
	case c.tlpHigh.Less(ack):
		c.beginReduction()
		c.setState(now, cc.CWR)
		c.leaveReduction()
		c.ctrl.Event(&c.flow, now, cc.LeaveRecovery)
		c.keepOpen(now)
	case !a.advanced && !a.newlySACKed && a.pure && !a.wndMoved:
		c.tlpHigh = 0 // a duplicate ACK: the original had arrived
	}
}
