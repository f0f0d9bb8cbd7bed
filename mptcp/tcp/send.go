package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// sendsData reports whether the state allows new data.
func (c *Conn) sendsData() bool {
	switch c.state {
	case StateEstablished, StateCloseWait:
		return true
	case StateSYNReceived:
		return c.fo.passive && !c.finSent
	case StateFINWait1, StateClosing, StateLastAck:
		return !c.finSent
	}
	return false
}

// Room returns how many bytes of one new segment the congestion window, the
// peer's window, the pacer, Nagle's algorithm and probe credit (TLP, persist)
// allow now: at most MSS, or more if it is to probe the path's MTU; 0 for none. Where nothing is unsent it says what could
// be sent.
func (c *Conn) Room(now clock.Instant) int {
	if !c.sendsData() {
		return 0
	}
	unsent, _, more := c.upper.Unsent()
	if c.streams() && unsent > 0 {
		return c.roomOfStream(now, unsent)
	}
	c.restartAfterIdle(now)
	n := c.windowRoom(unsent, more)
	if n == 0 || c.probeCredit {
		return n
	}
	if c.board.pipe() >= c.flow.Cwnd {
		if unsent > 0 {
			c.heldByCwnd(now)
		}
		return 0
	}
	if c.repairsFirst() || c.pacerHolds(now) {
		return 0
	}
	if probe := c.probeRoom(now, unsent); probe != 0 {
		return max(probe, 0)
	}
	return n
}

// roomOfStream is Room where the write queue knows what waits.
func (c *Conn) roomOfStream(now clock.Instant, unsent int) int {
	c.syncQueue(now, unsent)
	if !c.probeCredit && (c.repairsFirst() && c.wq.chunks == 0 || c.pacerHolds(now)) {
		return 0
	}
	return c.chunkRoom(now, unsent)
}

// repairsFirst reports whether something lost goes out before new data.
func (c *Conn) repairsFirst() bool { return c.board.nextLost() != noRun && !c.frtoNew }

// pacerHolds reports whether the controller paces and the time of the next segment
// has not come; the timer wakes us then.
func (c *Conn) pacerHolds(now clock.Instant) bool {
	if now >= c.flow.PaceAt || c.ctrl.Pacing(&c.flow) == 0 {
		return false
	}
	c.timers.Set(timerPace, c.flow.PaceAt)
	return true
}

// windowRoom returns what the peer's window, silly window avoidance and Nagle's
// algorithm leave of one segment of a subflow.
func (c *Conn) windowRoom(unsent int, more bool) int {
	usable := c.SndWndEnd().Sub(c.sndNxt)
	if usable <= 0 {
		return 0
	}
	mss := c.MSS()
	n := min(usable, mss)
	if c.forceCredit || c.probeCredit {
		return n
	}
	if usable < mss && (unsent == 0 || unsent > usable) {
		// "if at least a fraction Fs of the maximum window can be sent"
		// (https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1; Fs = 1/2).
		if usable < max(c.maxSndWnd/2, 1) {
			return 0
		}
		return n
	}
	if 0 < unsent && unsent < mss && c.holdsPartial(more) {
		return 0
	}
	return n
}

// holdsPartial reports whether the last, partial segment of a subflow waits for
// company (nagleHolds).
func (c *Conn) holdsPartial(more bool) bool {
	switch {
	case c.closing:
		return false
	case more:
		return true
	}
	return c.nagleHolds(nagleOwn)
}

// Send writes one IP packet with n <= Room new bytes at SndNxt to the front of b
// and returns its length. It calls the upper's Plan for PSH, Options and Fill. The
// last bytes of a plain stream that is closed take the FIN along.
func (c *Conn) Send(now clock.Instant, n int, b []byte) int {
	flags := wire.ACK
	first := c.board.packets == 0
	if first {
		c.flow.AppLimited = c.rate.appLimited != 0
		c.ctrl.Event(&c.flow, now, cc.Transmit)
	}
	stamp := c.rate.sent(now, first)
	ssn := c.sndNxt
	end := ssn.Add(n)
	mss := c.MSS()
	var marks runFlags
	burst := c.burst + 1
	if c.streams() {
		var pieces int
		if n > mss {
			marks = c.takeProbe(n)
			mss = n
		} else {
			burst = c.wq.burstOf(burst)
			if marks, pieces = c.takeChunk(n); pieces > 1 {
				flags |= wire.PSH
			}
		}
		if c.closing && end == c.wq.end && end.Less(c.SndWndEnd()) {
			flags |= wire.FIN
			marks |= runFIN
			end = end.Add(1)
		}
	} else if _, _, push := c.upper.Plan(ssn, n); push {
		marks = runPush
	}
	if marks&runPush != 0 {
		flags |= wire.PSH
	}
	flags |= c.ecnOfData()
	length := c.emit(now, b, flags, ssn, n)
	c.board.push(run{start: ssn, end: end, mss: max(mss, 1), flags: marks, sentAt: now, burst: burst, rate: stamp})
	c.maxRun = max(c.maxRun, end.Sub(ssn))
	c.sndNxt = end
	c.finSent = c.finSent || marks&runFIN != 0
	if n < mss && !c.streams() {
		c.sndSml = end
	}
	probe := c.probeCredit || c.forceCredit // what a timer has sent
	if c.probeCredit {
		c.probeCredit = false
		c.tlpHigh, c.tlpRetrans = c.sndNxt, false
	}
	if n > c.MSS() {
		c.probeSent(ssn, n)
	}
	forced := c.forceCredit
	c.forceCredit = false
	c.count.bytesSent += uint64(n)
	c.count.dataSegsOut++
	if now.Sub(c.lastDataRecv) < c.ato {
		c.pingpong = true // a reply: its ACK can ride on it
	}
	c.sentSegment(now, n)
	c.sentInReduction()
	if !forced { // by the timer of a shut window, which cwnd has no part in
		c.validateCwnd(now)
	}
	if first {
		c.persistBackoff = 0
		c.probingSince = clock.Never
		c.timers.Stop(timerPersist)
	}
	if first || !c.timers.Armed(timerRTO) {
		c.armRTO(now)
	}
	if !probe {
		c.armTLP(now, false)
	}
	return length
}

