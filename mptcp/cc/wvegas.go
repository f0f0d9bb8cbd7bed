package cc

import (
	"slices"
	"time"

	"mptcplab/mptcp/clock"
)

// wvegasFamily is weighted Vegas (Cao et al., "Delay-based congestion control for
// multipath TCP", ICNP 2012), with the structure of mptcp_wvegas.c of Linux out of
// tree: each subflow keeps some packets in its path's queue, a number in proportion
// to its share of the connection's rate.
type wvegasFamily struct{ members []*wvegas }

func (fam *wvegasFamily) New(f *Flow, _ clock.Instant) Controller {
	c := &wvegas{family: fam}
	c.enable(0)
	fam.members = append(fam.members, c)
	return c
}

func (fam *wvegasFamily) Drop(c Controller) {
	fam.members = slices.DeleteFunc(fam.members, func(m *wvegas) bool { return Controller(m) == c })
}

const (
	wvegasAlpha = 2  // segments in the queue at first, and at least
	wvegasTotal = 10 // segments that the subflows share
	wvegasGamma = 1  // segments in the queue that end slow start
)

// wvegas is the controller of one subflow. It decides once a round.
type wvegas struct {
	reno
	family *wvegasFamily
	base   time.Duration // least RTT seen; 0: none
	alpha  int           // segments to keep in the queue
	rate   float64       // segments/s when alpha was computed; 0: not yet
	queue  time.Duration // least queueing delay since the last drain; 0: none

	end     uint64 // a round is over when a segment sent with that much delivered is acknowledged
	samples int    // of the RTT in this round
	sum     time.Duration
	off     bool // a loss is being repaired: Reno rules
}

// enable begins anew; what is known of the path's delay stays.
func (c *wvegas) enable(delivered uint64) {
	c.off, c.alpha, c.rate, c.queue = false, wvegasAlpha, 0, 0
	c.begin(delivered)
}

func (c *wvegas) begin(delivered uint64) { c.end, c.samples, c.sum = delivered, 0, 0 }

// OnAck takes the RTT and, at the end of a round, moves cwnd.
func (c *wvegas) OnAck(f *Flow, s *Sample) {
	if s.LastRTT > 0 {
		if c.base == 0 || s.LastRTT < c.base {
			c.base = s.LastRTT
		}
		c.samples++
		c.sum += s.LastRTT
	}
	switch {
	case f.State != Open && f.State != Disorder:
		c.off = true
	case c.off:
		c.enable(s.Delivered)
	}
	switch {
	case c.off:
		c.reno.OnAck(f, s)
	case s.Rate > 0 && s.Prior >= c.end:
		if c.samples <= 2 { // too few to tell a delay
			c.reno.OnAck(f, s)
		} else {
			c.round(f, s)
		}
		c.begin(s.Delivered)
	case mayGrow(f, s):
		slowStart(f, s.Acked)
	}
}

// round compares the windows that the path carries with and without its queue.
func (c *wvegas) round(f *Flow, s *Sample) {
	rtt := c.sum / time.Duration(c.samples)
	w := int64(f.Cwnd)
	diff := int(w * int64(rtt-c.base) / int64(rtt)) // segments in the queue
	switch {
	case f.InSlowStart() && diff > wvegasGamma:
		f.Cwnd = min(f.Cwnd, int(w*int64(c.base)/int64(rtt))+1)
		f.SSThresh = min(f.SSThresh, f.Cwnd-1)
	case f.InSlowStart():
		if mayGrow(f, s) {
			slowStart(f, s.Acked)
		}
	default:
		c.avoid(f, diff, rtt)
	}
	f.Cwnd = max(f.Cwnd, 2)
	if f.SSThresh < MaxSSThresh {
		f.SSThresh = max(f.SSThresh, f.Cwnd/2+f.Cwnd/4)
	}
}

// avoid moves cwnd by one towards alpha segments in the queue, and empties the
// queue when its delay has doubled: the base RTT shows then.
func (c *wvegas) avoid(f *Flow, diff int, rtt time.Duration) {
	if diff >= c.alpha {
		c.rate = float64(f.Cwnd) / rtt.Seconds()
		c.alpha = max(wvegasAlpha, int(c.weight()*wvegasTotal))
	}
	if diff > c.alpha {
		f.Cwnd--
		f.SSThresh = min(f.SSThresh, f.Cwnd-1)
	} else if diff < c.alpha {
		f.Cwnd++
	}
	delay := rtt - c.base
	if c.queue == 0 || delay < c.queue {
		c.queue = delay
	}
	if delay >= 2*c.queue && c.queue > 0 {
		f.Cwnd = int(int64(f.Cwnd) * int64(c.base) / int64(2*rtt))
		c.queue = 0
	}
}

// weight is the subflow's share of the connection's rate.
func (c *wvegas) weight() float64 {
	var total float64
	for _, m := range c.family.members {
		total += m.rate
	}
	return c.rate / total
}

// Event forgets the path's delay after an idle time, as Linux does.
func (c *wvegas) Event(f *Flow, _ clock.Instant, e Event) {
	switch e {
	case IdleRestart:
		c.base = 0
		c.enable(c.end)
	case EnterRecovery, RTO:
		c.off = true
	}
}
