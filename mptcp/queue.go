package mptcp

// queue is a FIFO that keeps its memory, up to keepMax items.
type queue[T any] struct {
	items []T
	head  int
}

// keepMax is how many places a list keeps that was longer once and is nearly empty now.
const keepMax = 128

// shrink returns s, in less memory if hardly any of a lot is used.
func shrink[T any](s []T) []T {
	if cap(s) > keepMax && len(s) < cap(s)/8 {
		return append(make([]T, 0, 2*len(s)), s...)
	}
	return s
}

func (q *queue[T]) push(v T) {
	if q.head > 32 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *queue[T]) front() (v T, ok bool) {
	if q.head == len(q.items) {
		return v, false
	}
	return q.items[q.head], true
}

func (q *queue[T]) pop() {
	var zero T
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = shrink(q.items[:0]), 0
	}
}

// spare reports whether the queue is empty and has memory all the same.
func (q *queue[T]) spare() bool { return q.items != nil && q.len() == 0 }

// release gives the memory of an empty queue back.
func (q *queue[T]) release() {
	if q.len() == 0 {
		q.items, q.head = nil, 0
	}
}

// all returns the queue's items, oldest first.
func (q *queue[T]) all() []T { return q.items[q.head:] }

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) reset() {
	clear(q.items)
	q.items, q.head = shrink(q.items[:0]), 0
}
