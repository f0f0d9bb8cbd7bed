package workloads

import (
	"errors"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// stackHost gives applications sockets of our stack.
type stackHost struct{ stack *mptcp.Stack }

func (h stackHost) Dial(now clock.Instant, s Socket) (Conn, error) {
	c, err := h.stack.Dial(now, s.Config, s.Local, s.Remote)
	if err != nil {
		return nil, err
	}
	return StackConn{c}, nil
}

func (h stackHost) Listen(_ clock.Instant, s Socket) (Listener, error) {
	l, err := h.stack.Listen(s.Config, s.Local)
	if err != nil {
		return nil, err
	}
	return stackListener{l}, nil
}

type stackListener struct{ l *mptcp.Listener }

func (l stackListener) Accept(clock.Instant) (Conn, error) {
	c, ok := l.l.Accept()
	if !ok {
		return nil, ErrWouldBlock
	}
	return StackConn{c}, nil
}

func (l stackListener) Close(clock.Instant) error {
	l.l.Close()
	return nil
}

// StackConn is a connection of our stack as an application sees it.
type StackConn struct{ *mptcp.Conn }

// blocked turns the stack's word into the applications'.
func blocked(err error) error {
	if errors.Is(err, mptcp.ErrWouldBlock) {
		return ErrWouldBlock
	}
	return err
}

// Read implements Conn.
func (c StackConn) Read(_ clock.Instant, p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, blocked(err)
}

// Write implements Conn.
func (c StackConn) Write(_ clock.Instant, p []byte, more bool) (int, error) {
	n, err := c.Conn.Write(p, more)
	return n, blocked(err)
}

// CloseWrite implements Conn.
func (c StackConn) CloseWrite(clock.Instant) error { return c.Conn.CloseWrite() }

// Close implements Conn.
func (c StackConn) Close(clock.Instant) error {
	c.Conn.Close()
	return nil
}

// Abort implements Conn.
func (c StackConn) Abort(clock.Instant) error {
	c.Conn.Abort()
	return nil
}

// Info implements Conn.
func (c StackConn) Info(now clock.Instant) (mptcp.Info, error) { return c.Conn.Info(now), nil }
