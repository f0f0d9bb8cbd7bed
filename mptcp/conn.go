package mptcp

import (
	"io"
	"math"
	"net/netip"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/sched"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// speech is what a connection speaks.
type speech uint8

const (
	plainTCP  speech = iota // by configuration
	offered                 // MP_CAPABLE was sent or received, not both keys are known
	multipath               // both keys are known
	fallen                  // an end asked for MPTCP, and this is plain TCP: for good
)

// Conn is one connection: MPTCP, or plain TCP by configuration or fallback.
// Nothing blocks; Stack.NextEvent tells when to try again.
type Conn struct {
	timer
	stack    *Stack
	cfg      *Config // no zero value means a default any more; own makes it ours
	src      source
	listener *Listener // who has not accepted it yet
	early    *Listener // who opened it by its SYN (Fast Open), until the third ACK
	server   bool
	v4only   bool // an IPv4 socket: no IPv6 subflow
	laddr    netip.AddrPort
	raddr    netip.AddrPort

	speech                 speech
	keys                   // keys.go and handshake.go
	family                 cc.Family
	sched                  sched.Scheduler
	plan                   *plan // nil while there is nothing to decide; the scheduler's decision at hand
	subflows               []*subflow
	ended                  []SubflowInfo
	nextPath               int // ordinal of the next subflow
	nextDraw               uint32
	established            bool // the first handshake is done
	confirmed              bool // fully established: a DSS has come (RFC 8684, 3.1)
	multi                  bool // a second subflow was ever there, or the first carried more or less than the stream
	fallbackReason         string
	signals                signals
	send                   sendWindow
	recv                   recvWindow
	reinject               reinjectQueue
	err                    error
	readClosed, writeEnded bool // Close; our FIN or DATA_FIN is acknowledged
	finAcked               bool // the peer acknowledged our DATA_FIN: for takeEnds
	closedLast             bool // our direction ended after the peer's
	fastClosedByPeer       bool
	ackSaid                wire.DSN // the DATA_ACK that went out last
	edgeSaid               uint64   // and the right edge of the window with it
	ack64                  bool     // the mapping of the data that came last in order had a 64-bit DSN: so are DATA_ACKs
	done                   bool
	again                  bool // there is new work for this drain
	counted, uncounted     bool // in MPCurrEstab
	forgotten              bool
	fastClosed             bool // MP_FASTCLOSE goes on every RST
	fastWait               fastCloseWait

	rtxAt    clock.Instant // connection-level retransmission
	rtxTries uint
	closeAt  clock.Instant // no subflow is left: the end

	queued bool // in the stack's line for Output
	phase  phase
	turn   int // subflow whose turn it is in this phase

	stats struct{ acked, sent, retrans, reinjected, duplicate uint64 }
}

// keys are the two ends' keys and what follows from them.
type keys struct {
	localKey, remoteKey uint64
	token, remoteToken  uint32
	sndBase, rcvBase    wire.DSN // of stream offset 0: IDSN + 1
	checksum            bool     // DSS checksums are used
	denyJoin            bool     // the peer set flag C
	synDropped          bool     // SYNs with MP_CAPABLE had no answer
	synsSent            int32
}

// Dial begins a connection to raddr. laddr may be zero, or have port 0: the
// stack chooses then. An IPv4-mapped address asks for an IPv6 socket, which may have
// subflows of both families. cfg nil is the host's default.
func (s *Stack) Dial(now clock.Instant, cfg *Config, laddr, raddr netip.AddrPort) (*Conn, error) {
	c, err := s.dial(now, cfg, laddr, raddr)
	if err != nil {
		return nil, err
	}
	c.subflows[0].connect(now, tcp.FastOpen{})
	s.touch(c)
	return c, nil
}

// dial makes a connection to raddr with a first subflow that sends nothing yet.
func (s *Stack) dial(now clock.Instant, cfg *Config, laddr, raddr netip.AddrPort) (*Conn, error) {
	s.now = now
	v4only := raddr.Addr().Is4()
	laddr, raddr = netip.AddrPortFrom(laddr.Addr().Unmap(), laddr.Port()), netip.AddrPortFrom(raddr.Addr().Unmap(), raddr.Port())
	conf := s.resolve(cfg)
	if err := s.check(&conf); err != nil {
		return nil, err
	}
	laddr, err := s.pickLocal(laddr, raddr)
	if err != nil {
		return nil, err
	}
	c := s.newConn(s.newOrdinal(), conf, laddr, raddr)
	c.v4only = v4only
	if !conf.PlainTCP {
		if c.speech = offered; c.mayOffer(now) {
			c.setKey(s.freshKey(c.ordinal))
		}
	}
	c.newSubflow(laddr, raddr)
	c.trace(now, evConnCreated(c))
	return c, nil
}

// pickLocal completes the local address of a connection to raddr.
func (s *Stack) pickLocal(laddr, raddr netip.AddrPort) (netip.AddrPort, error) {
	if !raddr.IsValid() || raddr.Port() == 0 || raddr.Addr().IsUnspecified() {
		return laddr, ErrInvalid
	}
	if raddr.Addr().IsMulticast() {
		return laddr, ErrUnreachable
	}
	a := laddr.Addr()
	if !a.IsValid() || a.IsUnspecified() {
		src, ok := s.sourceFor(raddr.Addr())
		if !ok {
			return laddr, ErrUnreachable
		}
		a = src
	}
	if !s.owns(a) {
		return laddr, ErrAddrNotAvail
	}
	if a.Is4() != raddr.Addr().Is4() {
		return laddr, ErrInvalid
	}
	if _, ok := s.route(a, raddr.Addr()); !ok {
		return laddr, ErrUnreachable
	}
	port := laddr.Port()
	if port == 0 {
		p, ok := s.ephemeral(a, raddr)
		if !ok {
			return laddr, ErrAddrInUse
		}
		port = p
	}
	laddr = netip.AddrPortFrom(a, port)
	if s.flows[flowKey{laddr, raddr}] != nil {
		return laddr, ErrAddrInUse
	}
	return laddr, nil
}

// newOrdinal numbers a connection that begins.
func (s *Stack) newOrdinal() uint32 {
	s.ordinal++
	return s.ordinal
}

// newConn makes a connection without subflows.
func (s *Stack) newConn(ordinal uint32, cfg Config, laddr, raddr netip.AddrPort) *Conn {
	if s.told == nil || *s.told != cfg {
		s.told = &cfg
	}
	c := &Conn{stack: s, cfg: s.told, laddr: laddr, raddr: raddr, rtxAt: clock.Never, closeAt: clock.Never}
	c.timer = timer{due: clock.Never, ordinal: ordinal, owner: c}
	c.src.ready.Conn = c
	c.family, _ = cc.Lookup(cfg.TCP.CongestionControl)
	c.sched, _ = sched.Lookup(cfg.Scheduler)
	c.send.init(&cfg)
	c.recv.init(&cfg)
	s.conns = append(s.conns, c)
	return c
}

// own gives the connection a Config of its own, to be changed.
func (c *Conn) own() *Config {
	cfg := *c.cfg
	c.cfg = &cfg
	return c.cfg
}

// streaming reports whether the connection is a plain byte stream: TCP by
// configuration or by fallback.
func (c *Conn) streaming() bool { return c.speech == plainTCP || c.speech == fallen }

// mapped reports whether data goes out with mappings: both keys are known, or ours is
// and the peer's SYN was taken as Fast Open.
func (c *Conn) mapped() bool { return c.speech == multipath || c.speech == offered && c.early != nil }

// Read reads what has arrived in order. It returns ErrWouldBlock if there is
// nothing yet, io.EOF after the peer's end of the stream, or the error that ended
// the connection.
func (c *Conn) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		b := c.Peek()
		if len(b) == 0 {
			break
		}
		k := copy(p[n:], b)
		c.Discard(k)
		n += k
	}
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case c.readClosed:
		return 0, ErrClosed
	case c.recv.finDone:
		return 0, io.EOF
	case c.err != nil:
		return 0, c.err
	}
	return 0, ErrWouldBlock
}

