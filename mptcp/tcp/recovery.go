package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// recovery is the state of loss recovery.
type recovery struct {
	highSeq       wire.Seq // sndNxt when the current state was entered
	priorCwnd     int
	priorSSThresh int // what an undo restores; 0: nothing, the network asked for less
	prrDelivered  int
	prrOut        int

	undoMarker   wire.Seq // una when it began
	undoRetrans  int      // retransmissions since that no D-SACK has answered; -1: none sent yet
	retransStamp uint32   // timestamp clock at the first of them
	lastTSEcr    uint32   // of the ACK at hand; 0: none

	frto       bool     // a timeout may turn out to be spurious (RFC 5682)
	frtoNew    bool     // step 2.b: new data go before repairs, until the next ACK
	highSACK   wire.Seq // end of the highest run that was SACKed, while one is
	repairEnd  wire.Seq // end of the repairs that go out as one chunk
	repairNext wire.Seq // where the next of them begins
	repairPush bool     // there are several: the last has PSH
	undoing    bool     // the current reduction may turn out to be needless
	stamped    bool

	sackCache    [4]span // blocks of the last SACK option
	numSACKCache int
	maxRun       int // the longest run ever sent, in sequence numbers
	reordering   int // duplicate ACKs before loss is assumed (tcpi_reordering)
}

// maxReordering is tcp_max_reordering.
const maxReordering = 300

// detectLoss is called for each ACK: it decides what is lost and moves between
// Open, Disorder, CWR, Recovery and Loss, as Linux's tcp_fastretrans_alert.
func (c *Conn) detectLoss(now clock.Instant, a *ackEvent) {
	f := &c.flow
	c.frtoNew = false
	if !c.dubious(a) {
		return
	}
	if a.ece {
		c.priorSSThresh = 0
	}
	if c.reneged(now, a) {
		return
	}
	if f.State == cc.Open {
		c.stamped = false
	} else if c.highSeq.LessEq(c.sndUna) && c.leaveIfDone(now) {
		return
	}
	switch f.State {
	case cc.Recovery:
		if !a.advanced {
			if !c.sackOK && a.dup {
				c.addDupSACK(a)
			}
		} else if c.undoPartial(now, a) {
			return
		}
		if c.undoByDSACK(now) {
			c.tryToOpen(now, a)
		}
		c.identifyLoss(now, a)
		if f.State == cc.Recovery {
			return
		}
		if c.timeToRecover() {
			c.enterRecovery(now, a.ece)
		}
		return
	case cc.Loss:
		c.lossStateAck(now, a)
		c.identifyLoss(now, a)
		if f.State != cc.Open && !a.lostRetrans {
			return
		}
	}
	if !c.sackOK {
		if a.advanced {
			c.board.dupSACKs = 0
		}
		if a.dup {
			c.addDupSACK(a)
		}
	}
	if f.State <= cc.Disorder {
		c.undoByDSACK(now)
	}
	c.identifyLoss(now, a)
	switch {
	case !c.timeToRecover():
		c.tryToOpen(now, a)
	case f.State < cc.CWR && c.mtuProbeLost(now):
	default:
		c.enterRecovery(now, a.ece)
	}
}

// dubious reports whether an ACK may tell of a loss, or comes while one is repaired
// (tcp_ack_is_dubious).
func (c *Conn) dubious(a *ackEvent) bool {
	news := a.advanced || a.wndMoved || !a.pure
	return !news || a.newlySACKed || a.ece || a.dsack || c.flow.State != cc.Open
}

// reneged reports whether the peer has dropped what it SACKed: the oldest segment
// is still SACKed after an ACK. A timeout follows soon unless an ACK comes before
// (tcp_check_sack_reneging).
func (c *Conn) reneged(now clock.Instant, a *ackEvent) bool {
	b := &c.board
	if !a.advanced || b.head == noRun || b.at(b.head).flags&runSACKed == 0 {
		return false
	}
	c.timers.Set(timerRTO, now.Add(max(c.rtt.smoothed()/2, 10*time.Millisecond)))
	c.timers.Stop(timerTLP)
	a.timerSet = true
	return true
}

// timeToRecover reports whether something is lost.
func (c *Conn) timeToRecover() bool { return c.board.lost > 0 }

// anyRetransDone reports whether a retransmission is in flight or unacknowledged.
func (c *Conn) anyRetransDone() bool {
	b := &c.board
	return b.retrans > 0 || b.head != noRun && b.at(b.head).flags&runEver != 0
}

