package impairments

import (
	"math"
	"time"

	"mptcplab/mptcp/clock"
)

// The parameters of sch_pie, and its units: a probability is a part of pieMax, times
// in the control law are ticks of 64 ns.
const (
	pieMax     = math.MaxUint64 >> 8
	pieTarget  = clock.Instant(15 * time.Millisecond)
	piePeriod  = clock.Instant(15 * time.Millisecond)
	pieBurst   = clock.Instant(150 * time.Millisecond)
	pieAlpha   = 2  // 1/8
	pieBeta    = 20 // 5/4
	pieMTU     = 1514
	pieTick    = 64                    // ns
	pieTickSec = nsPerSecond / pieTick // ticks in a second
)

// pie is sch_pie (RFC 8033) with the queueing delay taken from timestamps.
type pie struct {
	tailDrop
	backlog  int // bytes
	prob     uint64
	accu     uint64 // accumulated probability, so that drops do not cluster
	delay    clock.Instant
	oldDelay clock.Instant
	burst    clock.Instant // allowance: nothing is dropped while it lasts
	updated  clock.Instant // when the probability was computed last
	dequeued clock.Instant
	started  bool
	offered  uint64 // packets: the number that draws go by
	hasLeft  bool   // dequeued is known
}

func (q *pie) push(d *direction, s *store, now clock.Instant, id int32) {
	q.update(now)
	q.offered++
	if q.early(d.streams[0][drawAQM].draw(q.offered)) {
		// "If the packet is ECN-capable and the drop probability is low, it is marked"
		// (RFC 8033, 5.1; mark_ecnth is 10 %).
		if q.prob > pieMax/10 || !d.mark(s, id) {
			q.accu = 0
			d.discard(s, id)
			return
		}
	}
	q.backlog += d.size(s, id)
	q.fifo.push(id)
}

// early decides on a packet that arrives (pie_drop_early).
func (q *pie) early(r uint64) bool {
	switch {
	case q.burst > 0,
		q.delay < pieTarget/2 && q.prob < pieMax/5,
		q.backlog < 2*pieMTU:
		return false
	}
	if q.prob == 0 {
		q.accu = 0
	} else {
		q.accu += q.prob
	}
	switch {
	case q.accu < pieMax/100*85:
		return false
	case q.accu >= pieMax/2*17:
		return true
	case r>>8 < q.prob:
		q.accu = 0
		return true
	}
	return false
}

func (q *pie) pop(d *direction, s *store, now clock.Instant) int32 {
	q.update(now)
	id := q.take()
	if id == none {
		return none
	}
	q.backlog -= d.size(s, id)
	q.delay = now - s.packets[id].queuedAt
	if q.backlog == 0 {
		q.delay = 0
	}
	if q.hasLeft {
		q.burst = max(0, q.burst-(now-q.dequeued))
	}
	q.dequeued, q.hasLeft = now, true
	return id
}

// update computes the probability for each period that has passed. Between two
// packets nothing changes that it depends on, so that it can be done afterwards.
func (q *pie) update(now clock.Instant) {
	if !q.started {
		q.started, q.updated, q.burst = true, now, pieBurst
		return
	}
	for ; now-q.updated >= piePeriod; q.updated += piePeriod {
		if q.prob == 0 && q.delay == 0 && q.oldDelay == 0 {
			q.burst, q.accu = pieBurst, 0
			q.updated += (now - q.updated) / piePeriod * piePeriod
			return
		}
		q.step()
	}
}

// step is pie_calculate_probability.
func (q *pie) step() {
	alpha, beta := uint64(pieAlpha)*(pieMax/pieTickSec)>>4, uint64(pieBeta)*(pieMax/pieTickSec)>>4
	if q.prob < pieMax/10 {
		alpha, beta = alpha>>1, beta>>1
		for power := uint64(100); q.prob < pieMax/power && power <= 1000000; power *= 10 {
			alpha, beta = alpha>>2, beta>>2
		}
	}
	ticks := func(t clock.Instant) int64 { return int64(t) / pieTick }
	delta := int64(alpha)*ticks(q.delay-pieTarget) + int64(beta)*ticks(q.delay-q.oldDelay)
	if delta > pieMax/50 && q.prob >= pieMax/10 {
		delta = pieMax / 50
	}
	if q.delay > clock.Instant(250*time.Millisecond) {
		delta += pieMax / 50
	}
	switch {
	case delta < 0 && uint64(-delta) > q.prob:
		q.prob = 0
	case delta < 0:
		q.prob -= uint64(-delta)
	default:
		q.prob = min(q.prob+uint64(delta), pieMax)
	}
	if q.delay == 0 && q.oldDelay == 0 {
		q.prob -= q.prob / 64
	}
	if q.delay < pieTarget/2 && q.oldDelay < pieTarget/2 && q.prob == 0 {
		q.burst, q.accu, q.hasLeft = pieBurst, 0, false
	}
	q.oldDelay = q.delay
}
