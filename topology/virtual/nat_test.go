package virtual

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// home is a router with two links inside (0, 1) and one outside (2).
func home() *topology.Node {
	n := &topology.Node{Name: "home", Kind: topology.Router, NAT: topology.NAT{Link: "dsl", Timeout: time.Hour}}
	for i, link := range []string{"wifi", "lan", "dsl"} {
		n.Interfaces = append(n.Interfaces, topology.Interface{Link: link, Prefixes: prefixes(fmt.Sprintf("10.0.%d.1/24", i))})
	}
	n.Routes = []topology.Route{{Prefix: prefixes("0.0.0.0/0")[0], Gateway: netip.MustParseAddr("10.0.2.9"), Link: "dsl"}}
	return n
}

// gateway is that router under test.
type gateway struct {
	t *testing.T
	*Router
	now clock.Instant
}

func newGateway(t *testing.T) *gateway {
	return &gateway{t: t, Router: NewRouter(home(), []int{1500, 1400, 1500}, 1)}
}

// pass sends one packet through and returns what comes out, nil for nothing.
func (g *gateway) pass(in machine.LinkID, pkt []byte) (link int, out []byte) {
	g.t.Helper()
	g.Input(g.now, machine.Meta{Link: in, CsumOK: true}, pkt)
	buf := make([]byte, machine.BufferSize)
	m, n, ok := g.Output(g.now, buf)
	if !ok {
		return -1, nil
	}
	if _, _, more := g.Output(g.now, make([]byte, machine.BufferSize)); more {
		g.t.Fatal("a second packet comes out")
	}
	if m.CsumOK && !bytes.Equal(buf[12:20], pkt[12:20]) {
		g.t.Error("the checksum is passed on as verified, though it changed")
	}
	return int(m.Link), bytes.Clone(buf[:n])
}

func segmentOf(src, dst string, flags wire.Flags) []byte {
	return wire.AppendPacket(nil, &wire.Segment{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst), TTL: 64, Flags: flags, Payload: []byte("data")})
}

// ends returns link and ends of a TCP packet whose checksums are right.
func ends(t *testing.T, link int, p []byte) string {
	t.Helper()
	if p == nil {
		return "nothing"
	}
	var s wire.Segment
	if err := s.Parse(p, false); err != nil || wire.Checksum(p[:20], 0) != 0 {
		t.Errorf("what comes out cannot be read: %v", err)
	}
	return fmt.Sprintf("%d %v %v", link, s.Src, s.Dst)
}

func (g *gateway) want(in machine.LinkID, pkt []byte, want string) {
	g.t.Helper()
	link, out := g.pass(in, pkt)
	if got := ends(g.t, link, out); got != want {
		g.t.Errorf("got %s, want %s", got, want)
	}
}

// What goes out has the router's address and its own port where that is free; the
// answer finds its way back. Inside nothing is translated.
func TestNATFlows(t *testing.T) {
	g := newGateway(t)
	g.want(0, segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.SYN), "2 10.0.2.1:4000 192.0.2.1:80")
	g.want(2, segmentOf("192.0.2.1:80", "10.0.2.1:4000", wire.SYN|wire.ACK), "0 192.0.2.1:80 10.0.0.2:4000")
	// the same port to the same server from another host: another port
	g.want(1, segmentOf("10.0.1.2:4000", "192.0.2.1:80", wire.SYN), "2 10.0.2.1:1025 192.0.2.1:80")
	g.want(2, segmentOf("192.0.2.1:80", "10.0.2.1:1025", wire.SYN|wire.ACK), "1 192.0.2.1:80 10.0.1.2:4000")
	// and to another server: its own
	g.want(1, segmentOf("10.0.1.2:4000", "192.0.2.2:80", wire.SYN), "2 10.0.2.1:4000 192.0.2.2:80")
	g.want(0, segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.ACK), "2 10.0.2.1:4000 192.0.2.1:80")
	g.want(0, segmentOf("10.0.0.2:4000", "10.0.1.2:80", wire.SYN), "1 10.0.0.2:4000 10.0.1.2:80")
}

// Nobody outside gets in unasked: not to the router's address, not from another
// server by a known port, not to an address inside.
func TestNATUnsolicited(t *testing.T) {
	g := newGateway(t)
	g.pass(0, segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.SYN))
	g.want(2, segmentOf("192.0.2.1:80", "10.0.2.1:5000", wire.SYN), "nothing")
	g.want(2, segmentOf("192.0.2.1:81", "10.0.2.1:4000", wire.SYN), "nothing")
	g.want(2, segmentOf("192.0.2.1:80", "10.0.0.2:4000", wire.SYN), "nothing")
	if g.Counters.Unsolicited != 1 || g.Counters.Local != 2 {
		t.Errorf("counters %+v", g.Counters)
	}
}

