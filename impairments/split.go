package impairments

import (
	"encoding/binary"

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
	seg := &d.segment
	if seg.Parse(data[link:], m.CsumOK || m.CsumStart != 0) != nil || len(seg.Payload) <= size {
		return false
	}
	payload := seg.Payload
	header := data[:len(data)-len(payload)]
	if cap(payload) > 0 && &payload[len(payload)-1] != &data[len(data)-1] {
		return false // padded: not from a stack's offload
	}
	ip6 := data[link]>>4 == 6
	tcp := link + 40
	if !ip6 {
		tcp = link + int(data[link]&15)*4
	} else if data[link+6] != wire.ProtoTCP {
		return false // extension headers
	}
	m.SegSize, m.CsumStart, m.CsumOffset = 0, 0, 0
	for at := 0; at < len(payload); at += size {
		piece := payload[at:min(at+size, len(payload))]
		b := append(append(w.piece[:0], header...), piece...)
		w.piece = b
		total := len(b) - link
		if ip6 {
			binary.BigEndian.PutUint16(b[link+4:], uint16(total-40))
		} else {
			binary.BigEndian.PutUint16(b[link+2:], uint16(total))
			id := binary.BigEndian.Uint16(b[link+4:])
			binary.BigEndian.PutUint16(b[link+4:], id+uint16(at/size))
		}
		binary.BigEndian.PutUint32(b[tcp+4:], uint32(seg.Seq.Add(at)))
		if at > 0 {
			b[tcp+13] &^= byte(wire.CWR)
		}
		if at+size < len(payload) {
			b[tcp+13] &^= byte(wire.FIN | wire.PSH)
		}
		wire.Finish(b[link:])
		d.accept(&w.store, now, m, b)
	}
	return true
}
