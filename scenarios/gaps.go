package scenarios

import (
	"time"

	"mptcplab/mptcp/clock"
)

// gapTracker finds, for each named event, the longest interval without a new
// in-order byte at the receiving application that meets [event, next event or end
// of the flow). It sees every read as it happens and keeps only one interval per
// event. It belongs to the host of the receiver.
type gapTracker struct {
	last    clock.Instant // the last new byte, or the start of the flow or of waiting; Never: not started
	idle    bool          // the application waits for nothing: it thinks
	ended   bool
	windows []gapWindow
}

// gapWindow is what happened after one event.
type gapWindow struct {
	event    string
	from, to clock.Instant // to is Never while no other event came
	met      bool          // the flow was running
	start    clock.Instant
	end      clock.Instant
	open     bool // nothing ended the gap: the flow broke, or the run was over
}

func (w *gapWindow) gap() time.Duration { return w.end.Sub(w.start) }

// begin starts the flow.
func (g *gapTracker) begin(now clock.Instant) { g.last = now }

// waiting tells that the application asks for bytes, or has what it asked for: while
// it thinks, nothing is missing.
func (g *gapTracker) waiting(now clock.Instant, begins bool) {
	g.idle = !begins
	g.last = now
}

// mark opens the window of a named event and closes those before. Events of one
// instant have the same window.
func (g *gapTracker) mark(now clock.Instant, event string) {
	for i := range g.windows {
		if w := &g.windows[i]; w.to == clock.Never && w.from < now {
			w.to = now
		}
	}
	g.windows = append(g.windows, gapWindow{event: event, from: now, to: clock.Never})
}

// progress tells of new in-order bytes.
func (g *gapTracker) progress(now clock.Instant) {
	if g.last == clock.Never {
		g.last = now
	}
	g.close(now, false)
	g.last = now
}

// finish ends the flow: the last byte was read at g.last, so nothing is pending.
func (g *gapTracker) finish() { g.ended = true }

// cut ends a flow that never got its last byte: what it waited for counts.
func (g *gapTracker) cut(now clock.Instant) {
	if !g.ended && g.last != clock.Never {
		g.close(now, true)
	}
	g.ended = true
}

// close ends the interval from g.last to now in every window that it meets.
func (g *gapTracker) close(now clock.Instant, open bool) {
	if g.ended || g.idle {
		return
	}
	for i := len(g.windows) - 1; i >= 0; i-- {
		w := &g.windows[i]
		if w.to <= g.last { // over before the interval began, and so are those before
			break
		}
		if !w.met || now.Sub(g.last) > w.gap() {
			w.start, w.end, w.open = g.last, now, open
		}
		w.met = true
	}
}
