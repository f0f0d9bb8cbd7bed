package mptcp

// queue is a FIFO that keeps its memory.
type queue[T any] struct {
	items []T
	head  int
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
		q.items, q.head = q.items[:0], 0
	}
}

// all returns the queue's items, oldest first.
func (q *queue[T]) all() []T { return q.items[q.head:] }

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) reset() {
	clear(q.items)
	q.items, q.head = q.items[:0], 0
}
