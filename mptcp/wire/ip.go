package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The protocol numbers that the package knows.
const (
	ProtoHopByHop  = 0
	ProtoICMP      = 1
	ProtoTCP       = 6
	ProtoUDP       = 17
	ProtoRouting   = 43
	ProtoFragment  = 44
	ProtoICMPv6    = 58
	ProtoNoNext    = 59
	ProtoDestOpts  = 60
	ipv4HeaderLen  = 20
	ipv6HeaderLen  = 40
	tcpHeaderLen   = 20
	icmpHeaderLen  = 8
	maxOptionsLen  = 40
	maxExtHeaders  = 8 // more than any sane packet has: a bound on work
	ipv4DontFrag   = 0x4000
	ipv4FragOffset = 0x3fff // MF and the fragment offset
)

// What can be wrong with a packet.
var (
	ErrTruncated  = errors.New("wire: packet is shorter than its headers say")
	ErrIPVersion  = errors.New("wire: neither IPv4 nor IPv6")
	ErrIPHeader   = errors.New("wire: malformed IP header")
	ErrIPChecksum = errors.New("wire: IPv4 header checksum is wrong")
	ErrFragment   = errors.New("wire: packet is a fragment")
	ErrProtocol   = errors.New("wire: packet is of another protocol")
	ErrTCPHeader  = errors.New("wire: malformed TCP header")
	ErrChecksum   = errors.New("wire: transport checksum is wrong")
	ErrICMP       = errors.New("wire: malformed ICMP message")
)

// ipHeader is what parseIP finds out.
type ipHeader struct {
	v6    bool
	frag  bool // a fragment; first tells whether of the first octets
	first bool
	proto uint8
	hlen  int // of the IP header with IPv6 extension headers
	total int // of the packet without link padding
}

// parseIP reads the IP header of b. It does not verify the IPv4 checksum. A
// quoted packet in an ICMP error is cut short: partial tolerates that.
func parseIP(b []byte, partial bool) (h ipHeader, err error) {
	if len(b) < 1 {
		return h, ErrTruncated
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, partial)
	case 6:
		return parseIPv6(b, partial)
	}
	return h, ErrIPVersion
}

func parseIPv4(b []byte, partial bool) (h ipHeader, err error) {
	if len(b) < ipv4HeaderLen {
		return h, ErrTruncated
	}
	h.hlen = int(b[0]&15) * 4
	h.total = int(binary.BigEndian.Uint16(b[2:]))
	if h.hlen < ipv4HeaderLen || h.total < h.hlen {
		return h, ErrIPHeader
	}
	if h.total > len(b) {
		if !partial || h.hlen > len(b) {
			return h, ErrTruncated
		}
		h.total = len(b)
	}
	f := binary.BigEndian.Uint16(b[6:]) & ipv4FragOffset
	h.frag, h.first = f != 0, f&0x1fff == 0
	h.proto = b[9]
	return h, nil
}

func parseIPv6(b []byte, partial bool) (h ipHeader, err error) {
	if len(b) < ipv6HeaderLen {
		return h, ErrTruncated
	}
	h.v6, h.first = true, true
	h.hlen = ipv6HeaderLen
	h.total = ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	if h.total > len(b) {
		if !partial {
			return h, ErrTruncated
		}
		h.total = len(b)
	}
	h.proto = b[6]
	for n := 0; h.proto == ProtoHopByHop || h.proto == ProtoDestOpts || h.proto == ProtoFragment; n++ {
		if n == maxExtHeaders {
			return h, ErrIPHeader
		}
		if h.hlen+8 > h.total {
			return h, ErrTruncated
		}
		ext := b[h.hlen:]
		length := 8
		if h.proto == ProtoFragment {
			h.frag, h.first = true, binary.BigEndian.Uint16(ext[2:])&0xfff8 == 0
			if !h.first { // what follows is payload
				h.proto = ext[0]
				h.hlen += 8
				return h, nil
			}
		} else {
			length += int(ext[1]) * 8
		}
		if h.hlen+length > h.total {
			return h, ErrTruncated
		}
		h.proto = ext[0]
		h.hlen += length
	}
	return h, nil
}

