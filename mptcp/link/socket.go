package link

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// socket is an AF_PACKET socket with a receive ring on one interface.
type socket struct {
	fd      int
	index   int
	mac     [6]byte
	mtu     int
	ring    *ring
	dropped uint64
}

// openSocket opens the interface of that name in the namespace of the calling thread,
// for all protocols: such sockets see a frame before the namespace's ingress hook
// drops it, those for one protocol don't. both: also what leaves.
func openSocket(name string, both bool) (*socket, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("link: %s: %w", name, err)
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
	s := &socket{fd: fd, index: iface.Index, mac: [6]byte(iface.HardwareAddr), mtu: iface.MTU}
	if err := s.setup(both); err != nil {
		s.close()
		return nil, fmt.Errorf("link: %s: %w", name, err)
	}
	return s, nil
}

func (s *socket) setup(both bool) (err error) {
	if !both {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("PACKET_IGNORE_OUTGOING: %w", err)
		}
	}
	if s.ring, err = newRing(s.fd, s.mtu+headerLen+4); err != nil { // 4: a VLAN tag
		return err
	}
	err = unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: s.index})
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// read hands waiting packets to deliver, at most ringBatch.
func (s *socket) read(deliver func(received)) (int, error) {
	if s.fd < 0 {
		return 0, ErrGone
	}
	for n := range ringBatch {
		p, ok := s.ring.take()
		if !ok {
			if n == 0 {
				return 0, s.trouble()
			}
			return n, nil
		}
		if p.whole && len(p.frame) >= headerLen {
			deliver(p)
		} else {
			s.dropped++
		}
		s.ring.release()
	}
	return ringBatch, nil
}

// trouble returns what is wrong with the socket. The kernel reports ENETDOWN both when
// the interface goes down and when it goes away.
func (s *socket) trouble() error {
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return ErrGone
	}
	switch e := unix.Errno(code); e {
	case 0:
		return nil
	case unix.ENETDOWN:
		return s.present()
	default:
		return fmt.Errorf("link: receive: %w", e)
	}
}

// present returns ErrGone if the interface was removed: the kernel then unbinds the
// socket.
func (s *socket) present() error {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return ErrGone
	}
	if ll, ok := sa.(*unix.SockaddrLinklayer); !ok || ll.Ifindex != s.index {
		return ErrGone
	}
	return nil
}

// drops returns how many packets were lost for want of room or too long.
func (s *socket) drops() uint64 {
	// The kernel's counts start again at each reading.
	if st, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		s.dropped += uint64(st.Drops)
	}
	return s.dropped
}

func (s *socket) close() error {
	if s.fd < 0 {
		return ErrGone
	}
	if s.ring != nil {
		s.ring.close()
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}
