package impairments

import (
	"encoding/binary"

	"mptcplab/mptcp/wire"
)

// changes reports whether a rewriting rule finds something to change in the packet: a
// SYN, or bytes that did not pass unchanged.
func (r *ruleState) changes(v *view) bool {
	t, e := &v.flow.dir[v.dir], &r.Rewrite
	if v.seg.Flags&wire.SYN != 0 {
		return e.ISN
	}
	if e.Empty() || e.At >= len(v.seg.Payload) {
		return false
	}
	at := v.seg.Seq.Add(e.At)
	return !t.known || !at.Less(t.top) || t.translation.has(at)
}

// edit notes what a rewriting rule changes in the packet; translate does it.
func (m *Middlebox) edit(r *ruleState, v *view) {
	x := &v.flow.dir[v.dir].translation
	if r.Rewrite.ISN && v.seg.Flags&wire.SYN != 0 {
		if t := &v.flow.dir[v.dir]; !t.known || t.isn != v.seg.Seq || x.base == 0 {
			m.rewrites++
			x.base = wire.Seq(m.seed.draw(m.rewrites)>>32) | 1
		}
		return
	}
	e, p := &r.Rewrite, v.seg.Payload
	c := change{at: v.seg.Seq.Add(e.At), remove: min(e.Invert+e.Remove, len(p)-e.At)}
	if c.remove == len(p) && e.Insert == "" && e.Invert < len(p) {
		c.remove-- // nobody would acknowledge an empty segment
	}
	for _, b := range p[e.At:][:min(e.Invert, c.remove)] {
		c.insert = append(c.insert, ^b)
	}
	c.insert = append(c.insert, e.Insert...)
	x.add(c)
}

// translate gives a packet the numbers and the payload that its receiver is to see,
// and reports whether it sent it, in pieces.
func (m *Middlebox) translate(v *view) (sent bool) {
	x := &v.flow.dir[v.dir].translation
	if x.empty() {
		return false
	}
	seq := v.seg.Seq
	p := v.packet()
	binary.BigEndian.PutUint32(p[v.layout.TCP+4:], uint32(x.forward(seq)))
	v.dirty = true
	if len(v.seg.Payload) == 0 || len(x.edits) == 0 {
		return false
	}
	was := len(v.seg.Payload)
	m.piece = x.payload(m.piece[:0:0], seq, v.seg.Payload)
	v.b = append(v.b[:v.link+v.layout.Payload], m.piece...)
	setLength(v.packet())
	if len(m.piece) <= was {
		return false
	}
	// What has grown may not fit the path any more.
	l := v.layout
	l.End = len(v.packet())
	size := max(was, 536)
	for at := 0; at < len(m.piece); at += size {
		m.emit(v.dir, appendPiece(nil, v.b, v.link, l, at, size, false))
	}
	return true
}
