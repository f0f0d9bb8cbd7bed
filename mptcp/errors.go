package mptcp

import "errors"

// Errors of the socket-like calls. A driver maps them to the errno that a kernel
// socket would give.
var (
	ErrWouldBlock     = errors.New("mptcp: operation would block")                          // EAGAIN
	ErrClosed         = errors.New("mptcp: connection is closed on this side")              // EPIPE, EBADF
	ErrReset          = errors.New("mptcp: connection reset by peer")                       // ECONNRESET
	ErrPipe           = errors.New("mptcp: connection reset by peer after its end of data") // EPIPE
	ErrRefused        = errors.New("mptcp: connection refused")                             // ECONNREFUSED
	ErrTimedOut       = errors.New("mptcp: connection timed out")                           // ETIMEDOUT
	ErrAborted        = errors.New("mptcp: connection aborted on this side")                // ECONNABORTED
	ErrUnreachable    = errors.New("mptcp: no route to host")                               // EHOSTUNREACH
	ErrAddrInUse      = errors.New("mptcp: address already in use")                         // EADDRINUSE
	ErrAddrNotAvail   = errors.New("mptcp: address is not one of ours")                     // EADDRNOTAVAIL
	ErrNotConnected   = errors.New("mptcp: connection is not established")                  // ENOTCONN
	ErrUnknownName    = errors.New("mptcp: no such scheduler or controller")                // ENOENT
	ErrNoEndpoint     = errors.New("mptcp: no such endpoint")                               // ENOENT
	ErrEndpointExists = errors.New("mptcp: endpoint exists already")                        // EEXIST
	ErrInvalid        = errors.New("mptcp: invalid argument")                               // EINVAL
	ErrNoMPTCP        = errors.New("mptcp: net.mptcp.enabled is 0")                         // ENOPROTOOPT
	ErrNotSupported   = errors.New("mptcp: operation not supported")                        // EOPNOTSUPP
	ErrProtocol       = errors.New("mptcp: protocol error on the last subflow")             // EPROTO
)
