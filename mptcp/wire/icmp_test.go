package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

var (
	router4 = netip.MustParseAddr("10.9.9.9")
	router6 = netip.MustParseAddr("2001:db8:9::9")
)

func TestICMPErrors(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		router := router4
		if v6 {
			router = router6
		}
		s := sample(v6, 1448)
		pkt := AppendPacket(nil, &s)
		for _, kind := range []ICMPKind{ICMPNetUnreachable, ICMPHostUnreachable, ICMPProtocolUnreachable, ICMPPortUnreachable, ICMPProhibited, ICMPTooBig, ICMPTimeExceeded} {
			b := AppendICMPError(nil, router, kind, 1300, pkt)
			if v6 && len(b) != 1280 || !v6 && len(b) != 576 {
				t.Errorf("kind %d: %d octets", kind, len(b))
			}
			decode(t, b)
			var m ICMP
			if err := m.Parse(b); err != nil {
				t.Fatalf("kind %d: %v", kind, err)
			}
			if m.Kind != kind || m.Src != router || m.Dst != s.Src.Addr() || !m.HasQuote || m.QuoteProto != ProtoTCP ||
				m.QuoteSrc != s.Src || m.QuoteDst != s.Dst || m.QuoteSeq != s.Seq {
				t.Errorf("kind %d: got %+v", kind, m)
			}
			if want := map[bool]int{true: 1300}[kind == ICMPTooBig]; m.MTU != want {
				t.Errorf("kind %d: MTU %d", kind, m.MTU)
			}
			// "An ICMP error message MUST NOT be sent as the result of receiving
			// an ICMP error message" (RFC 1122, 3.2.2).
			if again := AppendICMPError(nil, router, ICMPTimeExceeded, 0, b); again != nil {
				t.Errorf("kind %d: an error about an error", kind)
			}
		}
	}
}

// TestICMPOnWire holds type and code against the numbers of RFC 792, RFC 1191,
// RFC 1812 and RFC 4443.
func TestICMPOnWire(t *testing.T) {
	for _, c := range []struct {
		v6        bool
		kind      ICMPKind
		typ, code uint8
	}{
		{false, ICMPNetUnreachable, 3, 0}, {false, ICMPHostUnreachable, 3, 1}, {false, ICMPProtocolUnreachable, 3, 2},
		{false, ICMPPortUnreachable, 3, 3}, {false, ICMPTooBig, 3, 4}, {false, ICMPProhibited, 3, 13}, {false, ICMPTimeExceeded, 11, 0},
		{true, ICMPNetUnreachable, 1, 0}, {true, ICMPProhibited, 1, 1}, {true, ICMPHostUnreachable, 1, 3},
		{true, ICMPPortUnreachable, 1, 4}, {true, ICMPTooBig, 2, 0}, {true, ICMPTimeExceeded, 3, 0},
	} {
		typ, code, ok := icmpCode(c.v6, c.kind)
		if !ok || typ != c.typ || code != c.code || icmpKind(c.v6, typ, code) != c.kind {
			t.Errorf("kind %d v6 %v: type %d code %d", c.kind, c.v6, typ, code)
		}
	}
	if k := icmpKind(false, 3, 7); k != ICMPHostUnreachable { // destination host unknown
		t.Errorf("3/7 is %d", k)
	}
	if k := icmpKind(false, 5, 0); k != ICMPOther { // redirect
		t.Errorf("5/0 is %d", k)
	}
}

