package cc

import (
	"time"

	"mptcplab/mptcp/clock"
)

// setCwnd moves cwnd towards the target (bbr_set_cwnd).
func (c *bbr) setCwnd(f *Flow, s *Sample) {
	if s.Acked > 0 && !c.recover(f, s) {
		c.approach(f, s)
	}
	if c.mode == bbrProbeRTT {
		f.Cwnd = min(f.Cwnd, bbrMinCwnd)
	}
}

// recover holds cwnd in the first round of recovery at what is in flight plus what
// arrives, and restores it afterwards. It reports whether it has set cwnd.
func (c *bbr) recover(f *Flow, s *Sample) bool {
	w := f.Cwnd
	if s.Lost > 0 {
		w = max(w-s.Lost, 1)
	}
	before := c.before
	c.before = f.State
	switch {
	case f.State == Recovery && before != Recovery:
		c.conservation = true
		c.nextEnd = s.Delivered // a round from now on
		w = s.Pipe + s.Acked
	case before >= Recovery && f.State < Recovery:
		w = max(w, c.priorCwnd)
		c.conservation = false
	}
	f.Cwnd = w
	if c.conservation {
		f.Cwnd = max(w, s.Pipe+s.Acked)
	}
	return c.conservation
}

// approach lets cwnd grow by what was acknowledged, up to the target once the pipe
// was full.
func (c *bbr) approach(f *Flow, s *Sample) {
	target := c.bdp(f, c.bandwidth(), c.cwndGain) + c.extraCwnd(f)
	target = c.budget(f, target)
	switch {
	case c.full:
		f.Cwnd = min(f.Cwnd+s.Acked, target)
	case f.Cwnd < target || s.Delivered < uint64(bbrInitialCwnd*f.MSS):
		f.Cwnd += s.Acked
	}
	f.Cwnd = max(f.Cwnd, bbrMinCwnd)
}

// saveCwnd remembers the last cwnd that was good.
func (c *bbr) saveCwnd(f *Flow) {
	if c.before < Recovery && c.mode != bbrProbeRTT {
		c.priorCwnd = f.Cwnd
	} else {
		c.priorCwnd = max(c.priorCwnd, f.Cwnd)
	}
}

// bdp returns the bandwidth-delay product in segments, times gain, rounded up.
func (c *bbr) bdp(f *Flow, bw uint64, gain int) int {
	if c.minRTT == 0 {
		return bbrInitialCwnd // nothing is known
	}
	bytes := mulDiv(bw, uint64(c.minRTT), uint64(time.Second))
	return int((mulDiv(bytes, uint64(gain), bbrUnit) + uint64(f.MSS) - 1) / uint64(f.MSS))
}

// budget adds what delayed ACKs and chunks keep from being seen in flight.
func (c *bbr) budget(f *Flow, cwnd int) int {
	cwnd += 3 * c.chunk(f)
	cwnd = (cwnd + 1) &^ 1
	if c.mode == bbrProbeBW && c.cycle == 0 {
		cwnd += 2 // so that the probe gets above the product, however small
	}
	return cwnd
}

// target is how many segments should be in flight at a bandwidth and a gain.
func (c *bbr) target(f *Flow, bw uint64, gain int) int { return c.budget(f, c.bdp(f, bw, gain)) }

// chunk returns the segments that Linux would hand to its device at once.
func (c *bbr) chunk(f *Flow) int {
	least := 2
	if c.pacingRate < bbrSlowRate {
		least = 1
	}
	n := int(min(c.pacingRate>>bbrChunkShift, bbrMaxChunkBytes)) / f.MSS
	return min(max(n, least), 127)
}

// inFlightAtPace returns how many of inFlight segments will be in the network when
// the pacer lets the next one go.
func (c *bbr) inFlightAtPace(f *Flow, now clock.Instant, inFlight int) int {
	if c.pacingGain > bbrUnit {
		inFlight += c.chunk(f)
	}
	wait := max(f.PaceAt.Sub(now), 0)
	delivered := mulDiv(c.bandwidth(), uint64(wait), uint64(time.Second)) / uint64(f.MSS)
	return max(inFlight-int(min(delivered, 1<<30)), 0)
}

// bbrExtra measures how much more is acknowledged at times than the bandwidth
// explains: links that gather ACKs need that much more in flight.
type bbrExtra struct {
	epoch  clock.Instant
	acked  uint64 // bytes since
	most   [2]int // segments, of this and the last five rounds
	rounds int
	half   int
}

func (x *bbrExtra) restart(now clock.Instant) { x.epoch, x.acked = now, 0 }

func (x *bbrExtra) update(c *bbr, f *Flow, s *Sample) {
	if s.Acked <= 0 || s.Rate == 0 {
		return
	}
	if c.started {
		if x.rounds++; x.rounds >= bbrExtraRounds {
			x.rounds = 0
			x.half ^= 1
			x.most[x.half] = 0
		}
	}
	expected := mulDiv(c.bandwidth(), uint64(s.Now.Sub(x.epoch)), uint64(time.Second))
	if x.acked <= expected || x.acked+uint64(s.Acked*f.MSS) >= uint64(bbrEpochReset*f.MSS) {
		x.restart(s.Now)
		expected = 0
	}
	x.acked += uint64(s.Acked * f.MSS)
	extra := min(int(x.acked-expected)/f.MSS, f.Cwnd)
	x.most[x.half] = max(x.most[x.half], extra)
}

// extraCwnd returns the segments that aggregation adds to cwnd: at most what the
// bandwidth delivers in 100 ms.
func (c *bbr) extraCwnd(f *Flow) int {
	if !c.full {
		return 0
	}
	limit := mulDiv(c.bandwidth(), uint64(bbrExtraMax), uint64(time.Second)) / uint64(f.MSS)
	return min(max(c.extra.most[0], c.extra.most[1]), int(min(limit, 1<<30)))
}
