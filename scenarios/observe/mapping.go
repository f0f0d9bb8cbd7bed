package observe

import (
	"math"
	"sort"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// mapping places n bytes from subflow sequence number ssn at off in the stream.
type mapping struct{ ssn, off, n int64 }

// unbounded is the length of an infinite mapping.
const unbounded = math.MaxInt64 / 4

// lookup finds the place of the byte at ssn, and for how many bytes up to end
// the answer holds.
func (n *Counters) lookup(ssn, end int64) (off, run int64, ok bool) {
	i := sort.Search(len(n.maps), func(i int) bool { return n.maps[i].ssn > ssn })
	if i < len(n.maps) {
		end = min(end, n.maps[i].ssn)
	}
	if i == 0 {
		return 0, end - ssn, false
	}
	m := n.maps[i-1]
	if d := ssn - m.ssn; d < m.n {
		return m.off + d, min(end-ssn, m.n-d), true
	}
	return 0, end - ssn, false
}

// addMap remembers a mapping. One that is known, repeated or the continuation of
// its predecessor takes no room.
func (n *Counters) addMap(m mapping) {
	if m.n <= 0 || m.ssn+m.n <= n.una {
		return
	}
	i := sort.Search(len(n.maps), func(i int) bool { return n.maps[i].ssn > m.ssn })
	if i > 0 {
		p := &n.maps[i-1]
		if d := m.ssn - p.ssn; d <= p.n && p.off+d == m.off {
			p.n = max(p.n, d+m.n)
			return
		}
		// "Mappings are forever": the first that covers a byte holds, as at a
		// receiver.
		if d := p.ssn + p.n - m.ssn; d > 0 {
			m = mapping{m.ssn + d, m.off + d, m.n - d}
			if m.n <= 0 {
				return
			}
		}
	}
	n.maps = append(n.maps, mapping{})
	copy(n.maps[i+1:], n.maps[i:])
	n.maps[i] = m
}

// cutMaps forgets mappings of bytes below una, but for the last byte, which an
// acknowledgment still asks for.
func (n *Counters) cutMaps(una int64) {
	i := 0
	for i < len(n.maps) && n.maps[i].ssn+n.maps[i].n < una {
		i++
	}
	if i > 0 {
		n.maps = n.maps[:copy(n.maps, n.maps[i:])]
	}
}

// signalling reads data sequence signals, also of MP_CAPABLE with data.
func (s *Subflow) signalling(at clock.Instant, d Dir, leaves, arrives bool, g *segment) {
	c, o, n := s.conn, &g.opt, &s.Dirs[d]
	if o.Has&wire.HasMPCapable != 0 && o.MPCapable.NumKeys == 2 && d == Up {
		c.setKey(Up, o.MPCapable.SenderKey)
		c.setKey(Down, o.MPCapable.ReceiverKey)
		// "the Data-Level Length [...] the subflow sequence number [is] 1, the
		// data sequence number IDSN+1" (RFC 8684, 3.1).
		n.addMap(mapping{ssn: 1, n: int64(o.MPCapable.DataLen)})
		n.signal = n.signal || o.MPCapable.HasDataLen
	}
	if o.Has&wire.HasDSS == 0 || !c.MPTCP() {
		return
	}
	n.signal = true
	dss := &o.DSS
	if dss.HasMap {
		s.mapped(at, d, arrives, dss)
	}
	if dss.HasAck && leaves && c.Keys[1-d] != 0 {
		c.progress(at, 1-d, c.offset(1-d, dss.DataAck, dss.Ack64, c.Dirs[1-d].Delivered))
	}
}

// mapped takes the mapping of a DSS option.
func (s *Subflow) mapped(at clock.Instant, d Dir, arrives bool, dss *wire.DSS) {
	c, n := s.conn, &s.Dirs[d]
	if c.Keys[d] == 0 {
		return
	}
	off := c.offset(d, dss.DSN, dss.DSN64, c.Dirs[d].Delivered)
	ssn := n.next + int64(int32(uint32(dss.SSN)-uint32(n.next)))
	length := int64(dss.DataLen)
	if dss.DataLen == 0 && !dss.DataFIN {
		// "falling back [...] by setting the Data-Level Length to 0" (3.7)
		reason := "infinite mapping"
		if c.failSeen {
			reason = "infinite mapping after MP_FAIL"
		}
		n.addMap(mapping{ssn, off, unbounded})
		if arrives {
			c.fallback(at, s, reason)
		}
		return
	}
	if dss.DataFIN {
		// DATA_FIN takes the last octet of the data sequence space mapped (3.3.3).
		length--
		dir := &c.Dirs[d]
		if !dir.finKnown {
			dir.fin, dir.finKnown = off+length, true
			s.event(Event{At: at, Kind: EventDataFin, Dir: d, Arrived: arrives})
		}
	}
	if dss.SSN != 0 {
		n.addMap(mapping{ssn, off, length})
	}
}
