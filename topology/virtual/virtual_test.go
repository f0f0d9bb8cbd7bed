package virtual

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// handover is the topology of the demo: a phone with two links to a router, and a
// server behind it.
func handover(links ...topology.Link) *topology.Topology {
	if links == nil {
		links = []topology.Link{
			{Name: "wifi", Ends: [2]string{"phone", "router"}, MTU: 1500},
			{Name: "lte", Ends: [2]string{"phone", "router"}, MTU: 1500},
			{Name: "lan", Ends: [2]string{"router", "server"}, MTU: 1500},
		}
	}
	t := &topology.Topology{Families: []int{4, 6}, Links: links, Nodes: []topology.Node{
		{Name: "phone", Kind: topology.Host},
		{Name: "router", Kind: topology.Router},
		{Name: "server", Kind: topology.Host},
	}}
	for i, l := range links {
		for end, name := range l.Ends {
			n := t.Node(name)
			n.Interfaces = append(n.Interfaces, topology.Interface{Link: l.Name, End: end, Prefixes: []netip.Prefix{
				netip.MustParsePrefix(fmt.Sprintf("10.0.%d.%d/24", i+1, end+1)),
				netip.MustParsePrefix(fmt.Sprintf("fd00:0:0:%d::%d/64", i+1, end+1)),
			}})
		}
	}
	return t
}

// endpoint is a host for tests: it sends what it is told and keeps what arrives,
// or sends it back.
type endpoint struct {
	echo bool
	out  []sent
	got  []arrival
}

type sent struct {
	link machine.LinkID
	pkt  []byte
}

type arrival struct {
	at   clock.Instant
	link machine.LinkID
	pkt  []byte
}

func (e *endpoint) Input(now clock.Instant, m machine.Meta, data []byte) {
	pkt := append([]byte(nil), data...)
	e.got = append(e.got, arrival{now, m.Link, pkt})
	var s wire.Segment
	if e.echo && s.Parse(pkt, false) == nil {
		s.Src, s.Dst = s.Dst, s.Src
		s.TTL = 64
		e.out = append(e.out, sent{m.Link, wire.AppendPacket(nil, &s)})
	}
}
func (e *endpoint) Advance(clock.Instant)                {}
func (e *endpoint) Deadline() clock.Instant              { return clock.Never }
func (e *endpoint) SetWritable(_ machine.LinkID, _ bool) {}
func (e *endpoint) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	if len(e.out) == 0 {
		return machine.Meta{}, 0, false
	}
	s := e.out[0]
	e.out = e.out[1:]
	return machine.Meta{Link: s.link, CsumOK: true}, copy(buf, s.pkt), true
}

func addr(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 80) }

// packet returns a segment with n bytes of payload and a number.
func packet(src, dst string, number, n int) []byte {
	p := make([]byte, n)
	return wire.AppendPacket(nil, &wire.Segment{Src: addr(src), Dst: addr(dst), TTL: 64,
		Seq: wire.Seq(number), Flags: wire.ACK, Payload: p})
}

type pair struct {
	*Lab
	phone, server *endpoint
}