// Peek returns the first run of bytes that can be read, without reading them;
// nil: none. It is valid until the next call into the stack.
func (c *Conn) Peek() []byte {
	if c.readClosed {
		return nil
	}
	return c.recv.peek()
}

// Discard reads n bytes of those that can be read and throws them away.
func (c *Conn) Discard(n int) {
	n = min(n, c.readable())
	if n <= 0 {
		return
	}
	c.recv.read += uint64(n)
	c.recv.ring.Free(c.recv.read)
	if t := c.stream(); t != nil {
		t.Drained(c.readable() == 0)
		c.stack.touch(c)
	}
	c.recv.consumed(c, n)
}

// readable returns how many bytes Read can return.
func (c *Conn) readable() int { return int(c.recv.nxt - c.recv.read) }

// Write copies bytes of p into the send buffer and returns how many; ErrWouldBlock
// with 0 if it is full. more: the application will write again soon (MSG_MORE).
func (c *Conn) Write(p []byte, more bool) (int, error) {
	return c.WriteRecord(p, more, false)
}

// WriteRecord is Write; eor: what is written later shares no segment of a TCP
// connection with it (MSG_EOR).
func (c *Conn) WriteRecord(p []byte, more, eor bool) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.send.closed || c.done:
		return 0, ErrClosed
	case len(p) == 0:
		return 0, nil
	}
	written := 0
	for written < len(p) {
		n := c.takes(len(p)-written, more, eor)
		if n <= 0 {
			break
		}
		c.append(p[written:written+n], more)
		written += n
	}
	if written < len(p) {
		c.starve(true)
	}
	if written == 0 {
		return 0, ErrWouldBlock
	}
	return written, nil
}

