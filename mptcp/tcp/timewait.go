package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// TimeWait is what is kept of a connection of which nobody will hear any more: in
// TIME-WAIT, or closed by its owner and in FIN-WAIT-2. It answers what still arrives,
// without an Upper, as Linux's tcp_timewait_state_process.
type TimeWait struct {
	Until clock.Instant // then it can be forgotten

	finWait2       bool
	tsOK           bool
	oowSent        bool
	ttl, tos       uint8
	window         uint16   // as on the wire
	rcvWnd         int      // bytes from rcvNxt
	sndNxt, rcvNxt wire.Seq // as on the wire
	tsOffset       uint32
	tsRecent       uint32
	tsRecentAt     clock.Instant
	lastOOW        clock.Instant
	wait           time.Duration // TIME-WAIT's
}

// Rest returns what is to be kept of a connection at rest; false: it is not at rest, or
// owes something yet.
func (c *Conn) Rest() (TimeWait, bool) {
	half := c.state == StateFINWait2 && c.orphan
	if c.state != StateTimeWait && !half || c.owed.acks > 0 || c.owed.probe || c.owed.stray || c.owed.rst || c.board.packets > 0 ||
		!c.timers.Armed(timerLinger) {
		return TimeWait{}, false
	}
	wnd := max(c.rcvAdv.Sub(c.rcvNxt), 0)
	return TimeWait{
		Until: c.timers[timerLinger], finWait2: half, tsOK: c.tsOK && c.hasTS, oowSent: c.oowSent,
		ttl: c.cfg.TTL, tos: c.cfg.TOS, window: uint16(min(wnd>>c.rcvScale, 65535)), rcvWnd: wnd,
		sndNxt: c.iss + c.sndNxt, rcvNxt: c.irs + c.rcvNxt, tsOffset: c.tsOffset,
		tsRecent: c.tsRecent, tsRecentAt: c.tsRecentAt, lastOOW: c.lastOOW, wait: c.cfg.TimeWait,
	}, true
}

// Drop ends a connection of which Rest is kept: it says that it is Closed.
func (c *Conn) Drop(now clock.Instant) { c.end(now, nil, 0) }

// Verdict is what a segment in TIME-WAIT or FIN-WAIT-2 comes to.
type Verdict uint8

// The verdicts.
const (
	Nothing  Verdict = iota
	Answer           // an ACK: AppendACK
	Refuse           // a RST, as for a segment that belongs to nothing
	Finished         // it can be forgotten
	Reopen           // a SYN that may open a connection in its place
)

// Segment takes a segment.
func (t *TimeWait) Segment(now clock.Instant, s *wire.Segment) Verdict {
	old := t.tsOK && s.Options.Has&wire.HasTimestamps != 0 && s.Flags&wire.RST == 0 &&
		int32(s.Options.TSVal-t.tsRecent) < 0 && now.Sub(t.tsRecentAt) < pawsIdle
	end := s.Seq.Add(s.Len())
	if t.finWait2 {
		return t.finWait(now, s, end, old)
	}
	if !old && s.Seq == t.rcvNxt && (end == s.Seq || s.Flags&wire.RST != 0) {
		if s.Flags&wire.RST != 0 {
			return Finished // "TIME_WAIT assassination": Linux lets it happen (RFC 1337)
		}
		t.Until = now.Add(t.wait)
		t.keepTimestamp(now, s)
		return Nothing
	}
	// "a TCP peer [...] MAY accept a new SYN segment from the remote TCP endpoint to
	// reopen the connection directly from TIME-WAIT state [...] if it [...] assigns its
	// initial sequence number for the new connection to be larger than the largest
	// sequence number it used on the previous connection incarnation"
	// (https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1); or its timestamp is (RFC 6191).
	if s.Flags&(wire.SYN|wire.RST|wire.ACK) == wire.SYN && !old &&
		(t.rcvNxt.Less(s.Seq) || t.tsOK && s.Options.Has&wire.HasTimestamps != 0 && int32(s.Options.TSVal-t.tsRecent) > 0) {
		return Reopen
	}
	if s.Flags&wire.RST != 0 {
		return Nothing
	}
	if old || s.Flags&wire.ACK != 0 {
		// "The only thing that can arrive in this state is a retransmission of the remote
		// FIN. Acknowledge it, and restart the 2 MSL timeout."
		// (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4).
		t.Until = now.Add(t.wait)
	}
	return t.answer(now, s)
}

// finWait is Segment in FIN-WAIT-2.
func (t *TimeWait) finWait(now clock.Instant, s *wire.Segment, end wire.Seq, old bool) Verdict {
	right := t.rcvNxt.Add(t.rcvWnd)
	inWindow := s.Seq == t.rcvNxt && end == s.Seq || t.rcvNxt.Less(end) && s.Seq.Less(right) || s.Seq == right && end == s.Seq
	switch {
	case old || !inWindow:
		return t.answer(now, s)
	case s.Flags&wire.RST != 0 && s.Seq == t.rcvNxt: // RFC 5961, 3.2
		return Finished
	case s.Flags&wire.RST != 0:
		return t.answer(now, s)
	case s.Flags&wire.SYN != 0:
		return t.answer(now, s)
	case s.Flags&wire.ACK == 0 || !t.rcvNxt.Less(end) || end == s.Seq:
		return Nothing
	case s.Flags&wire.FIN == 0 || end != t.rcvNxt.Add(1):
		// Nobody will read it: say so, as RFC 9293, 3.6.1 and RFC 2525, 2.17 want.
		return Refuse
	}
	t.finWait2 = false
	t.rcvNxt = end
	t.keepTimestamp(now, s)
	t.Until = now.Add(t.wait)
	return Answer
}

// answer owes an ACK; what carries no data is answered at a bounded rate.
func (t *TimeWait) answer(now clock.Instant, s *wire.Segment) Verdict {
	if len(s.Payload) == 0 && s.Flags&(wire.FIN|wire.SYN) == 0 {
		if t.oowSent && now.Sub(t.lastOOW) < oowACKLimit {
			return Nothing
		}
		t.oowSent, t.lastOOW = true, now
	}
	return Answer
}

func (t *TimeWait) keepTimestamp(now clock.Instant, s *wire.Segment) {
	if t.tsOK && s.Options.Has&wire.HasTimestamps != 0 {
		t.tsRecent, t.tsRecentAt = s.Options.TSVal, now
	}
}

// AppendACK appends the ACK that s, of the connection, is answered with.
func (t *TimeWait) AppendACK(b []byte, now clock.Instant, s *wire.Segment) []byte {
	a := wire.Segment{Src: s.Dst, Dst: s.Src, TTL: t.ttl, TOS: t.tos, Seq: t.sndNxt, Ack: t.rcvNxt, Flags: wire.ACK, Window: t.window}
	if t.tsOK {
		a.Options.Has = wire.HasTimestamps
		a.Options.TSVal = uint32(int64(now)/int64(time.Millisecond)) + t.tsOffset
		a.Options.TSEcr = t.tsRecent
	}
	return wire.AppendPacket(b, &a)
}

// State returns TIME-WAIT or FIN-WAIT-2.
func (t *TimeWait) State() State {
	if t.finWait2 {
		return StateFINWait2
	}
	return StateTimeWait
}

// NextISS returns the initial sequence number of a connection that takes the place of
// this one: well above everything that it sent.
func (t *TimeWait) NextISS() wire.Seq { return t.sndNxt.Add(65535 + 2) }
