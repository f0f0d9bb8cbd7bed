package impairments

import (
	"encoding/binary"
	"slices"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// appendPiece appends to b the piece of a TCP packet that begins at byte at of its
// payload and has at most size bytes of it, with right lengths, numbers and
// checksums. data begins with link bytes before the IP header. once: options of
// which not every middlebox knows stay with the first piece.
//
// Who splits keeps CWR on the first and FIN and PSH on the last piece.
func appendPiece(b, data []byte, link int, l wire.Layout, at, size int, once bool) []byte {
	payload := data[link+l.Payload : link+l.End]
	piece := payload[at:min(at+size, len(payload))]
	from := len(b)
	b = append(b, data[:link+l.TCP+20]...)
	options := l.Options(data[link:])
	if at > 0 && once {
		options = stamps(options)
	}
	b = append(append(b, options...), piece...)
	p := b[from+link:]
	t := p[l.TCP:]
	setLength(p)
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[4:], binary.BigEndian.Uint16(p[4:])+uint16(at/size))
	}
	binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(at))
	t[12] = t[12]&15 | byte((20+len(options))/4<<4)
	if at > 0 {
		t[13] &^= byte(wire.CWR)
	}
	if at+size < len(payload) {
		t[13] &^= byte(wire.FIN | wire.PSH)
	}
	wire.Finish(p)
	return b
}

// stamps returns the timestamps of an options area, with their padding.
func stamps(options []byte) []byte {
	for rest := options; ; {
		kind, n, ok := wire.FirstOption(rest)
		if !ok {
			return nil
		}
		if kind == 8 && n == 10 {
			return append([]byte{1, 1}, rest[:n]...)
		}
		rest = rest[n:]
	}
}

// split sends a segment on in pieces; false: it is small enough.
func (m *Middlebox) split(now clock.Instant, i int, v *view) bool {
	r := &m.rules[i]
	n := len(v.seg.Payload)
	if n <= r.Size || v.seg.Flags&wire.SYN != 0 {
		return false
	}
	for at := 0; at < n; at += r.Size {
		r.buf = appendPiece(r.buf[:0], v.b, v.link, v.layout, at, r.Size, r.Once)
		r.view.set(r.buf, v.link, v.dir, true)
		r.view.flow, r.view.dirty = v.flow, true
		m.rule(now, i+1, &r.view)
	}
	return true
}

// held is a segment that waits for the next.
type held struct {
	rule  int
	b     []byte // empty: none
	until clock.Instant
}

// coalesce holds a segment back, or adds it to the one that is held. hit: two have
// become one.
func (m *Middlebox) coalesce(now clock.Instant, i int, v *view) (gone, hit bool) {
	r, t := &m.rules[i], &v.flow.dir[v.dir]
	h := &t.held
	plain := len(v.seg.Payload) > 0 && v.seg.Flags&(wire.SYN|wire.FIN|wire.RST|wire.URG) == 0
	if len(h.b) > 0 && (h.rule != i || !plain || !m.join(h, r, v)) {
		m.release(now, v.flow, v.dir, h.rule)
	} else if len(h.b) > 0 {
		hit = true
	}
	switch {
	case !plain:
		return false, false
	case !hit:
		*h = held{rule: i, b: append(h.b[:0], v.b...), until: now.Add(r.Wait)}
		m.flows.watch(v.flow)
	case v.seg.Flags&wire.PSH != 0:
		m.release(now, v.flow, v.dir, i)
	}
	return true, hit
}

// join adds a segment to the one that is held; false: it does not follow, or they
// would be too long.
func (m *Middlebox) join(h *held, r *ruleState, v *view) bool {
	first := &m.flush
	first.set(h.b, v.link, v.dir, true)
	if first.seg.Seq.Add(len(first.seg.Payload)) != v.seg.Seq || len(first.seg.Payload)+len(v.seg.Payload) > r.Size ||
		m.mtu > 0 && len(v.packet())+len(first.seg.Payload) > m.mtu ||
		(first.seg.Flags^v.seg.Flags)&^wire.PSH != 0 {
		return false
	}
	head, tail := first.b[:first.link+first.layout.Payload], slices.Clone(first.seg.Payload)
	if !r.Once {
		head = v.b[:v.link+v.layout.Payload]
	}
	head = slices.Clone(head)
	t := head[v.link+v.layout.TCP:]
	binary.BigEndian.PutUint32(t[4:], uint32(first.seg.Seq))
	binary.BigEndian.PutUint32(t[8:], uint32(v.seg.Ack))
	t[13] |= byte(v.seg.Flags)
	binary.BigEndian.PutUint16(t[14:], v.seg.Window)
	h.b = append(append(append(h.b[:0], head...), tail...), v.seg.Payload...)
	setLength(h.b[v.link:])
	return true
}

