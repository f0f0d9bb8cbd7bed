package link

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// headerLen is the length of an Ethernet header.
const headerLen = 14

// sendBuffer is what a device asks for, in bytes. The kernel charges about 2.3 KB for
// a full frame until the other side has taken it.
const sendBuffer = 1 << 20

// Ethernet is an AF_PACKET socket on one interface: every frame that arrives, not
// those that leave, and frames sent as they are given.
type Ethernet struct {
	*socket
	stats   Stats
	deliver func([]byte)
	frame   func(received) // e.receive, bound once
}

var _ Device = (*Ethernet)(nil)

// OpenEthernet opens the interface of that name in the namespace of the calling
// thread. It needs CAP_NET_RAW there.
func OpenEthernet(name string) (*Ethernet, error) {
	s, err := openSocket(name, false)
	if err != nil {
		return nil, err
	}
	// Beyond net.core.wmem_max if we may, else up to it: the force option wants
	// privileges in the initial user namespace.
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	e := &Ethernet{socket: s}
	e.frame = e.receive
	return e, nil
}

// MAC returns the interface's own address.
func (e *Ethernet) MAC() [6]byte { return e.mac }

// MTU returns the interface's MTU when it was opened.
func (e *Ethernet) MTU() int { return e.mtu }

// Fd returns the socket.
func (e *Ethernet) Fd() int { return e.fd }

// Close closes the socket.
func (e *Ethernet) Close() error { return e.close() }

// ReadBatch hands waiting frames to deliver.
func (e *Ethernet) ReadBatch(deliver func(frame []byte)) (int, error) {
	e.deliver = deliver
	return e.read(e.frame)
}

func (e *Ethernet) receive(p received) {
	e.stats.RxPackets++
	e.deliver(p.frame)
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
		case errors.Is(err, unix.ENOBUFS):
			// A queue that drops stays "writable": waiting for POLLOUT would spin.
			e.stats.TxDropped++
			return nil
		case errors.Is(err, unix.ENETDOWN):
			e.stats.TxDropped++
			return e.present()
		case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EBADF):
			return ErrGone
		default:
			return fmt.Errorf("link: send of %d bytes: %w", len(frame), err)
		}
	}
}

// Stats returns the counts, with what the kernel dropped for want of room.
func (e *Ethernet) Stats() Stats {
	s := e.stats
	if e.fd >= 0 {
		s.RxDropped = e.drops()
	}
	return s
}
