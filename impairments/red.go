package impairments

import "mptcplab/mptcp/clock"

// The parameters of sch_red that tc asks for: avpkt and probability; min, max and
// burst follow from the length of the queue as tc-red(8) recommends.
const (
	redPacket      = 1000 // bytes of an average packet
	redReciprocal  = 50   // 1 / 2 %
	redMostIdle    = 1 << 16
	redFullPacket  = 1514
	redLeastLength = 12 * redPacket
)

// red is sch_red: random early detection over the moving average of the queue.
type red struct {
	tailDrop
	backlog  int
	average  int // bytes << wlog
	wlog     uint
	min, max int // bytes
	count    int // packets since the last drop; -1: below min
	bar      int // count times the excess over min that brings the next drop
	idle     clock.Instant
	idling   bool
	length   int // of the queue that min, max and wlog are for
	offered  uint64
}

func (q *red) push(d *direction, s *store, now clock.Instant, id int32) {
	q.tune(d)
	q.observe(d, now)
	q.offered++
	if q.decide(d.streams[0][drawAQM].draw(q.offered)) && !d.mark(s, id) {
		d.discard(s, id)
		return
	}
	q.backlog += d.size(s, id)
	q.fifo.push(id)
}

func (q *red) pop(d *direction, s *store, now clock.Instant) int32 {
	id := q.take()
	if id == none {
		if !q.idling {
			q.idling, q.idle = true, now
		}
		return none
	}
	q.backlog -= d.size(s, id)
	return id
}

// tune derives the thresholds from the length of the queue: max a quarter of it, min
// a third of max, and the weight of the average from the burst that must pass.
func (q *red) tune(d *direction) {
	length := d.maxBytes
	if length == 0 {
		length = d.maxPackets * redFullPacket
	}
	length = max(length, redLeastLength)
	if length == q.length {
		return
	}
	q.length, q.max, q.min = length, length/4, length/12
	average := q.average >> q.wlog
	q.wlog = redWeight(q.min, (2*q.min+q.max)/(3*redPacket))
	q.average = average << q.wlog
}

// redWeight is tc_red_eval_ewma of iproute2: the weight 2^-n at which burst packets
// may come at once without raising the average from 0 over min.
func redWeight(min, burst int) uint {
	a := float64(burst) + 1 - float64(min)/redPacket
	w := 1.0
	for n := uint(1); n < 32; n++ {
		w /= 2
		left := 1.0
		for range burst {
			left *= 1 - w
		}
		if a <= (1-left)/w {
			return n
		}
	}
	return 31
}

// observe updates the average; over an idle time as if small packets had gone by.
func (q *red) observe(d *direction, now clock.Instant) {
	if !q.idling {
		q.average += q.backlog - q.average>>q.wlog
		return
	}
	q.idling = false
	if d.cfg.Rate == 0 {
		q.average = 0
		return
	}
	each, _ := timeFor(redPacket, d.cfg.Rate, 0)
	for n := 0; n < redMostIdle && q.average>>q.wlog > 0 && clock.Instant(n)*clock.Instant(each) < now-q.idle; n++ {
		q.average -= q.average >> q.wlog
	}
}

// decide is red_action with red_mark_probability.
func (q *red) decide(r uint64) bool {
	average := q.average >> q.wlog
	switch {
	case average < q.min:
		q.count = -1
		return false
	case average >= q.max:
		q.count = -1
		return true
	}
	q.count++
	if q.count == 0 {
		q.bar = q.draw(r)
		return false
	}
	if (average-q.min)*q.count < q.bar {
		return false
	}
	q.count, q.bar = 0, q.draw(r)
	return true
}

func (q *red) draw(r uint64) int { return int(below(r, uint64((q.max-q.min)*redReciprocal))) }
