package tcp

import "mptcplab/mptcp/wire"

// ECNMode is net.ipv4.tcp_ecn.
type ECNMode int8

// The modes; their zero value is Linux's default, tcp_ecn=2.
const (
	ECNOnRequest ECNMode = iota // as server, if the peer asks
	ECNOff                      // tcp_ecn=0
	ECNOn                       // tcp_ecn=1: asked for, too
)

// The ECN field of the IP header (RFC 3168, 5).
const (
	ecnMask = 3
	ect0    = 2
	ecnCE   = 3
)

// ecnState is the state of explicit congestion notification (RFC 3168, 6.1).
type ecnState struct {
	ok        bool // negotiated; asked for, before the peer has answered
	seen      bool // the peer's packets were ECN-capable
	demandCWR bool // CE has come: ECE until the peer says CWR
	queueCWR  bool // cwnd was reduced: the next new data says CWR
}

// ecnOfSYN returns the flags that our SYN or SYN/ACK negotiates ECN with.
//
// "an ECN-setup SYN packet [has] both ECE and CWR set in the SYN"; "an ECN-setup
// SYN-ACK packet [has] only the ECE flag set"
// (https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1). A SYN that goes out
// again asks no more: "a host that receives no reply to an ECN-setup SYN within
// the normal SYN retransmission timeout interval MAY resend the SYN and any
// subsequent SYN retransmissions with CWR and ECE cleared" (6.1.1.1).
func (c *Conn) ecnOfSYN() wire.Flags {
	switch {
	case !c.ecn.ok:
	case c.state == StateSYNReceived:
		return wire.ECE
	case c.synRetransmits == 0:
		return wire.ECE | wire.CWR
	}
	return 0
}

// takeECN takes from the peer's SYN or SYN/ACK whether ECN is used.
//
// "If a host has received an ECN-setup SYN packet, then it MAY send an ECN-setup
// SYN-ACK packet. Otherwise, it MUST NOT" (6.1.1). A SYN that is itself
// ECN-capable has passed something that sets bits at will: no ECN, as in Linux.
func (c *Conn) takeECN(s *wire.Segment) {
	asked := s.Flags & (wire.ECE | wire.CWR)
	switch {
	case s.Flags&wire.ACK != 0:
		c.ecn.ok = c.ecn.ok && asked == wire.ECE
	case c.passive:
		c.ecn.ok = c.cfg.ECN != ECNOff && asked == wire.ECE|wire.CWR && s.TOS&ecnMask == 0
	default:
		c.ecn.ok = c.ecn.ok && asked == wire.ECE|wire.CWR
	}
}

// ecnOfData returns CWR for the first new data after a reduction of cwnd: "When an
// ECN-Capable TCP sender reduces its congestion window for any reason [...] the
// TCP sender sets the CWR flag in the TCP header of the first new data packet sent
// after the window reduction" (6.1.2).
func (c *Conn) ecnOfData() wire.Flags {
	if !c.ecn.queueCWR {
		return 0
	}
	c.ecn.queueCWR = false
	return wire.CWR
}

// markECN writes what every other segment says: ECE while the peer has not
// answered it, and ECT(0) in the IP header of new data. "ECN-capable TCP
// implementations MUST NOT set either ECT codepoint [...] for retransmitted data
// packets" (6.1.5), nor for pure ACKs (6.1.4).
func (c *Conn) markECN(s *wire.Segment, ssn wire.Seq, n int) {
	if !c.ecn.ok || s.Flags&(wire.SYN|wire.RST) != 0 {
		return
	}
	if n > 0 && !ssn.Less(c.sndNxt) {
		s.TOS |= ect0
	}
	if c.ecn.demandCWR {
		s.Flags |= wire.ECE
	}
}

// queueCWR is called at every reduction of cwnd.
func (c *Conn) queueCWR() { c.ecn.queueCWR = c.ecn.ok }

// receiveECN looks at the marks of a segment with payload.
//
// "To provide robustness against the possibility of a dropped ACK packet carrying
// an ECN-Echo flag, the TCP receiver sets the ECN-Echo flag in a series of ACK
// packets sent subsequently. The TCP receiver uses the CWR flag received from the
// TCP sender to determine when to stop" (6.1.3).
func (c *Conn) receiveECN(s *wire.Segment) {
	if !c.ecn.ok {
		return
	}
	if s.Flags&wire.CWR != 0 {
		c.ecn.demandCWR = false
		c.ackNow = true // the peer's window may be tiny
	}
	switch s.TOS & ecnMask {
	case 0:
		if c.ecn.seen {
			c.enterQuickACK(2) // probably a retransmission
		}
		return
	case ecnCE:
		if !c.ecn.demandCWR {
			c.ecn.demandCWR = true
			c.enterQuickACK(2)
		}
	}
	c.ecn.seen = true
}
