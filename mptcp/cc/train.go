package cc

import (
	"time"

	"mptcplab/mptcp/clock"
)

// The constants of Linux's HyStart (tcp_cubic.c); those of the delay are HyStart++'s.
const (
	trainLowWindow = 16                   // segments: slow start is not left below
	trainDelta     = 2 * time.Millisecond // between two ACKs of a train
	trainGSO       = 65536                // gso_max_size: what leaves at once
)

// train is Linux's HyStart (Ha and Rhee, "Taming the elephants", 2011): slow start
// ends when the ACKs of a round form a train half as long as the least round trip,
// which then holds what the path does, or when the round trip has grown.
type train struct {
	running    bool
	found      bool
	end        uint64 // the round is over when more than that has been acknowledged
	start      clock.Instant
	last       clock.Instant // the last ACK of the train
	samples    int
	least, min time.Duration // round trips: in all, and in this round
}

// ack takes an ACK into account (hystart_update).
func (t *train) ack(f *Flow, s *Sample) {
	if s.LastRTT <= 0 {
		return
	}
	if t.least == 0 || s.LastRTT < t.least {
		t.least = s.LastRTT
	}
	if t.found || !f.InSlowStart() {
		return
	}
	if !t.running || s.Una > t.end {
		*t = train{running: true, end: s.Nxt, start: s.Now, last: s.Now, least: t.least}
	}
	if f.Cwnd < trainLowWindow {
		return
	}
	if s.Now.Sub(t.last) <= trainDelta {
		t.last = s.Now
		t.found = s.Now.Sub(t.start) > (t.least+ackDelay(f))/2
	}
	if t.min == 0 || s.LastRTT < t.min {
		t.min = s.LastRTT
	}
	if t.samples < hystartSamples {
		t.samples++
	} else if t.min > t.least+max(hystartMinThresh, min(t.least/hystartDivisor, hystartMaxThresh)) {
		t.found = true
	}
	if t.found {
		f.SSThresh = f.Cwnd
	}
}

// ackDelay is what aggregation on the way may add to a train, at most a millisecond:
// the time of four bursts at the pacing rate (hystart_ack_delay).
func ackDelay(f *Flow) time.Duration {
	if f.SRTT <= 0 {
		return time.Millisecond
	}
	rate := uint64(2*f.Cwnd*f.MSS) * uint64(time.Second) / uint64(f.SRTT)
	return min(time.Millisecond, time.Duration(4*trainGSO*uint64(time.Second)/max(rate, 1)))
}
