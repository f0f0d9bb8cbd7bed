package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// timeWait is all that is kept of a TCP connection in TIME-WAIT, or of one in FIN-WAIT-2
// whose owner has gone. Its Conn has forgotten it.
type timeWait struct {
	timer
	tcp           tcp.TimeWait
	local, remote netip.AddrPort
}

// rest turns subflows at rest into records.
func (c *Conn) rest(now clock.Instant) {
	s := c.stack
	kept := c.subflows[:0]
	for _, sf := range c.subflows {
		t, ok := sf.tcp.Rest()
		if ok && sf.stage != ended { // an orphan in FIN-WAIT-2
			sf.end("fin")
			c.endSubflow(now, sf)
		}
		if !ok {
			kept = append(kept, sf)
			continue
		}
		sf.tcp.Drop(now)
		sf.forget()
		w := &timeWait{tcp: t, local: sf.local, remote: sf.remote}
		w.timer = timer{due: clock.Never, ordinal: c.ordinal, owner: w}
		s.bind(flowKey{sf.local, sf.remote}, w)
		s.timers.set(&w.timer, t.Until)
	}
	clear(c.subflows[len(kept):])
	c.subflows = kept
}

// expire forgets the connection.
func (w *timeWait) expire(s *Stack, now clock.Instant) { w.drop(s) }

func (w *timeWait) drop(s *Stack) {
	s.timers.remove(&w.timer)
	s.unbind(flowKey{w.local, w.remote}, w)
}

// input takes a segment; false: the record is gone and the segment is a new one's.
func (w *timeWait) input(s *Stack, now clock.Instant, seg *wire.Segment) bool {
	switch w.tcp.Segment(now, seg) {
	case tcp.Answer:
		s.answer(w.local.Addr(), w.remote.Addr(), func(b []byte) []byte { return w.tcp.AppendACK(b, now, seg) })
	case tcp.Refuse:
		s.reset(seg, nil)
		w.drop(s)
		return true
	case tcp.Finished:
		w.drop(s)
		return true
	case tcp.Reopen:
		if s.listener(seg.Dst) != nil {
			w.drop(s)
			return false
		}
		s.answer(w.local.Addr(), w.remote.Addr(), func(b []byte) []byte { return w.tcp.AppendACK(b, now, seg) })
	}
	s.timers.set(&w.timer, w.tcp.Until)
	return true
}
