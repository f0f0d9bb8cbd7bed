package wire

// Layout says where the parts of a TCP packet begin, in octets from the start of its
// IP header, for those who change packets without writing them anew.
type Layout struct {
	TCP     int // header; its options begin 20 octets later
	Payload int
	End     int // of the packet without link padding
}

// LayoutOf returns the layout of a whole packet; false: it is not TCP, a fragment,
// cut short, or has IPv6 extension headers, which Finish does not expect. No
// checksum is verified.
func LayoutOf(b []byte) (l Layout, ok bool) {
	h, err := parseIP(b, false)
	if err != nil || h.frag || h.proto != ProtoTCP || h.v6 && h.hlen != ipv6HeaderLen || h.hlen+tcpHeaderLen > h.total {
		return l, false
	}
	l = Layout{TCP: h.hlen, Payload: h.hlen + int(b[h.hlen+12]>>4)*4, End: h.total}
	return l, l.Payload >= l.TCP+tcpHeaderLen && l.Payload <= l.End
}

// Options returns the options area of the TCP header of b.
func (l Layout) Options(b []byte) []byte { return b[l.TCP+tcpHeaderLen : l.Payload] }

// FirstOption returns the kind and the length of the option at the front of an
// options area, NOP included; false: there is none, or none that can be read.
func FirstOption(b []byte) (kind byte, n int, ok bool) {
	switch {
	case len(b) == 0 || b[0] == kindEOL:
		return 0, 0, false
	case b[0] == kindNOP:
		return kindNOP, 1, true
	case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
		return 0, 0, false
	}
	return b[0], int(b[1]), true
}
