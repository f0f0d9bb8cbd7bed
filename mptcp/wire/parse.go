package wire

import (
	"encoding/binary"
	"net/netip"
)

// Parse fills s from a whole IPv4 or IPv6 packet that holds TCP. It verifies the
// IP header, all lengths and, unless csumOK says that a device has done so, the
// TCP checksum. Octets behind the end of the IP packet are link padding.
// s.Payload borrows from b. Of s.Options only what Has names is meaningful.
//
// It fails with ErrTruncated, ErrIPVersion, ErrIPHeader, ErrIPChecksum,
// ErrFragment, ErrProtocol, ErrTCPHeader or ErrChecksum. Malformed options are
// not an error: see ParseOptions.
func (s *Segment) Parse(b []byte, csumOK bool) error {
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
	if h.proto != ProtoTCP {
		return ErrProtocol
	}
	t := b[h.hlen:h.total]
	if len(t) < tcpHeaderLen {
		return ErrTruncated
	}
	off := int(t[12]>>4) * 4
	if off < tcpHeaderLen {
		return ErrTCPHeader
	}
	if off > len(t) {
		return ErrTruncated
	}
	if !csumOK && Checksum(t, pseudoSum(b, ProtoTCP, len(t))) != 0 {
		return ErrChecksum
	}
	src, dst, _ := Addrs(b)
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(t))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(t[2:]))
	if h.v6 {
		s.TTL, s.TOS = b[7], b[0]<<4|b[1]>>4
	} else {
		s.TTL, s.TOS = b[8], b[1]
	}
	s.Seq = Seq(binary.BigEndian.Uint32(t[4:]))
	s.Ack = Seq(binary.BigEndian.Uint32(t[8:]))
	s.Flags = Flags(t[13])
	s.Window = binary.BigEndian.Uint16(t[14:])
	s.Urgent = binary.BigEndian.Uint16(t[18:])
	s.Payload = t[off:]
	ParseOptions(t[tcpHeaderLen:off], &s.Options)
	return nil
}

// The kinds of TCP options.
const (
	kindEOL           = 0
	kindNOP           = 1
	kindMSS           = 2
	kindWScale        = 3
	kindSACKPermitted = 4
	kindSACK          = 5
	kindTimestamps    = 8
	kindMPTCP         = 30
	kindFastOpen      = 34
	kindExperimental  = 254
	fastOpenMagic     = 0xF989 // RFC 7413, 4.1.1
)

// ParseOptions reads the options area of a TCP header into o. It does as Linux
// does: an option whose length is less than two or runs out of the area ends the
// parsing, a known kind with a length not its own and an unknown kind are
// skipped, the last of several of one kind counts. Whether an option may stand
// on a segment with these flags is the reader's to judge.
//
// A malformed MPTCP option is skipped, too, and HasMalformedMPTCP tells of it.
func ParseOptions(b []byte, o *Options) {
	o.Has = 0
	o.NumSACK = 0
	// The layout of nearly all segments, RFC 7323, appendix A.
	if len(b) >= 12 && binary.BigEndian.Uint32(b) == 0x0101080a {
		o.timestamps(b[4:12])
		b = b[12:]
	}
	for len(b) > 0 {
		switch b[0] {
		case kindEOL:
			return
		case kindNOP:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			return
		}
		n := int(b[1])
		if n < 2 || n > len(b) {
			return
		}
		o.parse(b[0], b[2:n])
		b = b[n:]
	}
}

func (o *Options) timestamps(v []byte) {
	o.TSVal = binary.BigEndian.Uint32(v)
	o.TSEcr = binary.BigEndian.Uint32(v[4:])
	o.Has |= HasTimestamps
}

// parse reads one option; v is what follows kind and length.
func (o *Options) parse(kind byte, v []byte) {
	switch kind {
	case kindMPTCP:
		o.parseMPTCP(v)
	case kindTimestamps:
		if len(v) == 8 {
			o.timestamps(v)
		}
	case kindSACK:
		if n := len(v) / 8; n >= 1 && n <= len(o.SACK) && len(v)%8 == 0 {
			for i := range n {
				o.SACK[i] = SACKBlock{
					Left:  Seq(binary.BigEndian.Uint32(v[8*i:])),
					Right: Seq(binary.BigEndian.Uint32(v[8*i+4:])),
				}
			}
			o.NumSACK = n
			o.Has |= HasSACK
		}
	case kindMSS:
		if len(v) == 2 {
			o.MSS = binary.BigEndian.Uint16(v)
			o.Has |= HasMSS
		}
	case kindWScale:
		if len(v) == 1 {
			o.WScale = v[0]
			o.Has |= HasWScale
		}
	case kindSACKPermitted:
		if len(v) == 0 {
			o.Has |= HasSACKPermitted
		}
	case kindFastOpen:
		o.fastOpen(v, false)
	case kindExperimental:
		if len(v) >= 2 && binary.BigEndian.Uint16(v) == fastOpenMagic {
			o.fastOpen(v[2:], true)
		}
	}
}

// fastOpen reads a cookie, or the wish for one.
//
// "Cookie: 0, or 4 to 16 bytes", "The number MUST be even"
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.1.1).
func (o *Options) fastOpen(v []byte, exp bool) {
	if len(v)%2 != 0 || len(v) > 16 || (len(v) != 0 && len(v) < 4) {
		return
	}
	o.FastOpen = FastOpen{Len: len(v), Exp: exp}
	copy(o.FastOpen.Cookie[:], v)
	o.Has |= HasFastOpen
}
