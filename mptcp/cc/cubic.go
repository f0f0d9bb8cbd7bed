package cc

import (
	"math/bits"
	"time"

	"mptcplab/mptcp/clock"
)

// cubicFamily makes controllers that know nothing of each other.
type cubicFamily struct{}

func (cubicFamily) New(f *Flow, _ clock.Instant) Controller {
	c := new(cubic)
	if f.AsLinux {
		c.train = new(train)
	}
	return c
}

func (cubicFamily) Drop(Controller) {}

// The constants of CUBIC as Linux scales them (tcp_cubic.c): beta = 717/1024 is
// 0.7, C = 410/1024 is 0.4, and time counts in 1/1024 s.
const (
	cubicScale    = 1024
	cubicBeta     = 717
	cubicC        = 410
	cubicHz       = 1024
	cubicShift    = 10 + 3*10         // of C and of the third power of time
	cubicRenoStep = 15                // 8 * (1+beta)/(1-beta)/3: see friendly
	cubicMaxTime  = 300 * time.Second // the function is beyond any window then
	cubicInterval = time.Second / 32
)

// cubic is CUBIC (RFC 9438) with fast convergence and the Reno-friendly region,
// in the integers and with the structure of Linux's tcp_cubic.c. Its slow start is
// left by HyStart++ (RFC 9406) where Linux has the older HyStart; AsLinux as there.
type cubic struct {
	window
	cubicEpoch
	hystart hystart
	train   *train     // AsLinux
	before  cubicEpoch // before the last reduction
}

// cubicEpoch is the state of one growth of the window.
type cubicEpoch struct {
	running  bool          // an epoch of congestion avoidance has begun
	start    clock.Instant // of the epoch
	lastMax  int           // W_max in segments; 0: none yet
	origin   int           // window at the plateau, in segments
	k        int64         // time from start to the plateau, in 1/1024 s
	per      int           // segments acknowledged for one segment of growth
	lastCwnd int           // at the last computation of per
	lastTime clock.Instant // of it
	acks     int           // segments acknowledged towards reno
	reno     int           // W_est: the window that Reno would have
	prior    int           // cwnd_prior: the window at the last reduction; 0: none yet
}

// OnAck grows cwnd: slow start, then along the cubic function.
func (c *cubic) OnAck(f *Flow, s *Sample) {
	if c.train != nil && (!c.running || s.Now.Sub(c.start) >= time.Second) { // not right after a recovery
		c.train.ack(f, s)
	}
	if !mayGrow(f, s) {
		return
	}
	acked := s.Acked
	if f.InSlowStart() {
		if f.AsLinux {
			acked = slowStart(f, acked)
		} else {
			acked = c.hystart.slowStart(f, s)
		}
	}
	if acked > 0 {
		c.update(f, s.Now, acked)
		c.avoid(f, c.per, acked)
	}
}

// update computes per (bictcp_update), at most once a millisecond and each
// 1/32 s where cwnd stands.
func (c *cubic) update(f *Flow, now clock.Instant, acked int) {
	c.acks += acked
	if c.running && c.lastCwnd == f.Cwnd && now.Sub(c.lastTime) <= cubicInterval {
		return
	}
	if !c.running || now.Sub(c.lastTime) >= time.Millisecond {
		c.lastCwnd, c.lastTime = f.Cwnd, now
		if !c.running {
			c.begin(f, now, acked)
		}
		c.follow(f, now)
	}
	c.friendly(f)
	// At most half a segment for each segment acknowledged: 1.5 times in one RTT,
	// the bound on the target in RFC 9438, 4.2.
	c.per = max(c.per, 2)
}

// begin starts an epoch at the window of f: K is the cubic root of
// (W_max - cwnd) / C (https://www.rfc-editor.org/rfc/rfc9438#section-4.2).
func (c *cubic) begin(f *Flow, now clock.Instant, acked int) {
	c.running, c.start = true, now
	c.acks, c.reno = acked, f.Cwnd
	c.k, c.origin = 0, f.Cwnd
	if c.lastMax > f.Cwnd {
		c.k = int64(cubeRoot(uint64(c.lastMax-f.Cwnd) << cubicShift / cubicC))
		c.origin = c.lastMax
	}
}

