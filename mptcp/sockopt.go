package mptcp

import "mptcplab/mptcp/tcp"

// What a socket layer needs of a connection and its listener beyond reading and
// writing: options that change while it lives, and what poll asks.

// Retune takes over from cfg what may change during a connection's life: sizes of
// fixed buffers, Nagle, timeouts, TTL, TOS and mark, for the subflows there are and
// those to come. Everything else stays as it is.
func (c *Conn) Retune(cfg *Config) {
	if n := cfg.SendBuffer; n > 0 && n != c.cfg.SendBuffer {
		c.own().SendBuffer = n
		c.send.max = n
		c.send.limit = n
		c.send.ring.SetCap(n + maxBuffer)
	}
	c.own().TCP = cfg.TCP
	for _, sf := range c.subflows {
		sf.tcp.Retune(c.stack.now, &cfg.TCP)
	}
	c.stack.touch(c)
}

// RetuneSubflow is Retune for one subflow, named by its SubflowInfo.ID: the others
// and those to come keep what they have, until the next Retune of the connection.
// ErrNotConnected: no such subflow lives.
func (c *Conn) RetuneSubflow(id int, cfg *tcp.Config) error {
	sf := c.living(id)
	if sf == nil {
		return ErrNotConnected
	}
	sf.tcp.Retune(c.stack.now, cfg)
	c.stack.touch(c)
	return nil
}

// SubflowConfig returns what one subflow was told; false: no such subflow lives.
func (c *Conn) SubflowConfig(id int) (tcp.Config, bool) {
	sf := c.living(id)
	if sf == nil {
		return tcp.Config{}, false
	}
	return *sf.tcp.Config(), true
}

func (c *Conn) living(id int) *subflow {
	for _, sf := range c.subflows {
		if sf.id == id && sf.stage != ended {
			return sf
		}
	}
	return nil
}

// PeekAt copies bytes that can be read, from the n-th on, into p and returns how
// many, without reading them (MSG_PEEK, SO_PEEK_OFF).
func (c *Conn) PeekAt(n int, p []byte) int {
	p = p[:min(len(p), max(c.Readable()-n, 0))]
	return c.recv.ring.ReadAt(c.recv.read+uint64(n), p)
}

// Push sends what waits for more to be written (TCP_CORK, MSG_MORE), as when
// TCP_NODELAY is set.
func (c *Conn) Push() {
	if t := c.stream(); t != nil {
		t.Push()
	}
	c.Uncork()
}

// QuickACK turns delayed ACKs off until the connection turns interactive, and sends one
// that waits; or it says that it is interactive (TCP_QUICKACK).
func (c *Conn) QuickACK(on bool) {
	if t := c.stream(); t != nil {
		t.QuickACK(on, c.readable() == 0)
		c.stack.touch(c)
	}
}

// QuickACKs reports whether it is not.
func (c *Conn) QuickACKs() bool {
	t := c.stream()
	return t == nil || t.QuickACKs()
}

// Uncork is the end of TCP_CORK: Nagle's algorithm decides again.
func (c *Conn) Uncork() {
	c.send.more = false
	c.send.pushAt = c.send.end
	if t := c.stream(); t != nil {
		t.Uncork()
	}
	c.stack.touch(c)
}

// Readable returns how many bytes Read can return now.
func (c *Conn) Readable() int {
	if c.readClosed {
		return 0
	}
	return c.readable()
}

// Unacked returns how many bytes written are not acknowledged yet (SIOCOUTQ).
func (c *Conn) Unacked() int { return int(c.send.end - c.send.una) }

// Arrived returns up to where the stream has arrived in order: it grows with news.
func (c *Conn) Arrived() uint64 { return c.recv.nxt }

// Ended reports whether the peer's end of the stream has arrived, behind what can
// still be read.
func (c *Conn) Ended() bool { return c.recv.finDone }

// Writable reports whether a third of the send buffer is free, as the news of that
// name tells.
func (c *Conn) Writable() bool {
	if low := c.cfg.TCP.NotSentLowat; low > 0 && 2*c.NotSent() >= low {
		return false
	}
	return !c.send.closed && !c.done && c.free() >= c.send.limit/3
}

// Starved reports whether a write that found no room waits still: not for any room, but
// for enough that it need not wait at every ACK (sk_stream_write_space).
func (c *Conn) Starved() bool {
	if c.send.starved && c.Writable() {
		c.starve(false)
	}
	return c.send.starved && !c.send.closed && !c.done
}

// NotSent returns how many bytes were written and did not go out yet.
func (c *Conn) NotSent() int {
	if t := c.stream(); t != nil {
		return t.NotSent()
	}
	return int(c.send.end - c.send.nxt)
}

// FellBack reports whether an end asked for MPTCP and this is plain TCP.
func (c *Conn) FellBack() bool { return c.speech == fallen }

// BeganPlain reports whether the handshake has not given us the peer's key: what Linux's
// accept returns then is a TCP socket.
func (c *Conn) BeganPlain() bool { return c.streaming() && c.remoteToken == 0 }

// MSS returns the payload of a full segment on the first subflow that lives; 0:
// there is none.
func (c *Conn) MSS() int {
	for _, sf := range c.subflows {
		if sf.stage != ended {
			return sf.tcp.MSS()
		}
	}
	return 0
}

// Acceptable reports whether Accept would return a connection.
func (l *Listener) Acceptable() bool { return l.backlog.len() > 0 }

// CloseState names the state of the connection as ss -M shows it (RFC 8684,
// appendix D).
func (c *Conn) CloseState() string {
	fin := c.recv.finDone
	switch {
	case c.done:
		return "CLOSE"
	case !c.established && c.server:
		return "SYN-RECV"
	case !c.established:
		return "SYN-SENT"
	case !c.send.closed && !fin:
		return "ESTAB"
	case !c.send.closed:
		return "CLOSE-WAIT"
	case !fin && !c.writeEnded:
		return "FIN-WAIT-1"
	case !fin:
		return "FIN-WAIT-2"
	case c.writeEnded:
		return "TIME-WAIT"
	case c.closedLast:
		return "LAST-ACK"
	}
	return "CLOSING"
}
