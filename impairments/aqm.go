package impairments

import (
	"time"

	"mptcplab/mptcp/clock"
)

// AQM is the discipline of the queue that waits for the rate, in tc's words.
type AQM uint8

// The disciplines, with the parameters that tc gives them by default.
const (
	DropTail AQM = iota
	CoDel        // RFC 8289: target 5 ms, interval 100 ms
	FQCoDel      // RFC 8290: the same in each of 1,024 flows, quantum 1,514 bytes
	PIE          // RFC 8033: target 15 ms, update every 15 ms, alpha 1/8, beta 5/4
	RED          // Floyd and Jacobson 1993, as sch_red: thresholds a twelfth and a quarter of the queue
)

// A discipline holds the packets that wait for the rate. What it drops or marks it
// tells its direction (discard, mark).
type discipline interface {
	// push takes a packet, which there is room for.
	push(d *direction, s *store, now clock.Instant, id int32)
	// pop returns the packet to be sent next; none: nothing is left.
	pop(d *direction, s *store, now clock.Instant) int32
	// evict makes room: it drops a packet, not the one that is coming, and reports
	// true; false: the one that is coming is to be dropped.
	evict(d *direction, s *store) bool
	// take returns the packets one by one, without dropping any, for another
	// discipline.
	take() int32
	waiting() int // packets
}

// newDiscipline returns an empty queue of that kind.
func newDiscipline(kind AQM) discipline {
	switch kind {
	case CoDel:
		return &codelQueue{}
	case FQCoDel:
		return &fqCodel{flows: make([]fqFlow, fqFlows)}
	case PIE:
		return &pie{}
	case RED:
		return &red{count: -1}
	}
	return &tailDrop{}
}

// tailDrop is a fifo that drops what finds it full.
type tailDrop struct{ fifo }

func (q *tailDrop) push(_ *direction, _ *store, _ clock.Instant, id int32) { q.fifo.push(id) }

func (q *tailDrop) pop(*direction, *store, clock.Instant) int32 { return q.take() }

func (q *tailDrop) evict(*direction, *store) bool { return false }

func (q *tailDrop) take() int32 {
	if q.n == 0 {
		return none
	}
	return q.fifo.pop()
}

func (q *tailDrop) waiting() int { return q.n }

// codelState is the control loop of CoDel over one queue: RFC 8289, in the form of
// include/net/codel_impl.h.
type codelState struct {
	firstAbove clock.Instant // 0: the delay is below target
	dropNext   clock.Instant
	count      uint32 // drops since dropping began
	lastCount  uint32
	dropping   bool
}

const (
	codelTarget   = clock.Instant(5 * time.Millisecond)
	codelInterval = clock.Instant(100 * time.Millisecond)
	codelMTU      = 1514 // bytes: a queue of no more is never too long
)

// pop takes packets from take until one may go. backlog is what waits in the queue,
// in bytes, and take and drop keep it.
func (c *codelState) pop(d *direction, s *store, now clock.Instant, backlog *int, take func() int32) int32 {
	next := func() (id int32, late bool) {
		id = take()
		if id == none {
			c.firstAbove = 0
			return none, false
		}
		*backlog -= d.size(s, id)
		return id, c.late(now, s.packets[id].queuedAt, *backlog)
	}
	id, late := next()
	if id == none {
		c.dropping = false
		return none
	}
	switch {
	case c.dropping && !late:
		c.dropping = false
	case c.dropping:
		for c.dropping && now >= c.dropNext {
			c.count++
			if d.mark(s, id) {
				c.dropNext = c.law(c.dropNext)
				break
			}
			d.discard(s, id)
			if id, late = next(); !late {
				c.dropping = false
			} else {
				c.dropNext = c.law(c.dropNext)
			}
		}
	case late:
		if !d.mark(s, id) {
			d.discard(s, id)
			id, _ = next()
		}
		c.dropping = true
		// "If min went above TARGET close to when we last went below it, assume
		// that the drop rate that controlled the queue on the last cycle is a good
		// starting point to control it now."
		// (https://www.rfc-editor.org/rfc/rfc8289#section-5.5)
		delta := c.count - c.lastCount
		c.count = 1
		if delta > 1 && now-c.dropNext < 16*codelInterval {
			c.count = delta
		}
		c.lastCount = c.count
		c.dropNext = c.law(now)
	}
	return id
}

// late reports whether the delay has been above the target for an interval.
func (c *codelState) late(now, since clock.Instant, backlog int) bool {
	switch {
	case now-since < codelTarget || backlog <= codelMTU:
		c.firstAbove = 0
	case c.firstAbove == 0:
		c.firstAbove = now + codelInterval
	default:
		return now > c.firstAbove
	}
	return false
}

// law is CoDel's control law: the interval shrinks with the square root of the drops.
func (c *codelState) law(t clock.Instant) clock.Instant {
	return t + codelInterval*1024/clock.Instant(sqrt(uint64(c.count)<<20))
}

// sqrt returns the integer part of the square root.
func sqrt(v uint64) uint64 {
	var r uint64
	for bit := uint64(1) << 31; bit > 0; bit >>= 1 {
		if t := r | bit; t*t <= v {
			r = t
		}
	}
	return r
}

// codelQueue is sch_codel.
type codelQueue struct {
	tailDrop
	codelState
	backlog int
}

func (q *codelQueue) push(d *direction, s *store, now clock.Instant, id int32) {
	q.backlog += d.size(s, id)
	q.fifo.push(id)
}

func (q *codelQueue) pop(d *direction, s *store, now clock.Instant) int32 {
	return q.codelState.pop(d, s, now, &q.backlog, q.take)
}
