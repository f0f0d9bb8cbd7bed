package mptcp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

// FuzzStack feeds a stack arbitrary segments in every state, of plain TCP and MPTCP,
// opened from here and from there, between arbitrary calls and times: nothing panics
// or spins, what is kept stays bounded, and in the end nothing is left.
func FuzzStack(f *testing.F) {
	for seed := range byte(24) {
		tape := randomTape(seed, 400)
		tape[0] = seed
		f.Add(tape)
	}
	f.Fuzz(func(t *testing.T, tape []byte) {
		z := newFuzzing(t, &tape)
		for len(tape) > 0 {
			z.step()
			z.check()
		}
		for _, c := range z.p.s.conns {
			c.Abort()
		}
		z.p.wait(10 * time.Minute)
		z.empty()
	})
}

// randomTape is a tape of n bytes to begin a corpus with.
func randomTape(seed byte, n int) []byte {
	tape := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range tape {
		x = x*1664525 + 1013904223
		tape[i] = byte(x >> 24)
	}
	return tape
}

// fuzzing is one life of a stack.
type fuzzing struct {
	t     *testing.T
	tape  *[]byte
	p     *peer
	lns   []*Listener
	flows []*side
	keys  []uint64 // of the stack's that are known, for numbers that are near
	opens int      // SYNs and dials so far
}

func newFuzzing(t *testing.T, tape *[]byte) *fuzzing {
	z := &fuzzing{t: t, tape: tape}
	mode := z.byte()
	host := scriptHost
	host.Default.ChecksumEnabled = mode&8 != 0
	if mode&16 != 0 { // data of SYNs is taken, and some are answered with cookies
		host.Sysctl.FastOpen = FastOpenServer | FastOpenServerNoCookie | FastOpenServerAnySockets
		host.Default.Backlog = 2
	}
	host.Default.RecvBuffer, host.Default.SendBuffer = 60_000, 60_000
	host.Endpoints = []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Subflow | pm.Signal}}
	z.p = newPeer(t, host)
	z.p.pings = true
	switch mode % 4 {
	case 0: // a server of MPTCP
		x, _, key := z.p.accepted(wire.CapSHA256)
		z.flows, z.keys = append(z.flows, x), append(z.keys, key)
	case 1: // a client of MPTCP
		x, _, key := z.p.dialed(capable(wire.CapSHA256, peerKey))
		z.flows, z.keys = append(z.flows, x), append(z.keys, key)
	case 2: // a client whose SYN is under way, of plain TCP
		z.dial(&Config{PlainTCP: true})
	}
	for port, cfg := range map[uint16]*Config{8080: nil, 8081: {PlainTCP: true}} {
		ln, err := z.p.s.Listen(cfg, netip.AddrPortFrom(addr("10.0.1.1"), port))
		if err != nil {
			t.Fatal(err)
		}
		z.lns = append(z.lns, ln)
	}
	z.p.flush()
	return z
}

func (z *fuzzing) byte() byte {
	if len(*z.tape) == 0 {
		return 0
	}
	b := (*z.tape)[0]
	*z.tape = (*z.tape)[1:]
	return b
}

func (z *fuzzing) uint16() uint16 { return binary.BigEndian.Uint16([]byte{z.byte(), z.byte()}) }

// near returns a number close to base, or anywhere.
func (z *fuzzing) near(base wire.Seq) wire.Seq {
	switch k := z.byte(); k >> 6 {
	case 0, 1:
		return base
	case 2:
		return base.Add(int(int16(z.uint16())))
	}
	return wire.Seq(z.uint16())<<16 | wire.Seq(z.uint16())
}

func (z *fuzzing) dial(cfg *Config) {
	z.opens++
	_, err := z.p.s.Dial(z.p.now, cfg, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		z.t.Fatal(err)
	}
	z.p.drain()
}

