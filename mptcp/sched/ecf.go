package sched

// ecf is Earliest Completion First (Lim et al., "ECF: An MPTCP Path Scheduler to
// Manage Heterogeneous Paths", CoNEXT 2017): the fast path is used when it has room;
// else it is waited for if what is queued is done sooner that way than with the help
// of the slow path.
type ecf struct {
	late
	minRTT
	waiting bool
}

func (s *ecf) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, s); ok {
		return d, true
	}
	d, slow, fast, ok := pair(v, s)
	if !ok || slow == fast {
		return d, ok
	}
	f, p := &v.Paths[fast], &v.Paths[slow]
	delta := int64(max(f.RTTVar, p.RTTVar))
	rttF, rttS := int64(f.SRTT), int64(p.SRTT)
	k := int64(v.Queued)
	// (1 + k/cwnd_f) rtt_f < (1 + waiting * beta) (rtt_s + delta), beta = 1/4
	limit := rttS + delta
	if s.waiting {
		limit += limit / 4
	}
	if rttF+mulDiv(k, rttF, f.Cwnd) >= limit {
		s.waiting = false
		return d, true
	}
	// k/cwnd_s rtt_s >= 2 rtt_f + delta: else the slow path is done before
	// the fast one has room again.
	if mulDiv(k, rttS, p.Cwnd) >= 2*rttF+delta {
		s.waiting = true
		return d, false
	}
	return d, true
}

// mulDiv returns k/cwnd times rtt.
func mulDiv(k, rtt int64, cwnd int) int64 {
	return int64(float64(k) / float64(max(cwnd, 1)) * float64(rtt))
}