// build builds a lab with a phone and an echoing server.
func build(t testing.TB, topo *topology.Topology, seed uint64, tap func(clock.Instant, string, bool, []byte)) pair {
	t.Helper()
	p := pair{phone: &endpoint{}, server: &endpoint{echo: true}}
	lab, err := Build(topo, Options{Seed: seed, Tap: tap, Check: true, Host: func(n *topology.Node) machine.Machine {
		if n.Name == "phone" {
			return p.phone
		}
		return p.server
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Lab = lab
	return p
}

func (p pair) send(link machine.LinkID, pkt []byte) {
	p.Do("phone", func(clock.Instant) { p.phone.out = append(p.phone.out, sent{link, pkt}) })
}

func (p pair) run(t testing.TB, until time.Duration) {
	t.Helper()
	if err := p.Run(clock.Instant(until)); err != nil {
		t.Fatal(err)
	}
}

func impair(t *topology.Topology, name string, up, down impairments.Config) {
	t.Link(name).Impair = [2]impairments.Config{up, down}
}

func TestRoundTrip(t *testing.T) {
	for _, family := range []struct{ phone, server string }{
		{"10.0.1.1", "10.0.3.2"}, {"fd00:0:0:1::1", "fd00:0:0:3::2"},
	} {
		topo := handover()
		up := impairments.Config{Delay: 15 * time.Millisecond}
		impair(topo, "wifi", up, impairments.Config{Delay: 10 * time.Millisecond, Rate: 8_000_000})
		var log []string
		p := build(t, topo, 1, func(at clock.Instant, iface string, out bool, pkt []byte) {
			log = append(log, fmt.Sprint(time.Duration(at), " ", iface, " ", out, " ", len(pkt)))
		})
		pkt := packet(family.phone, family.server, 1, 946)
		p.send(0, pkt)
		p.run(t, time.Second)
		// 8 Mbit/s is 1 us per byte, with Ethernet header.
		back := 25*time.Millisecond + time.Duration(len(pkt)+14)*time.Microsecond
		want := fmt.Sprintf("0s phone.wifi true %[1]d\n15ms server.lan false %[1]d\n15ms server.lan true %[1]d\n%[2]v phone.wifi false %[1]d",
			len(pkt), back)
		if got := strings.Join(log, "\n"); got != want {
			t.Errorf("packets:\n%s\nwant:\n%s", got, want)
		}
		var s wire.Segment
		if err := s.Parse(p.phone.got[0].pkt, false); err != nil {
			t.Error(err)
		}
		if s.TTL != 63 {
			t.Errorf("TTL %d after one router, want 63", s.TTL)
		}
		if st := p.Stats("wifi", topology.Downlink); st.Packets != 1 || st.Bytes != uint64(len(pkt)+14) {
			t.Errorf("stats of the downlink: %+v", st)
		}
	}
}

func TestBlackholeAndState(t *testing.T) {
	topo := handover()
	impair(topo, "wifi", impairments.Config{Delay: 100 * time.Millisecond}, impairments.Config{})
	p := build(t, topo, 1, nil)
	silent := impairments.Config{Blackhole: true}
	normal := impairments.Config{Delay: 100 * time.Millisecond}
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	events := []struct {
		at time.Duration
		f  func()
	}{
		{50, func() { check(p.SetImpairments("wifi", [2]impairments.Config{silent, silent})) }},
		{150, func() { check(p.SetImpairments("wifi", [2]impairments.Config{normal, {}})) }},
		{250, func() { check(p.SetIfaceUp("phone.wifi", false)) }},
		{350, func() { check(p.SetIfaceUp("phone.wifi", true)) }},
		{450, func() { check(p.SetLinkUp("wifi", false)) }},
		{550, func() { check(p.SetLinkUp("wifi", true)) }},
	}
	for _, e := range events {
		p.At(clock.Instant(e.at*time.Millisecond), e.f)
	}
	for i := range 10 { // at 0, 60, ... 540 ms
		p.At(clock.Instant(i*60)*clock.Instant(time.Millisecond), func() { p.send(0, packet("10.0.1.1", "10.0.3.2", i, 10)) })
	}
	p.run(t, time.Second)
	var got []int
	for _, a := range p.server.got {
		var s wire.Segment
		if err := s.Parse(a.pkt, false); err != nil {
			t.Fatal(err)
		}
		got = append(got, int(s.Seq))
	}
	// 0, 60 and 120 ms fall to the black hole; 180 is under way at 250; 240 and 300
	// likewise; 360 is under way at 450; so are 420; 480 and 540 meet no cable.
	if want := "[]"; fmt.Sprint(got) != want {
		t.Errorf("arrived: %v, want %s", got, want)
	}
	if st := p.Stats("wifi", topology.Uplink); st.Blackholed != 10 {
		t.Errorf("blackholed %d packets, want 10", st.Blackholed)
	}
	p.send(0, packet("10.0.1.1", "10.0.3.2", 11, 10))
	p.run(t, 2*time.Second)
	if len(p.server.got) != 1 {
		t.Errorf("%d packets after everything is up again, want 1", len(p.server.got))
	}
	for _, err := range []error{p.SetLinkUp("x", true), p.SetImpairments("x", [2]impairments.Config{})} {
		if !errors.Is(err, ErrNoLink) {
			t.Errorf("unknown link: %v", err)
		}
	}
	if err := p.SetIfaceUp("phone.lan", true); !errors.Is(err, ErrNoInterface) {
		t.Errorf("unknown interface: %v", err)
	}
	if err := p.Lab.Do("nobody", nil); !errors.Is(err, ErrNoHost) {
		t.Errorf("unknown host: %v", err)
	}
}

// traffic sends numbered packets on all links of the phone and returns the
// fingerprint and what arrived at the server, by link.
func traffic(t *testing.T, topo *topology.Topology, seed uint64) (uint64, map[string][]string) {
	p := build(t, topo, seed, nil)
	for i := range 300 {
		p.At(clock.Instant(i)*clock.Instant(time.Millisecond), func() {
			for link, f := range topo.Node("phone").Interfaces {
				src := f.Prefixes[0].Addr().String()
				p.send(machine.LinkID(link), packet(src, "10.0.3.2", i, 1000))
			}
		})
	}
	p.run(t, 2*time.Second)
	got := make(map[string][]string)
	for _, a := range p.server.got {
		src, _, _ := wire.Addrs(a.pkt)
		got[src.String()] = append(got[src.String()], fmt.Sprint(a.at, " ", binary.BigEndian.Uint32(a.pkt[24:])))
	}
	return p.Fingerprint(), got
}

func impaired() *topology.Topology {
	topo := handover()
	c := impairments.Config{
		Loss: impairments.Loss{Random: impairments.Chance{P: 0.05}}, Duplicate: impairments.Chance{P: 0.02},
		Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Distribution: impairments.Normal, Rate: 10_000_000,
	}
	impair(topo, "wifi", c, c)
	impair(topo, "lte", c, c)
	return topo
}

func TestDeterminism(t *testing.T) {
	a, _ := traffic(t, impaired(), 7)
	b, _ := traffic(t, impaired(), 7)
	c, _ := traffic(t, impaired(), 8)
	if a != b {
		t.Errorf("two runs of one seed: fingerprints %x and %x", a, b)
	}
	if a == c {
		t.Errorf("seeds 7 and 8 have the same fingerprint %x", a)
	}
}

// Another path changes nothing for the others: each draw belongs to its own link,
// direction, stage and packet.
func TestPathsDrawForThemselves(t *testing.T) {
	_, two := traffic(t, impaired(), 7)
	topo := impaired()
	third := topo.Links[1]
	third.Name = "satellite"
	links := []topology.Link{topo.Links[0], topo.Links[1], topo.Links[2], third}
	_, three := traffic(t, handover(links...), 7)
	for _, src := range []string{"10.0.1.1", "10.0.2.1"} {
		if len(two[src]) < 250 || fmt.Sprint(two[src]) != fmt.Sprint(three[src]) {
			t.Errorf("packets from %s changed when a path was added: %d and %d arrived", src, len(two[src]), len(three[src]))
		}
	}
	if len(three["10.0.4.1"]) < 250 {
		t.Errorf("only %d packets came over the new path", len(three["10.0.4.1"]))
	}
	if fmt.Sprint(two["10.0.1.1"]) == fmt.Sprint(two["10.0.2.1"]) {
		t.Error("two links with the same settings drew the same")
	}
}

func TestPacketsLargerThanTheLink(t *testing.T) {
	p := build(t, handover(), 1, nil)
	p.send(0, packet("10.0.1.1", "10.0.3.2", 1, 1461))
	if err := p.Run(clock.Instant(time.Second)); err == nil || !strings.Contains(err.Error(), "MTU") {
		t.Errorf("a host sent more than its MTU: %v", err)
	}
}

func TestRefusedTopologies(t *testing.T) {
	noHost := handover()
	if _, err := Build(noHost, Options{}); err == nil {
		t.Error("hosts without machine were accepted")
	}
	loose := handover()
	loose.Links[0].Ends[0] = "nobody"
	if _, err := Build(loose, Options{Host: func(*topology.Node) machine.Machine { return &endpoint{} }}); err == nil {
		t.Error("a link to nowhere was accepted")
	}
}
