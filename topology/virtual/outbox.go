package virtual

import "mptcplab/mptcp/machine"

// outboxLimit is how many packets wait for a link that is not writable:
// txqueuelen's default. In virtual time all links always are.
const outboxLimit = 1000

// An outbox holds what a router or switch is about to send on one link. Buffers
// are used again.
type outbox struct {
	slots   []letter
	head, n int
	gated   bool
	dropped uint64
}

type letter struct {
	meta machine.Meta
	data []byte
}

// add returns the buffer for one more packet, empty, or nil if the box is full.
func (o *outbox) add(m machine.Meta) *letter {
	if o.n >= outboxLimit && o.gated {
		o.dropped++
		return nil
	}
	if o.n == len(o.slots) {
		slots := make([]letter, max(2*o.n, 4))
		for i := range o.n {
			slots[i] = o.slots[(o.head+i)%o.n]
		}
		o.slots, o.head = slots, 0
	}
	l := &o.slots[(o.head+o.n)%len(o.slots)]
	o.n++
	l.meta, l.data = m, l.data[:0]
	return l
}

// outboxes are those of all links of a node.
type outboxes []outbox

// output writes the next packet of the first link that has one and is writable.
func (os outboxes) output(buf []byte) (machine.Meta, int, bool) {
	for i := range os {
		o := &os[i]
		if o.n == 0 || o.gated {
			continue
		}
		l := &o.slots[o.head]
		o.head = (o.head + 1) % len(o.slots)
		o.n--
		return l.meta, copy(buf, l.data), true
	}
	return machine.Meta{}, 0, false
}

func (os outboxes) setWritable(link machine.LinkID, ok bool) {
	if link >= 0 && int(link) < len(os) {
		os[link].gated = !ok
	}
}
