package socket

import (
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/tcp"
)

// setSegments sets an option of how segments are sent. These are the options that a
// subflow may have for itself.
func setSegments(c *tcp.Config, level, name, v int) Errno {
	switch (option{level, name}) {
	case option{SOLSocket, SOMark}:
		c.Mark = uint32(v)
	case option{SOLSocket, SOKeepalive}:
		c.KeepaliveIdle = 0
		if v != 0 {
			c.KeepaliveIdle = 2 * time.Hour
		}
	case option{SOLTCP, TCPNoDelay}:
		c.NoDelay = v != 0
	case option{SOLTCP, TCPUserTimeout}:
		if v < 0 {
			return EINVAL
		}
		c.UserTimeout = time.Duration(v) * time.Millisecond
	case option{SOLTCP, TCPKeepIdle}:
		c.KeepaliveIdle = time.Duration(v) * time.Second
	case option{SOLTCP, TCPKeepIntvl}:
		c.KeepaliveInterval = time.Duration(v) * time.Second
	case option{SOLTCP, TCPKeepCnt}:
		c.KeepaliveProbes = v
	case option{SOLIP, IPTOS}, option{SOLIPv6, IPv6TClass}:
		// The ECN bits are TCP's own (ip_sock_set_tos).
		c.TOS = uint8(v) &^ 3
	case option{SOLIP, IPTTL}, option{SOLIPv6, IPv6Hops}:
		if v == -1 {
			v = 64
		}
		if v < 1 || v > 255 {
			return EINVAL
		}
		c.TTL = uint8(v)
	default:
		return ENOPROTOOPT
	}
	return OK
}

// segments returns an option of how segments are sent.
func segments(c *tcp.Config, level, name int) (int, Errno) {
	switch (option{level, name}) {
	case option{SOLSocket, SOMark}:
		return int(c.Mark), OK
	case option{SOLSocket, SOKeepalive}:
		return number(c.KeepaliveIdle > 0), OK
	case option{SOLTCP, TCPNoDelay}:
		return number(c.NoDelay), OK
	case option{SOLTCP, TCPUserTimeout}:
		return int(c.UserTimeout / time.Millisecond), OK
	case option{SOLTCP, TCPKeepIdle}:
		return int(or(c.KeepaliveIdle, 2*time.Hour) / time.Second), OK
	case option{SOLTCP, TCPKeepIntvl}:
		return int(or(c.KeepaliveInterval, 75*time.Second) / time.Second), OK
	case option{SOLTCP, TCPKeepCnt}:
		return or(c.KeepaliveProbes, 9), OK
	case option{SOLIP, IPTOS}, option{SOLIPv6, IPv6TClass}:
		return int(c.TOS), OK
	case option{SOLIP, IPTTL}, option{SOLIPv6, IPv6Hops}:
		return or(int(c.TTL), 64), OK
	}
	return 0, ENOPROTOOPT
}

// SetSubflowOption sets an option of one subflow, named by its id as MPTCP_FULL_INFO
// tells it. Linux has no such call: SetOption reaches all subflows, those to come
// included, and takes the subflow's own word back.
func (l *Layer) SetSubflowOption(fd, id, level, name, v int) Errno {
	c, cfg, e := l.subflow(fd, id)
	if e != OK {
		return e
	}
	if e := setSegments(&cfg, level, name, v); e != OK {
		return e
	}
	if c.RetuneSubflow(id, &cfg) != nil {
		return ENOENT
	}
	return OK
}

// SubflowOption returns an option of one subflow.
func (l *Layer) SubflowOption(fd, id, level, name int) (int, Errno) {
	_, cfg, e := l.subflow(fd, id)
	if e != OK {
		return 0, e
	}
	return segments(&cfg, level, name)
}

func (l *Layer) subflow(fd, id int) (*mptcp.Conn, tcp.Config, Errno) {
	f, e := l.socket(fd)
	switch {
	case e != OK:
		return nil, tcp.Config{}, e
	case f.conn == nil:
		return nil, tcp.Config{}, ENOTCONN
	}
	cfg, ok := f.conn.SubflowConfig(id)
	if !ok {
		return nil, tcp.Config{}, ENOENT
	}
	return f.conn, cfg, OK
}
