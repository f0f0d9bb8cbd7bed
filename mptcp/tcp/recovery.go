package tcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// recovery is the state of loss recovery.
type recovery struct {
	highSeq       wire.Seq // sndNxt when the current state was entered
	priorCwnd     int
	priorSSThresh int
	prrDelivered  int
	prrOut        int

	undoing      bool     // the current reduction may turn out to be needless
	undoMarker   wire.Seq // una when it began
	undoRetrans  int      // retransmissions since that no D-SACK has answered; -1: none sent yet
	retransStamp uint32   // timestamp clock at the first of them
	stamped      bool
	lastTSEcr    uint32 // of the ACK at hand; 0: none

	sackCache    [4]span // blocks of the last SACK option
	numSACKCache int
	maxRun       int // the longest run ever sent, in bytes
	sample       cc.Sample
}

// detectLoss is called for each ACK: it decides what is lost and moves between
// Open, Disorder, CWR, Recovery and Loss, as Linux's tcp_fastretrans_alert.
func (c *Conn) detectLoss(now clock.Instant, a *ackEvent) {
	f := &c.flow
	if f.State != cc.Open && a.advanced && c.highSeq.LessEq(c.sndUna) {
		c.leaveIfDone(now)
	}
	if f.State == cc.Loss {
		c.lossStateAck(now, a)
	} else if !c.sackOK {
		if a.advanced && f.State < cc.Recovery {
			c.board.dupSACKs = 0
		}
		if a.dup {
			c.addDupSACK(a)
		}
	}
	if a.advanced && f.State == cc.Recovery && c.undoPartial(now) {
		return
	}
	if c.undoing && c.undoRetrans == 0 && a.dsack && f.State <= cc.Recovery {
		// Every retransmission was answered by a D-SACK: none was needed (RFC 3708).
		recovering := f.State == cc.Recovery
		c.undo(recovering)
		if recovering {
			c.leftRecovery(now)
		}
	}
	c.identifyLoss(now, a)
	switch {
	case f.State >= cc.Recovery:
	case c.board.lost > 0:
		c.enterRecovery(now)
	case f.State == cc.CWR:
	case c.board.sacked+c.board.dupSACKs > 0:
		f.State = cc.Disorder
	default:
		f.State = cc.Open
	}
}

// identifyLoss marks what the ACK shows to be lost: by RACK where the peer has
// SACK, by counting duplicate ACKs and partial ACKs (RFC 6582) where not.
func (c *Conn) identifyLoss(now clock.Instant, a *ackEvent) {
	if c.board.packets == 0 {
		return
	}
	if c.sackOK {
		c.rackDetectLoss(now)
		return
	}
	if c.flow.State < cc.Recovery && c.board.dupSACKs >= dupThresh ||
		c.flow.State == cc.Recovery && a.advanced {
		c.board.setLost(c.board.head)
		c.limitDupSACKs()
	}
}

// addDupSACK counts a duplicate ACK: some segment behind the hole arrived.
func (c *Conn) addDupSACK(a *ackEvent) {
	before := c.board.dupSACKs
	c.board.dupSACKs++
	c.limitDupSACKs()
	a.sacked += max(c.board.dupSACKs-before, 0)
}

// limitDupSACKs keeps the duplicate ACKs below what can have arrived: at least
// one segment is missing.
func (c *Conn) limitDupSACKs() {
	b := &c.board
	b.dupSACKs = max(min(b.dupSACKs, b.packets-max(b.lost, 1)), 0)
}

// leaveIfDone ends Disorder, CWR and Recovery when everything sent before they
// began is acknowledged. Loss is left by lossStateAck.
func (c *Conn) leaveIfDone(now clock.Instant) {
	f := &c.flow
	switch f.State {
	case cc.Disorder:
		f.State = cc.Open
		c.undoing = false
	case cc.CWR:
		if c.highSeq.Less(c.sndUna) {
			c.leaveReduction()
			f.State = cc.Open
		}
	case cc.Recovery:
		if c.mayBeStale() {
			return
		}
		if c.mayUndo() {
			c.undo(false)
		} else {
			c.leaveReduction()
		}
		c.leftRecovery(now)
	}
}