// Proto returns the transport protocol of an IP packet, behind hop-by-hop and
// destination options in IPv6; false: b is no IP packet.
func Proto(b []byte) (proto uint8, ok bool) {
	h, err := parseIP(b, false)
	return h.proto, err == nil
}

// Addrs returns source and destination address of an IP packet; false: b is no
// IP packet.
func Addrs(b []byte) (src, dst netip.Addr, ok bool) {
	switch {
	case len(b) >= ipv4HeaderLen && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), true
	case len(b) >= ipv6HeaderLen && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return src, dst, false
}

// FlowOf returns source and destination of a TCP or UDP packet with their ports;
// false: it has none (another protocol, a later fragment, cut short).
func FlowOf(b []byte) (src, dst netip.AddrPort, ok bool) {
	src, dst, _, ok = flowOf(b, false)
	return src, dst, ok
}

// flowOf is FlowOf, also for a quoted packet that is cut short.
func flowOf(b []byte, partial bool) (src, dst netip.AddrPort, h ipHeader, ok bool) {
	h, err := parseIP(b, partial)
	if err != nil || !h.first || (h.proto != ProtoTCP && h.proto != ProtoUDP) || h.hlen+4 > h.total {
		return src, dst, h, false
	}
	s, d, _ := Addrs(b)
	l4 := b[h.hlen:]
	return netip.AddrPortFrom(s, binary.BigEndian.Uint16(l4)),
		netip.AddrPortFrom(d, binary.BigEndian.Uint16(l4[2:])), h, true
}

// DecrementTTL takes one off the TTL or hop limit of an IP packet as a router
// does, and keeps the IPv4 header checksum right (RFC 1624). It returns false,
// and changes nothing, if the packet has reached its end or is no IP packet.
func DecrementTTL(b []byte) bool {
	switch {
	case len(b) >= ipv4HeaderLen && b[0]>>4 == 4:
		if b[8] <= 1 {
			return false
		}
		old := binary.BigEndian.Uint16(b[8:])
		b[8]--
		c := replaceWord(binary.BigEndian.Uint16(b[10:]), old, old-0x100)
		binary.BigEndian.PutUint16(b[10:], c)
		return true
	case len(b) >= ipv6HeaderLen && b[0]>>4 == 6:
		if b[7] <= 1 {
			return false
		}
		b[7]--
		return true
	}
	return false
}

// pseudoSum sums the pseudo-header of TCP and UDP over IPv4 (RFC 9293, 3.1) or
// of any protocol over IPv6 (RFC 8200, 8.1). b starts with the IP header.
func pseudoSum(b []byte, proto uint8, length int) uint32 {
	init := uint32(length>>16) + uint32(length&0xffff) + uint32(proto)
	if b[0]>>4 == 4 {
		return Sum(b[12:20], init)
	}
	return Sum(b[8:40], init)
}

// appendIP appends an IP header for length octets of proto. IPv4: DF is set and
// the identification 0, which is fit for atomic datagrams (RFC 6864, 4.1); the
// checksum is left to Finish.
func appendIP(b []byte, src, dst netip.Addr, proto, tos, ttl uint8, length int) []byte {
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		total := ipv4HeaderLen + length
		return append(b, 0x45, tos, byte(total>>8), byte(total),
			0, 0, ipv4DontFrag>>8, 0,
			ttl, proto, 0, 0,
			s[0], s[1], s[2], s[3],
			d[0], d[1], d[2], d[3])
	}
	s, d := src.As16(), dst.As16()
	b = append(b, 0x60|tos>>4, tos<<4, 0, 0, byte(length>>8), byte(length), proto, ttl)
	b = append(b, s[:]...)
	return append(b, d[:]...)
}

// HeaderLen returns the length in octets of IP and TCP header without options.
func HeaderLen(v6 bool) int {
	if v6 {
		return ipv6HeaderLen + tcpHeaderLen
	}
	return ipv4HeaderLen + tcpHeaderLen
}
