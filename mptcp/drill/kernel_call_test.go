package drill

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/socket"
)

// kernelSyscall makes a system call on the kernel. It may block in a goroutine.
func (k *kernelRun) kernelSyscall(e *Event, origin clock.Instant) error {
	c := e.Call
	do, after, err := k.kernelHandler(c)
	if err != nil {
		return k.fail(c.Line, "runtime error in "+c.Name+" call", err)
	}
	w := &kernelCall{call: c, end: clock.Never, after: after, done: make(chan kernelResult, 1)}
	if e.Time.Blocking {
		w.end = origin.Add(e.Time.End)
	}
	k.wait = w
	if c.Name == "socket" { // on the thread of the namespace
		n, err := do()
		w.done <- kernelResult{n, err, k.clock()}
	} else {
		go func() {
			n, err := do()
			w.done <- kernelResult{n, err, k.clock()}
		}()
	}
	if w.end != clock.Never {
		time.Sleep(time.Millisecond)
		return nil
	}
	return k.finishCall(true)
}

// finishCall checks the call that may be under way; must: it has a second.
func (k *kernelRun) finishCall(must bool) error {
	w := k.wait
	if w == nil {
		return nil
	}
	var r kernelResult
	if must {
		select {
		case r = <-w.done:
		case <-time.After(time.Second):
			return k.fail(w.call.Line, "runtime error in "+w.call.Name+" call", errors.New("it blocks"))
		}
	} else {
		select {
		case r = <-w.done:
		default:
			return nil
		}
	}
	k.wait = nil
	op := &socket.Op{N: r.n, Done: true}
	var no unix.Errno
	if errors.As(r.err, &no) {
		op.Err = socket.Errno(no)
		op.N = -1
	}
	err := checkResult(w.call, op)
	if err == nil && w.after != nil {
		err = w.after(op.N)
	}
	if err != nil {
		return k.fail(w.call.Line, "runtime error in "+w.call.Name+" call", err)
	}
	if w.end != clock.Never {
		if tol, d := k.toleranceFor(w.end.Sub(start)), r.at.Sub(w.end); d > tol || d < -tol {
			return k.fail(w.call.Line, "runtime error in "+w.call.Name+" call", fmt.Errorf("returned at %s instead of %s", seconds(r.at), seconds(w.end)))
		}
	}
	return nil
}

// argInt returns argument i of c as a number, 0 if it is no number.
func argInt(c *Call, i int) int {
	if i >= len(c.Args) {
		return 0
	}
	v, err := value(&c.Args[i])
	if err != nil {
		return 0
	}
	return int(v)
}

type doCall = func() (int, error)

// kernelHandler returns what makes the call, and what is to be done when it has
// returned as the script says.
func (k *kernelRun) kernelHandler(c *Call) (doCall, func(int) error, error) {
	fd, known := k.fds[argInt(c, 0)]
	if !known {
		fd = -1
	}
	ok := func(err error) (int, error) { return 0, err }
	switch c.Name {
	case "socket":
		return k.kernelSocket(c)
	case "bind":
		return func() (int, error) {
			return ok(unix.Bind(fd, sockaddr(netip.AddrPortFrom(k.set.local.Addr(), k.set.port))))
		}, nil, nil
	case "listen":
		return func() (int, error) { return ok(unix.Listen(fd, argInt(c, 1))) }, func(int) error {
			if f := k.flowOfFD(argInt(c, 0)); f != nil {
				f.state, k.current = flowListening, f
			}
			return nil
		}, nil
	case "accept":
		return k.kernelAccept(c, fd)
	case "connect":
		if f := k.flowOfFD(argInt(c, 0)); f != nil && f.state == flowNew {
			f.state, f.remote = flowConnecting, netip.AddrPortFrom(k.set.remote, k.set.port)
			k.current = f
		}
		to := sockaddr(netip.AddrPortFrom(k.set.remote, k.set.port))
		if len(c.Args) > 1 && c.Args[1].Kind != ExprEllipsis {
			to = &unix.SockaddrLinklayer{} // AF_PACKET: of no use to TCP
		}
		return func() (int, error) { return ok(unix.Connect(fd, to)) }, nil, nil
	case "close":
		return func() (int, error) { return ok(unix.Close(fd)) }, func(n int) error {
			if n == 0 {
				delete(k.fds, argInt(c, 0))
			}
			return nil
		}, nil
	case "shutdown":
		return func() (int, error) { return ok(unix.Shutdown(fd, argInt(c, 1))) }, nil, nil
	case "fcntl":
		return func() (int, error) { return unix.FcntlInt(uintptr(fd), argInt(c, 1), argInt(c, 2)) }, nil, nil
	case "read", "recv":
		return func() (int, error) {
			n, _, err := unix.Recvfrom(fd, make([]byte, argInt(c, 2)), argInt(c, 3))
			return n, err
		}, nil, nil
	case "write", "send", "sendto":
		var to unix.Sockaddr
		if flags := argInt(c, 3); flags&unix.MSG_FASTOPEN != 0 {
			at := netip.AddrPortFrom(k.set.remote, k.set.port)
			k.opens(args{k.run, c}, flags, at)
			to = sockaddr(at)
		}
		return func() (int, error) {
			return unix.SendmsgN(fd, make([]byte, argInt(c, 2)), nil, to, argInt(c, 3)|unix.MSG_NOSIGNAL)
		}, nil, nil
	case "ioctl":
		return func() (int, error) {
			n, err := unix.IoctlGetInt(fd, uint(argInt(c, 1)))
			if err == nil && n != argInt(c, 2) {
				return 0, fmt.Errorf("%d bytes", n)
			}
			return ok(err)
		}, nil, nil
	case "setsockopt":
		return k.kernelSetsockopt(c, fd)
	case "getsockopt":
		return func() (int, error) {
			n, err := unix.GetsockoptInt(fd, argInt(c, 1), argInt(c, 2))
			if err == nil && n != argInt(c, 3) {
				return 0, fmt.Errorf("value %d", n)
			}
			return ok(err)
		}, nil, nil
	case "poll":
		return k.kernelPoll(c)
	}
	return nil, nil, unsupported("on the kernel, the call %s", c.Name)
}

