package socket

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
)

// Op is a system call that may have to wait: the result of a call on a blocking
// descriptor comes with a later Try.
type Op struct {
	N    int
	Err  Errno
	Done bool

	try   func(now clock.Instant) (int, Errno)
	waits bool          // a blocking descriptor
	until clock.Instant // SO_SNDTIMEO, SO_RCVTIMEO, the timeout of poll
	late  func() (int, Errno)
}

// Try runs the call, or runs it again, and reports whether it is Done.
func (o *Op) Try(now clock.Instant) bool {
	if o.Done {
		return true
	}
	n, e := o.try(now)
	switch {
	case e != EAGAIN && e != EINPROGRESS && e != EALREADY || !o.waits:
		o.N, o.Err, o.Done = n, e, true
	case now >= o.until:
		o.N, o.Err = o.late()
		o.Done = true
	}
	return o.Done
}

// Deadline says when Try has to be called although nothing happened.
func (o *Op) Deadline() clock.Instant {
	if o.Done {
		return clock.Never
	}
	return o.until
}

// op returns a call on fd that waits if fd is blocking.
func (l *Layer) op(now clock.Instant, fd, flags int, limit func(*file) time.Duration, try func(clock.Instant) (int, Errno)) *Op {
	o := &Op{try: try, until: clock.Never, late: func() (int, Errno) { return -1, EAGAIN }}
	if f, e := l.get(fd); e == OK {
		o.waits = !f.nonblock && flags&MsgDontwait == 0
		o.until = timeout(now, limit(f))
	}
	return o
}

func sending(f *file) time.Duration   { return f.sndTimeo }
func receiving(f *file) time.Duration { return f.rcvTimeo }

// AcceptOp is Accept; the new descriptor is in N.
func (l *Layer) AcceptOp(now clock.Instant, fd int) *Op {
	return l.op(now, fd, 0, receiving, func(clock.Instant) (int, Errno) { return l.Accept(fd) })
}

// ReadOp is Read: it waits for the first bytes, for as many as SO_RCVLOWAT says or,
// with MsgWaitall, for all (sock_rcvlowat).
func (l *Layer) ReadOp(now clock.Instant, fd int, p []byte, flags int) *Op {
	target, got := 1, 0
	if f, e := l.get(fd); e == OK {
		target = max(f.rcvLowat, 1)
	}
	if flags&MsgWaitall != 0 {
		target = len(p)
	}
	var o *Op
	o = l.op(now, fd, flags, receiving, func(clock.Instant) (int, Errno) {
		n, e := l.Read(fd, p[got:], flags)
		if n > 0 && flags&MsgPeek == 0 {
			got += n
			n = got
		}
		switch {
		case e == EAGAIN && got > 0 && !o.waits, e != EAGAIN && e != OK && got > 0, e == OK && n == 0:
			return got, OK
		case e == OK && o.waits && n < min(target, len(p)) && !l.exhausted(fd):
			return -1, EAGAIN
		}
		return n, e
	})
	o.late = func() (int, Errno) {
		if got > 0 {
			return got, OK
		}
		return -1, EAGAIN
	}
	return o
}

// exhausted reports whether no more can come.
func (l *Layer) exhausted(fd int) bool {
	f, e := l.socket(fd)
	return e != OK || f.conn == nil || f.dead() || f.shut()
}

// ConnectOp is Connect: it waits for the end of the handshake.
func (l *Layer) ConnectOp(now clock.Instant, fd int, a netip.AddrPort) *Op {
	begun := false
	o := l.op(now, fd, 0, sending, func(now clock.Instant) (int, Errno) {
		if !begun {
			e := l.Connect(now, fd, a)
			begun = e == EINPROGRESS
			return result(e)
		}
		f, e := l.socket(fd)
		switch {
		case e != OK:
			return -1, e
		case f.state == connecting:
			return -1, EINPROGRESS
		case f.state == connected:
			f.untold = false
			return 0, OK
		}
		return result(f.tellEnd())
	})
	o.late = func() (int, Errno) { return -1, EINPROGRESS }
	return o
}

// CloseOp is Close: with SO_LINGER of some seconds a TCP socket waits, blocking or not,
// until everything sent and the FIN are acknowledged. An MPTCP socket does not.
func (l *Layer) CloseOp(now clock.Instant, fd int) *Op {
	f, e := l.get(fd)
	closed := l.Close(fd)
	o := &Op{waits: true, until: clock.Never, late: func() (int, Errno) { return 0, OK }}
	o.try = func(now clock.Instant) (int, Errno) {
		if e == OK && f.lingers(now) {
			return -1, EAGAIN
		}
		return result(closed)
	}
	if e == OK && f.linger.On {
		o.until = now.Add(time.Duration(f.linger.Seconds) * time.Second)
	}
	return o
}

// lingers reports whether close has to wait for the peer's acknowledgments.
func (f *file) lingers(now clock.Instant) bool {
	if f.conn == nil || f.mptcp || !f.linger.On || f.linger.Seconds == 0 {
		return false
	}
	for _, sf := range f.conn.Info(now).Subflows {
		switch sf.TCP.State {
		case tcp.StateFINWait1, tcp.StateClosing, tcp.StateLastAck, tcp.StateEstablished, tcp.StateCloseWait:
			return true
		}
	}
	return false
}

// PollFD is one descriptor of PollOp.
type PollFD struct{ FD, Events, Revents int }

// PollOp is poll: it fills Revents and returns how many are not 0, after wait at
// the latest; a negative wait is for ever.
func (l *Layer) PollOp(now clock.Instant, fds []PollFD, wait time.Duration) *Op {
	o := &Op{waits: wait != 0, until: clock.Never, late: func() (int, Errno) { return 0, OK }}
	if wait > 0 {
		o.until = now.Add(wait)
	}
	o.try = func(clock.Instant) (int, Errno) {
		n := 0
		for i := range fds {
			fds[i].Revents = l.Poll(fds[i].FD, fds[i].Events)
			if fds[i].Revents != 0 {
				n++
			}
		}
		if n == 0 && wait != 0 {
			return 0, EAGAIN
		}
		return n, OK
	}
	return o
}

// result is the return value that goes with an errno.
func result(e Errno) (int, Errno) {
	if e == OK {
		return 0, OK
	}
	return -1, e
}
