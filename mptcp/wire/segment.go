package wire

import "net/netip"

// Flags are the control bits of a TCP header.
type Flags uint8

// The control bits (RFC 9293, 3.1; RFC 3168 for ECE and CWR).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Segment is a TCP segment with the fields of its IP header that matter to an
// endpoint. Parse fills it from a packet; AppendHeaders writes it.
type Segment struct {
	Src, Dst netip.AddrPort
	TTL      uint8
	TOS      uint8 // DSCP and ECN (RFC 3168)
	Seq, Ack Seq   // as on the wire
	Flags    Flags
	Window   uint16 // as on the wire: not scaled
	Urgent   uint16
	Options  Options
	Payload  []byte // borrowed from the packet
}

// Len returns the length of the segment in sequence space: payload, SYN and FIN.
func (s *Segment) Len() int {
	n := len(s.Payload)
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}