// tryToOpen is where an ACK without loss leads (tcp_try_to_open).
func (c *Conn) tryToOpen(now clock.Instant, a *ackEvent) {
	if !c.anyRetransDone() {
		c.stamped = false
	}
	if a.ece {
		c.enterCWR(now)
		c.ctrl.Event(&c.flow, now, cc.ECN)
	}
	if c.flow.State != cc.CWR {
		c.keepOpen(now)
	}
}

// keepOpen goes to Open, or to Disorder while something is out of order
// (tcp_try_keep_open).
func (c *Conn) keepOpen(now clock.Instant) {
	b := &c.board
	s := cc.Open
	if b.sacked+b.dupSACKs+b.lost > 0 || c.anyRetransDone() {
		s = cc.Disorder
	}
	if c.flow.State != s {
		c.setState(now, s)
		c.highSeq = c.sndNxt
	}
}

// setState changes the state and says when recovery begins and ends.
func (c *Conn) setState(now clock.Instant, s cc.State) {
	f := &c.flow
	before := f.State
	f.State = s
	switch {
	case before < cc.Recovery && s >= cc.Recovery:
		c.upper.Event(now, RecoveryEntered)
	case before >= cc.Recovery && s < cc.Recovery:
		c.rackRecovered()
		c.ctrl.Event(f, now, cc.LeaveRecovery)
		c.upper.Event(now, RecoveryLeft)
	}
}

// identifyLoss marks what the ACK shows to be lost: by RACK where the peer has
// SACK, by counting duplicate ACKs and partial ACKs (RFC 6582) where not.
func (c *Conn) identifyLoss(now clock.Instant, a *ackEvent) {
	b := &c.board
	if b.packets == 0 {
		return
	}
	if c.sackOK {
		if !c.rack.advanced && c.streams() {
			return // an ACK that delivers nothing loses nothing (tcp_rack_mark_lost)
		}
		c.rack.advanced = false
		before := b.retrans
		c.rackDetectLoss(now)
		a.lostRetrans = a.lostRetrans || b.retrans < before
		return
	}
	if c.flow.State < cc.Recovery && b.dupSACKs >= c.reordering ||
		c.flow.State == cc.Recovery && a.advanced {
		if b.at(b.head).flags&runLost == 0 {
			b.setLost(b.head)
		}
		c.limitDupSACKs()
	}
}

// addDupSACK counts a duplicate ACK: some segment behind the hole arrived.
func (c *Conn) addDupSACK(a *ackEvent) {
	before := c.board.dupSACKs
	c.board.dupSACKs++
	c.checkDupReordering(0)
	n := max(c.board.dupSACKs-before, 0)
	a.sacked += n
	c.countDelivered(n, a.ece)
}

// checkDupReordering widens the reordering that is expected if more duplicate ACKs
// came than segments can have arrived (tcp_check_reno_reordering).
func (c *Conn) checkDupReordering(acked int) {
	if c.limitDupSACKs() {
		c.reordering = min(c.board.packets+acked, maxReordering)
		c.count.reordSeen++
		c.rack.reordering = true
	}
}

// limitDupSACKs keeps the duplicate ACKs below what can have arrived: at least
// one segment is missing.
func (c *Conn) limitDupSACKs() bool {
	b := &c.board
	most := max(b.packets-max(b.lost, 1), 0)
	if b.dupSACKs <= most {
		return false
	}
	b.dupSACKs = most
	return true
}

// leaveIfDone ends CWR and Recovery when everything sent before they began is
// acknowledged; true: nothing else is to be done. Loss is left by lossStateAck.
func (c *Conn) leaveIfDone(now clock.Instant) bool {
	switch c.flow.State {
	case cc.CWR:
		// "CWR is to be held something above high_seq is ACKed for CWR bit to reach
		// receiver" (Linux).
		if c.highSeq.Less(c.sndUna) {
			c.leaveReduction()
			c.setState(now, cc.Open)
		}
	case cc.Recovery:
		c.board.dupSACKs = 0
		if c.undoRecovery(now) {
			return true
		}
	}
	return false
}

// undoRecovery ends Recovery or Loss, with an undo if it was needless. true: the
// state stays until an ACK covers more: without SACK duplicate ACKs for what is
// acknowledged already may be taken for a loss (RFC 6582, 3.2, step 3).
func (c *Conn) undoRecovery(now clock.Instant) bool {
	undone := c.mayUndo()
	if undone {
		c.undo(false)
	}
	if !c.sackOK && c.sndUna == c.highSeq {
		if !c.anyRetransDone() {
			c.stamped = false
		}
		return true
	}
	if !undone && c.flow.State == cc.Recovery {
		c.leaveReduction()
	}
	c.setState(now, cc.Open)
	return false
}

