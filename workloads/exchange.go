package workloads

import (
	"errors"
	"io"
	"time"

	"mptcplab/mptcp/clock"
)

// Exchange is what a request/response flow does: Count times a request of
// Request bytes and its response of Response bytes, with Think between them.
type Exchange struct {
	Request, Response Draw[int] // bytes
	Count             int
	Think             Draw[time.Duration]
	Reconnect         time.Duration // after a broken connection; 0: never
}

// Sizes is where the two ends of a flow draw the sizes of requests and responses:
// each has its own, and both are the same. It is not used where they are fixed. A
// connection that breaks leaves the ends at different places, so sizes that are
// drawn do not go with Reconnect.
type Sizes struct{ Request, Response *Stream }

// NewSizes returns the sizes of a flow.
func NewSizes(seed uint64, flow string) Sizes {
	return Sizes{NewStream(seed, flow+"/request"), NewStream(seed, flow+"/response")}
}

// ExchangeClient sends requests on one connection and times the responses. A
// connection that breaks is an error; with Reconnect it connects again and
// repeats the request that was under way.
type ExchangeClient struct {
	Exchange
	Socket Socket
	Start  time.Duration
	Data   *Stream // request bytes
	Draws  *Stream // thinking
	Sizes  Sizes
	Meter  *Meter
	Times  []time.Duration // of each response: request first begun to last byte read

	conn     Conn
	buf      []byte
	request  int    // bytes of the request under way
	response int    // bytes of its response
	rest     []byte // of the request
	got      int    // bytes of the response
	asked    clock.Instant
	busy     bool
	again    bool // the request under way broke and is to be repeated
	resume   clock.Instant
	finished bool
	closed   bool
}

// Conn returns the connection in use, or nil.
func (c *ExchangeClient) Conn() Conn { return c.conn }

// ResponseTimes returns the time of each response, in order.
func (c *ExchangeClient) ResponseTimes() []time.Duration { return c.Times }

// Stop ends the flow: after the exchange under way, or at once while the client
// thinks.
func (c *ExchangeClient) Stop() {
	n := len(c.Times)
	if c.busy || c.again {
		n++
	} else {
		c.resume = 0
	}
	c.Count = min(c.Count, n)
}

// Step implements App.
func (c *ExchangeClient) Step(now clock.Instant, h Host) (clock.Instant, bool) {
	if at := clock.Instant(c.Start); now < at {
		return at, false
	}
	if now < c.resume {
		return c.resume, false
	}
	if c.finished {
		return clock.Never, c.closed && (c.conn == nil || c.conn.Done())
	}
	if c.conn == nil && !c.connect(now, h) {
		return c.resume, c.finished
	}
	if !c.conn.Established() && c.conn.Err() == nil {
		return clock.Never, false
	}
	if c.Meter.Established == clock.Never {
		c.Meter.Established = now
	}
	for !c.finished {
		if now < c.resume {
			return c.resume, false
		}
		err := c.exchange(now)
		if errors.Is(err, ErrWouldBlock) {
			return clock.Never, false
		}
		if err != nil {
			c.broke(now, err)
			return c.resume, c.finished
		}
	}
	return clock.Never, false
}

func (c *ExchangeClient) connect(now clock.Instant, h Host) bool {
	if c.Meter.Start == clock.Never {
		c.Meter.Start = now
	}
	conn, err := h.Dial(now, c.Socket)
	if err != nil {
		c.broke(now, err)
		return false
	}
	c.conn = conn
	return true
}

// exchange goes on with the request under way, or starts the next.
func (c *ExchangeClient) exchange(now clock.Instant) error {
	if len(c.Times) >= c.Count {
		c.finished, c.closed = true, true
		c.Meter.Finished = now
		return c.conn.Close(now)
	}
	if !c.busy {
		if !c.again {
			c.request, c.response = c.Request.From(c.Sizes.Request), c.Response.From(c.Sizes.Response)
			c.asked = now
			c.Meter.waiting(now, true)
		}
		if len(c.buf) < c.request || c.buf == nil {
			c.buf = make([]byte, max(c.request, 64<<10))
		}
		c.rest = c.buf[:c.request]
		c.Data.Fill(c.rest)
		c.got, c.busy = 0, true
		c.again = false
	}
	for len(c.rest) > 0 {
		n, err := c.conn.Write(now, c.rest, false)
		if err != nil {
			return err
		}
		c.Meter.wrote(c.rest[:n])
		c.rest = c.rest[n:]
	}
	for c.got < c.response {
		n, err := c.conn.Read(now, c.buf[:min(len(c.buf), c.response-c.got)])
		if err != nil {
			return err
		}
		c.Meter.read(now, c.buf[:n])
		c.got += n
	}
	c.busy = false
	c.Meter.waiting(now, false)
	c.Times = append(c.Times, now.Sub(c.asked))
	if len(c.Times) < c.Count {
		c.resume = now.Add(c.Think.From(c.Draws))
	}
	return nil
}

