package drill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

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
	err := r.err // of a value that is not as the script says
	if errors.As(r.err, &no) {
		op.Err = socket.Errno(no)
		op.N = -1
		err = nil
	}
	if err == nil {
		err = checkResult(w.call, op)
	}
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
			proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
			if err != nil {
				return -1, err
			}
			return ok(unix.Bind(fd, sockaddr(k.own(proto == unix.IPPROTO_MPTCP))))
		}, nil, nil
	case "listen":
		return func() (int, error) { return ok(unix.Listen(fd, argInt(c, 1))) }, func(int) error {
			if f := k.flowOfFD(argInt(c, 0)); f != nil {
				f.state, k.current = flowListening, f
			}
			return nil
		}, nil
	case "accept", "accept4":
		return k.kernelAccept(c, fd)
	case "connect":
		if f := k.flowOfFD(argInt(c, 0)); f != nil && f.state == flowNew {
			f.state, f.remote = flowConnecting, netip.AddrPortFrom(k.set.remote, k.set.port)
			k.current = f
		}
		to := sockaddr(netip.AddrPortFrom(k.set.remote, k.set.port))
		if len(c.Args) > 1 && c.Args[1].Kind != ExprEllipsis {
			family := uint16(argInt(c, 1)) // no address of that is of use to TCP
			return func() (int, error) {
				sa := unix.RawSockaddr{Family: family}
				_, _, no := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
				if no != 0 {
					return -1, no
				}
				return 0, nil
			}, nil, nil
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
	case "epoll_create", "epoll_create1":
		return func() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) }, func(n int) error {
			k.fds[int(c.Result.Int)] = n
			return nil
		}, nil
	case "epoll_ctl":
		return k.kernelEpollCtl(c, fd)
	case "epoll_wait":
		return k.kernelEpollWait(c, fd)
	case "recvmsg":
		return k.kernelRecvmsg(c, fd)
	case "sendmsg", "writev":
		return k.kernelSendmsg(c, fd)
	case "read", "recv", "recvfrom":
		return func() (int, error) {
			n, _, err := unix.Recvfrom(fd, make([]byte, argInt(c, 2)), argInt(c, 3))
			return n, err
		}, nil, nil
	case "write", "send", "sendto":
		var to unix.Sockaddr
		if flags := argInt(c, 3); flags&unix.MSG_FASTOPEN != 0 {
			at := netip.AddrPortFrom(k.set.remote, k.set.port)
			k.opens(args{k.run, c}, flags, at)
			if len(c.Args) <= 4 || !isNull(&c.Args[4]) {
				to = sockaddr(at)
			}
		}
		if len(c.Args) > 1 && isNull(&c.Args[1]) {
			return func() (int, error) { // no memory is there
				var at *unix.RawSockaddrInet4
				size := uintptr(0)
				if in, ok := to.(*unix.SockaddrInet4); ok {
					at = &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: uint16(in.Port)<<8 | uint16(in.Port)>>8, Addr: in.Addr}
					size = unix.SizeofSockaddrInet4
				}
				n, _, no := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, uintptr(argInt(c, 2)), uintptr(argInt(c, 3)|unix.MSG_NOSIGNAL), uintptr(unsafe.Pointer(at)), size)
				if no != 0 {
					return -1, no
				}
				return int(n), nil
			}, nil, nil
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
			if v := &c.Args[3]; err == nil && v.Kind != ExprString && v.Kind != ExprEllipsis && n != argInt(c, 3) {
				return 0, fmt.Errorf("value %d", n)
			}
			return ok(err)
		}, nil, nil
	case "poll":
		return k.kernelPoll(c)
	case "pipe":
		ends := make([]int, 2)
		return func() (int, error) { return ok(unix.Pipe2(ends, unix.O_CLOEXEC)) }, func(int) error {
			for i := range ends {
				n, err := value(&c.Args[0].List[i])
				if err != nil {
					return err
				}
				k.fds[int(n)] = ends[i]
			}
			return nil
		}, nil
	case "splice":
		return func() (int, error) {
			n, err := unix.Splice(fd, nil, k.fds[argInt(c, 2)], nil, argInt(c, 4), argInt(c, 5))
			return int(n), err
		}, nil, nil
	}
	return nil, nil, unsupported("on the kernel, the call %s", c.Name)
}