// A binding lives as long as its flow has state: what was never answered two
// minutes, a connection its hour, what was reset ten seconds. Then its packets are
// nobody's; the inside may go on, with the same port.
func TestNATTimeouts(t *testing.T) {
	out := func(f wire.Flags) []byte { return segmentOf("10.0.0.2:4000", "192.0.2.1:80", f) }
	back := func(f wire.Flags) []byte { return segmentOf("192.0.2.1:80", "10.0.2.1:4000", f) }
	for name, c := range map[string]struct {
		packets []wire.Flags // alternating, from inside first
		life    time.Duration
	}{
		"never answered": {[]wire.Flags{wire.SYN}, 2 * time.Minute},
		"established":    {[]wire.Flags{wire.SYN, wire.SYN | wire.ACK, wire.ACK}, time.Hour},
		"closing":        {[]wire.Flags{wire.SYN, wire.SYN | wire.ACK, wire.ACK | wire.FIN, wire.ACK}, 2 * time.Minute},
		"reset":          {[]wire.Flags{wire.SYN, wire.RST | wire.ACK}, 10 * time.Second},
		"in its midst":   {[]wire.Flags{wire.ACK}, time.Hour},
	} {
		for _, late := range []bool{false, true} {
			g := newGateway(t)
			t.Log(name, "late", late)
			for i, f := range c.packets {
				if i%2 == 0 {
					g.pass(0, out(f))
				} else {
					g.pass(2, back(f))
				}
			}
			want := "0 192.0.2.1:80 10.0.0.2:4000"
			if g.now = g.now.Add(c.life - 1); late {
				g.now, want = g.now.Add(1), "nothing"
			}
			g.want(2, back(wire.ACK), want)
			g.want(0, out(wire.ACK), "2 10.0.2.1:4000 192.0.2.1:80")
		}
	}
}

// What expired is forgotten, so that memory does not grow with the run.
func TestNATForgets(t *testing.T) {
	g := newGateway(t)
	for i := range 5000 {
		g.now = g.now.Add(time.Second)
		g.pass(0, segmentOf(fmt.Sprintf("10.0.0.2:%d", 2000+i), "192.0.2.1:80", wire.SYN))
	}
	if n := len(g.nat.bindings); n > 140 || len(g.nat.in) != n || len(g.nat.out) != n {
		t.Errorf("%d bindings, %d and %d in the tables; at most those of two minutes are alive", n, len(g.nat.in), len(g.nat.out))
	}
}

func TestNATEcho(t *testing.T) {
	g := newGateway(t)
	inside, server, outside := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.2.1")
	ask := func(src netip.Addr) []byte { return echoRequest(src, server, 77) }
	link, out := g.pass(0, ask(inside))
	var m wire.ICMP
	if err := m.Parse(out); err != nil || link != 2 || m.Src != outside || m.Dst != server || m.ID != 77 {
		t.Fatalf("request by %d: %+v, %v", link, m, err)
	}
	link, back := g.pass(2, wire.AppendEchoReply(nil, out))
	if err := m.Parse(back); err != nil || link != 0 || m.Src != server || m.Dst != inside || m.ID != 77 {
		t.Fatalf("reply by %d: %+v, %v", link, m, err)
	}
	_, other := g.pass(1, ask(netip.MustParseAddr("10.0.1.2")))
	if err := m.Parse(other); err != nil || m.Src != outside || m.ID == 77 {
		t.Errorf("the same identifier from another host: %+v, %v", m, err)
	}
	if _, own := g.pass(2, echoRequest(server, outside, 5)); m.Parse(own) != nil || m.Src != outside || m.Dst != server {
		t.Errorf("the router's own answer: %+v", m)
	}
}

func echoRequest(src, dst netip.Addr, id uint16) []byte {
	s, d := src.As4(), dst.As4()
	p := append([]byte{0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 1, 0, 0}, s[:]...)
	p = append(append(p, d[:]...), 8, 0, 0, 0, byte(id>>8), byte(id), 0, 1, 'p', 'i', 'n', 'g')
	sum := wire.Checksum(p[:20], 0)
	p[10], p[11] = byte(sum>>8), byte(sum)
	wire.FinishICMP(p)
	return p
}

