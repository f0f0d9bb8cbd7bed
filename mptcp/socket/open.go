package socket

import (
	"net/netip"

	"mptcplab/mptcp/clock"
)

// Bind gives the socket its own address.
func (l *Layer) Bind(fd int, a netip.AddrPort) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case f.state != unconnected || f.bound.IsValid():
		return EINVAL
	case a.Addr().Is6() && f.family == AFInet:
		return EAFNOSUPPORT
	}
	f.bound = a
	return OK
}

// Listen makes the socket accept connections.
func (l *Layer) Listen(fd, backlog int) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case f.state == listening:
		f.ln.SetBacklog(max(backlog, 0))
		return OK
	case f.state != unconnected || f.conn != nil:
		return EINVAL
	}
	if !f.bound.IsValid() {
		any := netip.IPv4Unspecified()
		if f.family == AFInet6 {
			any = netip.IPv6Unspecified()
		}
		port, ok := l.stack.FreePort()
		if !ok {
			return EADDRINUSE
		}
		f.bound = netip.AddrPortFrom(any, port)
	}
	f.cfg.Backlog = backlog
	if backlog <= 0 {
		f.cfg.Backlog = -1
	}
	ln, err := l.stack.Listen(&f.cfg, f.bound)
	if err != nil {
		return errnoOf(err)
	}
	f.ln, f.state = ln, listening
	return OK
}

// Accept returns a descriptor for the next connection, EAGAIN if there is none.
func (l *Layer) Accept(fd int) (int, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return -1, e
	case f.state != listening:
		return -1, EINVAL
	}
	c, ok := f.ln.Accept()
	if !ok {
		return -1, EAGAIN
	}
	n := &file{mptcp: f.mptcp && !c.BeganPlain(), family: f.family, cfg: f.cfg, bound: c.LocalAddr(), conn: c, state: connected,
		linger: f.linger, sndTimeo: f.sndTimeo, rcvTimeo: f.rcvTimeo,
		reports: reports{zerocopy: f.reports.zerocopy, stamping: f.reports.stamping}}
	for _, o := range plainOptions {
		if v, ok := f.plain[o]; ok {
			n.remember(o, v)
		}
	}
	return l.install(n), OK
}

// Connect begins a connection: EINPROGRESS. Called again it says EALREADY while
// that lasts, once 0 or the error, and EISCONN after it succeeded. No address is one of
// another family, which matters only where a connection would begin.
func (l *Layer) Connect(now clock.Instant, fd int, a netip.AddrPort) Errno {
	f, e := l.socket(fd)
	if e != OK {
		return e
	}
	switch {
	case f.state == connected && !f.dead() && f.untold:
		f.untold = false
		return OK
	case f.state == deferred:
		return EISCONN
	}
	if e := f.mayConnect(); e != OK {
		return e
	}
	if !a.IsValid() || a.Addr().Is6() && f.family == AFInet {
		return EAFNOSUPPORT
	}
	if f.fastOpenConnect && l.stack.FastOpenEnabled() {
		if l.stack.FastOpenReady(now, &f.cfg, f.bound, a) {
			f.state, f.target, f.shutRD, f.shutWR = deferred, a, false, false
			return OK
		}
		_, e := l.fastOpen(now, f, nil, 0, a)
		return e
	}
	if f.family == AFInet6 && a.Addr().Is4() {
		// To the stack a mapped address says that IPv6 subflows may follow.
		a = netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	c, err := l.stack.Dial(now, &f.cfg, f.bound, a)
	if err != nil {
		return errnoOf(err)
	}
	f.begin(c)
	return EINPROGRESS
}

// Disconnect is connect to AF_UNSPEC: the connection is aborted, the socket as
// new.
func (l *Layer) Disconnect(fd int) Errno {
	f, e := l.socket(fd)
	if e != OK {
		return e
	}
	if !f.mptcp { // mptcp_disconnect keeps an error that was not told
		f.err = OK
	}
	if !f.mptcp && f.ln == nil && !f.closed() {
		f.err = ECONNRESET // the socket's own doing, and told nevertheless (tcp_disconnect)
	}
	if f.ln != nil {
		f.ln.Close()
		f.ln = nil
	}
	if f.conn != nil {
		f.conn.Abort()
		f.conn = nil
	}
	f.state, f.untold, f.errSeen, f.shutRD, f.shutWR = unconnected, false, false, false, false
	return OK
}
