package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// request is a connection, or a subflow, of which only the SYN is known (a request
// socket): what is needed to answer it once more, and to open it when the third ACK comes.
// Nothing else is kept until then, so that SYNs cost little.
type request struct {
	timer
	listener      *Listener // nil: of a join
	join          *joinRequest
	local, remote netip.AddrPort
	syn           synRecord
	iss           wire.Seq
	offer         offer
	sentAt        clock.Instant // the first SYN/ACK
	lastOOW       clock.Instant
	tries         int  // of the timer
	sent          int  // SYN/ACKs
	window        int  // what they advertised
	acked         bool // the third ACK came, and was not enough or found the backlog full
	dropped       bool
}

// joinRequest is what a SYN with MP_JOIN says beyond.
type joinRequest struct {
	conn                    *Conn
	localID, remoteID       uint8
	backup, peerBackup      bool
	localNonce, remoteNonce uint32
}

// synRecord is a SYN, less what no connection needs.
type synRecord struct {
	seq    wire.Seq
	tsVal  uint32
	window uint16
	mss    uint16
	wscale uint8
	tos    uint8
	flags  wire.Flags
	has    wire.OptionSet
}

func recordSYN(s *wire.Segment) synRecord {
	o := &s.Options
	return synRecord{seq: s.Seq, tsVal: o.TSVal, window: s.Window, mss: o.MSS, wscale: o.WScale, tos: s.TOS, flags: s.Flags,
		has: o.Has & (wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted | wire.HasTimestamps)}
}

// segment restores the SYN. It is valid until the next one is.
func (r *request) segment(s *Stack) *wire.Segment {
	y := &r.syn
	s.syn = wire.Segment{Src: r.remote, Dst: r.local, Seq: y.seq, Flags: y.flags, Window: y.window, TOS: y.tos}
	s.syn.Options = wire.Options{Has: y.has, TSVal: y.tsVal, MSS: y.mss, WScale: y.wscale}
	return &s.syn
}

// config returns what the socket that the SYN was for says.
func (r *request) config() *Config {
	if r.join != nil {
		return r.join.conn.cfg
	}
	return &r.listener.cfg
}

// begin answers a SYN that was judged, and remembers it.
func (s *Stack) begin(now clock.Instant, r *request, fo tcp.FastOpen) {
	r.owner, r.due = r, clock.Never
	r.sentAt = now
	s.bind(flowKey{r.local, r.remote}, r)
	if r.listener != nil {
		r.listener.half++
		r.listener.young++
	}
	r.answer(s, now, fo, 0)
	s.timers.set(&r.timer, now.Add(synackRTO))
}

// synackRTO is the time to the first repetition of a SYN/ACK; it doubles.
const synackRTO = time.Second

// answer sends the SYN/ACK: that of the connection which the request would be, of which
// nothing else is kept. shift is added to its timestamp.
func (r *request) answer(s *Stack, now clock.Instant, fo tcp.FastOpen, shift uint32) {
	p := s.tcpParams(&r.config().TCP, r.local, r.remote, r.iss)
	p.TSOffset += shift
	p.Family, _ = cc.Lookup("reno") // it will not be asked
	p.FastOpen = fo
	switch {
	case r.join != nil:
		r.window = r.join.conn.advertise(1)
	default:
		r.window = initialLimit(r.config())
		if r.offer.capable {
			p.SYNOptions = capableAnswer
		}
	}
	r.window = min(r.window, 65535)
	c := tcp.Accept(now, p, &synackUpper{r}, r.segment(s))
	if c.Info(now).Options&1 == 0 {
		r.syn.has &^= wire.HasTimestamps // left out, beside a cookie
	}
	r.sent++
	s.answer(r.local.Addr(), r.remote.Addr(), func(b []byte) []byte {
		if cap(b) < synackMax {
			b = make([]byte, synackMax)
		}
		b = b[:synackMax]
		n, _ := c.Output(now, b)
		return b[:n]
	})
}

// synackMax is the length of the longest SYN/ACK: headers with all options.
const synackMax = 100

// synackUpper is the Upper of a connection that exists for its SYN/ACK only.
type synackUpper struct{ r *request }

func (u *synackUpper) Options(_ clock.Instant, s *wire.Segment, _ wire.Seq, _, _ int) int {
	o, r := &s.Options, u.r
	switch {
	case r.join != nil:
		r.join.options(o)
	case r.offer.capable:
		o.Has |= wire.HasMPCapable
		o.MPCapable = wire.MPCapable{Version: version, Flags: capableFlags(r.config(), r.offer.checksum), NumKeys: 1, SenderKey: r.offer.key}
	}
	return r.window
}

