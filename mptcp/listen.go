package mptcp

import (
	"net/netip"
	"slices"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/sched"
	"mptcplab/mptcp/wire"
)

// Listener accepts connections at one address and port.
type Listener struct {
	stack     *Stack
	addr      netip.AddrPort
	cfg       Config
	backlog   queue[*Conn] // the handshake is done, not accepted yet
	src       source
	closed    bool
	heir      *Listener // of a closed one: who goes on with its handshakes
	joinsOnly bool      // of an endpoint: nobody accepts connections from it
	half      int       // requests: SYNs whose third ACK has not come
	young     int       // of those, whose SYN/ACK was not repeated yet

	flooded    clock.Instant // the last SYN that was answered with a cookie
	wasFlooded bool

	fastOpenMax     int                  // so many connections may be open before their third ACK
	fastOpenPending int                  // so many are, or were when they were reset
	fastOpenReset   queue[clock.Instant] // until when those of them count
}

// Listen accepts connections at laddr, whose address may be unspecified (0.0.0.0
// or ::) for all of the host's addresses of that family; :: takes IPv4 as well.
// cfg nil is the host's default.
func (s *Stack) Listen(cfg *Config, laddr netip.AddrPort) (*Listener, error) {
	if laddr.Port() == 0 || !laddr.Addr().IsValid() {
		return nil, ErrInvalid
	}
	if !laddr.Addr().IsUnspecified() && !s.owns(laddr.Addr()) {
		return nil, ErrAddrNotAvail
	}
	l := &Listener{stack: s, addr: laddr, cfg: s.resolve(cfg)}
	if first := s.listeners[laddr]; first != nil {
		if !first.sharesWith(l) {
			return nil, ErrAddrInUse
		}
		defer func() { s.listeners[laddr] = first }() // it gets the SYNs until it is closed
	}
	if err := s.check(&l.cfg); err != nil {
		return nil, err
	}
	l.src.ready.Listener = l
	if l.SetFastOpen(l.cfg.FastOpenQueue); l.fastOpenMax == 0 &&
		s.sysctl.fastOpen(FastOpenServer) && s.sysctl.fastOpen(FastOpenServerAnySockets) {
		l.fastOpenMax = l.backlogMax()
	}
	s.listeners[laddr] = l
	if !l.cfg.PlainTCP {
		s.tellPM(s.now, pm.Event{Kind: pm.ListenerCreated, Path: -1, Local: laddr})
	}
	s.listening = append(s.listening, l)
	return l, nil
}

// sharesWith reports whether both may listen at one address (SO_REUSEPORT).
func (l *Listener) sharesWith(o *Listener) bool {
	return l.cfg.ReusePort && o.cfg.ReusePort && l.cfg.PlainTCP == o.cfg.PlainTCP
}

// another returns a listener at the same address, nil if there is none.
func (l *Listener) another() *Listener {
	for _, o := range l.stack.listening {
		if o != l && o.addr == l.addr && l.sharesWith(o) {
			return o
		}
	}
	return nil
}

// migrate hands the connections that wait for Accept over to another listener at the
// address, and the handshakes under way as soon as they go on (tcp_migrate_req). MPTCP
// connections stay, as in Linux, and end with the listener.
func (l *Listener) migrate(to *Listener) {
	if l.heir = to; !l.cfg.PlainTCP {
		return
	}
	for _, c := range l.stack.conns {
		if c.listener == l {
			c.listener = to
		}
	}
	for _, c := range l.backlog.all() {
		to.ready(c)
	}
}

// backlogMax is how many connections may wait for Accept, less one.
func (l *Listener) backlogMax() int {
	return min(set(l.cfg.Backlog, l.stack.sysctl.soMaxConn()), l.stack.sysctl.soMaxConn())
}

// SetFastOpen sets how many connections the listener opens by their SYN before the third
// ACK has come (TCP_FASTOPEN); 0: none.
func (l *Listener) SetFastOpen(n int) { l.fastOpenMax = l.stack.FastOpenQueue(n) }

// FastOpenQueue returns what of n TCP_FASTOPEN grants: at most net.core.somaxconn.
func (s *Stack) FastOpenQueue(n int) int { return min(n, s.sysctl.soMaxConn()) }

// SetFastOpenKeys changes the secrets of cookies (TCP_FASTOPEN_KEY).
func (l *Listener) SetFastOpenKeys(k FastOpenKeys) { l.cfg.FastOpenKeys = k }

// SetBacklog changes how many connections may wait for Accept, less one.
func (l *Listener) SetBacklog(n int) {
	if l.cfg.Backlog = n; n <= 0 {
		l.cfg.Backlog = -1
	}
}

