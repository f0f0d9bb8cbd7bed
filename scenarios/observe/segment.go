package observe

import (
	"encoding/binary"
	"net/netip"

	"mptcplab/mptcp/wire"
)

// segment is what the observer reads of a TCP packet.
type segment struct {
	src, dst netip.AddrPort
	seq, ack wire.Seq
	flags    wire.Flags
	n        int // payload bytes, as the IP header says
	opt      wire.Options
}

// The outcomes of parse.
type outcome uint8

const (
	isTCP outcome = iota
	notTCP
	malformed
)

// parse reads an IP packet that may be cut short behind the TCP header, as
// captures are, and whose checksum may not be filled in yet: unlike
// wire.Segment.Parse it takes lengths from the headers and trusts them.
func (s *segment) parse(b []byte) outcome {
	if len(b) < 20 {
		return malformed
	}
	var tcp []byte
	var n int // octets behind the IP header
	switch b[0] >> 4 {
	case 4:
		hlen, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if b[9] != wire.ProtoTCP || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return notTCP
		}
		if hlen < 20 || hlen > len(b) || total < hlen {
			return malformed
		}
		tcp, n = b[hlen:], total-hlen
	case 6:
		if len(b) < 40 {
			return malformed
		}
		next, n6, rest, ok := skipExtensions(b[6], int(binary.BigEndian.Uint16(b[4:])), b[40:])
		if !ok {
			return malformed
		}
		if next != wire.ProtoTCP {
			return notTCP
		}
		tcp, n = rest, n6
	default:
		return notTCP
	}
	if len(tcp) < 20 {
		return malformed
	}
	off := int(tcp[12]>>4) * 4
	if off < 20 || off > len(tcp) || off > n {
		return malformed
	}
	src, dst, _ := wire.Addrs(b)
	s.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp))
	s.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:]))
	s.seq = wire.Seq(binary.BigEndian.Uint32(tcp[4:]))
	s.ack = wire.Seq(binary.BigEndian.Uint32(tcp[8:]))
	s.flags = wire.Flags(tcp[13])
	s.n = n - off
	wire.ParseOptions(tcp[20:off], &s.opt)
	return isTCP
}

// skipExtensions steps over hop-by-hop and destination options.
func skipExtensions(next uint8, n int, b []byte) (uint8, int, []byte, bool) {
	for next == wire.ProtoHopByHop || next == wire.ProtoDestOpts {
		if len(b) < 8 {
			return 0, 0, nil, false
		}
		l := 8 + int(b[1])*8
		if l > len(b) || l > n {
			return 0, 0, nil, false
		}
		next, n, b = b[0], n-l, b[l:]
	}
	return next, n, b, true
}
