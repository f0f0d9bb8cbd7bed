// Package clock is time as a number. Machines never read a clock: they are told
// what time it is, so that the same code runs in virtual time and on real
// networks.
package clock

import (
	"math"
	"time"
)

// Instant is a point in time in nanoseconds. In virtual time it counts from the
// epoch of the run (0); in real time it counts from the start of the run on
// CLOCK_MONOTONIC. It is signed: a difference of two instants is meaningful.
type Instant int64

// Never is the deadline of something that is not going to happen.
const Never Instant = math.MaxInt64

// Add returns i+d. Never stays Never, and a sum that would overflow is Never.
func (i Instant) Add(d time.Duration) Instant {
	s := i + Instant(d)
	if i == Never || (d > 0 && s < i) {
		return Never
	}
	return s
}

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i - o) }

// Seconds returns i as seconds since the epoch of the run.
func (i Instant) Seconds() float64 { return float64(i) / 1e9 }

// Min returns the earlier of two instants.
func Min(a, b Instant) Instant {
	if a < b {
		return a
	}
	return b
}