// options makes options from raw bytes, near the real numbers where they are DSS.
func (z *fuzzing) options() (o wire.Options) {
	n := min(int(z.byte())%44, len(*z.tape), 40)
	wire.ParseOptions((*z.tape)[:n], &o)
	*z.tape = (*z.tape)[n:]
	k := z.byte()
	if k&1 != 0 && len(z.keys) > 0 {
		key := z.keys[int(k>>4)%len(z.keys)]
		o.Has |= wire.HasDSS
		o.DSS.DSN = wire.IDSN(peerKey) + o.DSS.DSN&0x3ff
		o.DSS.HasAck = true
		o.DSS.DataAck = wire.IDSN(key) + o.DSS.DataAck&0x3ff
		if k&2 != 0 {
			o.DSS.HasMap, o.DSS.DataLen = true, z.uint16()&0x3ff
			o.DSS.SSN = wire.Seq(z.byte())
			o.DSS.HasChecksum = k&4 != 0
		}
		if k&8 != 0 {
			o = wire.Options{Has: wire.HasDSS, DSS: o.DSS}
		}
	}
	if o.Len() > 40 {
		o = wire.Options{}
	}
	return o
}

// segment sends something on a flow that the stack has sent on.
func (z *fuzzing) segment() {
	if len(z.flows) == 0 {
		return
	}
	x := z.flows[int(z.byte())%len(z.flows)]
	s := wire.Segment{Src: x.local, Dst: x.remote, TTL: 64, TOS: z.byte(), Window: z.uint16(), Options: z.options()}
	s.Flags = wire.Flags(z.byte())
	if z.byte()&3 != 0 {
		s.Flags = s.Flags&^(wire.RST|wire.SYN) | wire.ACK
	}
	s.Seq, s.Ack = z.near(x.seq), z.near(x.ack)
	s.Payload = make([]byte, int(z.uint16())%1500)
	z.p.s.Input(z.p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	if s.Seq == x.seq && s.Flags&wire.RST == 0 {
		x.seq = x.seq.Add(s.Len())
	}
}

// open sends a SYN from a new port.
func (z *fuzzing) open() {
	z.opens++
	to := netip.AddrPortFrom(addr("10.0.1.1"), []uint16{80, 8080, 8081}[int(z.byte())%3])
	x := &side{p: z.p, local: netip.AddrPortFrom(addr("10.0.1.2"), 6000+uint16(z.opens)), remote: to, seq: peerISS}
	s := wire.Segment{Src: x.local, Dst: x.remote, TTL: 64, Flags: wire.SYN, Seq: x.seq, Window: z.uint16(), Options: z.options()}
	if z.byte()&1 != 0 {
		s.Options = capable(wire.CapableFlags(z.byte()))
	}
	s.Payload = make([]byte, int(z.byte())%100)
	z.p.s.Input(z.p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	x.seq++
	z.flows = append(z.flows, x)
}

// maxOpens bounds the connections of one life: what many of them cost is another test's.
const maxOpens = 48

// step does one thing.
func (z *fuzzing) step() {
	p := z.p
	op := z.byte()
	if op%24 < 4 && z.opens >= maxOpens {
		return
	}
	switch op % 24 {
	case 0:
		z.dial(nil)
	case 1:
		z.dial(&Config{PlainTCP: true})
	case 2, 3:
		z.open()
	case 4:
		p.wait(time.Duration(z.uint16()) * 100 * time.Microsecond)
	case 5:
		p.wait(time.Duration(z.byte()) * time.Second)
	case 6:
		z.calls(func(c *Conn) { _, _ = c.Write(make([]byte, int(z.uint16())%8000), op>>5 != 0) })
	case 7:
		z.calls(func(c *Conn) { c.Discard(1 << 16) })
	case 8:
		z.calls(func(c *Conn) { _ = c.CloseWrite() })
	case 9:
		z.calls(func(c *Conn) { c.Close() })
	case 10:
		if op>>6 == 0 {
			z.calls(func(c *Conn) { c.Abort() })
		}
	case 11: // what is no packet of ours, or of nobody's
		n := min(int(z.byte()), len(*z.tape))
		p.s.Input(p.now, machine.Meta{}, (*z.tape)[:n])
		*z.tape = (*z.tape)[n:]
	case 12:
		if len(p.out) > 0 { // an error about what it sent
			quote := wire.AppendPacket(nil, &p.out[int(z.byte())%len(p.out)])
			p.s.Input(p.now, machine.Meta{}, wire.AppendICMPError(nil, addr("10.0.1.2"), wire.ICMPKind(z.byte()%10), int(z.uint16()), quote))
		}
	case 13:
		_, _ = p.s.AddEndpoint(p.now, pm.Endpoint{Addr: addr("10.0.2.1"), Flags: pm.EndpointFlags(z.byte())})
	case 14:
		_ = p.s.DeleteEndpoint(p.now, z.byte()%4)
	default:
		z.segment()
		if op>>6 != 0 {
			return // a batch
		}
	}
	z.settle()
}

// calls does f to one of the connections.
func (z *fuzzing) calls(f func(*Conn)) {
	if n := len(z.p.s.conns); n > 0 {
		f(z.p.s.conns[int(z.byte())%n])
	}
}

// settle drains the stack and learns the numbers of its flows.
func (z *fuzzing) settle() {
	p := z.p
	p.s.Advance(p.now)
	p.drain()
	for _, ln := range z.lns {
		for {
			if _, ok := ln.Accept(); !ok {
				break
			}
		}
	}
	for i := range p.out {
		s := &p.out[i]
		if s.Options.Has&wire.HasMPCapable != 0 && s.Options.MPCapable.NumKeys > 0 && len(z.keys) < 16 {
			z.keys = append(z.keys, s.Options.MPCapable.SenderKey)
		}
		z.learn(s)
	}
	if n := len(p.out); n > 32 {
		p.out, p.links = p.out[n-32:], p.links[n-32:]
	}
}

// learn follows a segment of the stack.
func (z *fuzzing) learn(s *wire.Segment) {
	for _, x := range z.flows {
		if x.local == s.Dst && x.remote == s.Src {
			x.ack = s.Seq.Add(s.Len())
			return
		}
	}
	if s.Flags&wire.SYN != 0 {
		z.flows = append(z.flows, &side{p: z.p, local: s.Dst, remote: s.Src, seq: peerISS, ack: s.Seq + 1})
	}
}

// check holds what must be true at any time.
func (z *fuzzing) check() {
	s := z.p.s
	z.settle()
	if d := s.Deadline(); d <= z.p.now {
		z.t.Fatalf("deadline %v at %v", d, z.p.now)
	}
	if most := 4 * (z.opens + 2); len(s.flows) > most || len(s.conns) > most || len(s.tokens) > most {
		z.t.Fatalf("%d flows, %d connections, %d tokens after %d openings", len(s.flows), len(s.conns), len(s.tokens), z.opens)
	}
	for _, c := range s.conns {
		in := c.Info(z.p.now)
		for _, sf := range in.Subflows {
			if sf.TCP.Unacked < 0 || sf.TCP.SndCwnd < 1 && !sf.Closed {
				z.t.Fatalf("a subflow of %+v", sf.TCP)
			}
		}
	}
}

// empty fails if the stack remembers anything.
func (z *fuzzing) empty() {
	s := z.p.s
	if len(s.flows) != 0 || len(s.tokens) != 0 || int64(s.counters.MPTcpExtMPCurrEstab) != 0 {
		z.t.Fatalf("at the end %d flows, %d tokens, MPCurrEstab %d", len(s.flows), len(s.tokens), int64(s.counters.MPTcpExtMPCurrEstab))
	}
	z.p.wait(time.Hour)
	if d := s.Deadline(); d != clock.Never {
		z.t.Fatalf("the deadline of a stack without connections is %v", d)
	}
}
