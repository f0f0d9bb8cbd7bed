package drill

import (
	"fmt"
	"net/netip"

	"mptcplab/mptcp/socket"
)

// handler begins a system call. after runs when it has returned what the script
// says.
type handler func(*run, args) (op *socket.Op, after func(n int) error, err error)

var handlers map[string]handler

func init() {
	handlers = map[string]handler{
		"socket": callSocket, "bind": callBind, "listen": callListen, "accept": callAccept, "accept4": callAccept,
		"connect": callConnect, "close": callClose, "shutdown": callShutdown, "fcntl": callFcntl, "ioctl": callIoctl,
		"read": callRead, "recv": callRead, "recvfrom": callRead, "readv": callReadv, "recvmsg": callRecvmsg,
		"write": callWrite, "send": callWrite, "sendto": callSendto, "writev": callWritev, "sendmsg": callSendmsg,
		"setsockopt": callSetsockopt, "getsockopt": callGetsockopt, "poll": callPoll,
		"epoll_create": callEpollCreate, "epoll_create1": callEpollCreate, "epoll_ctl": callEpollCtl, "epoll_wait": callEpollWait,
		"pipe": callPipe, "splice": callSplice, "open": callOpen, "sendfile": callSendfile,
	}
}

// numbersOf returns the first n arguments as numbers.
func (a args) numbersOf(n int) ([]int, error) {
	if err := a.need(n); err != nil {
		return nil, err
	}
	v := make([]int, n)
	for i := range v {
		x, err := a.int(i)
		if err != nil {
			return nil, err
		}
		v[i] = int(x)
	}
	return v, nil
}

// fdAnd returns the descriptor in argument 0 and the number in argument 1.
func (a args) fdAnd(i int) (fd, v int, err error) {
	if err = a.need(i + 1); err != nil {
		return 0, 0, err
	}
	if fd, err = a.fd(0); err != nil || i == 0 {
		return fd, 0, err
	}
	x, err := a.int(i)
	return fd, int(x), err
}

func callSocket(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(3); err != nil {
		return nil, nil, err
	}
	family := r.family()
	if a.c.Args[0].Kind != ExprEllipsis {
		v, err := a.int(0)
		if err != nil {
			return nil, nil, err
		}
		family = int(v)
	}
	typ, err := a.int(1)
	if err != nil {
		return nil, nil, err
	}
	proto, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	op := instant(r.sock.Socket(family, int(typ), int(proto)))
	return op, func(fd int) error {
		if fd < 0 {
			return nil
		}
		f := &flow{fd: int(a.c.Result.Int)}
		r.name(f.fd, fd)
		r.current = r.newFlow(f)
		return nil
	}, nil
}

// name gives the layer's descriptor fd the number that the script has for it. One that
// is open under that number keeps its connection, but no call can reach it any more.
func (r *run) name(script, fd int) {
	for _, f := range r.flows {
		if f.fd == script {
			f.fd = -2
		}
	}
	r.fds[script] = fd
}

// own returns the address that bind takes.
func (r *run) own(mptcp bool) netip.AddrPort {
	addr := r.set.local.Addr()
	if mptcp {
		addr = netip.IPv4Unspecified()
		if r.set.mode != IPv4 {
			addr = netip.IPv6Unspecified()
		}
	}
	return netip.AddrPortFrom(addr, r.set.port)
}

func callBind(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err == nil {
		err = a.need(2)
	}
	if err != nil {
		return nil, nil, err
	}
	proto, _ := r.sock.Option(fd, socket.SOLSocket, socket.SOProtocol)
	addr, _, err := r.address(&a.c.Args[1], r.own(proto == socket.IPProtoMPTCP))
	if err != nil {
		return nil, nil, err
	}
	return done(r.sock.Bind(fd, addr)), nil, nil
}

