package sched

import (
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
)

const ms = time.Millisecond

// lateBinding are the schedulers that bind bytes to a path when it sends them.
var lateBinding = []string{"minrtt", "roundrobin", "redundant", "last-received", "last-received-any", "blest", "ecf", "weighted"}

// path returns a regular path with room; its ID is 10 times what the tests call
// it, so that indexes and IDs are not mixed up.
func path(id int, rtt time.Duration, edit ...func(*Path)) Path {
	p := Path{ID: 10 * id, SRTT: rtt, Cwnd: 14480, Room: 1448, MSS: 1448}
	for _, e := range edit {
		e(&p)
	}
	return p
}

func noRoom(p *Path)       { p.Room = 0 }
func backup(p *Path)       { p.Backup = true }
func stale(p *Path)        { p.Stale = true }
func inLoss(p *Path)       { p.CAState = cc.Loss }
func failed(p *Path)       { p.CAState, p.RTOs = cc.Loss, 1 }
func inFlight(p *Path)     { p.InFlight = 1448 }
func inRecovery(p *Path)   { p.CAState = cc.Recovery }
func at(t int) func(*Path) { return func(p *Path) { p.LastData = clock.Instant(t) } }
func copied(n uint64) func(*Path) {
	return func(p *Path) { p.CopyNext = n }
}

// view returns a connection with new bytes to send.
func view(paths ...Path) *View {
	return &View{Paths: paths, Queued: 1 << 20, Window: 1 << 20}
}

// ask returns the source and the only path of a decision, or -1.
func ask(t *testing.T, s Scheduler, v *View) (Source, int) {
	t.Helper()
	d, ok := s.Next(v)
	if !ok {
		return New, -1
	}
	for i := range v.Paths {
		if d.Paths == Of(i) {
			if v.Paths[i].Room <= 0 {
				t.Errorf("path %d has no room", i)
			}
			return d.From, i
		}
	}
	t.Fatalf("decision for paths %b", d.Paths)
	return 0, 0
}

func TestLookup(t *testing.T) {
	for _, name := range lateBinding {
		s, ok := Lookup(name)
		if !ok {
			t.Fatalf("no scheduler %q", name)
		}
		if s.Depth(&Path{Cwnd: 1 << 20}) != 0 {
			t.Errorf("%s binds early", name)
		}
		if _, ok := s.Next(&View{Queued: 1, Window: 1, ReinjectLen: 1}); ok {
			t.Errorf("%s decides without a path", name)
		}
	}
	if _, ok := Lookup("oracle"); ok {
		t.Error("found what does not exist")
	}
}

