package virtual

import (
	"fmt"
	"net/netip"
	"testing"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

func prefixes(ps ...string) (out []netip.Prefix) {
	for _, p := range ps {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// crossroads is a router with four interfaces, a default route and two equal
// routes to 10.9.0.0/16.
func crossroads(ecmp bool) *topology.Node {
	n := &topology.Node{Name: "r", Kind: topology.Router, ECMP: ecmp}
	for i := range 4 {
		n.Interfaces = append(n.Interfaces, topology.Interface{Link: fmt.Sprint("l", i),
			Prefixes: prefixes(fmt.Sprintf("10.0.%d.1/24", i), fmt.Sprintf("fd00:0:0:%d::1/64", i))})
	}
	gw := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	n.Routes = []topology.Route{
		{Prefix: prefixes("0.0.0.0/0")[0], Gateway: gw("10.0.3.2"), Link: "l3", Metric: 10},
		{Prefix: prefixes("0.0.0.0/0")[0], Gateway: gw("10.0.2.2"), Link: "l2", Metric: 5},
		{Prefix: prefixes("10.9.0.0/16")[0], Gateway: gw("10.0.1.2"), Link: "l1"},
		{Prefix: prefixes("10.9.0.0/16")[0], Gateway: gw("10.0.3.2"), Link: "l3"},
		{Prefix: prefixes("10.9.8.0/24")[0], Gateway: gw("10.0.0.2"), Link: "l0"},
		{Prefix: prefixes("10.0.1.0/24")[0], Link: "l1"}, // connected, once more
	}
	return n
}

// forward feeds one packet to m and returns the links and packets that come out.
func forward(m machine.Machine, in machine.LinkID, pkt []byte) (links []int, out [][]byte) {
	buf := make([]byte, machine.BufferSize)
	m.Input(0, machine.Meta{Link: in, CsumOK: true}, pkt)
	for {
		m, n, ok := m.Output(0, buf)
		if !ok {
			return links, out
		}
		links, out = append(links, int(m.Link)), append(out, append([]byte(nil), buf[:n]...))
	}
}

func TestRouterForwards(t *testing.T) {
	for _, tt := range []struct {
		src, dst string
		want     string
	}{
		{"10.0.0.2", "10.0.1.7", "[1]"},
		{"10.0.0.2", "10.9.8.7", "[0]"},  // the longest prefix
		{"10.0.0.2", "10.9.7.7", "[1]"},  // the first of equal ones
		{"10.0.0.2", "192.0.2.1", "[2]"}, // the lower metric
		{"fd00::2", "fd00:0:0:3::9", "[3]"},
	} {
		r := NewRouter(crossroads(false), []int{1500, 1500, 1500, 1500}, 1)
		links, out := forward(r, 0, packet(tt.src, tt.dst, 1, 100))
		if fmt.Sprint(links) != tt.want {
			t.Errorf("%s: by links %v, want %s", tt.dst, links, tt.want)
			continue
		}
		var s wire.Segment
		if err := s.Parse(out[0], false); err != nil || s.TTL != 63 {
			t.Errorf("%s: TTL %d, %v", tt.dst, s.TTL, err)
		}
		if h := out[0]; h[0]>>4 == 4 && wire.Checksum(h[:20], 0) != 0 {
			t.Errorf("%s: the IP checksum is wrong after the TTL changed", tt.dst)
		}
		if r.Counters.Forwarded != 1 {
			t.Errorf("counters %+v", r.Counters)
		}
	}
}

func TestRouterRefuses(t *testing.T) {
	old := func(pkt []byte) []byte { // at its last hop
		if pkt[0]>>4 == 6 {
			pkt[7] = 1
		} else {
			pkt[8] = 1
			pkt[10], pkt[11] = 0, 0
			c := wire.Checksum(pkt[:20], 0)
			pkt[10], pkt[11] = byte(c>>8), byte(c)
		}
		return pkt
	}
	for _, tt := range []struct {
		name string
		pkt  []byte
		kind wire.ICMPKind
		mtu  int
		from string
	}{
		{"TTL", old(packet("10.0.0.2", "10.0.1.2", 1, 10)), wire.ICMPTimeExceeded, 0, "10.0.0.1"},
		{"hop limit", old(packet("fd00::2", "fd00:0:0:1::2", 1, 10)), wire.ICMPTimeExceeded, 0, "fd00::1"},
		{"no route", packet("fd00::2", "2001:db8::1", 1, 10), wire.ICMPNetUnreachable, 0, "fd00::1"},
		{"too big", packet("10.0.0.2", "10.0.1.2", 1, 1300), wire.ICMPTooBig, 1280, "10.0.0.1"},
		{"too big, IPv6", packet("fd00::2", "fd00:0:0:1::2", 1, 1300), wire.ICMPTooBig, 1280, "fd00::1"},
	} {
		r := NewRouter(crossroads(false), []int{1500, 1280, 1500, 1500}, 1)
		links, out := forward(r, 0, tt.pkt)
		if fmt.Sprint(links) != "[0]" {
			t.Errorf("%s: answers on links %v, counters %+v", tt.name, links, r.Counters)
			continue
		}
		var m wire.ICMP
		if err := m.Parse(out[0]); err != nil || m.Kind != tt.kind || m.MTU != tt.mtu || m.Src.String() != tt.from || !m.HasQuote {
			t.Errorf("%s: %v, %+v", tt.name, err, m)
		}
		if r.Counters.ICMPSent != 1 || r.Counters.Forwarded != 0 {
			t.Errorf("%s: counters %+v", tt.name, r.Counters)
		}
		// No error about an error: as it comes back in a circle.
		if links, _ := forward(r, 0, old(out[0])); len(links) != 0 {
			t.Errorf("%s: an error was answered", tt.name)
		}
	}
	// A packet that may be fragmented is not: it is dropped without a word.
	r := NewRouter(crossroads(false), []int{1500, 1280, 1500, 1500}, 1)
	pkt := packet("10.0.0.2", "10.0.1.2", 1, 1300)
	pkt[6] = 0
	if links, _ := forward(r, 0, pkt); len(links) != 0 || r.Counters.TooBig != 1 {
		t.Errorf("too big without DF: links %v, %+v", links, r.Counters)
	}
	for _, pkt := range [][]byte{{}, {0x45}, make([]byte, 40)} {
		if links, _ := forward(r, 0, pkt); len(links) != 0 {
			t.Errorf("an answer to % x", pkt)
		}
	}
	if r.Counters.Malformed != 3 {
		t.Errorf("counters %+v", r.Counters)
	}
}

func TestRouterEcho(t *testing.T) {
	// An echo request (RFC 792): type 8, identifier 7, sequence 9.
	msg := []byte{8, 0, 0, 0, 0, 7, 0, 9, 'p', 'i', 'n', 'g'}
	c := wire.Checksum(msg, 0)
	msg[2], msg[3] = byte(c>>8), byte(c)
	pkt := append([]byte{0x45, 0, 0, byte(20 + len(msg)), 0, 0, 0x40, 0, 64, wire.ProtoICMP, 0, 0, 10, 0, 0, 2, 10, 0, 1, 1}, msg...)
	c = wire.Checksum(pkt[:20], 0)
	pkt[10], pkt[11] = byte(c>>8), byte(c)

	r := NewRouter(crossroads(false), []int{1500, 1500, 1500, 1500}, 1)
	links, out := forward(r, 0, pkt)
	var m wire.ICMP
	if fmt.Sprint(links) != "[0]" || m.Parse(out[0]) != nil || m.Kind != wire.ICMPEchoReply ||
		m.ID != 7 || m.EchoSeq != 9 || string(m.Payload) != "ping" || m.Src.String() != "10.0.1.1" {
		t.Errorf("links %v, %+v", links, m)
	}
	if links, _ := forward(r, 0, packet("10.0.0.2", "10.0.3.1", 1, 10)); len(links) != 0 || r.Counters.Local != 2 {
		t.Errorf("TCP to the router itself: links %v, %+v", links, r.Counters)
	}
}

func TestRouterECMP(t *testing.T) {
	r := NewRouter(crossroads(true), []int{1500, 1500, 1500, 1500}, 1)
	other := NewRouter(crossroads(true), []int{1500, 1500, 1500, 1500}, 2)
	counts, differ := make(map[int]int), 0
	for i := range 400 {
		s := wire.Segment{Src: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), uint16(1000+i)),
			Dst: netip.MustParseAddrPort("10.9.1.1:80"), TTL: 9, Flags: wire.ACK}
		a, _ := forward(r, 0, wire.AppendPacket(nil, &s))
		s.Payload = []byte("another packet of the flow")
		b, _ := forward(r, 0, wire.AppendPacket(nil, &s))
		if a[0] != b[0] {
			t.Fatalf("one flow by two links: %v and %v", a, b)
		}
		counts[a[0]]++
		if c, _ := forward(other, 0, wire.AppendPacket(nil, &s)); c[0] != a[0] {
			differ++
		}
	}
	if len(counts) != 2 || counts[1] < 150 || counts[3] < 150 {
		t.Errorf("flows by link: %v", counts)
	}
	if differ < 100 {
		t.Errorf("two routers agree in all but %d of 400 flows", differ)
	}
}

// TestContract: routers and switches keep the contract of machines.
func TestContract(t *testing.T) {
	var script []machine.Step
	for i := range 60 {
		src, dst := fmt.Sprintf("10.0.%d.2", i%4), fmt.Sprintf("10.0.%d.2", (i+1+i/20)%4)
		script = append(script, machine.Step{At: clock.Instant(i / 3), Link: machine.LinkID(i % 4), Data: packet(src, dst, i, i*20)})
	}
	if err := machine.Check(func() machine.Machine {
		return NewRouter(crossroads(true), []int{1500, 576, 1500, 1500}, 1)
	}, script, 100); err != nil {
		t.Errorf("router: %v", err)
	}
	if err := machine.Check(func() machine.Machine { return NewSwitch(accessPoint(), "ap") }, script, 100); err != nil {
		t.Errorf("switch: %v", err)
	}
}

// accessPoint has three stations and a gateway at a switch, and a server behind
// the gateway.
func accessPoint() *topology.Topology {
	t := &topology.Topology{Nodes: []topology.Node{
		{Name: "ap", Kind: topology.Switch}, {Name: "gw", Kind: topology.Router}, {Name: "server", Kind: topology.Host},
	}}
	attach := func(node, link string, end int, addr string) {
		n := t.Node(node)
		i := topology.Interface{Link: link, End: end}
		if addr != "" {
			i.Prefixes = prefixes(addr)
		}
		n.Interfaces = append(n.Interfaces, i)
	}
	for i := range 3 {
		sta, radio := fmt.Sprint("sta", i+1), fmt.Sprint("radio", i+1)
		t.Nodes = append(t.Nodes, topology.Node{Name: sta, Kind: topology.Host})
		t.Links = append(t.Links, topology.Link{Name: radio, Ends: [2]string{sta, "ap"}, MTU: 1500})
		attach(sta, radio, 0, fmt.Sprintf("10.0.1.%d/24", 10+i))
		attach("ap", radio, 1, "")
		t.Node(sta).Routes = []topology.Route{{Prefix: prefixes("0.0.0.0/0")[0], Gateway: netip.MustParseAddr("10.0.1.1"), Link: radio}}
	}
	t.Links = append(t.Links, topology.Link{Name: "air", Ends: [2]string{"ap", "gw"}, MTU: 1400},
		topology.Link{Name: "lan", Ends: [2]string{"gw", "server"}, MTU: 1500})
	attach("ap", "air", 0, "")
	attach("gw", "air", 1, "10.0.1.1/24")
	attach("gw", "lan", 0, "10.0.2.1/24")
	attach("server", "lan", 1, "10.0.2.2/24")
	t.Node("server").Routes = []topology.Route{{Prefix: prefixes("0.0.0.0/0")[0], Gateway: netip.MustParseAddr("10.0.2.1"), Link: "lan"}}
	return t
}

func TestSwitch(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in       machine.LinkID
		src, dst string
		n        int
		want     string
	}{
		{"neighbour", 0, "10.0.1.10", "10.0.1.12", 10, "[2]"},
		{"by the gateway", 1, "10.0.1.11", "10.0.2.2", 10, "[3]"},
		{"to itself", 1, "10.0.1.12", "10.0.1.11", 10, "[]"},
		{"unknown: flood", 3, "10.0.1.1", "10.0.1.99", 10, "[0 1 2]"},
		{"too big for the air", 0, "10.0.1.10", "10.0.2.2", 1400, "[]"},
	} {
		links, out := forward(NewSwitch(accessPoint(), "ap"), tt.in, packet(tt.src, tt.dst, 1, tt.n))
		if fmt.Sprint(links) != tt.want {
			t.Errorf("%s: links %v, want %s", tt.name, links, tt.want)
		}
		for _, pkt := range out {
			if pkt[8] != 64 {
				t.Errorf("%s: a switch changed the TTL to %d", tt.name, pkt[8])
			}
		}
	}
}

