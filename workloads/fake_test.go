package workloads

import (
	"io"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// pipe is two connections back to back with room for room bytes in each
// direction. It stands for any stack: no time passes in it.
type pipe struct {
	room int
	ends [2]pipeEnd
}

type pipeEnd struct {
	p       *pipe
	i       int
	in      []byte // sent by the other end, not read yet
	closed  bool   // our direction is ended
	aborted bool
}

func newPipe(room int) *pipe {
	p := &pipe{room: room}
	for i := range p.ends {
		p.ends[i].p, p.ends[i].i = p, i
	}
	return p
}

func (e *pipeEnd) other() *pipeEnd { return &e.p.ends[1-e.i] }

func (e *pipeEnd) Established() bool { return true }

func (e *pipeEnd) Err() error { return nil }

func (e *pipeEnd) Read(_ clock.Instant, b []byte) (int, error) {
	if e.other().aborted {
		return 0, io.ErrClosedPipe
	}
	n := copy(b, e.in)
	e.in = e.in[n:]
	switch {
	case n > 0:
		return n, nil
	case e.other().closed:
		return 0, io.EOF
	}
	return 0, ErrWouldBlock
}

func (e *pipeEnd) Write(_ clock.Instant, b []byte, _ bool) (int, error) {
	if e.other().aborted {
		return 0, io.ErrClosedPipe
	}
	o := e.other()
	n := min(len(b), e.p.room-len(o.in))
	if n == 0 {
		return 0, ErrWouldBlock
	}
	o.in = append(o.in, b[:n]...)
	return n, nil
}

func (e *pipeEnd) CloseWrite(clock.Instant) error { e.closed = true; return nil }
func (e *pipeEnd) Close(clock.Instant) error      { e.closed = true; return nil }
func (e *pipeEnd) Abort(clock.Instant) error      { e.aborted = true; return nil }
func (e *pipeEnd) Done() bool                     { return e.closed && e.other().closed }
func (e *pipeEnd) Info(clock.Instant) (mptcp.Info, error) {
	return mptcp.Info{}, nil
}

// fakeHost is the host of both ends: what is dialed can be accepted.
type fakeHost struct {
	room    int
	waiting []*pipeEnd
	dialed  []*pipe
	refuse  int // that many dials fail
}

func (h *fakeHost) Dial(clock.Instant, Socket) (Conn, error) {
	if h.refuse > 0 {
		h.refuse--
		return nil, io.ErrClosedPipe
	}
	p := newPipe(h.room)
	h.dialed = append(h.dialed, p)
	h.waiting = append(h.waiting, &p.ends[1])
	return &p.ends[0], nil
}

func (h *fakeHost) Listen(clock.Instant, Socket) (Listener, error) { return fakeListener{h}, nil }

type fakeListener struct{ h *fakeHost }

func (l fakeListener) Accept(clock.Instant) (Conn, error) {
	if len(l.h.waiting) == 0 {
		return nil, ErrWouldBlock
	}
	c := l.h.waiting[0]
	l.h.waiting = l.h.waiting[1:]
	return c, nil
}

func (l fakeListener) Close(clock.Instant) error { return nil }

// play steps two apps until both are done, jumping to the next wish when neither
// moves, and returns the time it took.
func play(t *testing.T, h *fakeHost, client, server App) clock.Instant {
	t.Helper()
	now := clock.Instant(0)
	var cd, sd bool
	for range 1_000_000 {
		next := clock.Never
		var at clock.Instant
		if !sd {
			at, sd = server.Step(now, h)
			next = clock.Min(next, at)
		}
		if !cd {
			at, cd = client.Step(now, h)
			next = clock.Min(next, at)
		}
		if cd && sd {
			return now
		}
		if next != clock.Never && next > now {
			now = min(next, now.Add(time.Millisecond)) // data may move the other app earlier
		} else {
			now = now.Add(10 * time.Microsecond)
		}
	}
	t.Fatal("the applications do not come to an end")
	return 0
}
