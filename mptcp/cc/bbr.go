package cc

import (
	"math/bits"
	"time"

	"mptcplab/mptcp/clock"
)

// bbrFamily makes controllers that know nothing of each other.
type bbrFamily struct{}

func (bbrFamily) New(f *Flow, now clock.Instant) Controller { return newBBR(f, now) }
func (bbrFamily) Drop(Controller)                           {}

// The constants of tcp_bbr.c. Gains are in 1/256.
const (
	bbrUnit          = 256
	bbrHighGain      = bbrUnit*2885/1000 + 1 // 2/ln 2: doubles the rate each round
	bbrDrainGain     = bbrUnit * 1000 / 2885
	bbrCwndGain      = 2 * bbrUnit
	bbrCycleLen      = 8
	bbrBwRounds      = 10 // of the maximum filter of the bandwidth
	bbrMinRTTWindow  = 10 * time.Second
	bbrProbeRTTTime  = 200 * time.Millisecond
	bbrMinCwnd       = 4 // segments
	bbrInitialCwnd   = 10
	bbrMargin        = 99              // percent of the bandwidth at which it paces
	bbrFullBw        = bbrUnit * 5 / 4 // growth of the bandwidth in a round below which the pipe may be full
	bbrFullRounds    = 3
	bbrExtraRounds   = 5 // of each half of the filter of extra acknowledgments
	bbrExtraMax      = 100 * time.Millisecond
	bbrEpochReset    = 1 << 20 // segments
	bbrSlowRate      = 1_200_000 / 8
	bbrChunkShift    = 10 // a chunk is what the pacing rate sends in about 1 ms
	bbrMaxChunkBytes = 65536 - 1 - 320
)

// bbrGains are the pacing gains of a cycle of PROBE_BW: probe, drain what the
// probe queued, cruise.
var bbrGains = [bbrCycleLen]int{bbrUnit * 5 / 4, bbrUnit * 3 / 4, bbrUnit, bbrUnit, bbrUnit, bbrUnit, bbrUnit, bbrUnit}

// bbrMode is a state of BBR's machine.
type bbrMode uint8

const (
	bbrStartup  bbrMode = iota // fill the pipe: double the rate each round
	bbrDrain                   // empty the queue that startup made
	bbrProbeBW                 // cruise, and probe for bandwidth now and then
	bbrProbeRTT                // cut cwnd to four segments to see the path's delay
)

// bbr is BBR version 1 (Cardwell et al., "BBR: Congestion-Based Congestion
// Control", ACM Queue 2016) as Linux has it (tcp_bbr.c): it models the path by the
// largest delivery rate of the last ten rounds and the least RTT of the last ten
// seconds, paces at the former and keeps about two of their products in flight.
// Rates are in bytes/s where Linux counts segments.
type bbr struct {
	mode       bbrMode
	pacingGain int
	cwndGain   int
	pacingRate uint64 // bytes/s

	bw      maxFilter // delivery rate in bytes/s by round
	rounds  uint32
	nextEnd uint64 // Delivered when the next round ends
	started bool   // this ACK began a round

	minRTT   time.Duration // 0: none yet
	minRTTAt clock.Instant
	seenRTT  bool

	fullBw     uint64 // bandwidth when it last grew by a quarter
	fullRounds int
	full       bool // the pipe was filled once

	cycle   int
	cycleAt clock.Instant

	probeDoneAt clock.Instant // PROBE_RTT may end; 0: cwnd is not down yet
	probeRound  bool          // a round has passed there
	idle        bool          // sending restarted from idle

	before       State // state of the sender at the ACK before
	priorCwnd    int
	conservation bool // in the first round of recovery a segment leaves for each that arrives

	mss     int // of the flow
	policer bbrPolicer
	extra   bbrExtra
}

func newBBR(f *Flow, now clock.Instant) *bbr {
	c := &bbr{mss: f.MSS, minRTT: f.MinRTT, minRTTAt: now, cycleAt: now}
	c.extra.epoch = now
	c.enter(bbrStartup)
	c.initPacing(f)
	return c
}

// Owns says that cwnd in recovery is BBR's, too.
func (c *bbr) Owns() bool { return true }

