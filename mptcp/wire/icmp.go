package wire

import (
	"encoding/binary"
	"net/netip"
)

// ICMPKind is what an ICMP message means, the same for both IP versions.
type ICMPKind uint8

// The kinds that the package knows; other messages parse as ICMPOther.
const (
	ICMPOther ICMPKind = iota
	ICMPEchoRequest
	ICMPEchoReply
	ICMPNetUnreachable
	ICMPHostUnreachable
	ICMPProtocolUnreachable
	ICMPPortUnreachable
	ICMPProhibited // administratively
	ICMPTooBig     // fragmentation needed, or packet too big: MTU
	ICMPTimeExceeded
)

// The types of ICMP (RFC 792) and ICMPv6 (RFC 4443).
const (
	icmp4EchoReply    = 0
	icmp4Unreachable  = 3
	icmp4Echo         = 8
	icmp4TimeExceeded = 11
	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Echo         = 128
	icmp6EchoReply    = 129
)

// ICMP is an ICMP message with what it says of the packet that caused it.
type ICMP struct {
	Src, Dst   netip.Addr
	Kind       ICMPKind
	Type, Code uint8
	MTU        int // of ICMPTooBig, in octets; 0: the router did not say (RFC 1191, 5)

	// The quoted packet, if HasQuote: its ends with ports, and for TCP the
	// sequence number as on the wire.
	HasQuote           bool
	QuoteProto         uint8
	QuoteSrc, QuoteDst netip.AddrPort
	QuoteSeq           Seq

	// Of an echo.
	ID, EchoSeq uint16
	Payload     []byte // borrowed from the packet
}

// Parse fills m from a whole IP packet that holds ICMP or ICMPv6. It fails with
// the errors of Segment.Parse or ErrICMP.
func (m *ICMP) Parse(b []byte) error {
	h, err := parseIP(b, false)
	if err != nil {
		return err
	}
	if h.frag {
		return ErrFragment
	}
	if !h.v6 && Checksum(b[:h.hlen], 0) != 0 {
		return ErrIPChecksum
	}
	if h.proto != ProtoICMP && h.proto != ProtoICMPv6 || h.v6 != (h.proto == ProtoICMPv6) {
		return ErrProtocol
	}
	t := b[h.hlen:h.total]
	if len(t) < icmpHeaderLen {
		return ErrTruncated
	}
	var init uint32
	if h.v6 {
		init = pseudoSum(b, ProtoICMPv6, len(t))
	}
	if Checksum(t, init) != 0 {
		return ErrChecksum
	}
	*m = ICMP{Type: t[0], Code: t[1]}
	m.Src, m.Dst, _ = Addrs(b)
	m.Kind = icmpKind(h.v6, m.Type, m.Code)
	switch m.Kind {
	case ICMPOther:
		return nil
	case ICMPEchoRequest, ICMPEchoReply:
		m.ID = binary.BigEndian.Uint16(t[4:])
		m.EchoSeq = binary.BigEndian.Uint16(t[6:])
		m.Payload = t[icmpHeaderLen:]
		return nil
	case ICMPTooBig:
		m.MTU = int(binary.BigEndian.Uint16(t[6:]))
		if h.v6 {
			m.MTU = int(binary.BigEndian.Uint32(t[4:]))
		}
	}
	return m.quote(h.v6, t[icmpHeaderLen:])
}

// quote reads the packet that an error quotes.
func (m *ICMP) quote(v6 bool, q []byte) error {
	src, dst, h, ok := flowOf(q, true)
	if h.v6 != v6 {
		return ErrICMP
	}
	if !ok {
		return nil
	}
	m.QuoteProto, m.QuoteSrc, m.QuoteDst, m.HasQuote = h.proto, src, dst, true
	if h.proto == ProtoTCP {
		// "the first 64 bits of the original datagram's data" are the least.
		if h.hlen+8 > h.total {
			m.HasQuote = false
			return nil
		}
		m.QuoteSeq = Seq(binary.BigEndian.Uint32(q[h.hlen+4:]))
	}
	return nil
}

// icmpKind translates type and code.
func icmpKind(v6 bool, typ, code uint8) ICMPKind {
	for i := range icmpKinds {
		k := &icmpKinds[i]
		if k.v6 == v6 && k.typ == typ && (k.code == int(code) || k.code < 0) {
			return k.kind
		}
	}
	return ICMPOther
}

