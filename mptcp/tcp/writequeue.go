package tcp

import (
	"math"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Linux keeps what a socket has written in buffers and hands them to the device
// in chunks of several segments (TSO). Where a chunk ends shows on the wire: its
// last segment has PSH, Nagle's test is made for it as a whole, and it is held
// back as a whole. Segments leave one by one here; the write queue says where the
// buffers and chunks would end. Subflows have none: their chunks are mappings.

const (
	minTSOSegs   = 2           // tcp_min_tso_segs
	winDivisor   = 3           // tcp_tso_win_divisor
	tsoRTTLog    = 9           // tcp_tso_rtt_log
	gsoMaxSize   = 65536 - 321 // less the headers (MAX_TCP_HEADER+1)
	gsoMaxSegs   = 65535
	pacingShift  = 10               // a chunk is what the pacing rate sends in about 1 ms
	pacingCARate = 120              // tcp_pacing_ca_ratio, percent
	pacingSSRate = 200              // tcp_pacing_ss_ratio
	deferRecent  = time.Millisecond // a chunk waits for more only if the last went out that recently
	deferSoon    = time.Millisecond // and the next ACK is due that soon
)

// bufferOverhead is what a buffer takes of the send buffer beside its bytes: struct
// sk_buff, the room for headers and what follows it (SKB_TRUESIZE).
const bufferOverhead = 832

// buffer is a part of the unsent bytes: an skb of Linux.
type buffer struct {
	end  wire.Seq
	segs int  // > 0: a chunk that goes out as a whole, in so many segments
	push bool // the last segment has PSH
	eor  bool // nothing is appended to it (MSG_EOR)

	burst uint32 // of a chunk
}

// writeQueue is the unsent bytes of a plain stream: chunks that are decided on,
// then buffers.
type writeQueue struct {
	bufs    []buffer
	head    int      // of bufs: before it all is sent
	chunks  int      // of those from head on are chunks
	segs    int      // of the chunks, not sent yet
	end     wire.Seq // of what was written (write_seq)
	pushed  wire.Seq // where PSH was set last (pushed_seq)
	begun   bool     // of the first chunk a segment was sent
	more    bool     // MSG_MORE, until the next event
	ends    bool     // the stream was closed: nothing waits (TCP_NAGLE_OFF), until then, too
	release bool     // TCP_NODELAY was set: nothing waits (TCP_NAGLE_PUSH)
	starved bool     // the application waits for room to write
	waits   bool     // the next chunk does for more of the window, until an ACK or a write
}

// nagle is how a partial segment is treated.
type nagle uint8

const (
	nagleOwn  nagle = iota // as the options say
	nagleCork              // held
	naglePush              // sent
)

// streams reports whether the connection carries a plain stream, whose unsent
// bytes are in the write queue.
func (c *Conn) streams() bool { return c.reserved == 0 }

// Wrote says that the application adds up to n bytes to what Unsent reports, and
// returns how many a send buffer of limit bytes takes: what fills the last buffer, and
// new ones as a whole while there is memory (sk_stream_memory_free).
// more: it will add some soon (MSG_MORE); eor: what it adds later is not to share
// a segment with them (MSG_EOR). A plain stream is told of every write.
func (c *Conn) Wrote(now clock.Instant, n, limit int, more, eor bool) (taken int) {
	if !c.streams() || !c.sendsData() { // to be taken over by syncQueue
		unsent, _, _ := c.upper.Unsent()
		return min(n, max(limit-unsent, 0))
	}
	c.restartAfterIdle(now)
	c.startChrono(now, chronoBusy)
	q := &c.wq
	q.waits = false
	if q.end.Less(c.sndNxt) { // the first write
		q.end, q.pushed = c.sndNxt, c.sndNxt
	}
	goal := c.sizeGoal()
	for n > taken {
		if c.tailRoom(goal) <= 0 && !c.memoryFor(limit) {
			if taken > 0 { // what was taken goes out
				c.markPush()
				q.more = false
			}
			return taken
		}
		b := c.tailBuffer(goal)
		if taken == 0 {
			b.push = false
		}
		k := min(n-taken, c.tailRoom(goal))
		b.end = b.end.Add(k)
		q.end = b.end
		if taken += k; taken == n {
			b.eor = eor
			break
		}
		// A full buffer: what it allows goes out before the next is filled.
		switch {
		case c.pushDue():
			c.markPush()
			c.burst += 2
			c.planAll(now, naglePush)
		case len(q.bufs)-q.head == q.chunks+1:
			c.burst += 2
			c.planChunk(now, naglePush)
		}
	}
	c.burst += 2
	if !more || c.pushDue() {
		c.markPush()
	}
	if q.more = more; more {
		c.planAll(now, nagleCork)
	}
	return taken
}

// tailRoom returns how many bytes the last buffer takes: none if it is on its way.
func (c *Conn) tailRoom(goal int) int {
	q := &c.wq
	n := len(q.bufs)
	if n-q.head <= q.chunks || q.bufs[n-1].eor {
		return 0
	}
	return goal - q.bufs[n-1].end.Sub(c.startOf(n-1))
}

// memoryFor reports whether the application may have another buffer.
func (c *Conn) memoryFor(limit int) bool {
	low := c.cfg.NotSentLowat
	return c.memory(c.wq.end) < limit && (low <= 0 || c.NotSent() < low)
}

// Memory returns what the bytes of a plain stream that are not acknowledged take of the
// send buffer (sk_wmem_queued).
func (c *Conn) Memory() int {
	unsent, _, _ := c.upper.Unsent()
	return c.memory(c.sndNxt.Add(unsent))
}

// memory is Memory if what was written goes up to end.
func (c *Conn) memory(end wire.Seq) int {
	return end.Sub(c.sndUna) + bufferOverhead*(len(c.wq.bufs)-c.wq.head+c.board.buffers)
}

// tailBuffer returns the buffer that takes the next bytes: the last, if it has
// room, or a new one.
func (c *Conn) tailBuffer(goal int) *buffer {
	q := &c.wq
	if c.tailRoom(goal) > 0 {
		return &q.bufs[len(q.bufs)-1]
	}
	q.release = false
	if q.head > 0 && len(q.bufs) == cap(q.bufs) {
		q.bufs = append(q.bufs[:0], q.bufs[q.head:]...)
		q.head = 0
	}
	q.bufs = append(q.bufs, buffer{end: q.end})
	return &q.bufs[len(q.bufs)-1]
}

// NotSent returns how many bytes of a plain stream wait to be sent.
func (c *Conn) NotSent() int {
	q := &c.wq
	if q.head == len(q.bufs) {
		return 0
	}
	return q.end.Sub(c.planned())
}

// startOf returns where buffer i of the slice begins.
func (c *Conn) startOf(i int) wire.Seq {
	if i == c.wq.head {
		return c.sndNxt
	}
	return c.wq.bufs[i-1].end
}

// planned returns the end of the chunks that are decided on.
func (c *Conn) planned() wire.Seq { return c.startOf(c.wq.head + c.wq.chunks) }

// sizeGoal is how large a buffer gets (tcp_xmit_size_goal): whole segments, and
// not more than half of the largest window.
func (c *Conn) sizeGoal() int {
	mss := c.sendMSS()
	return max(min(c.boundToHalf(gsoMaxSize)/mss, gsoMaxSegs)*mss, mss)
}

// pushDue reports whether more than half of the largest window was written since
// PSH was set last (forced_push).
func (c *Conn) pushDue() bool { return c.wq.pushed.Add(c.maxSndWnd / 2).Less(c.wq.end) }

func (c *Conn) markPush() {
	q := &c.wq
	if n := len(q.bufs); n > q.head {
		q.bufs[n-1].push = true
	}
	q.pushed = q.end
}

// syncQueue takes over what was written before the connection was a stream or
// established, and forgets what Unsent no longer reports.
func (c *Conn) syncQueue(now clock.Instant, unsent int) {
	q := &c.wq
	end := c.sndNxt.Add(unsent)
	if q.end == end {
		return
	}
	if end.Less(q.end) || q.end.Less(c.sndNxt) {
		*q = writeQueue{bufs: q.bufs[:0], end: c.sndNxt, pushed: c.sndNxt, starved: q.starved}
	}
	if n := end.Sub(q.end); n > 0 {
		_, push, more := c.upper.Unsent()
		c.Wrote(now, n, math.MaxInt, more || !push, false)
		q.more = more
	}
}

// planAll decides on chunks until something forbids one.
func (c *Conn) planAll(now clock.Instant, how nagle) {
	for c.planChunk(now, how) {
	}
}

// planChunk decides on the next chunk, as one turn of tcp_write_xmit; false: the
// windows, Nagle's algorithm or the hope for more forbid it.
func (c *Conn) planChunk(now clock.Instant, how nagle) bool {
	q := &c.wq
	i := q.head + q.chunks
	if i >= len(q.bufs) {
		return false
	}
	mss := c.sendMSS()
	pipe := c.board.pipe() + q.segs
	quota := min(max(c.flow.Cwnd/2, 1), c.flow.Cwnd-pipe)
	if quota <= 0 {
		if c.heldByCwnd(now); !c.probeCredit {
			return false
		}
		quota = 1
	}
	start := c.planned()
	window := c.SndWndEnd().Sub(start)
	if c.forceCredit {
		return window > 0 && c.planForced(min(window, mss))
	}
	most := c.maxSegs(mss)
	quota = min(quota, most)
	c.growBuffer(i, start, quota*mss)
	b := &q.bufs[i]
	n, last := b.end.Sub(start), i == len(q.bufs)-1
	if window < min(n, mss) {
		c.startChrono(now, chronoRwnd)
		return false
	}
	fin := last && c.closing
	if n <= mss {
		if n < mss && last && !fin && !q.release && c.nagleHolds(how) {
			return false
		}
	} else if !c.probeCredit {
		if q.waits = q.waits || c.defers(now, n, window, most, last, fin || b.eor); q.waits {
			return false
		}
	}
	c.cutChunk(i, start, c.splitPoint(n, window, quota*mss, last, how))
	c.stopChrono(now, chronoRwnd)
	return true
}

// growBuffer moves bytes of the buffers behind i into it, up to size
// (tcp_grow_skb).
func (c *Conn) growBuffer(i int, start wire.Seq, size int) {
	q := &c.wq
	b := &q.bufs[i]
	missing := size - b.end.Sub(start)
	if missing <= 0 || i+1 >= len(q.bufs) || b.eor {
		return
	}
	next := &q.bufs[i+1]
	k := min(missing, next.end.Sub(b.end))
	if b.end = b.end.Add(k); b.end == next.end {
		b.push, b.eor = b.push || next.push, next.eor
		q.bufs = append(q.bufs[:i+1], q.bufs[i+2:]...)
	}
}

// splitPoint returns how many of a buffer's n bytes go out as one chunk
// (tcp_mss_split_point).
func (c *Conn) splitPoint(n, window, most int, last bool, how nagle) int {
	mss := c.sendMSS()
	if n <= mss || most <= window && !last {
		return min(n, most)
	}
	needed := min(n, window)
	if most <= needed {
		return most
	}
	if rest := needed % mss; rest != 0 && needed > rest && !c.wq.ends && c.nagleHolds(how) {
		return needed - rest
	}
	return needed
}

// cutChunk makes the first n bytes of buffer i a chunk.
func (c *Conn) cutChunk(i int, start wire.Seq, n int) {
	q := &c.wq
	mss := c.sendMSS()
	b := &q.bufs[i]
	if rest := b.end.Sub(start) - n; rest > 0 {
		q.bufs = append(q.bufs, buffer{})
		copy(q.bufs[i+1:], q.bufs[i:])
		b = &q.bufs[i]
		*b = buffer{end: start.Add(n)}
	}
	b.segs = (n + mss - 1) / mss
	b.burst = c.burst + 1
	q.chunks++
	q.segs += b.segs
	if n%mss != 0 {
		c.sndSml = b.end
	}
}

// planForced makes at most n bytes a chunk whatever silly window avoidance and
// Nagle's algorithm say (tcp_write_wakeup).
func (c *Conn) planForced(n int) bool {
	i := c.wq.head + c.wq.chunks
	start := c.planned()
	c.cutChunk(i, start, min(n, c.wq.bufs[i].end.Sub(start)))
	c.wq.bufs[i].push = true
	return true
}

// nagleHolds reports whether a partial segment waits for company: because the
// application wants it (TCP_CORK, MSG_MORE), or (Nagle's algorithm as Minshall
// modified it) because another partial segment is still unacknowledged.
func (c *Conn) nagleHolds(how nagle) bool {
	switch {
	case how == naglePush || c.probeCredit:
		return false
	case how == nagleCork || c.cfg.Cork && c.streams():
		return true
	case c.cfg.NoDelay || c.wq.release:
		return false
	}
	// sndSml may be older than half of the sequence space: then it seems to lie
	// ahead of what was sent.
	return c.board.packets+c.wq.segs > 0 && c.sndUna.Less(c.sndSml) && c.sndSml.LessEq(c.planned())
}

// defers reports whether a chunk waits until more of the window is open
// (tcp_tso_should_defer).
func (c *Conn) defers(now clock.Instant, n, window, most int, last, complete bool) bool {
	if c.flow.State >= cc.Recovery || c.board.head == noRun || now.Sub(c.lastXmit) >= deferRecent {
		return false
	}
	mss := c.sendMSS()
	cwnd := (c.flow.Cwnd - c.board.pipe() - c.wq.segs) * mss
	limit := min(window, cwnd)
	if limit >= most*mss || !last && limit >= n || limit >= min(c.sndWnd, c.flow.Cwnd*mss)/c.cfg.TSOWinDivisor {
		return false
	}
	// "If next ACK is likely to come too late, ie in more than min(1ms, half srtt), do
	// not defer" (Linux since 6.18): what waits longer leaves in larger bursts.
	srtt := c.rtt.smoothed()
	if c.board.at(c.board.head).sentAt.Add(srtt).Sub(now) > min(srtt/2, deferSoon) {
		return false
	}
	if cwnd < window && cwnd <= n {
		c.heldByCwnd(now)
		return true
	}
	if cwnd >= window && window <= n {
		return true
	}
	return !complete
}

// maxSegs returns the segments of a chunk that suit the pacing rate and, on short
// paths, the round-trip time (tcp_tso_autosize).
func (c *Conn) maxSegs(mss int) int {
	if c.rtt.smoothed() <= 0 {
		return gsoMaxSize / mss
	}
	bytes := c.PacingRate() >> pacingShift
	if r := c.flow.MinRTT.Microseconds() >> tsoRTTLog; r < 32 {
		bytes += gsoMaxSize >> r
	}
	return max(int(min(bytes, gsoMaxSize))/mss, c.cfg.MinTSOSegs)
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

// chunkRoom returns what is left of the chunk at hand, at most a segment, or of
// the next; a probe of the MTU is larger.
func (c *Conn) chunkRoom(now clock.Instant, unsent int) int {
	q := &c.wq
	if n := c.probeRoom(now, unsent); n != 0 {
		return max(n, 0)
	}
	if q.chunks == 0 {
		how := nagleOwn
		if q.more {
			how = nagleCork
		}
		if !c.planChunk(now, how) {
			return 0
		}
	}
	return min(q.bufs[q.head].end.Sub(c.sndNxt), c.sendMSS())
}

// burstOf returns the burst of the first chunk, or now if there is none.
func (q *writeQueue) burstOf(now uint32) uint32 {
	if q.chunks == 0 {
		return now
	}
	return q.bufs[q.head].burst
}

// takeChunk notes that the segment with n bytes at sndNxt goes out; it returns
// what the scoreboard is to know of it, and of how many segments the chunk was that
// ends with it: the last of several has PSH ("Force a PSH flag on all (GSO) packets",
// __tcp_transmit_skb), though not if it goes out again.
func (c *Conn) takeChunk(n int) (marks runFlags, pieces int) {
	q := &c.wq
	if q.chunks == 0 || c.sndNxt.Add(n).Sub(q.bufs[q.head].end) > 0 {
		return 0, 1 // not what was planned: Room was not asked
	}
	if q.begun {
		marks |= runJoined
	}
	b := &q.bufs[q.head]
	if c.sndNxt.Add(n) != b.end {
		q.segs = max(q.segs-1, 0)
		q.begun = true
		return marks, 1
	}
	pieces = b.segs
	if b.push {
		marks |= runPush
	}
	if b.eor {
		marks |= runEOR
	}
	q.head++
	if q.chunks--; q.chunks == 0 {
		q.segs = 0
	} else {
		q.segs = max(q.segs-1, 0)
	}
	q.begun = false
	if q.head == len(q.bufs) {
		q.bufs, q.head = q.bufs[:0], 0
	}
	return marks, pieces
}

// takeProbe takes the n bytes of a probe of the MTU off the queue, whatever chunks
// were decided on.
func (c *Conn) takeProbe(n int) (marks runFlags) {
	q := &c.wq
	for i := range q.bufs[q.head:] {
		q.bufs[q.head+i].segs = 0
	}
	q.chunks, q.segs, q.begun = 0, 0, false
	for end := c.sndNxt.Add(n); q.head < len(q.bufs) && q.bufs[q.head].end.LessEq(end); q.head++ {
		if q.bufs[q.head].push {
			marks = runPush
		}
	}
	return marks
}

// Push sends what waits for company: TCP_NODELAY was set.
func (c *Conn) Push() { c.wq.release, c.wq.waits = true, false }

// Uncork lets what MSG_MORE holds go as Nagle's algorithm allows: TCP_CORK was cleared.
func (c *Conn) Uncork() { c.wq.more = false }

// Starved says whether the application waits for room to write.
func (c *Conn) Starved(yes bool) { c.wq.starved = yes }