// Pacing returns the rate in bytes/s.
func (c *bbr) Pacing(*Flow) uint64 { return c.pacingRate }

// OnAck updates the model and from it the pacing rate and cwnd (bbr_main).
func (c *bbr) OnAck(f *Flow, s *Sample) {
	c.mss = f.MSS
	c.policer.lost = s.TotalLost
	c.updateBandwidth(s)
	c.extra.update(c, f, s)
	c.updateCycle(f, s)
	c.checkFull(s)
	c.checkDrain(f, s)
	c.updateMinRTT(f, s)
	c.updateGains()
	c.setPacing(f, c.bandwidth(), c.pacingGain)
	c.setCwnd(f, s)
	f.HoldsBack = c.mode == bbrProbeRTT
}

// bandwidth returns the estimate in force: the largest of the last rounds, or the
// long-term rate if a policer is about.
func (c *bbr) bandwidth() uint64 {
	if c.policer.active {
		return c.policer.bw
	}
	return c.bw.best()
}

// updateBandwidth counts rounds and feeds the filter of the delivery rate.
func (c *bbr) updateBandwidth(s *Sample) {
	c.started = false
	if s.Rate == 0 {
		return
	}
	if s.Prior >= c.nextEnd {
		c.nextEnd = s.Delivered
		c.rounds++
		c.started = true
		c.conservation = false
	}
	c.policer.sample(c, s)
	// A rate that the application limited counts only if it is larger.
	if !s.AppLimited || s.Rate >= c.bw.best() {
		c.bw.update(bbrBwRounds, c.rounds, s.Rate)
	}
}

// updateCycle goes on to the next gain of PROBE_BW.
func (c *bbr) updateCycle(f *Flow, s *Sample) {
	if c.mode != bbrProbeBW {
		return
	}
	over := s.Now.Sub(c.cycleAt) > c.minRTT
	switch inFlight := c.inFlightAtPace(f, s.Now, s.InFlight); {
	case c.pacingGain == bbrUnit:
	case c.pacingGain > bbrUnit: // until the pipe is fuller or overflows
		over = over && (s.Lost > 0 || inFlight >= c.target(f, c.bw.best(), c.pacingGain))
	default: // until the queue is gone
		over = over || inFlight <= c.target(f, c.bw.best(), bbrUnit)
	}
	if over {
		c.nextCycle(s.Now)
	}
}

func (c *bbr) nextCycle(now clock.Instant) {
	c.cycle = (c.cycle + 1) % bbrCycleLen
	c.cycleAt = now
}

// checkFull finds the pipe full when the bandwidth has not grown by a quarter in
// three rounds.
func (c *bbr) checkFull(s *Sample) {
	if c.full || !c.started || s.AppLimited {
		return
	}
	if c.bw.best() >= mulDiv(c.fullBw, bbrFullBw, bbrUnit) {
		c.fullBw, c.fullRounds = c.bw.best(), 0
		return
	}
	c.fullRounds++
	c.full = c.fullRounds >= bbrFullRounds
}

// checkDrain leaves STARTUP when the pipe is full, and DRAIN when the queue is
// gone.
func (c *bbr) checkDrain(f *Flow, s *Sample) {
	if c.mode == bbrStartup && c.full {
		c.mode = bbrDrain
		f.SSThresh = c.target(f, c.bw.best(), bbrUnit)
	}
	if c.mode == bbrDrain && c.inFlightAtPace(f, s.Now, s.Pipe) <= c.target(f, c.bw.best(), bbrUnit) {
		c.enterProbeBW(s.Now)
	}
}

// enterProbeBW begins the cycle anywhere but where it drains, so that flows do not
// probe together. The draw comes from the instant: it repeats with the run.
func (c *bbr) enterProbeBW(now clock.Instant) {
	c.mode = bbrProbeBW
	c.cycle = bbrCycleLen - 1 - int(mix(uint64(now))%(bbrCycleLen-1))
	c.nextCycle(now)
}

