package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// inputTCP hands a TCP segment to its subflow, to a listener, or answers RST.
func (s *Stack) inputTCP(now clock.Instant, m machine.Meta, data []byte) {
	seg := &s.seg
	if err := seg.Parse(data, m.CsumOK); err != nil {
		s.drop(now, err.Error())
		return
	}
	if !s.owns(seg.Dst.Addr()) {
		s.drop(now, "not our address")
		return
	}
	if sf := s.flows[flowKey{seg.Dst, seg.Src}]; sf != nil && !s.reuse(sf, seg) {
		sf.segment(now, seg)
		s.touch(sf.conn)
		return
	}
	switch {
	case seg.Flags&(wire.SYN|wire.ACK|wire.RST|wire.FIN) == wire.SYN:
		s.inputSYN(now, seg)
	case seg.Flags&wire.RST != 0:
	case seg.Flags&wire.ACK == 0 && s.listener(seg.Dst) != nil:
		// "Any other control or data-bearing segment (not containing SYN) must have an
		// ACK and thus would have been discarded by the ACK processing in the second
		// step" (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2).
		s.drop(now, "no flags for a listener")
	default:
		s.reset(seg, nil)
	}
}

// reuse reports whether a SYN may take the place of a connection in TIME-WAIT: its
// sequence number is larger than what that one has received (RFC 9293, 3.6.1).
func (s *Stack) reuse(sf *subflow, seg *wire.Segment) bool {
	if sf.tcp.State() != tcp.StateTimeWait || seg.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.SYN {
		return false
	}
	if !sf.tcp.IRS().Add(int(sf.tcp.RcvNxt())).Less(seg.Seq) {
		return false
	}
	sf.release("time-wait reused")
	s.touch(sf.conn)
	return true
}

// inputSYN opens a connection or a subflow.
//
// "Demultiplexing subflow SYNs MUST be done using the token; this is unlike
// traditional TCP, where the destination port is used for demultiplexing SYN
// packets." (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (s *Stack) inputSYN(now clock.Instant, seg *wire.Segment) {
	if seg.Options.Has&wire.HasMPJoin != 0 && seg.Options.MPJoin.Form == wire.JoinSYN {
		s.inputJoin(now, seg)
		return
	}
	l := s.listener(seg.Dst)
	if l == nil {
		s.reset(seg, nil)
		return
	}
	if l.joinsOnly {
		// As Linux (subflow_reset_req_endp): such a port is for joins alone.
		if seg.Options.Has&wire.HasMPCapable != 0 {
			s.counters.MPTcpExtMPCapableSYNRX++
		}
		s.counters.MPTcpExtMPCapableEndpAttempt++
		s.reset(seg, &wire.MPTCPRst{Reason: wire.RstProhibited})
		return
	}
	l.open(now, seg)
}

// reset answers a segment that nobody wants with RST; why, if not nil, goes along
// as MP_TCPRST.
func (s *Stack) reset(seg *wire.Segment, why *wire.MPTCPRst) {
	if why != nil {
		s.counters.MPTcpExtMPRstTx++
	}
	s.answer(seg.Dst.Addr(), seg.Src.Addr(), func(b []byte) []byte { return wire.AppendReset(b, seg, why) })
}

// inputICMP answers echo requests and hands errors to the connection they quote.
func (s *Stack) inputICMP(now clock.Instant, data []byte) {
	if err := s.icmp.Parse(data); err != nil {
		s.drop(now, err.Error())
		return
	}
	if !s.owns(s.icmp.Dst) {
		s.drop(now, "not our address")
		return
	}
	if s.icmp.Kind == wire.ICMPEchoRequest {
		s.answer(s.icmp.Dst, s.icmp.Src, func(b []byte) []byte { return wire.AppendEchoReply(b, data) })
		return
	}
	if !s.icmp.HasQuote || s.icmp.QuoteProto != wire.ProtoTCP {
		return
	}
	if sf := s.flows[flowKey{s.icmp.QuoteSrc, s.icmp.QuoteDst}]; sf != nil {
		sf.tcp.ICMP(now, &s.icmp)
		s.touch(sf.conn)
	}
}

// listener returns who listens at a: exactly there, or at any address.
func (s *Stack) listener(a netip.AddrPort) *Listener {
	if l := s.listeners[a]; l != nil {
		return l
	}
	any := netip.IPv6Unspecified()
	if a.Addr().Is4() {
		any = netip.IPv4Unspecified()
		if l := s.listeners[netip.AddrPortFrom(any, a.Port())]; l != nil {
			return l
		}
		any = netip.IPv6Unspecified() // a dual-stack socket
	}
	return s.listeners[netip.AddrPortFrom(any, a.Port())]
}

// The range of ephemeral ports, net.ipv4.ip_local_port_range.
const (
	portLow  = 32768
	portHigh = 60999
)

// ephemeral returns a port that is free for a connection from a to remote,
// starting anywhere in the range (RFC 6056, algorithm 1). "an implementation SHOULD
// reserve ephemeral ports across all local IP addresses", so that subflows can use the
// same (https://www.rfc-editor.org/rfc/rfc8684#section-3.9.1).
func (s *Stack) ephemeral(a netip.Addr, remote netip.AddrPort) (uint16, bool) {
	s.ports++
	span := uint64(portHigh - portLow + 1)
	start := s.draw("port", 0, s.ports) % span
	for i := uint64(0); i < span; i++ {
		p := uint16(portLow + (start+i)%span)
		if s.portFree(p, remote) && s.listener(netip.AddrPortFrom(a, p)) == nil {
			return p, true
		}
	}
	return 0, false
}

// portFree reports whether no address of ours uses the port p to remote.
func (s *Stack) portFree(p uint16, remote netip.AddrPort) bool {
	for i := range s.links {
		for _, pre := range s.links[i].Prefixes {
			if s.flows[flowKey{netip.AddrPortFrom(pre.Addr(), p), remote}] != nil {
				return false
			}
		}
	}
	return true
}
