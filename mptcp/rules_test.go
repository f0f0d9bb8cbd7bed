package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// rules checks every segment that two hosts send.
type rules struct {
	t     *testing.T
	w     *world
	base  [2]wire.DSN // of stream offset 0 sent by host i; 0: not known
	flows map[flowKey]*flowRules
	data  int // segments with data
}

// flowRules are those of one direction of a subflow.
type flowRules struct {
	iss   wire.Seq
	bytes []uint16   // by relative sequence number; 256 + the byte, 0: not sent
	dsn   []wire.DSN // likewise; 0: not mapped
}

// watch checks all segments of w and loses one in loss of them.
func watch(w *world, loss uint32) *rules {
	r := &rules{t: w.t, w: w, flows: make(map[flowKey]*flowRules)}
	for i, p := range w.pipes {
		from := i % 2
		p.filter = func(s *wire.Segment) bool {
			r.segment(from, s)
			return loss == 0 || w.random()%loss != 0
		}
	}
	return r
}

func (r *rules) segment(from int, s *wire.Segment) {
	if s.Flags&wire.URG != 0 || s.Urgent != 0 {
		r.t.Fatalf("DSS-09: urgent pointer: %s", s.String())
	}
	k := flowKey{s.Src, s.Dst}
	f := r.flows[k]
	if s.Flags&wire.SYN != 0 {
		if f == nil {
			r.flows[k] = &flowRules{iss: s.Seq}
		}
		return
	}
	if len(s.Payload) == 0 || f == nil {
		return
	}
	r.data++
	at := s.Seq.Sub(f.iss)
	r.sameBytes(f, at, s)
	r.mapping(from, f, at, s)
}

// sameBytes is LC-50: what is repeated is repeated byte for byte.
func (r *rules) sameBytes(f *flowRules, at int, s *wire.Segment) {
	f.bytes = reach(f.bytes, at+len(s.Payload))
	for i, b := range s.Payload {
		old := &f.bytes[at+i]
		if *old != 0 && byte(*old) != b {
			r.t.Fatalf("LC-50: byte %d of the subflow was %#x, is %#x: %s", at+i, byte(*old), b, s.String())
		}
		*old = 256 | uint16(b)
	}
}

// mapping is FBK-02 (each segment has one), DSS-15 (with 64 bits), DSS-18 (it applies
// to the segment), DSS-05 and LC-17 (a byte of a subflow is always the same byte of
// the stream, by numbers relative to the SYN).
func (r *rules) mapping(from int, f *flowRules, at int, s *wire.Segment) {
	o := &s.Options
	var ssn, n int
	var dsn wire.DSN
	switch {
	case o.Has&wire.HasDSS != 0 && o.DSS.HasMap:
		if !o.DSS.DSN64 {
			r.t.Fatalf("DSS-15: a short DSN: %s", s.String())
		}
		ssn, n, dsn = int(o.DSS.SSN), int(o.DSS.DataLen), o.DSS.DSN
		if o.DSS.DataFIN {
			n--
		}
	case o.Has&wire.HasMPCapable != 0 && o.MPCapable.HasDataLen:
		ssn, n, dsn = 1, int(o.MPCapable.DataLen), r.base[from]
		if dsn == 0 {
			dsn = wire.IDSN(o.MPCapable.SenderKey).Add(1) // LC-06
			r.base[from] = dsn
		}
	default:
		r.t.Fatalf("FBK-02: data without mapping: %s", s.String())
	}
	if ssn >= at+len(s.Payload) || ssn+n <= at {
		r.t.Fatalf("DSS-18: mapping of %d bytes at %d on a segment with %d: %s", n, ssn, at, s.String())
	}
	f.dsn = reach(f.dsn, ssn+n)
	for i := range n {
		old := &f.dsn[ssn+i]
		if *old != 0 && *old != dsn.Add(i) {
			r.t.Fatalf("DSS-05: byte %d of the subflow was DSN %d, is %d", ssn+i, *old, dsn.Add(i))
		}
		*old = dsn.Add(i)
	}
}