// takes returns how many of n bytes that are to be written there is room for. TCP
// itself says it of a plain stream, and takes note of them.
func (c *Conn) takes(n int, more, eor bool) int {
	t, limit := c.stream(), c.send.limit
	if !c.countsMemory() {
		n, limit = min(n, c.free()), math.MaxInt
	}
	switch {
	case n <= 0:
		return 0
	case t != nil:
		return t.Wrote(c.stack.now, n, limit, more, eor)
	}
	// While more than TCP_NOTSENT_LOWAT waits to be sent nothing is added
	// (tcp_stream_memory_free).
	if low := c.cfg.TCP.NotSentLowat; low > 0 {
		if c.NotSent() >= low {
			return 0
		}
		n = min(n, low)
	}
	return n
}

// append puts p, for which there is room, behind what was written.
func (c *Conn) append(p []byte, more bool) {
	n := len(p)
	c.makeRoom(n)
	c.send.ring.Append(p)
	c.send.end += uint64(n)
	c.send.more = more || c.cfg.TCP.Cork && !c.streaming()
	if !c.send.more {
		c.send.pushAt = c.send.end
	}
	c.stack.touch(c)
}

// countsMemory reports whether the send buffer, which is fixed and of a plain stream,
// holds what Linux's does: also what its buffers take beside their bytes.
func (c *Conn) countsMemory() bool { return c.cfg.SendBuffer > 0 && c.stream() != nil }

// stream returns the connection of a plain stream, nil if it is none or has ended.
func (c *Conn) stream() *tcp.Conn {
	if c.streaming() && len(c.subflows) > 0 {
		return c.subflows[0].tcp
	}
	return nil
}

// starve notes whether a write waits for room.
func (c *Conn) starve(yes bool) {
	c.send.starved = yes
	if t := c.stream(); t != nil {
		t.Starved(yes)
	}
}

// CloseWrite ends our direction of the stream after what was written.
func (c *Conn) CloseWrite() error {
	if c.err != nil {
		return c.err
	}
	c.endWriting()
	return nil
}

// CloseRead says that the application will not read again. What arrives is still
// acknowledged; a plain TCP connection is reset by it once our direction was closed, too.
func (c *Conn) CloseRead() {
	if c.speech == plainTCP && len(c.subflows) > 0 {
		c.subflows[0].tcp.CloseRead()
	}
}