func (k *kernelRun) kernelSocket(c *Call) (doCall, func(int) error, error) {
	proto := argInt(c, 2)
	do := func() (int, error) {
		fd, err := unix.Socket(unix.AF_INET, argInt(c, 1)|unix.SOCK_CLOEXEC, proto)
		if err == nil {
			err = unix.SetsockoptString(fd, unix.SOL_TCP, unix.TCP_CONGESTION, "cubic")
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		return fd, err
	}
	return do, func(fd int) error {
		k.fds[int(c.Result.Int)] = fd
		k.current = k.newFlow(&flow{fd: int(c.Result.Int)})
		return nil
	}, nil
}

func (k *kernelRun) kernelAccept(c *Call, fd int) (doCall, func(int) error, error) {
	var from netip.AddrPort
	do := func() (int, error) {
		n, a, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if in, ok := a.(*unix.SockaddrInet4); ok {
			from = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
		}
		return n, err
	}
	return do, func(n int) error {
		if n < 0 {
			return nil
		}
		script := int(c.Result.Int)
		k.fds[script] = n
		for _, f := range k.flows {
			if f.fd == -1 && f.remote == from {
				f.fd = script
				return nil
			}
		}
		return fmt.Errorf("accept returned %v", from)
	}, nil
}

func (k *kernelRun) kernelSetsockopt(c *Call, fd int) (doCall, func(int) error, error) {
	v := &c.Args[3]
	level, name := argInt(c, 1), argInt(c, 2)
	do := func() (int, error) {
		if v.Kind == ExprStruct && name == socket.SOLinger {
			m, err := members(v, "onoff", "linger")
			if err != nil {
				return 0, err
			}
			return 0, unix.SetsockoptLinger(fd, level, name, &unix.Linger{Onoff: int32(m[0]), Linger: int32(m[1])})
		}
		if v.Kind == ExprStruct {
			m, err := members(v, "tv_sec", "tv_usec")
			if err != nil {
				return 0, err
			}
			return 0, unix.SetsockoptTimeval(fd, level, name, &unix.Timeval{Sec: m[0], Usec: m[1]})
		}
		return 0, unix.SetsockoptInt(fd, level, name, argInt(c, 3))
	}
	return do, nil, nil
}

func (k *kernelRun) kernelPoll(c *Call) (doCall, func(int) error, error) {
	var fds []unix.PollFd
	var want []int64
	for i := range c.Args[0].List {
		m, err := members(&c.Args[0].List[i], "fd", "events", "revents")
		if err != nil {
			return nil, nil, err
		}
		fds = append(fds, unix.PollFd{Fd: int32(k.fds[int(m[0])]), Events: int16(m[1])})
		want = append(want, m[2])
	}
	return func() (int, error) { return unix.Poll(fds, argInt(c, 2)) }, func(int) error {
		for i := range fds {
			if int64(fds[i].Revents) != want[i] {
				return fmt.Errorf("expected revents %#x but got %#x", want[i], fds[i].Revents)
			}
		}
		return nil
	}, nil
}
