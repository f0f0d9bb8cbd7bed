package drill

import (
	"strings"

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
	"TCP_FASTOPEN_CONNECT": socket.TCPFastopenConnect, "TCP_FASTOPEN_KEY": socket.TCPFastopenKey, "TCP_FASTOPEN_NO_COOKIE": socket.TCPFastopenNoCookie, "TCP_NOTSENT_LOWAT": socket.TCPNotsentLowat,
	"TCP_DEFER_ACCEPT": socket.TCPDeferAccept, "TCP_INFO": 11, "TCP_INQ": socket.TCPInq, "TCP_CM_INQ": socket.TCPInq, "TCP_IS_MPTCP": socket.TCPIsMPTCP,
	"POLLIN": socket.PollIn, "POLLPRI": socket.PollPri, "POLLOUT": socket.PollOut, "POLLERR": socket.PollErr,
	"POLLHUP": socket.PollHup, "POLLNVAL": socket.PollNval, "POLLRDHUP": socket.PollRdHup,
	"EPOLLIN": socket.PollIn, "EPOLLPRI": socket.PollPri, "EPOLLOUT": socket.PollOut, "EPOLLERR": socket.PollErr,
	"EPOLLHUP": socket.PollHup, "EPOLLRDHUP": socket.PollRdHup, "EPOLLET": socket.EpollET,
	"EPOLL_CTL_ADD": socket.EpollCtlAdd, "EPOLL_CTL_DEL": socket.EpollCtlDel, "EPOLL_CTL_MOD": socket.EpollCtlMod,
	"EPOLLONESHOT": socket.EpollOneshot, "EPOLLEXCLUSIVE": socket.EpollExclusive, "EPOLLWAKEUP": socket.EpollWakeup,
	"POLLRDNORM": socket.PollRdNorm, "POLLWRNORM": socket.PollWrNorm, "EPOLLRDNORM": socket.PollRdNorm, "EPOLLWRNORM": socket.PollWrNorm,
	"MSG_ERRQUEUE": socket.MsgErrqueue, "MSG_ZEROCOPY": socket.MsgZerocopy, "MSG_CTRUNC": 0x8, "MSG_OOB": 0x1, "MSG_DONTROUTE": 0x4, "MSG_WAITALL": socket.MsgWaitall,
	"SO_ZEROCOPY": socket.SOZerocopy, "SO_TIMESTAMPING": socket.SOTimestamping, "SCM_TIMESTAMPING": socket.SOTimestamping,
	"IP_RECVERR": socket.IPRecvErr, "IPV6_RECVERR": socket.IPv6RecvErr,
	"SO_EE_ORIGIN_NONE": 0, "SO_EE_ORIGIN_LOCAL": 1, "SO_EE_ORIGIN_ICMP": 2, "SO_EE_ORIGIN_ICMP6": 3,
	"SO_EE_ORIGIN_TIMESTAMPING": socket.OriginTimestamping, "SO_EE_ORIGIN_ZEROCOPY": socket.OriginZerocopy, "SO_EE_CODE_ZEROCOPY_COPIED": socket.ZerocopyCopied,
	"SCM_TSTAMP_SND": socket.StampSnd, "SCM_TSTAMP_SCHED": socket.StampSched, "SCM_TSTAMP_ACK": socket.StampAck,
	"SOF_TIMESTAMPING_TX_HARDWARE": 1 << 0, "SOF_TIMESTAMPING_TX_SOFTWARE": socket.TimestampingTxSoftware,
	"SOF_TIMESTAMPING_RX_HARDWARE": 1 << 2, "SOF_TIMESTAMPING_RX_SOFTWARE": 1 << 3, "SOF_TIMESTAMPING_SOFTWARE": socket.TimestampingSoftware,
	"SOF_TIMESTAMPING_SYS_HARDWARE": 1 << 5, "SOF_TIMESTAMPING_RAW_HARDWARE": 1 << 6, "SOF_TIMESTAMPING_OPT_ID": socket.TimestampingOptID,
	"SOF_TIMESTAMPING_TX_SCHED": socket.TimestampingTxSched, "SOF_TIMESTAMPING_TX_ACK": socket.TimestampingTxAck,
	"SOF_TIMESTAMPING_OPT_CMSG": 1 << 10, "SOF_TIMESTAMPING_OPT_TSONLY": socket.TimestampingOptTSOnly,
	"SO_DEBUG": socket.SODebug, "SO_TYPE": socket.SOType, "SO_DONTROUTE": socket.SODontroute, "SO_BROADCAST": socket.SOBroadcast, "SO_OOBINLINE": socket.SOOOBInline, "SO_NO_CHECK": socket.SONoCheck, "SO_RCVLOWAT": socket.SORcvLowat,
	"SO_SNDLOWAT": 19, "SO_BINDTODEVICE": 25, "SO_TIMESTAMP": socket.SOTimestamp, "SO_ACCEPTCONN": socket.SOAcceptConn, "SO_SNDBUFFORCE": socket.SOSndBufForce, "SO_RCVBUFFORCE": socket.SORcvBufForce,
	"SO_DOMAIN": socket.SODomain, "SO_BUSY_POLL": socket.SOBusyPoll, "SO_MAX_PACING_RATE": socket.SOMaxPacingRate, "SO_INCOMING_CPU": socket.SOIncomingCPU, "SO_TXTIME": 61,
	"IP_BIND_ADDRESS_NO_PORT": socket.IPBindAddressNoPort, "IP_MTU": 14, "IP_TRANSPARENT": socket.IPTransparent, "IPV6_MTU_DISCOVER": socket.IPv6MTUDiscover, "IPV6_MTU": 24,
	"IPV6_PMTUDISC_DONT": 0, "IPV6_PMTUDISC_WANT": 1, "IPV6_PMTUDISC_DO": 2, "IPV6_PMTUDISC_PROBE": 3, "IP_PMTUDISC_INTERFACE": 4, "IP_PMTUDISC_OMIT": 5,
	"TCP_LINGER2": socket.TCPLinger2, "TCP_WINDOW_CLAMP": socket.TCPWindowClamp, "TCP_THIN_LINEAR_TIMEOUTS": 16, "TCP_THIN_DUPACK": 17,
	"TCP_TIMESTAMP": 24, "TCP_CC_INFO": 26, "TCP_SAVE_SYN": socket.TCPSaveSYN, "TCP_SAVED_SYN": 28, "TCP_ULP": 31, "TCP_TX_DELAY": 37, "TCP_RTO_MAX_MS": socket.TCPRTOMaxMs,
	"TCP_ZEROCOPY_RECEIVE": 35, "F_GETFD": 1, "F_SETFD": 2, "FD_CLOEXEC": 1, "O_CREAT": 64, "O_TRUNC": 512, "O_CLOEXEC": 0x80000, "SOCK_CLOEXEC": 0x80000, "EPOLL_CLOEXEC": 0x80000,
	"SPLICE_F_MOVE": 1, "SPLICE_F_NONBLOCK": 2, "SPLICE_F_MORE": 4, "SIOCOUTQNSD": 0x894B,
	"SIOCINQ": 0x541B, "FIONREAD": 0x541B, "SIOCOUTQ": 0x5411, "NULL": 0,
}

// errnos are the names of error numbers where an option's value is one.
var errnos = func() map[string]int {
	m := make(map[string]int)
	for e := range socket.Errno(socket.LastErrno + 1) {
		if name := e.String(); strings.HasPrefix(name, "E") {
			m[name] = int(e)
		}
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