// release lets the segment that rule i holds go on.
func (m *Middlebox) release(now clock.Instant, f *flow, dir, i int) {
	h := &f.dir[dir].held
	if len(h.b) == 0 || h.rule != i {
		return
	}
	r := &m.rules[i]
	r.buf = append(r.buf[:0], h.b...)
	h.b = h.b[:0]
	v := &r.view
	v.set(r.buf, m.header, dir, true)
	v.flow, v.dirty = f, true
	m.rule(now, i+1, v)
}

// A proxy answers for data that it acknowledged: it keeps them until the receiver
// has them, and repeats them if that takes long.
type proxy struct {
	owed  []segment
	again clock.Instant
	wait  time.Duration
}

type segment struct {
	end  wire.Seq
	rule int
	b    []byte
}

// proxyRoom is how many segments a proxy owes at most; what comes beside them the
// receiver acknowledges. The times are those after which it repeats them.
const (
	proxyRoom = 16
	proxyWait = 300 * time.Millisecond
	proxyMax  = 3 * time.Second
)

// acknowledged forgets what the receiver has.
func (p *proxy) acknowledged(ack wire.Seq) {
	for len(p.owed) > 0 && p.owed[0].end.LessEq(ack) {
		p.owed = p.owed[1:]
		p.wait = proxyWait
	}
}

// acknowledge answers data that follow on what passed with an ACK that knows of no
// MPTCP, within the window that the receiver gave, and answers for them.
func (m *Middlebox) acknowledge(now clock.Instant, i int, v *view) (gone, hit bool) {
	t, back := &v.flow.dir[v.dir], &v.flow.dir[1-v.dir]
	s := &v.seg
	if len(s.Payload) == 0 || s.Flags&(wire.SYN|wire.FIN|wire.RST) != 0 || !t.known || !back.known {
		return false, false
	}
	end := s.Seq.Add(len(s.Payload))
	upto := back.ack // all before it the receiver has, or we owe
	if n := len(t.proxy.owed); n > 0 {
		upto = t.proxy.owed[n-1].end
	}
	again := end.LessEq(upto) && len(t.proxy.owed) > 0
	if !again && (upto != s.Seq || len(t.proxy.owed) == proxyRoom) {
		return false, false // behind a hole, or too much: that is the receiver's to answer
	}
	r := wire.Segment{Src: s.Dst, Dst: s.Src, TTL: 64, Seq: v.flow.expected(v), Ack: end, Flags: wire.ACK}
	if again {
		r.Ack = upto
	}
	r.Window = uint16(min(65535, max(0, back.ack.Add(back.window).Sub(r.Ack))>>back.wscale))
	if s.Options.Has&wire.HasTimestamps != 0 && back.stamps {
		r.Options.Has, r.Options.TSVal, r.Options.TSEcr = wire.HasTimestamps, back.tsVal, s.Options.TSVal
	}
	m.answer(v, wire.AppendPacket(nil, &r))
	p := &t.proxy
	if again {
		return true, true
	}
	if len(p.owed) == 0 {
		p.wait = proxyWait
		p.again = now.Add(p.wait)
	}
	p.owed = append(p.owed, segment{end, i, slices.Clone(v.b)})
	m.flows.watch(v.flow)
	return false, true
}

// repeat sends what the receiver does not acknowledge once more.
func (m *Middlebox) repeat(now clock.Instant, f *flow, dir int) {
	p := &f.dir[dir].proxy
	p.wait = min(2*p.wait, proxyMax)
	p.again = now.Add(p.wait)
	for i := range p.owed {
		s := &p.owed[i]
		r := &m.rules[s.rule]
		r.buf = append(r.buf[:0], s.b...)
		v := &r.view
		v.set(r.buf, m.header, dir, true)
		v.flow, v.dirty = f, true
		m.rule(now, s.rule+1, v)
	}
}
