package mptcp

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/window"
	"mptcplab/mptcp/wire"
)

// schedulers are those that TestManySeeds does not have.
var schedulers = []string{"default", "blest", "ecf", "weighted:2:1", "last-received-any", "first", "bkup", "rr", "red", "stale"}

// rangesOf returns the ranges that each path of a connection carried, and fails if a
// byte was mapped as new twice or not in the order of the stream on one path.
func rangesOf(t *testing.T, rec *recorder) map[int32]*window.Ranges {
	t.Helper()
	paths := map[int32]*window.Ranges{}
	var fresh window.Ranges
	for _, e := range rec.events {
		if e.Kind != trace.Mapped {
			continue
		}
		lo, hi := e.A, e.A+uint64(e.N)
		if !e.Flag {
			had := fresh.Count()
			fresh.Add(lo, hi)
			if fresh.Count() != had+uint64(e.N) {
				t.Fatalf("path %d: of %d bytes at %d some were new before", e.Path, e.N, lo)
			}
		}
		if paths[e.Path] == nil {
			paths[e.Path] = &window.Ranges{}
		}
		paths[e.Path].Add(lo, hi)
	}
	return paths
}

// TestSchedulers transfers both ways over two lossy paths with each scheduler.
func TestSchedulers(t *testing.T) {
	for _, name := range schedulers {
		for seed := range byte(4) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				cfg := Config{Scheduler: name}
				if seed == 3 {
					cfg.SendBuffer, cfg.RecvBuffer = 60_000, 40_000
				}
				w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), seed)
				rec := &recorder{}
				w.hosts[1].env.Trace = rec
				loss := uint32(seed) * (1 << 32 / 160)
				w.link(0, func(p *pipe) { p.rate, p.queue, p.loss = 2_500_000, 100_000, loss })
				w.link(1, func(p *pipe) { p.rate, p.queue, p.loss, p.delay = 1_250_000, 100_000, loss, 25*time.Millisecond })
				p := w.connect(150_000, 300_000, "10.0.1.1:0", "10.0.1.2:80")
				p.finish(5 * time.Minute)
				w.forgets()
				rangesOf(t, rec)
			})
		}
	}
}

// TestSchedulerSurvivesPath: a path that goes silent, with bytes bound to it, takes
// nothing with it.
func TestSchedulerSurvivesPath(t *testing.T) {
	for _, name := range append([]string{"minrtt", "roundrobin", "redundant"}, schedulers...) {
		for dead := range 2 {
			t.Run(fmt.Sprintf("%s/path%d", name, dead), func(t *testing.T) {
				cfg := Config{Scheduler: name}
				w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 1)
				w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 60_000 })
				w.link(1, func(p *pipe) { p.rate, p.queue = 1_250_000, 60_000 })
				p := w.connect(0, 3_000_000, "10.0.1.1:0", "10.0.1.2:80")
				w.run(600*time.Millisecond, func() bool { return false })
				w.link(dead, func(p *pipe) { p.dead = true; p.flying = nil })
				if (name == "first" || name == "bkup" || name == "stale") && dead == 0 {
					// They know one path alone. The kernel's rule gives up on it after
					// stale_loss_cnt timeouts; what is queued then goes to the other.
					w.run(20*time.Second, func() bool { return false })
					if p.client.got < 400_000 {
						t.Errorf("%d bytes arrived", p.client.got)
					}
					w.link(dead, func(p *pipe) { p.dead = false })
				}
				p.finish(2 * time.Minute)
			})
		}
	}
}

// TestKernelTable is the kernel's own test of its schedulers (prog_tests/mptcp.c):
// with a second address, do bytes leave from the first and from the second?
func TestKernelTable(t *testing.T) {
	for _, c := range []struct {
		scheduler     string
		backup        bool // the second endpoint's flag in that test
		first, second bool
	}{
		{"default", false, true, true},
		{"first", false, true, false},
		{"bkup", true, true, false},
		{"rr", false, true, true},
		{"red", false, true, true},
		{"burst", false, true, true},
		{"stale", false, true, false},
	} {
		flags := pm.Subflow
		if c.backup {
			flags |= pm.Backup
		}
		client := acceptor(Config{Scheduler: c.scheduler})
		client.Endpoints = []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: flags}}
		w := newWorld(t, 2, client, acceptor(Config{}), 1)
		rec := &recorder{}
		w.hosts[0].env.Trace = rec
		for i := range 2 {
			w.link(i, func(p *pipe) { p.rate, p.queue, p.delay = 12_500_000, 250_000, 5*time.Millisecond })
		}
		p := w.connect(10_000_000, 0, "10.0.1.1:0", "10.0.1.2:80")
		p.finish(time.Minute)
		in := p.client.c.Info(w.now)
		if len(in.Subflows) != 2 {
			t.Fatalf("%s: %d subflows", c.scheduler, len(in.Subflows))
		}
		a, b := in.Subflows[0].TCP.BytesSent, in.Subflows[1].TCP.BytesSent
		t.Logf("%-8s %9d bytes on the first, %9d on the second, %.3f s", c.scheduler, a, b, w.now.Seconds())
		if (a > 0) != c.first || (b > 0) != c.second {
			t.Errorf("%s: %d and %d bytes, want some: %v, %v", c.scheduler, a, b, c.first, c.second)
		}
		if c.scheduler != "red" {
			continue
		}
		// Each path carried every byte that it could: all from when the second was there.
		paths := rangesOf(t, rec)
		both := paths[1]
		r, _ := both.Next(0)
		if both.Len() != 1 || paths[0].Len() != 1 {
			t.Errorf("red: %d and %d pieces", paths[0].Len(), both.Len())
		}
		first, _ := paths[0].Next(0)
		if r.Hi != first.Hi || r.Hi-r.Lo < 9_800_000 {
			t.Errorf("red: the second path carried %d to %d, the first %d to %d", r.Lo, r.Hi, first.Lo, first.Hi)
		}
	}
}

