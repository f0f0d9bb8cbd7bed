package drill

import (
	"fmt"
	"net/netip"
	"time"

	"mptcplab/mptcp/socket"
)

// maxIO bounds the buffers of calls.
const maxIO = 1 << 26

// buffer returns the bytes of the call: the arguments at i and i+1 are pointer and
// length.
func (a args) buffer(i int) (p []byte, flags int, err error) {
	if err = a.need(i + 2); err != nil {
		return nil, 0, err
	}
	n, err := a.int(i + 1)
	if err != nil {
		return nil, 0, err
	}
	if n < 0 || n > maxIO {
		return nil, 0, fmt.Errorf("a buffer of %d bytes", n)
	}
	if isNull(&a.c.Args[i]) {
		flags = socket.BadAddress
	}
	return make([]byte, n), flags, nil
}

// optionalFlags returns the flags of a call if it has that argument.
func (a args) optionalFlags(i int) (int, error) {
	if i >= len(a.c.Args) {
		return 0, nil
	}
	v, err := a.int(i)
	return int(v), err
}

func callRead(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err != nil {
		return nil, nil, err
	}
	p, bad, err := a.buffer(1)
	if err != nil {
		return nil, nil, err
	}
	flags, err := a.optionalFlags(3)
	if err != nil {
		return nil, nil, err
	}
	return r.sock.ReadOp(r.now, fd, p, flags|bad), nil, nil
}

func callWrite(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err != nil {
		return nil, nil, err
	}
	p, bad, err := a.buffer(1)
	if err != nil {
		return nil, nil, err
	}
	flags, err := a.optionalFlags(3)
	if err != nil {
		return nil, nil, err
	}
	return r.sock.WriteOp(r.now, fd, p, flags|bad), nil, nil
}

func callSendto(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(4); err != nil {
		return nil, nil, err
	}
	fd, _, err := a.fdAnd(0)
	if err != nil {
		return nil, nil, err
	}
	p, bad, err := a.buffer(1)
	if err != nil {
		return nil, nil, err
	}
	flags, err := a.optionalFlags(3)
	if err != nil {
		return nil, nil, err
	}
	to := r.peer()
	if len(a.c.Args) > 4 && isNull(&a.c.Args[4]) {
		to = netip.AddrPort{}
	} else if len(a.c.Args) > 4 {
		if to, _, err = r.address(&a.c.Args[4], to); err != nil {
			return nil, nil, err
		}
	}
	r.opens(a, flags, to)
	return r.sock.SendOp(r.now, fd, p, flags|bad, to), nil, nil
}

// peer returns the address of the peer's listener.
func (r *run) peer() netip.AddrPort { return netip.AddrPortFrom(r.set.remote, r.set.port) }

// opens notes that a call with MSG_FASTOPEN may begin the connection of its socket.
func (r *run) opens(a args, flags int, to netip.AddrPort) {
	if f := r.flowOfFD(int(a.c.Args[0].Int)); f != nil && f.state == flowNew && flags&socket.MsgFastopen != 0 {
		f.state, f.remote = flowConnecting, to
		r.current = f
	}
}

// vector returns the lengths of an array of {pointer, length}.
func vector(e *Expr) ([]int, error) {
	var sizes []int
	total := 0
	for _, v := range e.List {
		if v.Kind != ExprStruct || len(v.Fields) != 2 {
			return nil, unsupported("this vector")
		}
		n, err := value(&v.Fields[1].Val)
		if err != nil {
			return nil, err
		}
		if n < 0 || n > maxIO {
			return nil, fmt.Errorf("a buffer of %d bytes", n)
		}
		sizes = append(sizes, int(n))
		if total += int(n); total > maxIO {
			return nil, fmt.Errorf("a buffer of %d bytes", total)
		}
	}
	return sizes, nil
}

func callReadv(r *run, a args) (*socket.Op, func(int) error, error) {
	return vectorCall(r, a, r.sock.ReadOp)
}

func callWritev(r *run, a args) (*socket.Op, func(int) error, error) {
	return vectorCall(r, a, r.sock.WriteOp)
}

func vectorCall(r *run, a args, op opFunc) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err == nil {
		err = a.need(2)
	}
	if err != nil {
		return nil, nil, err
	}
	sizes, err := vector(&a.c.Args[1])
	if err != nil {
		return nil, nil, err
	}
	m := message{sizes: sizes}
	return op(r.now, fd, make([]byte, m.bytes()), 0), nil, nil
}

func callPoll(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(3); err != nil {
		return nil, nil, err
	}
	ms, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	var fds []socket.PollFD
	var want []int64
	for _, e := range a.c.Args[0].List {
		v, err := members(&e, "fd", "events", "revents")
		if err != nil {
			return nil, nil, err
		}
		fd, ok := r.fds[int(v[0])]
		if !ok {
			fd = -1
		}
		fds = append(fds, socket.PollFD{FD: fd, Events: int(v[1])})
		want = append(want, v[2])
	}
	op := r.sock.PollOp(r.now, fds, time.Duration(ms)*time.Millisecond)
	return op, func(int) error {
		for i := range fds {
			if int64(fds[i].Revents) != want[i] {
				return fmt.Errorf("expected revents %#x but got %#x", want[i], fds[i].Revents)
			}
		}
		return nil
	}, nil
}

// members returns the numbers of a struct's members.
func members(e *Expr, names ...string) ([]int64, error) {
	v := make([]int64, len(names))
	for _, f := range e.Fields {
		found := false
		for i, n := range names {
			if f.Name == n {
				x, err := value(&f.Val)
				if err != nil {
					return nil, err
				}
				v[i], found = x, true
			}
		}
		if !found {
			return nil, unsupported("the member %s", f.Name)
		}
	}
	return v, nil
}

// epollMembers are those of struct epoll_event and of the union in it.
var epollMembers = []string{"events", "fd", "ptr", "u32", "u64"}

func callEpollCreate(r *run, a args) (*socket.Op, func(int) error, error) {
	return instant(r.sock.EpollCreate(), socket.OK), func(fd int) error {
		r.name(int(a.c.Result.Int), fd)
		return nil
	}, nil
}

func callEpollCtl(r *run, a args) (*socket.Op, func(int) error, error) {
	v, err := a.numbersOf(3)
	if err == nil {
		err = a.need(4)
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := members(&a.c.Args[3], epollMembers...)
	if err != nil {
		return nil, nil, err
	}
	return done(r.sock.EpollCtl(r.fds[v[0]], v[1], r.fds[v[2]], int(m[0]))), nil, nil
}

func callEpollWait(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(4); err != nil {
		return nil, nil, err
	}
	ep, err := a.int(0)
	if err != nil {
		return nil, nil, err
	}
	m, err := members(&a.c.Args[1], epollMembers...)
	if err != nil {
		return nil, nil, err
	}
	most, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	ms, err := a.int(3)
	if err != nil {
		return nil, nil, err
	}
	var ev []socket.EpollEvent
	op := r.sock.EpollWaitOp(r.now, r.fds[int(ep)], int(most), time.Duration(ms)*time.Millisecond, &ev)
	return op, func(int) error {
		if len(ev) != 1 {
			return nil
		}
		if int64(ev[0].Events) != m[0] {
			return fmt.Errorf("expected events %#x but got %#x", m[0], ev[0].Events)
		}
		if fd, ok := r.fds[int(m[1])]; ok && ev[0].FD != fd {
			return fmt.Errorf("the event is of another descriptor than %d", m[1])
		}
		return nil
	}, nil
}
