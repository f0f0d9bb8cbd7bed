package socket

import (
	"net/netip"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// Layer is the table of descriptors of one process on one host.
type Layer struct {
	stack *mptcp.Stack
	cfg   mptcp.Config
	files []*file // by descriptor; nil: free
}

// firstFD leaves room for the descriptors that every process has.
const firstFD = 3

// New returns a layer without descriptors. cfg is what new sockets begin with;
// the protocol decides on PlainTCP.
func New(s *mptcp.Stack, cfg mptcp.Config) *Layer {
	return &Layer{stack: s, cfg: cfg, files: make([]*file, firstFD)}
}

// Default is what new sockets begin with; it may be changed (sysctl).
func (l *Layer) Default() *mptcp.Config { return &l.cfg }

// file is what a descriptor stands for.
type file struct {
	mptcp    bool
	family   int
	nonblock bool
	cfg      mptcp.Config
	bound    netip.AddrPort // by bind
	ln       *mptcp.Listener
	conn     *mptcp.Conn
	state    state
	err      Errno // SO_ERROR: told once
	errSeen  bool  // the connection's error was taken over
	shutRD   bool
	shutWR   bool
	linger   Linger
	sndTimeo time.Duration // 0: none
	rcvTimeo time.Duration
	rcvLowat int            // SO_RCVLOWAT; 0 is 1
	plain    map[option]int // options without effect, as they were set
	reports  reports
	epoll    *epoll

	fastOpenConnect bool           // TCP_FASTOPEN_CONNECT
	target          netip.AddrPort // of a deferred connect
	untold          bool           // no call has told yet what became of connecting (SS_CONNECTING)
}

// state is what a socket is in the eyes of its calls.
type state uint8

const (
	unconnected state = iota
	listening
	connecting
	deferred // connect was called and waits for the first write: TCP_FASTOPEN_CONNECT
	connected
)

// Linger is the value of SO_LINGER.
type Linger struct {
	On      bool
	Seconds int
}

// get returns the file of fd.
func (l *Layer) get(fd int) (*file, Errno) {
	if fd < 0 || fd >= len(l.files) || l.files[fd] == nil {
		return nil, EBADF
	}
	f := l.files[fd]
	if f.epoll == nil {
		f.observe()
	}
	return f, OK
}

// socket returns the socket of fd.
func (l *Layer) socket(fd int) (*file, Errno) {
	f, e := l.get(fd)
	if e == OK && f.epoll != nil {
		return nil, ENOTSOCK
	}
	return f, e
}

// install gives f the lowest free descriptor.
func (l *Layer) install(f *file) int {
	for fd := firstFD; fd < len(l.files); fd++ {
		if l.files[fd] == nil {
			l.files[fd] = f
			return fd
		}
	}
	l.files = append(l.files, f)
	return len(l.files) - 1
}

// Socket makes a socket: AFInet or AFInet6, SockStream (perhaps with ONonblock),
// IPProtoTCP (or 0) or IPProtoMPTCP.
func (l *Layer) Socket(family, typ, proto int) (int, Errno) {
	if family != AFInet && family != AFInet6 {
		return -1, EAFNOSUPPORT
	}
	if typ&^ONonblock != SockStream {
		return -1, EPROTONOSUPPORT
	}
	if proto != 0 && proto != IPProtoTCP && proto != IPProtoMPTCP {
		return -1, EPROTONOSUPPORT
	}
	if proto == IPProtoMPTCP && l.stack.Sysctl().NoMPTCP {
		return -1, ENOPROTOOPT
	}
	f := &file{mptcp: proto == IPProtoMPTCP, family: family, nonblock: typ&ONonblock != 0, cfg: l.cfg}
	f.cfg.PlainTCP = !f.mptcp
	return l.install(f), OK
}

// Flags returns the flags of fd (F_GETFL).
func (l *Layer) Flags(fd int) (int, Errno) {
	f, e := l.get(fd)
	if e != OK {
		return -1, e
	}
	if f.nonblock {
		return ORDWR | ONonblock, OK
	}
	return ORDWR, OK
}

// SetFlags sets the flags of fd (F_SETFL): only ONonblock can change.
func (l *Layer) SetFlags(fd, flags int) Errno {
	f, e := l.get(fd)
	if e == OK {
		f.nonblock = flags&ONonblock != 0
	}
	return e
}

// Conn returns the connection of fd, nil if there is none.
func (l *Layer) Conn(fd int) *mptcp.Conn {
	f, e := l.get(fd)
	if e != OK {
		return nil
	}
	return f.conn
}

// observe takes over what happened to the connection.
func (f *file) observe() {
	c := f.conn
	if c == nil {
		return
	}
	if f.state == connecting && c.Established() {
		f.state = connected
	}
	if err := c.Err(); err != nil && !f.errSeen {
		f.errSeen = true
		f.err = errnoOf(err)
		if f.err == ETIMEDOUT && f.mptcp && c.Established() && !c.FellBack() {
			f.err = OK // net.mptcp.close_timeout sets no error: calls see EPIPE and the end
		}
		if f.err == ENOTCONN {
			f.err = OK // it was gone before accept returned it
		}
		if f.state == connecting {
			f.state = unconnected
		}
	}
}

// takeError returns the pending error and forgets it.
func (f *file) takeError() Errno {
	e := f.err
	f.err = OK
	return e
}

// fresh reports whether the socket is as a new one: it has no connection, or a call has
// told that none came about.
func (f *file) fresh() bool { return f.conn == nil || f.state == unconnected && !f.untold }

// closed reports whether the socket is in CLOSE.
func (f *file) closed() bool {
	return f.state != listening && f.state != deferred && (f.conn == nil || f.dead())
}

// mayConnect says whether a connection can be begun (__inet_stream_connect). One that has
// ended before a call told of it is told of first.
func (f *file) mayConnect() Errno {
	switch {
	case f.state == connecting:
		return EALREADY
	case f.state == listening, f.state == connected && !f.untold:
		return EISCONN
	case f.untold:
		return f.tellEnd()
	}
	return OK
}

// tellEnd returns why there is no connection, and makes the socket fresh: ECONNABORTED if
// another call has taken the error.
func (f *file) tellEnd() Errno {
	f.state, f.untold, f.shutRD, f.shutWR = unconnected, false, false, false
	if e := f.takeError(); e != OK {
		return e
	}
	return ECONNABORTED
}

// dead reports whether the connection has ended: nothing is sent or received any
// more.
func (f *file) dead() bool { return f.conn != nil && f.conn.Done() }

// shut reports whether no data can come any more.
func (f *file) shut() bool {
	return f.shutRD || f.conn.Ended() || f.dead() && !f.vain()
}

// vain reports whether an MPTCP socket's connection came to nothing: it was not
// established, lost its last subflow for good, or fell back and was cut off. Linux closes
// such a socket without shutting it (sk_shutdown), so that it is as one never connected.
func (f *file) vain() bool {
	if !f.mptcp || !f.dead() || f.conn.Ended() {
		return false
	}
	err := f.conn.Err()
	return f.state == unconnected || err == mptcp.ErrNotConnected || err == mptcp.ErrTimedOut || err != nil && f.fellBack()
}

// timeout returns when a call that begins now is given up.
func timeout(now clock.Instant, d time.Duration) clock.Instant {
	if d <= 0 {
		return clock.Never
	}
	return now.Add(d)
}
