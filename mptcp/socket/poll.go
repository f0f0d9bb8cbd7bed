package socket

import (
	"time"

	"mptcplab/mptcp/clock"
)

// Poll returns what of events is true of fd now, with PollErr, PollHup and
// PollNval, which are always told. It follows tcp_poll.
func (l *Layer) Poll(fd, events int) int {
	f, e := l.get(fd)
	if e != OK {
		return PollNval
	}
	return f.mask() & (events | PollErr | PollHup)
}

// mask is everything that is true of the socket.
func (f *file) mask() int {
	m := f.truths()
	if m&PollIn != 0 {
		m |= PollRdNorm
	}
	if m&PollOut != 0 {
		m |= PollWrNorm
	}
	return m
}

func (f *file) truths() int {
	m := 0
	if f.state == listening {
		if f.ln.Acceptable() {
			m |= PollIn
		}
		return m
	}
	if f.state == deferred {
		return PollOut
	}
	closed := f.conn == nil || f.dead()
	if closed || f.shutRD && f.shutWR {
		m |= PollHup
	}
	if !f.fresh() && f.shut() {
		m |= PollIn | PollRdHup
	}
	if f.state != connecting {
		if f.conn != nil && f.conn.Readable() >= max(f.rcvLowat, 1) {
			m |= PollIn
		}
		if closed || f.shutWR || f.conn.Writable() {
			m |= PollOut
		}
	}
	if f.err != OK || len(f.reports.queue) > 0 {
		m |= PollErr
	}
	return m
}

// epoll is an instance of epoll: what is watched, in the order of its addition.
type epoll struct{ watches []watch }

type watch struct {
	f      *file
	fd     int
	events int
	last   int  // what was told, for edge triggering
	told   news // as last
	off    bool // EPOLLONESHOT has told
}

// news counts what wakes a watch again although it is still true.
type news struct {
	arrived uint64 // bytes
	ended   bool
	reports int
}

func (f *file) news() news {
	n := news{reports: f.reports.added}
	if f.conn != nil {
		n.arrived, n.ended = f.conn.Arrived(), f.conn.Ended()
	}
	return n
}

// EpollEvent is what epoll_wait returns.
type EpollEvent struct{ Events, FD int }

// The operations and a flag of epoll.
const (
	EpollCtlAdd = 1
	EpollCtlDel = 2
	EpollCtlMod = 3

	EpollET        = 1 << 31
	EpollOneshot   = 1 << 30
	EpollWakeup    = 1 << 29
	EpollExclusive = 1 << 28

	epollPrivate = EpollET | EpollOneshot | EpollWakeup | EpollExclusive
)

// EpollCreate makes an instance of epoll.
func (l *Layer) EpollCreate() int { return l.install(&file{epoll: &epoll{}}) }

// EpollCtl adds, changes or deletes a watch.
func (l *Layer) EpollCtl(ep, op, fd, events int) Errno {
	e, no := l.get(ep)
	if no != OK {
		return no
	}
	f, no := l.get(fd)
	switch {
	case no != OK:
		return no
	case e.epoll == nil || f == e:
		return EINVAL
	}
	at := -1
	for i := range e.epoll.watches {
		if e.epoll.watches[i].f == f {
			at = i
		}
	}
	switch {
	case op == EpollCtlAdd && at >= 0:
		return EEXIST
	case op == EpollCtlAdd:
		e.epoll.watches = append(e.epoll.watches, watch{f: f, fd: fd, events: events})
	case at < 0:
		return ENOENT
	case op == EpollCtlDel:
		e.epoll.forget(f)
	case op == EpollCtlMod:
		e.epoll.watches[at] = watch{f: f, fd: fd, events: events}
	default:
		return EINVAL
	}
	return OK
}

// EpollWait returns at most max events that are true now.
func (l *Layer) EpollWait(ep, max int) ([]EpollEvent, Errno) {
	e, no := l.get(ep)
	switch {
	case no != OK:
		return nil, no
	case e.epoll == nil || max <= 0:
		return nil, EINVAL
	}
	var out []EpollEvent
	for i := range e.epoll.watches {
		w := &e.epoll.watches[i]
		if w.f.epoll != nil {
			continue
		}
		w.f.observe()
		if w.off {
			continue
		}
		now, came := w.f.mask()&(w.events&^epollPrivate|PollErr|PollHup), w.f.news()
		// An edge is something new, or more of the same (EPOLLIN, EPOLLERR).
		fresh := w.events&EpollET == 0 || now&^w.last != 0 ||
			now&PollIn != 0 && (came.arrived != w.told.arrived || came.ended != w.told.ended) || now&PollErr != 0 && came.reports != w.told.reports
		if now != 0 && fresh && len(out) < max {
			out = append(out, EpollEvent{now, w.fd})
			w.last, w.told, w.off = now, came, w.events&EpollOneshot != 0
		} else {
			w.last &= now
		}
	}
	return out, OK
}

// EpollWaitOp is EpollWait: it waits for the first event, until wait has passed; a
// negative wait is for ever. The events are in out, their number in N.
func (l *Layer) EpollWaitOp(now clock.Instant, ep, max int, wait time.Duration, out *[]EpollEvent) *Op {
	o := &Op{waits: wait != 0, until: clock.Never, late: func() (int, Errno) { return 0, OK }}
	if wait > 0 {
		o.until = now.Add(wait)
	}
	o.try = func(clock.Instant) (int, Errno) {
		ev, e := l.EpollWait(ep, max)
		*out = ev
		if e == OK && len(ev) == 0 && wait != 0 {
			return 0, EAGAIN
		}
		return len(ev), e
	}
	return o
}

// forget deletes the watch of f.
func (e *epoll) forget(f *file) {
	kept := e.watches[:0]
	for _, w := range e.watches {
		if w.f != f {
			kept = append(kept, w)
		}
	}
	clear(e.watches[len(kept):])
	e.watches = kept
}
