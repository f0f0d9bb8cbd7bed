package link

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// pipe is one end of a pair of connected in-memory devices.
type pipe struct {
	fd    int
	mtu   int
	rx    *batch
	stats Stats
}

// Pipe returns two devices, each of which reads what the other writes, in order and
// without loss, until some hundred kilobytes wait: then ErrFull. It needs no
// privileges. extra is what the packets have beyond the MTU (14 for Ethernet frames).
func Pipe(mtu, extra int) (a, b Device, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("link: pipe: %w", err)
	}
	return &pipe{fd: fds[0], mtu: mtu, rx: newBatch(mtu + extra)},
		&pipe{fd: fds[1], mtu: mtu, rx: newBatch(mtu + extra)}, nil
}

func (p *pipe) Fd() int      { return p.fd }
func (p *pipe) MTU() int     { return p.mtu }
func (p *pipe) Stats() Stats { return p.stats }

func (p *pipe) ReadBatch(deliver func([]byte)) (int, error) {
	n, errno := p.rx.receive(p.fd)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	default:
		return 0, ErrGone
	}
	taken := 0
	for i := range n {
		data, whole := p.rx.packet(i)
		if len(data) == 0 { // the other end is closed
			if taken == 0 {
				return 0, ErrGone
			}
			break
		}
		taken++
		if !whole {
			p.stats.RxDropped++
			continue
		}
		p.stats.RxPackets++
		deliver(data)
	}
	return taken, nil
}

func (p *pipe) Write(data []byte) error {
	for {
		err := unix.Send(p.fd, data, unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			p.stats.TxPackets++
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return ErrFull
		default:
			return ErrGone
		}
	}
}

func (p *pipe) Close() error {
	if p.fd < 0 {
		return ErrGone
	}
	err := unix.Close(p.fd)
	p.fd = -1
	return err
}