func (u *synackUpper) Unsent() (int, bool, bool)                         { return 0, false, false }
func (u *synackUpper) Plan(wire.Seq, int) (int, int, bool)               { return 0, 0, false }
func (u *synackUpper) Fill([]byte, wire.Seq)                             {}
func (u *synackUpper) HandleOptions(clock.Instant, *wire.Segment) error  { return nil }
func (u *synackUpper) Deliver(_ clock.Instant, _ wire.Seq, _ []byte) int { return 0 }
func (u *synackUpper) InOrder(_ clock.Instant, _ wire.Seq, _ bool)       {}
func (u *synackUpper) Acked(clock.Instant, wire.Seq)                     {}
func (u *synackUpper) Event(clock.Instant, tcp.Event)                    {}

// expire repeats the SYN/ACK, or gives up.
func (r *request) expire(s *Stack, now clock.Instant) {
	limit := set(r.config().TCP.SYNACKRetries, 5)
	if l := r.listener; l != nil {
		limit = l.pruned(limit)
	}
	deferred := r.acked && r.defers()
	if r.obsolete() || r.tries >= limit && !deferred {
		s.drop(now, "the third ACK never came")
		r.drop(s)
		return
	}
	if r.tries++; r.tries == 1 && r.listener != nil {
		r.listener.young--
	}
	// A peer that waits for us to accept is asked for its ACK again at the end of that
	// only (syn_ack_recalc).
	if !deferred || !r.defers() {
		r.answer(s, now, tcp.FastOpen{}, 0)
	}
	most := or(r.config().TCP.RTOMax, 120*time.Second)
	s.timers.set(&r.timer, now.Add(min(synackRTO<<r.tries, most)))
}

// defers reports whether the connection still waits for data (TCP_DEFER_ACCEPT).
func (r *request) defers() bool { return r.listener != nil && r.tries < r.listener.cfg.DeferAccept }

// obsolete reports whether nobody waits for the connection any more.
func (r *request) obsolete() bool {
	if r.join != nil {
		return r.join.conn.done
	}
	for l := r.listener; l.closed && l.heir != nil; l = r.listener {
		r.leave()
		r.listener = l.heir
		r.listener.half++
		if r.tries == 0 {
			r.listener.young++
		}
	}
	return r.listener.closed
}

// leave takes the request off its listener's account.
func (r *request) leave() {
	l := r.listener
	if l.half--; r.tries == 0 {
		l.young--
	}
}

// drop forgets the request.
func (r *request) drop(s *Stack) {
	if r.dropped {
		return
	}
	r.dropped = true
	s.timers.remove(&r.timer)
	s.unbind(flowKey{r.local, r.remote}, r)
	if r.listener != nil {
		r.leave()
	}
	if r.offer.token != 0 && s.tokens[r.offer.token] == nil {
		delete(s.tokens, r.offer.token)
	}
}

// input takes a segment of the request's connection (tcp_check_req); false: it is
// nobody's any more.
func (r *request) input(s *Stack, now clock.Instant, seg *wire.Segment) bool {
	if r.obsolete() {
		r.drop(s)
		return false
	}
	y, f := &r.syn, seg.Flags
	next, end := y.seq.Add(1), seg.Seq.Add(seg.Len())
	old := y.has&wire.HasTimestamps != 0 && seg.Options.Has&wire.HasTimestamps != 0 &&
		f&wire.RST == 0 && int32(seg.Options.TSVal-y.tsVal) < 0
	switch {
	case f&(wire.SYN|wire.ACK|wire.RST) == wire.SYN && seg.Seq == y.seq && !old:
		// The SYN again: our SYN/ACK may be lost.
		r.answer(s, now, tcp.FastOpen{}, 0)
	case old || !(seg.Seq == next && end == next || next.Less(end) && seg.Seq.Less(next.Add(r.window))):
		if f&wire.RST == 0 {
			r.challenge(s, now, seg)
		}
	case f&wire.RST != 0:
		// "If the RST bit is set and the sequence number exactly matches the next expected
		// sequence number (RCV.NXT), then TCP MUST reset the connection"
		// (https://www.rfc-editor.org/rfc/rfc5961#section-3.2).
		if seg.Seq == next {
			s.counters.TcpExtEmbryonicRsts++
			r.drop(s)
		} else {
			r.challenge(s, now, seg)
		}
	case f&wire.SYN != 0:
		s.reset(seg, nil)
		r.drop(s)
	case f&wire.ACK == 0:
		// "if the ACK bit is off, drop the segment and return".
	case seg.Ack != r.iss.Add(1):
		// "If the segment acknowledgment is not acceptable, form a reset segment
		// <SEQ=SEG.ACK><CTL=RST> and send it"
		// (https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4).
		s.reset(seg, nil)
	case r.offer.capable && overtakes(seg, next):
		s.drop(now, "data with DSS before the third ACK")
	default:
		r.third(s, now, seg)
	}
	return true
}

