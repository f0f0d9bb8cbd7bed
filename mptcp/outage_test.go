package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
)

// The trace says which timeout expired, also where RTOMax keeps it from doubling.
func TestTraceOfTimeout(t *testing.T) {
	cfg := Config{TCP: tcp.Config{RTOMax: 700 * time.Millisecond}}
	w := newWorld(t, 1, HostConfig{Default: cfg}, HostConfig{Default: cfg}, 1)
	rec := &recorder{}
	w.hosts[0].env.Trace = rec
	p := w.connect(10_000_000, 0, "10.0.1.1:0", "10.0.1.2:80")
	w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
	w.run(time.Second, func() bool { return false })
	w.link(0, func(p *pipe) { p.dead = true })
	w.run(5*time.Second, func() bool { return false })
	var before trace.Event
	n := 0
	for _, e := range rec.events {
		if e.Kind != trace.RTOExpired {
			continue
		}
		if n++; n > 1 {
			if got := e.At.Sub(before.At); got != time.Duration(e.A) {
				t.Errorf("timeout %d: %v expired %v after the one before", n, time.Duration(e.A), got)
			}
			if e.B != uint64(n) {
				t.Errorf("timeout %d has back-off %d", n, e.B)
			}
		}
		before = e
	}
	if n < 5 {
		t.Errorf("%d timeouts", n)
	}
	_ = p
}

// A path that has been silent for long has a long back-off. Who joins then gets
// what is stuck on it at once.
func TestJoinAfterSilence(t *testing.T) {
	w := newWorld(t, 2, acceptor(Config{}), acceptor(Config{}), 1)
	w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 200_000 })
	w.link(1, func(p *pipe) { p.rate, p.queue = 1_250_000, 200_000 })
	p := w.connect(0, 3_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(time.Second, func() bool { return false })
	w.link(0, func(p *pipe) { p.dead = true; p.flying = nil })
	w.run(20*time.Second, func() bool { return false })
	got := p.client.got
	if _, err := w.hosts[0].AddEndpoint(w.now, pm.Endpoint{Addr: addr("10.0.2.1"), Flags: pm.Subflow}); err != nil {
		t.Fatal(err)
	}
	w.mutated()
	since := w.now
	if !w.run(time.Minute, func() bool { return p.client.got > got }) {
		t.Fatal("nothing arrived any more")
	}
	if d := w.now.Sub(since); d > 100*time.Millisecond {
		t.Errorf("the first byte came %v after the join", d)
	}
	p.finish(time.Minute)
}

// The update of a window that was shut gets lost on one path, and the path on
// which the peer said that it is shut dies: the connection probes where it can.
func TestWindowUpdateLost(t *testing.T) {
	server := acceptor(Config{RecvBuffer: 12_000})
	w := newWorld(t, 2, twoPaths(Config{}), server, 1)
	w.link(1, func(p *pipe) { p.delay = 100 * time.Millisecond })
	p := w.connect(30_000, 0, "10.0.1.1:0", "10.0.1.2:80")
	p.paused = true
	w.run(4*time.Second, func() bool { return false })
	if n := p.client.c.sendable(); n != 0 {
		t.Fatalf("the window is open by %d bytes", n)
	}
	// What the peer says now is lost, and one path for good. On the other the
	// last that was heard is an open window.
	w.link(0, func(p *pipe) { p.dead = true; p.flying = nil })
	w.link(1, func(p *pipe) { p.dead = true; p.flying = nil })
	p.paused = false
	w.run(50*time.Millisecond, func() bool { return false })
	w.link(1, func(p *pipe) { p.dead = false })
	start := w.now
	p.finish(5 * time.Minute)
	if d := w.now.Sub(start); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
}
