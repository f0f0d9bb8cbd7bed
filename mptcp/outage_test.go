package mptcp

import (
	"testing"
	"time"

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
