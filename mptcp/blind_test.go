package mptcp

import (
	"fmt"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// An attacker who knows the addresses and ports of a connection and nothing else
// neither ends nor corrupts it: what he sends misses the sequence number that counts
// (RFC 5961; RFC 5927 for ICMP). Every packet here is as close as it can be without
// hitting.
func TestBlindInjection(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
	}{
		{"tcp", Config{PlainTCP: true}},
		{"tcp without options", Config{PlainTCP: true, TCP: tcp.Config{NoTimestamps: true, NoSACK: true, NoWindowScaling: true}}},
		{"mptcp", Config{}},
		{"mptcp with checksums", Config{ChecksumEnabled: true}},
	} {
		for seed := range byte(8) {
			t.Run(fmt.Sprintf("%s/%d", tt.name, seed), func(t *testing.T) {
				w := newWorld(t, 2, twoPaths(tt.cfg), acceptor(tt.cfg), seed)
				for i := range 2 {
					w.link(i, func(p *pipe) { p.rate, p.queue, p.loss = 1_000_000, 50_000, 1<<32/200 })
				}
				w.rng = uint64(seed+1) * 0x2545F4914F6CDD1D
				p := w.connect(600_000, 600_000, "10.0.1.1:0", "10.0.1.2:80")
				a := &attacker{w: w}
				w.onStep = func() {
					p.poll()
					if w.now < a.next {
						return // answers make steps, too
					}
					a.next = w.now.Add(time.Millisecond)
					for i := range w.hosts {
						a.attack(i)
					}
				}
				p.finish(2 * time.Minute)
				if a.sent < 1000 {
					t.Errorf("only %d packets of the attacker's", a.sent)
				}
				for _, c := range []*Conn{p.client.c, p.server.c} {
					for _, sf := range c.Info(w.now).Subflows {
						if sf.CloseReason != "fin" && sf.CloseReason != "" {
							t.Errorf("a subflow was closed by %q", sf.CloseReason)
						}
					}
				}
				w.onStep = nil
				w.forgets()
			})
		}
	}
}

// attacker forges packets of live flows.
type attacker struct {
	w    *world
	next clock.Instant
	sent int
}

// attack sends host i one packet for each of its flows.
func (a *attacker) attack(i int) {
	w := a.w
	var flows []*subflow
	for _, c := range w.hosts[i].conns {
		flows = append(flows, c.subflows...)
	}
	for _, sf := range flows {
		if sf.join && sf.stage != open {
			// What answers the attacker here has no MPTCP option and costs the other end
			// its subflow, as in Linux: not the connection.
			continue
		}
		pkt := a.icmp(sf)
		if w.random()%8 != 0 {
			s, ok := a.forge(sf)
			if !ok {
				continue
			}
			pkt = wire.AppendPacket(nil, &s)
		}
		a.sent++
		w.watch[i].Input(w.now, machine.Meta{}, pkt)
		w.settle()
	}
}

// between returns a number from lo to hi.
func (a *attacker) between(lo, hi int) int { return lo + int(a.w.random()%uint32(hi-lo+1)) }

// forge makes a segment that misses. A connection in SYN-SENT has no window yet, and
// what is not a RST or an ACK of its SYN is not blind there.
func (a *attacker) forge(sf *subflow) (wire.Segment, bool) {
	c := sf.tcp
	nxt := c.IRS() + c.RcvNxt()
	una, sndNxt := c.ISS()+c.SndUna(), c.ISS()+c.SndNxt()
	wnd := c.Info(a.w.now).RcvWnd
	s := wire.Segment{Src: sf.remote, Dst: sf.local, TTL: 64, Window: uint16(a.w.random()), Seq: nxt, Ack: una, Flags: wire.ACK}
	off := []int{1, -1, 2, a.between(1, max(wnd, 1)), a.between(-100_000, -1), a.between(1<<20, 1<<30), -a.between(1<<20, 1<<30)}
	miss := off[a.w.random()%uint32(len(off))]
	beyond := max(wnd, 0) + 1 + a.between(0, 1<<28)
	if c.State() == tcp.StateSYNSent {
		s.Ack = c.ISS() + 1
		s.Flags, s.Ack = wire.RST|wire.ACK, s.Ack.Add(miss)
		return s, true
	}
	switch a.w.random() % 6 {
	case 0:
		s.Flags, s.Seq = wire.RST, nxt.Add(miss)
	case 1:
		s.Flags, s.Seq, s.Ack = wire.RST|wire.ACK, nxt.Add(miss), una.Add(miss)
	case 2:
		s.Flags, s.Seq = wire.SYN, nxt.Add(miss)
		if c.State() == tcp.StateTimeWait && miss > 0 {
			return s, false // a new connection may begin there (RFC 9293, 3.6.1)
		}
		if s.Seq == c.IRS() {
			return s, false
		}
	case 3:
		s.Flags, s.Seq, s.Payload = wire.ACK|wire.PSH, nxt.Add(beyond), forged
		if a.w.random()%2 == 0 {
			s.Flags |= wire.FIN
		}
	case 4: // in the window, with an ACK that cannot be
		s.Payload, s.Ack = forged, sndNxt.Add(a.between(1, 1<<28))
		if a.w.random()%2 == 0 {
			s.Flags |= wire.FIN
		}
	case 5:
		s.Payload, s.Ack = forged, una.Add(-a.between(1<<26, 1<<30))
	}
	return s, true
}

// forged is what no application here writes: 0xFF everywhere.
var forged = func() []byte {
	b := make([]byte, 500)
	for i := range b {
		b[i] = 0xFF
	}
	return b
}()

// icmp makes an error about a segment that is not in flight.
func (a *attacker) icmp(sf *subflow) []byte {
	c := sf.tcp
	seq := c.ISS() + c.SndNxt().Add(a.between(0, 1<<28))
	if a.w.random()%2 == 0 {
		seq = c.ISS() + c.SndUna().Add(-a.between(1, 1<<28))
	}
	quote := wire.AppendPacket(nil, &wire.Segment{Src: sf.local, Dst: sf.remote, TTL: 64, Flags: wire.ACK, Seq: seq, Payload: forged})
	kinds := []wire.ICMPKind{wire.ICMPTooBig, wire.ICMPPortUnreachable, wire.ICMPHostUnreachable, wire.ICMPProtocolUnreachable}
	return wire.AppendICMPError(nil, sf.remote.Addr(), kinds[a.w.random()%uint32(len(kinds))], 600, quote)
}
