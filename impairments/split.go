package impairments

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// split sends the segments of a super-segment one by one; false: data is no
// super-segment, or none that can be split.
func (w *Wire) split(d *direction, now clock.Instant, m machine.Meta, data []byte) bool {
	size := m.SegSize
	link := 0 // length of the header before the IP header
	if d.overhead == 0 {
		link = Overhead
	}
	if size <= 0 || len(data) <= link {
		return false
	}
	if d.segment.Parse(data[link:], m.CsumOK || m.CsumStart != 0) != nil {
		return false
	}
	l, ok := wire.LayoutOf(data[link:])
	if !ok || l.End-l.Payload <= size || l.End != len(data)-link {
		return false // padded: not from a stack's offload
	}
	m.SegSize, m.CsumStart, m.CsumOffset = 0, 0, 0
	for at := 0; at < l.End-l.Payload; at += size {
		w.piece = appendPiece(w.piece[:0], data, link, l, at, size, false)
		d.accept(&w.store, now, m, w.piece)
	}
	return true
}