// leftRecovery ends Recovery or Loss.
func (c *Conn) leftRecovery(now clock.Instant) {
	c.flow.State = cc.Open
	c.undoing, c.stamped = false, false
	c.board.dupSACKs = 0
	c.rackRecovered()
	c.ctrl.Event(&c.flow, now, cc.LeaveRecovery)
	c.upper.Event(now, RecoveryLeft)
}

// lossStateAck handles an ACK after a retransmission timeout.
func (c *Conn) lossStateAck(now clock.Instant, a *ackEvent) {
	if !c.sackOK {
		switch {
		case a.dup && c.highSeq.Less(c.sndNxt):
			c.addDupSACK(a)
		case a.advanced:
			c.board.dupSACKs = 0
		}
	}
	if !a.advanced {
		return
	}
	if c.mayUndo() {
		c.undo(true)
		c.leftRecovery(now)
		return
	}
	if c.highSeq.LessEq(c.sndUna) && !c.mayBeStale() {
		c.leftRecovery(now)
	}
}

// mayBeStale reports whether duplicate ACKs for what is acknowledged already may
// still be on their way and, without SACK, be taken for a loss: wait for an ACK
// that covers more (RFC 6582, 3.2, step 3).
func (c *Conn) mayBeStale() bool {
	return !c.sackOK && c.highSeq == c.sndUna && c.board.packets > 0
}

// mayUndo reports whether the retransmissions since the reduction were needless:
// the ACK at hand echoes a timestamp from before the first of them (Eifel, RFC
// 3522; kept in lastTSEcr), or every one was reported as a duplicate.
func (c *Conn) mayUndo() bool {
	if !c.undoing {
		return false
	}
	if c.undoRetrans == 0 {
		return true
	}
	return c.stamped && c.tsOK && c.lastTSEcr != 0 && int32(c.lastTSEcr-c.retransStamp) < 0
}

// undoPartial leaves Recovery when a partial ACK was sent before we retransmitted.
func (c *Conn) undoPartial(now clock.Instant) bool {
	if !c.mayUndo() || c.board.retrans > 0 {
		return false
	}
	c.undo(true)
	c.leftRecovery(now)
	return true
}

// undo restores what a needless reduction took away; with forget, what was
// deemed lost is in flight again.
func (c *Conn) undo(forget bool) {
	b := &c.board
	if forget {
		for id := b.head; id != noRun; id = b.at(id).next {
			if b.at(id).flags&(runLost|runSACKed) == runLost {
				b.clearLost(id)
				b.relinkTime(id)
			}
		}
		b.lostHint = noRun
	}
	f := &c.flow
	if !c.ctrl.Owns() {
		f.Cwnd = max(f.Cwnd, c.priorCwnd)
		f.SSThresh = max(f.SSThresh, c.priorSSThresh)
	}
	c.ctrl.Undo(f)
	c.undoing = false
}

// beginReduction notes where cwnd stands and asks the controller for ssthresh.
func (c *Conn) beginReduction() {
	f := &c.flow
	c.highSeq = c.sndNxt
	c.tlpHigh = 0
	c.priorCwnd, c.priorSSThresh = f.Cwnd, f.SSThresh
	c.prrDelivered, c.prrOut = 0, 0
	f.SSThresh = c.ctrl.SSThresh(f)
}

// beginUndo notes what is needed to find the reduction needless later.
func (c *Conn) beginUndo() {
	c.undoing, c.stamped = true, false
	c.undoMarker = c.sndUna
	c.undoRetrans = -1
	if c.board.retrans > 0 {
		c.undoRetrans = c.board.retrans
	}
}

// enterCWR reduces cwnd once for a loss that is repaired already.
func (c *Conn) enterCWR() {
	if c.flow.State < cc.CWR {
		c.undoing = false
		c.beginReduction()
		c.flow.State = cc.CWR
	}
}

// enterRecovery begins fast recovery.
func (c *Conn) enterRecovery(now clock.Instant) {
	c.timers.Stop(timerTLP)
	c.owed.tlp, c.probeCredit = false, false
	c.beginUndo()
	if c.flow.State < cc.CWR {
		c.beginReduction()
	}
	c.flow.State = cc.Recovery
	c.ctrl.Event(&c.flow, now, cc.EnterRecovery)
	c.upper.Event(now, RecoveryEntered)
}

