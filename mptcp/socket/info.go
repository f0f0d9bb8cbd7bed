package socket

import (
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// Info is getsockopt(SOL_MPTCP, MPTCP_FULL_INFO): the connection, and each subflow
// with its addresses and its tcp_info. MPTCP_INFO, MPTCP_SUBFLOW_ADDRS and
// MPTCP_TCPINFO are the parts MPTCP, Subflows[i].Local and Remote, and
// Subflows[i].TCP of it.
//
// A TCP socket and a connection that fell back have none: EOPNOTSUPP, of an AF_INET6
// socket that fell back ENOPROTOOPT, as Linux answers.
func (l *Layer) Info(now clock.Instant, fd int) (mptcp.SockDiag, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return mptcp.SockDiag{}, e
	case f.mptcp && f.fellBack() && f.family == AFInet6:
		return mptcp.SockDiag{}, ENOPROTOOPT
	case !f.mptcp || f.fellBack():
		return mptcp.SockDiag{}, EOPNOTSUPP
	case f.conn == nil:
		return mptcp.SockDiag{State: "UNCONN", Proto: "mptcp", Local: f.bound, MPTCP: &mptcp.MPTCPInfo{}}, OK
	}
	return f.conn.Diag(now), OK
}