// TestNew: on which path new bytes go.
func TestNew(t *testing.T) {
	for _, c := range []struct {
		name  string
		sched string
		v     *View
		want  int
	}{
		{"lowest RTT", "minrtt", view(path(1, 40*ms), path(2, 20*ms), path(3, 30*ms)), 1},
		{"lowest RTT with room", "minrtt", view(path(1, 40*ms), path(2, 20*ms, noRoom), path(3, 30*ms)), 2},
		{"first of equals", "minrtt", view(path(1, 20*ms), path(2, 20*ms)), 0},
		{"no room at all", "minrtt", view(path(1, 40*ms, noRoom), path(2, 20*ms, noRoom)), -1},
		{"backup is faster", "minrtt", view(path(1, 40*ms), path(2, 20*ms, backup)), 0},
		{"a regular path without room exists", "minrtt", view(path(1, 40*ms, noRoom), path(2, 20*ms, backup)), -1},
		{"only backups", "minrtt", view(path(1, 40*ms, backup), path(2, 20*ms, backup)), 1},
		{"regular is stale", "minrtt", view(path(1, 10*ms, stale), path(2, 20*ms, backup)), 1},
		{"stale is faster", "minrtt", view(path(1, 10*ms, stale), path(2, 20*ms)), 1},
		{"all are stale", "minrtt", view(path(1, 10*ms, stale), path(2, 20*ms, stale, backup)), 0},
		{"a path repairs after a timeout", "minrtt", view(path(1, 10*ms, inLoss), path(2, 20*ms)), 1},
		{"wait for the healthy one", "minrtt", view(path(1, 10*ms, inLoss), path(2, 20*ms, noRoom)), -1},
		{"the only one repairs", "minrtt", view(path(1, 10*ms, inLoss), path(2, 20*ms, backup)), 0},
		{"the only one had a timeout", "minrtt", view(path(1, 10*ms, failed), path(2, 20*ms, backup)), 1},
		{"all had a timeout", "minrtt", view(path(1, 30*ms, failed), path(2, 20*ms, failed, backup), path(3, 10*ms, stale)), 1},
		{"a timeout is worse than a repair", "minrtt", view(path(1, 10*ms, failed), path(2, 20*ms, inLoss)), 1},

		{"most recent", "last-received", view(path(1, 10*ms, at(5)), path(2, 20*ms, at(9)), path(3, 5*ms, at(7))), 1},
		{"most recent with room", "last-received", view(path(1, 10*ms, at(5)), path(2, 20*ms, at(9), noRoom), path(3, 50*ms, at(7))), 2},
		{"tie", "last-received", view(path(1, 30*ms, at(5)), path(2, 20*ms, at(5)), path(3, 50*ms, at(5))), 1},
		{"backup is more recent", "last-received-any", view(path(1, 30*ms, at(5)), path(2, 20*ms, backup, at(9))), 1},
		{"a failed path is more recent", "last-received-any", view(path(1, 30*ms, at(9), failed), path(2, 20*ms, backup, at(5))), 1},
		{"only backups", "last-received", view(path(1, 30*ms, backup, at(5)), path(2, 20*ms, backup, at(9))), 1},
		{"backup is more recent", "last-received", view(path(1, 30*ms, at(5)), path(2, 20*ms, backup, at(9))), 0},

		{"first", "roundrobin", view(path(1, 30*ms), path(2, 20*ms)), 0},
		{"first with room", "roundrobin", view(path(1, 30*ms, noRoom), path(2, 20*ms)), 1},
		{"no backup", "roundrobin", view(path(1, 30*ms, backup), path(2, 20*ms)), 1},

		{"lowest RTT", "redundant", view(path(1, 30*ms), path(2, 20*ms)), 1},
		{"no backup", "redundant", view(path(1, 30*ms), path(2, 20*ms, backup)), 0},
		{"a regular path without room exists", "redundant", view(path(1, 30*ms, noRoom), path(2, 20*ms, backup)), -1},
		{"only backups", "redundant", view(path(1, 30*ms, backup), path(2, 20*ms, stale)), 0},
	} {
		s, _ := Lookup(c.sched)
		if from, i := ask(t, s, c.v); i != c.want || from != New {
			t.Errorf("%s: %s: path %d, want %d", c.sched, c.name, i, c.want)
		}
		c.v.Window = 0
		if _, i := ask(t, s, c.v); i != -1 {
			t.Errorf("%s: %s: new bytes into a closed window", c.sched, c.name)
		}
		c.v.Window, c.v.Queued = 1, 0
		if _, i := ask(t, s, c.v); i != -1 {
			t.Errorf("%s: %s: sends what is not there", c.sched, c.name)
		}
	}
}

