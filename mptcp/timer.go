package mptcp

import "mptcplab/mptcp/clock"

// timer is a deadline of something that the stack keeps: a connection, or the little that
// is kept where there is none yet or none any more. It is part of its owner and knows its
// place in the heap (heapAt, from 1; 0 is outside).
type timer struct {
	due     clock.Instant
	heapAt  int
	ordinal uint32 // of the owner's connection in its stack
	owner   expirer
}

// expirer is who has a timer.
type expirer interface {
	expire(s *Stack, now clock.Instant)
}

// timerHeap orders timers by their deadline, ties by their ordinal: the order is part
// of determinism.
type timerHeap struct{ timers []*timer }

func (h *timerHeap) next() clock.Instant {
	if len(h.timers) == 0 {
		return clock.Never
	}
	return h.timers[0].due
}

// popDue removes and returns the first timer whose deadline has come.
func (h *timerHeap) popDue(now clock.Instant) *timer {
	if len(h.timers) == 0 || h.timers[0].due > now {
		return nil
	}
	t := h.timers[0]
	h.remove(t)
	return t
}

// set moves t to its place for the deadline at, or out of the heap.
func (h *timerHeap) set(t *timer, at clock.Instant) {
	switch {
	case at == clock.Never:
		h.remove(t)
	case t.heapAt == 0:
		t.due = at
		h.timers = append(h.timers, t)
		t.heapAt = len(h.timers)
		h.up(len(h.timers) - 1)
	default:
		t.due = at
		h.fix(t.heapAt - 1)
	}
}

func (h *timerHeap) remove(t *timer) {
	if t.heapAt == 0 {
		return
	}
	i, last := t.heapAt-1, len(h.timers)-1
	h.swap(i, last)
	h.timers[last] = nil
	h.timers = shrink(h.timers[:last])
	t.heapAt, t.due = 0, clock.Never
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
	a, b := h.timers[i], h.timers[j]
	return a.due < b.due || a.due == b.due && a.ordinal < b.ordinal
}

func (h *timerHeap) swap(i, j int) {
	h.timers[i], h.timers[j] = h.timers[j], h.timers[i]
	h.timers[i].heapAt, h.timers[j].heapAt = i+1, j+1
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
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.timers); child++ {
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
