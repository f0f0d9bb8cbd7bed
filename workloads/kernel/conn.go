package kernel

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/workloads"
)

// Conn is a kernel socket as an application sees it. Close ends both directions, but
// the descriptor stays until the peer has acknowledged everything, so that Done and
// Info can be answered.
type Conn struct {
	fd          int
	mptcp       bool // the application asked for MPTCP
	accepted    bool
	established bool
	shut        bool // the end of our direction was sent
	eof         bool // the end of the peer's was read
	closing     bool // Close was called
	err         error
	last        mptcp.Info // as of the last Info; what goes on after the descriptor is closed
}

var _ workloads.Conn = (*Conn)(nil)

// poll returns what poll(2) says of the socket now.
func (c *Conn) poll() int16 {
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return 0
	}
	return fds[0].Revents
}

// Established implements workloads.Conn.
func (c *Conn) Established() bool {
	if !c.established && c.fd >= 0 && c.err == nil {
		events := c.poll()
		c.established = events&unix.POLLOUT != 0 && events&(unix.POLLERR|unix.POLLHUP) == 0
		if events&(unix.POLLERR|unix.POLLHUP) != 0 {
			c.take()
		}
	}
	return c.established
}

// take fetches the socket's pending error.
func (c *Conn) take() {
	if c.fd < 0 || c.err != nil {
		return
	}
	if e, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && e != 0 {
		c.err = fmt.Errorf("kernel: %w", unix.Errno(e))
	}
}

// Err implements workloads.Conn.
func (c *Conn) Err() error {
	c.take()
	return c.err
}

// failed notes err unless it means that the call has to wait.
func (c *Conn) failed(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return workloads.ErrWouldBlock
	}
	err = fmt.Errorf("kernel: %w", err)
	if c.err == nil {
		c.err = err
	}
	return err
}

// Read implements workloads.Conn.
func (c *Conn) Read(_ clock.Instant, p []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.eof:
		return 0, io.EOF
	case c.fd < 0 || c.closing:
		return 0, unix.EBADF
	case len(p) == 0:
		return 0, nil
	case !c.Established():
		if c.err != nil {
			return 0, c.err
		}
		return 0, workloads.ErrWouldBlock
	}
	for {
		n, err := unix.Read(c.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, c.failed(err)
		case n == 0:
			c.eof = true
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write implements workloads.Conn.
func (c *Conn) Write(_ clock.Instant, p []byte, more bool) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.fd < 0 || c.closing || c.shut:
		return 0, unix.EPIPE
	case len(p) == 0:
		return 0, nil
	case !c.Established():
		if c.err != nil {
			return 0, c.err
		}
		return 0, workloads.ErrWouldBlock
	}
	flags := unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, err := unix.SendmsgN(c.fd, p, nil, nil, flags)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, c.failed(err)
		}
		return n, nil
	}
}

// CloseWrite implements workloads.Conn.
func (c *Conn) CloseWrite(clock.Instant) error {
	if c.shut || c.fd < 0 {
		return nil
	}
	_, _ = c.Info(0) // the kernel forgets subflows as they end
	c.shut = true
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		return c.failed(err)
	}
	return nil
}

// Close implements workloads.Conn.
func (c *Conn) Close(now clock.Instant) error {
	if c.closing || c.fd < 0 {
		return nil
	}
	c.take()
	if c.err != nil {
		_, _ = c.Info(now)
		c.closing = true
		c.release()
		return nil
	}
	if !c.Established() { // nothing to be said to the peer in an orderly way
		return c.Abort(now)
	}
	err := c.CloseWrite(now)
	c.closing = true
	return err
}

// Abort implements workloads.Conn: RST, with MP_FASTCLOSE on MPTCP.
func (c *Conn) Abort(now clock.Instant) error {
	if c.fd < 0 {
		return nil
	}
	_, _ = c.Info(now)
	c.closing = true
	err := unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.release()
	return err
}

// release closes the descriptor.
func (c *Conn) release() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
	for i := range c.last.Subflows {
		c.last.Subflows[i].Closed = true
	}
}

// Done implements workloads.Conn. A socket that was closed by the application is
// closed in the kernel as soon as this holds.
func (c *Conn) Done() bool {
	if c.fd < 0 {
		return true
	}
	if !c.shut && c.Err() == nil {
		return false
	}
	events := c.poll()
	if c.err == nil && events&unix.POLLERR != 0 {
		c.take()
	}
	ended := c.eof || events&(unix.POLLRDHUP|unix.POLLHUP) != 0
	// The sequence number of FIN or DATA_FIN counts among what is not acknowledged.
	owed, err := unix.IoctlGetInt(c.fd, unix.SIOCOUTQ)
	done := c.err != nil || (ended && err == nil && owed == 0)
	if done && c.closing {
		_, _ = c.Info(0)
		c.release()
	}
	return done
}

// CongestionControl returns the controller in force on the socket.
func (c *Conn) CongestionControl() (string, error) {
	if c.fd < 0 {
		return "", unix.EBADF
	}
	return unix.GetsockoptString(c.fd, unix.SOL_TCP, unix.TCP_CONGESTION)
}