// overtakes reports whether seg, with a DSS, has overtaken the third ACK, at next, and the
// first data with MP_CAPABLE, or those got lost. It is not the third packet, by which RFC
// 8684, 3.1 decides, and is dropped: it comes again behind that. A DATA_FIN without data
// stands where the third ACK does.
func overtakes(seg *wire.Segment, next wire.Seq) bool {
	return seg.Options.Has&wire.HasDSS != 0 && (seg.Seq != next || seg.Options.DSS.DataFIN && len(seg.Payload) == 0)
}

// icmp takes an ICMP error about the SYN/ACK: one that says that the peer is not there
// ends the request, of which there is nobody to be told (tcp_req_err). It returns false
// if it quotes something else.
func (r *request) icmp(s *Stack, m *wire.ICMP) bool {
	if m.QuoteSeq != r.iss {
		return false
	}
	v4 := r.local.Addr().Is4()
	switch m.Kind {
	case wire.ICMPNetUnreachable, wire.ICMPHostUnreachable, wire.ICMPTimeExceeded:
		if !v4 {
			return true // it may pass
		}
	case wire.ICMPPortUnreachable, wire.ICMPProhibited:
		if v4 {
			return true
		}
	default:
		return true
	}
	s.counters.TcpExtListenDrops++
	r.drop(s)
	return true
}

// challenge answers what is out of the window with an ACK, at a bounded rate.
func (r *request) challenge(s *Stack, now clock.Instant, seg *wire.Segment) {
	const limit = 500 * time.Millisecond // tcp_invalid_ratelimit
	if len(seg.Payload) == 0 && r.lastOOW != 0 && now.Sub(r.lastOOW) < limit {
		return
	}
	r.lastOOW = now
	a := wire.Segment{Src: r.local, Dst: r.remote, TTL: or(r.config().TCP.TTL, 64), TOS: r.config().TCP.TOS,
		Seq: r.iss.Add(1), Ack: r.syn.seq.Add(1), Flags: wire.ACK, Window: uint16(r.window)}
	if r.syn.has&wire.HasTimestamps != 0 {
		a.Options = wire.Options{Has: wire.HasTimestamps, TSVal: s.tsClock(now, r.local, r.remote), TSEcr: r.syn.tsVal}
	}
	s.answer(r.local.Addr(), r.remote.Addr(), func(b []byte) []byte { return wire.AppendPacket(b, &a) })
}

// third opens the connection, or the subflow, with its third ACK.
func (r *request) third(s *Stack, now clock.Instant, seg *wire.Segment) {
	if r.join != nil {
		r.drop(s)
		r.openJoin(s, now).segment(now, seg)
		s.touch(r.join.conn)
		return
	}
	l := r.listener
	if seg.Len() == 0 && r.defers() {
		r.acked = true
		return
	}
	if l.full() {
		s.counters.TcpExtListenOverflows++
		s.counters.TcpExtListenDrops++
		if s.sysctl.AbortOnOverflow {
			s.reset(seg, nil)
			r.drop(s)
			return
		}
		// The SYN/ACK goes again, so that the peer says its ACK again.
		r.acked = true
		return
	}
	r.drop(s)
	sf := r.make(s, now)
	sf.resume(s, now, r)
	sf.segment(now, seg)
}

// make makes the connection that the request stands for, without its TCP.
func (r *request) make(s *Stack, now clock.Instant) *subflow {
	l := r.listener
	c := s.newConn(r.ordinal, l.cfg, r.local, r.remote)
	c.listener, c.server = l, true
	c.v4only = l.addr.Addr().Is4()
	sf := c.newSubflow(r.local, r.remote)
	c.trace(now, evConnCreated(c))
	c.accept(now, &r.offer)
	s.touch(c)
	return sf
}

// openJoin makes the subflow that the request stood for.
func (r *request) openJoin(s *Stack, now clock.Instant) *subflow {
	j := r.join
	sf := j.conn.newSubflow(r.local, r.remote)
	sf.localID, sf.remoteID = j.localID, j.remoteID
	sf.backup, sf.peerBackup = j.backup, j.peerBackup
	sf.localNonce, sf.remoteNonce = j.localNonce, j.remoteNonce
	sf.resume(s, now, r)
	return sf
}

// resume goes on behind the SYN/ACK of a request.
func (sf *subflow) resume(s *Stack, now clock.Instant, r *request) {
	sf.accept(now, r.segment(s), r.iss, tcp.FastOpen{})
	sf.tcp.Resume(r.sentAt, r.sent-1, r.window)
	sf.edge = sf.conn.recv.edge // as the SYN/ACK said
}
