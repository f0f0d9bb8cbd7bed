package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/link"
)

// Capture is a running capture of one interface.
type Capture struct {
	iface   string
	tap     *link.Tap
	stop    int // eventfd
	done    chan struct{}
	mu      sync.Mutex
	err     error
	closed  bool
	dropped uint64
}

// Capture hands every IP packet that passes an interface of the topology, both ways,
// to f: iface is NODE.LINK, out is true for packets that the node sends, at is when
// the kernel saw the packet, by the lab's clock. f runs on one goroutine per capture;
// the packet is borrowed. What a node sends is seen behind its queueing discipline.
func (l *Lab) Capture(iface string, f func(at clock.Instant, out bool, packet []byte)) (*Capture, error) {
	node, name, ok := strings.Cut(iface, ".")
	if !ok {
		return nil, fmt.Errorf("netns: %q is not NODE.LINK", iface)
	}
	n, i, err := l.lookup(node, name)
	if err != nil {
		return nil, err
	}
	c := &Capture{iface: iface, done: make(chan struct{})}
	err = n.thread.do(func() (err error) {
		c.tap, err = link.OpenTap(i.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("netns: capture of %s: %w", iface, err)
	}
	if c.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(err, c.tap.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.tap.Close()
		unix.Close(c.stop)
		return nil, errClosed
	}
	l.captures = append(l.captures, c)
	go c.run(l, f)
	return c, nil
}

// run reads until Close, and then what still waits.
func (c *Capture) run(l *Lab, f func(clock.Instant, bool, []byte)) {
	defer close(c.done)
	fds := []unix.PollFd{
		{Fd: int32(c.tap.Fd()), Events: unix.POLLIN},
		{Fd: int32(c.stop), Events: unix.POLLIN},
	}
	var called clock.Instant
	ip := func(age int64, out bool, frame []byte) {
		switch binary.BigEndian.Uint16(frame[12:]) {
		case 0x0800, 0x86dd:
			f(called-clock.Instant(age), out, frame[14:])
		}
	}
	for {
		called = l.Now()
		n, err := c.tap.ReadBatch(ip)
		if err != nil {
			c.fail(fmt.Errorf("netns: capture of %s: %w", c.iface, err))
			return
		}
		if n > 0 {
			continue
		}
		if fds[1].Revents != 0 {
			return
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			c.fail(fmt.Errorf("netns: poll: %w", err))
			return
		}
	}
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Err returns what ended the capture before Close, such as link.ErrGone.
func (c *Capture) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Dropped returns how many packets the kernel could not keep for the capture. It is
// known after Close.
func (c *Capture) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Close hands over what still waits and ends the capture. It returns what had ended
// the capture before, if anything.
func (c *Capture) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	one := [8]byte{1}
	_, _ = unix.Write(c.stop, one[:])
	<-c.done
	dropped := c.tap.Dropped()
	c.tap.Close()
	unix.Close(c.stop)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = dropped
	return c.err
}
