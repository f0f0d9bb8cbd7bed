package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// A packet with other ends is the same, byte for byte, as one that was built with
// them: RFC 1624's update of the checksums against their computation.
func TestReaddress(t *testing.T) {
	a, b, c := netip.MustParseAddrPort("10.0.1.1:40000"), netip.MustParseAddrPort("10.0.9.9:443"), netip.MustParseAddrPort("192.0.2.77:1024")
	tcp := func(src, dst netip.AddrPort) []byte {
		return AppendPacket(nil, &Segment{Src: src, Dst: dst, Seq: 77, Ack: 99, Flags: ACK | PSH, TTL: 64, Window: 500, Payload: []byte("hello")})
	}
	udp := func(src, dst netip.AddrPort, sum bool) []byte {
		p := appendIP(nil, src.Addr(), dst.Addr(), ProtoUDP, 0, 64, 13)
		p = binary.BigEndian.AppendUint16(p, src.Port())
		p = binary.BigEndian.AppendUint16(p, dst.Port())
		p = append(p, 0, 13, 0, 0, 'h', 'e', 'l', 'l', 'o')
		if sum {
			binary.BigEndian.PutUint16(p[26:], Checksum(p[20:], pseudoSum(p, ProtoUDP, 13)))
		}
		binary.BigEndian.PutUint16(p[10:], Checksum(p[:20], 0))
		return p
	}
	echo := func(src, dst netip.Addr, typ uint8, id uint16) []byte {
		return appendICMP(nil, src, dst, typ, 0, [4]byte{byte(id >> 8), byte(id), 0, 7}, []byte("ping"))
	}
	for name, c := range map[string]struct {
		from, want []byte
		source     bool
		to         netip.AddrPort
	}{
		"TCP source":           {tcp(a, b), tcp(c, b), true, c},
		"TCP destination":      {tcp(b, a), tcp(b, c), false, c},
		"UDP source":           {udp(a, b, true), udp(c, b, true), true, c},
		"UDP without checksum": {udp(a, b, false), udp(c, b, false), true, c},
		"echo request":         {echo(a.Addr(), b.Addr(), icmp4Echo, 5), echo(c.Addr(), b.Addr(), icmp4Echo, 1024), true, c},
		"echo reply":           {echo(b.Addr(), a.Addr(), icmp4EchoReply, 5), echo(b.Addr(), c.Addr(), icmp4EchoReply, 1024), false, c},
		"TCP to the same":      {tcp(a, b), tcp(a, b), true, a},
	} {
		got := bytes.Clone(c.from)
		Readdress(got, c.source, c.to)
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: got\n%x, want\n%x", name, got, c.want)
		}
		// As an ICMP error quotes it: the header and 64 bits, which have the ports
		// but not the checksum of TCP.
		if cut := bytes.Clone(c.from[:28]); cut[9] == ProtoTCP {
			Readdress(cut, c.source, c.to)
			if !bytes.Equal(cut, c.want[:28]) {
				t.Errorf("%s, cut short: got\n%x, want\n%x", name, cut, c.want[:28])
			}
		}
	}
}

func TestEnds(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.9.9")
	ask := appendICMP(nil, a, b, icmp4Echo, 0, [4]byte{0, 9, 0, 1}, nil)
	if proto, src, dst, ok := Ends(ask); !ok || proto != ProtoICMP || src != netip.AddrPortFrom(a, 9) || dst != netip.AddrPortFrom(b, 0) {
		t.Errorf("request: %d %v %v %v", proto, src, dst, ok)
	}
	if _, src, dst, ok := Ends(AppendEchoReply(nil, ask)); !ok || src != netip.AddrPortFrom(b, 0) || dst != netip.AddrPortFrom(a, 9) {
		t.Errorf("reply: %v %v %v", src, dst, ok)
	}
	s := Segment{Src: netip.AddrPortFrom(a, 1), Dst: netip.AddrPortFrom(b, 2), Flags: SYN, TTL: 9}
	p := AppendPacket(nil, &s)
	e := AppendICMPError(nil, b, ICMPTooBig, 1280, p)
	if _, _, _, ok := Ends(e); ok {
		t.Error("an ICMP error has ends")
	}
	if q := Quoted(e); !bytes.Equal(q, p) {
		t.Errorf("quoted %x, want %x", q, p)
	}
	if Quoted(p) != nil || Quoted(ask) != nil || Quoted(nil) != nil {
		t.Error("what is no error quotes something")
	}
}

// Nothing that comes from the wire makes it panic or write elsewhere.
func FuzzReaddress(f *testing.F) {
	a, b := netip.MustParseAddrPort("10.0.1.1:40000"), netip.MustParseAddrPort("10.0.9.9:443")
	s := Segment{Src: a, Dst: b, Flags: ACK, TTL: 64}
	p := AppendPacket(nil, &s)
	f.Add(p)
	f.Add(AppendICMPError(nil, b.Addr(), ICMPPortUnreachable, 0, p))
	f.Fuzz(func(t *testing.T, p []byte) {
		Ends(p)
		Readdress(bytes.Clone(p), true, a)
		Readdress(bytes.Clone(p), false, b)
		c := bytes.Clone(p)
		if q := Quoted(c); q != nil {
			Readdress(q, true, a)
		}
		FinishICMP(c)
	})
}
