package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/window"
	"mptcplab/mptcp/wire"
)

// sendWindow is the send buffer of a connection, addressed by stream offset:
// una <= nxt <= end. Its ring may begin before una: "An MPTCP sender MUST NOT free
// data from the send buffer until it has been acknowledged by both a Data ACK
// received on any subflow and at the subflow level by all subflows on which the data
// was sent."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
type sendWindow struct {
	ring          window.Ring
	una, nxt, end uint64
	sentTo        uint64 // end of what any subflow was given to send; nxt is beyond if bytes are bound ahead
	edge          uint64 // right edge of the peer's window
	largest       int    // of the peer's windows so far
	crumb         bool   // the next segment may be short: silly window avoidance has waited long enough
	shut          bool   // the window was found shut
	limit, max    int    // of bytes not acknowledged; limit grows to max
	pushAt        uint64 // end of the last write without MSG_MORE
	more          bool
	starved       bool // a write found no room: Writable is awaited
	closed        bool // end is final
	finSent       bool // a DATA_FIN went out
	spare         [][]byte
}

// initialSendBuffer is where autotuning begins.
const initialSendBuffer = 128 << 10

// maxBuffer is by how much a plain stream may exceed the send buffer: as in Linux a
// write that finds it not yet full fills a whole buffer of TCP's.
const maxBuffer = 64 << 10

func (w *sendWindow) init(cfg *Config) {
	w.limit, w.max = cfg.SendBuffer, cfg.SendBuffer
	if w.limit == 0 {
		w.limit, w.max = min(initialSendBuffer, cfg.SendBufferMax), cfg.SendBufferMax
	}
	w.ring = window.NewRing(0, w.max+maxBuffer)
}

// open moves the right edge of the peer's window to edge; false: it is not further.
func (w *sendWindow) open(edge uint64) bool {
	if edge <= w.edge {
		return false
	}
	w.edge = edge
	w.largest = max(w.largest, int(edge-min(w.una, edge)))
	return true
}

// free returns how much of the send buffer is free.
func (c *Conn) free() int {
	w := &c.send
	if c.countsMemory() {
		return w.limit - c.stream().Memory()
	}
	return w.limit - int(w.end-w.una)
}

// makeRoom makes the ring fit for n more bytes. If a silent subflow still owes
// bytes that others have delivered, they are copied into a repair buffer of its
// own: a dead path must not pin the connection. Only then, or in redundant mode
// every byte of the slower path would be copied.
func (c *Conn) makeRoom(n int) {
	w := &c.send
	if w.ring.Room() >= n {
		return
	}
	head := w.una
	for _, sf := range c.subflows {
		head = sf.tx.lowest(head)
	}
	w.ring.Free(head)
	if w.ring.Room() >= n {
		return
	}
	for _, sf := range c.subflows {
		sf.tx.unpin(w)
	}
	w.ring.Free(w.una)
}

// unpin copies what the subflow still needs of the bytes before una.
func (t *sendSide) unpin(w *sendWindow) {
	maps := t.maps.all()
	for i := range maps {
		m := &maps[i]
		if m.own != nil || m.off >= w.una || m.n == 0 {
			continue
		}
		m.own = w.buffer(m.n)
		w.ring.ReadAt(m.off, m.own)
	}
}

// buffer returns a buffer of n bytes, a used one if there is one.
func (w *sendWindow) buffer(n int) []byte {
	if k := len(w.spare); k > 0 && cap(w.spare[k-1]) >= n {
		b := w.spare[k-1][:n]
		w.spare = w.spare[:k-1]
		return b
	}
	return make([]byte, n, max(n, 2048))
}

// recycle takes a buffer of unpin back.
func (w *sendWindow) recycle(b []byte) {
	if len(w.spare) < 1024 {
		w.spare = append(w.spare, b)
	}
}

// freed is called when bytes were acknowledged for good: the buffer grows with
// the subflows' windows, and who waits for room is told.
func (c *Conn) freed(now clock.Instant) {
	w := &c.send
	if w.limit < w.max {
		w.limit = min(max(w.limit, 2*c.bandwidthDelay()), w.max)
	}
	if w.starved && c.free() >= c.enoughRoom() {
		c.starve(false)
		c.notify(Writable)
	}
}

// enoughRoom is how many bytes must be free before Writable: a third of the buffer,
// as in Linux, but one segment if all was sent, for then the subflows wait, too.
func (c *Conn) enoughRoom() int {
	w := &c.send
	if w.nxt == w.end && !c.countsMemory() {
		return min(w.limit/3, c.mss())
	}
	return w.limit / 3
}

// bandwidthDelay is what the subflows together can send in the longest of their
// round-trip times, in bytes. "A tight upper bound would be the maximum round-trip
// time (RTT) of any path multiplied by the total bandwidth available across all
// paths. This permits all subflows to continue at full speed while a packet is
// fast-retransmitted on the maximum RTT path."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.4). With one subflow it is
// its cwnd.
func (c *Conn) bandwidthDelay() int {
	longest := c.maxSRTT()
	sum := 0
	for _, sf := range c.subflows {
		if sf.stage != open {
			continue
		}
		f := sf.tcp.Flow()
		sum += int(int64(f.Cwnd*f.MSS) * int64(longest/time.Microsecond) / max(1, int64(max(sf.tcp.SRTT(), minSRTT)/time.Microsecond)))
	}
	return sum
}

// minSRTT keeps a round-trip time of nothing from asking for a buffer without end.
const minSRTT = 10 * time.Millisecond

// streamAcked is dataAcked for a byte stream: TCP's acknowledgment is all there
// is.
func (c *Conn) streamAcked(now clock.Instant, off uint64) {
	w := &c.send
	off = min(off, w.end)
	if off <= w.una {
		return
	}
	n := off - w.una
	w.una = off
	c.stats.acked += n
	w.ring.Free(off)
	c.freed(now)
	if c.tracing() {
		c.trace(now, trace.Event{Kind: trace.Acked, A: uint64(c.sndBase) + off, N: int(n)})
	}
}

// checksumOf returns the DSS checksum of a mapping to ssn whose bytes lie in the ring.
func (c *Conn) checksumOf(m *sndMap, ssn wire.Seq) uint16 {
	if !c.checksum {
		return 0
	}
	var sum wire.PayloadSum
	for off, end := m.off, m.off+uint64(m.n); off < end; {
		p := c.send.ring.Peek(off)
		p = p[:min(uint64(len(p)), end-off)]
		sum.Add(p)
		off += uint64(len(p))
	}
	n := uint16(m.n)
	if m.fin {
		n++
	}
	return wire.DSSChecksum(c.sndBase.Add(int(m.off)), ssn, n, sum.Sum())
}
