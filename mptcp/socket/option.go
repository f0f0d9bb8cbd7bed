package socket

import (
	"math"
	"time"

	"mptcplab/mptcp/cc"
)

// option is a socket option.
type option struct{ level, name int }

// plainOptions are kept and told, and have no effect on this stack, which either
// always does as they ask or has no such thing.
var plainOptions = [...]option{
	{SOLSocket, SOReuseAddr}, {SOLSocket, SOReusePort}, {SOLSocket, SOPriority}, {SOLSocket, SOBusyPoll},
	{SOLSocket, SOIncomingCPU}, {SOLSocket, SOOOBInline}, {SOLSocket, SOMaxPacingRate},
	{SOLSocket, SODebug}, {SOLSocket, SODontroute}, {SOLSocket, SOBroadcast}, {SOLSocket, SONoCheck}, {SOLSocket, SOTimestamp},
	{SOLIP, IPTransparent},
	{SOLIP, IPMTUDiscover}, {SOLIP, IPFreebind}, {SOLIP, IPRecvErr}, {SOLIP, IPBindAddressNoPort},
	{SOLIPv6, IPv6V6Only}, {SOLIPv6, IPv6MTUDiscover}, {SOLIPv6, IPv6RecvErr},
	{SOLTCP, TCPInq}, {SOLTCP, TCPSaveSYN}, {SOLTCP, TCPWindowClamp},
}

// refusal is what Linux says of a value of those, or of the option on an MPTCP socket
// (mptcp_setsockopt); OK: nothing.
func (o option) refusal(v int, mptcp bool) Errno {
	switch o {
	case option{SOLSocket, SOOOBInline}, option{SOLSocket, SOMaxPacingRate}, option{SOLIP, IPMTUDiscover},
		option{SOLIP, IPRecvErr}, option{SOLIPv6, IPv6MTUDiscover}, option{SOLIPv6, IPv6RecvErr}:
		if mptcp {
			return EOPNOTSUPP
		}
	case option{SOLTCP, TCPSaveSYN}, option{SOLTCP, TCPWindowClamp}:
		if mptcp {
			return ENOPROTOOPT
		}
	}
	most := -1
	switch o {
	case option{SOLTCP, TCPInq}:
		most = 1
	case option{SOLTCP, TCPSaveSYN}:
		most = 2
	case option{SOLIP, IPMTUDiscover}, option{SOLIPv6, IPv6MTUDiscover}:
		most = 5
	}
	if most >= 0 && (v < 0 || v > most) {
		return EINVAL
	}
	return OK
}

func (f *file) remember(o option, v int) {
	if f.plain == nil {
		f.plain = make(map[option]int)
	}
	f.plain[o] = v
}

// SetOption sets an option whose value is a number.
func (l *Layer) SetOption(fd, level, name, v int) Errno {
	f, e := l.socket(fd)
	if e != OK {
		return e
	}
	if o := (option{level, name}); f.speaks() && (o == option{SOLTCP, TCPSynCnt} || o == option{SOLTCP, TCPUserTimeout}) {
		return ENOPROTOOPT // mptcp_setsockopt_sol_tcp
	}
	for _, o := range plainOptions {
		if o == (option{level, name}) {
			e := o.refusal(v, f.speaks() || f.mptcp && level == SOLSocket)
			if e == OK {
				f.remember(o, v)
				f.cfg.ReusePort = f.plain[option{SOLSocket, SOReusePort}] != 0
				if o == (option{SOLIP, IPMTUDiscover}) {
					f.cfg.TCP.NoPMTUD = v == 0
					f.retune()
				}
			}
			return e
		}
	}
	switch level {
	case SOLSocket:
		if e = f.setSocket(name, v); e == ENOPROTOOPT && f.mptcp {
			e = EOPNOTSUPP // mptcp_setsockopt
		}
	case SOLTCP:
		e = l.setTCP(f, name, v)
	case SOLIP, SOLIPv6:
		e = setSegments(&f.cfg.TCP, level, name, v)
	default:
		e = ENOPROTOOPT
	}
	if e == OK {
		f.retune()
	}
	return e
}

// retune tells the connection, or the listener, what the options say now.
func (f *file) retune() {
	switch {
	case f.conn != nil:
		f.conn.Retune(&f.cfg)
	case f.ln != nil:
		f.ln.Retune(&f.cfg)
	}
}

// SetCongestion sets TCP_CONGESTION, of an MPTCP socket for a connection that is to be
// begun.
func (l *Layer) SetCongestion(fd int, name string) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case !cc.Known(name):
		return ENOENT
	}
	f.cfg.TCP.CongestionControl = name
	f.retune()
	return OK
}

// Congestion returns TCP_CONGESTION.
func (l *Layer) Congestion(fd int) (string, Errno) {
	f, e := l.socket(fd)
	if e != OK {
		return "", e
	}
	if f.cfg.TCP.CongestionControl == "" {
		return "cubic", OK
	}
	return f.cfg.TCP.CongestionControl, OK
}

