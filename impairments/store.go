package impairments

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// none is no packet.
const none int32 = -1

// A store holds the packets that are inside a wire, one buffer each, which are
// used again: in steady state nothing is allocated.
type store struct {
	packets []packet
	free    []int32
}

type packet struct {
	meta     machine.Meta
	data     []byte
	queuedAt clock.Instant // when it began to wait for the rate
}

// put copies a packet into the store.
func (s *store) put(m machine.Meta, data []byte) int32 {
	if len(s.free) == 0 {
		s.packets = append(s.packets, packet{})
		s.free = append(s.free, int32(len(s.packets)-1))
	}
	id := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	p := &s.packets[id]
	p.meta = m
	p.data = append(p.data[:0], data...)
	return id
}

// drop gives a packet's buffer back.
func (s *store) drop(id int32) { s.free = append(s.free, id) }

// A fifo is a queue of packets, a ring that grows by doubling.
type fifo struct {
	ring    []int32 // length a power of two
	head, n int
}

func (f *fifo) push(id int32) {
	if f.n == len(f.ring) {
		ring := make([]int32, max(2*f.n, 16))
		for i := range f.n {
			ring[i] = f.ring[(f.head+i)&(f.n-1)]
		}
		f.ring, f.head = ring, 0
	}
	f.ring[(f.head+f.n)&(len(f.ring)-1)] = id
	f.n++
}

func (f *fifo) pop() int32 {
	id := f.ring[f.head]
	f.head = (f.head + 1) & (len(f.ring) - 1)
	f.n--
	return id
}

// A line is the delay line: a heap of packets by the time at which they come out
// of it, and by arrival among those of one time.
type line struct {
	heap []flight
	seq  uint64
}

type flight struct {
	at  clock.Instant
	seq uint64
	id  int32
}

func (a *flight) before(b *flight) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// next returns when the first packet comes out, or Never.
func (l *line) next() clock.Instant {
	if len(l.heap) == 0 {
		return clock.Never
	}
	return l.heap[0].at
}

func (l *line) push(at clock.Instant, id int32) {
	l.seq++
	l.heap = append(l.heap, flight{at, l.seq, id})
	h, i := l.heap, len(l.heap)-1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (l *line) pop() int32 {
	h, n := l.heap, len(l.heap)-1
	id := h[0].id
	h[0] = h[n]
	l.heap = h[:n]
	h = l.heap
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return id
		}
		if c+1 < n && h[c+1].before(&h[c]) {
			c++
		}
		if !h[c].before(&h[i]) {
			return id
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
