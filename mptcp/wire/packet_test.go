package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sample returns a data segment with the options of steady state.
func sample(v6 bool, payload int) Segment {
	s := Segment{
		Src: v4a, Dst: v4b, TTL: 64, TOS: 0xb9, Seq: 0xfffffff0, Ack: 77,
		Flags: ACK | PSH, Window: 0x1234, Payload: bytes.Repeat([]byte{0xa5, 7, 0xff}, payload/3+1)[:payload],
		Options: Options{Has: HasTimestamps | HasDSS, TSVal: 5, TSEcr: 6,
			DSS: DSS{HasAck: true, Ack64: true, DataAck: 1 << 40, HasMap: true, DSN64: true, DSN: 1 << 50, SSN: 1, DataLen: uint16(payload)}},
	}
	if v6 {
		s.Src, s.Dst = v6a, v6b
	}
	return s
}

func TestPacketRoundTrip(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{0, 1, 2, 3, 63, 64, 65, 1447, 1448, 65000} {
			want := sample(v6, n)
			pkt := AppendPacket(nil, &want)
			var s Segment
			// Octets behind the packet are padding of the link.
			if err := s.Parse(append(pkt, 0, 0, 0, 0, 0), false); err != nil {
				t.Fatalf("v6 %v, %d bytes: %v", v6, n, err)
			}
			if s.Options != want.Options || !bytes.Equal(s.Payload, want.Payload) {
				t.Errorf("v6 %v, %d bytes: got %v, want %v", v6, n, &s, &want)
			}
			s.Options, s.Payload, want.Options, want.Payload = Options{}, nil, Options{}, nil
			if s.String() != want.String() || s.TTL != want.TTL || s.TOS != want.TOS {
				t.Errorf("got %v, want %v", &s, &want)
			}
		}
	}
}

// decode lets gopacket read pkt: a second pair of eyes, with its own checksums.
func decode(t testing.TB, pkt []byte) (gopacket.Packet, *layers.TCP) {
	t.Helper()
	first := gopacket.LayerType(layers.LayerTypeIPv4)
	if pkt[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(pkt, first, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v", e.Error())
	}
	tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if icmp, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		if err := icmp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
	}
	if tcp != nil {
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
	}
	if err, mismatches := p.VerifyChecksums(); err != nil || len(mismatches) != 0 {
		t.Fatalf("gopacket: checksums %v, %v", err, mismatches)
	}
	return p, tcp
}

func TestPacketAgainstGopacket(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{0, 1, 1448, 1449} {
			want := sample(v6, n)
			p, tcp := decode(t, AppendPacket(nil, &want))
			if tcp == nil {
				t.Fatal("no TCP layer")
			}
			if Seq(tcp.Seq) != want.Seq || Seq(tcp.Ack) != want.Ack || uint16(tcp.SrcPort) != want.Src.Port() ||
				uint16(tcp.DstPort) != want.Dst.Port() || tcp.Window != want.Window ||
				!tcp.ACK || !tcp.PSH || tcp.SYN || tcp.RST || tcp.FIN || !bytes.Equal(tcp.Payload, want.Payload) {
				t.Errorf("v6 %v, %d bytes: gopacket reads %+v", v6, n, tcp)
			}
			if v6 {
				ip := p.NetworkLayer().(*layers.IPv6)
				if ip.HopLimit != 64 || ip.TrafficClass != 0xb9 || ip.SrcIP.String() != want.Src.Addr().String() {
					t.Errorf("gopacket reads %+v", ip)
				}
				continue
			}
			ip := p.NetworkLayer().(*layers.IPv4)
			if ip.TTL != 64 || ip.TOS != 0xb9 || ip.Flags != layers.IPv4DontFragment || ip.Id != 0 || ip.DstIP.String() != want.Dst.Addr().String() {
				t.Errorf("gopacket reads %+v", ip)
			}
		}
	}
}

