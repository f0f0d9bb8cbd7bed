package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// Dialer connects through a stack, as a net.Dialer through the kernel's. Its
// DialContext fits http.Transport.
type Dialer struct {
	Stack     *Stack
	Config    *mptcp.Config  // nil: the host's default
	LocalAddr netip.AddrPort // zero, or port 0: the stack chooses
}

// DialContext connects to address, an IP address and port. The network does not
// matter: Config says what is spoken.
func (d *Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errno(err)}
	}
	remote, err := addrOf(address)
	if err != nil {
		return fail(err)
	}
	var c *mptcp.Conn
	if e := d.Stack.Do(func(now clock.Instant) {
		if c, err = d.Stack.stack.Dial(now, d.Config, d.LocalAddr, remote); err == nil {
			d.Stack.watch(c)
		}
	}); e != nil || err != nil {
		return fail(errors.Join(e, err))
	}
	for {
		var changed <-chan struct{}
		established := false
		if e := d.Stack.Do(func(clock.Instant) {
			established, err = c.Established(), c.Err()
			changed = d.Stack.wait(c)
		}); e != nil {
			return fail(e)
		}
		switch {
		case err != nil:
			d.abandon(c)
			return fail(err)
		case established:
			return newConn(d.Stack, c), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			d.abandon(c)
			return fail(ctx.Err())
		case <-d.Stack.Failed():
			return fail(d.Stack.Err())
		}
	}
}

// Dial connects without a limit but the stack's own.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d *Dialer) abandon(c *mptcp.Conn) {
	_ = d.Stack.Do(func(clock.Instant) {
		c.Abort()
		d.Stack.forget(c)
	})
}

// Listener accepts connections of our stack as a net.Listener.
type Listener struct {
	stack  *Stack
	ln     *mptcp.Listener
	addr   net.Addr
	close  sync.Once
	closed chan struct{}
}

var _ net.Listener = (*Listener)(nil)

// Listen listens on address, an IP address (possibly unspecified) and port. cfg nil
// is the host's default.
func (s *Stack) Listen(cfg *mptcp.Config, address string) (*Listener, error) {
	at, err := addrOf(address)
	var ln *mptcp.Listener
	if err == nil {
		if e := s.Do(func(clock.Instant) {
			if ln, err = s.stack.Listen(cfg, at); err == nil {
				s.watch(ln)
			}
		}); e != nil {
			err = e
		}
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: errno(err)}
	}
	return &Listener{stack: s, ln: ln, addr: net.TCPAddrFromAddrPort(at), closed: make(chan struct{})}, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "accept", Net: network, Addr: l.addr, Err: errno(err)}
	}
	for {
		select {
		case <-l.closed:
			return fail(net.ErrClosed)
		default:
		}
		var c *mptcp.Conn
		var changed <-chan struct{}
		if e := l.stack.Do(func(clock.Instant) {
			var ok bool
			if c, ok = l.ln.Accept(); ok {
				l.stack.watch(c)
			}
			changed = l.stack.wait(l.ln)
		}); e != nil {
			return fail(e)
		}
		if c != nil {
			return newConn(l.stack, c), nil
		}
		select {
		case <-changed:
		case <-l.closed:
		case <-l.stack.Failed():
			return fail(l.stack.Err())
		}
	}
}

// Close implements net.Listener. Connections that were not accepted are reset.
func (l *Listener) Close() error {
	l.close.Do(func() {
		close(l.closed)
		_ = l.stack.Do(func(clock.Instant) {
			l.ln.Close()
			l.stack.forget(l.ln)
		})
	})
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }
