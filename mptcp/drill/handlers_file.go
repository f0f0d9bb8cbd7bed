package drill

import (
	"fmt"

	"mptcplab/mptcp/clock"
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

// controls checks the control messages of a recvmsg, of which TCP_CM_INQ is known:
// {cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9000}.
func (r *run) controls(e *Expr, fd int) error {
	inq := false
	for i := range e.List {
		m, err := members(&e.List[i], "cmsg_level", "cmsg_type", "cmsg_data")
		if err != nil {
			return err
		}
		if m[0] != socket.SOLTCP || m[1] != socket.TCPInq {
			return unsupported("a control message of level %d and type %d", m[0], m[1])
		}
		inq = true
		n, e := r.sock.InQ(fd)
		if e != socket.OK {
			return fmt.Errorf("expected a control message TCP_CM_INQ but got none")
		}
		if int64(n) != m[2] {
			return fmt.Errorf("expected %d bytes in TCP_CM_INQ but got %d", m[2], n)
		}
	}
	if on, e := r.sock.Option(fd, socket.SOLTCP, socket.TCPInq); !inq && e == socket.OK && on != 0 {
		return fmt.Errorf("expected no control message but got TCP_CM_INQ")
	}
	return nil
}

// message is what a msghdr of a script says.
type message struct {
	bytes    int
	controls *Expr // nil: nothing is said of them
}

func readMessage(e *Expr) (m message, err error) {
	for i := range e.Fields {
		f := &e.Fields[i]
		switch f.Name {
		case "msg_iov":
			if m.bytes, err = vector(&f.Val); err != nil {
				return m, err
			}
		case "msg_control":
			m.controls = &f.Val
		case "msg_name", "msg_flags":
		default:
			return m, unsupported("the member %s of a message", f.Name)
		}
	}
	return m, nil
}

func callRecvmsg(r *run, a args) (*socket.Op, func(int) error, error) {
	op, m, fd, err := messageCall(r, a, r.sock.ReadOp)
	if err != nil || m.controls == nil {
		return op, nil, err
	}
	return op, func(int) error { return r.controls(m.controls, fd) }, nil
}

func callSendmsg(r *run, a args) (*socket.Op, func(int) error, error) {
	to := r.peer()
	op, m, _, err := messageCall(r, a, func(now clock.Instant, fd int, p []byte, flags int) *socket.Op {
		r.opens(a, flags, to)
		return r.sock.SendOp(now, fd, p, flags, to)
	})
	if err == nil && m.controls != nil {
		err = unsupported("msg_control of sendmsg")
	}
	return op, nil, err
}

// messageCall is a call with a msghdr.
func messageCall(r *run, a args, begin opFunc) (op *socket.Op, m message, fd int, err error) {
	if fd, _, err = a.fdAnd(0); err == nil {
		err = a.need(3)
	}
	if err != nil {
		return nil, m, fd, err
	}
	if m, err = readMessage(&a.c.Args[1]); err != nil {
		return nil, m, fd, err
	}
	flags, err := a.optionalFlags(2)
	if err != nil {
		return nil, m, fd, err
	}
	return begin(r.now, fd, make([]byte, m.bytes), flags), m, fd, nil
}