// lossStateAck handles an ACK after a retransmission timeout (tcp_process_loss).
func (c *Conn) lossStateAck(now clock.Instant, a *ackEvent) {
	recovered := c.highSeq.LessEq(c.sndUna)
	if (a.advanced || c.holdsSYNACK()) && c.undoLoss(now, false) {
		return
	}
	if c.frto {
		// "if [...] the acknowledgment [...] acknowledges data that was not
		// retransmitted due to timeout [...] the timeout was spurious"
		// (https://www.rfc-editor.org/rfc/rfc5682#section-3.1, step 3.b).
		if a.originals && c.undoLoss(now, true) {
			return
		}
		if c.highSeq.Less(c.sndNxt) {
			if a.newlySACKed || a.dup {
				c.frto = false // step 3.a: the loss was real
			}
		} else if a.advanced && !recovered {
			// Step 2.b: "transmit up to two new (previously unsent) segments".
			c.highSeq = c.sndNxt
			n, _, _ := c.upper.Unsent()
			if c.frtoNew = n > 0 && c.sendsData() && c.sndNxt.Less(c.SndWndEnd()); c.frtoNew {
				return
			}
			c.frto = false
		}
	}
	if recovered {
		c.undoRecovery(now)
		return
	}
	if !c.sackOK {
		if c.highSeq.Less(c.sndNxt) && a.dup {
			c.addDupSACK(a)
		} else if a.advanced {
			c.board.dupSACKs = 0
		}
	}
}

// NothingNew says that the owner has no new data for the subflow now. True: it waited for
// some by step 2.b of F-RTO, and what was lost goes out instead, as where nothing is unsent.
func (c *Conn) NothingNew() bool {
	if !c.frtoNew || c.highSeq.Less(c.sndNxt) {
		return false
	}
	c.frto, c.frtoNew = false, false
	return true
}

// undoLoss ends Loss if it was needless, which F-RTO may know already.
func (c *Conn) undoLoss(now clock.Instant, known bool) bool {
	if !known && !c.mayUndo() {
		return false
	}
	c.undo(true)
	c.retransmits = 0
	if !c.sackOK && c.sndUna == c.highSeq {
		return true
	}
	if known || c.sackOK {
		c.setState(now, cc.Open)
	}
	return true
}

// mayUndo reports whether the retransmissions since the reduction were needless:
// every one was reported as a duplicate, or the ACK at hand was sent before.
func (c *Conn) mayUndo() bool { return c.undoing && (c.undoRetrans == 0 || c.delayed()) }

// delayed reports whether the ACK at hand is for the original: it echoes a
// timestamp from before the first retransmission (Eifel, RFC 3522), or there was
// none (tcp_packet_delayed).
func (c *Conn) delayed() bool {
	if c.stamped {
		return c.tsOK && c.lastTSEcr != 0 && int32(c.lastTSEcr-c.retransStamp) < 0
	}
	return c.sackOK || c.sndUna.Less(c.highSeq)
}

// undoPartial undoes Recovery when a partial ACK was sent before we retransmitted;
// true: nothing is to be marked lost on this ACK.
func (c *Conn) undoPartial(now clock.Instant, a *ackEvent) bool {
	if !c.undoing || !c.delayed() {
		return false
	}
	c.sawReordering(a.priorUna) // the hole was filled by a delayed segment
	if c.board.retrans > 0 {
		return true
	}
	c.stamped = c.stamped && c.anyRetransDone()
	c.undo(true)
	c.keepOpen(now)
	return false
}

// undoByDSACK undoes a reduction whose retransmissions were all reported to be
// duplicates (RFC 3708).
func (c *Conn) undoByDSACK(now clock.Instant) bool {
	if !c.undoing || c.undoRetrans != 0 {
		return false
	}
	c.undo(false)
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
	if f := &c.flow; c.priorSSThresh > 0 {
		if !c.ctrl.Owns() {
			f.Cwnd = max(f.Cwnd, c.priorCwnd)
		}
		c.ctrl.Undo(f)
		if f.SSThresh < c.priorSSThresh {
			f.SSThresh = c.priorSSThresh
			c.ecn.queueCWR = false
		}
	}
	c.undoing = false
}