// leaveReduction ends CWR or Recovery with cwnd at ssthresh
// (https://www.rfc-editor.org/rfc/rfc6937#section-3).
func (c *Conn) leaveReduction() {
	if c.ctrl.Owns() {
		return
	}
	if c.flow.SSThresh < cc.MaxSSThresh {
		c.flow.Cwnd = max(c.flow.SSThresh, 1)
	}
}

// prr is proportional rate reduction with the slow-start reduction bound
// (RFC 6937, 3; with RFC 9937's refinement to send more only if the ACK advances
// and shows no new loss): it sets cwnd to what may be in flight now.
func (c *Conn) prr(delivered, newlyLost int, advanced bool) {
	f := &c.flow
	c.prrDelivered += delivered
	pipe := c.board.pipe()
	if delivered == 0 && newlyLost == 0 && c.prrOut > 0 {
		f.Cwnd = max(min(f.Cwnd, pipe), 1)
		return
	}
	var n int
	if pipe > f.SSThresh {
		prior := max(c.priorCwnd, 1)
		n = (c.prrDelivered*f.SSThresh+prior-1)/prior - c.prrOut
	} else {
		n = max(c.prrDelivered-c.prrOut, delivered)
		if advanced && newlyLost == 0 {
			n++
		}
		n = min(n, f.SSThresh-pipe)
	}
	if c.prrOut == 0 {
		n = max(n, 1) // the fast retransmission
	}
	f.Cwnd = max(pipe+max(n, 0), 1)
}

// enterLoss is what a retransmission timeout means: everything that was not
// SACKed is lost.
//
// "cwnd MUST be set to no more than the loss window, LW, which equals 1
// full-sized segment" (https://www.rfc-editor.org/rfc/rfc5681#section-3.1).
func (c *Conn) enterLoss(now clock.Instant) {
	b, f := &c.board, &c.flow
	reneged := b.head != noRun && b.at(b.head).flags&runSACKed != 0
	for id := b.head; id != noRun; id = b.at(id).next {
		if reneged {
			b.clearSACKed(id)
		}
		b.setLost(id)
	}
	b.dupSACKs = 0
	if reneged {
		c.numSACKCache = 0
	}
	if f.State <= cc.Disorder || c.highSeq.LessEq(c.sndUna) || f.State == cc.Loss && c.retransmits == 0 {
		c.beginReduction()
		c.beginUndo()
		c.ctrl.Event(f, now, cc.RTO)
	}
	f.Cwnd = b.pipe() + 1
	before := f.State
	f.State = cc.Loss
	c.highSeq = c.sndNxt
	c.tlpHigh = 0
	c.owed.tlp, c.probeCredit = false, false
	c.timers.Stop(timerReorder)
	c.timers.Stop(timerTLP)
	if before < cc.Recovery {
		c.upper.Event(now, RecoveryEntered)
	}
}

// markOversize deems lost what no longer fits the path: it is cut when it goes
// out again. No congestion is involved.
func (c *Conn) markOversize() {
	b := &c.board
	for id := b.head; id != noRun; id = b.at(id).next {
		if r := b.at(id); r.mss > c.MSS() && r.end.Sub(r.start) > c.MSS() {
			b.setLost(id)
		}
	}
}

// wasCwndLimited reports whether cwnd held the sender back in the last window:
// a cwnd that is not used tells nothing about the network and does not grow (RFC
// 7661). In slow start half of it used is enough, as in Linux.
func (c *Conn) wasCwndLimited() bool {
	if c.flow.InSlowStart() {
		return c.flow.Cwnd < 2*c.maxPacketsOut
	}
	return c.cwndLimited
}

// validateCwnd notes how much of cwnd the current window of data uses.
func (c *Conn) validateCwnd() {
	limited := c.board.pipe() >= c.flow.Cwnd
	if c.cwndUsageSeq.LessEq(c.sndUna) || limited || !c.cwndLimited && c.board.packets > c.maxPacketsOut {
		c.cwndLimited = limited
		c.maxPacketsOut = c.board.packets
		c.cwndUsageSeq = c.sndNxt
	}
}
