package impairments

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// maxFlows is how many connections a middlebox remembers; the oldest go first.
const maxFlows = 1 << 14

// flows are the connections that a middlebox knows.
type flows struct {
	by    map[flowKey]*flow
	order []flowKey
	timed []*flow // those that may have a deadline
}

type flowKey struct{ a, b netip.AddrPort } // a is at link 0

// A flow is a connection as a middlebox sees it. Sequence numbers are those of
// whoever sent them: acknowledgments of rewritten numbers are translated back when
// they come in.
type flow struct {
	last  clock.Instant
	dead  uint64 // rules with Idle that have forgotten it
	dir   [2]track
	timed bool
}

// A track is one direction of a flow.
type track struct {
	known       bool
	isn         wire.Seq // of its SYN
	nxt         wire.Seq // behind what passed without a hole
	top         wire.Seq // behind all that passed
	ack         wire.Seq // its last acknowledgment
	window      int      // that its sender gave then, in bytes
	wscale      uint8
	stamps      bool
	tsVal       uint32
	translation translation
	held        held
	proxy       proxy
}

// of returns the flow of v, made if need be. A SYN with a number of its own begins a
// new one.
func (f *flows) of(v *view) *flow {
	key := flowKey{v.seg.Src, v.seg.Dst}
	if v.dir == 1 {
		key.a, key.b = key.b, key.a
	}
	fl := f.by[key]
	fresh := v.seg.Flags&(wire.SYN|wire.ACK) == wire.SYN && fl != nil && (!fl.dir[v.dir].known || fl.dir[v.dir].isn != v.seg.Seq)
	switch {
	case fl == nil:
		if f.by == nil {
			f.by = make(map[flowKey]*flow)
		}
		if len(f.order) == maxFlows {
			delete(f.by, f.order[0])
			f.order = f.order[1:]
		}
		fl = &flow{}
		f.by[key] = fl
		f.order = append(f.order, key)
	case fresh:
		*fl = flow{timed: fl.timed}
	}
	return fl
}

// deadline returns when something held back is to go on.
func (f *flows) deadline() clock.Instant {
	at := clock.Never
	for _, fl := range f.timed {
		at = clock.Min(at, fl.deadline())
	}
	return at
}

func (fl *flow) deadline() clock.Instant {
	at := clock.Never
	for i := range fl.dir {
		t := &fl.dir[i]
		if len(t.held.b) > 0 {
			at = clock.Min(at, t.held.until)
		}
		if len(t.proxy.owed) > 0 {
			at = clock.Min(at, t.proxy.again)
		}
	}
	return at
}

// run lets what is due happen.
func (m *Middlebox) run(now clock.Instant) {
	timed := m.flows.timed
	for i := 0; i < len(timed); i++ {
		fl := timed[i]
		for dir := range fl.dir {
			t := &fl.dir[dir]
			if len(t.held.b) > 0 && t.held.until <= now {
				m.release(now, fl, dir, t.held.rule)
			}
			if len(t.proxy.owed) > 0 && t.proxy.again <= now {
				m.repeat(now, fl, dir)
			}
		}
	}
	kept := timed[:0]
	for _, fl := range timed {
		if fl.timed = fl.deadline() != clock.Never; fl.timed {
			kept = append(kept, fl)
		}
	}
	m.flows.timed = kept
}

// watch makes fl one of those that may have a deadline.
func (f *flows) watch(fl *flow) {
	if !fl.timed {
		fl.timed = true
		f.timed = append(f.timed, fl)
	}
}

// enter finds the connection of a packet and translates what it acknowledges.
func (m *Middlebox) enter(now clock.Instant, v *view) {
	f := m.flows.of(v)
	f.forget(now, m.rules)
	v.flow = f
	back := &f.dir[1-v.dir]
	if v.seg.Flags&wire.ACK == 0 {
		return
	}
	if x := &back.translation; !x.empty() {
		v.setAck(x.inverse(v.seg.Ack))
		v.eachOption(func(option []byte) {
			if option[0] != 5 {
				return
			}
			for b := option[2:]; len(b) >= 4; b = b[4:] {
				binary.BigEndian.PutUint32(b, uint32(x.inverse(wire.Seq(binary.BigEndian.Uint32(b)))))
			}
		})
		x.acknowledged(v.seg.Ack)
	}
	back.proxy.acknowledged(v.seg.Ack)
}

func (v *view) setAck(ack wire.Seq) {
	v.seg.Ack, v.dirty = ack, true
	binary.BigEndian.PutUint32(v.packet()[v.layout.TCP+8:], uint32(ack))
}

// forget notes which rules have forgotten the flow when a packet of it comes.
func (f *flow) forget(now clock.Instant, rules []ruleState) {
	for i := range rules {
		if d := rules[i].Match.Idle; d > 0 && now.Sub(f.last) >= d && (f.dir[0].known || f.dir[1].known) {
			f.dead |= 1 << (i & 63)
		}
	}
	f.last = now
}

