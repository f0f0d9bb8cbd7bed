package tcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// runID is a run's place in the slab; noRun is none.
type runID int32

const noRun runID = -1

// runFlags say what became of a run.
type runFlags uint16

const (
	runSACKed  runFlags = 1 << iota
	runLost             // deemed lost; with runRetrans: sent again since
	runRetrans          // a retransmission is in flight
	runEver             // was retransmitted at some time: no RTT sample (Karn)
	runFIN              // ends with the FIN
	runPush             // its last segment has PSH
	runJoined           // is of the same chunk as the run before it
	runEOR              // nothing may share a segment with what follows
	runTimed            // stands in the list by time
)

// run is one segment, or several of mss bytes, that were sent together and have
// had the same fate so far.
type run struct {
	start, end wire.Seq
	mss        int
	flags      runFlags
	burst      uint32        // what Linux stamps with one reading of its clock
	sentAt     clock.Instant // the last time
	order      uint64        // of transmission: many go out at one instant
	rate       rateStamp

	prev, next   runID // by sequence number
	older, newer runID // by time of transmission
}

// payload returns the bytes of data in r.
func (r *run) payload() int {
	n := r.end.Sub(r.start)
	if r.flags&runFIN != 0 {
		n--
	}
	return n
}

// segs returns how many segments r counts for.
func (r *run) segs() int {
	n := r.payload()
	if n <= r.mss {
		return 1
	}
	return (n + r.mss - 1) / r.mss
}

// scoreboard lists what was sent and is not cumulatively acknowledged, in two
// orders: by sequence number for ACKs and by time of transmission for RACK, in
// which runs that are delivered or given up have no place. Runs live in a slab,
// so that the steady state allocates nothing. The counts are in segments.
type scoreboard struct {
	slab           []run
	free           runID
	head, tail     runID
	oldest, newest runID
	order          uint64 // of the run sent last
	lostHint       runID  // no run before it waits for retransmission
	sackHint       runID  // where the last SACK block ended

	packets, sacked, lost, retrans int
	buffers                        int // in which the application's bytes are: chunks
	everLost                       int // runs that were ever deemed lost, each time
	dupSACKs                       int // duplicate ACKs that stand for SACKs where the peer has none
}

func newScoreboard() scoreboard {
	return scoreboard{free: noRun, head: noRun, tail: noRun, oldest: noRun, newest: noRun, lostHint: noRun, sackHint: noRun}
}

// pipe returns the segments in the network (RFC 6675, 4).
func (b *scoreboard) pipe() int { return b.packets - b.sacked - b.dupSACKs - b.lost + b.retrans }

func (b *scoreboard) at(id runID) *run { return &b.slab[id] }

func (b *scoreboard) alloc() runID {
	if b.free != noRun {
		id := b.free
		b.free = b.slab[id].next
		return id
	}
	b.slab = append(b.slab, run{})
	return runID(len(b.slab) - 1)
}

// push appends a run that was just sent.
func (b *scoreboard) push(r run) {
	id := b.alloc()
	r.prev, r.next = b.tail, noRun
	b.order++
	r.order = b.order
	b.slab[id] = r
	if b.tail == noRun {
		b.head = id
	} else {
		b.slab[b.tail].next = id
	}
	b.tail = id
	b.packets += r.segs()
	if r.flags&runJoined == 0 {
		b.buffers++
	}
	b.linkNewest(id)
}

// removeHead takes the first run off: it was acknowledged.
func (b *scoreboard) removeHead() {
	id := b.head
	r := b.at(id)
	n := r.segs()
	b.packets -= n
	b.uncount(r, n)
	b.unlinkTime(id)
	b.head = r.next
	if b.head == noRun {
		b.tail = noRun
	} else {
		b.slab[b.head].prev = noRun
	}
	if b.head == noRun || b.slab[b.head].flags&runJoined == 0 {
		b.buffers--
	}
	if b.lostHint == id {
		b.lostHint = r.next
	}
	if b.sackHint == id {
		b.sackHint = r.next
	}
	r.next = b.free
	b.free = id
}

// uncount takes the n segments of r out of the counts that its flags put them in.
func (b *scoreboard) uncount(r *run, n int) {
	if r.flags&runSACKed != 0 {
		b.sacked -= n
	}
	if r.flags&runLost != 0 {
		b.lost -= n
	}
	if r.flags&runRetrans != 0 {
		b.retrans -= n
	}
}

// split cuts id at seq, which lies inside it; the new run behind has the same fate.
func (b *scoreboard) split(id runID, seq wire.Seq) {
	before := b.at(id).segs()
	tail := b.alloc()
	r, t := b.at(id), b.at(tail)
	*t = *r
	t.start, r.end = seq, seq
	r.flags &^= runFIN | runPush | runEOR
	t.flags |= runJoined
	t.prev, t.next = id, r.next
	r.next = tail
	if t.next == noRun {
		b.tail = tail
	} else {
		b.slab[t.next].prev = tail
	}
	if r.flags&runTimed != 0 {
		t.older, t.newer = id, r.newer
		r.newer = tail
		if t.newer == noRun {
			b.newest = tail
		} else {
			b.slab[t.newer].older = tail
		}
	}
	b.recount(id, r.segs()+t.segs()-before)
}

// merge appends the run behind id to it: both are one segment from now on.
func (b *scoreboard) merge(id runID) {
	r := b.at(id)
	next := r.next
	n := b.at(next)
	k, before := n.segs(), r.segs() // of several, if the MTU has shrunk
	b.packets -= k
	if n.flags&runJoined == 0 {
		b.buffers--
	}
	b.uncount(n, k)
	b.unlinkTime(next)
	r.end, r.next = n.end, n.next
	r.flags |= n.flags & (runFIN | runPush | runEver | runEOR)
	r.mss = max(r.mss, r.payload())
	b.recount(id, r.segs()-before)
	if n.next == noRun {
		b.tail = id
	} else {
		b.at(n.next).prev = id
	}
	for _, hint := range []*runID{&b.lostHint, &b.sackHint} {
		if *hint == next {
			*hint = id
		}
	}
	n.next = b.free
	b.free = next
}

