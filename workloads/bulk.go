package workloads

import (
	"errors"
	"io"
	"time"

	"mptcplab/mptcp/clock"
)

// Amount is how much one direction moves: Bytes, or as much as goes in Time, or
// nothing.
type Amount struct {
	Bytes uint64
	Time  time.Duration
}

// none reports whether nothing is to be moved.
func (a Amount) none() bool { return a.Bytes == 0 && a.Time == 0 }

// Pattern is how the application writes: mptcp_connect's -j and -r. The first
// write has First bytes and is followed by Pause; with Max, every later write is
// at most Max bytes and followed by Pause, too. Bitrate (bit/s) paces the
// application.
type Pattern struct {
	First, Max int
	Pause      time.Duration
	Bitrate    uint64
}

// chunk is how much an application without a pattern hands over in one write.
const chunk = 64 << 10

// BulkEnd is one end of a bulk transfer: it sends Send of its stream, ends its
// direction, and reads the other to its end.
type BulkEnd struct {
	Send    Amount
	Pattern Pattern
	Data    Source
	Meter   *Meter

	Stopped bool // no more is written; the direction is ended

	conn    Conn
	pending []byte // generated, not yet accepted by the socket
	buf     []byte
	rbuf    []byte
	writes  int
	resume  clock.Instant // no write before
	shut    bool          // CloseWrite was called
	closed  bool
}

// Attach gives the end its connection.
func (b *BulkEnd) Attach(now clock.Instant, c Conn) {
	b.conn = c
	b.Meter.Start = now
	b.buf = make([]byte, chunk)
	b.rbuf = make([]byte, 4*chunk)
}

// Conn returns the connection, nil before Attach.
func (b *BulkEnd) Conn() Conn { return b.conn }

// step moves what can be moved. done: both directions are over and closed.
func (b *BulkEnd) step(now clock.Instant) (next clock.Instant, done bool) {
	m := b.Meter
	if m.Established == clock.Never && b.conn.Established() {
		m.Established = now
	}
	next = clock.Never
	if !b.closed {
		b.readAll(now)
		next = b.writeAll(now)
		if m.Err != nil || (m.EOF && b.shut) {
			b.closed = true
			m.Finished = now
			_ = b.conn.Close(now) // what it could tell is in Meter.Err already
		}
	}
	return next, b.closed && (m.Err != nil || b.conn.Done())
}

func (b *BulkEnd) readAll(now clock.Instant) {
	for !b.Meter.EOF && b.Meter.Err == nil {
		n, err := b.conn.Read(now, b.rbuf)
		if n > 0 {
			b.Meter.read(now, b.rbuf[:n])
		}
		switch {
		case err == nil && n > 0:
		case err == nil || errors.Is(err, ErrWouldBlock):
			return
		case errors.Is(err, io.EOF):
			b.Meter.EOF = true
		default:
			b.Meter.failed(err)
		}
	}
}

// writeAll writes what the pattern allows and returns when it allows more.
func (b *BulkEnd) writeAll(now clock.Instant) clock.Instant {
	m := b.Meter
	if m.Established == clock.Never {
		return clock.Never
	}
	for m.Err == nil && !b.shut {
		if len(b.pending) == 0 {
			n := b.nextWrite(now)
			if n == 0 && b.Send.none() && !m.EOF {
				// Who sends nothing ends its direction after the other has. To end
				// it at once would be a half-close, after which Linux refuses
				// further subflows (mptcp_is_fully_established: TCP_ESTABLISHED only).
				return clock.Never
			}
			if n == 0 {
				if err := b.conn.CloseWrite(now); err != nil && !errors.Is(err, ErrWouldBlock) {
					m.failed(err)
				}
				b.shut = true
				return clock.Never
			}
			if now < b.resume {
				return b.resume
			}
			b.pending = b.buf[:n]
			b.Data.Fill(b.pending)
		}
		n, err := b.conn.Write(now, b.pending, false)
		if n > 0 {
			m.wrote(b.pending[:n])
			b.pending = b.pending[n:]
		}
		switch {
		case err == nil && n > 0:
			if len(b.pending) == 0 {
				b.wroteOne(now)
			}
		case err == nil || errors.Is(err, ErrWouldBlock):
			return clock.Never
		default:
			m.failed(err)
		}
	}
	return clock.Never
}

// nextWrite says how many bytes the next write has; 0: all is written.
func (b *BulkEnd) nextWrite(now clock.Instant) int {
	if b.Send.none() || b.Stopped {
		return 0
	}
	n := chunk
	if b.Pattern.First > 0 && b.writes == 0 {
		n = min(n, b.Pattern.First)
	} else if b.Pattern.Max > 0 {
		n = min(n, b.Pattern.Max)
	}
	if b.Pattern.Bitrate > 0 {
		n = min(n, 1448) // a paced application writes packets, not bursts
	}
	if b.Send.Bytes > 0 {
		return int(min(uint64(n), b.Send.Bytes-b.Meter.Written))
	}
	if now >= b.Meter.Established.Add(b.Send.Time) {
		return 0
	}
	return n
}

// wroteOne accounts for one whole write and sets the earliest time of the next.
func (b *BulkEnd) wroteOne(now clock.Instant) {
	b.writes++
	if p := b.Pattern; p.Pause > 0 && (p.Max > 0 || (p.First > 0 && b.writes == 1)) {
		b.resume = now.Add(p.Pause)
	}
	if r := b.Pattern.Bitrate; r > 0 {
		sent := time.Duration(float64(b.Meter.Written) * 8e9 / float64(r))
		b.resume = max(b.resume, b.Meter.Established.Add(sent))
	}
}

// BulkClient connects at Start and runs its end.
type BulkClient struct {
	BulkEnd
	Socket Socket
	Start  time.Duration // since the start of the run
}

// Step implements App.
func (c *BulkClient) Step(now clock.Instant, h Host) (clock.Instant, bool) {
	if c.conn == nil {
		if at := clock.Instant(c.Start); now < at {
			return at, false
		}
		conn, err := h.Dial(now, c.Socket)
		if err != nil {
			c.Meter.Start, c.Meter.Finished = now, now
			c.Meter.failed(err)
			return clock.Never, true
		}
		c.Attach(now, conn)
	}
	return c.step(now)
}

// BulkServer accepts one connection and runs its end.
type BulkServer struct {
	BulkEnd
	Socket Socket

	listener Listener
}

// Step implements App.
func (s *BulkServer) Step(now clock.Instant, h Host) (clock.Instant, bool) {
	if s.listener == nil && s.conn == nil {
		l, err := h.Listen(now, s.Socket)
		if err != nil {
			s.Meter.failed(err)
			return clock.Never, true
		}
		s.listener = l
	}
	if s.conn == nil {
		conn, err := s.listener.Accept(now)
		if errors.Is(err, ErrWouldBlock) {
			return clock.Never, false
		}
		if err != nil {
			s.Meter.failed(err)
			return clock.Never, true
		}
		s.Attach(now, conn)
	}
	return s.step(now)
}
