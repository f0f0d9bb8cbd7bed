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
	s.counters.TcpInSegs++
	if err := seg.Parse(data, m.CsumOK); err != nil {
		s.counters.TcpInErrs++
		s.drop(now, err.Error())
		return
	}
	if !s.owns(seg.Dst.Addr()) {
		s.drop(now, "not our address")
		return
	}
	h := s.flows[flowKey{seg.Dst, seg.Src}]
	if h != nil && h.input(s, now, seg) {
		return
	}
	switch {
	case seg.Flags&(wire.SYN|wire.ACK|wire.RST|wire.FIN) == wire.SYN:
		iss := s.iss(now, seg.Dst, seg.Src)
		if w, ok := h.(*timeWait); ok {
			iss = w.tcp.NextISS()
		}
		s.inputSYN(now, seg, iss)
	case seg.Flags&wire.RST != 0:
	case seg.Flags&wire.ACK == 0 && s.listener(seg.Dst) != nil:
		// "Any other control or data-bearing segment (not containing SYN) must have an
		// ACK and thus would have been discarded by the ACK processing in the second
		// step" (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2).
		s.drop(now, "no flags for a listener")
	default:
		if l := s.listener(seg.Dst); l == nil || !l.inputCookie(now, seg) {
			s.reset(seg, nil)
		}
	}
}

// holder is who has a 4-tuple: a subflow, or what is kept before there is one and after.
type holder interface {
	// input takes a segment; false: the holder has gone, and the segment is for a new one.
	input(s *Stack, now clock.Instant, seg *wire.Segment) bool
}

func (sf *subflow) input(s *Stack, now clock.Instant, seg *wire.Segment) bool {
	sf.segment(now, seg)
	s.touch(sf.conn)
	return true
}

// TCPState returns the state of the TCP connection between local and remote, also where
// only a record of it is kept; false: there is none.
func (s *Stack) TCPState(local, remote netip.AddrPort) (tcp.State, bool) {
	switch h := s.flows[flowKey{local, remote}].(type) {
	case *subflow:
		return h.tcp.State(), true
	case *request:
		return tcp.StateSYNReceived, true
	case *timeWait:
		return h.tcp.State(), true
	}
	return tcp.StateClosed, false
}

// bind gives a 4-tuple to h.
func (s *Stack) bind(k flowKey, h holder) {
	s.flows[k] = h
	s.mostFlows = max(s.mostFlows, len(s.flows))
}

// unbind takes it from h, if h has it.
func (s *Stack) unbind(k flowKey, h holder) {
	if s.flows[k] != h {
		return
	}
	delete(s.flows, k)
	if s.mostFlows > keepMax && len(s.flows) < s.mostFlows/8 {
		s.rebuildTables()
	}
}

// rebuildTables makes the tables of flows and tokens anew, for maps never become smaller.
func (s *Stack) rebuildTables() {
	flows := make(map[flowKey]holder, len(s.flows))
	tokens := make(map[uint32]*Conn, len(s.tokens))
	take := func(k flowKey, h holder) {
		if s.flows[k] == h {
			flows[k] = h
		}
	}
	for _, c := range s.conns {
		if c.token != 0 && s.tokens[c.token] == c {
			tokens[c.token] = c
		}
		for _, sf := range c.subflows {
			take(flowKey{sf.local, sf.remote}, sf)
		}
	}
	for _, t := range s.timers.timers {
		switch o := t.owner.(type) {
		case *request:
			take(flowKey{o.local, o.remote}, o)
			if o.offer.token != 0 {
				tokens[o.offer.token] = s.tokens[o.offer.token]
			}
		case *timeWait:
			take(flowKey{o.local, o.remote}, o)
		}
	}
	s.flows, s.tokens, s.mostFlows = flows, tokens, len(flows)
}

// inputSYN opens a connection or a subflow.
//
// "Demultiplexing subflow SYNs MUST be done using the token; this is unlike
// traditional TCP, where the destination port is used for demultiplexing SYN
// packets." (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (s *Stack) inputSYN(now clock.Instant, seg *wire.Segment, iss wire.Seq) {
	if seg.Options.Has&wire.HasMPJoin != 0 && seg.Options.MPJoin.Form == wire.JoinSYN {
		s.inputJoin(now, seg, iss)
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
	l.open(now, seg, iss)
}

// reset answers a segment that nobody wants with RST; why, if not nil, goes along
// as MP_TCPRST.
func (s *Stack) reset(seg *wire.Segment, why *wire.MPTCPRst) {
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
	inWindow := true
	switch h := s.flows[flowKey{s.icmp.QuoteSrc, s.icmp.QuoteDst}].(type) {
	case *subflow:
		inWindow = h.tcp.ICMP(now, &s.icmp)
		s.touch(h.conn)
	case *request:
		inWindow = h.icmp(s, &s.icmp)
	}
	if !inWindow {
		s.counters.TcpExtOutOfWindowIcmps++
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

// FreePort returns a port that a listener may have.
func (s *Stack) FreePort() (uint16, bool) {
	return s.ephemeral(netip.IPv4Unspecified(), netip.AddrPort{})
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
