package impairments

import (
	"encoding/binary"
	"slices"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// Middlebox is a machine on a link that looks into packets and applies rules to
// them. What enters one of its links leaves by the other. Packets pass the rules in
// the order of the list; each sees what those before it left.
//
// It knows connections only if a rule needs that (Rewrite, Reset, Acknowledge,
// Coalesce, Idle, Unseen, Hole). Whatever it changes has right checksums
// afterwards; what no rule changes leaves as it came, bit by bit. ICMP errors about
// packets whose numbers it rewrote are not translated.
type Middlebox struct {
	rules    []ruleState
	hits     []uint64
	off      bool
	header   int // bytes before the IP header
	mtu      int // of the link; 0: none
	seed     stream
	needs    bool // connections
	store    store
	ready    [2]fifo // by direction
	gated    [2]bool
	flows    flows
	piece    []byte // scratch: a segment of a super-segment
	rewrites uint64 // initial sequence numbers drawn
	view     view   // of what came in
	flush    view   // of what was held back
}

type ruleState struct {
	Rule
	seen int    // packets that matched
	buf  []byte // scratch of its action
	view view
}

var _ machine.Machine = (*Middlebox)(nil)

// NewMiddlebox returns a middlebox with these rules. header is the length of what
// stands before the IP header: 0, or Overhead for Ethernet frames. mtu is the link's,
// which coalescing respects; 0: none. What it draws comes from seed and name alone.
func NewMiddlebox(seed uint64, name string, rules []Rule, header, mtu int) *Middlebox {
	m := &Middlebox{header: header, mtu: mtu, seed: newStream(seed, name+"/isn")}
	m.SetRules(rules)
	return m
}

// SetRules replaces the rules. Hits of a place in the list go on; connections are
// forgotten.
func (m *Middlebox) SetRules(rules []Rule) {
	m.rules = make([]ruleState, len(rules))
	m.needs = false
	for i, r := range rules {
		m.rules[i].Rule = r
		m.needs = m.needs || r.needsFlow()
	}
	m.hits = append(m.hits, make([]uint64, max(0, len(rules)-len(m.hits)))...)
	m.flows = flows{}
}

// SetEnabled says whether the rules hold; if not, everything passes as it is and
// connections are forgotten.
func (m *Middlebox) SetEnabled(on bool) {
	m.off = !on
	m.flows = flows{}
}

// Hits returns how many packets each place in the list of rules was applied to.
func (m *Middlebox) Hits() []uint64 { return slices.Clone(m.hits) }

// needsFlow reports whether the rule needs to know connections.
func (r *Rule) needsFlow() bool {
	switch r.Do {
	case RewriteData, Reset, Acknowledge, Coalesce:
		return true
	}
	return r.Match.Idle > 0 || r.Match.Unseen || r.Match.Hole
}

// Input implements machine.Machine. Super-segments are split first.
func (m *Middlebox) Input(now clock.Instant, meta machine.Meta, data []byte) {
	if meta.Link < 0 || meta.Link > 1 || len(data) <= m.header || len(data) > machine.BufferSize {
		return
	}
	m.run(now)
	dir := int(meta.Link)
	if m.off {
		m.pass(dir, meta, data)
		return
	}
	l, tcp := wire.LayoutOf(data[m.header:])
	if n := meta.SegSize; tcp && n > 0 && l.End-l.Payload > n {
		for at := 0; at < l.End-l.Payload; at += n {
			m.piece = appendPiece(m.piece[:0], data, m.header, l, at, n, false)
			m.packet(now, dir, m.piece, true)
		}
		return
	}
	id := m.store.put(meta, data)
	p := &m.store.packets[id]
	ok := p.meta.CsumOK || p.meta.CsumStart != 0
	if p.meta.CsumStart != 0 {
		p.complete()
	}
	m.piece = append(m.piece[:0], p.data...)
	m.store.drop(id)
	m.packet(now, dir, m.piece, ok)
}

// packet takes one packet through the rules.
func (m *Middlebox) packet(now clock.Instant, dir int, b []byte, csumOK bool) {
	v := &m.view
	v.set(b, m.header, dir, csumOK)
	if v.ip && m.needs && v.tcp {
		m.enter(now, v)
	}
	m.rule(now, 0, v)
}

// rule applies the rules from i on.
func (m *Middlebox) rule(now clock.Instant, i int, v *view) {
	for ; i < len(m.rules); i++ {
		r := &m.rules[i]
		if !m.matches(i, v) {
			if r.Do == Coalesce && v.flow != nil {
				m.release(now, v.flow, v.dir, i) // what it holds must not be overtaken
			}
			continue
		}
		if m.apply(now, i, v) {
			return
		}
	}
	m.leave(now, v)
}

// matches reports whether rule i is for the packet.
func (m *Middlebox) matches(i int, v *view) bool {
	r := &m.rules[i]
	c := &r.Match
	if !v.ip || !r.Direction.covers(v.dir) || !v.from(c) || c.tcp() && !v.matches(c, i) {
		return false
	}
	if (r.Do >= Split || r.Do <= Nop || r.Do == Reset) && !v.tcp || r.Do == RewriteData && !r.changes(v) {
		return false
	}
	if c.First == 0 {
		return true
	}
	r.seen++
	return r.seen >= c.First && (c.Last == 0 || r.seen <= c.Last)
}

// apply does what rule i says and reports whether the packet goes no further by
// itself.
func (m *Middlebox) apply(now clock.Instant, i int, v *view) (gone bool) {
	r := &m.rules[i]
	hit := true
	switch r.Do {
	case Strip:
		v.strip(r.Match.Options)
	case Nop:
		v.nop(r.Match.Options)
	case Drop:
		gone = true
	case Reject:
		m.reject(r, v)
		gone = true
	case Reset:
		m.reset(r, v)
		gone = true
	case Split:
		gone = m.split(now, i, v)
		hit = gone
	case Coalesce:
		gone, hit = m.coalesce(now, i, v)
	case RewriteData:
		m.edit(r, v)
	case Acknowledge:
		gone, hit = m.acknowledge(now, i, v)
	}
	if hit {
		m.hits[i]++
	}
	return gone
}

// leave sends a packet on that has passed the rules.
func (m *Middlebox) leave(now clock.Instant, v *view) {
	if v.flow != nil {
		v.flow.dir[v.dir].note(v)
		if m.translate(v) {
			return
		}
	}
	m.emit(v.dir, v.finished())
}

// emit sends a whole packet in direction dir.
func (m *Middlebox) emit(dir int, b []byte) {
	m.pass(dir, machine.Meta{}, b)
}

func (m *Middlebox) pass(dir int, meta machine.Meta, b []byte) {
	if m.gated[dir] && m.ready[dir].n >= boxQueue {
		return
	}
	meta.Link = machine.LinkID(1 - dir)
	m.ready[dir].push(m.store.put(meta, b))
}

// answer sends a packet without link header to the sender of v.
func (m *Middlebox) answer(v *view, pkt []byte) {
	if len(pkt) == 0 {
		return
	}
	m.emit(1-v.dir, append(v.backHeader(), pkt...))
}

// reject tells the sender, as iptables' REJECT: "icmp-port-unreachable", or with
// tcp-reset a RST.
func (m *Middlebox) reject(r *ruleState, v *view) {
	if r.WithReset && v.tcp {
		m.answer(v, wire.AppendReset(r.buf[:0], &v.seg, nil))
		return
	}
	_, dst, _ := wire.Addrs(v.packet())
	m.answer(v, wire.AppendICMPError(r.buf[:0], dst, wire.ICMPPortUnreachable, 0, v.packet()))
}

// reset ends the connection in the name of both ends, with the sequence numbers
// that they expect (RFC 5961, 3.2).
func (m *Middlebox) reset(r *ruleState, v *view) {
	t := &v.flow.dir[v.dir]
	rst := func(src, dst int, seq, ack wire.Seq) []byte {
		s := wire.Segment{Src: v.seg.Src, Dst: v.seg.Dst, TTL: 64, Seq: seq, Ack: ack, Flags: wire.RST | wire.ACK}
		if src != v.dir {
			s.Src, s.Dst = s.Dst, s.Src
		}
		if r.TCPRst != nil {
			s.Options.Has, s.Options.MPTCPRst = wire.HasMPTCPRst, *r.TCPRst
		}
		return wire.AppendPacket(nil, &s)
	}
	if v.seg.Flags&wire.RST != 0 {
		return
	}
	seq := v.seg.Seq
	if t.known && t.nxt.Less(seq) {
		seq = t.nxt // there was a hole
	}
	end := v.seg.Seq.Add(v.seg.Len())
	if v.seg.Flags&wire.SYN != 0 && v.seg.Flags&wire.ACK == 0 {
		m.answer(v, rst(1-v.dir, v.dir, 0, end))
		return
	}
	mine := v.flow.expected(v)
	m.answer(v, rst(1-v.dir, v.dir, mine, end))
	m.emit(v.dir, append(slices.Clone(v.b[:v.link]), rst(v.dir, 1-v.dir, t.translation.forward(seq), mine)...))
}

// Advance implements machine.Machine.
func (m *Middlebox) Advance(now clock.Instant) { m.run(now) }

// Deadline implements machine.Machine.
func (m *Middlebox) Deadline() clock.Instant { return m.flows.deadline() }

// Output implements machine.Machine.
func (m *Middlebox) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	for dir := range m.ready {
		if m.ready[dir].n == 0 || m.gated[dir] {
			continue
		}
		id := m.ready[dir].pop()
		p := &m.store.packets[id]
		n := copy(buf, p.data)
		m.store.drop(id)
		return p.meta, n, true
	}
	return machine.Meta{}, 0, false
}

