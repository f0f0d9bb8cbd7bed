package cc

import (
	"time"

	"mptcplab/mptcp/clock"
)

// The constants of the long-term sampling of tcp_bbr.c.
const (
	bbrLTMinRounds = 4  // of an interval
	bbrLTLoss      = 50 // of 256: an interval with a fifth lost has a policer
	bbrLTRatio     = bbrUnit / 8
	bbrLTDiff      = 4000 / 8 // bytes/s
	bbrLTMaxRounds = 48
)

// bbrPolicer finds token-bucket policers: between losses it takes the long-term
// rate of intervals of at least four rounds, and if two in a row with many losses
// agree, that rate is used for 48 rounds in place of the largest.
type bbrPolicer struct {
	sampling  bool
	active    bool
	rounds    int
	bw        uint64 // bytes/s; 0: none
	since     clock.Instant
	delivered uint64 // at the start of the interval
	lost      int    // segments, of the connection
	lostAt    int    // lost at the start of the interval
	total     uint64 // Delivered at the last sample
	now       clock.Instant
}

func (p *bbrPolicer) reset() {
	p.bw, p.active, p.sampling = 0, false, false
	p.interval()
}

func (p *bbrPolicer) interval() {
	p.since, p.delivered, p.lostAt, p.rounds = p.now, p.total, p.lost, 0
}

// sample takes an ACK or a timeout (bbr_lt_bw_sampling).
func (p *bbrPolicer) sample(c *bbr, s *Sample) {
	p.now = s.Now
	p.total = max(p.total, s.Delivered)
	if p.active {
		if c.mode == bbrProbeBW && c.started {
			if p.rounds++; p.rounds >= bbrLTMaxRounds {
				p.reset() // the policer may be gone: look again
				c.enterProbeBW(s.Now)
			}
		}
		return
	}
	// The first loss begins: the policer's tokens are gone.
	if !p.sampling {
		if s.Lost == 0 {
			return
		}
		p.interval()
		p.sampling = true
	}
	if s.AppLimited { // no tokens were missing
		p.reset()
		return
	}
	if c.started {
		p.rounds++
	}
	switch {
	case p.rounds < bbrLTMinRounds:
		return
	case p.rounds > 4*bbrLTMinRounds: // too long for one
		p.reset()
		return
	case s.Lost == 0: // end it where the tokens are gone again
		return
	}
	delivered := p.total - p.delivered
	lost := uint64(p.lost-p.lostAt) * uint64(c.mss)
	if delivered == 0 || lost*bbrUnit < bbrLTLoss*delivered {
		return
	}
	t := s.Now.Sub(p.since)
	if t < time.Millisecond {
		return
	}
	p.done(c, mulDiv(delivered, uint64(time.Second), uint64(t)))
}

// done compares the rate of an interval with that of the one before.
func (p *bbrPolicer) done(c *bbr, bw uint64) {
	if p.bw > 0 {
		diff := max(bw, p.bw) - min(bw, p.bw)
		if diff*bbrUnit <= bbrLTRatio*p.bw || pacingFor(diff, bbrUnit) <= bbrLTDiff {
			p.bw = (bw + p.bw) / 2
			p.active = true
			c.pacingGain = bbrUnit
			p.rounds = 0
			return
		}
	}
	p.bw = bw
	p.interval()
}