// TestReinject: reinjections come first, and need no window. The path that
// carried the bytes is 0 unless another set is given.
func TestReinject(t *testing.T) {
	for _, c := range []struct {
		name string
		v    *View
		sent Set
		want int
	}{
		{"to the other path", view(path(1, 10*ms), path(2, 20*ms)), Of(0), 1},
		{"lowest RTT of the others", view(path(1, 10*ms), path(2, 30*ms), path(3, 20*ms)), Of(0), 2},
		{"wait for the other path", view(path(1, 10*ms), path(2, 20*ms, noRoom)), Of(0), -1},
		{"not sent by any that lives", view(path(1, 10*ms), path(2, 20*ms)), 0, 0},
		{"healthy before repairing", view(path(1, 10*ms), path(2, 20*ms, inLoss), path(3, 30*ms)), Of(0), 2},
		{"no backup while the regular path works", view(path(1, 10*ms, inFlight), path(2, 20*ms, backup)), Of(0), -1},
		{"no backup while the regular path repairs", view(path(1, 10*ms, inLoss), path(2, 20*ms, backup)), Of(0), -1},
		{"backup after a timeout", view(path(1, 10*ms, failed), path(2, 20*ms, backup)), Of(0), 1},
		{"wait for the backup", view(path(1, 10*ms, failed), path(2, 20*ms, backup, noRoom)), Of(0), -1},
		{"backup when the regular path is stale", view(path(1, 10*ms, stale), path(2, 20*ms, backup)), Of(0), 1},
		{"backup before a failed path", view(path(1, 10*ms, failed), path(2, 15*ms, failed), path(3, 20*ms, backup)), Of(0), 2},
		{"a failed path before none", view(path(1, 10*ms, failed), path(2, 15*ms, failed)), Of(0), 1},
		{"a stale path before none", view(path(1, 10*ms, failed), path(2, 15*ms, stale)), Of(0), 1},
		{"no failed path while one that works repeats", view(path(1, 10*ms, inFlight), path(2, 15*ms, failed)), Of(0), -1},
		{"the only path repeats by itself", view(path(1, 10*ms, inFlight)), Of(0), -1},
		{"the only path repairs", view(path(1, 10*ms, inRecovery)), Of(0), -1},
		{"the only path had a timeout", view(path(1, 10*ms, failed)), Of(0), -1},
		{"the only path is idle", view(path(1, 10*ms)), Of(0), 0},
		{"all are idle", view(path(1, 30*ms), path(2, 20*ms)), Of(0) | Of(1), 1},
		{"idle and a backup", view(path(1, 30*ms), path(2, 20*ms, backup)), Of(0), 0},
	} {
		for _, name := range lateBinding {
			want := c.want
			if other, ok := reinjectOther[name+": "+c.name]; ok {
				want = other
			}
			s, _ := Lookup(name)
			c.v.Queued, c.v.Window = 0, 0
			c.v.ReinjectLen, c.v.ReinjectSent = 1000, c.sent
			from, i := ask(t, s, c.v)
			if i != want || i >= 0 && from != Reinject {
				t.Errorf("%s: %s: path %d, want %d", name, c.name, i, want)
			}
			if i < 0 {
				continue
			}
			c.v.Queued, c.v.Window = 1000, 1000
			if from, j := ask(t, s, c.v); from != Reinject || j != i {
				t.Errorf("%s: %s: new bytes before a reinjection", name, c.name)
			}
		}
	}
}

// reinjectOther is where a scheduler's own order decides otherwise in TestReinject.
var reinjectOther = map[string]int{
	"roundrobin: lowest RTT of the others":                        1,
	"roundrobin: all are idle":                                    0,
	"weighted: lowest RTT of the others":                          1,
	"weighted: all are idle":                                      0,
	"last-received-any: no backup while the regular path works":   1,
	"last-received-any: no backup while the regular path repairs": 1,
	"last-received-any: idle and a backup":                        1,
}

// TestWaitingReinjectionBlocksNothing: new bytes flow while it waits.
func TestWaitingReinjectionBlocksNothing(t *testing.T) {
	for _, name := range lateBinding {
		s, _ := Lookup(name)
		v := view(path(1, 10*ms), path(2, 20*ms, noRoom))
		v.ReinjectLen, v.ReinjectSent = 1000, Of(0)
		if from, i := ask(t, s, v); from != New || i != 0 {
			t.Errorf("%s: source %d on path %d", name, from, i)
		}
	}
}

