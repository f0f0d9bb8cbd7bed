package socket

import (
	"net/netip"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// fastOpen begins a connection to a whose SYN carries what it can of p, and returns
// how many bytes that is, with EINPROGRESS. A socket whose connect was put off
// (TCP_FASTOPEN_CONNECT) goes where that said (tcp_sendmsg_fastopen).
func (l *Layer) fastOpen(now clock.Instant, f *file, p []byte, flags int, a netip.AddrPort) (int, Errno) {
	switch {
	case f.mptcp && flags&MsgFastopen != 0 && f.state != listening && !f.closed():
		return -1, EINVAL // mptcp_sendmsg_fastopen has no first subflow then
	case !l.stack.FastOpenEnabled():
		return -1, EOPNOTSUPP
	}
	if f.state == deferred {
		a = f.target
	} else if e := f.mayConnect(); e != OK {
		return -1, e
	}
	switch {
	case !a.IsValid():
		return -1, EINVAL
	case a.Addr().Is6() && f.family == AFInet:
		return -1, EAFNOSUPPORT
	}
	if flags&BadAddress != 0 {
		p = nil // found out only when the SYN is made
	}
	c, n, err := l.stack.DialFastOpen(now, &f.cfg, f.bound, a, p)
	if err != nil {
		f.state = unconnected
		return -1, errnoOf(err)
	}
	f.begin(c)
	f.reports.wrote += uint64(n)
	return n, EINPROGRESS
}

// begin takes over a connection that has just been begun.
func (f *file) begin(c *mptcp.Conn) {
	f.conn, f.state, f.err, f.errSeen = c, connecting, OK, false
	f.shutRD, f.shutWR = false, false
	f.untold = true
	f.reports.wrote = 0
}

// sendOp is one sendto, sendmsg or write.
type sendOp struct {
	l      *Layer
	op     *Op
	fd     int
	p      []byte
	flags  int
	to     netip.AddrPort
	begun  bool // Fast Open has
	sent   int
	full   bool  // the send buffer was: the call waits for more room than a byte's
	stamps int   // of this send alone, as SO_TIMESTAMPING
	cuts   []int // where buffers end that hold no more pages (MSG_ZEROCOPY)
}

// SendOp is sendto, sendmsg and write: it waits until all is taken, and returns what
// was if it has to give up. to counts with MsgFastopen, which opens a connection, if
// that is possible with the first bytes of p in its SYN; it need not be valid on a
// socket whose connect was put off.
func (l *Layer) SendOp(now clock.Instant, fd int, p []byte, flags int, to netip.AddrPort) *Op {
	return (&sendOp{l: l, fd: fd, p: p, flags: flags, to: to}).begin(now)
}

func (s *sendOp) begin(now clock.Instant) *Op {
	s.op = s.l.op(now, s.fd, s.flags, sending, s.try)
	s.op.late = s.late
	return s.op
}

// maxFrags is how many pages a buffer holds (MAX_SKB_FRAGS).
const maxFrags = 17

// SendVectorOp is sendmsg with a vector of buffers of these sizes, of zeros. With
// MSG_ZEROCOPY each is a page of its own, and a segment cannot have more than maxFrags.
// stamps is the value of a control message SO_TIMESTAMPING, 0: there is none.
func (l *Layer) SendVectorOp(now clock.Instant, fd int, sizes []int, flags, stamps int, to netip.AddrPort) *Op {
	total, pages := 0, 0
	var cuts []int
	for _, n := range sizes {
		if n > 0 && pages == maxFrags {
			cuts, pages = append(cuts, total), 0
		}
		total += n
		pages += (n + 4095) / 4096
	}
	s := &sendOp{l: l, fd: fd, p: make([]byte, total), flags: flags, stamps: stamps, to: to}
	if f, e := l.socket(fd); e == OK && f.reports.zerocopy && flags&MsgZerocopy != 0 {
		s.cuts = cuts
	}
	return s.begin(now)
}

// WriteOp is SendOp without an address.
func (l *Layer) WriteOp(now clock.Instant, fd int, p []byte, flags int) *Op {
	return l.SendOp(now, fd, p, flags, netip.AddrPort{})
}

func (s *sendOp) try(now clock.Instant) (int, Errno) {
	n, e := s.attempt(now)
	if f, no := s.l.socket(s.fd); no == OK && e == OK && n > 0 {
		f.noteSend(s.flags, s.stamps)
	}
	return n, e
}

func (s *sendOp) attempt(now clock.Instant) (int, Errno) {
	f, e := s.l.socket(s.fd)
	if e != OK {
		return -1, e
	}
	if f.state == connected && f.untold && (s.begun || s.flags&MsgFastopen != 0) {
		f.untold = false // this call tells it, and sends
		s.flags &^= MsgFastopen
	}
	if !s.begun && (s.flags&MsgFastopen != 0 || f.state == deferred) {
		return s.open(now, f)
	}
	if f.state == connecting {
		if s.op.waits && !f.mptcp && s.sent < len(s.p) {
			f.conn.ExpectWrite()
		}
		if s.begun {
			return -1, EINPROGRESS
		}
		return -1, EAGAIN
	}
	if s.begun && (f.err != OK || s.sent == len(s.p)) {
		return s.opened(f)
	}
	if s.full && f.err == OK && !f.shutWR && !f.dead() && f.conn.Starved() {
		return -1, EAGAIN
	}
	e = s.write()
	if s.full = s.sent < len(s.p); e == OK && s.sent < len(s.p) && s.op.waits {
		return -1, EAGAIN
	}
	if e == OK || s.sent > 0 && (e != EAGAIN || !s.op.waits) {
		return s.sent, OK
	}
	return -1, e
}

// write writes what it can of the rest.
func (s *sendOp) write() Errno {
	for {
		end, flags := len(s.p), s.flags&^MsgFastopen
		if len(s.cuts) > 0 {
			end, flags = s.cuts[0], flags|MsgEOR
		}
		n, e := s.l.Write(s.fd, s.p[s.sent:end], flags)
		if e != OK {
			return e
		}
		if s.sent += n; s.sent < end || len(s.cuts) == 0 {
			return OK
		}
		s.cuts = s.cuts[1:]
	}
}

// open is the first try with Fast Open.
func (s *sendOp) open(now clock.Instant, f *file) (int, Errno) {
	n, e := s.l.fastOpen(now, f, s.p, s.flags, s.to)
	if e != EINPROGRESS {
		return -1, e
	}
	s.begun, s.sent = true, n
	if n > 0 && !s.op.waits {
		return n, OK
	}
	if n < len(s.p) && s.op.waits && !f.mptcp {
		f.conn.ExpectWrite()
	}
	return -1, EINPROGRESS
}

// opened is the end of a call with Fast Open that waited for its connection.
func (s *sendOp) opened(f *file) (int, Errno) {
	switch {
	case f.state == unconnected:
		return -1, f.tellEnd()
	case f.err != OK:
		return -1, f.takeError()
	}
	return s.sent, OK
}

func (s *sendOp) late() (int, Errno) {
	switch {
	case s.sent > 0:
		return s.sent, OK
	case s.begun:
		return -1, EINPROGRESS
	}
	return -1, EAGAIN
}

// SetFastOpenKey sets TCP_FASTOPEN_KEY: one key of 16 bytes, or two, the second of
// which is that of older cookies.
func (l *Layer) SetFastOpenKey(fd int, key []byte) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case len(key) != 16 && len(key) != 32:
		return EINVAL
	}
	k := &f.cfg.FastOpenKeys
	k.Num = len(key) / 16
	copy(k.Keys[0][:], key)
	copy(k.Keys[1][:], key[16:])
	if f.ln != nil {
		f.ln.SetFastOpenKeys(*k)
	}
	return OK
}

