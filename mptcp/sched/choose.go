package sched

import "mptcplab/mptcp/cc"

// An order says which of two paths that may both carry the next bytes comes
// first.
type order interface{ before(a, b *Path) bool }

// The ranks of paths.
const (
	rankRegular = iota
	rankLoss    // regular, repairing after a timeout
	rankBackup
	rankStale
)

// rank is how willingly a path is used: the paths of the lowest rank present
// carry data, the others nothing, even where those have no room now.
//
// "a subflow where the receiver has indicated that B=1 SHOULD NOT be used to send
// data unless there are no usable subflows where B=0": that is a matter of
// existence, not of room
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.8).
func rank(p *Path) int {
	switch {
	case p.Stale:
		return rankStale
	case p.Backup:
		return rankBackup
	case p.CAState == cc.Loss:
		return rankLoss // new bytes would wait behind the repair, so Linux skips it, too
	}
	return rankRegular
}

// usable returns the paths of the lowest rank among those in of.
func usable(v *View, of Set) Set {
	best := rankStale + 1
	var s Set
	for i := range v.paths() {
		if !of.Has(i) {
			continue
		}
		r := rank(&v.Paths[i])
		if r < best {
			best, s = r, 0
		}
		if r == best {
			s |= Of(i)
		}
	}
	return s
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
	i, ok := pick(v, usable(v, all), o)
	return Decision{Paths: Of(i), From: New}, ok
}

// reinject decides on the head of the reinjection queue. It goes to a fit path that
// did not carry it yet, and waits for one that has no room now. Where no path is
// fit a backup takes it, then any other. A path that carried it repeats it by
// itself; it gets it again only if it has nothing left to repeat, because it
// delivered the bytes to a peer that dropped them above TCP.
func reinject(v *View, o order) (Decision, bool) {
	if v.ReinjectLen <= 0 {
		return Decision{}, false
	}
	var fitSent, fitUnsent, backups, others Set
	for i := range v.paths() {
		p, sent := &v.Paths[i], v.ReinjectSent.Has(i)
		switch {
		case fit(p) && sent:
			fitSent |= Of(i)
		case fit(p):
			fitUnsent |= Of(i)
		case !sent && p.Backup && !p.Stale:
			backups |= Of(i)
		case !sent:
			others |= Of(i)
		}
	}
	s := idle(v, v.ReinjectSent)
	switch {
	case fitUnsent != 0:
		s = usable(v, fitUnsent)
	case fitSent == 0 && backups != 0:
		s = backups
	case fitSent == 0 && others != 0:
		s = usable(v, others)
	}
	i, ok := pick(v, s, o)
	return Decision{Paths: Of(i), From: Reinject}, ok
}

// fit reports whether p is a regular path that works: two timeouts in a row say
// that it does not, as in Linux.
func fit(p *Path) bool { return !p.Backup && !p.Stale && p.RTOs < 2 && p.StaleCount < 2 }

// idle returns the usable paths in s that have nothing in flight and nothing to
// repeat.
func idle(v *View, s Set) Set {
	s = usable(v, s)
	for i := range v.paths() {
		p := &v.Paths[i]
		if p.InFlight > 0 || p.RTOs > 0 || p.CAState == cc.Recovery || p.CAState == cc.Loss {
			s &^= Of(i)
		}
	}
	return s
}
