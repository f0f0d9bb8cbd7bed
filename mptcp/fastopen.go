package mptcp

import (
	"encoding/binary"
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// TCP Fast Open (RFC 7413): who may send and take data in a SYN. What TCP does then is
// in tcp/fastopen.go.
//
// Of MPTCP: "the TFO data must not be considered part of the data sequence number space:
// the SYN with MP_CAPABLE still occupies the first octet of data sequence space, but then
// the first non-TFO data byte occupies the second octet"
// (https://www.rfc-editor.org/rfc/rfc8684#appendix-B.2). Here the bytes of the SYN stand
// at the beginning of the stream as all others do; it is sndBase and rcvBase, the DSN of
// its first byte, that are moved back by as many as the peer has taken from the SYN, and
// the ssn of mappings that leave them out.

// FastOpenKeys are the secrets of cookies, the active one first: the other one is that
// of cookies given before.
type FastOpenKeys struct {
	Num  int // 0: none
	Keys [2][16]byte
}

// cookie returns the cookie that client is to show to server, "obtained by encrypting
// the [...] client IP address" in the way of Linux: SipHash of source and destination
// address of the SYN.
func cookie(key [16]byte, client, server netip.Addr) (f wire.FastOpen) {
	var b [32]byte
	n := copy(b[:], client.AsSlice())
	n += copy(b[n:], server.AsSlice())
	binary.LittleEndian.PutUint64(f.Cookie[:], wire.SipHash(key, b[:n]))
	f.Len = 8
	return f
}

// fastOpenKeys returns the listener's own keys, or the stack's.
func (l *Listener) fastOpenKeys() FastOpenKeys {
	k := l.cfg.FastOpenKeys
	if k.Num == 0 {
		k = l.stack.sysctl.FastOpenKeys
	}
	if k.Num == 0 {
		k.Num = 1
		binary.LittleEndian.PutUint64(k.Keys[0][:], l.stack.draw("fastopen", 0, 0))
		binary.LittleEndian.PutUint64(k.Keys[0][8:], l.stack.draw("fastopen", 0, 1))
	}
	return k
}

// fastOpen decides what a SYN gets: take says that its data is taken, and the option
// that answers goes on the SYN/ACK if it has one (tcp_try_fastopen).
//
// "If IsCookieValid() returns false, go to step 5": the SYN/ACK acknowledges the SYN only
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2).
func (l *Listener) fastOpen(seg *wire.Segment) (fo tcp.FastOpen, take bool) {
	y, n := &l.stack.sysctl, &l.stack.counters
	o := &seg.Options
	asked := o.Has&wire.HasFastOpen != 0
	if asked && o.FastOpen.Len == 0 {
		n.TcpExtTCPFastOpenCookieReqd++
	}
	if !y.fastOpen(FastOpenServer) || !asked && seg.Len() == 1 || !l.fastOpenRoom() {
		return fo, false
	}
	if y.fastOpen(FastOpenServerNoCookie) || l.cfg.FastOpenNoCookie {
		n.TcpExtTCPFastOpenPassive++
		return fo, true
	}
	if !asked {
		return fo, false
	}
	keys := l.fastOpenKeys()
	fo.Option, fo.Cookie = true, cookie(keys.Keys[0], seg.Src.Addr(), seg.Dst.Addr())
	fo.Cookie.Exp = o.FastOpen.Exp
	if o.FastOpen.Len == 0 {
		return fo, false
	}
	for i, k := range keys.Keys[:keys.Num] {
		c := cookie(k, seg.Src.Addr(), seg.Dst.Addr())
		if o.FastOpen.Len != c.Len || o.FastOpen.Cookie != c.Cookie {
			continue
		}
		n.TcpExtTCPFastOpenPassive++
		if i > 0 {
			n.TcpExtTCPFastOpenPassiveAltKey++ // and the new cookie goes along
			return fo, true
		}
		return tcp.FastOpen{}, true
	}
	n.TcpExtTCPFastOpenPassiveFail++
	return fo, false
}

// fastOpenRoom reports whether one more connection may be opened by its SYN: "the
// server also maintains [...] PendingFastOpenRequests: tracks the number of TFO
// connections in SYN-RCVD state" (RFC 7413, 4.1.2, 5.1). One that was reset counts for a
// minute more, as in Linux: that is what spoofed SYNs come to.
func (l *Listener) fastOpenRoom() bool {
	limit := l.fastOpenMax
	if limit <= 0 {
		return false
	}
	if l.fastOpenPending < limit {
		return true
	}
	if at, ok := l.fastOpenReset.front(); ok && at <= l.stack.now {
		l.fastOpenReset.pop()
		l.fastOpenPending--
		return true
	}
	l.stack.counters.TcpExtTCPFastOpenListenOverflow++
	return false
}

