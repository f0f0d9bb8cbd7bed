package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/window"
	"mptcplab/mptcp/wire"
)

// receiveSide is what a subflow knows of the bytes it receives. What arrives in
// the subflow's order goes straight to its place in the connection's window. The
// rest waits in ring, addressed by ssn: bytes behind a gap, bytes whose mapping
// has not come, and with checksums bytes of a mapping that is not complete. So a
// byte counts for the connection only when the subflow's cumulative sequence has
// passed it and its mapping's sum is right, and two subflows that carry the same
// range keep their bytes apart.
type receiveSide struct {
	nxt       uint64 // everything before it was handed to the connection or dropped
	arrived   uint64 // TCP's rcvNxt
	maps      queue[rcvMap]
	ring      window.Ring
	streaming bool
	infSSN    uint64
	infOff    uint64
	synData   uint64 // bytes taken from the SYN: no mapping counts them
	failed    bool   // MP_FAIL was sent: everything is dropped until the infinite mapping
	failedAt  uint64 // where the mapping begins whose sum was wrong
}

func (r *receiveSide) init() {
	r.nxt, r.arrived = 1, 1
	r.ring = window.NewRing(1, 0)
}

func (r *receiveSide) infinite(ssn, off uint64) {
	r.streaming, r.infSSN, r.infOff = true, ssn, off
}

// pos widens ssn.
func (r *receiveSide) pos(ssn wire.Seq) uint64 {
	return r.nxt + uint64(int64(int32(uint32(ssn)-uint32(r.nxt))))
}

// insert puts m behind the mappings that begin before it.
func (r *receiveSide) insert(m rcvMap) {
	r.maps.push(m)
	maps := r.maps.all()
	for i := len(maps) - 1; i > 0 && maps[i-1].ssn > m.ssn; i-- {
		maps[i], maps[i-1] = maps[i-1], maps[i]
	}
}

// current returns the mapping that holds nxt; false: there is none. Mappings
// that were passed are dropped.
func (r *receiveSide) current() (rcvMap, bool) {
	for {
		m, ok := r.maps.front()
		switch {
		case ok && m.end() <= r.nxt:
			r.maps.pop()
		case ok && m.ssn <= r.nxt:
			return m, true
		case r.streaming && r.nxt >= r.infSSN:
			return rcvMap{ssn: r.infSSN, off: r.infOff, n: 1 << 62}, true
		default:
			return rcvMap{}, false
		}
	}
}

// Deliver implements tcp.Upper.
func (sf *subflow) Deliver(now clock.Instant, ssn wire.Seq, p []byte) (kept int) {
	r, c := &sf.rx, sf.conn
	sf.lastData = now
	pos, kept := r.pos(ssn), 0
	if int64(pos-r.nxt) < 0 {
		old := int(min(r.nxt-pos, uint64(len(p))))
		p, pos, kept = p[old:], pos+uint64(old), old
	}
	if pos == r.nxt && r.arrived == r.nxt {
		n := sf.take(now, p)
		p, pos, kept = p[n:], pos+uint64(n), kept+n
	}
	if len(p) == 0 {
		return kept
	}
	// "if a mapping does not exist from the subflow space to the data-level space,
	// the data SHOULD still be ACKed at the subflow" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
	r.ring.Free(r.nxt)
	r.ring.SetCap(c.recv.limit)
	if pos < r.ring.Start() {
		return kept
	}
	return kept + r.ring.Write(pos, p)
}

// InOrder implements tcp.Upper.
func (sf *subflow) InOrder(now clock.Instant, rcvNxt wire.Seq, fin bool) {
	r, c := &sf.rx, sf.conn
	r.arrived = r.pos(rcvNxt)
	if fin {
		r.arrived--
	}
	for r.nxt < r.arrived {
		p := r.ring.Peek(r.nxt)
		if len(p) == 0 {
			break
		}
		n := sf.take(now, p[:min(uint64(len(p)), r.arrived-r.nxt)])
		if n == 0 && !sf.complete(now) {
			break
		}
	}
	r.ring.Free(r.nxt)
	if r.nxt < r.arrived && !c.streaming() && !sf.over {
		sf.checkUnmapped(now)
	}
	if fin && c.streaming() {
		c.streamFIN(now)
	}
}

// take hands bytes at nxt, in the subflow's order, to the connection and returns
// how many: up to where no mapping is known or a checksum must be checked first.
func (sf *subflow) take(now clock.Instant, p []byte) int {
	r, c := &sf.rx, sf.conn
	taken := 0
	for taken < len(p) {
		if r.failed {
			r.nxt += uint64(len(p) - taken)
			return len(p)
		}
		m, ok := r.current()
		if !ok {
			break
		}
		c.ack64 = m.dsn64
		n := int(min(uint64(len(p)-taken), m.end()-r.nxt))
		if c.checksum && !c.streaming() && !r.streaming {
			if r.nxt != m.ssn || uint64(n) < m.n || !sf.verify(now, &m, p[taken:taken+n], nil) {
				break
			}
		}
		c.receive(now, m.off+(r.nxt-m.ssn), p[taken:taken+n])
		sf.passed(&m, r.nxt+uint64(n))
		taken += n
	}
	return taken
}

// passed notes that the bytes of m before nxt were handed over. If what follows them is
// not what the stream waits for, bytes were dropped for lying outside the window, or they
// came twice: nothing but mappings says any more where the subflow is in the stream.
func (sf *subflow) passed(m *rcvMap, nxt uint64) {
	c := sf.conn
	sf.rx.nxt = nxt
	if m.off+(nxt-m.ssn) != c.recv.nxt {
		c.multi = true
	}
}

