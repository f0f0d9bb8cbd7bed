package socket

import (
	"time"
)

// option is a socket option.
type option struct{ level, name int }

// plainOptions are kept and told, and have no effect on this stack, which either
// always does as they ask or has no such thing.
var plainOptions = [...]option{
	{SOLSocket, SOReuseAddr}, {SOLSocket, SOReusePort}, {SOLSocket, SOPriority},
	{SOLIP, IPMTUDiscover}, {SOLIP, IPFreebind}, {SOLIPv6, IPv6V6Only}, {SOLTCP, TCPInq},
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
	for _, o := range plainOptions {
		if o == (option{level, name}) {
			f.remember(o, v)
			return OK
		}
	}
	switch level {
	case SOLSocket:
		e = f.setSocket(name, v)
	case SOLTCP:
		e = l.setTCP(f, name, v)
	case SOLIP, SOLIPv6:
		e = setSegments(&f.cfg.TCP, level, name, v)
	default:
		e = ENOPROTOOPT
	}
	if e == OK && f.conn != nil {
		f.conn.Retune(&f.cfg)
	}
	return e
}

// SetLinger sets SO_LINGER.
func (l *Layer) SetLinger(fd int, v Linger) Errno {
	f, e := l.socket(fd)
	if e == OK {
		f.linger = v
	}
	return e
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
	case SOSndBuf:
		// "The kernel doubles this value (to allow space for bookkeeping
		// overhead)" (socket(7)).
		f.cfg.SendBuffer = max(2*v, 4608)
	case SORcvBuf:
		f.cfg.RecvBuffer = max(2*v, 2304)
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

// Option returns an option whose value is a number.
func (l *Layer) Option(fd, level, name int) (int, Errno) {
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
		return int(f.takeError()), OK
	case option{SOLSocket, SOSndBuf}:
		return or(c.SendBuffer, c.SendBufferMax), OK
	case option{SOLSocket, SORcvBuf}:
		return or(c.RecvBuffer, c.RecvBufferMax), OK
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
		return number(f.mptcp && !f.fellBack()), OK
	}
	return segments(&c.TCP, level, name)
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
