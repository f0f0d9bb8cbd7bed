package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// Positions in a subflow are ssn counted in 64 bits, so that they can be
// compared; the SYN is 0.

// sndMap is a mapping that we declared: n bytes at ssn are those of the stream
// at off. It is kept until the subflow's peer has acknowledged all of it.
type sndMap struct {
	ssn, off uint64
	n        int
	csum     uint16
	fin      bool   // DATA_FIN follows the last byte
	push     bool   // PSH on the last segment
	void     bool   // MP_FAIL: the peer discards its bytes, whatever its TCP acknowledges
	queued   bool   // its bytes were queued for reinjection
	own      []byte // copied: the connection's ring has moved on
}

func (m *sndMap) end() uint64 { return m.ssn + uint64(m.n) }

// sendSide is what a subflow knows of the bytes it sends.
type sendSide struct {
	una, nxt         uint64 // as TCP's
	maps             queue[sndMap]
	disorder         int // mappings in maps that begin before the one before them
	lastOff          uint64
	copyNext         uint64
	bound            queue[boundRange] // bind.go
	boundLen         int
	streaming        bool // from infSSN on the stream goes on with the byte at infOff
	infSSN, infOff   uint64
	synData          uint64 // bytes of the SYN that the peer took: no mapping counts them
	announceInfinite bool   // by a DSS on the segment at infSSN
	infiniteSaid     bool
	acked            uint64 // the end in the stream of the last mapping that was acknowledged
}

func (t *sendSide) init() { t.una, t.nxt = 0, 1 }

// infinite maps everything from ssn on to the stream from off on.
func (t *sendSide) infinite(ssn, off uint64) {
	t.streaming, t.infSSN, t.infOff = true, ssn, off
}

// wire returns the ssn that a mapping gives for the position ssn: "the DSS subflow
// sequence number is 1 (because the TFO data is not part of the data sequence number
// space" (https://www.rfc-editor.org/rfc/rfc8684#appendix-B.3).
func (t *sendSide) wire(ssn uint64) wire.Seq { return wire.Seq(ssn - t.synData) }

// pos widens ssn.
func (t *sendSide) pos(ssn wire.Seq) uint64 {
	return t.una + uint64(int64(int32(uint32(ssn)-uint32(t.una))))
}

