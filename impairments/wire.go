package impairments

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// Wire is a link as a machine: what enters one of its two links comes out of the
// other, later, or not at all. Link 0 is the first end, link 1 the second; the
// uplink goes from 0 to 1. Packets are opaque, IP packets or Ethernet frames; only
// Loss.Segments looks into them.
//
// Each packet passes duplicate, loss, corrupt, and delay with reordering at its
// input; it then waits in the queue for the transmitter. Both happen at their own
// exact times, however late the driver calls.
type Wire struct {
	store   store
	dirs    [2]direction
	shapers [2]shaper // by direction; half duplex: the first for both
	half    bool
	turn    int    // half duplex: who goes first if both wait
	resumed bool   // a link has become writable
	piece   []byte // scratch: a segment of a super-segment
}

var _ machine.Machine = (*Wire)(nil)

// NewWire returns a wire that behaves as cfg (uplink, downlink) says. Its draws
// come from seed and name alone. overhead is what each packet takes on the link
// beside its own bytes: Overhead for IP packets, 0 for Ethernet frames.
func NewWire(seed uint64, name string, cfg [2]Config, overhead int) *Wire {
	return &Wire{dirs: [2]direction{
		newDirection(seed, name+"/uplink", cfg[0], overhead),
		newDirection(seed, name+"/downlink", cfg[1], overhead),
	}}
}

// SetConfig changes one direction (0: uplink, 1: downlink). Packets in the delay
// line keep their times, and a new rate holds from the next packet on. Blackhole
// takes what is inside with it.
func (w *Wire) SetConfig(now clock.Instant, dir int, cfg Config) {
	w.run(now)
	d := &w.dirs[dir]
	w.shaper(dir).change(now, &d.cfg, &cfg)
	if cfg.AQM != d.cfg.AQM {
		d.requeue(&w.store, now, cfg.AQM)
	}
	d.set(cfg)
	if cfg.Blackhole {
		d.flush(&w.store)
	}
	w.begin(dir, now)
	w.begin(1-dir, now)
}

// SetHalfDuplex says whether both directions share one transmitter, and so the
// rate. If both have something to send they take turns, as stations that contend
// for the air. It is to be called before the first packet.
func (w *Wire) SetHalfDuplex(half bool) { w.half = half }

// Stats returns what direction dir did so far.
func (w *Wire) Stats(dir int) Stats { return w.dirs[dir].stats }

// Input implements machine.Machine. Super-segments are split first, so that what
// happens to a packet does not depend on offloads.
func (w *Wire) Input(now clock.Instant, m machine.Meta, data []byte) {
	if m.Link < 0 || m.Link > 1 || len(data) == 0 || len(data) > machine.BufferSize {
		return
	}
	w.run(now)
	d := &w.dirs[m.Link]
	m.Link = 1 - m.Link
	if m.SegSize >= len(data) {
		m.SegSize = 0 // one segment only
	}
	if !w.split(d, now, m, data) {
		d.accept(&w.store, now, m, data)
	}
	w.run(now)
}

// Advance implements machine.Machine.
func (w *Wire) Advance(now clock.Instant) { w.run(now) }

// Deadline implements machine.Machine.
func (w *Wire) Deadline() clock.Instant {
	_, at, _ := w.next()
	return at
}

// Output implements machine.Machine.
func (w *Wire) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	w.run(now)
	for i := range w.dirs {
		d := &w.dirs[i]
		if d.ready.n == 0 || d.gated {
			continue
		}
		id := d.ready.pop()
		p := &w.store.packets[id]
		n := copy(buf, p.data)
		d.stats.Packets++
		d.stats.Bytes += uint64(n + d.overhead)
		w.store.drop(id)
		return p.meta, n, true
	}
	return machine.Meta{}, 0, false
}

// SetWritable implements machine.Machine. While a link takes nothing the
// transmitter towards it stands still and its queue fills.
func (w *Wire) SetWritable(link machine.LinkID, ok bool) {
	if link == 0 || link == 1 {
		w.dirs[1-link].gated = !ok
		w.resumed = w.resumed || ok
	}
}

// run lets everything happen that is due, in the order of time.
func (w *Wire) run(now clock.Instant) {
	if w.resumed {
		w.resumed = false
		w.begin(0, now)
		w.begin(1, now)
	}
	for {
		dir, at, leaves := w.next()
		if at > now {
			return
		}
		d := &w.dirs[dir]
		if leaves {
			w.leave(d)
		} else {
			d.enqueue(&w.store, at)
		}
		w.begin(dir, at)
		if w.half {
			w.begin(1-dir, at)
		}
	}
}

// next returns what happens next: in direction dir a packet has left, or one
// comes out of the delay line. At one instant departures come first, since they
// make room.
func (w *Wire) next() (dir int, at clock.Instant, leaves bool) {
	a, b := &w.dirs[0], &w.dirs[1]
	dir, at, leaves = 0, a.leaves, true
	if b.leaves < at {
		dir, at = 1, b.leaves
	}
	if t := a.line.next(); t < at {
		dir, at, leaves = 0, t, false
	}
	if t := b.line.next(); t < at {
		dir, at, leaves = 1, t, false
	}
	return dir, at, leaves
}

// leave ends the transmission of a packet.
func (w *Wire) leave(d *direction) {
	id := d.sending
	d.sending, d.leaves = none, clock.Never
	d.queued--
	d.stats.QueueBytes -= len(w.store.packets[id].data) + d.overhead
	d.ready.push(id)
}

// begin starts the next transmission of direction dir at t, if it may.
func (w *Wire) begin(dir int, t clock.Instant) {
	d := &w.dirs[dir]
	if d.queue.waiting() == 0 || d.sending != none || d.gated {
		return
	}
	if w.half {
		other := &w.dirs[1-dir]
		if other.sending != none || w.turn != dir && other.queue.waiting() > 0 && !other.gated {
			return
		}
		w.turn = 1 - dir
	}
	if d.sending = d.queue.pop(d, &w.store, t); d.sending == none {
		return // all that waited was dropped
	}
	d.leaves = w.shaper(dir).leave(t, d.size(&w.store, d.sending), d.cfg.Rate, d.cfg.Burst)
}

func (w *Wire) shaper(dir int) *shaper {
	if w.half {
		return &w.shapers[0]
	}
	return &w.shapers[dir]
}