// shift moves the first k bytes of the run behind id into it.
func (b *scoreboard) shift(id runID, k int) {
	r, n := b.at(id), b.at(b.at(id).next)
	before, beforeNext := r.segs(), n.segs()
	r.end = r.end.Add(k)
	n.start = r.end
	r.mss = max(r.mss, r.payload())
	b.recount(id, r.segs()-before)
	b.recount(r.next, n.segs()-beforeNext)
}

// recount adds d segments, which r's parts have more than the whole had, to the
// counts that r stands in.
func (b *scoreboard) recount(id runID, d int) {
	b.packets += d
	b.uncount(b.at(id), -d)
}

// setSACKed notes that id was delivered out of order: neither lost nor in flight.
func (b *scoreboard) setSACKed(id runID) {
	r := b.at(id)
	n := r.segs()
	b.uncount(r, n)
	r.flags = r.flags&^(runLost|runRetrans) | runSACKed
	b.sacked += n
	b.unlinkTime(id)
}

// setLost deems id lost: it, or its retransmission, has left the network.
func (b *scoreboard) setLost(id runID) {
	r := b.at(id)
	if r.flags&(runLost|runRetrans) == runLost || r.flags&runSACKed != 0 {
		return
	}
	n := r.segs()
	b.uncount(r, n)
	r.flags = r.flags&^runRetrans | runLost
	b.lost += n
	b.everLost += n
	b.unlinkTime(id)
	if b.lostHint == noRun || r.start.Less(b.at(b.lostHint).start) {
		b.lostHint = id
	}
}

// clearLost takes back that id was lost: it is in flight again.
func (b *scoreboard) clearLost(id runID) {
	r := b.at(id)
	if r.flags&runLost == 0 {
		return
	}
	b.lost -= r.segs()
	r.flags &^= runLost
}

// setRetransmitted notes that id went out again at now.
func (b *scoreboard) setRetransmitted(id runID, now clock.Instant, burst uint32, stamp rateStamp) {
	r := b.at(id)
	if r.flags&runRetrans == 0 {
		b.retrans += r.segs()
	}
	r.flags |= runRetrans
	b.setProbed(id, now, burst, stamp)
}

// setProbed notes that id went out again at now as a tail loss probe: it is not in the
// network twice, for one of both is taken to be lost (Linux sends a probe with
// __tcp_retransmit_skb, which does not count it in retrans_out).
func (b *scoreboard) setProbed(id runID, now clock.Instant, burst uint32, stamp rateStamp) {
	r := b.at(id)
	r.flags |= runEver
	b.order++
	r.sentAt, r.order, r.burst, r.rate = now, b.order, burst, stamp
	b.unlinkTime(id)
	b.linkNewest(id)
}

// nextLost returns the first run that waits for retransmission.
func (b *scoreboard) nextLost() runID {
	for b.lostHint != noRun {
		r := b.at(b.lostHint)
		if r.flags&(runLost|runRetrans|runSACKed) == runLost {
			return b.lostHint
		}
		b.lostHint = r.next
	}
	return noRun
}

// seek returns the run that holds seq or, failing that, the first one behind it.
func (b *scoreboard) seek(seq wire.Seq) runID {
	id := b.sackHint
	if id == noRun {
		id = b.head
	}
	for id != noRun && b.at(id).end.LessEq(seq) {
		id = b.at(id).next
	}
	if id == noRun {
		id = b.tail
	}
	for id != noRun && seq.Less(b.at(id).start) && b.at(id).prev != noRun && seq.Less(b.at(b.at(id).prev).end) {
		id = b.at(id).prev
	}
	if id != noRun && b.at(id).end.LessEq(seq) {
		return noRun
	}
	return id
}

func (b *scoreboard) linkNewest(id runID) {
	r := b.at(id)
	r.flags |= runTimed
	r.older, r.newer = b.newest, noRun
	if b.newest == noRun {
		b.oldest = id
	} else {
		b.slab[b.newest].newer = id
	}
	b.newest = id
}

func (b *scoreboard) unlinkTime(id runID) {
	r := b.at(id)
	if r.flags&runTimed == 0 {
		return
	}
	r.flags &^= runTimed
	if r.older == noRun {
		b.oldest = r.newer
	} else {
		b.slab[r.older].newer = r.newer
	}
	if r.newer == noRun {
		b.newest = r.older
	} else {
		b.slab[r.newer].older = r.older
	}
}

// relinkTime puts id back into the list by time, at its place.
func (b *scoreboard) relinkTime(id runID) {
	if b.at(id).flags&runTimed != 0 {
		return
	}
	after := b.newest
	for after != noRun && b.at(id).order < b.at(after).order {
		after = b.at(after).older
	}
	if after == b.newest {
		b.linkNewest(id)
		return
	}
	r := b.at(id)
	r.flags |= runTimed
	r.older = after
	if after == noRun {
		r.newer = b.oldest
		b.oldest = id
	} else {
		r.newer = b.at(after).newer
		b.at(after).newer = id
	}
	b.at(r.newer).older = id
}

// clearSACKed takes back that id was SACKed: the peer reneged (RFC 2018, 8).
func (b *scoreboard) clearSACKed(id runID) {
	r := b.at(id)
	if r.flags&runSACKed == 0 {
		return
	}
	b.sacked -= r.segs()
	r.flags &^= runSACKed
	b.relinkTime(id)
}
