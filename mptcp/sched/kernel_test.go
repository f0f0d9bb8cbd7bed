package sched

import (
	"testing"
	"time"
)

// kernelPath is a path with n bytes held by its socket and a pacing rate.
func kernelPath(id, held int, rate uint64, edit ...func(*Path)) Path {
	p := Path{ID: 10 * id, SRTT: 20 * ms, Cwnd: 14480, MSS: 1448, Unacked: held, Pacing: rate}
	for _, e := range edit {
		e(&p)
	}
	return p
}

func queued(n int) func(*Path)     { return func(p *Path) { p.Queued = n } }
func staleCount(n int) func(*Path) { return func(p *Path) { p.StaleCount = n } }
func pathCwnd(n int) func(*Path)   { return func(p *Path) { p.Cwnd = n } }
func srtt(d time.Duration) func(*Path) {
	return func(p *Path) { p.SRTT = d }
}

// pickOf returns the only path of a decision; -1: none.
func pickOf(t *testing.T, s Scheduler, v *View) (Decision, int) {
	t.Helper()
	d, ok := s.Next(v)
	if !ok {
		return d, -1
	}
	for i := range v.Paths {
		if d.Paths == Of(i) {
			return d, i
		}
	}
	t.Fatalf("decision for paths %b", d.Paths)
	return d, 0
}

// TestLinger: the path that has flushed what it holds first.
func TestLinger(t *testing.T) {
	for _, c := range []struct {
		name string
		v    *View
		want int
	}{
		{"less held", view(kernelPath(1, 30_000, 1e6), kernelPath(2, 20_000, 1e6)), 1},
		{"faster", view(kernelPath(1, 30_000, 2e6), kernelPath(2, 20_000, 1e6)), 0},
		{"what is bound counts", view(kernelPath(1, 20_000, 1e6, queued(15_000)), kernelPath(2, 30_000, 1e6)), 1},
		{"both are empty: the first", view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 9e6)), 0},
		{"RTT does not matter", view(kernelPath(1, 10, 1e6, srtt(time.Second)), kernelPath(2, 20, 1e6)), 0},
		{"a backup not while there is another", view(kernelPath(1, 60_000, 1e6), kernelPath(2, 0, 1e6, backup)), 0},
		{"nor if that one is full", view(kernelPath(1, 1e6, 1e6), kernelPath(2, 0, 1e6, backup)), -1},
		{"only backups", view(kernelPath(1, 60_000, 1e6, backup), kernelPath(2, 0, 1e6, backup)), 1},
		{"a stale one does not count", view(kernelPath(1, 0, 1e6, stale), kernelPath(2, 50_000, 1e6, backup)), 1},
		{"all are stale", view(kernelPath(1, 0, 1e6, stale), kernelPath(2, 0, 1e6, stale)), -1},
		{"no pacing rate yet", view(kernelPath(1, 0, 0), kernelPath(2, 50_000, 1e6)), 1},
		{"no room beside the best: it waits", view(kernelPath(1, 90_000, 9e8), kernelPath(2, 10_000, 1)), -1},
		{"in recovery", view(kernelPath(1, 10, 1e6, inRecovery), kernelPath(2, 20, 1e6)), 0},
	} {
		for _, name := range []string{"default", "burst"} {
			s, _ := Lookup(name)
			d, i := pickOf(t, s, c.v)
			if i != c.want || i >= 0 && (d.From != New || d.Burst != burstSize) {
				t.Errorf("%s: %s: path %d, %+v, want %d", name, c.name, i, d, c.want)
			}
		}
	}
	s, _ := Lookup("default")
	v := view(kernelPath(1, 0, 1e6))
	v.Window = 1000
	if d, _ := s.Next(v); d.Burst != 1000 {
		t.Errorf("a burst of %d into a window of 1000", d.Burst)
	}
	v.Window = 0
	if _, ok := s.Next(v); ok {
		t.Error("sends without a window")
	}
}

// TestLingerBuffer: twice cwnd in segments of 4,352 bytes, as tcp_sndbuf_expand:
// 87,040 for the initial ten.
func TestLingerBuffer(t *testing.T) {
	for _, c := range []struct{ cwnd, want int }{{14480, 87040}, {1448, 87040}, {144800, 870400}} {
		p := kernelPath(1, 0, 1e6, pathCwnd(c.cwnd))
		if got := p.Bindable((binding{}).Depth(&p)); got != c.want {
			t.Errorf("cwnd %d: buffer %d, want %d", c.cwnd, got, c.want)
		}
	}
}

// TestLingerAverage: avg := (avg * wmem + pacing * burst) / (burst + wmem).
func TestLingerAverage(t *testing.T) {
	s := new(linger)
	v := view(kernelPath(1, 65428, 1000))
	s.Next(v)
	v.Paths[0].Pacing = 3000
	s.Next(v)
	if got := s.paces[0].rate; got != 2000 {
		t.Errorf("average %d, want 2000", got)
	}
	v.Paths[0].Unacked = 0
	s.Next(v)
	if got := s.paces[0].rate; got != 3000 {
		t.Errorf("average %d with an empty socket, want 3000", got)
	}
	if got := weightedMean(1<<63, 1<<20, 1<<63, 1<<20); got != 1<<63 {
		t.Errorf("overflow: %d", got)
	}
	for i := range 10 * MaxPaths { // subflows that come and go
		s.Next(view(kernelPath(i, 0, 1000)))
	}
	if len(s.paces) > 2*MaxPaths {
		t.Errorf("remembers %d paths", len(s.paces))
	}
}