func (k *kernelRun) kernelSocket(c *Call) (doCall, func(int) error, error) {
	proto := argInt(c, 2)
	do := func() (int, error) {
		fd, err := unix.Socket(k.family(), argInt(c, 1)|unix.SOCK_CLOEXEC, proto)
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
		switch in := a.(type) {
		case *unix.SockaddrInet4:
			from = netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
		case *unix.SockaddrInet6:
			from = netip.AddrPortFrom(netip.AddrFrom16(in.Addr), uint16(in.Port))
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
		if v.Kind == ExprString {
			return 0, unix.SetsockoptString(fd, level, name, v.Text)
		}
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

func (k *kernelRun) kernelEpollCtl(c *Call, ep int) (doCall, func(int) error, error) {
	m, err := members(&c.Args[3], epollMembers...)
	if err != nil {
		return nil, nil, err
	}
	ev := &unix.EpollEvent{Events: uint32(m[0]), Fd: int32(argInt(c, 2))}
	return func() (int, error) { return 0, unix.EpollCtl(ep, argInt(c, 1), k.fds[argInt(c, 2)], ev) }, nil, nil
}

func (k *kernelRun) kernelEpollWait(c *Call, ep int) (doCall, func(int) error, error) {
	m, err := members(&c.Args[1], epollMembers...)
	if err != nil {
		return nil, nil, err
	}
	evs := make([]unix.EpollEvent, argInt(c, 2))
	return func() (int, error) { return unix.EpollWait(ep, evs, argInt(c, 3)) }, func(n int) error {
		if n == 1 && int64(evs[0].Events) != m[0] {
			return fmt.Errorf("expected events %#x but got %#x", m[0], evs[0].Events)
		}
		return nil
	}, nil
}

func (k *kernelRun) kernelSendmsg(c *Call, fd int) (doCall, func(int) error, error) {
	var sizes []int
	var oob []byte
	flags := 0
	var err error
	if c.Name == "writev" {
		sizes, err = vector(&c.Args[1])
	} else {
		var m message
		m, err = readMessage(&c.Args[1])
		sizes, flags = m.sizes, argInt(c, 2)
		for _, s := range m.controls { // a number each
			h := make([]byte, unix.CmsgSpace(4))
			binary.NativeEndian.PutUint64(h, uint64(unix.CmsgLen(4)))
			binary.NativeEndian.PutUint32(h[8:], uint32(s.level))
			binary.NativeEndian.PutUint32(h[12:], uint32(s.kind))
			binary.NativeEndian.PutUint32(h[16:], uint32(s.data[""]))
			oob = append(oob, h...)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	var iov [][]byte
	for _, n := range sizes {
		iov = append(iov, make([]byte, n))
	}
	var to unix.Sockaddr
	if flags&unix.MSG_FASTOPEN != 0 {
		at := netip.AddrPortFrom(k.set.remote, k.set.port)
		k.opens(args{k.run, c}, flags, at)
		to = sockaddr(at)
	}
	return func() (int, error) { return unix.SendmsgBuffers(fd, iov, oob, to, flags|unix.MSG_NOSIGNAL) }, nil, nil
}

// kernelRecvmsg reads as the script says and compares the control messages.
func (k *kernelRun) kernelRecvmsg(c *Call, fd int) (doCall, func(int) error, error) {
	m, err := readMessage(&c.Args[1])
	if err != nil {
		return nil, nil, err
	}
	oob := make([]byte, 512)
	var got []control
	flags := 0
	do := func() (int, error) {
		// Not unix.Recvmsg, which never reads nothing.
		var iov unix.Iovec
		if p := make([]byte, m.bytes()); len(p) > 0 {
			iov.Base = &p[0]
			iov.SetLen(len(p))
		}
		h := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &oob[0]}
		h.SetControllen(len(oob))
		n, _, no := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(argInt(c, 2)))
		if no != 0 {
			return -1, no
		}
		flags = int(h.Flags)
		list, err := unix.ParseSocketControlMessage(oob[:h.Controllen])
		for _, s := range list {
			got = append(got, k.kernelControl(&s))
		}
		return int(n), err
	}
	return do, func(n int) error {
		if n < 0 {
			return nil
		}
		return m.check(k.run, int64(flags), got)
	}, nil
}

// kernelControl takes a control message apart: a number, struct scm_timestamping or
// struct sock_extended_err.
func (k *kernelRun) kernelControl(s *unix.SocketControlMessage) control {
	u32 := func(i int) int64 { return int64(binary.NativeEndian.Uint32(s.Data[i:])) }
	g := control{level: int64(s.Header.Level), kind: int64(s.Header.Type), data: make(map[string]int64)}
	switch {
	case g.level == unix.SOL_IP && g.kind == unix.IP_RECVERR:
		g.data = map[string]int64{"ee_errno": u32(0), "ee_origin": int64(s.Data[4]), "ee_type": int64(s.Data[5]),
			"ee_code": int64(s.Data[6]), "ee_info": u32(8), "ee_data": u32(12)}
	case g.level == unix.SOL_SOCKET && len(s.Data) >= 16:
		sec, nsec := binary.NativeEndian.Uint64(s.Data), binary.NativeEndian.Uint64(s.Data[8:])
		g.at = start.Add(time.Unix(int64(sec), int64(nsec)).Sub(k.began))
	case len(s.Data) >= 4:
		g.data[""] = u32(0)
	}
	return g
}