// at returns the mapping that holds ssn, or nil.
func (t *sendSide) at(ssn wire.Seq) *sndMap {
	p, maps := t.pos(ssn), t.maps.all()
	lo, hi := 0, len(maps)
	for lo < hi {
		if m := (lo + hi) / 2; maps[m].end() <= p {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == len(maps) || maps[lo].ssn > p {
		return nil
	}
	return &maps[lo]
}

// add declares a mapping behind all others.
func (t *sendSide) add(m sndMap) {
	if t.maps.len() > 0 && m.off < t.lastOff {
		t.disorder++
	}
	t.lastOff = m.off
	t.maps.push(m)
	t.nxt = m.end()
	if m.off <= t.copyNext {
		t.copyNext = max(t.copyNext, m.off+uint64(m.n))
	}
}

// lowest returns the first byte of the stream that the subflow still reads from
// the connection's ring, at most limit.
func (t *sendSide) lowest(limit uint64) uint64 {
	for _, r := range t.bound.all() {
		if r.all {
			limit = min(limit, r.lo)
		}
	}
	for i := range t.maps.all() {
		m := &t.maps.all()[i]
		if m.own == nil && m.off < limit {
			limit = m.off
		}
		if t.disorder == 0 && m.own == nil {
			break
		}
	}
	return limit
}

// discarded notes that the peer drops everything from off on.
func (t *sendSide) discarded(off uint64) {
	maps := t.maps.all()
	for i := range maps {
		m := &maps[i]
		m.void = m.off+uint64(m.n) > off
	}
}

// carries reports whether the byte at off is under way on the subflow or bound to it.
func (t *sendSide) carries(off uint64) bool {
	for i := range t.maps.all() {
		m := &t.maps.all()[i]
		if m.off <= off && off < m.off+uint64(m.n) {
			return true
		}
	}
	for _, r := range t.bound.all() {
		if r.lo <= off && off < r.hi {
			return true
		}
	}
	return false
}

// Plan implements tcp.Upper.
func (sf *subflow) Plan(ssn wire.Seq, limit int) (n, optLen int, push bool) {
	t := &sf.tx
	if m := t.at(ssn); m != nil {
		n = int(m.end() - t.pos(ssn))
		optLen = dssReserve
		if sf.conn.streaming() {
			optLen = 0
		}
		return min(n, limit), optLen, m.push && n <= limit
	}
	p := t.pos(ssn)
	if !t.streaming || p < t.infSSN || p >= t.nxt {
		return 0, 0, false
	}
	if t.announceInfinite && p == t.infSSN {
		optLen = infiniteLen
	}
	n = int(t.nxt - p)
	end := t.infOff + (p - t.infSSN) + uint64(min(n, limit))
	return min(n, limit), optLen, end == sf.conn.send.pushAt
}

// Fill implements tcp.Upper.
func (sf *subflow) Fill(b []byte, ssn wire.Seq) {
	t, c := &sf.tx, sf.conn
	for len(b) > 0 {
		p := t.pos(ssn)
		m := t.at(ssn)
		if m == nil {
			c.send.ring.ReadAt(t.infOff+(p-t.infSSN), b)
			return
		}
		k := min(len(b), int(m.end()-p))
		if m.own != nil {
			copy(b[:k], m.own[p-m.ssn:])
		} else {
			c.send.ring.ReadAt(m.off+(p-m.ssn), b[:k])
		}
		b, ssn = b[k:], ssn.Add(k)
	}
}

// Acked implements tcp.Upper.
func (sf *subflow) Acked(now clock.Instant, una wire.Seq) {
	t, c := &sf.tx, sf.conn
	p := t.pos(una)
	if p <= t.una {
		return
	}
	t.una = p
	if t.announceInfinite && p > t.infSSN {
		t.announceInfinite = false
		sf.tcp.ReserveOptions(0)
	}
	sf.progress(now)
	for {
		m, ok := t.maps.front()
		if !ok || m.end() > p {
			break
		}
		sf.dropFront(&m)
		t.acked = m.off + uint64(m.n)
		if c.streaming() && !m.void {
			c.streamAcked(now, m.off+uint64(m.n))
		}
	}
	if t.streaming && p > t.infSSN && c.streaming() {
		c.streamAcked(now, t.infOff+(min(p, t.nxt)-t.infSSN))
		if p > t.nxt {
			c.streamFINAcked()
		}
	}
}

// dropFront forgets the oldest mapping, m.
func (sf *subflow) dropFront(m *sndMap) {
	t := &sf.tx
	if m.queued {
		sf.conn.reinject.remove(m.off, m.off+uint64(m.n))
	}
	if m.own != nil {
		sf.conn.send.recycle(m.own)
	}
	t.maps.pop()
	if next, ok := t.maps.front(); !ok {
		t.disorder = 0
	} else if next.off < m.off {
		t.disorder--
	}
}

// rcvMap is a mapping that the peer declared.
type rcvMap struct {
	ssn, off uint64
	n        uint64
	csum     uint16
	fin      bool
	dataLen  uint16
	dsn64    bool
}

func (m *rcvMap) end() uint64 { return m.ssn + m.n }

// addMapping registers the mapping of a DSS. The same again is ignored; one that
// overlaps must agree: "A sender MUST NOT change this mapping after it has been
// declared" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func (sf *subflow) addMapping(now clock.Instant, d *wire.DSS) error {
	c, r := sf.conn, &sf.rx
	// "If a checksum is not present when its use has been negotiated, the
	// receiver MUST close the subflow with a RST", and the other way round
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3).
	if d.HasChecksum != c.checksum {
		return sf.dssError(wire.RstMPTCP, "DSS checksum against what was agreed")
	}
	off := c.rcvOffset(expand(d.DSN, d.DSN64, c.rcvBase.Add(int(c.recv.nxt))))
	ssn := r.pos(d.SSN.Add(int(r.synData)))
	if d.DataLen == 0 {
		return sf.infiniteMapping(now, ssn, off)
	}
	if off > 1<<62 { // before the first byte of the stream
		c.stack.counters.MPTcpExtNoDSSInWindow++
		return nil
	}
	m := rcvMap{ssn: ssn, off: off, n: uint64(d.DataLen), csum: d.Checksum, dataLen: d.DataLen, dsn64: d.DSN64}
	if d.DataFIN {
		m.fin, m.n = true, m.n-1
		if !c.recv.wantFIN(c, now, off+m.n) {
			return sf.dssError(wire.RstMPTCP, "DATA_FIN before data or twice")
		}
		if m.n == 0 {
			// A DATA_FIN of its own: SSN 0. While bytes before it are missing there is nothing
			// to say, and two ends that both wait so would answer each other's for ever.
			sf.ackOwed = sf.ackOwed || c.recv.finDone
			return nil
		}
	}
	if w := &c.recv; w.hasFIN && m.off+m.n > w.fin {
		return sf.dssError(wire.RstMPTCP, "data behind DATA_FIN")
	}
	return sf.insertMapping(m)
}

