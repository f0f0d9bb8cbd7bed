package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// rttEstimator smooths round-trip times as Linux does: RFC 6298 with the mean
// deviation replaced by the largest of the last round trip, which decays slowly
// and never falls below RTOMin, and which counts an RTT that shrinks an eighth.
type rttEstimator struct {
	srtt8  int64 // smoothed RTT in ns, times 8; 0: no sample yet
	mdev4  int64 // mean deviation in ns, times 4
	maxDev int64 // the largest mdev4 of the current round trip
	var4   int64 // 4*RTTVAR in ns: what the RTO adds
	seq    wire.Seq
	rto    time.Duration // without back-off
	min    time.Duration // over minRTTWindow
	minAt  clock.Instant
}

func (e *rttEstimator) smoothed() time.Duration { return time.Duration(e.srtt8 / 8) }

// update takes a sample. una and nxt delimit round trips.
func (e *rttEstimator) update(rtt time.Duration, una, nxt wire.Seq, cfg *Config) {
	m := max(int64(rtt), 1)
	floor := int64(cfg.RTOMin)
	if e.srtt8 == 0 {
		// "the host MUST set SRTT <- R; RTTVAR <- R/2"
		// (https://www.rfc-editor.org/rfc/rfc6298#section-2).
		e.srtt8 = m * 8
		e.mdev4 = m * 2
		e.var4 = max(e.mdev4, floor)
		e.maxDev = e.var4
		e.seq = nxt
	} else {
		e.smooth(m)
		if e.seq.Less(una) {
			if e.maxDev < e.var4 {
				e.var4 -= (e.var4 - e.maxDev) / 4
			}
			e.seq = nxt
			e.maxDev = floor
		}
	}
	e.rto = min(time.Duration(e.srtt8/8+e.var4), cfg.RTOMax)
}

func (e *rttEstimator) smooth(m int64) {
	d := m - e.srtt8/8
	e.srtt8 += d // 7/8 SRTT + 1/8 R
	if d < 0 {
		// A sample that is shorter than ever must not raise the RTO.
		if d = -d - e.mdev4/4; d > 0 {
			d /= 8
		}
	} else {
		d -= e.mdev4 / 4
	}
	e.mdev4 += d // 3/4 mdev + 1/4 |err|
	if e.mdev4 > e.maxDev {
		e.maxDev = e.mdev4
		e.var4 = max(e.var4, e.maxDev)
	}
}

// observeMin keeps the least RTT of the last minRTTWindow.
func (e *rttEstimator) observeMin(now clock.Instant, rtt time.Duration) {
	if e.min == 0 || rtt <= e.min || now.Sub(e.minAt) > minRTTWindow {
		e.min, e.minAt = max(rtt, 1), now
	}
}

// sampleRTT takes rtt into account and resets the back-off, which stays until
// then (Karn's algorithm; https://www.rfc-editor.org/rfc/rfc6298#section-5).
func (c *Conn) sampleRTT(now clock.Instant, rtt time.Duration) {
	c.rtt.update(rtt, c.sndUna, c.sndNxt, c.cfg)
	c.backoff = 0
	c.tlpBlind = false
	c.flow.SRTT = c.rtt.smoothed()
	c.flow.RTTVar = time.Duration(c.rtt.mdev4 / 4)
}

// tsClock is the timestamp clock: milliseconds, from an offset of the
// connection's own (RFC 7323, 5.4 and 7).
func (c *Conn) tsClock(now clock.Instant) uint32 {
	return uint32(int64(now)/int64(time.Millisecond)) + c.tsOffset
}

// echoRTT returns the round trip that the timestamp echoed in s proves; 0: none.
// A clock of milliseconds knows no less than one.
func (c *Conn) echoRTT(now clock.Instant, s *wire.Segment) time.Duration {
	if !c.tsOK || s.Options.Has&wire.HasTimestamps == 0 || s.Options.TSEcr == 0 {
		return 0
	}
	ms := int32(c.tsClock(now) - s.Options.TSEcr)
	if ms < 0 {
		return 0
	}
	return time.Duration(max(ms, 1)) * time.Millisecond
}

// RTO returns the retransmission timeout with its back-off.
func (c *Conn) RTO() time.Duration { return backedOff(c.rtt.rto, c.backoff, c.cfg.RTOMax) }

// backedOff returns d doubled n times, at most limit.
func backedOff(d time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}
