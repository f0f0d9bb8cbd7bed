package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/sched"
)

// Between a scheduler that binds ahead of cwnd and each path's TCP stands a queue of
// ranges of the stream, without sequence numbers of the subflow: the mapping is made
// when TCP takes the bytes. So the queue of a path that dies is simply returned.

// carriage says what a range of the stream that goes to a subflow is.
type carriage uint8

const (
	freshBytes  carriage = iota // never sent
	copiedBytes                 // at the same time on other subflows (redundant)
	againBytes                  // from the reinjection queue, or in place of it
)

// boundRange is [lo, hi) of the stream, bound to a subflow and not sent yet.
type boundRange struct {
	lo, hi uint64
	as     carriage
	all    bool // several subflows are to carry it, each all of it
}

// bind queues a range behind what the subflow has to send already.
func (t *sendSide) bind(r boundRange) {
	t.boundLen += int(r.hi - r.lo)
	if all := t.bound.all(); len(all) > 0 {
		if last := &all[len(all)-1]; last.hi == r.lo && last.as == r.as && last.all == r.all {
			last.hi = r.hi
			return
		}
	}
	t.bound.push(r)
}

// nextBound returns what is to be sent next. What is acknowledged needs no sending;
// what all are to carry does, as long as the ring has it.
func (t *sendSide) nextBound(w *sendWindow) (boundRange, bool) {
	for t.bound.len() > 0 {
		r := &t.bound.all()[0]
		from := w.una
		if r.all {
			from = w.ring.Start()
		}
		if k := min(from, r.hi); k > r.lo {
			t.boundLen -= int(k - r.lo)
			r.lo = k
		}
		if r.lo < r.hi {
			return *r, true
		}
		t.bound.pop()
	}
	return boundRange{}, false
}

// unbound takes off the queue what was sent: n bytes of its head.
func (t *sendSide) unbound(n int) {
	t.boundLen -= n
	t.bound.all()[0].lo += uint64(n)
}

// bindAhead carries out a decision of a scheduler that binds ahead of cwnd; false:
// it is for the other kind, or there is nothing.
func (c *Conn) bindAhead(d sched.Decision) bool {
	p, w := c.plan, &c.send
	r := boundRange{lo: w.nxt, hi: min(w.end, w.nxt+uint64(c.sendable())), as: freshBytes}
	if d.From == sched.Reinject {
		head, ok := c.reinject.head()
		if !ok {
			return false
		}
		r = boundRange{lo: head.Lo, hi: head.Hi, as: againBytes}
	}
	for i := range p.flows {
		if d.Paths.Has(i) && c.sched.Depth(&p.view.Paths[i]) == 0 {
			return false
		}
	}
	if mss := c.mss(); d.Burst > 0 { // in whole segments, as in carryOn
		r.hi = min(r.hi, r.lo+uint64((d.Burst+mss-1)/mss*mss))
	}
	if d.From == sched.Copy || r.hi <= r.lo {
		return false
	}
	if d.From == sched.Reinject {
		c.reinject.remove(r.lo, r.hi)
	} else {
		w.nxt = r.hi
		c.stats.sent += r.hi - r.lo
	}
	r.all = d.Paths&(d.Paths-1) != 0
	for i, sf := range p.flows {
		if d.Paths.Has(i) {
			sf.tx.bind(r)
			c.sched.Sent(sf.id, int(r.hi-r.lo))
			if r.as == freshBytes {
				r.as = copiedBytes // for the others
			}
		}
	}
	return true
}

// sendBound writes one packet of what is bound to a subflow that has room.
func (c *Conn) sendBound(now clock.Instant, buf []byte) (machine.LinkID, int, bool) {
	for _, sf := range c.subflows {
		r, ok := sf.tx.nextBound(&c.send)
		if !ok {
			continue
		}
		if n := min(c.room(now, sf), int(r.hi-r.lo)); n > 0 {
			sf.tx.unbound(n)
			link, size := c.sendOn(now, buf, sf, r.lo, n, r.as)
			return link, size, true
		}
	}
	return 0, 0, false
}

// unbind returns what is bound to a subflow: the end of the stream that nobody was
// given becomes new again, the rest is for the others to carry, unless they do.
func (c *Conn) unbind(sf *subflow) {
	t, w := &sf.tx, &c.send
	for ranges := t.bound.all(); len(ranges) > 0; ranges = ranges[:len(ranges)-1] {
		r := ranges[len(ranges)-1]
		lo, hi := max(r.lo, w.una), r.hi
		switch {
		case lo >= hi || r.all && c.othersCarry(sf, lo):
		case r.as == freshBytes && hi == w.nxt && !r.all:
			// Unless another subflow has carried it in place of this one.
			sent := min(max(lo, w.sentTo), hi)
			c.reinject.add(lo, sent)
			c.reinject.remove(sent, hi)
			w.nxt = sent
			c.stats.sent -= hi - sent
		default:
			c.reinject.add(lo, hi)
		}
	}
	t.bound.reset()
	t.boundLen = 0
}

// othersCarry reports whether a subflow that works, not sf, carries the byte at off.
func (c *Conn) othersCarry(sf *subflow, off uint64) bool {
	for _, o := range c.subflows {
		if o != sf && o.usable() && !o.stale && o.tx.carries(off) {
			return true
		}
	}
	return false
}

// binds reports whether bytes are bound to some subflow.
func (c *Conn) binds() bool {
	for _, sf := range c.subflows {
		if sf.tx.boundLen > 0 {
			return true
		}
	}
	return false
}

// SetScheduler changes the packet scheduler of the connection, from now on; what is
// bound to subflows stays with them. ErrUnknownName: there is none of that name.
func (c *Conn) SetScheduler(name string) error {
	s, ok := sched.Lookup(name)
	if !ok {
		return ErrUnknownName
	}
	c.own().Scheduler = name
	c.sched = s
	c.plan = nil
	c.stack.touch(c)
	return nil
}

// Scheduler returns the name of the packet scheduler.
func (c *Conn) Scheduler() string { return c.cfg.Scheduler }
