package sched

// late is embedded by schedulers that bind bytes to a path when they are sent and
// keep no account of them.
type late struct{}

func (late) Sent(int, int)   {}
func (late) Depth(*Path) int { return 0 }

// ordered sends on the first path in a fixed order that has room: reinjections
// before new bytes, one segment at a time.
type ordered struct{ order }

func (s *ordered) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, s.order); ok {
		return d, true
	}
	return fresh(v, s.order)
}

func (*ordered) Sent(int, int)   {}
func (*ordered) Depth(*Path) int { return 0 }

// minRTT puts the path with the lowest smoothed RTT first: the default of Linux
// out of tree ("default", mptcp_sched.c) and of the MPTCP papers.
type minRTT struct{ regular }

func (minRTT) before(a, b *Path) bool { return a.SRTT < b.SRTT }

// lastReceived puts the path first on which data or a new acknowledgment was
// received most recently, of those that are no backup or, if there are only
// backups, of these: the literal reading of "the non-backup subflow which most
// recently received data". Of equals the lowest RTT wins.
type lastReceived struct{ regular }

func (lastReceived) before(a, b *Path) bool {
	if a.LastData != b.LastData {
		return a.LastData > b.LastData
	}
	return a.SRTT < b.SRTT
}

// lastReceivedAny is lastReceived without the preference for paths that are no
// backup: answers leave where the last request arrived.
type lastReceivedAny struct{ lastReceived }

func (lastReceivedAny) rank(p *Path) int {
	q := *p
	q.Backup = false
	return rank(&q)
}

// roundRobin goes round the paths by their ID, a segment each, and passes over
// those without room.
type roundRobin struct {
	late
	regular
	last int // ID of the path that sent last
}

func newRoundRobin() *roundRobin { return &roundRobin{last: -1} }

// before compares how far behind last, round the circle, a and b come.
func (s *roundRobin) before(a, b *Path) bool {
	return uint(a.ID-s.last-1) < uint(b.ID-s.last-1)
}

func (s *roundRobin) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, s); ok {
		return d, true
	}
	return fresh(v, s)
}

func (s *roundRobin) Sent(path, n int) {
	if n > 0 {
		s.last = path
	}
}

// redundant lets each path carry the whole stream from the oldest byte not
// DATA_ACKed on: a path that is behind the others copies what they sent, one that
// is not sends new bytes. The path with the lowest RTT is asked first.
type redundant struct{ late }

func (redundant) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, minRTT{}); ok {
		return d, true
	}
	best := rankStale
	for i := range v.paths() {
		best = min(best, redundantRank(&v.Paths[i]))
	}
	var news, copies Set
	for i := range v.paths() {
		p := &v.Paths[i]
		switch {
		case redundantRank(p) != best:
		case max(p.CopyNext, v.SndUna) < v.SndNxt:
			copies |= Of(i)
		case v.Queued > 0 && v.Window > 0:
			news |= Of(i)
		}
	}
	i, ok := pick(v, news|copies, minRTT{})
	if copies.Has(i) {
		return Decision{Paths: Of(i), From: Copy}, ok
	}
	return Decision{Paths: Of(i), From: New}, ok
}

// redundantRank is rank, except that a path which repairs a loss goes on carrying
// copies: the others do not wait for it.
func redundantRank(p *Path) int { return max(rank(p), rankLoss) }