// TestParseGopacket reads what gopacket wrote.
func TestParseGopacket(t *testing.T) {
	ip := &layers.IPv4{Version: 4, TTL: 3, Protocol: layers.IPProtocolTCP, SrcIP: v4a.Addr().AsSlice(), DstIP: v4b.Addr().AsSlice(),
		Options: []layers.IPv4Option{{OptionType: 1}}}
	tcp := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 3, Ack: 4, SYN: true, ECE: true, CWR: true, URG: true, Urgent: 9, Window: 5,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}}}}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp, gopacket.Payload("hello")); err != nil {
		t.Fatal(err)
	}
	var s Segment
	if err := s.Parse(buf.Bytes(), false); err != nil {
		t.Fatal(err)
	}
	if s.Src.String() != "10.0.1.1:1" || s.Dst.String() != "10.0.2.1:2" || s.Seq != 3 || s.Ack != 4 || s.TTL != 3 ||
		s.Flags != SYN|ECE|CWR|URG || s.Urgent != 9 || s.Window != 5 || string(s.Payload) != "hello" || s.Options.MSS != 1460 {
		t.Errorf("got %v", &s)
	}
}

func TestParseErrors(t *testing.T) {
	good := sample(false, 10)
	good6 := sample(true, 10)
	v4 := AppendPacket(nil, &good)
	v6 := AppendPacket(nil, &good6)
	ext := func(chain ...byte) []byte { // the IPv6 packet with 8-octet extension headers of these kinds
		b := append([]byte(nil), v6[:40]...)
		length := len(v6) - 40 + 8*len(chain)
		b[4], b[5] = byte(length>>8), byte(length)
		next := append(chain, ProtoTCP)
		b[6] = next[0]
		for i := range chain {
			b = append(b, next[i+1], 0, 1, 4, 0, 0, 0, 0)
		}
		return append(b, v6[40:]...)
	}
	with := func(pkt []byte, at int, v byte, fix bool) []byte {
		b := append([]byte(nil), pkt...)
		b[at] = v
		if fix {
			Finish(b)
		}
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"v4", v4, nil},
		{"v6", v6, nil},
		{"v6 hop-by-hop", ext(ProtoHopByHop), nil},
		{"v6 hop-by-hop and destination options", ext(ProtoHopByHop, ProtoDestOpts), nil},
		{"v6 fragment", ext(ProtoFragment), ErrFragment},
		{"v6 routing header", ext(ProtoRouting), ErrProtocol},
		{"v6 endless headers", ext(0, 0, 0, 0, 0, 0, 0, 0, 0), ErrIPHeader},
		{"nothing", nil, ErrTruncated},
		{"version 5", with(v4, 0, 0x55, false), ErrIPVersion},
		{"v4 header cut", v4[:19], ErrTruncated},
		{"v6 header cut", v6[:39], ErrTruncated},
		{"v4 packet cut", v4[:len(v4)-1], ErrTruncated},
		{"v6 packet cut", v6[:len(v6)-1], ErrTruncated},
		{"v4 header length 16", with(v4, 0, 0x44, false), ErrIPHeader},
		{"v4 total less than header", with(with(v4, 2, 0, false), 3, 19, false), ErrIPHeader},
		{"v4 first fragment", with(v4, 6, 0x20, true), ErrFragment},
		{"v4 later fragment", with(v4, 7, 1, true), ErrFragment},
		{"v4 header checksum", with(v4, 10, v4[10]+1, false), ErrIPChecksum},
		{"v4 UDP", with(v4, 9, ProtoUDP, true), ErrProtocol},
		{"v6 UDP", with(v6, 6, ProtoUDP, false), ErrProtocol},
		{"data offset 4", with(v4, 20+12, 0x40, true), ErrTCPHeader},
		{"data offset over the end", with(AppendPacket(nil, &Segment{Src: v4a, Dst: v4b}), 20+12, 0xf0, true), ErrTruncated},
		{"TCP checksum", with(v4, 20+16, v4[20+16]+1, false), ErrChecksum},
		{"payload", with(v6, len(v6)-1, 0, false), ErrChecksum},
	} {
		var s Segment
		if err := s.Parse(c.b, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	var s Segment
	if err := s.Parse(with(v4, 20+16, v4[20+16]+1, false), true); err != nil {
		t.Errorf("checksum verified elsewhere: %v", err)
	}
	short := AppendPacket(nil, &Segment{Src: v4a, Dst: v4b})
	short[3] = 39 // one octet less than a TCP header
	Finish(short)
	if err := s.Parse(short, true); !errors.Is(err, ErrTruncated) {
		t.Errorf("TCP header cut: %v", err)
	}
}

// TestReset: the two ways to answer (RFC 9293, 3.10.7.1).
func TestReset(t *testing.T) {
	for _, c := range []struct {
		name string
		in   Segment
		rst  *MPTCPRst
		want Segment
	}{
		{"ACK on", Segment{Flags: ACK, Seq: 5, Ack: 9, Payload: []byte("abc")}, nil, Segment{Flags: RST, Seq: 9}},
		{"ACK off", Segment{Flags: SYN, Seq: 5, Ack: 9, Payload: []byte("abc")}, nil, Segment{Flags: RST | ACK, Ack: 9}},
		{"FIN counts", Segment{Flags: FIN, Seq: 0xffffffff}, nil, Segment{Flags: RST | ACK, Ack: 0}},
		{"with reason", Segment{Flags: ACK, Ack: 1}, &MPTCPRst{Reason: RstMPTCP},
			Segment{Flags: RST, Seq: 1, Options: Options{Has: HasMPTCPRst, MPTCPRst: MPTCPRst{Reason: RstMPTCP}}}},
	} {
		c.in.Src, c.in.Dst = v4a, v4b
		c.want.Src, c.want.Dst, c.want.TTL = v4b, v4a, 64
		var s Segment
		if err := s.Parse(AppendReset(nil, &c.in, c.rst), false); err != nil {
			t.Fatal(err)
		}
		if s.String() != c.want.String() {
			t.Errorf("%s: got %v, want %v", c.name, &s, &c.want)
		}
	}
	if b := AppendReset(nil, &Segment{Src: v4a, Dst: v4b, Flags: RST}, nil); b != nil {
		t.Error("a RST was answered")
	}
}

func TestFlow(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := sample(v6, 4)
		pkt := AppendPacket(nil, &s)
		src, dst, ok := FlowOf(pkt)
		if !ok || src != s.Src || dst != s.Dst {
			t.Errorf("FlowOf = %v, %v, %v", src, dst, ok)
		}
		if a, b, ok := Addrs(pkt); !ok || a != s.Src.Addr() || b != s.Dst.Addr() {
			t.Errorf("Addrs = %v, %v, %v", a, b, ok)
		}
		if p, ok := Proto(pkt); !ok || p != ProtoTCP {
			t.Errorf("Proto = %v, %v", p, ok)
		}
	}
	if _, _, ok := FlowOf([]byte{0x45}); ok {
		t.Error("a flow in one octet")
	}
	if _, _, ok := Addrs([]byte{0x45}); ok {
		t.Error("addresses in one octet")
	}
	if _, ok := Proto([]byte{0x15}); ok {
		t.Error("a protocol in one octet")
	}
	s := sample(false, 20)
	pkt := AppendPacket(nil, &s)
	pkt[7] = 1
	if _, _, ok := FlowOf(pkt); ok {
		t.Error("ports in a later fragment")
	}
}

