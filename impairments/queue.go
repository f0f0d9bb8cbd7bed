package impairments

import (
	"math"
	"math/bits"
	"time"

	"mptcplab/mptcp/clock"
)

// The least default queue: 20 packets of 1,500 bytes. Without a rate only a link
// that cannot be written makes packets wait; then it is txqueuelen's default.
const (
	leastQueue   = 20 * (1500 + Overhead)
	txQueueLen   = 1000
	nsPerSecond  = 1_000_000_000
	bitNsPerByte = 8 * nsPerSecond
)

// Bound returns what the queue in front of the rate holds at most, in packets or
// in bytes with Ethernet header, the one in transmission included, as tbf and
// netem count; 0 is no bound of that kind. With Limit there is neither: Limit
// holds for queue and delay line together.
func (c *Config) Bound() (packets, bytes int) {
	switch {
	case c.Limit > 0:
		return 0, 0
	case c.Queue.Packets > 0:
		return c.Queue.Packets, 0
	case c.Queue.Bytes > 0:
		return 0, c.Queue.Bytes
	case c.Rate == 0:
		return txQueueLen, 0
	case c.Queue.Time > 0:
		return 0, bytesIn(c.Rate, c.Queue.Time)
	case c.AQM == CoDel || c.AQM == PIE:
		return 1000, 0
	case c.AQM == FQCoDel:
		return 10240, 0
	}
	product := max(bytesIn(c.Rate, max(2*c.Delay, c.PathRTT)), leastQueue)
	if c.AQM == RED {
		product = min(product, math.MaxInt/4) * 4 // RED acts from a quarter of its queue on
	}
	return 0, product
}

// bytesIn returns how many bytes rate (bit/s) moves in d.
func bytesIn(rate uint64, d time.Duration) int {
	hi, lo := bits.Mul64(rate, uint64(max(d, 0)))
	if hi >= bitNsPerByte {
		return math.MaxInt
	}
	q, _ := bits.Div64(hi, lo, bitNsPerByte)
	return int(min(q, math.MaxInt))
}

// timeFor returns how long rate (bit/s, not 0) takes for n bytes, and the
// remainder in bit-nanoseconds; rem is one from before.
func timeFor(n int, rate, rem uint64) (time.Duration, uint64) {
	hi, lo := bits.Mul64(uint64(n), bitNsPerByte)
	lo, carry := bits.Add64(lo, rem, 0)
	if hi += carry; hi >= rate {
		return math.MaxInt64, 0
	}
	q, r := bits.Div64(hi, lo, rate)
	return time.Duration(min(q, math.MaxInt64)), r
}

// A shaper says when packets leave at a rate: a token bucket that is exact to
// the nanosecond over any number of packets, since the remainder of each
// division is carried on. With an empty bucket (burst 0) a packet leaves when its
// last bit has been sent.
type shaper struct {
	full clock.Instant // when the bucket is full again
	rem  uint64        // bit-nanoseconds not yet in full
}

// leave returns when a packet of n bytes that comes to the head of the queue at t
// has left.
func (s *shaper) leave(t clock.Instant, n int, rate uint64, burst int) clock.Instant {
	if rate == 0 {
		return t
	}
	if s.full < t {
		s.full, s.rem = t, 0
	}
	d, rem := timeFor(n, rate, s.rem)
	s.full, s.rem = s.full.Add(d), rem
	if burst <= 0 || s.full == clock.Never {
		return s.full
	}
	saved, _ := timeFor(burst, rate, 0)
	return max(t, s.full-clock.Instant(saved))
}

// change carries what the bucket owes from one rate to the next. Without a burst
// nothing is owed but the packet in transmission, which keeps its time.
func (s *shaper) change(now clock.Instant, old, new *Config) {
	s.rem = 0
	if s.full <= now || old.Burst <= 0 || old.Rate == 0 || new.Rate == 0 {
		return
	}
	d, _ := timeFor(bytesIn(old.Rate, s.full.Sub(now)), new.Rate, 0)
	s.full = now.Add(d)
}