// reach makes s n long at least.
func reach[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, n-len(s))...)
}

// Every segment of transfers over two lossy paths keeps the rules that the functions
// above name.
func TestSegmentRules(t *testing.T) {
	for _, checksum := range []bool{false, true} {
		cfg := Config{ChecksumEnabled: checksum}
		w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 5)
		for i := range 2 {
			w.link(i, func(p *pipe) { p.rate, p.queue, p.delay = 1_250_000, 60_000, time.Duration(10+20*i)*time.Millisecond })
		}
		r := watch(w, 40)
		p := w.connect(700_000, 1_500_000, "10.0.1.1:0", "10.0.1.2:80")
		p.finish(time.Minute)
		if r.data < 1500 {
			t.Errorf("%d segments with data", r.data)
		}
		for i, c := range []*Conn{p.client.c, p.server.c} {
			in := c.Info(w.now)
			if in.BytesRetrans == 0 || len(in.Subflows) != 2 || in.Subflows[1].TCP.BytesSent == 0 {
				t.Errorf("checksum %v, host %d: nothing was repeated, or one path was used: %+v", checksum, i, in)
			}
		}
	}
}

// heldBy checks that the connection's ring still has what is not DATA_ACKed, and what
// a subflow may have to repeat, there or in a buffer of the subflow's own.
func heldBy(t *testing.T, c *Conn) {
	t.Helper()
	if c == nil || c.streaming() || c.done {
		return
	}
	start := c.send.ring.Start()
	if start > c.send.una {
		t.Fatalf("ACK-04: freed up to %d, DATA_ACKed up to %d", start, c.send.una)
	}
	for _, sf := range c.subflows {
		for i := range sf.tx.maps.all() {
			if m := &sf.tx.maps.all()[i]; m.own == nil && m.off < start {
				t.Fatalf("REL-02: subflow %d needs the byte at %d, freed up to %d", sf.id, m.off, start)
			}
		}
	}
}

// ACK-04, REL-02: after every step nothing was freed that is not DATA_ACKed and
// acknowledged on each subflow that carried it, while a path is silent and the send
// buffer has to move on past what it owes. REL-01: what was reinjected elsewhere is
// still repeated on the silent path itself, and so the subflow lives when it returns.
func TestReinjectedIsKeptAndRepeated(t *testing.T) {
	cfg := Config{SendBuffer: 100_000}
	w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 6)
	for i := range 2 {
		w.link(i, func(p *pipe) { p.rate, p.queue = 1_250_000, 60_000 })
	}
	p := w.connect(0, 6_000_000, "10.0.1.1:0", "10.0.1.2:80")
	step := w.onStep
	w.onStep = func() {
		step()
		heldBy(t, p.client.c)
		if p.server != nil {
			heldBy(t, p.server.c)
		}
	}
	w.run(time.Second, func() bool { return false })
	sf := p.server.c.subflows[0]
	una, nxt := sf.tx.una, sf.tx.nxt
	if una == nxt {
		t.Fatal("nothing is under way")
	}
	w.link(0, func(p *pipe) { p.dead = true; p.flying = nil })
	w.run(2*time.Second, func() bool { return false })
	if p.server.c.send.una < una+1_000_000 {
		t.Fatalf("the other path did not go on: %d", p.server.c.send.una)
	}
	if sf.tx.una != una && sf.tx.una >= nxt {
		t.Fatal("the silent path was not silent")
	}
	w.link(0, func(p *pipe) { p.dead = false })
	if !w.run(4*time.Second, func() bool { return sf.tx.una >= nxt }) {
		t.Errorf("the path returned and its bytes did not come again: %d of %d", sf.tx.una, nxt)
	}
	p.finish(time.Minute)
}