// follow sets per so that cwnd reaches, one RTT from now, the cubic function
// W_cubic(t) = C * (t - K)^3 + W_max (section 4.2).
func (c *cubic) follow(f *Flow, now clock.Instant) {
	elapsed := min(now.Sub(c.start)+f.MinRTT, cubicMaxTime)
	t := int64(elapsed) * cubicHz / int64(time.Second)
	target := c.origin + cubicDelta(t-c.k)
	if target > f.Cwnd {
		c.per = f.Cwnd / (target - f.Cwnd)
	} else {
		c.per = 100 * f.Cwnd // next to nothing
	}
	// Without a W_max the function is too timid: 5 % in one RTT at least.
	if c.lastMax == 0 {
		c.per = min(c.per, 20)
	}
}

// cubicDelta returns C * t^3 in segments for t in 1/1024 s.
func cubicDelta(t int64) int {
	if t < 0 {
		return -cubicDelta(-t)
	}
	hi, lo := bits.Mul64(uint64(t*t), uint64(t*cubicC))
	return int(hi<<(64-cubicShift) | lo>>cubicShift)
}

// friendly keeps per at what Reno with the same decrease would need: W_est grows
// by 3 (1 - beta) / (1 + beta) segments for each cwnd segments acknowledged
// (section 4.3), which is one for each 15/8 cwnd; and "once W_est has grown to reach
// the cwnd at the time of most recently setting ssthresh -- that is, W_est >=
// cwnd_prior -- the sender SHOULD set alpha_cubic to 1"
// (https://www.rfc-editor.org/rfc/rfc9438#section-4.3). Linux does not; a flow that
// has to grow far beyond its last window, as newcomers have, is twice as fast here.
func (c *cubic) friendly(f *Flow) {
	for {
		step := f.Cwnd
		if c.prior == 0 || c.reno < c.prior || f.AsLinux {
			step = max(f.Cwnd*cubicRenoStep/8, 1)
		}
		if c.acks <= step {
			break
		}
		c.acks -= step
		c.reno++
	}
	if c.reno > f.Cwnd {
		c.per = min(c.per, f.Cwnd/(c.reno-f.Cwnd))
	}
}

// SSThresh ends the epoch at a loss: ssthresh is beta of the window (section 4.6)
// and W_max the window, or less of it if it fell short of the last W_max, so that
// newcomers get room (section 4.7, fast convergence).
func (c *cubic) SSThresh(f *Flow) int {
	c.reduce(f)
	c.before = c.cubicEpoch
	c.running, c.prior = false, f.Cwnd
	if f.Cwnd < c.lastMax {
		c.lastMax = f.Cwnd * (cubicScale + cubicBeta) / (2 * cubicScale)
	} else {
		c.lastMax = f.Cwnd
	}
	return max(f.Cwnd*cubicBeta/cubicScale, 2)
}

// Undo restores the window and the epoch (section 4.9).
func (c *cubic) Undo(f *Flow) {
	if c.restore(f) {
		c.cubicEpoch = c.before
	}
}

// Event forgets everything at a timeout, as Linux does, and takes idle time out
// of the epoch: t counts none of it (section 5.8).
func (c *cubic) Event(f *Flow, now clock.Instant, e Event) {
	switch e {
	case RTO:
		c.cubicEpoch = cubicEpoch{prior: c.prior}
		if c.train != nil {
			*c.train = train{}
		}
	case Transmit:
		if idle := now.Sub(f.LastSent); c.running && idle > 0 {
			c.start = clock.Min(c.start.Add(idle), now)
		}
	}
}

// cubeRoot returns the largest r with r^3 <= x.
func cubeRoot(x uint64) uint64 {
	var r uint64
	for b := uint(21); b > 0; b-- {
		if t := r | 1<<(b-1); t*t*t <= x {
			r = t
		}
	}
	return r
}
