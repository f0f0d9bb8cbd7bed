package wire

import (
	"encoding/binary"
	"net/netip"
)

// Ends returns what a translator of addresses tells flows apart by: the ends of a
// TCP or UDP packet, or of an ICMP echo, whose identifier stands for the port of
// the end that asked (RFC 5508, 3.1). The packet may be one that an ICMP error
// quotes, cut short. False: it has no such ends.
func Ends(b []byte) (proto uint8, src, dst netip.AddrPort, ok bool) {
	src, dst, h, ok := flowOf(b, true)
	if ok || !h.first || h.proto != ProtoICMP || h.hlen+icmpHeaderLen > h.total {
		return h.proto, src, dst, ok
	}
	s, d, _ := Addrs(b)
	id := binary.BigEndian.Uint16(b[h.hlen+4:])
	switch b[h.hlen] {
	case icmp4Echo:
		return ProtoICMP, netip.AddrPortFrom(s, id), netip.AddrPortFrom(d, 0), true
	case icmp4EchoReply:
		return ProtoICMP, netip.AddrPortFrom(s, 0), netip.AddrPortFrom(d, id), true
	}
	return h.proto, src, dst, false
}

// Quoted returns the packet that an ICMP error quotes, within b; nil: b is no
// ICMP error for IPv4.
func Quoted(b []byte) []byte {
	h, err := parseIP(b, true)
	if err != nil || h.v6 || !h.first || h.proto != ProtoICMP || h.hlen+icmpHeaderLen+ipv4HeaderLen > h.total {
		return nil
	}
	switch b[h.hlen] {
	case icmp4Unreachable, icmp4TimeExceeded, 4, 12: // source quench, parameter problem
		return b[h.hlen+icmpHeaderLen : h.total]
	}
	return nil
}

// Readdress replaces the source of an IPv4 packet, or its destination: the address
// and, where the packet has one at that end, the port or identifier of Ends. It
// keeps the checksums right as RFC 1624 says, also in a packet that is cut short
// behind its ports.
func Readdress(b []byte, source bool, to netip.AddrPort) {
	h, err := parseIP(b, true)
	if err != nil || h.v6 || !to.Addr().Is4() {
		return
	}
	at, port := 16, 2
	if source {
		at, port = 12, 0
	}
	csum, pseudo := 0, true // where the transport's checksum is
	switch {
	case !h.first:
	case h.proto == ProtoTCP:
		csum = h.hlen + 16
	case h.proto == ProtoUDP:
		csum = h.hlen + 6
	case h.proto == ProtoICMP && h.hlen+icmpHeaderLen <= h.total:
		asks, answers := b[h.hlen] == icmp4Echo, b[h.hlen] == icmp4EchoReply
		if asks && source || answers && !source {
			csum, port, pseudo = h.hlen+2, 4, false
		}
	}
	addr := to.Addr().As4()
	for k := 0; k < 4; k += 2 {
		was, is := binary.BigEndian.Uint16(b[at+k:]), binary.BigEndian.Uint16(addr[k:])
		binary.BigEndian.PutUint16(b[at+k:], is)
		update(b[:h.hlen], 10, was, is)
		if csum > 0 && pseudo {
			updateTransport(b[:h.total], csum, h.proto, was, is)
		}
	}
	if csum > 0 && h.hlen+port+2 <= h.total {
		was, is := binary.BigEndian.Uint16(b[h.hlen+port:]), to.Port()
		binary.BigEndian.PutUint16(b[h.hlen+port:], is)
		updateTransport(b[:h.total], csum, h.proto, was, is)
	}
}

// update keeps the checksum at an offset right for a word that changed.
func update(b []byte, at int, was, is uint16) {
	binary.BigEndian.PutUint16(b[at:], replaceWord(binary.BigEndian.Uint16(b[at:]), was, is))
}

// updateTransport does so for a transport's checksum, if the packet has it. "If
// the computed checksum is zero, it is transmitted as all ones", "An all zero
// transmitted checksum value means that the transmitter generated no checksum"
// (RFC 768).
func updateTransport(b []byte, at int, proto uint8, was, is uint16) {
	if at+2 > len(b) || proto == ProtoUDP && b[at] == 0 && b[at+1] == 0 {
		return
	}
	update(b, at, was, is)
	if proto == ProtoUDP && b[at] == 0 && b[at+1] == 0 {
		b[at], b[at+1] = 0xff, 0xff
	}
}

// FinishICMP computes the checksum of an ICMP message in an IPv4 packet anew.
func FinishICMP(b []byte) {
	h, err := parseIP(b, true)
	if err != nil || h.v6 || h.hlen+icmpHeaderLen > h.total {
		return
	}
	t := b[h.hlen:h.total]
	t[2], t[3] = 0, 0
	binary.BigEndian.PutUint16(t[2:], Checksum(t, 0))
}
