package sched

import "mptcplab/mptcp/cc"

// An order says how willingly a path is used and which of two paths of one rank
// that may both carry the next bytes comes first.
type order interface {
	rank(p *Path) int
	before(a, b *Path) bool
}

// regular is embedded by orders that rank paths as all do.
type regular struct{}

func (regular) rank(p *Path) int { return rank(p) }

// The ranks of paths.
const (
	rankRegular = iota
	rankLoss    // regular, still repairing after a timeout
	rankBackup
	rankFailed // potentially failed: nothing was acknowledged since a timeout
	rankStale
)

// rank is how willingly a path is used: the paths of the lowest rank present
// carry data, the others nothing, even where those have no room now.
//
// "a subflow where the receiver has indicated that B=1 SHOULD NOT be used to send
// data unless there are no usable subflows where B=0": that is a matter of
// existence, not of room
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.8). A path with a timeout
// is not usable until something is acknowledged on it, as in Linux out of tree:
// so a backup takes over after one timeout, long before the path is stale.
func rank(p *Path) int {
	switch {
	case p.Stale:
		return rankStale
	case p.RTOs > 0:
		return rankFailed
	case p.Backup:
		return rankBackup
	case p.CAState == cc.Loss:
		return rankLoss // new bytes would wait behind the repair
	}
	return rankRegular
}

// usable returns the paths of the lowest rank among those in of, and that rank.
func usable(v *View, of Set, o order) (s Set, best int) {
	best = rankStale + 1
	for i := range v.paths() {
		if !of.Has(i) {
			continue
		}
		r := o.rank(&v.Paths[i])
		if r < best {
			best, s = r, 0
		}
		if r == best {
			s |= Of(i)
		}
	}
	return s, best
}

// paths returns the paths that a Set can name.
func (v *View) paths() []Path { return v.Paths[:min(len(v.Paths), MaxPaths)] }

// pick returns the first in order of the paths in s that have room.
func pick(v *View, s Set, o order) (i int, ok bool) {
	for j := range v.paths() {
		p := &v.Paths[j]
		if s.Has(j) && p.Room > 0 && (!ok || o.before(p, &v.Paths[i])) {
			i, ok = j, true
		}
	}
	return i, ok
}

const all = ^Set(0)

// fresh decides on bytes never sent.
func fresh(v *View, o order) (Decision, bool) {
	if v.Queued <= 0 || v.Window <= 0 {
		return Decision{}, false
	}
	s, _ := usable(v, all, o)
	i, ok := pick(v, s, o)
	return Decision{Paths: Of(i), From: New}, ok
}

// reinject decides on the head of the reinjection queue. It goes to the path that
// would carry new bytes if those that carried it were not there, and waits for one
// that has no room now; but a backup does not take it from a regular path that
// works, for that will repeat it by itself. A path that carried it gets it again
// only if there is no other and it has nothing left to repeat: it delivered the
// bytes to a peer that dropped them above TCP.
func reinject(v *View, o order) (Decision, bool) {
	if v.ReinjectLen <= 0 {
		return Decision{}, false
	}
	s, r := usable(v, all&^v.ReinjectSent, o)
	sent, sentRank := usable(v, v.ReinjectSent, o)
	if s == 0 || sentRank < rankBackup && r >= rankBackup {
		s = idle(v, sent)
	}
	i, ok := pick(v, s, o)
	return Decision{Paths: Of(i), From: Reinject}, ok
}

// idle returns the paths in s that have nothing in flight and nothing to repeat.
func idle(v *View, s Set) Set {
	for i := range v.paths() {
		p := &v.Paths[i]
		if p.InFlight > 0 || p.RTOs > 0 || p.CAState == cc.Recovery || p.CAState == cc.Loss {
			s &^= Of(i)
		}
	}
	return s
}