// note remembers a packet that goes on.
func (t *track) note(v *view) {
	s := &v.seg
	if s.Flags&wire.RST != 0 {
		return
	}
	end := s.Seq.Add(s.Len())
	switch {
	case s.Flags&wire.SYN != 0:
		t.known, t.isn, t.nxt, t.top = true, s.Seq, end, end
		if s.Options.Has&wire.HasWScale != 0 {
			t.wscale = min(s.Options.WScale, 14)
		}
	case !t.known:
		t.known, t.nxt, t.top = true, end, end
	default:
		if t.nxt.Less(end) && s.Seq.LessEq(t.nxt) {
			t.nxt = end
		}
		if t.top.Less(end) {
			t.top = end
		}
	}
	if s.Flags&wire.ACK != 0 {
		t.ack, t.window = s.Ack, int(s.Window)
		if s.Flags&wire.SYN == 0 {
			t.window <<= t.wscale
		}
	}
	if t.stamps = s.Options.Has&wire.HasTimestamps != 0; t.stamps {
		t.tsVal = s.Options.TSVal
	}
}

// expected returns the sequence number that the sender of v expects in what comes for
// it: behind what passed already.
func (f *flow) expected(v *view) wire.Seq {
	back := &f.dir[1-v.dir]
	if back.known && v.seg.Ack.Less(back.nxt) {
		return back.translation.forward(back.nxt)
	}
	return back.translation.forward(v.seg.Ack)
}

// A translation maps the sequence numbers of one direction to those that its
// receiver sees.
type translation struct {
	base  wire.Seq // added to all
	edits []change // by position, until they are acknowledged
}

// A change replaces bytes at a position by others.
type change struct {
	at     wire.Seq
	remove int
	insert []byte
}

func (c *change) end() wire.Seq { return c.at.Add(c.remove) }

func (x *translation) empty() bool { return x.base == 0 && len(x.edits) == 0 }

// forward returns what the receiver sees of seq. Of bytes that are replaced each
// has the place of its successor, as far as there is one.
func (x *translation) forward(seq wire.Seq) wire.Seq {
	shift := x.base
	for i := range x.edits {
		c := &x.edits[i]
		if seq.LessEq(c.at) {
			break
		}
		if seq.Less(c.end()) {
			return (c.at + shift).Add(min(seq.Sub(c.at), len(c.insert)))
		}
		shift = shift.Add(len(c.insert) - c.remove)
	}
	return seq + shift
}

// inverse returns what the sender means by seq.
func (x *translation) inverse(seq wire.Seq) wire.Seq {
	shift := x.base
	for i := range x.edits {
		c := &x.edits[i]
		at := c.at + shift
		if seq.Less(at) || seq == at && len(c.insert) > 0 {
			break // who has all before bytes that are taken out misses nothing of them
		}
		if seq.Less(at.Add(len(c.insert))) {
			return c.at.Add(min(seq.Sub(at), c.remove))
		}
		shift = shift.Add(len(c.insert) - c.remove)
	}
	return seq - shift
}

// payload appends what becomes of the bytes p at seq.
func (x *translation) payload(b []byte, seq wire.Seq, p []byte) []byte {
	pos, end := seq, seq.Add(len(p))
	for i := range x.edits {
		c := &x.edits[i]
		if end.LessEq(c.at) {
			break
		}
		if c.at.Less(pos) && c.end().LessEq(pos) {
			continue
		}
		from := max(0, pos.Sub(c.at)) // it begins in the middle of what is replaced
		if pos.Less(c.at) {
			b = append(b, p[pos.Sub(seq):c.at.Sub(seq)]...)
		}
		b = append(b, c.insert[min(from, len(c.insert)):]...)
		if pos = c.end(); end.Less(pos) {
			pos = end
		}
	}
	return append(b, p[pos.Sub(seq):]...)
}

// has reports whether bytes are changed at that place.
func (x *translation) has(at wire.Seq) bool {
	return slices.ContainsFunc(x.edits, func(c change) bool { return c.at == at })
}

// add remembers a change, unless those bytes are changed already.
func (x *translation) add(c change) {
	i := len(x.edits)
	for i > 0 && c.at.LessEq(x.edits[i-1].at) {
		i--
	}
	if i > 0 && c.at.Less(x.edits[i-1].end()) || i < len(x.edits) && (x.edits[i].at.Less(c.end()) || x.edits[i].at == c.at) {
		return
	}
	x.edits = slices.Insert(x.edits, i, c)
}

// acknowledged forgets changes that the receiver has.
func (x *translation) acknowledged(ack wire.Seq) {
	n := 0
	for n < len(x.edits) && x.edits[n].at.Less(ack) && x.edits[n].end().LessEq(ack) {
		c := &x.edits[n]
		x.base = x.base.Add(len(c.insert) - c.remove)
		n++
	}
	x.edits = append(x.edits[:0], x.edits[n:]...)
}
