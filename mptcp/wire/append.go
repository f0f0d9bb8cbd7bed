package wire

import (
	"encoding/binary"
	"net/netip"
)

// AppendHeaders appends the IP header (by the family of s.Src), the TCP header
// and the options of s. The caller appends payloadLen octets of payload and then
// calls Finish on the whole packet: until then no checksum is right. s.Payload
// plays no part. Options that take more than 40 octets are the caller's mistake.
func AppendHeaders(b []byte, s *Segment, payloadLen int) []byte {
	optLen := s.Options.Len()
	if optLen > maxOptionsLen {
		panic("BUG: TCP options of more than 40 octets")
	}
	src, dst := s.Src.Addr(), s.Dst.Addr()
	hlen := tcpHeaderLen + optLen
	b = appendIP(b, src, dst, ProtoTCP, s.TOS, s.TTL, hlen+payloadLen)
	at := len(b)
	b = append(b, zeros[:tcpHeaderLen]...)
	t := b[at:]
	binary.BigEndian.PutUint16(t, s.Src.Port())
	binary.BigEndian.PutUint16(t[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(t[4:], uint32(s.Seq))
	binary.BigEndian.PutUint32(t[8:], uint32(s.Ack))
	t[12] = byte(hlen / 4 << 4)
	t[13] = byte(s.Flags)
	binary.BigEndian.PutUint16(t[14:], s.Window)
	binary.BigEndian.PutUint16(t[18:], s.Urgent)
	return AppendOptions(b, &s.Options)
}

var zeros [tcpHeaderLen]byte

// AppendPacket appends s as a whole packet with s.Payload and right checksums.
func AppendPacket(b []byte, s *Segment) []byte {
	at := len(b)
	b = AppendHeaders(b, s, len(s.Payload))
	b = append(b, s.Payload...)
	Finish(b[at:])
	return b
}

// Finish computes the checksums of a packet that AppendHeaders began: that of
// the IPv4 header and that of TCP. pkt is the packet from its IP header to the
// end of the payload; whatever stood in the checksum fields does not count.
func Finish(pkt []byte) {
	at := ipv6HeaderLen
	if pkt[0]>>4 == 4 {
		at = int(pkt[0]&15) * 4
		pkt[10], pkt[11] = 0, 0
		binary.BigEndian.PutUint16(pkt[10:], Checksum(pkt[:at], 0))
	}
	t := pkt[at:]
	t[16], t[17] = 0, 0
	binary.BigEndian.PutUint16(t[16:], Checksum(t, pseudoSum(pkt, ProtoTCP, len(t))))
}

// AppendReset appends the RST that answers s where no connection takes it, with
// MP_TCPRST if rst is not nil. A RST is not answered: b is returned as it was.
//
// "If the ACK bit is off, sequence number zero is used,
// <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>", "If the ACK bit is on,
// <SEQ=SEG.ACK><CTL=RST>"
// (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1).
func AppendReset(b []byte, s *Segment, rst *MPTCPRst) []byte {
	if s.Flags&RST != 0 {
		return b
	}
	var r Segment
	r.Src, r.Dst = s.Dst, s.Src
	r.TTL = 64
	if s.Flags&ACK != 0 {
		r.Seq, r.Flags = s.Ack, RST
	} else {
		r.Ack, r.Flags = s.Seq.Add(s.Len()), RST|ACK
	}
	if rst != nil {
		r.Options.Has = HasMPTCPRst
		r.Options.MPTCPRst = *rst
	}
	return AppendPacket(b, &r)
}

// Len returns how many octets AppendOptions writes: a multiple of four.
func (o *Options) Len() int {
	n := 0
	if o.Has&(HasMSS|HasSACKPermitted|HasTimestamps|HasWScale|HasSACK|HasFastOpen) != 0 {
		n = o.lenTCP()
	}
	if o.Has&HasMPTCP == 0 {
		return n
	}
	if o.Has&HasDSS != 0 {
		n += o.DSS.Len()
	}
	if o.Has&HasMPCapable != 0 {
		n += o.MPCapable.Len()
	}
	if o.Has&HasMPJoin != 0 {
		n += o.MPJoin.Len()
	}
	if o.Has&HasAddAddr != 0 {
		n += o.AddAddr.Len()
	}
	if o.Has&HasRemoveAddr != 0 {
		n += o.RemoveAddr.Len()
	}
	if o.Has&HasMPPrio != 0 {
		n += MPPrioLen
	}
	if o.Has&HasMPFail != 0 {
		n += MPFailLen
	}
	if o.Has&HasFastClose != 0 {
		n += FastCloseLen
	}
	if o.Has&HasMPTCPRst != 0 {
		n += MPTCPRstLen
	}
	return n
}

// lenTCP is the part of Len that is not MPTCP's.
func (o *Options) lenTCP() int {
	n := 0
	if o.Has&HasMSS != 0 {
		n += 4
	}
	switch {
	case o.Has&HasTimestamps != 0:
		n += TimestampsLen // SACK-permitted takes the place of the padding
	case o.Has&HasSACKPermitted != 0:
		n += 4
	}
	if o.Has&HasWScale != 0 {
		n += 4
	}
	if o.Has&HasSACK != 0 {
		n += SACKLen(o.NumSACK)
	}
	if o.Has&HasFastOpen != 0 {
		n += o.FastOpen.EncodedLen()
	}
	return n
}

// The encoded lengths in octets, with padding, of options of fixed length.
const (
	TimestampsLen = 12
	MPPrioLen     = 4
	MPFailLen     = 12
	FastCloseLen  = 12
	MPTCPRstLen   = 4
)

// SACKLen returns the encoded length of a SACK option with n blocks, with its
// padding; 0 for none.
func SACKLen(n int) int {
	if n == 0 {
		return 0
	}
	return 4 + 8*n
}

// EncodedLen returns the length of the option in octets, with padding.
func (f *FastOpen) EncodedLen() int {
	n := 2 + f.Len
	if f.Exp {
		n += 2
	}
	return (n + 3) &^ 3
}

// Len returns the length of the option in octets, with padding.
func (c *MPCapable) Len() int {
	switch {
	case c.HasDataLen:
		return 24 // with the checksum or two octets of padding
	case c.NumKeys == 2:
		return 20
	case c.NumKeys == 1:
		return 12
	}
	return 4
}

// Len returns the length of the option in octets.
func (j *MPJoin) Len() int {
	switch j.Form {
	case JoinSYN:
		return 12
	case JoinSYNACK:
		return 16
	}
	return 24
}

// Len returns the length of the option in octets, with padding.
func (d *DSS) Len() int {
	n := 4
	if d.HasAck {
		n += 4
		if d.Ack64 {
			n += 4
		}
	}
	if d.HasMap {
		n += 12 // with the checksum or two octets of padding
		if d.DSN64 {
			n += 4
		}
	}
	return n
}

// Len returns the length of the option in octets, with padding.
func (a *AddAddr) Len() int { return (a.len() + 3) &^ 3 }

// len returns the value of the option's length field.
func (a *AddAddr) len() int {
	n := 4 + addrLen(a.Addr)
	if a.Port != 0 {
		n += 2
	}
	if !a.Echo {
		n += 8
	}
	return n
}

func addrLen(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 16
}

// Len returns the length of the option in octets, with padding.
func (r *RemoveAddr) Len() int { return (3 + r.Num + 3) &^ 3 }