// resetMemory is how long a reset counts against the limit (reqsk_fastopen_remove).
const resetMemory = 60 * 1e9

// fastOpenDone notes that the handshake of a connection opened by its SYN is over.
func (l *Listener) fastOpenDone(now clock.Instant, reset bool) {
	if reset && !l.closed {
		l.fastOpenReset.push(now.Add(resetMemory))
		return
	}
	l.fastOpenPending--
}

// FastOpenEnabled reports whether the client's side of tcp_fastopen is on.
func (s *Stack) FastOpenEnabled() bool { return s.sysctl.fastOpen(FastOpenClient) }

// ExpectWrite says that the application waits for the connection with data to write: the
// third packet of the handshake waits for that.
func (c *Conn) ExpectWrite() {
	if len(c.subflows) > 0 {
		c.subflows[0].tcp.HoldACK()
	}
}

// fastOpenDisabled reports whether Fast Open is not tried for a while.
func (s *Stack) fastOpenDisabled(now clock.Instant) bool {
	return s.noFastOpen.holds(now, s.sysctl.foBlackhole())
}

// fastOpenCookie returns the option for a SYN from local to remote, and whether data may
// go along (tcp_fastopen_cookie_check). option false: none.
func (s *Stack) fastOpenCookie(now clock.Instant, cfg *Config, local, remote netip.Addr) (fo tcp.FastOpen, data bool) {
	d := s.peers.get(hostPair{local, remote})
	if d != nil {
		fo.Cookie = d.cookie
		if d.cookie.Len == 0 {
			fo.Cookie.Exp = d.tryExp == 1
		}
	}
	switch {
	case s.fastOpenDisabled(now):
		return tcp.FastOpen{}, false
	case s.sysctl.fastOpen(FastOpenClientNoCookie) || cfg.FastOpenNoCookie:
		return tcp.FastOpen{}, true
	}
	fo.Option = true
	return fo, fo.Cookie.Len > 0
}

// FastOpenReady reports whether a SYN to raddr can carry data: there is a cookie, or
// none is needed. If so a connect with TCP_FASTOPEN_CONNECT waits for the first write.
func (s *Stack) FastOpenReady(now clock.Instant, cfg *Config, laddr, raddr netip.AddrPort) bool {
	conf := s.resolve(cfg)
	local, err := s.pickLocal(laddr, raddr)
	if err != nil {
		return false
	}
	_, data := s.fastOpenCookie(now, &conf, local.Addr(), raddr.Addr())
	return data
}

// DialFastOpen begins a connection as Dial does, with Fast Open: the SYN carries as much
// of p as fits if that is possible, or asks for a cookie. It returns how many bytes were
// taken; the others are to be written when the connection is established. p nil, which is
// not empty, says that there should have been data: the SYN asks for a cookie. It fails with
// ErrNotSupported where the client's side of tcp_fastopen is off.
func (s *Stack) DialFastOpen(now clock.Instant, cfg *Config, laddr, raddr netip.AddrPort, p []byte) (*Conn, int, error) {
	if !s.FastOpenEnabled() {
		return nil, 0, ErrNotSupported
	}
	c, err := s.dial(now, cfg, laddr, raddr)
	if err != nil {
		return nil, 0, err
	}
	sf := c.subflows[0]
	sf.foAgain = s.noFastOpen.times > 0
	fo, data := s.fastOpenCookie(now, c.cfg, c.laddr.Addr(), raddr.Addr())
	if p == nil {
		fo.Cookie = wire.FastOpen{Exp: fo.Cookie.Exp}
	}
	if data && len(p) > 0 {
		mss := 0
		if d := s.peers.get(hostPair{c.laddr.Addr(), raddr.Addr()}); d != nil {
			mss = d.mss
		}
		params := sf.params(now)
		fo.Data = min(len(p), tcp.FastOpenRoom(&params, mss), c.free())
		c.send.ring.Append(p[:fo.Data])
		c.send.end = uint64(fo.Data)
		c.send.nxt, c.send.pushAt = c.send.end, c.send.end
		c.stats.sent += uint64(fo.Data)
		sf.tx.infinite(1, 0) // the stream, until it is known what the peer takes
		sf.tx.nxt = 1 + uint64(fo.Data)
	}
	sf.connect(now, fo)
	s.touch(c)
	return c, fo.Data, nil
}

