package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
)

// Conn is one connection: MPTCP, or plain TCP by configuration or fallback.
// Nothing blocks; Stack.NextEvent tells when to try again.
type Conn struct {
	stack *Stack
}

// Read reads what has arrived in order. It returns ErrWouldBlock if there is
// nothing yet, io.EOF after the peer's end of the stream, or the error that ended
// the connection.
func (c *Conn) Read(p []byte) (int, error) { return 0, ErrWouldBlock }

// Peek returns the first run of bytes that can be read, without reading them;
// nil: none. It is valid until the next call into the stack.
func (c *Conn) Peek() []byte { return nil }

// Discard reads n bytes of those that can be read and throws them away.
func (c *Conn) Discard(n int) {}

// Write copies bytes of p into the send buffer and returns how many; ErrWouldBlock
// with 0 if it is full. more: the application will write again soon (MSG_MORE).
func (c *Conn) Write(p []byte, more bool) (int, error) { return 0, ErrWouldBlock }

// CloseWrite ends our direction of the stream after what was written.
func (c *Conn) CloseWrite() error { return nil }

// Close ends our direction and throws away what still arrives; with unread data
// it aborts, as Linux does (RFC 2525, 2.17).
func (c *Conn) Close() {}

// Abort ends the connection at once: MP_FASTCLOSE, or RST for plain TCP.
func (c *Conn) Abort() {}

// Established reports whether the handshake was done, now or before the end.
func (c *Conn) Established() bool { return false }

// Err returns what ended the connection, nil while it lives and after an orderly
// end.
func (c *Conn) Err() error { return nil }

// Done reports whether both sides closed and nothing is owed any more. The stack
// has forgotten the connection then, save for TIME-WAIT of its subflows.
func (c *Conn) Done() bool { return false }

// LocalAddr returns our address of the first subflow.
func (c *Conn) LocalAddr() netip.AddrPort { return netip.AddrPort{} }

// RemoteAddr returns the peer's address of the first subflow.
func (c *Conn) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// Token returns our token, by which the peer joins; 0 for plain TCP.
func (c *Conn) Token() uint32 { return 0 }

// Ordinal numbers the connections of a stack from 1.
func (c *Conn) Ordinal() uint32 { return 0 }

// Info returns the state of the connection and its subflows.
func (c *Conn) Info(now clock.Instant) Info { return Info{} }