// FastOpenKey returns TCP_FASTOPEN_KEY; empty: the socket has none of its own.
func (l *Layer) FastOpenKey(fd int) ([]byte, Errno) {
	f, e := l.socket(fd)
	if e != OK {
		return nil, e
	}
	var b []byte
	k := &f.cfg.FastOpenKeys
	for _, key := range k.Keys[:k.Num] {
		b = append(b, key[:]...)
	}
	return b, OK
}

// setFastOpen sets the options of Fast Open whose value is a number.
func (l *Layer) setFastOpen(f *file, name, v int) Errno {
	switch name {
	case TCPFastopen:
		if v < 0 || !f.closed() && f.state != listening {
			return EINVAL
		}
		f.cfg.FastOpenQueue = l.stack.FastOpenQueue(v)
		if f.ln != nil {
			f.ln.SetFastOpen(v)
		}
	case TCPFastopenConnect:
		switch {
		case v != 0 && v != 1:
			return EINVAL
		case !l.stack.FastOpenEnabled():
			return EOPNOTSUPP
		case !f.closed():
			return EINVAL
		}
		f.fastOpenConnect = v != 0
	case TCPFastopenNoCookie:
		if v != 0 && v != 1 || !f.closed() && f.state != listening {
			return EINVAL
		}
		f.cfg.FastOpenNoCookie = v != 0
	}
	return OK
}
