package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// SYN cookies (RFC 4987, 3.6): where too many SYNs wait for their third ACK, or always,
// a SYN is answered and forgotten. What matters of it is in our initial sequence number
// and in the low bits of our timestamp, and comes back with the third ACK. Layout and
// times are Linux's, the hash is the stack's PRF.

// The values of tcp_syncookies.
const (
	noCookies     = 0
	alwaysCookies = 2
)

const (
	cookieTick  = 64 * time.Second // cookies of the tick before count, too
	cookieValid = 2 * time.Minute  // after the last one was given
	cookieBits  = 24
	cookieMask  = 1<<cookieBits - 1
	maxAge      = 2 // ticks

	tsBits   = 6 // of the timestamp, which carry options
	tsScale  = 0xf
	tsSACK   = 1 << 4
	keyTries = 4 // keys that a SYN may get
	numMSS   = 4 // values of the MSS that a cookie can say
)

// cookieMSS are the values that a cookie can say (Linux's msstab).
func cookieMSS(ipv6 bool) [numMSS]uint16 {
	if ipv6 {
		return [numMSS]uint16{1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60}
	}
	return [numMSS]uint16{536, 1300, 1440, 1460}
}

// cookieHash returns PRF(seed, flow, count).
func (s *Stack) cookieHash(r *request, count uint32) uint32 {
	purpose := []byte("syncookie....")
	for i := range 4 {
		purpose[len(purpose)-4+i] = byte(count >> (8 * i))
	}
	return uint32(s.flowHash(string(purpose), r.local, r.remote))
}

// cookieCount returns the tick at now, never 0: that is the hash without a tick.
func cookieCount(now clock.Instant) uint32 { return uint32(int64(now)/int64(cookieTick)) + 1 }

// cookieISS returns the initial sequence number that says which of the MSS values it is.
func (s *Stack) cookieISS(r *request, now clock.Instant, mss int) wire.Seq {
	count := cookieCount(now)
	return wire.Seq(s.cookieHash(r, 0) + uint32(r.syn.seq) + count<<cookieBits + (s.cookieHash(r, count)+uint32(mss))&cookieMask)
}

// cookieSays returns the MSS value of a cookie; false: it is none of ours, or too old.
func (s *Stack) cookieSays(r *request, now clock.Instant, iss wire.Seq) (mss int, ok bool) {
	v := uint32(iss) - s.cookieHash(r, 0) - uint32(r.syn.seq)
	count := cookieCount(now)
	age := (count - v>>cookieBits) & (1<<(32-cookieBits) - 1)
	if age >= maxAge || age >= count {
		return 0, false
	}
	m := (v - s.cookieHash(r, count-age)) & cookieMask
	return int(m), int(m) < numMSS
}

// answerWithCookie answers the SYN of r, which is not kept.
func (l *Listener) answerWithCookie(now clock.Instant, r *request, seg *wire.Segment) {
	s := l.stack
	y := &r.syn
	if y.has&wire.HasTimestamps == 0 || l.cfg.TCP.NoTimestamps {
		y.has &= wire.HasMSS // there is no place for the others
	}
	best, mss := 0, cookieMSS(r.local.Addr().Is6())
	for i, v := range mss {
		if y.has&wire.HasMSS != 0 && v <= y.mss {
			best = i
		}
	}
	r.iss = s.cookieISS(r, now, best)
	r.offer = l.judge(now, seg, func() (uint64, uint32) { return s.cookieKey(r) })
	l.flooded, l.wasFlooded = now, true
	s.counters.TcpExtSyncookiesSent++
	r.answer(s, now, tcp.FastOpen{}, s.cookieStamp(r, now))
}

// cookieKey returns a key that the stack can tell again when it comes back: "it has to
// generate its own key in a verifiable fashion [...] the tokens SHOULD be checked for
// uniqueness; however, if uniqueness is not met and there is no way to generate an
// alternative verifiable key, then the connection MUST fall back to using regular TCP by
// not sending an MP_CAPABLE in the SYN/ACK."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (s *Stack) cookieKey(r *request) (key uint64, token uint32) {
	for try := range keyTries {
		key = s.verifiableKey(r, try)
		token = wire.Token(key)
		if _, taken := s.tokens[token]; !taken && token != 0 {
			return key, token
		}
	}
	return 0, 0
}

