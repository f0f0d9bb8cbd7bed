package mptcp

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// listening is a plain TCP listener with a backlog of n.
func listening(t *testing.T, n int, sysctl Sysctl) (*peer, *Listener) {
	t.Helper()
	h := HostConfig{Default: Config{PlainTCP: true, Backlog: n}, Sysctl: sysctl}
	p := newPeer(t, h)
	ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	return p, ln
}

// client is the i-th peer.
func (p *peer) client(i int) *side {
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.local = netip.AddrPortFrom(x.local.Addr(), uint16(5000+i))
	return x
}

// As measured on Linux 6.18: a backlog of 1 takes two SYNs without cookies, and two
// connections wait for accept.
func TestBacklog(t *testing.T) {
	p, ln := listening(t, 1, Sysctl{SYNCookies: -1})
	var got []*side
	for i := range 6 {
		x := p.client(i)
		x.put(wire.SYN, wire.Options{}, "")
		if len(p.out) > 0 {
			x.get()
			got = append(got, x)
		}
	}
	n := &p.s.counters
	if len(got) != 2 || n.TcpExtTCPReqQFullDrop != 4 || n.TcpExtListenDrops != 4 || n.TcpExtListenOverflows != 0 {
		t.Fatalf("%d SYN/ACKs, %d, %d, %d", len(got), n.TcpExtTCPReqQFullDrop, n.TcpExtListenDrops, n.TcpExtListenOverflows)
	}
	for _, x := range got {
		x.put(wire.ACK, wire.Options{}, "")
	}
	for i := range 6 {
		p.client(10+i).put(wire.SYN, wire.Options{}, "")
	}
	p.quiet()
	if n.TcpExtListenOverflows != 6 || n.TcpExtListenDrops != 10 {
		t.Errorf("%d overflows, %d drops", n.TcpExtListenOverflows, n.TcpExtListenDrops)
	}
	for i := range 3 {
		if _, ok := ln.Accept(); ok != (i < 2) {
			t.Errorf("connection %d: %v", i, ok)
		}
	}
}

// A third ACK that finds the backlog full is not lost for good: the SYN/ACK comes again,
// and what answers it opens the connection.
func TestBacklogFullAtThirdACK(t *testing.T) {
	for _, abort := range []bool{false, true} {
		p, ln := listening(t, 1, Sysctl{AbortOnOverflow: abort, SYNCookies: -1})
		x := [3]*side{p.client(0), p.client(1), p.client(2)}
		syn := func(i int) {
			x[i].put(wire.SYN, wire.Options{}, "")
			x[i].get()
		}
		syn(0)
		syn(1)
		x[0].put(wire.ACK, wire.Options{}, "")
		syn(2)
		x[1].put(wire.ACK, wire.Options{}, "")
		x[2].put(wire.ACK, wire.Options{}, "") // the third, where two may wait
		if abort {
			if s := x[2].get(); s.Flags != wire.RST {
				t.Errorf("tcp_abort_on_overflow: %s", s.String())
			}
			continue
		}
		p.quiet()
		ln.Accept()
		p.wait(1100 * time.Millisecond)
		if s := x[2].get(); s.Flags != wire.SYN|wire.ACK {
			t.Fatalf("%s", s.String())
		}
		x[2].put(wire.ACK, wire.Options{}, "hello")
		for i := 1; i < 3; i++ {
			c, ok := ln.Accept()
			if !ok || i == 2 && p.read(c) != "hello" {
				t.Errorf("connection %d is missing", i)
			}
		}
	}
}

// Where old requests take the room of young ones, their SYN/ACKs are given up sooner.
func TestOldRequestsArePruned(t *testing.T) {
	p, ln := listening(t, 8, Sysctl{})
	for i := range 8 {
		p.client(i).put(wire.SYN, wire.Options{}, "")
	}
	p.flush()
	if n := ln.pruned(5); n != 5 {
		t.Errorf("young requests: %d tries", n)
	}
	p.wait(1500 * time.Millisecond)
	if n := ln.pruned(5); n != 2 || ln.young != 0 {
		t.Errorf("old requests: %d tries, %d young", n, ln.young)
	}
	p.wait(10 * time.Second)
	if ln.half != 4 {
		t.Errorf("%d requests are left", ln.half) // they have room enough now
	}
	p.wait(time.Minute)
	if ln.half != 0 || len(p.s.flows) != 0 {
		t.Errorf("%d requests are left at the end", ln.half)
	}
}

// A request answers as a connection in SYN-RECEIVED does (RFC 9293, 3.10.7.4).
func TestRequestAnswers(t *testing.T) {
	p, ln := listening(t, 5, Sysctl{})
	x := p.client(0)
	x.put(wire.SYN, wire.Options{}, "")
	sa := x.get()
	x.seq--
	x.put(wire.SYN, wire.Options{}, "") // again
	if s := x.get(); s.Flags != wire.SYN|wire.ACK || s.Seq != sa.Seq {
		t.Errorf("SYN again: %s", s.String())
	}
	x.ack += 5
	x.put(wire.ACK, wire.Options{}, "")
	if s := p.next(); s.Flags != wire.RST || s.Seq != sa.Seq+6 {
		t.Errorf("a wrong acknowledgment: %s", s.String())
	}
	x.ack -= 5
	x.seq += 100_000
	x.put(wire.RST, wire.Options{}, "")
	p.quiet()
	x.put(wire.ACK, wire.Options{}, "")
	if s := x.get(); s.Flags != wire.ACK || s.Seq != sa.Seq+1 || s.Ack != peerISS+1 {
		t.Errorf("out of the window: %s", s.String())
	}
	x.seq -= 100_000
	x.seq++
	x.put(wire.RST, wire.Options{}, "")
	p.wait(time.Second / 2)
	p.flush()
	if ln.half != 1 {
		t.Error("a RST that is merely in the window ends the request (RFC 5961, 3.2)")
	}
	x.seq--
	x.put(wire.RST, wire.Options{}, "")
	if ln.half != 0 || len(p.s.flows) != 0 || p.s.counters.TcpExtEmbryonicRsts != 1 {
		t.Error("a RST at the next sequence number does not end it")
	}
}
