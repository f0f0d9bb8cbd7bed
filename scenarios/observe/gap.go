package observe

import (
	"slices"
	"time"

	"mptcplab/mptcp/clock"
)

// Gap is an interval without a new in-order byte at the receiver.
type Gap struct {
	Start, End clock.Instant
	Ending
}

// Ending is what ended a gap.
type Ending struct {
	By  int      // the subflow whose data did; -1: none did, or not known
	How DataKind // what that data was
	// Silence is how long the sender had heard nothing on the path whose data it
	// sent again, when it did: a time-out shows as a silence, a fast
	// retransmission does not. 0: nothing was sent again.
	Silence time.Duration
}

// Duration returns the length of the gap.
func (g Gap) Duration() time.Duration { return g.End.Sub(g.Start) }

// timeoutSilence is how long a sender must have heard nothing on a path for a
// repair to count as one by time-out. Fast retransmissions answer an ACK that
// just came; Linux's shortest RTO is 200 ms above the round-trip time.
const timeoutSilence = 100 * time.Millisecond

// TimedOut reports whether the gap ended by data that was sent again after a
// silence: what a retransmission timer does, as the wire shows it.
func (g Gap) TimedOut() bool { return min(g.Silence, g.Duration()) >= timeoutSilence }

// maxGaps bounds what a GapTracker remembers.
const maxGaps = 2048

// GapTracker remembers the intervals between instants of progress: all of them
// at first, the longest 1,024 to 2,048 in the long run. So its memory is bounded
// and the gaps that matter are exact.
type GapTracker struct {
	last       clock.Instant
	gaps       []Gap // by time
	resolution time.Duration
	lengths    []time.Duration // scratch of thin
}

// Start begins the first interval.
func (t *GapTracker) Start(at clock.Instant) { t.last = at }

// Progress tells of new in-order bytes at that time.
func (t *GapTracker) Progress(at clock.Instant, e Ending) {
	g := Gap{t.last, at, e}
	t.last = at
	if g.Duration() <= t.resolution {
		return
	}
	if len(t.gaps) == maxGaps {
		t.thin()
	}
	t.gaps = append(t.gaps, g)
}

// thin forgets the shorter half.
func (t *GapTracker) thin() {
	t.lengths = t.lengths[:0]
	for _, g := range t.gaps {
		t.lengths = append(t.lengths, g.Duration())
	}
	slices.Sort(t.lengths)
	t.resolution = t.lengths[len(t.lengths)/2]
	t.gaps = slices.DeleteFunc(t.gaps, func(g Gap) bool { return g.Duration() <= t.resolution })
}

// Last returns the instant of the last progress, or of the start.
func (t *GapTracker) Last() clock.Instant { return t.last }

// Resolution is the length up to which gaps have been forgotten.
func (t *GapTracker) Resolution() time.Duration { return t.resolution }

// LongestGap returns the longest interval without progress that meets [from, to),
// at its full length. What follows the last progress counts up to to. If nothing
// longer than Resolution meets the window, ok is false.
func (t *GapTracker) LongestGap(from, to clock.Instant) (longest Gap, ok bool) {
	longest.By = -1
	for _, g := range t.gaps {
		if g.Start < to && g.End > from && g.Duration() > longest.Duration() {
			longest = g
		}
	}
	if t.last < to && to > from {
		if g := (Gap{t.last, to, Ending{By: -1}}); g.Duration() > max(longest.Duration(), t.resolution) {
			longest = g
		}
	}
	return longest, longest.Duration() > 0
}