// SetLinger sets SO_LINGER.
func (l *Layer) SetLinger(fd int, v Linger) Errno {
	f, e := l.socket(fd)
	if e == OK {
		f.linger = v
	}
	return e
}

// Linger returns SO_LINGER.
func (l *Layer) Linger(fd int) (Linger, Errno) {
	f, e := l.socket(fd)
	if e != OK {
		return Linger{}, e
	}
	return f.linger, OK
}

// Timeout returns SO_SNDTIMEO or SO_RCVTIMEO.
func (l *Layer) Timeout(fd, name int) (time.Duration, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return 0, e
	case name == SOSndTimeo:
		return f.sndTimeo, OK
	}
	return f.rcvTimeo, OK
}

// SetTimeout sets SO_SNDTIMEO or SO_RCVTIMEO; 0 is none.
func (l *Layer) SetTimeout(fd, name int, d time.Duration) Errno {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return e
	case d < 0:
		return EINVAL
	case name == SOSndTimeo:
		f.sndTimeo = d
	case name == SORcvTimeo:
		f.rcvTimeo = d
	default:
		return ENOPROTOOPT
	}
	return OK
}

func (f *file) setSocket(name, v int) Errno {
	switch name {
	case SOZerocopy, SOTimestamping:
		return f.setReports(name, v)
	case SORcvLowat:
		f.rcvLowat = v
		if v < 0 {
			f.rcvLowat = math.MaxInt32
		}
	case SOSndBuf, SOSndBufForce:
		// "The kernel doubles this value (to allow space for bookkeeping
		// overhead)" (socket(7)).
		f.cfg.SendBuffer = max(2*v, 4608)
	case SORcvBuf, SORcvBufForce:
		// Half of the doubled value is for bookkeeping (tcp_win_from_space).
		f.cfg.RecvBuffer = max(v, 1152)
		f.cfg.TCP.MaxWindow = f.cfg.RecvBuffer
	default:
		return setSegments(&f.cfg.TCP, SOLSocket, name, v)
	}
	return OK
}

func (l *Layer) setTCP(f *file, name, v int) Errno {
	switch name {
	case TCPCork:
		f.cfg.TCP.Cork = v != 0
		if v == 0 && f.conn != nil {
			f.conn.Retune(&f.cfg)
			if f.conn.Uncork(); f.cfg.TCP.NoDelay {
				f.conn.Push()
			}
		}
	case TCPSynCnt:
		if v < 1 || v > 127 {
			return EINVAL
		}
		f.cfg.TCP.SYNRetries = v
	case TCPFastopen, TCPFastopenConnect, TCPFastopenNoCookie:
		return l.setFastOpen(f, name, v)
	case TCPQuickAck:
		if f.speaks() {
			return ENOPROTOOPT
		}
		if f.conn != nil {
			f.conn.QuickACK(v&1 != 0)
		}
	case TCPDeferAccept:
		f.cfg.DeferAccept = retransmissions(v)
	case TCPNotsentLowat:
		// 0 is the host's (tcp_notsent_lowat); as an unsigned number -1 is no bound.
		if f.cfg.TCP.NotSentLowat = v; v <= 0 {
			f.cfg.TCP.NotSentLowat = l.cfg.TCP.NotSentLowat
		}
	case TCPLinger2:
		if f.speaks() {
			return ENOPROTOOPT
		}
		f.cfg.TCP.FinTimeout = time.Duration(min(v, 120)) * time.Second
	case TCPRTOMaxMs:
		switch {
		case f.speaks():
			return ENOPROTOOPT
		case v < 1000 || v > 120000:
			return EINVAL
		}
		f.cfg.TCP.RTOMax = time.Duration(v) * time.Millisecond
	case TCPMaxSeg:
		if v != 0 && (v < minMaxSeg || v > maxMaxSeg) {
			return EINVAL
		}
		f.cfg.TCP.MaxSeg = v
	default:
		e := setSegments(&f.cfg.TCP, SOLTCP, name, v)
		if e == OK && name == TCPNoDelay && v != 0 && f.conn != nil {
			f.conn.Push()
		}
		return e
	}
	return OK
}

// untold are options that an MPTCP socket does not tell (mptcp_getsockopt).
var untold = map[option]bool{
	{SOLIP, IPMTUDiscover}: true, {SOLIP, IPRecvErr}: true, {SOLIPv6, IPv6MTUDiscover}: true, {SOLIPv6, IPv6RecvErr}: true,
	{SOLTCP, TCPSynCnt}: true, {SOLTCP, TCPUserTimeout}: true, {SOLTCP, TCPQuickAck}: true, {SOLTCP, TCPLinger2}: true,
	{SOLTCP, TCPWindowClamp}: true, {SOLTCP, TCPSaveSYN}: true, {SOLTCP, TCPRTOMaxMs}: true,
}

