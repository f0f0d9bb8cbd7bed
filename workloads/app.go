// Package workloads holds applications as state machines (bulk,
// request/response) and what they measure. An application runs unchanged on our
// stack in virtual time, on our stack on real interfaces, and on kernel sockets.
package workloads

import (
	"errors"
	"net/netip"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// ErrWouldBlock says that a call can't go on now: the app returns from Step and
// is stepped again when that may have changed.
var ErrWouldBlock = errors.New("workloads: would block")

// App runs until it would block and says when it wants to be run again even if
// nothing happens. A driver steps it after anything that may concern it.
type App interface {
	Step(now clock.Instant, h Host) (next clock.Instant, done bool)
}

// Socket is what an application asks of its host.
type Socket struct {
	Local  netip.AddrPort // Dial: zero or port 0 lets the stack choose
	Remote netip.AddrPort // Dial only
	Proto  string         // "mptcp" or "tcp"
	Config *mptcp.Config  // our stack: how the socket is set; kernel sockets use what it names (congestion control, buffers, nodelay)
}

// Host gives applications their sockets: an adapter over our stack, or kernel sockets.
type Host interface {
	Dial(now clock.Instant, s Socket) (Conn, error)
	Listen(now clock.Instant, s Socket) (Listener, error)
}

// Listener is a listening socket.
type Listener interface {
	Accept(now clock.Instant) (Conn, error) // ErrWouldBlock: none waits
	Close(now clock.Instant) error
}

// Conn is a stream socket; no call blocks.
type Conn interface {
	Established() bool                                         // handshake done
	Err() error                                                // what ended it; nil while it lives or after an orderly end
	Read(now clock.Instant, p []byte) (int, error)             // ErrWouldBlock, io.EOF, or what ended it
	Write(now clock.Instant, p []byte, more bool) (int, error) // ErrWouldBlock if nothing fits
	CloseWrite(now clock.Instant) error
	Close(now clock.Instant) error
	Abort(now clock.Instant) error
	// Done: both directions are closed and acknowledged, nothing is owed.
	Done() bool
	// Info is what the stack says of the connection now (kernel: from
	// MPTCP_INFO, MPTCP_FULL_INFO and TCP_INFO, as far as it goes).
	Info(now clock.Instant) (mptcp.Info, error)
}
