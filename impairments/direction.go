package impairments

import (
	"encoding/binary"
	"slices"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// The stages that draw. Each has a stream of its own in each direction, and one
// more for copies: duplicating packets shifts no draw of the others.
const (
	drawDuplicate = iota
	drawLoss
	drawState // Gilbert-Elliott: the change of state
	drawCorrupt
	drawBit
	drawReorder
	drawDelay
	drawAQM
	numDraws
)

var drawNames = [numDraws]string{"duplicate", "loss", "state", "corrupt", "bit", "reorder", "delay", "aqm"}

// A direction is one direction of a wire, from the input to the queue.
type direction struct {
	cfg      Config
	overhead int
	stats    Stats

	streams  [2][numDraws]stream // of packets, and of copies
	arrived  uint64              // packets so far: the number that draws go by
	segments int                 // TCP segments with payload so far
	bad      bool                // Gilbert-Elliott's state
	state    int                 // FourState's, less 1
	sinceGap int                 // packets delayed since the last one reordered
	lastSend clock.Instant       // the latest time in the delay line, for InOrder
	segment  wire.Segment        // scratch

	duplicate, loss, corrupt, reorder correlated
	ge                                struct{ p, r, good, bad uint64 }
	four                              struct{ p13, p31, p32, p23, p14 uint64 }

	line                 line
	queue                discipline // those that wait for the rate
	perturbation         uint64     // of the hash of flows
	sending              int32
	leaves               clock.Instant // when sending has left
	ready                fifo          // those that have left
	queued               int           // packets in queue and sending
	maxPackets, maxBytes int
	gated                bool
}

func newDirection(seed uint64, name string, cfg Config, overhead int) direction {
	d := direction{overhead: overhead, sending: none, leaves: clock.Never, queue: newDiscipline(cfg.AQM), perturbation: Seed(seed, name+"/flows")}
	d.cfg.AQM = cfg.AQM
	for i, stage := range drawNames {
		d.streams[0][i] = newStream(seed, name+"/"+stage)
		d.streams[1][i] = newStream(seed, name+"/copy/"+stage)
	}
	// As netem's init_crandom: the first draw has one before it.
	for i, c := range []*correlated{drawDuplicate: &d.duplicate, drawLoss: &d.loss, drawCorrupt: &d.corrupt, drawReorder: &d.reorder} {
		if c != nil {
			c.last = d.streams[0][i].draw(0) >> 32
		}
	}
	d.set(cfg)
	return d
}

// set makes cfg the behaviour from now on. What the stages remember stays.
func (d *direction) set(cfg Config) {
	cfg.Loss.Packets = slices.Clone(cfg.Loss.Packets)
	cfg.Loss.Segments = slices.Clone(cfg.Loss.Segments)
	slices.Sort(cfg.Loss.Packets)
	slices.Sort(cfg.Loss.Segments)
	d.cfg = cfg
	d.duplicate.set(cfg.Duplicate)
	d.loss.set(cfg.Loss.Random)
	d.corrupt.set(cfg.Corrupt)
	d.reorder.set(cfg.Reorder)
	if ge := cfg.Loss.GE; ge != nil {
		d.ge.p, d.ge.r = threshold(ge.P), threshold(ge.R)
		d.ge.good, d.ge.bad = threshold(ge.LossGood), threshold(ge.LossBad)
	}
	if f := cfg.Loss.State; f != nil {
		d.four.p13, d.four.p31, d.four.p32 = threshold(f.P13), threshold(f.P31), threshold(f.P32)
		d.four.p23, d.four.p14 = threshold(f.P23), threshold(f.P14)
	}
	d.maxPackets, d.maxBytes = d.cfg.Bound()
}

// requeue moves what waits into a queue of another discipline.
func (d *direction) requeue(s *store, now clock.Instant, kind AQM) {
	old := d.queue
	d.queue = newDiscipline(kind)
	for id := old.take(); id != none; id = old.take() {
		s.packets[id].queuedAt = now
		d.queue.push(d, s, now, id)
	}
}

// accept takes one packet through duplication and loss. A packet that is
// duplicated and lost goes on once, as in netem.
func (d *direction) accept(s *store, now clock.Instant, m machine.Meta, data []byte) {
	d.arrived++
	dup := d.duplicate.hit(d.streams[0][drawDuplicate].draw(d.arrived))
	lost := d.lost(m, data)
	if d.cfg.Blackhole {
		d.stats.Blackholed++
		return
	}
	if lost {
		d.stats.Lost++
	}
	if lost && !dup {
		return
	}
	d.admit(s, now, m, data, 0)
	if dup && !lost {
		d.stats.Duplicated++
		d.admit(s, now, m, data, 1)
	}
}

// lost reports whether the packet that just arrived is lost.
func (d *direction) lost(m machine.Meta, data []byte) bool {
	r := d.streams[0][drawLoss].draw(d.arrived)
	l := &d.cfg.Loss
	switch {
	case l.GE != nil:
		return d.lostGE(r)
	case l.State != nil:
		return d.lostState(r >> 32)
	case len(l.Packets) > 0:
		_, hit := slices.BinarySearch(l.Packets, int(d.arrived))
		return hit
	case len(l.Segments) > 0:
		if !d.carriesData(data) {
			return false
		}
		d.segments++
		_, hit := slices.BinarySearch(l.Segments, d.segments)
		return hit
	}
	return d.loss.hit(r)
}

// lostGE is a step of the Gilbert-Elliott chain: loss by the state that the
// packet finds, then the next state (loss_gilb_ell in sch_netem.c).
func (d *direction) lostGE(r uint64) bool {
	change, loss := d.ge.p, d.ge.good
	if d.bad {
		change, loss = d.ge.r, d.ge.bad
	}
	if d.streams[0][drawState].draw(d.arrived)>>32 < change {
		d.bad = !d.bad
	}
	return r>>32 < loss
}

// lostState is a step of the chain of four states (loss_4state in sch_netem.c).
func (d *direction) lostState(r uint64) bool {
	f := &d.four
	switch d.state {
	case 0: // good, in a gap
		switch {
		case r < f.p14:
			d.state = 3
			return true
		case r < f.p13+f.p14:
			d.state = 2
			return true
		}
	case 1: // good, in a burst
		if r < f.p23 {
			d.state = 2
			return true
		}
	case 2: // losses of a burst
		switch {
		case r < f.p32:
			d.state = 1
		case r < f.p31+f.p32:
			d.state = 0
		default:
			return true
		}
	case 3: // behind a lone loss
		d.state = 0
	}
	return false
}

// carriesData reports whether a packet is a TCP segment with payload.
func (d *direction) carriesData(data []byte) bool {
	if d.overhead == 0 { // Ethernet frames
		if len(data) < Overhead {
			return false
		}
		data = data[Overhead:]
	}
	return d.segment.Parse(data, true) == nil && len(d.segment.Payload) > 0
}

// admit takes a packet (0) or a copy (1) through corruption and into the delay
// line.
func (d *direction) admit(s *store, now clock.Instant, m machine.Meta, data []byte, copy int) {
	streams, n := &d.streams[copy], d.arrived
	corrupt := d.corrupt.hit(streams[drawCorrupt].draw(n))
	skips := d.reorder.hit(streams[drawReorder].draw(n)) && d.sinceGap >= d.cfg.Gap-1
	if d.cfg.Limit > 0 && len(d.line.heap)+d.queued >= d.cfg.Limit {
		d.stats.QueueDropped++
		return
	}
	id := s.put(m, data)
	if corrupt {
		d.stats.Corrupted++
		s.packets[id].flip(streams[drawBit].draw(n))
	}
	if skips {
		d.stats.Reordered++
		d.sinceGap = 0
		d.line.push(now, id)
		return
	}
	d.sinceGap++
	at := now.Add(d.cfg.delayOf(streams[drawDelay].draw(n)))
	// A netem that has a rate keeps its packets in order; Limit describes one.
	if d.cfg.InOrder || d.cfg.Limit > 0 && d.cfg.Rate > 0 {
		at = max(at, d.lastSend)
	}
	d.lastSend = max(d.lastSend, at)
	d.line.push(at, id)
}

// flip inverts the bit that the draw r selects.
func (p *packet) flip(r uint64) {
	p.complete()
	bit := below(r, uint64(len(p.data))*8)
	p.data[bit/8] ^= 1 << (bit % 8)
	p.meta.CsumOK = false
}

// complete fills in a checksum that the device was to complete.
func (p *packet) complete() {
	start := int(p.meta.CsumStart)
	at := start + int(p.meta.CsumOffset)
	if start != 0 && at+2 <= len(p.data) {
		// The field holds the sum of the pseudo-header (virtio, 5.1.6.2).
		binary.BigEndian.PutUint16(p.data[at:], wire.Checksum(p.data[start:], 0))
	}
	p.meta.CsumStart, p.meta.CsumOffset = 0, 0
}

// enqueue takes a packet from the delay line into the queue, if there is room. An
// empty queue takes any packet.
func (d *direction) enqueue(s *store, now clock.Instant) {
	id := d.line.pop()
	n := d.size(s, id)
	d.queued++
	d.stats.QueueBytes += n
	for d.full() && d.queued > 1 && d.queue.evict(d, s) {
	}
	if d.full() && d.queued > 1 {
		d.discard(s, id)
		return
	}
	s.packets[id].queuedAt = now
	d.queue.push(d, s, now, id)
}

// full reports whether more is in the queue than its bound.
func (d *direction) full() bool {
	return d.maxPackets > 0 && d.queued > d.maxPackets || d.maxBytes > 0 && d.stats.QueueBytes > d.maxBytes
}

// flush loses everything inside.
func (d *direction) flush(s *store) {
	lost := len(d.line.heap) + d.queued + d.ready.n
	for len(d.line.heap) > 0 {
		s.drop(d.line.pop())
	}
	for id := d.queue.take(); id != none; id = d.queue.take() {
		s.drop(id)
	}
	d.queue = newDiscipline(d.cfg.AQM)
	for d.ready.n > 0 {
		s.drop(d.ready.pop())
	}
	if d.sending != none {
		s.drop(d.sending)
	}
	d.sending, d.leaves = none, clock.Never
	d.queued, d.stats.QueueBytes = 0, 0
	d.stats.Blackholed += uint64(lost)
}