// A switch behind a switch is part of the same segment.
func TestSwitchesInARow(t *testing.T) {
	topo := accessPoint()
	topo.Nodes = append(topo.Nodes, topology.Node{Name: "ap2", Kind: topology.Switch}, topology.Node{Name: "sta9", Kind: topology.Host})
	topo.Links = append(topo.Links, topology.Link{Name: "trunk", Ends: [2]string{"ap", "ap2"}, MTU: 1500},
		topology.Link{Name: "radio9", Ends: [2]string{"sta9", "ap2"}, MTU: 1500})
	add := func(node string, i topology.Interface) {
		n := topo.Node(node)
		n.Interfaces = append(n.Interfaces, i)
	}
	add("ap", topology.Interface{Link: "trunk", End: 0})
	add("ap2", topology.Interface{Link: "trunk", End: 1})
	add("ap2", topology.Interface{Link: "radio9", End: 1})
	add("sta9", topology.Interface{Link: "radio9", Prefixes: prefixes("10.0.1.99/24")})
	topo.Node("sta9").Routes = []topology.Route{{Prefix: prefixes("0.0.0.0/0")[0], Gateway: netip.MustParseAddr("10.0.1.1"), Link: "radio9"}}
	ap, ap2 := NewSwitch(topo, "ap"), NewSwitch(topo, "ap2")
	if links, _ := forward(ap, 0, packet("10.0.1.10", "10.0.1.99", 1, 10)); fmt.Sprint(links) != "[4]" {
		t.Errorf("to a station behind the other switch: links %v", links)
	}
	if links, _ := forward(ap2, 1, packet("10.0.1.99", "10.0.2.2", 1, 10)); fmt.Sprint(links) != "[0]" {
		t.Errorf("to the gateway behind the other switch: links %v", links)
	}
	if links, _ := forward(ap, 4, packet("10.0.1.99", "10.0.2.2", 1, 10)); fmt.Sprint(links) != "[3]" {
		t.Errorf("and on: links %v", links)
	}
}

// A gated link fills its own box only.
func TestOutboxGate(t *testing.T) {
	r := NewRouter(crossroads(false), []int{1500, 1500, 1500, 1500}, 1)
	r.SetWritable(1, false)
	for i := range outboxLimit + 5 {
		if links, _ := forward(r, 0, packet("10.0.0.2", "10.0.1.2", i, 0)); len(links) != 0 {
			t.Fatal("a packet for a gated link")
		}
	}
	if links, _ := forward(r, 0, packet("10.0.0.2", "10.0.2.2", 1, 0)); fmt.Sprint(links) != "[2]" {
		t.Errorf("the other links: %v", links)
	}
	r.SetWritable(1, true)
	links, out := forward(r, 0, packet("10.0.0.2", "10.0.2.2", 1, 0))
	if len(links) != outboxLimit+1 || r.out[1].dropped != 5 {
		t.Errorf("%d packets after the gate opened, %d dropped", len(links), r.out[1].dropped)
	}
	var s wire.Segment
	for i := range outboxLimit {
		if s.Parse(out[i], false) != nil || int(s.Seq) != i {
			t.Fatalf("packet %d is number %d", i, s.Seq)
		}
	}
}
