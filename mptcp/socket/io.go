package socket

import (
	"errors"
	"io"

	"mptcplab/mptcp"
)

// Read reads what has arrived; 0 bytes are the end of the stream. flags: MsgPeek
// leaves it there, BadAddress fails with EFAULT if there is data, unless MsgTrunc throws
// it away.
func (l *Layer) Read(fd int, p []byte, flags int) (int, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return -1, e
	case f.mptcp && len(p) == 0 && f.state != listening:
		return 0, OK // mptcp_recvmsg looks at nothing
	case f.state == deferred:
		return -1, EAGAIN
	case f.state == listening:
		return -1, ENOTCONN
	case f.fresh() && f.err != OK:
		return -1, f.takeError()
	case f.fresh():
		return -1, ENOTCONN
	case f.state == connecting:
		return -1, EAGAIN
	case len(p) == 0:
		return 0, OK
	}
	if flags&BadAddress != 0 && flags&MsgTrunc == 0 && len(f.conn.Peek()) > 0 {
		return -1, EFAULT
	}
	if flags&MsgPeek != 0 && f.conn.Readable() > 0 {
		return f.conn.PeekAt(0, p), OK
	}
	n, err := f.conn.Read(p)
	switch {
	case err == nil:
		return n, OK
	case errors.Is(err, io.EOF) || f.shutRD && errors.Is(err, mptcp.ErrWouldBlock):
		return 0, OK
	case errors.Is(err, mptcp.ErrWouldBlock):
		return -1, EAGAIN
	case f.err != OK:
		return -1, f.takeError()
	case f.vain():
		return -1, ENOTCONN
	}
	return 0, OK // the error was told before: the end of the stream
}

// Write sends bytes of p and returns how many were taken, perhaps not all; EAGAIN
// if none. flags: MsgMore, MsgEOR, BadAddress. What opens a connection is for SendOp.
func (l *Layer) Write(fd int, p []byte, flags int) (int, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return -1, e
	case f.err != OK:
		return -1, f.takeError()
	case f.state == connecting || f.state == deferred:
		return -1, EAGAIN
	case f.state != connected || f.shutWR || f.dead():
		return -1, EPIPE
	case flags&BadAddress != 0 && len(p) > 0:
		return -1, EFAULT
	}
	// Linux pushes what is sent on an MPTCP socket as if there were no MSG_MORE
	// (mptcp_push_release).
	n, err := f.conn.WriteRecord(p, flags&MsgMore != 0 && !f.mptcp, flags&MsgEOR != 0)
	if err != nil {
		return -1, errnoOf(err)
	}
	f.reports.wrote += uint64(n)
	return n, OK
}

// Readable returns how many bytes can be read (SIOCINQ) without waiting: at
// least that many.
func (l *Layer) Readable(fd int) (int, Errno) {
	n, e := l.count(fd, (*mptcp.Conn).Readable)
	if f, no := l.socket(fd); no == OK && e == OK && f.mptcp && f.state != connecting {
		return f.inqHint(n), OK
	}
	return n, e
}

// inqHint is what an MPTCP socket says where n bytes can be read: a DATA_FIN behind them
// counts, and 1 says that the end is to be read or that there is no connection
// (mptcp_inq_hint).
func (f *file) inqHint(n int) int {
	switch {
	case n == 0 && (f.conn == nil || f.dead() || f.shut()), n > 0 && f.conn.Ended() && !f.fellBack():
		return n + 1
	}
	return n
}

// Unacked returns how many bytes were written and not acknowledged yet (SIOCOUTQ), of
// MPTCP at connection level.
func (l *Layer) Unacked(fd int) (int, Errno) {
	if f, e := l.socket(fd); e == OK && f.mptcp && f.state == listening {
		return 0, OK
	}
	return l.count(fd, (*mptcp.Conn).Unacked)
}

// Unsent returns how many bytes were written and did not go out yet (SIOCOUTQNSD).
func (l *Layer) Unsent(fd int) (int, Errno) { return l.count(fd, (*mptcp.Conn).NotSent) }

// count returns a number of bytes of a connection.
func (l *Layer) count(fd int, of func(*mptcp.Conn) int) (int, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return -1, e
	case f.state == listening:
		return -1, EINVAL
	case f.conn == nil:
		return 0, OK
	}
	return of(f.conn), OK
}

// InQ is the control message TCP_CM_INQ of a read: how many bytes wait behind it, and 1
// instead of 0 where the end of the stream does. ENOENT: TCP_INQ is off.
func (l *Layer) InQ(fd int) (int, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return -1, e
	case f.plain[option{SOLTCP, TCPInq}] == 0:
		return -1, ENOENT
	case f.conn == nil:
		return 0, OK
	}
	n := f.conn.Readable()
	switch {
	case f.mptcp:
		return f.inqHint(n), OK
	case n > 0 || !f.conn.Ended():
		return n, OK
	}
	return 1, OK
}
