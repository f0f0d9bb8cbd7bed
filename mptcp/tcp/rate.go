package tcp

import (
	"math/bits"
	"time"

	"mptcplab/mptcp/clock"
)

// rateSampler estimates the delivery rate
// (draft-ietf-ccwg-bbr, 4.1; Linux's tcp_rate.c).
type rateSampler struct {
	delivered   uint64        // bytes, cumulatively or by SACK
	deliveredAt clock.Instant // of the last delivery
	firstSentAt clock.Instant // when the first run of the current sample was sent
	appLimited  uint64        // delivered mark up to which samples are application-limited; 0: none
	rate        uint64        // the last good one, bytes/s
	sample      rateStamp     // of the run sent last among those just delivered
	sampleSent  clock.Instant
	haveSample  bool
	rateLimited bool // it was application-limited
}

// rateStamp is the state of delivery when a run was sent.
type rateStamp struct {
	delivered   uint64
	deliveredAt clock.Instant
	firstSentAt clock.Instant
	appLimited  bool
}

// sent returns the stamp of a run that goes out at now; idle: nothing is in flight.
func (r *rateSampler) sent(now clock.Instant, idle bool) rateStamp {
	if idle {
		r.firstSentAt, r.deliveredAt = now, now
	}
	return rateStamp{r.delivered, r.deliveredAt, r.firstSentAt, r.appLimited != 0}
}

// deliveredRun counts n bytes of a run that the ACK at hand says arrived.
func (r *rateSampler) deliveredRun(now clock.Instant, stamp rateStamp, sentAt clock.Instant, n int) {
	r.delivered += uint64(n)
	r.deliveredAt = now
	if !r.haveSample || stamp.delivered >= r.sample.delivered {
		r.haveSample, r.sample, r.sampleSent = true, stamp, sentAt
		r.firstSentAt = sentAt
	}
}

// rateSample is what an ACK tells of the delivery rate.
type rateSample struct {
	rate       uint64 // bytes/s; 0: no valid sample
	prior      uint64 // delivered when the segment that it is about was sent
	appLimited bool
}

// take ends the ACK at hand and returns its sample.
func (r *rateSampler) take(now clock.Instant, minRTT time.Duration) (s rateSample) {
	if r.appLimited != 0 && r.delivered > r.appLimited {
		r.appLimited = 0
	}
	if !r.haveSample {
		return s
	}
	r.haveSample = false
	s.prior, s.appLimited = r.sample.delivered, r.sample.appLimited
	// The longer of the two phases: ACKs may arrive compressed.
	interval := max(r.sampleSent.Sub(r.sample.firstSentAt), now.Sub(r.sample.deliveredAt))
	if interval < max(minRTT, 1) {
		return s
	}
	s.rate = perSecond(r.delivered-s.prior, interval)
	if !s.appLimited || s.rate >= r.rate {
		r.rate, r.rateLimited = s.rate, s.appLimited
	}
	return s
}

// limitedByApp marks what is in flight as sent without enough to send.
func (r *rateSampler) limitedByApp(inFlight int) {
	r.appLimited = max(r.delivered+uint64(inFlight), 1)
}

// perSecond returns n bytes in d as bytes/s.
func perSecond(n uint64, d time.Duration) uint64 {
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= uint64(d) {
		return 1<<64 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(d))
	return q
}
