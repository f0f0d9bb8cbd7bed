package sched

import (
	"testing"

	"mptcplab/mptcp/clock"
)

func waiting(n int) func(*View) { return func(v *View) { v.Queued = n } }

// TestBLEST by hand: MSS 1000, fast 10 ms and slow 40 ms, so 4 round trips; with a
// window of 10 segments the fast path sends (10 + 1.5) * 4 = 46 segments meanwhile,
// 55.2 with lambda 1.2.
func TestBLEST(t *testing.T) {
	for _, c := range []struct {
		name             string
		window, una, nxt int // of the connection
		fastRoom         int
		slowInFlight     int
		want             int
	}{
		{"the fast path has room", 10_000, 0, 0, 1000, 0, 0},
		{"the window is wide", 57_000, 0, 0, 0, 0, 1},
		{"the window would be shut", 56_000, 0, 0, 0, 0, -1},
		{"what is under way belongs to the window", 27_000, 0, 30_000, 0, 0, 1},
		{"the slow path holds a part of it", 60_000, 0, 0, 0, 5000, -1},
	} {
		s := newBLEST()
		s.adaptedAt = 1 // not due
		v := view(path(1, 10*ms), path(2, 40*ms))
		for i := range v.Paths {
			v.Paths[i].MSS, v.Paths[i].Cwnd = 1000, 10_000
		}
		v.Paths[0].Room, v.Paths[1].InFlight = c.fastRoom, c.slowInFlight
		v.Now, v.Window, v.SndUna, v.SndNxt = 2, c.window, uint64(c.una), uint64(c.nxt)
		if _, i := ask(t, s, v); i != c.want {
			t.Errorf("%s: path %d, want %d", c.name, i, c.want)
		}
	}
}

// TestBLESTLambda: 4 % more after a reinjection, else 1 % less, once a round trip
// of the fast path, from 1.0 to 1.3.
func TestBLESTLambda(t *testing.T) {
	s := newBLEST()
	v := view(path(1, 10*ms, noRoom), path(2, 40*ms))
	step := func(at int, reinjected uint64, want int) {
		t.Helper()
		v.Now, v.Reinjected = clock.Instant(at)*clock.Instant(ms), reinjected
		s.Next(v)
		if s.lambda != want {
			t.Errorf("lambda %d at %d ms, want %d", s.lambda, at, want)
		}
	}
	step(20, 0, 1190)
	step(25, 5, 1190) // too early
	step(30, 5, 1230)
	step(40, 5, 1220)
	for i := range 10 {
		step(50+10*i, uint64(6+i), min(1220+40*(i+1), 1300))
	}
	for i := range 40 {
		step(200+10*i, 15, max(1300-10*(i+1), 1000))
	}
}

// TestECF by hand: fast 10 ms, slow 100 ms, windows of 10,000 bytes, deviations 0.
// Waiting takes (1 + k/10000) 10 ms, the slow path 100 ms: with 80,000 queued 90 ms,
// so it waits, unless the slow path is done in 20 ms anyhow.
func TestECF(t *testing.T) {
	for _, c := range []struct {
		name    string
		queued  int
		waiting bool
		fast    int // room
		edit    func(*View)
		want    int
		after   bool
	}{
		{"the fast path has room", 80_000, false, 1000, nil, 0, false},
		{"sooner by waiting", 80_000, false, 0, nil, -1, true},
		{"sooner with help", 90_000, false, 0, nil, 1, false},
		{"it goes on waiting", 110_000, true, 0, nil, -1, true}, // 120 < 125
		{"until it is too much", 115_000, true, 0, nil, 1, false},
		{"the deviation of the slow path", 100_000, false, 0, func(v *View) { v.Paths[1].RTTVar = 20 * ms }, -1, true}, // 110 < 120
		{"little is queued: the slow path is done at once", 1900, false, 0, nil, 1, false},                             // 19 ms < 20 ms
		{"a little more", 2000, false, 0, nil, -1, true},
		{"that does not end the waiting", 1900, true, 0, nil, 1, true},
	} {
		s := &ecf{waiting: c.waiting}
		v := view(path(1, 10*ms), path(2, 100*ms))
		waiting(c.queued)(v)
		for i := range v.Paths {
			v.Paths[i].Cwnd = 10_000
		}
		v.Paths[0].Room = c.fast
		if c.edit != nil {
			c.edit(v)
		}
		if _, i := ask(t, s, v); i != c.want || s.waiting != c.after {
			t.Errorf("%s: path %d, waiting %v, want %d, %v", c.name, i, s.waiting, c.want, c.after)
		}
	}
}

// TestWeighted: three parts on the first path, one on the second; a path without
// room is waited for; a newcomer does not make up for the past.
func TestWeighted(t *testing.T) {
	s, ok := Lookup("weighted:3:1")
	if !ok {
		t.Fatal("not found")
	}
	v := view(path(0, 10*ms), path(1, 20*ms))
	v.Paths[1].ID = 1
	count := [3]int{}
	turn := func() int {
		_, i := ask(t, s, v)
		if i >= 0 {
			count[i]++
			s.Sent(v.Paths[i].ID, 1000)
		}
		return i
	}
	for range 400 {
		turn()
	}
	if count[0] != 300 || count[1] != 100 {
		t.Errorf("%d and %d of 400", count[0], count[1])
	}
	v.Paths[1].Room = 0
	for i := 0; turn() >= 0; i++ {
		if i > 3 {
			t.Fatal("goes on without the path that is due")
		}
	}
	v.Paths[1].Room = 1000
	v.Paths = append(v.Paths, path(2, 30*ms))
	count = [3]int{}
	for range 50 {
		turn()
	}
	if count[2] < 9 || count[2] > 11 || count[0] < 28 {
		t.Errorf("with a newcomer %v, want 30, 10, 10", count)
	}
}

func TestWeightedNames(t *testing.T) {
	for name, want := range map[string]bool{
		"weighted": true, "weighted:1": true, "weighted:3:1:1000": true, "weighted:": false, "weighted:0": false,
		"weighted:1:": false, "weighted:-1": false, "weighted3": false, "weighted:1001": false, "weighted:x": false,
	} {
		if _, ok := Lookup(name); ok != want {
			t.Errorf("%q: found %v", name, ok)
		}
	}
}
