package sched

// program is one of the kernel's test schedulers (tools/testing/selftests/bpf/
// progs/mptcp_bpf_*.c): a rule that names paths and asks neither for room nor for
// their health. What it names gets the bytes bound to it, and those wait there.
// Reinjections follow the kernel's own rule: none of the programs brings another.
type program struct {
	binding
	choose  func(s *program, v *View) Set
	last    int // ID of the path that sent last; -1: none
	marked  int // ID of the path marked stale; -1: none
	retrans linger
}

func (s *program) Next(v *View) (Decision, bool) {
	if d, ok := s.retrans.retransmission(v); ok {
		return d, true
	}
	if v.Queued <= 0 || v.Window <= 0 || len(v.Paths) == 0 {
		return Decision{}, false
	}
	set := s.choose(s, v)
	room := burstSize
	for i := range v.paths() {
		if p := &v.Paths[i]; set.Has(i) {
			room = min(room, p.Bindable(s.Depth(p)))
		}
	}
	if set == 0 || room <= 0 {
		return Decision{}, false
	}
	return Decision{Paths: set, From: New, Burst: min(max(room, v.Paths[0].MSS), v.Window)}, true
}

// first always takes the first path (mptcp_bpf_first.c).
func first(*program, *View) Set { return Of(0) }

// firstRegular takes the first path that is no backup, else the first
// (mptcp_bpf_bkup.c).
func firstRegular(_ *program, v *View) Set {
	for i := range v.paths() {
		if !v.Paths[i].Backup {
			return Of(i)
		}
	}
	return Of(0)
}

// afterLast takes the path behind the last one in the list, round and round
// (mptcp_bpf_rr.c). Sent moves it on.
func afterLast(s *program, v *View) Set {
	for i := range v.paths() {
		if v.Paths[i].ID == s.last && i+1 < len(v.paths()) {
			return Of(i + 1)
		}
	}
	return Of(0)
}

// everyPath takes all paths: each carries every byte (mptcp_bpf_red.c). The narrowest
// sets the pace, so a path that went stale is left out.
func everyPath(_ *program, v *View) Set {
	var s Set
	for i := range v.paths() {
		if !v.Paths[i].Stale {
			s |= Of(i)
		}
	}
	return s
}

// notStale marks the second path stale when it sees it first and takes the first
// path without the mark (mptcp_bpf_stale.c).
func notStale(s *program, v *View) Set {
	if s.marked < 0 && len(v.Paths) > 1 {
		s.marked = v.Paths[1].ID
	}
	for i := range v.paths() {
		if v.Paths[i].ID != s.marked {
			return Of(i)
		}
	}
	return Of(0)
}

// Sent remembers the path that sent last.
func (s *program) Sent(path, n int) {
	if n > 0 {
		s.last = path
	}
}