// Retune takes over from cfg what connections to come begin with, and TCP_DEFER_ACCEPT.
func (l *Listener) Retune(cfg *Config) {
	backlog, pending := l.cfg.Backlog, l.cfg.FastOpenQueue
	l.cfg = l.stack.resolve(cfg)
	l.cfg.Backlog, l.cfg.FastOpenQueue = backlog, pending
}

// FastOpen returns what SetFastOpen set.
func (l *Listener) FastOpen() int { return l.fastOpenMax }

// check says whether a socket of that configuration can be opened.
func (s *Stack) check(c *Config) error {
	if !c.PlainTCP && s.sysctl.NoMPTCP {
		return ErrNoMPTCP
	}
	if _, ok := sched.Lookup(c.Scheduler); !ok {
		return ErrUnknownName
	}
	if _, ok := cc.Lookup(c.TCP.CongestionControl); !ok {
		return ErrUnknownName
	}
	return nil
}

// open answers a SYN: with a connection if it is Fast Open, else with a request of one, or
// without keeping anything (tcp_conn_request).
func (l *Listener) open(now clock.Instant, seg *wire.Segment, iss wire.Seq) {
	s, n := l.stack, &l.stack.counters
	cookies := s.sysctl.synCookies() == alwaysCookies
	if cookies || l.half > l.backlogMax() {
		if s.sysctl.synCookies() == noCookies {
			n.TcpExtTCPReqQFullDrop++
			l.refuse(now, "too many handshakes under way")
			return
		}
		n.TcpExtTCPReqQFullDoCookies++
		cookies = true
	}
	if l.full() {
		n.TcpExtListenOverflows++
		l.refuse(now, "the backlog is full")
		return
	}
	if most := s.sysctl.maxSYNBacklog(); s.sysctl.synCookies() == noCookies && most-l.half < most/4 {
		l.refuse(now, "too many handshakes under way") // Linux keeps that quarter for peers it knows
		return
	}
	r := &request{listener: l, local: seg.Dst, remote: seg.Src, syn: recordSYN(seg), iss: iss}
	if cookies {
		l.answerWithCookie(now, r, seg)
		return
	}
	r.ordinal = s.newOrdinal()
	r.offer = l.judge(now, seg, func() (uint64, uint32) { return s.freshKey(r.ordinal) })
	fo, early := l.fastOpen(seg)
	if !early {
		s.begin(now, r, fo)
		return
	}
	sf := r.make(s, now)
	sf.accept(now, seg, iss, fo)
	sf.acceptEarly(now, seg)
}

// refuse drops a SYN: the peer tries again.
func (l *Listener) refuse(now clock.Instant, why string) {
	l.stack.counters.TcpExtListenDrops++
	l.stack.drop(now, why)
}

// full reports whether more connections wait for Accept than may (sk_acceptq_is_full).
func (l *Listener) full() bool { return l.backlog.len() > l.backlogMax() }

// pruned returns how often a SYN/ACK is repeated, at most limit: less often where old
// requests take the room of young ones (reqsk_timer_handler).
func (l *Listener) pruned(limit int) int {
	if 2*l.half <= max(8, l.backlogMax()) {
		return limit
	}
	for young := 2 * l.young; limit > 2 && l.half >= young; young *= 2 {
		limit--
	}
	return limit
}

// ready puts a connection whose handshake is done into the backlog.
func (l *Listener) ready(c *Conn) {
	l.backlog.push(c)
	l.stack.notify(&l.src, Acceptable)
}

// Accept returns the next connection whose handshake is done; false: there is
// none now.
func (l *Listener) Accept() (*Conn, bool) {
	c, ok := l.backlog.front()
	if !ok {
		return nil, false
	}
	l.backlog.pop()
	c.listener = nil
	for _, sf := range c.subflows {
		sf.tcp.Accepted()
	}
	return c, true
}

// Addr returns the address that is listened at.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close stops listening. Connections not accepted yet are aborted.
func (l *Listener) Close() {
	if l.closed {
		return
	}
	l.closed = true
	if l.stack.listeners[l.addr] == l {
		delete(l.stack.listeners, l.addr)
	}
	if to := l.another(); to != nil {
		if l.stack.listeners[l.addr] == nil {
			l.stack.listeners[l.addr] = to
		}
		if l.stack.sysctl.MigrateReq {
			l.migrate(to)
		}
	}
	if !l.cfg.PlainTCP {
		l.stack.tellPM(l.stack.now, pm.Event{Kind: pm.ListenerClosed, Path: -1, Local: l.addr})
	}
	l.stack.listening = slices.DeleteFunc(l.stack.listening, func(o *Listener) bool { return o == l })
	for _, c := range l.stack.conns {
		if c.listener == l && !c.done {
			c.Abort()
		}
	}
	l.backlog.reset()
}
