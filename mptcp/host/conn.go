package host

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// network is what addresses of our connections say of themselves.
const network = "mptcp"

// Conn is a connection of our stack as a net.Conn.
type Conn struct {
	stack  *Stack
	conn   *mptcp.Conn
	local  net.Addr
	remote net.Addr

	reading, writing *deadline
	writes           sync.Mutex // one Write at a time: its bytes stay together
	close            sync.Once
	closed           chan struct{}
}

var _ net.Conn = (*Conn)(nil)

func newConn(s *Stack, c *mptcp.Conn) *Conn {
	return &Conn{
		stack: s, conn: c,
		local:   net.TCPAddrFromAddrPort(c.LocalAddr()),
		remote:  net.TCPAddrFromAddrPort(c.RemoteAddr()),
		reading: newDeadline(), writing: newDeadline(),
		closed: make(chan struct{}),
	}
}

// opError wraps err as package net does.
func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: errno(err)}
}

// errno gives the stack's errors the face of a kernel's.
func errno(err error) error {
	for from, to := range map[error]syscall.Errno{
		mptcp.ErrReset: syscall.ECONNRESET, mptcp.ErrPipe: syscall.EPIPE, mptcp.ErrRefused: syscall.ECONNREFUSED,
		mptcp.ErrTimedOut: syscall.ETIMEDOUT, mptcp.ErrAborted: syscall.ECONNABORTED,
		mptcp.ErrUnreachable: syscall.EHOSTUNREACH, mptcp.ErrAddrInUse: syscall.EADDRINUSE,
		mptcp.ErrAddrNotAvail: syscall.EADDRNOTAVAIL, mptcp.ErrNotConnected: syscall.ENOTCONN,
		mptcp.ErrClosed: syscall.EPIPE, mptcp.ErrInvalid: syscall.EINVAL,
		mptcp.ErrUnknownName: syscall.ENOENT, mptcp.ErrProtocol: syscall.EPROTO,
		mptcp.ErrNoMPTCP: syscall.ENOPROTOOPT,
	} {
		if errors.Is(err, from) {
			return to
		}
	}
	if errors.Is(err, ErrClosed) {
		return net.ErrClosed
	}
	return err
}

// attempt runs try under the lock until it does not have to wait any more.
func (c *Conn) attempt(d *deadline, try func() error) error {
	for {
		select {
		case <-c.closed:
			return net.ErrClosed
		default:
		}
		expired := d.wait()
		select {
		case <-expired:
			return os.ErrDeadlineExceeded
		default:
		}
		var changed <-chan struct{}
		var err error
		if e := c.stack.Do(func(clock.Instant) {
			if err = try(); errors.Is(err, mptcp.ErrWouldBlock) {
				changed = c.stack.wait(c.conn)
			}
		}); e != nil {
			return e
		}
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-expired:
		case <-c.closed:
		case <-c.stack.Failed():
			return c.stack.Err()
		}
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = c.attempt(c.reading, func() (err error) {
		n, err = c.conn.Read(p)
		return err
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return n, c.opError("read", err)
	}
	return n, err
}

// Write implements net.Conn: all of p, or an error that says why not.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writes.Lock()
	defer c.writes.Unlock()
	for n < len(p) {
		err = c.attempt(c.writing, func() error {
			k, err := c.conn.Write(p[n:], false)
			n += k
			return err
		})
		if err != nil {
			return n, c.opError("write", err)
		}
	}
	return n, nil
}

// CloseWrite ends our direction after everything that was written.
func (c *Conn) CloseWrite() error {
	err := c.do(func() error { return c.conn.CloseWrite() })
	if err != nil {
		return c.opError("close", err)
	}
	return nil
}

func (c *Conn) do(f func() error) (err error) {
	if e := c.stack.Do(func(clock.Instant) { err = f() }); e != nil {
		return e
	}
	return err
}

// Close implements net.Conn. What was written is still sent.
func (c *Conn) Close() error {
	c.close.Do(func() {
		close(c.closed)
		_ = c.do(func() error { // a stack that is closed has closed its connections
			c.conn.Close()
			c.stack.forget(c.conn)
			return nil
		})
	})
	return nil
}

// Abort ends the connection with MP_FASTCLOSE, or RST.
func (c *Conn) Abort() error {
	return c.do(func() error {
		c.conn.Abort()
		return nil
	})
}

// Info returns the state of the connection and its subflows.
func (c *Conn) Info() (in mptcp.Info, err error) {
	err = c.stack.Do(func(now clock.Instant) { in = c.conn.Info(now) })
	return in, err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.move(c.reading, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.move(c.writing, t) }

func (c *Conn) move(d *deadline, t time.Time) error {
	select {
	case <-c.closed:
		return c.opError("set", net.ErrClosed)
	default:
		d.set(t)
		return nil
	}
}

// addrOf parses what net's callers give as an address.
func addrOf(address string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return a, &net.AddrError{Err: "not an IP address and port", Addr: address}
	}
	return a, nil
}