// boxQueue is how many packets wait for a link that is not writable: txqueuelen's
// default. In virtual time all links always are.
const boxQueue = 1000

// SetWritable implements machine.Machine.
func (m *Middlebox) SetWritable(link machine.LinkID, ok bool) {
	if link == 0 || link == 1 {
		m.gated[1-link] = !ok
	}
}

// A view is a packet as rules see and change it.
type view struct {
	b      []byte // from the link header to the end of the packet
	link   int    // length of the link header
	dir    int
	ip     bool // an IP packet in one piece whose checksums are right
	tcp    bool
	layout wire.Layout
	seg    wire.Segment
	kinds  OptionKinds
	flow   *flow
	dirty  bool
}

// set makes v a view of b.
func (v *view) set(b []byte, header, dir int, csumOK bool) {
	v.b, v.link, v.dir, v.flow, v.dirty = b, header, dir, nil, false
	v.ip, v.tcp, v.kinds = false, false, 0
	proto, ok := wire.Proto(v.packet())
	if !ok {
		return
	}
	if proto != wire.ProtoTCP {
		v.ip = true
		return
	}
	if v.seg.Parse(v.packet(), csumOK) != nil {
		return
	}
	if v.layout, v.tcp = wire.LayoutOf(v.packet()); !v.tcp {
		return
	}
	v.ip = true
	v.b = v.b[:v.link+v.layout.End]
	v.eachOption(func(option []byte) { v.kinds |= kindsOf(option) })
}