func TestDecrementTTL(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := sample(v6, 3)
		s.TTL = 255
		pkt := AppendPacket(nil, &s)
		for want := 254; want >= 1; want-- {
			if !DecrementTTL(pkt) {
				t.Fatalf("refused at %d", want+1)
			}
			if err := s.Parse(pkt, false); err != nil || int(s.TTL) != want {
				t.Fatalf("TTL %d, want %d: %v", s.TTL, want, err)
			}
		}
		before := string(pkt)
		if DecrementTTL(pkt) || string(pkt) != before {
			t.Error("TTL 1 was forwarded or changed")
		}
	}
	if DecrementTTL(nil) || DecrementTTL([]byte{0x45, 0}) {
		t.Error("no IP packet, yet decremented")
	}
}

func TestAppendHeadersTooManyOptions(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("44 octets of options were accepted")
		}
	}()
	s := sample(false, 0)
	s.Options.DSS.HasChecksum = true
	s.Options.Has |= HasMPPrio
	AppendHeaders(nil, &s, 0)
}

func TestHeaderLen(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		s := Segment{Src: v4a, Dst: v4b}
		if v6 {
			s.Src, s.Dst = v6a, v6b
		}
		if got, want := HeaderLen(v6), len(AppendHeaders(nil, &s, 100)); got != want {
			t.Errorf("HeaderLen(%v) = %d, want %d", v6, got, want)
		}
	}
}

// TestMappedAddress: an IPv4-mapped IPv6 address stays IPv6 on the wire.
func TestMappedAddress(t *testing.T) {
	s := Segment{Src: netip.MustParseAddrPort("[::ffff:10.0.0.1]:1"), Dst: v6b}
	pkt := AppendPacket(nil, &s)
	var got Segment
	if err := got.Parse(pkt, false); err != nil || got.Src != s.Src {
		t.Errorf("got %v, %v", got.Src, err)
	}
}