// Option returns an option whose value is a number.
func (l *Layer) Option(fd, level, name int) (int, Errno) {
	v, e := l.option(fd, level, name)
	f, no := l.socket(fd)
	if no == OK && f.speaks() && (untold[option{level, name}] || e == ENOPROTOOPT && level != SOLSocket) {
		return 0, EOPNOTSUPP
	}
	return v, e
}

func (l *Layer) option(fd, level, name int) (int, Errno) {
	f, e := l.socket(fd)
	if e != OK {
		return 0, e
	}
	for _, o := range plainOptions {
		if o == (option{level, name}) {
			return f.plain[o], OK
		}
	}
	c := &f.cfg
	switch (option{level, name}) {
	case option{SOLSocket, SOError}:
		e := f.takeError()
		if e == OK && f.conn != nil {
			e = errnoOf(f.conn.TakeSoftErr())
		}
		return int(e), OK
	case option{SOLSocket, SOZerocopy}:
		return number(f.reports.zerocopy), OK
	case option{SOLSocket, SOTimestamping}:
		return f.reports.stamping, OK
	case option{SOLSocket, SOSndBuf}:
		return or(c.SendBuffer, c.SendBufferMax), OK
	case option{SOLSocket, SORcvBuf}:
		return or(2*c.RecvBuffer, c.RecvBufferMax), OK
	case option{SOLSocket, SOType}:
		return SockStream, OK
	case option{SOLSocket, SODomain}:
		return f.family, OK
	case option{SOLSocket, SOAcceptConn}:
		return number(f.state == listening), OK
	case option{SOLSocket, SORcvLowat}:
		return or(f.rcvLowat, 1), OK
	case option{SOLTCP, TCPQuickAck}:
		return number(f.conn == nil || f.conn.QuickACKs()), OK
	case option{SOLTCP, TCPDeferAccept}:
		return secondsOf(c.DeferAccept), OK
	case option{SOLTCP, TCPNotsentLowat}:
		return c.TCP.NotSentLowat, OK
	case option{SOLTCP, TCPLinger2}:
		return int(or(c.TCP.FinTimeout, time.Minute) / time.Second), OK
	case option{SOLTCP, TCPRTOMaxMs}:
		return int(or(c.TCP.RTOMax, 2*time.Minute) / time.Millisecond), OK
	case option{SOLSocket, SOProtocol}:
		if f.mptcp {
			return IPProtoMPTCP, OK
		}
		return IPProtoTCP, OK
	case option{SOLTCP, TCPCork}:
		return number(c.TCP.Cork), OK
	case option{SOLTCP, TCPSynCnt}:
		return or(c.TCP.SYNRetries, 6), OK
	case option{SOLTCP, TCPMaxSeg}:
		return f.maxSeg(), OK
	case option{SOLTCP, TCPFastopen}:
		if f.ln != nil {
			return f.ln.FastOpen(), OK
		}
		return c.FastOpenQueue, OK
	case option{SOLTCP, TCPFastopenConnect}:
		return number(f.fastOpenConnect), OK
	case option{SOLTCP, TCPFastopenNoCookie}:
		return number(c.FastOpenNoCookie), OK
	case option{SOLTCP, TCPIsMPTCP}:
		return number(f.speaks()), OK
	}
	return segments(&c.TCP, level, name)
}

// retransmissions returns after how many repetitions of a SYN/ACK so many seconds are
// over (secs_to_retrans).
func retransmissions(seconds int) int {
	if seconds <= 0 {
		return 0
	}
	n := 1
	for timeout, period := 1, 1; seconds > period && n < 255; n++ {
		timeout = min(2*timeout, 120)
		period += timeout
	}
	return n
}

// secondsOf is its inverse (retrans_to_secs).
func secondsOf(retransmissions int) int {
	period, timeout := 0, 1
	for range retransmissions {
		period += timeout
		timeout = min(2*timeout, 120)
	}
	return period
}

// What TCP_MAXSEG takes (TCP_MIN_MSS, MAX_TCP_WINDOW).
const (
	minMaxSeg = 88
	maxMaxSeg = 32767
)

// maxSeg is the payload of a full segment of the first subflow; without one the
// least that every IPv4 host takes.
func (f *file) maxSeg() int {
	if f.conn != nil {
		if n := f.conn.MSS(); n > 0 {
			return n
		}
	}
	return or(f.cfg.TCP.MaxSeg, 536)
}

// speaks reports whether options are MPTCP's: those of a socket that fell back are its
// subflow's (__mptcp_tcp_fallback).
func (f *file) speaks() bool { return f.mptcp && !f.fellBack() }

func (f *file) fellBack() bool { return f.conn != nil && f.conn.FellBack() }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}
