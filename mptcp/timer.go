package mptcp

import "mptcplab/mptcp/clock"

// timerHeap orders connections by their next deadline, ties by their ordinal:
// the order is part of determinism. A connection knows its place (heapAt, from
// 1; 0 is outside).
type timerHeap struct{ conns []*Conn }

func (h *timerHeap) next() clock.Instant {
	if len(h.conns) == 0 {
		return clock.Never
	}
	return h.conns[0].due
}

// popDue removes and returns the first connection whose deadline has come.
func (h *timerHeap) popDue(now clock.Instant) *Conn {
	if len(h.conns) == 0 || h.conns[0].due > now {
		return nil
	}
	c := h.conns[0]
	h.remove(c)
	return c
}

// set moves c to its place for the deadline at, or out of the heap.
func (h *timerHeap) set(c *Conn, at clock.Instant) {
	switch {
	case at == clock.Never:
		h.remove(c)
	case c.heapAt == 0:
		c.due = at
		h.conns = append(h.conns, c)
		c.heapAt = len(h.conns)
		h.up(len(h.conns) - 1)
	default:
		c.due = at
		h.fix(c.heapAt - 1)
	}
}

func (h *timerHeap) remove(c *Conn) {
	if c.heapAt == 0 {
		return
	}
	i, last := c.heapAt-1, len(h.conns)-1
	h.swap(i, last)
	h.conns[last] = nil
	h.conns = h.conns[:last]
	c.heapAt, c.due = 0, clock.Never
	if i < last {
		h.fix(i)
	}
}

func (h *timerHeap) fix(i int) {
	if !h.up(i) {
		h.down(i)
	}
}

func (h *timerHeap) less(i, j int) bool {
	a, b := h.conns[i], h.conns[j]
	return a.due < b.due || a.due == b.due && a.ordinal < b.ordinal
}

func (h *timerHeap) swap(i, j int) {
	h.conns[i], h.conns[j] = h.conns[j], h.conns[i]
	h.conns[i].heapAt, h.conns[j].heapAt = i+1, j+1
}

func (h *timerHeap) up(i int) (moved bool) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i, moved = (i-1)/2, true
	}
	return moved
}

func (h *timerHeap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.conns); child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
