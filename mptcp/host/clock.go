// Package host runs a machine in real time: one monitor per machine, run to
// completion. Whoever has something (the driver thread with packets or a timer, an
// API call) takes the lock, reads the clock once, feeds the machine, drains its
// output to the devices and unlocks.
package host

import (
	"time"

	"mptcplab/mptcp/clock"
)

// Clock reads CLOCK_MONOTONIC as the time since it was made. All monitors, relays
// and captures of a lab share one, so that their times compare.
type Clock struct{ start time.Time }

// NewClock returns a clock that shows 0 now.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Now returns the time since NewClock.
func (c *Clock) Now() clock.Instant { return clock.Instant(time.Since(c.start)) }

// Start returns the wall-clock time at instant 0.
func (c *Clock) Start() time.Time { return c.start }
