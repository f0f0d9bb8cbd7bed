package tcp

import (
	"encoding/binary"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// fuzzInput is a tape of choices.
type fuzzInput struct{ b []byte }

func (f *fuzzInput) byte() byte {
	if len(f.b) == 0 {
		return 0
	}
	x := f.b[0]
	f.b = f.b[1:]
	return x
}

func (f *fuzzInput) uint16() uint16 {
	return binary.BigEndian.Uint16([]byte{f.byte(), f.byte()})
}

// near returns a sequence number close to base, or anywhere.
func (f *fuzzInput) near(base wire.Seq) wire.Seq {
	switch k := f.byte(); k >> 6 {
	case 0:
		return base
	case 1:
		return base.Add(int(int8(f.byte())))
	case 2:
		return base.Add(int(int16(f.uint16())))
	}
	return wire.Seq(f.uint16())<<16 | wire.Seq(f.uint16())
}

// segment makes a segment that is more or less of this connection.
func (f *fuzzInput) segment(c *Conn) wire.Segment {
	s := wire.Segment{Src: clientAddr, Dst: serverAddr}
	s.Flags = wire.Flags(f.byte())
	if f.byte()&3 != 0 {
		s.Flags = s.Flags&^(wire.RST|wire.SYN) | wire.ACK
	}
	s.Seq = f.near(c.irs + c.rcvNxt)
	s.Ack = f.near(c.iss + c.sndNxt)
	if f.byte()&1 != 0 {
		s.Ack = f.near(c.iss + c.sndUna)
	}
	s.Window = f.uint16()
	s.Payload = pattern(int(f.uint16())%1500, 1)
	o := &s.Options
	o.Has = wire.OptionSet(f.uint16()) & (wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted | wire.HasTimestamps | wire.HasSACK | wire.HasDSS | wire.HasAddAddr)
	o.MSS, o.WScale = f.uint16(), f.byte()
	o.TSVal, o.TSEcr = c.tsRecent+uint32(int8(f.byte())), uint32(f.uint16())
	if o.Has&wire.HasSACK != 0 {
		o.NumSACK = int(f.byte()) % 5
		for i := range o.SACK[:o.NumSACK] {
			o.SACK[i].Left = f.near(c.iss + c.sndUna)
			o.SACK[i].Right = f.near(o.SACK[i].Left.Add(1000))
		}
	}
	o.DSS = wire.DSS{HasAck: f.byte()&1 != 0, DataAck: wire.DSN(f.byte())}
	return s
}

// FuzzSegment drives a connection through arbitrary segments, calls and times;
// check verifies the invariants after each.
func FuzzSegment(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(pattern(600, seed))
	}
	f.Fuzz(runTape)
}

// runTape is one life of a connection.
func runTape(t *testing.T, tape []byte) {
	in := &fuzzInput{tape}
	s := newScript2(t, in)
	var edges edges
	for len(in.b) > 0 && s.c.State() != StateClosed {
		switch op := in.byte(); op % 16 {
		case 0:
			s.u.send = append(s.u.send, make([]byte, int(in.uint16())%4000)...)
		case 1:
			s.c.Close()
		case 2:
			s.now = max(s.now, min(s.c.Deadline(), s.now.Add(time.Hour)))
			s.c.Advance(s.now)
		case 3:
			s.now = s.now.Add(time.Duration(in.uint16()) * 10 * time.Microsecond)
			s.c.Advance(s.now)
		case 4:
			s.u.wnd = int(in.uint16())
			s.c.AckNow()
		case 5:
			if op>>4 == 0 {
				s.c.Abort(wire.RstPerformance)
			} else {
				s.u.refuse = op>>5 != 0
			}
		case 6:
			s.c.SetMTU(200 + int(in.uint16())%1500)
		case 7:
			s.c.ICMP(s.now, &wire.ICMP{Kind: wire.ICMPKind(in.byte() % 10), MTU: int(in.uint16()), HasQuote: true, QuoteSeq: in.near(s.c.iss + s.c.sndUna)})
		case 8:
			s.c.Penalise(s.now)
			s.c.Orphan()
		default:
			seg := in.segment(s.c)
			s.c.Segment(s.now, &seg)
			if op>>6 != 0 {
				continue // a batch
			}
		}
		s.drain()
		_ = s.c.Info(s.now)
		edges.check(t, s.c)
	}
	s.drain()
	for i := 0; s.c.Deadline() != clock.Never && i < 100; i++ {
		s.now = s.c.Deadline()
		s.c.Advance(s.now)
		s.drain()
	}
}

// newScript2 begins a connection as the tape says.
func newScript2(t *testing.T, in *fuzzInput) *script {
	k := in.byte()
	cfg := Config{
		NoSACK: k&1 != 0, NoTimestamps: k&2 != 0, NoDelay: k&4 != 0,
		UserTimeout: time.Duration(k&8) * time.Second, KeepaliveIdle: time.Duration(k&16) * time.Second,
	}
	s := newScript(t, cfg)
	if k&32 != 0 {
		s.connect()
		return s
	}
	syn := in.segment(&Conn{})
	syn.Flags = wire.SYN
	s.c = Accept(s.now, s.params(), s.u, &syn)
	s.u.c = s.c
	s.drain()
	if k&64 != 0 {
		seg := wire.Segment{Seq: s.c.irs + 1, Ack: ourISS + 1, Flags: wire.ACK, Window: 60000}
		s.c.Segment(s.now, &seg)
		s.drain()
	}
	return s
}

// edges never move back once the connection is synchronized: what is acknowledged to
// us and by us, and the window that we have promised.
type edges struct {
	known         bool
	una, rcv, wnd wire.Seq
}

func (e *edges) check(t *testing.T, c *Conn) {
	t.Helper()
	if len(c.ranges.spans) > maxRanges {
		t.Fatalf("%d ranges out of order, the bound is %d", len(c.ranges.spans), maxRanges)
	}
	if c.state == StateSYNSent || c.state == StateClosed {
		return
	}
	now := edges{true, c.sndUna, c.rcvNxt, c.windowEnd()}
	if e.known && (now.una.Less(e.una) || now.rcv.Less(e.rcv) || now.wnd.Less(e.wnd)) {
		t.Fatalf("una, rcvNxt or window end went back: from %+v to %+v", *e, now)
	}
	*e = now
}
