package cc

import "time"

// The constants that RFC 9406 recommends
// (https://www.rfc-editor.org/rfc/rfc9406#section-4.3).
const (
	hystartMinThresh  = 4 * time.Millisecond
	hystartMaxThresh  = 16 * time.Millisecond
	hystartDivisor    = 8 // MIN_RTT_DIVISOR
	hystartSamples    = 8 // N_RTT_SAMPLE
	hystartCSSDivisor = 4 // CSS_GROWTH_DIVISOR
	hystartCSSRounds  = 5
)

// hystart is HyStart++ (RFC 9406): it leaves the initial slow start when the
// round-trip time of a round has grown, by way of some rounds of slower growth
// (conservative slow start) in which a false alarm shows.
type hystart struct {
	over     bool          // slow start has been left for good
	running  bool          // a round has begun
	end      uint64        // the round is over when that much has been delivered
	samples  int           // of the round-trip time in this round
	min      time.Duration // the least of them
	lastMin  time.Duration // of the round before; 0: none
	css      bool
	baseline time.Duration // cssBaselineMinRtt
	rounds   int           // of conservative slow start that have begun
	rest     int           // acknowledged segments towards a quarter's growth
}

// slowStart grows cwnd in the initial slow start and returns the segments that are
// left for congestion avoidance. "An implementation SHOULD use HyStart++ only for
// the initial slow start (when the ssthresh is at its initial value of arbitrarily
// high per [RFC5681])" (https://www.rfc-editor.org/rfc/rfc9406#section-4.3).
func (h *hystart) slowStart(f *Flow, s *Sample) int {
	if h.over || f.SSThresh < MaxSSThresh {
		h.over = true
		return slowStart(f, s.Acked)
	}
	h.round(f, s)
	if h.over {
		return s.Acked
	}
	n := s.Acked
	if h.css {
		n += h.rest
		h.rest = n % hystartCSSDivisor
		n /= hystartCSSDivisor
	}
	f.Cwnd += n
	return 0
}

// round takes the sample of the round-trip time, begins rounds and changes between
// slow start and conservative slow start (section 4.2).
func (h *hystart) round(f *Flow, s *Sample) {
	if h.running && s.Delivered >= h.end {
		h.running = false
		if h.css {
			h.rounds++
		}
		if h.rounds >= hystartCSSRounds {
			h.over = true
			f.SSThresh = f.Cwnd
			return
		}
		h.lastMin = h.min
	}
	if !h.running {
		h.running, h.samples, h.min = true, 0, 0
		h.end = s.Delivered + uint64(max(s.InFlight-s.Acked, 1)*f.MSS)
	}
	if s.RTT > 0 {
		h.samples++
		if h.min == 0 || s.RTT < h.min {
			h.min = s.RTT
		}
	}
	if h.samples < hystartSamples {
		return
	}
	switch {
	case h.css && h.min < h.baseline: // the alarm was false
		h.css, h.baseline, h.rounds = false, 0, 0
	case !h.css && h.lastMin > 0:
		thresh := max(hystartMinThresh, min(h.lastMin/hystartDivisor, hystartMaxThresh))
		if h.min >= h.lastMin+thresh {
			h.css, h.baseline, h.rounds, h.rest = true, h.min, 0, 0
		}
	}
}