func callListen(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, backlog, err := a.fdAnd(1)
	if err != nil {
		return nil, nil, err
	}
	op := done(r.sock.Listen(fd, backlog))
	return op, func(n int) error {
		if f := r.flowOfFD(int(a.c.Args[0].Int)); f != nil && n == 0 {
			f.state = flowListening
			r.current = f
		}
		return nil
	}, nil
}

func callAccept(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err != nil {
		return nil, nil, err
	}
	flags, err := a.optionalFlags(3) // of accept4
	if err != nil {
		return nil, nil, err
	}
	return r.sock.AcceptOp(r.now, fd), func(n int) error {
		if n < 0 {
			return nil
		}
		if flags&socket.ONonblock != 0 {
			r.sock.SetFlags(n, socket.ONonblock)
		}
		script := int(a.c.Result.Int)
		r.name(script, n)
		c := r.sock.Conn(n)
		for _, f := range r.flows {
			if f.fd == -1 && f.state >= flowSYNReceived && !f.join && f.local == c.LocalAddr() && f.remote == c.RemoteAddr() {
				f.fd = script
				return nil
			}
		}
		return fmt.Errorf("accept returned a connection that the script does not know")
	}, nil
}

func callConnect(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err == nil {
		err = a.need(2)
	}
	if err != nil {
		return nil, nil, err
	}
	to, family, err := r.address(&a.c.Args[1], r.peer())
	if err != nil {
		return nil, nil, err
	}
	switch family {
	case socket.AFUnspec:
		return done(r.sock.Disconnect(fd)), nil, nil
	case socket.AFInet, socket.AFInet6:
	default:
		return r.sock.ConnectOp(r.now, fd, netip.AddrPort{}), nil, nil
	}
	if f := r.flowOfFD(int(a.c.Args[0].Int)); f != nil && f.state == flowNew {
		f.state, f.remote = flowConnecting, to
		r.current = f
	}
	return r.sock.ConnectOp(r.now, fd, to), nil, nil
}

func callClose(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, _, err := a.fdAnd(0)
	if err != nil {
		return nil, nil, err
	}
	if script := int(a.c.Args[0].Int); r.files[script] != nil {
		delete(r.files, script)
		return done(socket.OK), nil, nil
	}
	return r.sock.CloseOp(r.now, fd), func(n int) error {
		if n == 0 {
			delete(r.fds, int(a.c.Args[0].Int))
		}
		return nil
	}, nil
}

func callShutdown(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, how, err := a.fdAnd(1)
	if err != nil {
		return nil, nil, err
	}
	return done(r.sock.Shutdown(fd, how)), nil, nil
}

func callFcntl(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, cmd, err := a.fdAnd(1)
	if err != nil {
		return nil, nil, err
	}
	switch cmd {
	case symbols["F_GETFL"]:
		return instant(r.sock.Flags(fd)), nil, nil
	case symbols["F_SETFL"]:
		_, flags, err := a.fdAnd(2)
		if err != nil {
			return nil, nil, err
		}
		return done(r.sock.SetFlags(fd, flags)), nil, nil
	}
	return nil, nil, unsupported("fcntl with command %d", cmd)
}

func callIoctl(r *run, a args) (*socket.Op, func(int) error, error) {
	fd, cmd, err := a.fdAnd(1)
	if err == nil {
		err = a.need(3)
	}
	if err != nil {
		return nil, nil, err
	}
	count := r.sock.Readable
	switch cmd {
	case symbols["SIOCINQ"]:
	case symbols["SIOCOUTQ"]:
		count = r.sock.Unacked
	case symbols["SIOCOUTQNSD"]:
		count = r.sock.Unsent
	default:
		return nil, nil, unsupported("this ioctl")
	}
	want, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	n, e := count(fd)
	return done(e), func(int) error {
		if e == socket.OK && int64(n) != want {
			return fmt.Errorf("expected %d bytes but got %d", want, n)
		}
		return nil
	}, nil
}
