package drill

import (
	"mptcplab/mptcp/socket"
)

// symbols are the names of Linux for the numbers of arguments.
var symbols = map[string]int{
	"AF_UNSPEC": socket.AFUnspec, "AF_INET": socket.AFInet, "AF_INET6": socket.AFInet6, "AF_PACKET": 17, "AF_UNIX": 1,
	"SOCK_STREAM": socket.SockStream, "SOCK_NONBLOCK": socket.ONonblock, "SOCK_DGRAM": 2,
	"IPPROTO_TCP": socket.IPProtoTCP, "IPPROTO_MPTCP": socket.IPProtoMPTCP, "IPPROTO_IP": 0, "IPPROTO_IPV6": socket.SOLIPv6,
	"IPPROTO_UDP": 17,
	"F_GETFL":     3, "F_SETFL": 4, "O_RDWR": socket.ORDWR, "O_NONBLOCK": socket.ONonblock, "O_RDONLY": 0, "O_WRONLY": 1,
	"SHUT_RD": socket.ShutRD, "SHUT_WR": socket.ShutWR, "SHUT_RDWR": socket.ShutRDWR,
	"MSG_PEEK": socket.MsgPeek, "MSG_DONTWAIT": socket.MsgDontwait, "MSG_MORE": socket.MsgMore, "MSG_EOR": socket.MsgEOR,
	"MSG_FASTOPEN": socket.MsgFastopen, "MSG_NOSIGNAL": socket.MsgNosignal, "MSG_TRUNC": socket.MsgTrunc,
	"SOL_SOCKET": socket.SOLSocket, "SOL_IP": socket.SOLIP, "SOL_TCP": socket.SOLTCP, "SOL_IPV6": socket.SOLIPv6,
	"SO_REUSEADDR": socket.SOReuseAddr, "SO_ERROR": socket.SOError, "SO_SNDBUF": socket.SOSndBuf,
	"SO_RCVBUF": socket.SORcvBuf, "SO_KEEPALIVE": socket.SOKeepalive, "SO_PRIORITY": socket.SOPriority,
	"SO_LINGER": socket.SOLinger, "SO_REUSEPORT": socket.SOReusePort, "SO_RCVTIMEO": socket.SORcvTimeo,
	"SO_SNDTIMEO": socket.SOSndTimeo, "SO_MARK": socket.SOMark, "SO_PROTOCOL": socket.SOProtocol,
	"IP_TOS": socket.IPTOS, "IP_TTL": socket.IPTTL, "IP_MTU_DISCOVER": socket.IPMTUDiscover, "IP_FREEBIND": socket.IPFreebind,
	"IPV6_UNICAST_HOPS": socket.IPv6Hops, "IPV6_V6ONLY": socket.IPv6V6Only, "IPV6_TCLASS": socket.IPv6TClass,
	"IP_PMTUDISC_DONT": 0, "IP_PMTUDISC_WANT": 1, "IP_PMTUDISC_DO": 2, "IP_PMTUDISC_PROBE": 3,
	"TCP_NODELAY": socket.TCPNoDelay, "TCP_MAXSEG": socket.TCPMaxSeg, "TCP_CORK": socket.TCPCork,
	"TCP_KEEPIDLE": socket.TCPKeepIdle, "TCP_KEEPINTVL": socket.TCPKeepIntvl, "TCP_KEEPCNT": socket.TCPKeepCnt,
	"TCP_SYNCNT": socket.TCPSynCnt, "TCP_QUICKACK": socket.TCPQuickAck, "TCP_CONGESTION": socket.TCPCongestion,
	"TCP_MD5SIG": socket.TCPMD5Sig, "TCP_USER_TIMEOUT": socket.TCPUserTimeout, "TCP_FASTOPEN": socket.TCPFastopen,
	"TCP_FASTOPEN_CONNECT": socket.TCPFastopenConnect, "TCP_FASTOPEN_KEY": socket.TCPFastopenKey, "TCP_FASTOPEN_NO_COOKIE": socket.TCPFastopenNoCookie, "TCP_NOTSENT_LOWAT": 25,
	"TCP_DEFER_ACCEPT": socket.TCPDeferAccept, "TCP_INFO": 11, "TCP_INQ": socket.TCPInq, "TCP_CM_INQ": socket.TCPInq, "TCP_IS_MPTCP": socket.TCPIsMPTCP,
	"POLLIN": socket.PollIn, "POLLPRI": socket.PollPri, "POLLOUT": socket.PollOut, "POLLERR": socket.PollErr,
	"POLLHUP": socket.PollHup, "POLLNVAL": socket.PollNval, "POLLRDHUP": socket.PollRdHup,
	"EPOLLIN": socket.PollIn, "EPOLLPRI": socket.PollPri, "EPOLLOUT": socket.PollOut, "EPOLLERR": socket.PollErr,
	"EPOLLHUP": socket.PollHup, "EPOLLRDHUP": socket.PollRdHup, "EPOLLET": socket.EpollET,
	"EPOLL_CTL_ADD": socket.EpollCtlAdd, "EPOLL_CTL_DEL": socket.EpollCtlDel, "EPOLL_CTL_MOD": socket.EpollCtlMod,
	"SIOCINQ": 0x541B, "FIONREAD": 0x541B, "SIOCOUTQ": 0x5411, "NULL": 0,
}

// errnos are the names of error numbers where an option's value is one.
var errnos = func() map[string]int {
	m := make(map[string]int)
	for _, e := range []socket.Errno{socket.ECONNREFUSED, socket.ECONNRESET, socket.ETIMEDOUT, socket.EPIPE,
		socket.EHOSTUNREACH, socket.ECONNABORTED, socket.ENOTCONN, socket.EINPROGRESS, socket.EPROTO} {
		m[e.String()] = int(e)
	}
	return m
}()

// value returns the number that an expression stands for.
func value(e *Expr) (int64, error) {
	switch e.Kind {
	case ExprInt:
		return e.Int, nil
	case ExprSymbol:
		if v, ok := symbols[e.Text]; ok {
			return int64(v), nil
		}
		if v, ok := errnos[e.Text]; ok {
			return int64(v), nil
		}
		return 0, unsupported("the symbol %s", e.Text)
	case ExprOr:
		var or int64
		for i := range e.List {
			v, err := value(&e.List[i])
			if err != nil {
				return 0, err
			}
			or |= v
		}
		return or, nil
	case ExprList:
		if len(e.List) == 1 {
			return value(&e.List[0])
		}
	}
	return 0, unsupported("this argument")
}

// isNull reports whether an argument is a null pointer.
func isNull(e *Expr) bool { return e.Kind == ExprSymbol && e.Text == "NULL" }
