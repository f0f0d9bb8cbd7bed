package clock

// Timers is a table of deadlines, one a timer, addressed by a small constant of
// its owner's. It is made with NewTimers; all timers are stopped then.
type Timers []Instant

// NewTimers returns a table of n stopped timers.
func NewTimers(n int) Timers {
	t := make(Timers, n)
	for i := range t {
		t[i] = Never
	}
	return t
}

// Set arms timer id for at, replacing an earlier deadline.
func (t Timers) Set(id int, at Instant) { t[id] = at }

// Stop disarms timer id.
func (t Timers) Stop(id int) { t[id] = Never }

// Armed reports whether timer id is running.
func (t Timers) Armed(id int) bool { return t[id] != Never }

// Expired reports whether timer id was due at or before now, and stops it if so.
func (t Timers) Expired(id int, now Instant) bool {
	if t[id] > now || t[id] == Never {
		return false
	}
	t[id] = Never
	return true
}

// Next returns the earliest deadline of the table, or Never.
func (t Timers) Next() Instant {
	next := Never
	for _, at := range t {
		if at < next {
			next = at
		}
	}
	return next
}
