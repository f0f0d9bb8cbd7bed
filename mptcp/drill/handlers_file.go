package drill

import (
	"fmt"

	"mptcplab/mptcp/socket"
)

// A file is a descriptor of a script that is no socket: an end of a pipe, or a file of
// zeros. What a pipe holds are zeros as well, so that their number is enough.
type file struct {
	pipe *int // bytes in the pipe; nil: a file
	read bool // the end that is read
}

// callPipe is pipe([5, 6]): the script's numbers for the end to read and the one to write.
func callPipe(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(1); err != nil {
		return nil, nil, err
	}
	ends := a.c.Args[0].List
	if len(ends) != 2 {
		return nil, nil, fmt.Errorf("pipe needs a list of two descriptors")
	}
	held := new(int)
	for i := range ends {
		fd, err := value(&ends[i])
		if err != nil {
			return nil, nil, err
		}
		r.files[int(fd)] = &file{pipe: held, read: i == 0}
	}
	return done(socket.OK), nil, nil
}

// callOpen is open(path, flags): whatever the path, a file of zeros.
func callOpen(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(2); err != nil {
		return nil, nil, err
	}
	return instant(3, socket.OK), func(int) error { // the number is the script's
		r.files[int(a.c.Result.Int)] = &file{}
		return nil
	}, nil
}

// callSplice is splice(in, NULL, out, NULL, n, flags) between a socket and a pipe.
func callSplice(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(6); err != nil {
		return nil, nil, err
	}
	var v [6]int64
	for _, i := range []int{0, 2, 4, 5} {
		n, err := a.int(i)
		if err != nil {
			return nil, nil, err
		}
		v[i] = n
	}
	if v[4] < 0 || v[4] > maxIO {
		return nil, nil, fmt.Errorf("a splice of %d bytes", v[4])
	}
	in, out := r.files[int(v[0])], r.files[int(v[2])]
	switch {
	case out != nil && out.pipe != nil && !out.read && in == nil:
		fd, err := a.fd(0)
		if err != nil {
			return nil, nil, err
		}
		op := r.sock.ReadOp(r.now, fd, make([]byte, v[4]), 0)
		return op, func(n int) error {
			*out.pipe += max(n, 0)
			return nil
		}, nil
	case in != nil && in.pipe != nil && in.read && out == nil:
		fd, err := a.fd(2)
		if err != nil {
			return nil, nil, err
		}
		op := r.sock.WriteOp(r.now, fd, make([]byte, min(v[4], int64(*in.pipe))), 0)
		return op, func(n int) error {
			*in.pipe -= max(n, 0)
			return nil
		}, nil
	}
	return done(socket.EINVAL), nil, nil // none of the two is a pipe, or its wrong end
}

// callSendfile is sendfile(out, in, [offset], n) from a file of zeros.
func callSendfile(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(4); err != nil {
		return nil, nil, err
	}
	in, err := a.int(1)
	if err != nil {
		return nil, nil, err
	}
	n, err := a.int(3)
	if err != nil {
		return nil, nil, err
	}
	f := r.files[int(in)]
	switch {
	case f == nil:
		return done(socket.EBADF), nil, nil
	case f.pipe != nil:
		return done(socket.EINVAL), nil, nil
	case n < 0 || n > maxIO:
		return nil, nil, fmt.Errorf("a sendfile of %d bytes", n)
	}
	fd, err := a.fd(0)
	if err != nil {
		return nil, nil, err
	}
	return r.sock.WriteOp(r.now, fd, make([]byte, n), 0), nil, nil
}

func callRecvmsg(r *run, a args) (*socket.Op, func(int) error, error) {
	m, fd, flags, err := messageCall(a)
	if err != nil {
		return nil, nil, err
	}
	if flags&socket.MsgErrqueue != 0 {
		return r.readReport(m, fd)
	}
	op := r.sock.ReadOp(r.now, fd, make([]byte, m.bytes()), flags)
	return op, func(n int) error {
		if n < 0 {
			return nil
		}
		return m.check(r, 0, r.controlsOfRead(fd))
	}, nil
}

// readReport is recvmsg with MSG_ERRQUEUE.
func (r *run) readReport(m message, fd int) (*socket.Op, func(int) error, error) {
	p, e := r.sock.ReadReport(fd)
	return done(e), func(int) error {
		if e != socket.OK {
			return nil
		}
		flags := int64(socket.MsgErrqueue)
		if p.Payload {
			flags |= socket.MsgTrunc // the packet, for which scripts have no room
		}
		return m.check(r, flags, r.controlOfReport(&p))
	}, nil
}

func callSendmsg(r *run, a args) (*socket.Op, func(int) error, error) {
	m, fd, flags, err := messageCall(a)
	stamps := 0
	for _, c := range m.controls {
		if c.level != socket.SOLSocket || c.kind != socket.SOTimestamping {
			err = unsupported("a control message of level %d and type %d", c.level, c.kind)
		}
		stamps |= int(c.data[""])
	}
	if err != nil {
		return nil, nil, err
	}
	to := r.peer()
	r.opens(a, flags, to)
	return r.sock.SendVectorOp(r.now, fd, m.sizes, flags, stamps, to), nil, nil
}

// messageCall reads the arguments of a call with a msghdr.
func messageCall(a args) (m message, fd, flags int, err error) {
	if fd, _, err = a.fdAnd(0); err == nil {
		err = a.need(3)
	}
	if err == nil {
		m, err = readMessage(&a.c.Args[1])
	}
	if err == nil {
		flags, err = a.optionalFlags(2)
	}
	return m, fd, flags, err
}
