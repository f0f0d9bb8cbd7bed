package observe

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// handshake follows SYN, SYN/ACK and the first ACK.
func (s *Subflow) handshake(at clock.Instant, d Dir, out bool, g *segment) {
	c := s.conn
	if g.flags&wire.SYN != 0 {
		with := g.opt.Has&wire.HasMPCapable != 0
		if s.ID == 0 {
			if out {
				c.capable[d].left, c.capable[d].leftWith = true, with
			} else {
				c.capable[d].arrived, c.capable[d].arrivedWith = true, with
			}
		}
		if g.flags&wire.ACK == 0 || d == s.initiator {
			return
		}
		s.answered = true
		s.Dirs[d].isn = g.seq
		if with && s.ID == 0 {
			c.setKey(Down, g.opt.MPCapable.SenderKey)
		}
		s.joined = s.joining && g.opt.Has&wire.HasMPJoin != 0
		if s.joining && !s.joined && !out {
			s.event(Event{At: at, Kind: EventJoinRefused, Dir: d, Arrived: true, Text: "no MP_JOIN in SYN/ACK"})
		}
		if !out && s.ID == 0 && c.Established == clock.Never {
			c.Established = at
		}
		return
	}
	if d != s.initiator || !s.answered || g.flags&(wire.ACK|wire.RST) != wire.ACK {
		return
	}
	if s.ID == 0 && !c.decided {
		c.decide(at, s)
	}
	if s.Established != clock.Never || (s.ID > 0 && (!s.joined || out && c.observed[1-d])) {
		return
	}
	s.Established = at
	if s.ID == 0 {
		c.Established = min(c.Established, at)
		s.Established = c.Established
	}
	s.event(Event{At: at, Kind: EventSubflow, Dir: d, Arrived: !out})
}

// decide judges the three-way handshake of the first subflow.
func (c *Conn) decide(at clock.Instant, s *Subflow) {
	c.decided = true
	switch syn, ans := c.capable[Up], c.capable[Down]; {
	case !syn.with():
		c.fallback(at, s, syn.missing("SYN"))
	case !ans.with():
		c.fallback(at, s, ans.missing("SYN/ACK"))
	default:
		c.agreed = true
	}
}

// with reports whether MP_CAPABLE was there where it counts: at the receiver, if
// that is observed.
func (v sighting) with() bool {
	if v.arrived {
		return v.arrivedWith
	}
	return v.leftWith
}

func (v sighting) missing(segment string) string {
	if v.leftWith && v.arrived {
		return "MP_CAPABLE stripped from " + segment
	}
	return "no MP_CAPABLE in " + segment
}

// confirm judges what comes after a handshake in which both ends spoke
// MP_CAPABLE.
//
// "If B has data to send first [...] the first data [...] If A or B does not
// receive an MP_CAPABLE option or a DSS in return, it falls back"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func (s *Subflow) confirm(at clock.Instant, d Dir, arrives bool, g *segment) {
	c, n := s.conn, &s.Dirs[d]
	if !arrives || s.ID > 0 || !c.MPTCP() || g.flags&(wire.SYN|wire.RST) != 0 {
		return
	}
	with := g.opt.Has&(wire.HasDSS|wire.HasMPCapable) != 0
	first := n.unwrap(g.seq) == 1
	switch {
	case d == Up && !c.confirmed:
		if with {
			c.confirmed = true
		} else if first && g.opt.Has&wire.HasMPTCP == 0 {
			c.fallback(at, s, "no MP_CAPABLE in third ACK or first data")
		}
	case first && g.n > 0 && !with && !n.signal:
		c.fallback(at, s, "no DSS in first data")
	}
}

// fallback makes the connection plain TCP. What has no mapping then continues
// where the first subflow stands: subflow sequence number 1 is the first byte.
func (c *Conn) fallback(at clock.Instant, s *Subflow, reason string) {
	c.Fallback = reason
	for d := range s.Dirs {
		n := &s.Dirs[d]
		m := mapping{ssn: 1, n: unbounded}
		if k := len(n.maps); k > 0 {
			l := n.maps[k-1]
			m = mapping{l.ssn + l.n, l.off + l.n, unbounded}
			if l.n >= unbounded {
				continue
			}
		}
		n.addMap(m)
	}
	s.event(Event{At: at, Kind: EventFallback, Arrived: true, Text: reason})
}
