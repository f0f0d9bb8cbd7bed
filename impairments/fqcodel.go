package impairments

import (
	"encoding/binary"

	"mptcplab/mptcp/clock"
)

const (
	fqFlows   = 1024
	fqQuantum = 1514 // bytes of one turn
)

// fqCodel is sch_fq_codel (RFC 8290): flows take turns by deficit round robin, those
// that are new before the others, and each has CoDel over its own queue.
type fqCodel struct {
	flows []fqFlow
	fresh fifo // flows by index: new ones, and those that had a turn
	old   fifo
	n     int // packets
}

type fqFlow struct {
	tailDrop
	codelState
	backlog int // bytes
	deficit int
	listed  bool
}

func (q *fqCodel) push(d *direction, s *store, now clock.Instant, id int32) {
	i := d.flowOf(s.packets[id].data)
	f := &q.flows[i]
	f.backlog += d.size(s, id)
	f.fifo.push(id)
	q.n++
	if !f.listed {
		f.listed, f.deficit = true, fqQuantum
		q.fresh.push(int32(i))
	}
}

func (q *fqCodel) pop(d *direction, s *store, now clock.Instant) int32 {
	for {
		list := &q.fresh
		if list.n == 0 {
			list = &q.old
		}
		if list.n == 0 {
			return none
		}
		i := list.ring[list.head]
		f := &q.flows[i]
		if f.deficit <= 0 {
			f.deficit += fqQuantum
			q.old.push(list.pop())
			continue
		}
		before := f.n
		id := f.codelState.pop(d, s, now, &f.backlog, f.take)
		q.n -= before - f.n
		if id != none {
			f.deficit -= d.size(s, id)
			return id
		}
		list.pop()
		// "if that queue is a 'new' queue, it is moved to the end of the list of 'old'
		// queues" (https://www.rfc-editor.org/rfc/rfc8290#section-4.2): else a flow that
		// comes back at once would always be new.
		if list == &q.fresh && q.old.n > 0 {
			q.old.push(i)
		} else {
			f.listed = false
		}
	}
}

// evict drops from the head of the flow with the longest queue, in bytes.
func (q *fqCodel) evict(d *direction, s *store) bool {
	fat := &q.flows[0]
	for i := range q.flows {
		if q.flows[i].backlog > fat.backlog {
			fat = &q.flows[i]
		}
	}
	id := fat.take()
	if id == none {
		return false
	}
	q.n--
	fat.backlog -= d.size(s, id)
	d.discard(s, id)
	return true
}

func (q *fqCodel) take() int32 {
	for i := range q.flows {
		if id := q.flows[i].take(); id != none {
			q.n--
			q.flows[i].backlog = 0
			return id
		}
	}
	return none
}

func (q *fqCodel) waiting() int { return q.n }

// flowOf hashes the addresses, the protocol and the ports of a packet.
func (d *direction) flowOf(data []byte) int {
	ip, ok := d.ip(data)
	h := d.perturbation
	add := func(b []byte) {
		for ; len(b) >= 4; b = b[4:] {
			h = mix(h ^ uint64(binary.BigEndian.Uint32(b)))
		}
	}
	switch {
	case ok && ip[0]>>4 == 4:
		add(ip[12:20])
		h = mix(h ^ uint64(ip[9]))
		fragment := binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
		if n := int(ip[0]&15) * 4; ported(ip[9]) && !fragment && len(ip) >= n+4 {
			add(ip[n : n+4])
		}
	case ok:
		add(ip[8:40])
		h = mix(h ^ uint64(ip[6]))
		if ported(ip[6]) && len(ip) >= 44 {
			add(ip[40:44])
		}
	}
	return int(below(h, fqFlows))
}

// ported reports whether a protocol begins with two ports: TCP and UDP.
func ported(proto byte) bool { return proto == 6 || proto == 17 }