func TestRoundRobin(t *testing.T) {
	s, _ := Lookup("roundrobin")
	v := view(path(1, 30*ms), path(2, 20*ms), path(3, 10*ms))
	turn := func() int {
		t.Helper()
		_, i := ask(t, s, v)
		if i >= 0 {
			s.Sent(v.Paths[i].ID, 1448)
		}
		return i
	}
	for n := range 9 {
		if got := turn(); got != n%3 {
			t.Fatalf("turn %d: path %d", n, got)
		}
	}
	if _, i := ask(t, s, v); i != 0 { // nothing was sent: the turn is not over
		t.Errorf("path %d", i)
	}
	s.Sent(v.Paths[0].ID, 0)
	v.Paths[1].Room = 0
	for n, want := range []int{0, 2, 0, 2} {
		if got := turn(); got != want {
			t.Errorf("one without room, turn %d: path %d, want %d", n, got, want)
		}
	}
	v.Paths = v.Paths[:2] // the one that sent last is gone
	v.Paths[1].Room = 1
	for n, want := range []int{0, 1, 0, 1} {
		if got := turn(); got != want {
			t.Errorf("one gone, turn %d: path %d, want %d", n, got, want)
		}
	}
}

func TestRedundant(t *testing.T) {
	for _, c := range []struct {
		name     string
		v        *View
		una, nxt uint64
		from     Source
		want     int
	}{
		{"all at the front", view(path(1, 10*ms, copied(5000)), path(2, 20*ms, copied(5000))), 1000, 5000, New, 0},
		{"the fast one sends new bytes", view(path(1, 10*ms, copied(5000)), path(2, 20*ms, copied(2000))), 1000, 5000, New, 0},
		{"the slow one copies", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms, copied(2000))), 1000, 5000, Copy, 1},
		{"the fast one is behind", view(path(1, 10*ms, copied(2000)), path(2, 20*ms, copied(5000))), 1000, 5000, Copy, 0},
		{"a new path starts at the oldest byte", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms)), 1000, 5000, Copy, 1},
		{"all is acknowledged", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms)), 5000, 5000, New, 1},
		{"a path that repairs copies", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms, inLoss)), 1000, 5000, Copy, 1},
		{"no copy on a failed path", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms, failed)), 1000, 5000, New, -1},
		{"no copy on a backup", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms, backup)), 1000, 5000, New, -1},
		{"no copy on a stale path", view(path(1, 10*ms, copied(5000), noRoom), path(2, 20*ms, stale)), 1000, 5000, New, -1},
	} {
		s, _ := Lookup("redundant")
		c.v.SndUna, c.v.SndNxt = c.una, c.nxt
		if from, i := ask(t, s, c.v); from != c.from || i != c.want {
			t.Errorf("%s: source %d on path %d, want %d on %d", c.name, from, i, c.from, c.want)
		}
		// Copies need neither new bytes nor a window.
		c.v.Queued, c.v.Window = 0, 0
		from, i := ask(t, s, c.v)
		if i >= 0 && from != Copy || c.from == Copy && i != c.want {
			t.Errorf("%s: with a closed window: source %d on path %d", c.name, from, i)
		}
	}
}

// TestManyPaths: what a Set cannot name is left out.
func TestManyPaths(t *testing.T) {
	v := view()
	for i := range MaxPaths + 3 {
		v.Paths = append(v.Paths, path(i, time.Duration(100-i)*ms))
	}
	for _, name := range lateBinding {
		s, _ := Lookup(name)
		if d, ok := s.Next(v); !ok || d.Paths == 0 {
			t.Errorf("%s: no decision", name)
		}
	}
	s, _ := Lookup("minrtt")
	if _, i := ask(t, s, v); i != MaxPaths-1 {
		t.Errorf("path %d", i)
	}
}

func TestNoAllocations(t *testing.T) {
	v := view(path(1, 10*ms), path(2, 20*ms, noRoom), path(3, 20*ms, backup))
	v.ReinjectLen, v.ReinjectSent = 10, Of(0)
	for _, name := range lateBinding {
		s, _ := Lookup(name)
		if n := testing.AllocsPerRun(100, func() { s.Next(v); s.Sent(10, 100) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