// "Path MTU discovery needs them": an error about what went out comes back to who
// sent it, quoting its own packet; an error about what came in shows the outside
// the packet that it sent.
func TestNATErrors(t *testing.T) {
	g := newGateway(t)
	_, sent := g.pass(0, segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.SYN))
	link, p := g.pass(2, wire.AppendICMPError(nil, netip.MustParseAddr("10.0.2.9"), wire.ICMPTooBig, 1280, sent))
	var m wire.ICMP
	if err := m.Parse(p); err != nil || link != 0 || m.Kind != wire.ICMPTooBig || m.MTU != 1280 || m.Dst.String() != "10.0.0.2" ||
		m.QuoteSrc.String() != "10.0.0.2:4000" || m.QuoteDst.String() != "192.0.2.1:80" {
		t.Errorf("coming in by %d: %+v, %v", link, m, err)
	}
	if q := wire.Quoted(p); wire.Checksum(q[:20], 0) != 0 {
		t.Error("the quoted header has a wrong checksum")
	}

	_, got := g.pass(2, segmentOf("192.0.2.1:80", "10.0.2.1:4000", wire.SYN|wire.ACK))
	link, p = g.pass(0, wire.AppendICMPError(nil, netip.MustParseAddr("10.0.0.7"), wire.ICMPHostUnreachable, 0, got))
	if err := m.Parse(p); err != nil || link != 2 || m.Src.String() != "10.0.2.1" || m.Dst.String() != "192.0.2.1" || m.QuoteDst.String() != "10.0.2.1:4000" {
		t.Errorf("going out by %d: %+v, %v", link, m, err)
	}

	// The router's own: 1,450 bytes do not fit the link of the host they are for.
	g.pass(1, segmentOf("10.0.1.2:4001", "192.0.2.1:80", wire.SYN))
	big := wire.AppendPacket(nil, &wire.Segment{Src: netip.MustParseAddrPort("192.0.2.1:80"), Dst: netip.MustParseAddrPort("10.0.2.1:4001"), TTL: 64, Flags: wire.ACK, Payload: make([]byte, 1410)})
	link, p = g.pass(2, big)
	if err := m.Parse(p); err != nil || link != 2 || m.Kind != wire.ICMPTooBig || m.MTU != 1400 || m.QuoteDst.String() != "10.0.2.1:4001" {
		t.Errorf("the router's own by %d: %+v, %v", link, m, err)
	}
	if _, p = g.pass(0, wire.AppendICMPError(nil, netip.MustParseAddr("10.0.0.7"), wire.ICMPHostUnreachable, 0, segmentOf("192.0.2.9:1", "10.0.0.2:2", wire.ACK))); p != nil {
		t.Error("an error about no flow goes out")
	}
}

// A packet whose checksum is still to be completed leaves complete.
func TestNATPartialChecksum(t *testing.T) {
	g := newGateway(t)
	p := segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.SYN)
	p[36], p[37] = 0xab, 0xcd // whatever a device finds there
	g.Input(0, machine.Meta{Link: 0, CsumStart: 20, CsumOffset: 16}, p)
	buf := make([]byte, machine.BufferSize)
	m, n, ok := g.Output(0, buf)
	if !ok || m.CsumStart != 0 {
		t.Fatalf("meta %+v", m)
	}
	if got := ends(t, int(m.Link), buf[:n]); got != "2 10.0.2.1:4000 192.0.2.1:80" {
		t.Errorf("got %s", got)
	}
}

// Without IPv6 translation, packets of IPv6 pass as they are.
func TestNATLeavesIPv6Alone(t *testing.T) {
	n := home()
	n.Interfaces[0].Prefixes = append(n.Interfaces[0].Prefixes, prefixes("fd00::1/64")...)
	n.Routes = append(n.Routes, topology.Route{Prefix: prefixes("::/0")[0], Gateway: netip.MustParseAddr("fd00:2::9"), Link: "dsl"})
	r := NewRouter(n, []int{1500, 1500, 1500}, 1)
	links, out := forward(r, 0, packet("fd00::2", "2001:db8::1", 1, 10))
	if src, _, _ := wire.Addrs(out[0]); fmt.Sprint(links) != "[2]" || src.String() != "fd00::2" {
		t.Errorf("by %v from %v", links, src)
	}
	if links, _ = forward(r, 2, packet("2001:db8::1", "fd00::2", 1, 10)); fmt.Sprint(links) != "[0]" {
		t.Errorf("back by %v", links)
	}
}

func TestNATContract(t *testing.T) {
	var script []machine.Step
	for i := range 60 {
		at := clock.Instant(i * int(time.Second))
		script = append(script,
			machine.Step{At: at, Link: machine.LinkID(i % 2), Data: segmentOf(fmt.Sprintf("10.0.%d.%d:4000", i%2, 2+i%5), "192.0.2.1:80", wire.SYN)},
			machine.Step{At: at, Link: 2, Data: segmentOf("192.0.2.1:80", fmt.Sprintf("10.0.2.1:%d", 1024+i%8), wire.SYN|wire.ACK)})
	}
	if err := machine.Check(func() machine.Machine { return NewRouter(home(), []int{1500, 1500, 1500}, 1) }, script, clock.Instant(time.Minute)); err != nil {
		t.Error(err)
	}
}

// Translating a known flow does not allocate.
func TestNATAllocations(t *testing.T) {
	g := newGateway(t)
	p := segmentOf("10.0.0.2:4000", "192.0.2.1:80", wire.ACK)
	buf := make([]byte, machine.BufferSize)
	g.pass(0, p)
	if n := testing.AllocsPerRun(100, func() {
		g.Input(g.now, machine.Meta{Link: 0}, p)
		g.Output(g.now, buf)
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}