// Close ends our direction and throws away what still arrives; with unread data
// it aborts, as Linux does (RFC 2525, 2.17).
func (c *Conn) Close() {
	if c.readClosed || c.done {
		return
	}
	if c.readable() > 0 {
		c.Abort()
		c.readClosed = true
		return
	}
	c.readClosed = true
	c.endWriting()
	if c.streaming() {
		for _, sf := range c.subflows {
			sf.tcp.Orphan()
		}
	}
}

// Established reports whether the handshake was done, now or before the end.
func (c *Conn) Established() bool { return c.established }

// TakeSoftErr returns what an ICMP error hinted at that did not end the connection, once.
// Of MPTCP nothing is said: another subflow may be better off.
func (c *Conn) TakeSoftErr() error {
	if !c.cfg.PlainTCP || len(c.subflows) == 0 {
		return nil
	}
	switch c.subflows[0].tcp.TakeSoftErr() {
	case tcp.ErrUnreachable:
		return ErrUnreachable
	case tcp.ErrRefused:
		return ErrRefused
	}
	return nil
}

// Err returns what ended the connection, nil while it lives and after an orderly
// end.
func (c *Conn) Err() error { return c.err }

// Done reports whether both sides closed and nothing is owed any more. The stack
// has forgotten the connection then, save for TIME-WAIT of its subflows.
func (c *Conn) Done() bool { return c.done }

// LocalAddr returns our address of the first subflow, also after it is gone.
func (c *Conn) LocalAddr() netip.AddrPort { return c.laddr }

// RemoteAddr returns the peer's address of the first subflow, also after it is
// gone.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.raddr }

// Token returns our token, by which the peer joins; 0 for plain TCP.
func (c *Conn) Token() uint32 { return c.token }

// Ordinal numbers the connections of a stack from 1.
func (c *Conn) Ordinal() uint32 { return c.ordinal }

// notify tells the owner of news.
func (c *Conn) notify(m Mask) { c.stack.notify(&c.src, m) }

// trace hands an event of the connection to the tracer.
func (c *Conn) trace(now clock.Instant, e trace.Event) {
	if t := c.stack.env.Trace; t != nil {
		e.At, e.Conn, e.Token = now, c.ordinal, c.token
		t.Trace(e)
	}
}

func (c *Conn) tracing() bool { return c.stack.env.Trace != nil }

func evConnCreated(c *Conn) trace.Event {
	return trace.Event{Kind: trace.ConnCreated, Path: -1, Local: c.laddr, Remote: c.raddr, Flag: !c.server}
}

// resolve returns cfg, or the host's default for nil, with the defaults filled
// in.
func (s *Stack) resolve(cfg *Config) Config {
	if cfg == nil {
		cfg = &s.env.Host.Default
	}
	c := *cfg
	c.Scheduler = or(c.Scheduler, "minrtt")
	c.TCP.CongestionControl = or(c.TCP.CongestionControl, "cubic")
	c.AddAddrTimeout = or(c.AddAddrTimeout, 120*time.Second)
	c.CloseTimeout = or(c.CloseTimeout, 60*time.Second)
	c.StaleLossCount = or(c.StaleLossCount, 4)
	c.SYNRetriesBeforeTCPFallback = or(c.SYNRetriesBeforeTCPFallback, 2)
	c.RecvBufferMax = or(c.RecvBufferMax, 6<<20)
	// "The send buffer MUST, at a minimum, be as big as the receive buffer, to enable
	// the sender to reach maximum throughput."
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.5).
	c.SendBufferMax = or(c.SendBufferMax, max(c.RecvBuffer, c.RecvBufferMax))
	if s.env.Host.PathManager == "single-path" && c.TCP.KeepaliveIdle == 0 {
		// Nothing else tells a receiver that its only path went silent.
		c.TCP.KeepaliveIdle, c.TCP.KeepaliveInterval, c.TCP.KeepaliveProbes = time.Second, time.Second, 3
	}
	c.TCP.MaxWindow = or(c.TCP.MaxWindow, or(c.RecvBuffer, c.RecvBufferMax))
	return c
}

// or returns v, or def if v is the zero value.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