// icmpKinds lists types and codes; of several for one kind the first is what
// Append writes. Code -1 is any.
var icmpKinds = [...]struct {
	kind ICMPKind
	v6   bool
	typ  uint8
	code int
}{
	{ICMPEchoRequest, false, icmp4Echo, 0},
	{ICMPEchoReply, false, icmp4EchoReply, 0},
	{ICMPNetUnreachable, false, icmp4Unreachable, 0},
	{ICMPHostUnreachable, false, icmp4Unreachable, 1},
	{ICMPProtocolUnreachable, false, icmp4Unreachable, 2},
	{ICMPPortUnreachable, false, icmp4Unreachable, 3},
	{ICMPTooBig, false, icmp4Unreachable, 4},
	{ICMPProhibited, false, icmp4Unreachable, 13},
	{ICMPProhibited, false, icmp4Unreachable, 9},
	{ICMPProhibited, false, icmp4Unreachable, 10},
	{ICMPHostUnreachable, false, icmp4Unreachable, -1},
	{ICMPTimeExceeded, false, icmp4TimeExceeded, 0},
	{ICMPTimeExceeded, false, icmp4TimeExceeded, -1},

	{ICMPEchoRequest, true, icmp6Echo, 0},
	{ICMPEchoReply, true, icmp6EchoReply, 0},
	{ICMPNetUnreachable, true, icmp6Unreachable, 0},
	{ICMPProhibited, true, icmp6Unreachable, 1},
	{ICMPHostUnreachable, true, icmp6Unreachable, 3},
	{ICMPPortUnreachable, true, icmp6Unreachable, 4},
	{ICMPHostUnreachable, true, icmp6Unreachable, -1},
	{ICMPTooBig, true, icmp6TooBig, 0},
	{ICMPTimeExceeded, true, icmp6TimeExceeded, 0},
	{ICMPTimeExceeded, true, icmp6TimeExceeded, -1},
	{ICMPProtocolUnreachable, true, 4, 1}, // parameter problem: unrecognized next header
}

// AppendICMPError appends the error of the given kind about packet, sent by src,
// with mtu for ICMPTooBig. It returns b as it was where no error may be sent:
// about an ICMP error, a later fragment, or a packet to or from a multicast,
// broadcast or unspecified address (RFC 1122, 3.2.2; RFC 4443, 2.4).
func AppendICMPError(b []byte, src netip.Addr, kind ICMPKind, mtu int, packet []byte) []byte {
	h, err := parseIP(packet, true)
	if err != nil || !h.first || !mayAnswer(packet, h) || src.Is4() == h.v6 {
		return b
	}
	typ, code, ok := icmpCode(h.v6, kind)
	if !ok {
		return b
	}
	// As much of the packet as fits into the least MTU: 576 (RFC 1812, 4.3.2.3)
	// or 1,280 octets (RFC 4443, 3.1).
	room := 576 - ipv4HeaderLen - icmpHeaderLen
	if h.v6 {
		room = 1280 - ipv6HeaderLen - icmpHeaderLen
	}
	quote := packet[:min(h.total, room)]
	var rest [4]byte
	switch {
	case kind == ICMPTooBig && h.v6:
		binary.BigEndian.PutUint32(rest[:], uint32(mtu))
	case kind == ICMPTooBig:
		binary.BigEndian.PutUint16(rest[2:], uint16(mtu)) // RFC 1191, 4
	}
	_, dst := addrPair(packet)
	return appendICMP(b, src, dst, typ, code, rest, quote)
}

// AppendEchoReply appends the answer to an echo request; req is the whole packet.
// b is returned as it was if req is none.
func AppendEchoReply(b []byte, req []byte) []byte {
	var m ICMP
	if m.Parse(req) != nil || m.Kind != ICMPEchoRequest || m.Dst.IsMulticast() {
		return b
	}
	typ, code, _ := icmpCode(m.Dst.Is6(), ICMPEchoReply)
	var rest [4]byte
	binary.BigEndian.PutUint16(rest[:], m.ID)
	binary.BigEndian.PutUint16(rest[2:], m.EchoSeq)
	return appendICMP(b, m.Dst, m.Src, typ, code, rest, m.Payload)
}

// addrPair returns destination and source, as an answer needs them.
func addrPair(packet []byte) (dst, src netip.Addr) {
	src, dst, _ = Addrs(packet)
	return dst, src
}

// mayAnswer reports whether an ICMP error about packet is allowed.
func mayAnswer(packet []byte, h ipHeader) bool {
	src, dst, ok := Addrs(packet)
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if !ok || src.IsUnspecified() || src.IsMulticast() || dst.IsMulticast() || dst == broadcast || src == broadcast {
		return false
	}
	if h.proto != ProtoICMP && h.proto != ProtoICMPv6 {
		return true
	}
	if h.hlen+2 > h.total {
		return false
	}
	switch icmpKind(h.v6, packet[h.hlen], packet[h.hlen+1]) {
	case ICMPEchoRequest, ICMPEchoReply:
		return true
	}
	return false
}

func icmpCode(v6 bool, kind ICMPKind) (typ, code uint8, ok bool) {
	for i := range icmpKinds {
		if k := &icmpKinds[i]; k.v6 == v6 && k.kind == kind {
			return k.typ, uint8(k.code), true
		}
	}
	return 0, 0, false
}

// appendICMP appends a whole packet; rest is the second word of the ICMP header.
func appendICMP(b []byte, src, dst netip.Addr, typ, code uint8, rest [4]byte, body []byte) []byte {
	proto := uint8(ProtoICMP)
	if src.Is6() {
		proto = ProtoICMPv6
	}
	at := len(b)
	b = appendIP(b, src, dst, proto, 0, 64, icmpHeaderLen+len(body))
	l4 := len(b)
	b = append(b, typ, code, 0, 0)
	b = append(b, rest[:]...)
	b = append(b, body...)
	t := b[l4:]
	var init uint32
	if src.Is6() {
		init = pseudoSum(b[at:], proto, len(t))
	} else {
		binary.BigEndian.PutUint16(b[at+10:], Checksum(b[at:l4], 0))
	}
	binary.BigEndian.PutUint16(t[2:], Checksum(t, init))
	return b
}
