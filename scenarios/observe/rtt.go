package observe

import (
	"math/bits"
	"time"

	"mptcplab/mptcp/clock"
)

// rttMeter measures round-trip times as a sender without timestamps does: one
// segment at a time, never one that was retransmitted (Karn), smoothed as in
// RFC 6298.
type rttMeter struct {
	end          int64 // the ACK waited for; 0: none
	at           clock.Instant
	srtt, rttvar time.Duration
	n            uint32
	bins         *[rttBins]uint32
}

// The histogram has 16 bins an octave from 16 us (2^14 ns) to 34 s (2^35 ns).
const (
	rttLow  = 14
	rttBins = (35 - rttLow) * 16
)

func (m *rttMeter) sent(at clock.Instant, end int64) {
	if m.end == 0 {
		m.end, m.at = end, at
	}
}

// resent forgets the measurement under way: an ACK may now answer the first copy
// or the second.
func (m *rttMeter) resent() { m.end = 0 }

func (m *rttMeter) acked(at clock.Instant, ack int64) {
	if m.end == 0 || ack < m.end {
		return
	}
	m.end = 0
	r := at.Sub(m.at)
	if m.n == 0 {
		m.srtt, m.rttvar = r, r/2
		m.bins = new([rttBins]uint32)
	} else {
		m.rttvar += ((m.srtt - r).Abs() - m.rttvar) / 4
		m.srtt += (r - m.srtt) / 8
	}
	m.n++
	m.bins[rttBin(r)]++
}

func rttBin(r time.Duration) int {
	e := bits.Len64(uint64(r)) - 1
	if e < rttLow {
		return 0
	}
	return min((e-rttLow)*16+int(r>>(e-4)&15), rttBins-1)
}

func (m *rttMeter) median() time.Duration {
	if m.n == 0 {
		return 0
	}
	seen := uint32(0)
	for i, c := range m.bins {
		if seen += c; 2*seen >= m.n {
			e := rttLow + i/16
			return time.Duration(1)<<e + time.Duration(2*(i%16)+1)<<(e-5)
		}
	}
	return 0
}