// verifiableKey is "a hash of the 4-tuple, sequence number, and a local secret".
func (s *Stack) verifiableKey(r *request, try int) uint64 {
	purpose := []byte("cookie key.....")
	for i := range 4 {
		purpose[len(purpose)-5+i] = byte(uint32(r.syn.seq) >> (8 * i))
	}
	purpose[len(purpose)-1] = byte(try)
	return s.flowHash(string(purpose), r.local, r.remote)
}

// cookieStamp returns what is to be added to the timestamp of the SYN/ACK so that its low
// bits say the SYN's options (cookie_init_timestamp).
func (s *Stack) cookieStamp(r *request, now clock.Instant) uint32 {
	if r.syn.has&wire.HasTimestamps == 0 {
		return 0
	}
	bits := uint32(tsScale)
	if r.syn.has&wire.HasWScale != 0 {
		bits = uint32(min(r.syn.wscale, 14))
	}
	if r.syn.has&wire.HasSACKPermitted != 0 {
		bits |= tsSACK
	}
	clk := uint32(int64(now) / int64(time.Millisecond))
	val := clk>>tsBits<<tsBits | bits
	if val > clk {
		val -= 1 << tsBits
	}
	return val - clk
}

// inputCookie takes a segment of no connection that may answer a cookie; false: it does
// not.
func (l *Listener) inputCookie(now clock.Instant, seg *wire.Segment) bool {
	s := l.stack
	if s.sysctl.synCookies() == noCookies || !l.wasFlooded || now.Sub(l.flooded) > cookieValid ||
		seg.Flags&(wire.SYN|wire.RST|wire.ACK) != wire.ACK {
		return false
	}
	r := &request{listener: l, local: seg.Dst, remote: seg.Src, iss: seg.Ack.Add(-1), sentAt: now, sent: 2} // no round trip is known
	r.syn = synRecord{seq: seg.Seq.Add(-1), flags: wire.SYN, window: seg.Window, has: wire.HasMSS}
	mss, ok := s.cookieSays(r, now, r.iss)
	if !ok || !s.cookieOptions(r, seg) {
		s.counters.TcpExtSyncookiesFailed++
		return false
	}
	s.counters.TcpExtSyncookiesRecv++
	r.syn.mss = cookieMSS(r.local.Addr().Is6())[mss]
	r.window = min(initialLimit(&l.cfg), 65535)
	r.offer = l.judgeCookie(r, seg)
	if l.full() {
		s.counters.TcpExtListenOverflows++
		l.refuse(now, "the backlog is full")
		return true
	}
	r.ordinal = s.newOrdinal()
	sf := r.make(s, now)
	sf.resume(s, now, r)
	sf.segment(now, seg)
	return true
}

// cookieOptions reads the SYN's options from the timestamp echoed (cookie_timestamp_decode).
func (s *Stack) cookieOptions(r *request, seg *wire.Segment) bool {
	cfg := &r.listener.cfg.TCP
	if seg.Options.Has&wire.HasTimestamps == 0 {
		return true
	}
	if cfg.NoTimestamps {
		return false
	}
	y := &r.syn
	y.has |= wire.HasTimestamps
	y.tsVal = seg.Options.TSVal
	bits := seg.Options.TSEcr - s.tsOffset(r.local, r.remote)
	if bits&tsSACK != 0 {
		y.has |= wire.HasSACKPermitted
	}
	if bits&tsScale != tsScale {
		y.has |= wire.HasWScale
		y.wscale = uint8(bits & tsScale)
	}
	return (bits&tsSACK == 0 || !cfg.NoSACK) && (y.has&wire.HasWScale == 0 || !cfg.NoWindowScaling)
}

// judgeCookie is judge for the third ACK of a SYN that was not kept: both keys are in it.
func (l *Listener) judgeCookie(r *request, seg *wire.Segment) (f offer) {
	s := l.stack
	o := &seg.Options.MPCapable
	switch {
	case l.cfg.PlainTCP:
		f.plain, f.why = true, reasonNoCapableInSYN
		return f
	case seg.Options.Has&wire.HasMPCapable == 0 || o.NumKeys != 2 || !acceptable(o):
		f.why = reasonNoCapableInACK
		return f
	}
	f.why = reasonCapableRefused
	for try := range keyTries {
		key := s.verifiableKey(r, try)
		token := wire.Token(key)
		if _, taken := s.tokens[token]; key == o.ReceiverKey && !taken && token != 0 {
			f.capable, f.key, f.token = true, key, token
		}
	}
	f.checksum = l.cfg.ChecksumEnabled || o.Flags&wire.CapChecksum != 0
	f.denyJoin = o.Flags&wire.CapNoJoin != 0
	return f
}
