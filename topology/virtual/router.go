package virtual

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// Router is an IP router as a machine: it forwards by longest prefix, takes one
// off the TTL, answers echo requests to its own addresses and says by ICMP why it
// drops a packet. It may translate addresses. It makes no fragments: what is too big and may be fragmented
// (no stack here sends such packets) is dropped and counted.
type Router struct {
	Counters RouterCounters

	table  *table
	own    map[netip.Addr]bool
	addrs  [][]netip.Addr // by interface
	mtus   []int          // by interface
	ecmp   bool
	key    uint64
	nat    *translator // nil: none
	out    outboxes
	answer []byte // scratch
}

// RouterCounters counts packets by what became of them.
type RouterCounters struct {
	Forwarded, Local, Malformed, TTLExceeded, NoRoute, TooBig, ICMPSent uint64
	// Of a router that translates: what came from outside and nobody inside asked
	// for, and what went out and cannot be translated.
	Unsolicited, Untranslated uint64
}

var _ machine.Machine = (*Router)(nil)

// NewRouter returns the router that n describes. mtus holds the MTU of each of its
// interfaces, key makes the flow hash of ECMP the router's own.
func NewRouter(n *topology.Node, mtus []int, key uint64) *Router {
	r := &Router{
		table: newTable(n, func(name string) int { return interfaceOf(n, name) }),
		own:   make(map[netip.Addr]bool),
		addrs: make([][]netip.Addr, len(n.Interfaces)),
		mtus:  mtus,
		ecmp:  n.ECMP,
		key:   key,
		nat:   newTranslator(n),
		out:   make(outboxes, len(n.Interfaces)),
	}
	for i := range n.Interfaces {
		for _, p := range n.Interfaces[i].Prefixes {
			r.own[p.Addr()] = true
			r.addrs[i] = append(r.addrs[i], p.Addr())
		}
	}
	return r
}

// interfaceOf returns the number of n's interface at a link, or -1.
func interfaceOf(n *topology.Node, link string) int {
	for i := range n.Interfaces {
		if n.Interfaces[i].Link == link {
			return i
		}
	}
	return -1
}

// Input implements machine.Machine.
func (r *Router) Input(now clock.Instant, m machine.Meta, data []byte) {
	_, dst, ok := wire.Addrs(data)
	if !ok || m.Link < 0 || int(m.Link) >= len(r.out) {
		r.Counters.Malformed++
		return
	}
	asked := false
	if r.nat != nil && dst == r.nat.addr {
		data, asked = r.nat.arrive(now, &m, data)
		_, dst, _ = wire.Addrs(data)
	}
	if r.own[dst] {
		r.Counters.Local++
		r.reply(now, wire.AppendEchoReply(r.answer[:0], data))
		return
	}
	to, ok := r.route(dst, data)
	if !ok {
		r.Counters.NoRoute++
		r.refuse(now, wire.ICMPNetUnreachable, 0, data)
		return
	}
	// "If the TTL is reduced to zero (or less), the packet MUST be discarded, and if
	// the destination is not a multicast address the router MUST send an ICMP Time
	// Exceeded message" (https://www.rfc-editor.org/rfc/rfc1812#section-5.3.1).
	if expiring(data) {
		r.Counters.TTLExceeded++
		r.refuse(now, wire.ICMPTimeExceeded, 0, data)
		return
	}
	if m.SegSize == 0 && len(data) > r.mtus[to] {
		r.Counters.TooBig++
		if mayNotFragment(data) {
			r.refuse(now, wire.ICMPTooBig, r.mtus[to], data)
		}
		return
	}
	if r.nat != nil && dst.Is4() {
		if data = r.translate(now, &m, to, asked, data); data == nil {
			return
		}
	}
	m.Link = machine.LinkID(to)
	if l := r.out[to].add(m); l != nil {
		l.data = append(l.data, data...)
		wire.DecrementTTL(l.data)
		r.Counters.Forwarded++
	}
}

// translate gives what goes out the router's address there and drops what comes
// in unasked; nil: dropped.
func (r *Router) translate(now clock.Instant, m *machine.Meta, to int, asked bool, data []byte) []byte {
	in, out := int(m.Link) == r.nat.outside, to == r.nat.outside
	switch {
	case in && !out && !asked:
		r.Counters.Unsolicited++
		return nil
	case out && !in:
		if data = r.nat.leave(now, m, data); data == nil {
			r.Counters.Untranslated++
		}
	}
	return data
}

// expiring reports whether a packet has reached its last hop.
func expiring(pkt []byte) bool {
	if pkt[0]>>4 == 4 {
		return pkt[8] <= 1
	}
	return pkt[7] <= 1
}

// mayNotFragment reports whether a packet is IPv6 or has DF set.
func mayNotFragment(pkt []byte) bool { return pkt[0]>>4 == 6 || pkt[6]&0x40 != 0 }

// route returns the interface towards dst.
func (r *Router) route(dst netip.Addr, pkt []byte) (int, bool) {
	best := r.table.lookup(dst)
	switch {
	case len(best) == 0:
		return 0, false
	case len(best) > 1 && r.ecmp:
		return best[flowHash(r.key, pkt)%uint64(len(best))].link, true
	}
	return best[0].link, true
}

// refuse tells the source of a packet why it was dropped. "The IP source address
// in an ICMP message originated by the router MUST be one of the IP addresses
// associated with the physical interface over which the ICMP message is
// transmitted" (https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.4).
func (r *Router) refuse(now clock.Instant, kind wire.ICMPKind, mtu int, pkt []byte) {
	to, _, _ := wire.Addrs(pkt)
	out, ok := r.route(to, pkt)
	if !ok {
		return
	}
	for _, src := range r.addrs[out] {
		if src.Is4() != to.Is4() {
			continue
		}
		if msg := wire.AppendICMPError(r.answer[:0], src, kind, mtu, pkt); len(msg) > 0 {
			r.Counters.ICMPSent++
			r.reply(now, msg)
		}
		return
	}
}

// reply sends a packet of the router's own. Of a packet that came from outside and
// had been translated, the outside is told as it knows it.
func (r *Router) reply(now clock.Instant, pkt []byte) {
	if len(pkt) == 0 {
		return
	}
	r.answer = pkt
	_, dst, _ := wire.Addrs(pkt)
	to, ok := r.route(dst, pkt)
	if !ok {
		return
	}
	if r.nat != nil && to == r.nat.outside && wire.Quoted(pkt) != nil {
		r.nat.leaveError(now, pkt)
	}
	if l := r.out[to].add(machine.Meta{Link: machine.LinkID(to)}); l != nil {
		l.data = append(l.data, pkt...)
	}
}

// Advance implements machine.Machine.
func (r *Router) Advance(clock.Instant) {}

// Deadline implements machine.Machine.
func (r *Router) Deadline() clock.Instant { return clock.Never }

// Output implements machine.Machine.
func (r *Router) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	return r.out.output(buf)
}

// SetWritable implements machine.Machine.
func (r *Router) SetWritable(link machine.LinkID, ok bool) { r.out.setWritable(link, ok) }