// TestKernelRetransmission: the first path with empty queues; a backup only if
// nothing moves anywhere; the data of stale paths as if it were new.
func TestKernelRetransmission(t *testing.T) {
	idle := func(id int, edit ...func(*Path)) Path { return kernelPath(id, 0, 1e6, edit...) }
	busy := func(id int, edit ...func(*Path)) Path { return kernelPath(id, 5000, 1e6, edit...) }
	for _, c := range []struct {
		name string
		v    *View
		sent Set
		want int
	}{
		{"an idle one", view(busy(1), idle(2), idle(3)), Of(0), 1},
		{"none is idle: it waits", view(busy(1), busy(2)), Of(0), -1},
		{"bytes bound count", view(busy(1), idle(2, queued(1))), Of(0), -1},
		{"the one that carried it, idle", view(idle(1), busy(2)), Of(0), 0},
		{"a backup not yet", view(busy(1, staleCount(1)), idle(2, backup)), Of(0), -1},
		{"a backup when nothing moves", view(busy(1, staleCount(2)), idle(2, backup)), Of(0), 1},
		{"but something moves", view(busy(1, staleCount(5)), busy(2, staleCount(0)), idle(3, backup)), Of(0), -1},
		{"a regular one before a backup", view(idle(1, backup), idle(2), busy(3, staleCount(5))), Of(2), 1},
		{"all are idle: a backup", view(idle(1, backup)), Of(0), 0},
		{"carried by a stale path alone: as if new", view(busy(1, stale), busy(2)), Of(0), 1},
		{"carried by a stale path and another", view(busy(1, stale), busy(2), busy(3)), Of(0) | Of(1), -1},
		{"carried by nobody any more", view(busy(1)), 0, 0},
	} {
		for _, name := range []string{"default", "burst", "first", "bkup", "rr", "red", "stale"} {
			s, _ := Lookup(name)
			c.v.Queued, c.v.ReinjectLen, c.v.ReinjectSent = 0, 1000, c.sent
			d, i := pickOf(t, s, c.v)
			if i != c.want || i >= 0 && d.From != Reinject {
				t.Errorf("%s: %s: path %d, want %d", name, c.name, i, c.want)
			}
		}
	}
}

// TestPrograms: what the kernel's test schedulers choose, in turn.
func TestPrograms(t *testing.T) {
	full := func(p *Path) { p.Unacked = 1e6 }
	two := func() *View { return view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 1e6)) }
	for _, c := range []struct {
		name string
		v    *View
		want []Set // of turn after turn; 0: nothing
	}{
		{"first", two(), []Set{1, 1, 1}},
		{"first", view(kernelPath(1, 0, 1e6, backup), kernelPath(2, 0, 1e6)), []Set{1}},
		{"first", view(kernelPath(1, 0, 1e6, full), kernelPath(2, 0, 1e6)), []Set{0}},
		{"bkup", two(), []Set{1, 1}},
		{"bkup", view(kernelPath(1, 0, 1e6, backup), kernelPath(2, 0, 1e6)), []Set{2, 2}},
		{"bkup", view(kernelPath(1, 0, 1e6, backup), kernelPath(2, 0, 1e6, backup)), []Set{1}},
		{"rr", two(), []Set{1, 2, 1, 2}},
		{"rr", view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 1e6, backup), kernelPath(3, 0, 1e6)), []Set{1, 2, 4, 1}},
		{"rr", view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 1e6, full)), []Set{1, 0, 0}},
		{"red", two(), []Set{3, 3}},
		{"red", view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 1e6, full)), []Set{0}},
		{"red", view(kernelPath(1, 0, 1e6, stale), kernelPath(2, 0, 1e6)), []Set{2}},
		{"red", view(kernelPath(1, 0, 1e6, stale)), []Set{0}},
		{"stale", two(), []Set{1, 1}},
		{"stale", view(kernelPath(1, 0, 1e6)), []Set{1}},
	} {
		s, _ := Lookup(c.name)
		for turn, want := range c.want {
			d, ok := s.Next(c.v)
			if !ok {
				d.Paths = 0
			}
			if d.Paths != want || ok && d.From != New {
				t.Errorf("%s, turn %d: paths %b, want %b", c.name, turn, d.Paths, want)
			}
			for i := range c.v.Paths {
				if d.Paths.Has(i) {
					s.Sent(c.v.Paths[i].ID, d.Burst)
				}
			}
		}
	}
}

// TestStaleMark: the second path keeps the mark when the first is gone, and is used
// if there is no other.
func TestStaleMark(t *testing.T) {
	s, _ := Lookup("stale")
	v := view(kernelPath(1, 0, 1e6), kernelPath(2, 0, 1e6), kernelPath(3, 0, 1e6))
	for _, want := range []int{0, 1, 0} { // indexes, as paths go
		if _, i := pickOf(t, s, v); i != want {
			t.Errorf("of %d paths: %d, want %d", len(v.Paths), i, want)
		}
		if len(v.Paths) == 3 {
			v.Paths = v.Paths[1:] // 2 has the mark, 3 has not
		} else {
			v.Paths = v.Paths[:1]
		}
	}
}

// TestPrograms with a narrow path: all get what the narrowest takes.
func TestRedNarrow(t *testing.T) {
	s, _ := Lookup("red")
	v := view(kernelPath(1, 0, 1e6), kernelPath(2, 85_000, 1e6))
	if d, ok := s.Next(v); !ok || d.Burst != 2040 {
		t.Errorf("burst %d, want 2040", d.Burst)
	}
}