// complete hands over a mapping with checksum that lies in two pieces of the
// ring; it reports whether it did.
func (sf *subflow) complete(now clock.Instant) bool {
	r, c := &sf.rx, sf.conn
	m, ok := r.current()
	if !ok || !c.checksum || c.streaming() || r.nxt != m.ssn || r.arrived < m.end() {
		return false
	}
	first := r.ring.Peek(r.nxt)
	if uint64(len(first)) >= m.n {
		return false // it was tried and failed
	}
	second := r.ring.Peek(r.nxt + uint64(len(first)))
	second = second[:m.n-uint64(len(first))]
	if !sf.verify(now, &m, first, second) {
		return false
	}
	c.receive(now, m.off, first)
	c.receive(now, m.off+uint64(len(first)), second)
	sf.passed(&m, m.end())
	return true
}

// verify checks the sum of a mapping whose bytes are a and b.
func (sf *subflow) verify(now clock.Instant, m *rcvMap, a, b []byte) bool {
	var sum wire.PayloadSum
	sum.Add(a)
	sum.Add(b)
	c := sf.conn
	if wire.VerifyDSSChecksum(c.rcvBase.Add(int(m.off)), wire.Seq(m.ssn-sf.rx.synData), m.dataLen, sum.Sum(), m.csum) {
		return true
	}
	if !sf.over {
		sf.checksumFailed(now, m.off)
	}
	return false
}

// checkUnmapped judges data that arrived in order and whose mapping has not
// come. On a connection that never had a second subflow the peer may have fallen
// back; else "If a mapping for that subflow-level sequence space does not arrive within
// a receive window of data, that subflow SHOULD be treated as broken, closed with a
// RST, and any unmapped data silently discarded."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1). If other subflows work it is
// closed at once, as by Linux: the peer sends the data there again, while waiting for
// what may never come holds the stream up.
func (sf *subflow) checkUnmapped(now clock.Instant) {
	r, c := &sf.rx, sf.conn
	if _, ok := r.current(); ok {
		return // it waits for the rest of a mapping with checksum
	}
	if sf.contiguous() {
		c.fall(now, reasonDataWithoutMapping)
		return
	}
	if c.others(sf) || r.arrived-r.nxt >= uint64(c.recv.limit)/2 {
		c.stack.counters.MPTcpExtDssReset++
		sf.abort(wire.RstMiddlebox, "data without mapping")
	}
}

// drainUnmapped hands over what waited for a mapping when the connection fell
// back.
func (sf *subflow) drainUnmapped(now clock.Instant) {
	r := &sf.rx
	r.maps.reset()
	for r.nxt < r.arrived {
		p := r.ring.Peek(r.nxt)
		if len(p) == 0 || sf.take(now, p[:min(uint64(len(p)), r.arrived-r.nxt)]) == 0 {
			return
		}
	}
}

// receive takes bytes of the stream that a subflow has vouched for. Of two
// copies of a byte the first counts: "an implementation SHOULD treat the first data
// that is received at a subflow for the data sequence space as the data that should
// be delivered to the application" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func (c *Conn) receive(now clock.Instant, off uint64, p []byte) {
	w := &c.recv
	end := off + uint64(len(p))
	if limit := w.read + uint64(w.ring.Cap()); end > limit {
		c.stack.counters.MPTcpExtNoDSSInWindow++
		if off >= limit {
			return
		}
		p, end = p[:limit-off], limit
	}
	if off < w.nxt {
		old := min(w.nxt-off, uint64(len(p)))
		c.duplicate(old)
		p, off = p[old:], off+old
	}
	if off > w.nxt && len(p) > 0 {
		c.countOutOfOrder(off)
	}
	for len(p) > 0 {
		// Up to what is there already, and over it.
		r, ok := w.ooo.Next(off)
		if !ok || r.Lo >= end {
			w.store(off, p)
			break
		}
		if r.Lo > off {
			w.store(off, p[:r.Lo-off])
		}
		p = p[r.Lo-off:]
		old := min(r.Hi-r.Lo, uint64(len(p)))
		c.duplicate(old)
		p, off = p[old:], r.Lo+old
	}
	c.deliver(now)
}

// countOutOfOrder counts an arrival of bytes from off on that have to wait for those
// of other subflows, by how it fits to what waits already.
func (c *Conn) countOutOfOrder(off uint64) {
	n, waiting := &c.stack.counters, &c.recv.ooo
	n.MPTcpExtOFOQueue++
	if waiting.Len() == 0 {
		return
	}
	if waiting.At(waiting.Len()-1).Hi <= off {
		n.MPTcpExtOFOQueueTail++
	}
	if waiting.Has(off-1) && !waiting.Has(off) {
		n.MPTcpExtOFOMerge++
	}
}

func (c *Conn) duplicate(n uint64) {
	if n > 0 {
		c.stats.duplicate += n
		c.stack.counters.MPTcpExtDuplicateData++
	}
}

// store writes fresh bytes; behind a gap they are only remembered.
func (w *recvWindow) store(off uint64, p []byte) {
	if len(p) == 0 {
		return
	}
	w.ring.Free(w.read)
	w.ring.Write(off, p)
	w.ooo.Add(off, off+uint64(len(p)))
}

// deliver moves the in-order edge over what has become contiguous.
func (c *Conn) deliver(now clock.Instant) {
	w := &c.recv
	next := w.ooo.FirstGap(w.nxt)
	if n := next - w.nxt; n > 0 {
		w.ooo.Cut(next)
		w.nxt = next
		if c.tracing() {
			c.trace(now, trace.Event{Kind: trace.Delivered, Path: -1, A: next, N: int(n)})
		}
		if c.readClosed {
			w.read = w.nxt // nobody reads
		} else {
			c.notify(Readable)
		}
	}
	c.checkDataFIN()
}
