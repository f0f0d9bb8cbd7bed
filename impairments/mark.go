package impairments

import (
	"encoding/binary"

	"mptcplab/mptcp/wire"
)

// ip returns the IP packet in data, whole headers only; false: it is none.
func (d *direction) ip(data []byte) ([]byte, bool) {
	if d.overhead == 0 { // Ethernet frames
		if len(data) < Overhead {
			return nil, false
		}
		data = data[Overhead:]
	}
	if len(data) == 0 {
		return nil, false
	}
	switch v := data[0] >> 4; {
	case v == 4 && data[0]&15 >= 5 && len(data) >= int(data[0]&15)*4, v == 6 && len(data) >= 40:
		return data, true
	}
	return nil, false
}

// mark says Congestion Experienced instead of dropping, if the queue does so and the
// packet's sender understands it: "the CE codepoint [is] set in the IP header if the
// ECT codepoint is set" (RFC 3168, 5). It reports whether it did.
func (d *direction) mark(s *store, id int32) bool {
	if !d.cfg.ECN {
		return false
	}
	p, ok := d.ip(s.packets[id].data)
	if !ok {
		return false
	}
	const ce = 3
	if p[0]>>4 == 6 {
		if p[1]>>4&ce == 0 {
			return false
		}
		p[1] |= ce << 4
		d.stats.Marked++
		return true
	}
	if p[1]&ce == 0 {
		return false
	}
	p[1] |= ce
	header := p[:int(p[0]&15)*4]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], wire.Checksum(header, 0))
	d.stats.Marked++
	return true
}

// discard drops a packet that waited.
func (d *direction) discard(s *store, id int32) {
	d.stats.QueueDropped++
	d.queued--
	d.stats.QueueBytes -= d.size(s, id)
	s.drop(id)
}

// size is what a packet takes of the queue and of the rate, in bytes.
func (d *direction) size(s *store, id int32) int { return len(s.packets[id].data) + d.overhead }