// TestRedundantTail: what is under way is copied although nothing new is there.
func TestRedundantTail(t *testing.T) {
	cfg := Config{Scheduler: "redundant"}
	w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 1)
	if _, err := w.hosts[1].Listen(nil, addrPort("10.0.1.2:80")); err != nil {
		t.Fatal(err)
	}
	c, err := w.hosts[0].Dial(w.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	stay := func() { w.run(time.Second, func() bool { return false }) }
	stay()
	if _, err := c.Write(make([]byte, 10), false); err != nil {
		t.Fatal(err)
	}
	stay() // the second path joins
	before := c.Info(w.now)
	if _, err := c.Write(make([]byte, 3000), false); err != nil {
		t.Fatal(err)
	}
	w.mutated()
	after := c.Info(w.now)
	for i := range 2 {
		if n := after.Subflows[i].TCP.BytesSent - before.Subflows[i].TCP.BytesSent; n != 3000 {
			t.Errorf("path %d carries %d bytes, want 3000", i, n)
		}
	}
}

// TestSetScheduler changes the scheduler of a connection in mid-transfer.
func TestSetScheduler(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{Scheduler: "default"}), 1)
	for i := range 2 {
		w.link(i, func(p *pipe) { p.rate, p.queue = 1_250_000, 60_000 })
	}
	p := w.connect(0, 16_000_000, "10.0.1.1:0", "10.0.1.2:80")
	sent := func() (a, b uint64) {
		in := p.server.c.Info(w.now)
		return in.Subflows[0].TCP.BytesSent, in.Subflows[1].TCP.BytesSent
	}
	stay := func(d time.Duration) { w.run(d, func() bool { return false }) }
	stay(time.Second)
	c := p.server.c
	if c.Scheduler() != "default" {
		t.Errorf("scheduler %q", c.Scheduler())
	}
	if err := c.SetScheduler("oracle"); !errors.Is(err, ErrUnknownName) || c.Scheduler() != "default" {
		t.Errorf("error %v, scheduler %q", err, c.Scheduler())
	}
	for _, step := range []struct {
		name string
		a, b bool // who carries in the second that begins a second later
	}{
		{"first", true, false}, {"rr", true, true}, {"minrtt", true, true}, {"stale", true, false}, {"redundant", true, true},
	} {
		if err := c.SetScheduler(step.name); err != nil {
			t.Fatal(err)
		}
		stay(500 * time.Millisecond) // what is bound leaves
		a0, b0 := sent()
		stay(500 * time.Millisecond)
		a1, b1 := sent()
		if (a1 > a0+100_000) != step.a || (b1 > b0+100_000) != step.b || (b1 != b0) != step.b {
			t.Errorf("%s: %d and %d bytes in half a second", step.name, a1-a0, b1-b0)
		}
	}
	p.finish(time.Minute)
}

// TestFallbackReturnsBound: a peer that drops MPTCP while bytes are bound to the
// only subflow gets all of them as a stream.
func TestFallbackReturnsBound(t *testing.T) {
	cfg := Config{Scheduler: "default", ChecksumEnabled: true}
	w := newWorld(t, 1, HostConfig{Default: cfg}, HostConfig{Default: cfg}, 1)
	w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 200_000 })
	n := 0
	w.pipes[1].filter = func(s *wire.Segment) bool {
		if len(s.Payload) > 0 {
			if n++; n == 40 {
				s.Payload = append([]byte(nil), s.Payload...)
				s.Payload[100] ^= 1 // the TCP checksum is made anew
			}
		}
		return true
	}
	p := w.connect(0, 1_000_000, "10.0.1.1:0", "10.0.1.2:80")
	p.finish(time.Minute)
	if !p.server.c.Info(w.now).Fallback {
		t.Error("no fallback")
	}
}
