package drill

import (
	"encoding/binary"
	"fmt"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// inject makes a packet of the peer and hands it to the stack.
func (r *run) inject(p *Packet) error {
	f, err := r.flowOf(p)
	if err != nil {
		return err
	}
	r.current = f
	var pkt []byte
	if p.ICMP != nil {
		pkt, err = r.icmp(p, f)
	} else {
		pkt, err = r.segment(p, f)
	}
	if err != nil {
		return err
	}
	r.bindEnds(p, f)
	r.stack.Input(r.now, machine.Meta{}, pkt)
	r.drain()
	r.retry()
	return nil
}

// segment builds a TCP segment of the peer.
func (r *run) segment(p *Packet, f *flow) ([]byte, error) {
	if p.Flags&wire.SYN != 0 && !f.open {
		f.remISN = wire.Seq(p.Seq)
		f.state = max(f.state, flowSYNReceived)
	}
	opts, err := r.encodeAll(p, f)
	if err != nil {
		return nil, err
	}
	s := wire.Segment{Src: f.remote, Dst: f.local, TTL: 255, Flags: p.Flags, Window: uint16(p.Window), Urgent: p.Urgent}
	if p.IP.TTL >= 0 {
		s.TTL = uint8(p.IP.TTL)
	}
	s.TOS = uint8(max(p.IP.TOS, 0))
	if p.IP.ECN >= 0 {
		s.TOS |= uint8(p.IP.ECN)
	}
	s.Seq = r.seqOf(p, p.Seq, f.remISN)
	if p.Flags&wire.ACK != 0 || p.HasAck {
		s.Ack = f.locISN.Add(int(p.Ack))
		if p.Flags&wire.SYN != 0 {
			s.Ack -= f.scriptISN
		}
	}
	const headers = 20
	n := len(opts) + int(p.Len)
	if wire.HeaderLen(f.remote.Addr().Is6())+n > 65535 {
		return nil, fmt.Errorf("%d bytes do not fit into a packet", n)
	}
	pkt := wire.AppendHeaders(nil, &s, n)
	if p.IP.Flow > 0 && f.remote.Addr().Is6() {
		binary.BigEndian.PutUint32(pkt, binary.BigEndian.Uint32(pkt)|uint32(p.IP.Flow))
	}
	at := len(pkt) - headers
	pkt = append(pkt, opts...)
	pkt = append(pkt, make([]byte, p.Len)...)
	pkt[at+12] = byte((headers+len(opts))/4) << 4
	if p.AE || p.ACE > 3 {
		pkt[at+12] |= 1
	}
	wire.Finish(pkt)
	return pkt, nil
}

// seqOf maps a number of the script: that of a SYN is literal, others are relative
// to it.
func (r *run) seqOf(p *Packet, seq int64, isn wire.Seq) wire.Seq {
	if p.Flags&wire.SYN != 0 {
		return wire.Seq(seq)
	}
	return isn.Add(int(seq))
}

// icmpKinds are the messages that scripts name.
var icmpKinds = map[string]wire.ICMPKind{
	"unreachable/":                         wire.ICMPNetUnreachable, // code 0
	"unreachable/net_unreachable":          wire.ICMPNetUnreachable,
	"unreachable/host_unreachable":         wire.ICMPHostUnreachable,
	"unreachable/proto_unreachable":        wire.ICMPProtocolUnreachable,
	"unreachable/port_unreachable":         wire.ICMPPortUnreachable,
	"unreachable/protocol_unreachable":     wire.ICMPProtocolUnreachable,
	"unreachable/source_route_failed":      wire.ICMPHostUnreachable,
	"unreachable/net_unknown":              wire.ICMPNetUnreachable,
	"unreachable/host_unknown":             wire.ICMPHostUnreachable,
	"unreachable/source_host_isolated":     wire.ICMPHostUnreachable,
	"unreachable/net_admin_prohibited":     wire.ICMPProhibited,
	"unreachable/host_admin_prohibited":    wire.ICMPProhibited,
	"unreachable/net_unreachable_for_tos":  wire.ICMPNetUnreachable,
	"unreachable/host_unreachable_for_tos": wire.ICMPHostUnreachable,
	"unreachable/precedence_violation":     wire.ICMPProhibited,
	"unreachable/precedence_cutoff":        wire.ICMPProhibited,
	"unreachable/not_neighbour":            wire.ICMPHostUnreachable,
	"unreachable/frag_needed":              wire.ICMPTooBig,
	"unreachable/pkt_filtered":             wire.ICMPProhibited,
	"unreachable/no_route":                 wire.ICMPNetUnreachable,
	"unreachable/admin_prohibited":         wire.ICMPProhibited,
	"unreachable/addr_unreachable":         wire.ICMPHostUnreachable,
	"packet_too_big/":                      wire.ICMPTooBig,
	"packet_too_big/packet_too_big":        wire.ICMPTooBig,
	"time_exceeded/ttl_expired":            wire.ICMPTimeExceeded,
	"time_exceeded/exceeded_transit":       wire.ICMPTimeExceeded,
}

// icmp builds an ICMP error about a segment of the stack: the first one if the line names
// none.
func (r *run) icmp(p *Packet, f *flow) ([]byte, error) {
	kind, ok := icmpKinds[p.ICMP.Type+"/"+p.ICMP.Code]
	if !ok {
		return nil, unsupported("icmp %s %s", p.ICMP.Type, p.ICMP.Code)
	}
	s := wire.Segment{Src: f.local, Dst: f.remote, TTL: 64, Flags: wire.ACK, Seq: f.locISN.Add(int(p.ICMP.Seq)),
		Payload: make([]byte, p.ICMP.Len)}
	quote := wire.AppendPacket(nil, &s)
	pkt := wire.AppendICMPError(nil, f.remote.Addr(), kind, p.ICMP.MTU, quote)
	if len(pkt) == 0 {
		return nil, unsupported("icmp %s %s for this IP version", p.ICMP.Type, p.ICMP.Code)
	}
	return pkt, nil
}