func TestICMPRefused(t *testing.T) {
	bad := func(edit func(s *Segment)) []byte {
		s := sample(false, 3)
		edit(&s)
		return AppendPacket(nil, &s)
	}
	addr := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 1) }
	later := bad(func(*Segment) {})
	later[7] = 1
	for name, pkt := range map[string][]byte{
		"no packet":        {1, 2, 3},
		"to multicast":     bad(func(s *Segment) { s.Dst = addr("224.0.0.1") }),
		"to broadcast":     bad(func(s *Segment) { s.Dst = addr("255.255.255.255") }),
		"from nowhere":     bad(func(s *Segment) { s.Src = addr("0.0.0.0") }),
		"from multicast":   bad(func(s *Segment) { s.Src = addr("224.0.0.1") }),
		"later fragment":   later,
		"of other family":  AppendPacket(nil, &Segment{Src: v6a, Dst: v6b}),
		"unknown ICMP":     appendICMP(nil, v4a.Addr(), v4b.Addr(), 5, 0, [4]byte{}, nil),
		"half an ICMP":     {0x45, 0, 0, 21, 0, 0, 0, 0, 1, ProtoICMP, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 8},
		"no such protocol": nil,
	} {
		if b := AppendICMPError(nil, router4, ICMPHostUnreachable, 0, pkt); b != nil {
			t.Errorf("%s: answered", name)
		}
	}
	if b := AppendICMPError(nil, router4, ICMPEchoReply+100, 0, bad(func(*Segment) {})); b != nil {
		t.Error("unknown kind: answered")
	}
}

func TestEcho(t *testing.T) {
	for _, c := range []struct {
		a, b     netip.Addr
		typ, rep uint8
	}{{v4a.Addr(), v4b.Addr(), 8, 0}, {v6a.Addr(), v6b.Addr(), 128, 129}} {
		req := appendICMP(nil, c.a, c.b, c.typ, 0, [4]byte{1, 2, 3, 4}, []byte("abcdefg"))
		decode(t, req)
		rep := AppendEchoReply(nil, req)
		decode(t, rep)
		var m ICMP
		if err := m.Parse(rep); err != nil {
			t.Fatal(err)
		}
		if m.Kind != ICMPEchoReply || m.Type != c.rep || m.Src != c.b || m.Dst != c.a || m.ID != 0x102 || m.EchoSeq != 0x304 || string(m.Payload) != "abcdefg" {
			t.Errorf("got %+v", m)
		}
		if AppendEchoReply(nil, rep) != nil {
			t.Error("a reply was answered")
		}
		if e := AppendICMPError(nil, map[bool]netip.Addr{false: router4, true: router6}[c.a.Is6()], ICMPHostUnreachable, 0, req); e == nil {
			t.Error("an error about an echo request is allowed")
		}
	}
	p, _ := decode(t, appendICMP(nil, v4a.Addr(), v4b.Addr(), 8, 0, [4]byte{1, 2, 3, 4}, []byte("abc")))
	if l, _ := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); l == nil || l.Id != 0x102 || l.Seq != 0x304 {
		t.Errorf("gopacket reads %+v", l)
	}
}

func TestICMPParseErrors(t *testing.T) {
	good := appendICMP(nil, v4a.Addr(), v4b.Addr(), 8, 0, [4]byte{}, []byte("abc"))
	tcp := AppendPacket(nil, &Segment{Src: v4a, Dst: v4b})
	flip := func(at int) []byte { b := bytes.Clone(good); b[at]++; return b }
	frag := bytes.Clone(good)
	frag[6] |= 0x20
	crossed := appendICMP(nil, v4a.Addr(), v4b.Addr(), 3, 0, [4]byte{}, AppendPacket(nil, &Segment{Src: v6a, Dst: v6b}))
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"good", good, nil},
		{"cut", good[:20], ErrTruncated},
		{"TCP", tcp, ErrProtocol},
		{"checksum", flip(len(good) - 1), ErrChecksum},
		{"IP checksum", flip(9), ErrIPChecksum},
		{"fragment", frag, ErrFragment},
		{"quotes the other family", crossed, ErrICMP},
		{"quotes the least", appendICMP(nil, v4a.Addr(), v4b.Addr(), 3, 0, [4]byte{}, tcp[:28]), nil},
	} {
		var m ICMP
		if err := m.Parse(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// Eight octets of TCP give ports and sequence number; less give nothing.
	var m ICMP
	s := sample(false, 0)
	quoted := AppendPacket(nil, &s)
	for n, want := range map[int]bool{28: true, 27: false, 24: false, 23: false} {
		if err := m.Parse(appendICMP(nil, v4a.Addr(), v4b.Addr(), 3, 3, [4]byte{}, quoted[:n])); err != nil || m.HasQuote != want {
			t.Errorf("%d octets quoted: %v, HasQuote %v", n, err, m.HasQuote)
		}
	}
}