// packet returns the IP packet.
func (v *view) packet() []byte { return v.b[v.link:] }

// again reads the packet anew after its bytes were changed.
func (v *view) again() {
	flow := v.flow
	v.set(v.b, v.link, v.dir, true)
	v.flow, v.dirty = flow, true
}

func (v *view) eachOption(f func(option []byte)) {
	options := v.layout.Options(v.packet())
	for {
		_, n, ok := wire.FirstOption(options)
		if !ok {
			return
		}
		f(options[:n])
		options = options[n:]
	}
}

// from reports whether the addresses fit.
func (v *view) from(c *Match) bool {
	if !c.Src.IsValid() && !c.Dst.IsValid() {
		return true
	}
	src, dst, ok := wire.Addrs(v.packet())
	return ok && (!c.Src.IsValid() || c.Src.Contains(src)) && (!c.Dst.IsValid() || c.Dst.Contains(dst))
}

// matches reports whether the conditions of rule i on TCP hold.
func (v *view) matches(c *Match, i int) bool {
	s := &v.seg
	data := len(s.Payload) > 0
	if !v.tcp || c.Options != 0 && v.kinds&c.Options == 0 || s.Flags&c.Flags != c.Flags || s.Flags&c.NoFlags != 0 ||
		c.Data && !data || c.NoData && data {
		return false
	}
	if c.Idle > 0 && v.flow.dead&(1<<(i&63)) == 0 {
		return false
	}
	if t := v.flow; c.Unseen && (s.Flags&wire.ACK == 0 || !t.dir[1-v.dir].known || s.Ack.LessEq(t.dir[1-v.dir].top)) {
		return false
	}
	return !c.Hole || v.flow.dir[v.dir].known && s.Len() > 0 && v.flow.dir[v.dir].nxt.Less(s.Seq)
}

// strip takes options out of the header.
func (v *view) strip(kinds OptionKinds) {
	p, l := v.packet(), v.layout
	area := l.Options(p)
	kept := area[:0]
	for rest := area; ; {
		_, n, ok := wire.FirstOption(rest)
		if !ok {
			break
		}
		if kindsOf(rest[:n])&kinds == 0 {
			kept = append(kept, rest[:n]...) // moves to the front, over what was read
		}
		rest = rest[n:]
	}
	for len(kept) > 0 && kept[len(kept)-1] == 1 {
		kept = kept[:len(kept)-1] // the padding of what is gone
	}
	for len(kept)%4 != 0 {
		kept = append(kept, 0)
	}
	from := l.TCP + 20 + len(kept)
	n := copy(p[from:], p[l.Payload:l.End])
	v.b = v.b[:v.link+from+n]
	p[l.TCP+12] = p[l.TCP+12]&15 | byte((20+len(kept))/4<<4)
	setLength(v.packet())
	v.again()
}

// nop overwrites options with NOP.
func (v *view) nop(kinds OptionKinds) {
	v.eachOption(func(option []byte) {
		if kindsOf(option)&kinds != 0 {
			for i := range option {
				option[i] = 1
			}
		}
	})
	v.again()
}

// setLength writes the length of an IP packet into its header, which stays right.
func setLength(p []byte) {
	if p[0]>>4 == 6 {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		return
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], wire.Checksum(p[:int(p[0]&15)*4], 0))
}

// finished returns the packet with right checksums if it was changed.
func (v *view) finished() []byte {
	if v.dirty {
		wire.Finish(v.packet())
	}
	return v.b
}

// backHeader returns the link header of an answer.
func (v *view) backHeader() []byte {
	h := slices.Clone(v.b[:v.link])
	if len(h) >= 12 {
		copy(h, v.b[6:12])
		copy(h[6:], v.b[:6])
	}
	return h
}