// currentSSThresh is what an undo restores (tcp_current_ssthresh).
func (c *Conn) currentSSThresh() int {
	f := &c.flow
	if f.State == cc.CWR || f.State == cc.Recovery {
		return f.SSThresh
	}
	return max(f.SSThresh, f.Cwnd/2+f.Cwnd/4)
}

// beginReduction notes where cwnd stands and asks the controller for ssthresh.
func (c *Conn) beginReduction() {
	f := &c.flow
	c.highSeq = c.sndNxt
	c.tlpHigh = 0
	c.priorCwnd = f.Cwnd
	c.prrDelivered, c.prrOut = 0, 0
	f.SSThresh = c.ctrl.SSThresh(f)
	c.queueCWR()
}

// beginUndo notes what is needed to find the reduction needless later.
func (c *Conn) beginUndo() {
	c.undoing = true
	c.undoMarker = c.sndUna
	c.undoRetrans = c.board.retrans
	if c.tlpHigh != 0 && c.tlpRetrans {
		c.undoRetrans++
	}
	if c.undoRetrans == 0 {
		c.undoRetrans = -1
	}
}

// enterCWR reduces cwnd without a loss to repair: at the mark of a router, or
// because a probe has repaired it already.
func (c *Conn) enterCWR(now clock.Instant) {
	c.priorSSThresh = 0
	if c.flow.State < cc.CWR {
		c.undoing = false
		c.beginReduction()
		c.setState(now, cc.CWR)
	}
}

// enterRecovery begins fast recovery.
func (c *Conn) enterRecovery(now clock.Instant, ece bool) {
	c.timers.Stop(timerTLP)
	c.owed.tlp, c.probeCredit = false, false
	c.priorSSThresh = 0
	c.beginUndo()
	if s := c.flow.State; s != cc.CWR && s != cc.Recovery {
		if !ece {
			c.priorSSThresh = c.currentSSThresh()
		}
		c.beginReduction()
	}
	c.setState(now, cc.Recovery)
	c.ctrl.Event(&c.flow, now, cc.EnterRecovery)
}

// leaveReduction ends CWR or Recovery with cwnd at ssthresh
// (https://www.rfc-editor.org/rfc/rfc6937#section-3), unless it was undone.
func (c *Conn) leaveReduction() {
	f := &c.flow
	if !c.ctrl.Owns() && f.SSThresh < cc.MaxSSThresh && (f.State == cc.CWR || c.undoing) {
		f.Cwnd = max(f.SSThresh, 1)
	}
}

// prr is proportional rate reduction with the slow-start reduction bound
// (RFC 6937, 3; with RFC 9937's refinement to send more only if the ACK advances
// and shows no new loss): it sets cwnd to what may be in flight now.
func (c *Conn) prr(delivered, newlyLost int, advanced bool) {
	if delivered <= 0 {
		return
	}
	f := &c.flow
	c.prrDelivered += delivered
	pipe := c.board.pipe()
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
	f.Cwnd = max(pipe+n, 1)
}

// sawReordering notes that low arrived behind the highest that was SACKed
// (tcp_check_sack_reordering).
func (c *Conn) sawReordering(low wire.Seq) {
	fack := c.highestSACK()
	if !low.Less(fack) {
		return
	}
	mss := c.MSS()
	if n := fack.Sub(low); n > c.reordering*mss {
		c.reordering = min((n+mss-1)/mss, maxReordering)
	}
	c.count.reordSeen++
	c.rack.reordering = true
}

// highestSACK is behind the highest byte that was SACKed; una if none is.
func (c *Conn) highestSACK() wire.Seq {
	if c.board.sacked == 0 {
		return c.sndUna
	}
	return c.highSACK
}

// enterLoss is what a retransmission timeout means: everything that was not
// SACKed is lost.
//
// "cwnd MUST be set to no more than the loss window, LW, which equals 1
// full-sized segment" (https://www.rfc-editor.org/rfc/rfc5681#section-3.1).
func (c *Conn) enterLoss(now clock.Instant) {
	b, f := &c.board, &c.flow
	c.markAllLost(now)
	isNew := f.State < cc.Recovery
	dups := b.sacked
	if f.State <= cc.Disorder || c.highSeq.LessEq(c.sndUna) || f.State == cc.Loss && c.retransmits == 0 {
		c.priorSSThresh, c.priorCwnd = c.currentSSThresh(), f.Cwnd
		f.SSThresh = c.ctrl.SSThresh(f)
		c.ctrl.Event(f, now, cc.RTO)
		c.beginUndo()
	}
	if f.State <= cc.Disorder && dups >= c.cfg.Reordering {
		c.reordering = min(c.reordering, c.cfg.Reordering)
	}
	f.Cwnd = b.pipe() + 1
	c.cwndUsedAt = now
	c.setState(now, cc.Loss)
	c.highSeq = c.sndNxt
	c.tlpHigh = 0
	c.queueCWR()
	// Not for a second timeout of the same loss: "if [...] there are previous
	// retransmissions outstanding" (RFC 5682, 3.1, step 1), as Linux reads it.
	c.frto = !c.cfg.NoFRTO && (isNew || c.retransmits > 0) && c.mtup.size == 0
	c.frtoNew = false
	c.owed.tlp, c.probeCredit = false, false
	c.timers.Stop(timerReorder)
	c.timers.Stop(timerTLP)
}