// sentSegment does the accounts of a segment with data, new or again.
func (c *Conn) sentSegment(now clock.Instant, n int) {
	c.flow.LastSent = now
	c.idleHalvings = 0
	c.pace(now, n)
}

// sentInReduction counts a segment for proportional rate reduction. A probe that repeats
// the last one (TLP) is none of those that it sends.
func (c *Conn) sentInReduction() {
	if c.flow.State == cc.CWR || c.flow.State == cc.Recovery {
		c.prrOut++
	}
}

// pacingFree is how many segments go out unpaced at first, as in Linux (and its
// queueing discipline fq).
const pacingFree = 10

// pace sets the earliest departure of the next segment after one of n bytes, where
// the controller paces (tcp_update_skb_after_send). What a late timer cost is made
// up for, at half the distance at most.
func (c *Conn) pace(now clock.Instant, n int) {
	rate := c.ctrl.Pacing(&c.flow)
	if rate == 0 || n == 0 {
		return
	}
	late := max(now.Sub(c.flow.PaceAt), 0)
	c.flow.PaceAt = max(c.flow.PaceAt, now)
	if c.paced++; c.paced < pacingFree {
		return
	}
	wait := time.Duration(uint64(n) * uint64(time.Second) / rate)
	c.flow.PaceAt = c.flow.PaceAt.Add(wait - min(wait/2, late))
}

// restartAfterIdle halves cwnd for every RTO without a segment.
//
// "a TCP SHOULD set cwnd to no more than RW before beginning transmission if the
// TCP has not sent data in an interval exceeding the retransmission timeout"
// (https://www.rfc-editor.org/rfc/rfc5681#section-4.1); as RFC 2861 and Linux do
// it, step by step.
func (c *Conn) restartAfterIdle(now clock.Instant) {
	if c.cfg.NoIdleRestart || c.board.packets > 0 || c.flow.State != cc.Open || c.ctrl.Owns() {
		return
	}
	f := &c.flow
	rw := min(c.cfg.InitialCwnd, f.Cwnd)
	k := int(now.Sub(c.flow.LastSent) / c.RTO())
	if k <= c.idleHalvings || f.Cwnd <= rw {
		return
	}
	if c.idleHalvings == 0 {
		f.SSThresh = max(f.SSThresh, f.Cwnd/2+f.Cwnd/4)
		c.ctrl.Event(f, now, cc.IdleRestart)
	}
	for ; c.idleHalvings < k && f.Cwnd > rw; c.idleHalvings++ {
		f.Cwnd = max(f.Cwnd/2, rw)
	}
	c.idleHalvings = k
	c.cwndUsed, c.cwndUsedAt = 0, now
	c.cwndUsageSeq = c.sndNxt
	c.maxPacketsOut = 0
}

// noteAppLimited marks the rate samples of what is in flight if the sender had
// nothing more to send although it might have.
func (c *Conn) noteAppLimited() {
	if c.board.pipe() >= c.flow.Cwnd || c.board.nextLost() != noRun {
		return
	}
	if n, _, _ := c.upper.Unsent(); n < c.flow.MSS {
		c.rate.limitedByApp(c.sndNxt.Sub(c.sndUna))
	}
}

// Penalise halves the congestion window of a path that holds up the connection
// (Raiciu et al., "How Hard Can It Be?", NSDI 2012, 4.2) and sets ssthresh to what is
// left, also in slow start, which would not end otherwise: behind a
// full buffer nothing is lost.
func (c *Conn) Penalise(now clock.Instant) {
	f := &c.flow
	if f.State != cc.Open {
		return
	}
	f.Cwnd = max(f.Cwnd/2, 1)
	f.SSThresh = max(f.Cwnd, 2)
	c.ctrl.Event(f, now, cc.Penalise)
}
