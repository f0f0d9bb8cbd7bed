package sim

import (
	"container/heap"

	"mptcplab/mptcp/clock"
)

// deadlines is an indexed heap: the deadline of each node, the earliest first,
// and among equal ones that of the lower node.
type deadlines struct {
	at    []clock.Instant // by node
	place []int           // by node: index in heap
	heap  []int           // nodes
}

// add adds a node without a deadline and returns its number.
func (d *deadlines) add() int {
	id := len(d.at)
	d.at = append(d.at, clock.Never)
	d.place = append(d.place, id)
	d.heap = append(d.heap, id)
	return id
}

// first returns the node that is due first, and when.
func (d *deadlines) first() (id int, at clock.Instant) {
	if len(d.heap) == 0 {
		return -1, clock.Never
	}
	return d.heap[0], d.at[d.heap[0]]
}

func (d *deadlines) next() clock.Instant {
	_, at := d.first()
	return at
}

// set changes the deadline of a node.
func (d *deadlines) set(id int, at clock.Instant) {
	old := d.at[id]
	d.at[id] = at
	switch i := d.place[id]; {
	case at < old:
		d.up(i)
	case at > old:
		d.down(i)
	}
}

func (d *deadlines) before(i, j int) bool {
	a, b := d.heap[i], d.heap[j]
	return d.at[a] < d.at[b] || d.at[a] == d.at[b] && a < b
}

func (d *deadlines) swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	d.place[d.heap[i]], d.place[d.heap[j]] = i, j
}

func (d *deadlines) up(i int) {
	for i > 0 && d.before(i, (i-1)/2) {
		d.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (d *deadlines) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(d.heap) {
			return
		}
		if c+1 < len(d.heap) && d.before(c+1, c) {
			c++
		}
		if !d.before(c, i) {
			return
		}
		d.swap(c, i)
		i = c
	}
}

// agenda holds the calls of the driver's owner, by time and then by order.
type agenda struct {
	calls callHeap
	seq   uint64
}

type call struct {
	at  clock.Instant
	seq uint64
	f   func()
}

type callHeap []call

func (h callHeap) Len() int { return len(h) }
func (h callHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h callHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *callHeap) Push(x any)   { *h = append(*h, x.(call)) }
func (h *callHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = call{}
	*h = old[:len(old)-1]
	return c
}

func (a *agenda) next() clock.Instant {
	if len(a.calls) == 0 {
		return clock.Never
	}
	return a.calls[0].at
}

func (a *agenda) push(at clock.Instant, f func()) {
	a.seq++
	heap.Push(&a.calls, call{at, a.seq, f})
}

func (a *agenda) pop() func() { return heap.Pop(&a.calls).(call).f }