// markAllLost deems lost what was not SACKed, save what was sent so recently that
// its ACK may be on its way; a SACKed oldest segment means that the peer reneged,
// and nothing counts as SACKed (tcp_timeout_mark_lost).
func (c *Conn) markAllLost(now clock.Instant) {
	b := &c.board
	reneged := b.head != noRun && b.at(b.head).flags&runSACKed != 0
	for id := b.head; id != noRun; id = b.at(id).next {
		if reneged {
			b.clearSACKed(id)
		} else if c.sackOK && c.rack.valid && id != b.head && b.at(id).sentAt.Add(c.rack.rtt) > now {
			continue
		}
		b.setLost(id)
	}
	b.dupSACKs = 0
	if reneged {
		c.numSACKCache = 0
	}
}

// markOversize deems lost what no longer fits the path: it is cut when it goes
// out again. No congestion is involved.
func (c *Conn) markOversize() {
	b := &c.board
	for id := b.head; id != noRun; id = b.at(id).next {
		if r := b.at(id); r.mss > c.MSS() && r.payload() > c.MSS() {
			b.setLost(id)
			before := r.segs()
			r.mss = c.MSS()
			b.recount(id, r.segs()-before)
		}
	}
}

// wasCwndLimited reports whether cwnd held the sender back in the last window:
// a cwnd that is not used tells nothing about the network and does not grow (RFC
// 7661). In slow start half of it used is enough (tcp_is_cwnd_limited).
func (c *Conn) wasCwndLimited() bool {
	return c.cwndLimited || c.flow.InSlowStart() && c.flow.Cwnd < 2*c.maxPacketsOut
}

// heldByCwnd notes that cwnd holds back what could go out. If chunks are on their way,
// the last of their segments tells.
func (c *Conn) heldByCwnd(now clock.Instant) {
	c.cwndHeld = true
	if c.wq.chunks == 0 {
		c.validateCwnd(now)
	}
}

// validateCwnd notes how much of cwnd the current window of data uses
// (tcp_cwnd_validate), and takes back what was not used for longer than an RTO:
// "the sender [...] should halve the congestion window" towards what it uses
// (RFC 2861, 3.2).
func (c *Conn) validateCwnd(now clock.Instant) {
	limited := c.cwndHeld || c.board.pipe() >= c.flow.Cwnd
	c.cwndHeld = c.cwndHeld && c.wq.chunks > 0
	if c.cwndUsageSeq.LessEq(c.sndUna) || limited || !c.cwndLimited && c.board.packets > c.maxPacketsOut {
		c.cwndLimited = limited
		c.maxPacketsOut = c.board.packets
		c.cwndUsageSeq = c.sndNxt
	}
	c.ageCwnd(now)
}

// ageCwnd is the second half of validateCwnd (tcp_cwnd_application_limited).
func (c *Conn) ageCwnd(now clock.Instant) {
	f := &c.flow
	if c.wasCwndLimited() {
		c.cwndUsed, c.cwndUsedAt = 0, now
		return
	}
	c.cwndUsed = max(c.cwndUsed, c.board.packets)
	if n, _, _ := c.upper.Unsent(); n == 0 && c.wq.starved {
		c.startChrono(now, chronoSndbuf)
	}
	if c.cfg.NoIdleRestart || now.Sub(c.cwndUsedAt) < c.RTO() || c.ctrl.Owns() {
		return
	}
	if used := max(c.cwndUsed, c.cfg.InitialCwnd); f.State == cc.Open && used < f.Cwnd && !c.wq.starved {
		f.SSThresh = c.currentSSThresh()
		f.Cwnd = (f.Cwnd + used) / 2
	}
	c.cwndUsed, c.cwndUsedAt = 0, now
}
