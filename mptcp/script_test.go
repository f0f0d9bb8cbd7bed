package mptcp

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// peer is the other end made of segments: the test writes what it sends and reads
// what the stack sends.
type peer struct {
	t     *testing.T
	s     *Stack
	now   clock.Instant
	out   []wire.Segment
	links []machine.LinkID
	buf   []byte
	pings bool // ICMP of the stack's is no mistake
}

// side is one TCP connection of the peer's.
type side struct {
	p             *peer
	local, remote netip.AddrPort // the peer's, the stack's
	seq, ack      wire.Seq       // absolute: next of ours, next expected
	irs           wire.Seq
}

const (
	peerKey = 0x1122334455667788
	peerISS = 1_000_000
)

func newPeer(t *testing.T, host HostConfig) *peer {
	return &peer{t: t, s: New(Env{Host: host, Links: hostLinks(1, 2), Seed: [32]byte{9}}), buf: make([]byte, machine.BufferSize)}
}

// drain collects what the stack wants to send.
func (p *peer) drain() {
	for k := 0; ; k++ {
		if k > 10000 {
			p.t.Fatalf("the stack does not stop sending at %v: %s", p.now, p.out[len(p.out)-1].String())
		}
		m, n, ok := p.s.Output(p.now, p.buf)
		if !ok {
			return
		}
		var s wire.Segment
		b := append([]byte(nil), p.buf[:n]...)
		if err := s.Parse(b, false); err != nil {
			if p.pings && err == wire.ErrProtocol {
				continue
			}
			p.t.Fatalf("the stack sent a bad packet: %v", err)
		}
		p.out = append(p.out, s)
		p.links = append(p.links, m.Link)
	}
}

// wait lets time pass, timers included.
func (p *peer) wait(d time.Duration) {
	end := p.now.Add(d)
	for n := 0; ; n++ {
		if n > 10000 {
			p.t.Fatalf("no progress of time at %v, deadline %v", p.now, p.s.Deadline())
		}
		p.drain()
		at := p.s.Deadline()
		if at > end {
			break
		}
		p.now = max(p.now, at)
		p.s.Advance(p.now)
	}
	p.now = end
	p.s.Advance(end)
	p.drain()
}

// next returns the next segment that the stack sent.
func (p *peer) next() wire.Segment {
	p.t.Helper()
	p.drain()
	if len(p.out) == 0 {
		p.t.Fatal("the stack sends nothing")
	}
	s := p.out[0]
	p.out, p.links = p.out[1:], p.links[1:]
	return s
}

// quiet fails if the stack sent anything.
func (p *peer) quiet() {
	p.t.Helper()
	p.drain()
	if len(p.out) > 0 {
		p.t.Fatalf("unexpected: %s", p.out[0].String())
	}
}

// flush forgets what was sent.
func (p *peer) flush() { p.drain(); p.out, p.links = nil, nil }

func (p *peer) side(local, remote string) *side {
	return &side{p: p, local: addrPort(local), remote: addrPort(remote), seq: peerISS}
}

// put sends a segment; payload and SYN or FIN move seq.
func (x *side) put(f wire.Flags, o wire.Options, payload string) {
	s := wire.Segment{Src: x.local, Dst: x.remote, TTL: 64, Seq: x.seq, Ack: x.ack, Flags: f, Window: 65535, Options: o, Payload: []byte(payload)}
	x.p.s.Input(x.p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	x.seq = x.seq.Add(s.Len())
	x.p.drain()
}

// get takes the next segment, which must be of this connection, and follows its
// sequence numbers.
func (x *side) get() wire.Segment {
	x.p.t.Helper()
	s := x.p.next()
	if s.Src != x.remote || s.Dst != x.local {
		x.p.t.Fatalf("of another connection: %s", s.String())
	}
	if s.Flags&wire.SYN != 0 {
		x.irs = s.Seq
	}
	x.ack = s.Seq.Add(s.Len())
	return s
}

func capable(flags wire.CapableFlags, keys ...uint64) wire.Options {
	o := wire.Options{Has: wire.HasMPCapable, MPCapable: wire.MPCapable{Version: 1, Flags: flags, NumKeys: len(keys)}}
	if len(keys) > 0 {
		o.MPCapable.SenderKey = keys[0]
	}
	if len(keys) > 1 {
		o.MPCapable.ReceiverKey = keys[1]
	}
	return o
}

// accepted is a server connection whose peer is x; its key is key.
func (p *peer) accepted(flags wire.CapableFlags) (x *side, c *Conn, key uint64) {
	p.t.Helper()
	ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	if err != nil {
		p.t.Fatal(err)
	}
	x = p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.SYN, capable(flags), "")
	sa := x.get()
	if sa.Flags != wire.SYN|wire.ACK || sa.Options.Has&wire.HasMPCapable == 0 || sa.Options.MPCapable.NumKeys != 1 {
		p.t.Fatalf("SYN/ACK: %s", sa.String())
	}
	key = sa.Options.MPCapable.SenderKey
	x.put(wire.ACK, capable(flags, peerKey, key), "")
	c, ok := ln.Accept()
	if !ok {
		p.t.Fatal("nothing to accept")
	}
	return x, c, key
}

// mapped is a DSS with DATA_ACK and mapping of n bytes at stream offset off and
// subflow offset ssn (from 0).
func mapped(key uint64, acked int, off, ssn, n int) wire.Options {
	return wire.Options{Has: wire.HasDSS, DSS: wire.DSS{
		HasAck: true, Ack64: true, DataAck: wire.IDSN(key).Add(1 + acked),
		HasMap: true, DSN64: true, DSN: wire.IDSN(peerKey).Add(1 + off), SSN: wire.Seq(1 + ssn), DataLen: uint16(n)}}
}

func dataAck(key uint64, acked int) wire.Options {
	return wire.Options{Has: wire.HasDSS, DSS: wire.DSS{HasAck: true, Ack64: true, DataAck: wire.IDSN(key).Add(1 + acked)}}
}

func (p *peer) read(c *Conn) string {
	b := make([]byte, 1<<16)
	n, _ := c.Read(b)
	return string(b[:n])
}

// expectAck takes the next segment and checks its DATA_ACK.
func (x *side) expectAck(acked int) wire.Segment {
	x.p.t.Helper()
	s := x.get()
	if d := s.Options.DSS; s.Options.Has&wire.HasDSS == 0 || !d.HasAck || !d.Ack64 || d.DataAck != wire.IDSN(peerKey).Add(1+acked) {
		x.p.t.Fatalf("no DATA_ACK of %d: %s", acked, s.String())
	}
	return s
}

func (p *peer) counter(name string) uint64 {
	v, found := uint64(0), false
	p.s.Counters().Each(func(n string, x uint64) {
		if n == "MPTcpExt"+name {
			v, found = x, true
		}
	})
	if !found {
		p.t.Fatalf("no counter %s", name)
	}
	return v
}

func (p *peer) expectCounters(want map[string]uint64) {
	p.t.Helper()
	for name, n := range want {
		if got := p.counter(name); got != n {
			p.t.Errorf("%s = %d, want %d", name, got, n)
		}
	}
}

// scriptHost has room for two more subflows.
var scriptHost = HostConfig{Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}, Default: Config{AddAddrTimeout: time.Second, TCP: tcp.Config{NoDelay: true}}}
