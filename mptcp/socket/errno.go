package socket

import (
	"errors"
	"strconv"

	"mptcplab/mptcp"
)

// Errno is an error number of Linux; 0 is success.
type Errno int

// The error numbers that the calls of this package return.
const (
	OK              Errno = 0
	ENOENT          Errno = 2
	EBADF           Errno = 9
	EAGAIN          Errno = 11
	EFAULT          Errno = 14
	EEXIST          Errno = 17
	EINVAL          Errno = 22
	EPIPE           Errno = 32
	ENOMSG          Errno = 42
	EPROTO          Errno = 71
	ENOTSOCK        Errno = 88
	EDESTADDRREQ    Errno = 89
	EPROTOTYPE      Errno = 91
	ENOPROTOOPT     Errno = 92
	EPROTONOSUPPORT Errno = 93
	EOPNOTSUPP      Errno = 95
	EAFNOSUPPORT    Errno = 97
	EADDRINUSE      Errno = 98
	EADDRNOTAVAIL   Errno = 99
	ECONNABORTED    Errno = 103
	ECONNRESET      Errno = 104
	EISCONN         Errno = 106
	ENOTCONN        Errno = 107
	ETIMEDOUT       Errno = 110
	ECONNREFUSED    Errno = 111
	EHOSTUNREACH    Errno = 113
	EALREADY        Errno = 114
	EINPROGRESS     Errno = 115
)

var errnoNames = map[Errno]string{
	ENOENT: "ENOENT", EBADF: "EBADF", EAGAIN: "EAGAIN", EFAULT: "EFAULT", EEXIST: "EEXIST",
	EINVAL: "EINVAL", EPIPE: "EPIPE", ENOMSG: "ENOMSG", EPROTO: "EPROTO", ENOTSOCK: "ENOTSOCK", EDESTADDRREQ: "EDESTADDRREQ",
	EPROTOTYPE: "EPROTOTYPE", ENOPROTOOPT: "ENOPROTOOPT", EPROTONOSUPPORT: "EPROTONOSUPPORT",
	EOPNOTSUPP: "EOPNOTSUPP", EAFNOSUPPORT: "EAFNOSUPPORT", EADDRINUSE: "EADDRINUSE",
	EADDRNOTAVAIL: "EADDRNOTAVAIL", ECONNABORTED: "ECONNABORTED", ECONNRESET: "ECONNRESET",
	EISCONN: "EISCONN", ENOTCONN: "ENOTCONN", ETIMEDOUT: "ETIMEDOUT", ECONNREFUSED: "ECONNREFUSED",
	EHOSTUNREACH: "EHOSTUNREACH", EALREADY: "EALREADY", EINPROGRESS: "EINPROGRESS",
}

// LastErrno is the largest number of them.
const LastErrno = EINPROGRESS

// String returns the name, as "EAGAIN".
func (e Errno) String() string {
	if s, ok := errnoNames[e]; ok {
		return s
	}
	if e == OK {
		return "OK"
	}
	return "errno " + strconv.Itoa(int(e))
}

// Error implements error.
func (e Errno) Error() string { return e.String() }

// stackErrors are the stack's errors and what a kernel calls them.
var stackErrors = [...]struct {
	err error
	no  Errno
}{
	{mptcp.ErrWouldBlock, EAGAIN}, {mptcp.ErrClosed, EPIPE}, {mptcp.ErrReset, ECONNRESET},
	{mptcp.ErrRefused, ECONNREFUSED}, {mptcp.ErrTimedOut, ETIMEDOUT}, {mptcp.ErrAborted, ECONNABORTED},
	{mptcp.ErrUnreachable, EHOSTUNREACH}, {mptcp.ErrAddrInUse, EADDRINUSE},
	{mptcp.ErrAddrNotAvail, EADDRNOTAVAIL}, {mptcp.ErrNotConnected, ENOTCONN},
	{mptcp.ErrUnknownName, ENOENT}, {mptcp.ErrNoEndpoint, ENOENT}, {mptcp.ErrEndpointExists, EEXIST},
	{mptcp.ErrInvalid, EINVAL}, {mptcp.ErrNotSupported, EOPNOTSUPP}, {mptcp.ErrNoMPTCP, ENOPROTOOPT}, {mptcp.ErrProtocol, EPROTO}, {mptcp.ErrPipe, EPIPE},
}

// errnoOf returns the number of an error of the stack.
func errnoOf(err error) Errno {
	if err == nil {
		return OK
	}
	for _, e := range stackErrors {
		if errors.Is(err, e.err) {
			return e.no
		}
	}
	return EPROTO
}
