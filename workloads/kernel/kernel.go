// Package kernel runs applications on the kernel's TCP and MPTCP sockets: the same
// state machines as on our stack, on one thread per host that sleeps in epoll until a
// socket is ready or an application's time has come.
package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/workloads"
)

// sockets gives applications kernel sockets. It is used on the pump's thread alone.
type sockets struct {
	open  func(func() error) error
	epoll int
	conns []*Conn // those that are not closed in the kernel yet

	listeners []*listener
}

var _ workloads.Host = (*sockets)(nil)

// newSocket makes a non-blocking socket in the host's namespace.
func (h *sockets) newSocket(addr netip.Addr, proto string) (fd int, err error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_TCP
	if addr.Is6() {
		family = unix.AF_INET6
	}
	switch proto {
	case "mptcp":
		protocol = unix.IPPROTO_MPTCP
	case "tcp":
	default:
		return -1, fmt.Errorf("kernel: no protocol %q", proto)
	}
	err = h.open(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("kernel: %s socket: %w", proto, err)
	}
	return fd, nil
}

// watch wakes the pump whenever anything changes on fd. Edges are enough:
// applications go on until they would block.
func (h *sockets) watch(fd int) error {
	return unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(fd),
	})
}

// Dial implements workloads.Host.
func (h *sockets) Dial(_ clock.Instant, s workloads.Socket) (workloads.Conn, error) {
	fd, err := h.newSocket(s.Remote.Addr(), s.Proto)
	if err != nil {
		return nil, err
	}
	c := &Conn{fd: fd, mptcp: s.Proto == "mptcp"}
	if err := h.dial(fd, s); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("kernel: dial %s: %w", s.Remote, err)
	}
	h.conns = append(h.conns, c)
	return c, nil
}

func (h *sockets) dial(fd int, s workloads.Socket) error {
	if err := configure(fd, s.Config); err != nil {
		return err
	}
	if s.Local.Addr().IsValid() && !s.Local.Addr().IsUnspecified() || s.Local.Port() != 0 {
		if s.Local.Port() == 0 {
			// Else the port is taken for all remote addresses at once.
			_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
		if err := unix.Bind(fd, sockaddr(s.Local, s.Remote.Addr())); err != nil {
			return fmt.Errorf("bind to %s: %w", s.Local, err)
		}
	}
	if err := h.watch(fd); err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(s.Remote, s.Remote.Addr())); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}

// sockaddr translates an address; an invalid one is the unspecified one of like's
// family.
func sockaddr(a netip.AddrPort, like netip.Addr) unix.Sockaddr {
	addr := a.Addr()
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
		if like.Is6() {
			addr = netip.IPv6Unspecified()
		}
	}
	if addr.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: addr.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: addr.As16()}
}

// Listen implements workloads.Host.
func (h *sockets) Listen(_ clock.Instant, s workloads.Socket) (workloads.Listener, error) {
	fd, err := h.newSocket(s.Local.Addr(), s.Proto)
	if err != nil {
		return nil, err
	}
	err = configure(fd, s.Config)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(s.Local, s.Local.Addr()))
	}
	if err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err == nil {
		err = h.watch(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("kernel: listen on %s: %w", s.Local, err)
	}
	l := &listener{host: h, fd: fd, mptcp: s.Proto == "mptcp"}
	h.listeners = append(h.listeners, l)
	return l, nil
}

// configure sets what a scenario says of a socket as far as the kernel knows it per
// socket; listeners pass it on. The rest are sysctls of the namespace.
func configure(fd int, c *mptcp.Config) error {
	if c == nil {
		return nil
	}
	if name := c.TCP.CongestionControl; name != "" {
		if err := unix.SetsockoptString(fd, unix.SOL_TCP, unix.TCP_CONGESTION, name); err != nil {
			return fmt.Errorf("TCP_CONGESTION %s: %w", name, err)
		}
	}
	if c.TCP.NoDelay {
		if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("TCP_NODELAY: %w", err)
		}
	}
	// The kernel doubles what it is given, for its own overhead: the payload is
	// what was asked for.
	if err := setBuffer(fd, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, c.SendBuffer); err != nil {
		return fmt.Errorf("SO_SNDBUF %d: %w", c.SendBuffer, err)
	}
	if err := setBuffer(fd, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, c.RecvBuffer); err != nil {
		return fmt.Errorf("SO_RCVBUF %d: %w", c.RecvBuffer, err)
	}
	return nil
}

// setBuffer sets a buffer's size, beyond the machine's maximum if that is permitted,
// and says so if the kernel clamped it.
func setBuffer(fd, plain, force, size int) error {
	if size <= 0 {
		return nil
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) == nil {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size); err != nil {
		return err
	}
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain); err != nil || got < 2*size {
		return fmt.Errorf("the machine's limit allows %d: %w", got/2, errors.Join(unix.EPERM, err))
	}
	return nil
}

// reap closes the sockets that are done with, and reports whether there were any.
func (h *sockets) reap() bool {
	before := len(h.conns)
	kept := h.conns[:0]
	for _, c := range h.conns {
		if c.fd >= 0 && !(c.closing && c.Done()) {
			kept = append(kept, c)
		}
	}
	clear(h.conns[len(kept):])
	h.conns = kept
	return len(kept) < before
}

// closing reports whether a socket waits for its end to be acknowledged.
func (h *sockets) closing() bool {
	for _, c := range h.conns {
		if c.closing {
			return true
		}
	}
	return false
}

func (h *sockets) closeAll() {
	for _, c := range h.conns {
		c.release()
	}
	for _, l := range h.listeners {
		_ = l.Close(0)
	}
	h.conns, h.listeners = nil, nil
}

type listener struct {
	host  *sockets
	fd    int
	mptcp bool
}

// Accept implements workloads.Listener.
func (l *listener) Accept(clock.Instant) (workloads.Conn, error) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil, workloads.ErrWouldBlock
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return nil, fmt.Errorf("kernel: accept: %w", err)
		}
		c := &Conn{fd: fd, mptcp: l.mptcp, accepted: true, established: true}
		if err := l.host.watch(fd); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("kernel: accept: %w", err)
		}
		l.host.conns = append(l.host.conns, c)
		return c, nil
	}
}

// Close implements workloads.Listener.
func (l *listener) Close(clock.Instant) error {
	if l.fd < 0 {
		return nil
	}
	err := unix.Close(l.fd)
	l.fd = -1
	return err
}
