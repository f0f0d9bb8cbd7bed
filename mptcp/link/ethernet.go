package link

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// headerLen is the length of an Ethernet header.
const headerLen = 14

// bufferSize is what a device asks for its socket buffers, in bytes: at 1 Gbit/s
// some 50 ms of full frames, while the kernel charges about 2.3 KB each.
const bufferSize = 16 << 20

// Ethernet is an AF_PACKET socket on one interface: every frame that arrives, not
// those that leave, and frames sent as they are given.
type Ethernet struct {
	fd    int
	index int
	mac   [6]byte
	mtu   int
	rx    *batch
	stats Stats
}

var _ Device = (*Ethernet)(nil)

// OpenEthernet opens the interface of that name in the namespace of the calling
// thread. It needs CAP_NET_RAW there.
func OpenEthernet(name string) (*Ethernet, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	if len(iface.HardwareAddr) != 6 {
		return nil, fmt.Errorf("link: %s is no Ethernet interface", name)
	}
	// Protocol 0 receives nothing until bind: no packet of another interface
	// gets in between.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("link: AF_PACKET socket for %s: %w", name, err)
	}
	e := &Ethernet{fd: fd, index: iface.Index, mac: [6]byte(iface.HardwareAddr), mtu: iface.MTU}
	if err := e.setup(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("link: %s: %w", name, err)
	}
	e.rx = newBatch(e.mtu + headerLen + 4) // and a VLAN tag, so that one is never cut
	return e, nil
}

func (e *Ethernet) setup() error {
	if err := unix.SetsockoptInt(e.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return fmt.Errorf("PACKET_IGNORE_OUTGOING: %w", err)
	}
	growBuffer(e.fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
	growBuffer(e.fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	// ETH_P_ALL and not ETH_P_IP: such sockets see a frame before the
	// namespace's ingress hook drops it.
	err := unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: e.index})
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// growBuffer asks for a buffer beyond net.core.[rw]mem_max, or up to it where the
// process may not: the force option wants privileges in the initial user namespace.
func growBuffer(fd, force, plain int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bufferSize) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, bufferSize) // clamped, never refused
	}
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// MAC returns the interface's own address.
func (e *Ethernet) MAC() [6]byte { return e.mac }

// MTU returns the interface's MTU when it was opened.
func (e *Ethernet) MTU() int { return e.mtu }

// Fd returns the socket.
func (e *Ethernet) Fd() int { return e.fd }

// ReadBatch hands waiting frames to deliver.
func (e *Ethernet) ReadBatch(deliver func(frame []byte)) (int, error) {
	n, errno := e.rx.receive(e.fd)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	case unix.ENETDOWN, unix.EBADF:
		// Reported once when the interface goes down and once when it goes away.
		return 0, e.present()
	default:
		return 0, fmt.Errorf("link: receive: %w", errno)
	}
	for i := range n {
		frame, whole := e.rx.packet(i)
		if !whole || len(frame) < headerLen {
			e.stats.RxDropped++
			continue
		}
		e.stats.RxPackets++
		deliver(frame)
	}
	return n, nil
}

// present returns ErrGone if the interface was removed: the kernel then unbinds the
// socket.
func (e *Ethernet) present() error {
	sa, err := unix.Getsockname(e.fd)
	if err != nil {
		return ErrGone
	}
	if ll, ok := sa.(*unix.SockaddrLinklayer); !ok || ll.Ifindex != e.index {
		return ErrGone
	}
	return nil
}

// Write sends one frame.
func (e *Ethernet) Write(frame []byte) error {
	for {
		_, err := unix.Write(e.fd, frame)
		switch {
		case err == nil:
			e.stats.TxPackets++
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return ErrFull
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENETDOWN):
			// A queue that drops stays "writable": waiting for POLLOUT would spin.
			e.stats.TxDropped++
			return nil
		case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EBADF):
			return ErrGone
		default:
			return fmt.Errorf("link: send of %d bytes: %w", len(frame), err)
		}
	}
}

// Stats returns the counts, with what the kernel dropped for want of buffer.
func (e *Ethernet) Stats() Stats {
	// The kernel's counts start again at each reading.
	if s, err := unix.GetsockoptTpacketStats(e.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		e.stats.RxDropped += uint64(s.Drops)
	}
	return e.stats
}

// Close closes the socket.
func (e *Ethernet) Close() error {
	if e.fd < 0 {
		return ErrGone
	}
	err := unix.Close(e.fd)
	e.fd = -1
	return err
}