// fastOpenReply remembers what the SYN/ACK says of Fast Open (tcp_rcv_fastopen_synack).
func (sf *subflow) fastOpenReply(s *wire.Segment) {
	asked, exp := sf.tcp.FastOpenAsked()
	sent := sf.tcp.SYNDataSent()
	if !asked && !sent {
		return
	}
	n := &sf.conn.stack.counters
	unacked := sent && sf.tcp.SndUna() != sf.tcp.SndNxt()
	switch {
	case unacked:
		n.TcpExtTCPFastOpenActiveFail++
	case sent:
		n.TcpExtTCPFastOpenActive++
	}
	d := sf.conn.stack.peers.make(hostPair{sf.local.Addr(), sf.remote.Addr()})
	o := &s.Options
	if o.Has&wire.HasMSS != 0 && o.MSS > 0 {
		d.mss = int(o.MSS)
	}
	got := asked && o.Has&wire.HasFastOpen != 0
	lost := false
	switch {
	case got && o.FastOpen.Len > 0:
		d.cookie = o.FastOpen
	case got || !asked:
	case sf.tcp.SYNRetransmits() > 0:
		// "If the SYN-ACK acknowledges only the initial sequence and does not carry a
		// Fast Open cookie option, presumably it is triggered by a retransmitted
		// (regular) SYN" (https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2).
		lost = unacked
	case !sent && d.cookie.Len == 0 && !d.cookie.Exp:
		// No cookie: once in the experimental form, then back.
		try := uint8(1)
		if exp {
			try = 2
		}
		d.tryExp = max(d.tryExp, try)
	}
	if lost {
		d.losses++
	} else {
		d.losses = 0
	}
}

// watchFastOpen stops Fast Open for a while when a connection that used it times out for
// the third time in a row, or for good: "Broken middle-boxes may black-hole Fast Open
// connection during or even after the handshake" (Linux,
// tcp_fastopen_active_detect_blackhole).
func (sf *subflow) watchFastOpen(now clock.Instant, expired bool) {
	if asked, _ := sf.tcp.FastOpenAsked(); !asked && !sf.tcp.SYNDataSent() {
		return
	}
	if n := sf.tcp.Timeouts(); n == 3 && !expired || n < 3 && expired {
		sf.conn.stack.stopFastOpen(now)
	}
}

// doubtFastOpen stops it at a RST in the window before any data has come, which a
// middlebox may have sent that kept the data.
func (sf *subflow) doubtFastOpen(now clock.Instant) {
	if asked, _ := sf.tcp.FastOpenAsked(); asked && sf.tcp.State() == tcp.StateEstablished && sf.tcp.Info(now).DataSegsIn == 0 {
		sf.conn.stack.stopFastOpen(now)
	}
}

func (s *Stack) stopFastOpen(now clock.Instant) {
	if s.noFastOpen.found(now, s.sysctl.foBlackhole()) {
		s.counters.TcpExtTCPFastOpenBlackhole++
	}
}

// trustFastOpen notes at the end of a connection that data came with Fast Open after it had
// been stopped (tcp_fastopen_active_disable_ofo_check).
func (sf *subflow) trustFastOpen() {
	if asked, _ := sf.tcp.FastOpenAsked(); sf.foAgain && asked && sf.tcp.Info(sf.conn.stack.now).DataSegsIn > 0 {
		sf.conn.stack.noFastOpen.over()
	}
}

// accountSYNData settles what became of the bytes in our SYN once the peer's answer is
// understood: those that it took are delivered and have no data sequence number, the
// others get the first ones.
func (sf *subflow) accountSYNData(now clock.Instant) {
	c := sf.conn
	if !sf.tcp.SYNDataSent() {
		return
	}
	taken := uint64(sf.tcp.SndUna() - 1)
	if c.streaming() {
		c.streamAcked(now, taken)
		return
	}
	sf.tx.streaming = false
	sf.tx.synData = taken
	c.sndBase = c.sndBase.Add(-int(taken))
	c.send.una = taken
	c.send.edge += taken
	c.stats.acked += taken
	c.send.ring.Free(taken)
	if rest := c.send.end - taken; rest > 0 {
		// "The initiator will simply retransmit the missing data together with a DSS
		// mapping." (https://www.rfc-editor.org/rfc/rfc8684#appendix-B.3).
		m := sndMap{ssn: 1 + taken, off: taken, n: int(rest), push: true}
		sf.tx.nxt = m.ssn
		m.csum = c.checksumOf(&m, sf.tx.wire(m.ssn))
		sf.tx.add(m)
		c.armRetransmit(now)
	}
}