// broke counts a broken connection and plans the next, or gives up.
func (c *ExchangeClient) broke(now clock.Instant, err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.Meter.failed(err)
	if c.conn != nil {
		_ = c.conn.Abort(now) // it is broken already
		c.conn = nil
	}
	c.again = c.again || c.busy
	c.busy = false
	if c.Reconnect == 0 {
		c.finished, c.closed = true, true
		c.Meter.Finished = now
		return
	}
	c.resume = now.Add(c.Reconnect)
}

// ExchangeServer answers the requests of one flow, on as many connections as its
// client makes, one after the other or at once.
type ExchangeServer struct {
	Exchange
	Socket Socket
	Data   *Stream // response bytes
	Sizes  Sizes
	Meter  *Meter

	listener Listener
	served   []*served
	buf      []byte
	last     Conn
}

type served struct {
	conn    Conn
	request int    // bytes of the one awaited; 0: not known yet
	got     int    // bytes of it
	rest    []byte // of the response
}

// Conn returns the newest connection, or nil.
func (s *ExchangeServer) Conn() Conn { return s.last }

// Step implements App. The server is done when it has been used and its last
// connection is over.
func (s *ExchangeServer) Step(now clock.Instant, h Host) (clock.Instant, bool) {
	if s.listener == nil {
		l, err := h.Listen(now, s.Socket)
		if err != nil {
			s.Meter.failed(err)
			return clock.Never, true
		}
		s.listener = l
		s.buf = make([]byte, 64<<10)
	}
	for {
		conn, err := s.listener.Accept(now)
		if errors.Is(err, ErrWouldBlock) {
			break
		}
		if err != nil {
			s.Meter.failed(err)
			break
		}
		if s.Meter.Start == clock.Never {
			s.Meter.Start, s.Meter.Established = now, now
		}
		s.last = conn
		s.served = append(s.served, &served{conn: conn})
	}
	kept := s.served[:0]
	for _, c := range s.served {
		if !s.serve(now, c) {
			kept = append(kept, c)
		}
	}
	clear(s.served[len(kept):])
	s.served = kept
	done := s.last != nil && len(s.served) == 0 && (s.Reconnect == 0 || s.Meter.EOF)
	if done {
		s.Meter.Finished = now
	}
	return clock.Never, done
}

// serve runs one connection; true: it is over.
func (s *ExchangeServer) serve(now clock.Instant, c *served) bool {
	for {
		for len(c.rest) > 0 {
			n, err := c.conn.Write(now, c.rest, false)
			if err != nil {
				return s.over(now, c, err)
			}
			s.Meter.wrote(c.rest[:n])
			c.rest = c.rest[n:]
		}
		if c.request == 0 {
			c.request = s.Request.From(s.Sizes.Request)
		}
		for c.got < c.request {
			n, err := c.conn.Read(now, s.buf[:min(len(s.buf), c.request-c.got)])
			if err != nil {
				return s.over(now, c, err)
			}
			s.Meter.read(now, s.buf[:n])
			c.got += n
		}
		c.got, c.request = 0, 0
		c.rest = make([]byte, s.Response.From(s.Sizes.Response))
		s.Data.Fill(c.rest)
	}
}

func (s *ExchangeServer) over(now clock.Instant, c *served, err error) bool {
	if errors.Is(err, ErrWouldBlock) {
		return false
	}
	if errors.Is(err, io.EOF) && c.got == 0 && len(c.rest) == 0 {
		s.Meter.EOF = true
		_ = c.conn.Close(now)
		return true
	}
	s.Meter.failed(err)
	_ = c.conn.Abort(now)
	return true
}