// updateMinRTT keeps the least RTT of ten seconds, and enters and leaves
// PROBE_RTT: if it was not seen for that long, cwnd is cut for 200 ms and a round.
func (c *bbr) updateMinRTT(f *Flow, s *Sample) {
	expired := s.Now.Sub(c.minRTTAt) > bbrMinRTTWindow
	if s.LastRTT > 0 && (c.minRTT == 0 || s.LastRTT < c.minRTT || expired && !s.DelayedACK) {
		c.minRTT, c.minRTTAt = s.LastRTT, s.Now
	}
	if expired && !c.idle && c.mode != bbrProbeRTT {
		c.mode = bbrProbeRTT
		c.saveCwnd(f)
		c.probeDoneAt = 0
	}
	if c.mode == bbrProbeRTT {
		if c.probeDoneAt == 0 && s.Pipe <= bbrMinCwnd {
			c.probeDoneAt = s.Now.Add(bbrProbeRTTTime)
			c.probeRound = false
			c.nextEnd = s.Delivered
		} else if c.probeDoneAt != 0 {
			c.probeRound = c.probeRound || c.started
			if c.probeRound {
				c.leaveProbeRTT(f, s.Now)
			}
		}
	}
	if s.Rate > 0 {
		c.idle = false
	}
}

func (c *bbr) leaveProbeRTT(f *Flow, now clock.Instant) {
	if c.probeDoneAt == 0 || now <= c.probeDoneAt {
		return
	}
	c.minRTTAt = now
	f.Cwnd = max(f.Cwnd, c.priorCwnd)
	if c.full {
		c.enterProbeBW(now)
	} else {
		c.enter(bbrStartup)
	}
}

func (c *bbr) enter(m bbrMode) {
	c.mode = m
	c.updateGains()
}

func (c *bbr) updateGains() {
	switch c.mode {
	case bbrStartup:
		c.pacingGain, c.cwndGain = bbrHighGain, bbrHighGain
	case bbrDrain:
		c.pacingGain, c.cwndGain = bbrDrainGain, bbrHighGain
	case bbrProbeBW:
		c.pacingGain, c.cwndGain = bbrGains[c.cycle], bbrCwndGain
		if c.policer.active {
			c.pacingGain = bbrUnit
		}
	case bbrProbeRTT:
		c.pacingGain, c.cwndGain = bbrUnit, bbrUnit
	}
}

// initPacing paces the initial window over the RTT, or over 1 ms without one.
func (c *bbr) initPacing(f *Flow) {
	rtt := time.Millisecond
	if f.SRTT > 0 {
		rtt, c.seenRTT = f.SRTT, true
	}
	bw := mulDiv(uint64(f.Cwnd*f.MSS), uint64(time.Second), uint64(rtt))
	c.pacingRate = pacingFor(bw, bbrHighGain)
}

// setPacing sets the rate for a bandwidth and a gain. Before the pipe was full it
// only rises.
func (c *bbr) setPacing(f *Flow, bw uint64, gain int) {
	if !c.seenRTT && f.SRTT > 0 {
		c.initPacing(f)
	}
	if rate := pacingFor(bw, gain); c.full || rate > c.pacingRate {
		c.pacingRate = rate
	}
}

func pacingFor(bw uint64, gain int) uint64 {
	return mulDiv(bw, uint64(gain)*bbrMargin, bbrUnit*100)
}

// SSThresh leaves ssthresh alone: BBR has no use for it.
func (c *bbr) SSThresh(f *Flow) int {
	c.saveCwnd(f)
	return f.SSThresh
}

// Undo forgets what a loss that was none has taught.
func (c *bbr) Undo(*Flow) {
	c.fullBw, c.fullRounds = 0, 0
	c.policer.reset()
}

// Event takes a timeout as the end of a round with loss, and restarts from idle at
// the bandwidth, not above.
func (c *bbr) Event(f *Flow, now clock.Instant, e Event) {
	switch e {
	case RTO:
		c.before = Loss
		c.fullBw = 0
		c.started = true
		c.policer.sample(c, &Sample{Now: now, Lost: 1})
	case Transmit:
		if !f.AppLimited {
			return
		}
		c.idle = true
		c.extra.restart(now)
		switch c.mode {
		case bbrProbeBW:
			c.setPacing(f, c.bandwidth(), bbrUnit)
		case bbrProbeRTT:
			c.leaveProbeRTT(f, now)
		}
	}
}

// mulDiv returns a*b/c, at most the largest uint64.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 1<<64 - 1
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}

// mix is the finalizer of splitmix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