// insertMapping puts m in its place among those not consumed yet.
func (sf *subflow) insertMapping(m rcvMap) error {
	r := &sf.rx
	if m.end() <= r.nxt || r.failed {
		return nil // all of it was consumed: a repetition
	}
	if m.ssn > r.nxt+maxAhead {
		sf.conn.stack.counters.MPTcpExtDSSNotMatching++
		return sf.dssError(wire.RstMPTCP, "mapping far ahead")
	}
	maps := r.maps.all()
	for i := len(maps) - 1; i >= 0; i-- {
		o := &maps[i]
		if m.ssn >= o.end() {
			break
		}
		if o.ssn >= m.end() {
			continue
		}
		if m.off-m.ssn != o.off-o.ssn {
			sf.conn.stack.counters.MPTcpExtDSSNotMatching++
			return sf.dssError(wire.RstMPTCP, "mapping changed")
		}
		if m.ssn >= o.ssn && m.end() <= o.end() {
			return nil // known
		}
		if sf.conn.checksum {
			sf.conn.stack.counters.MPTcpExtDSSNotMatching++
			return sf.dssError(wire.RstMPTCP, "mappings with checksums overlap")
		}
		if m.ssn < o.ssn && m.end() > o.end() {
			// Around a known one: the parts on both sides are new.
			tail := m
			tail.ssn, tail.off, tail.n = o.end(), m.off+(o.end()-m.ssn), m.end()-o.end()
			m.n = o.ssn - m.ssn
			if err := sf.insertMapping(tail); err != nil {
				return err
			}
			return sf.insertMapping(m)
		}
		if m.ssn < o.ssn {
			m.n = o.ssn - m.ssn
		} else {
			cut := o.end() - m.ssn
			m.ssn, m.off, m.n = o.end(), m.off+cut, m.n-cut
		}
	}
	if r.maps.len() >= maxMappings {
		return sf.dssError(wire.RstTooMuchData, "too many mappings")
	}
	r.insert(m)
	return nil
}

const (
	maxMappings = 16384
	maxAhead    = 1 << 30 // ssn
)

// traceMapped tells of a new mapping.
func (sf *subflow) traceMapped(now clock.Instant, m *sndMap, again bool) {
	if sf.conn.tracing() {
		sf.trace(now, trace.Event{Kind: trace.Mapped, A: uint64(sf.conn.sndBase) + m.off, B: m.ssn, N: m.n, Flag: again})
	}
}
