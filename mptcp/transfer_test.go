package mptcp

import (
	"testing"
	"time"
)

func TestPlainTransfer(t *testing.T) {
	w := newWorld(t, 1, acceptor(Config{PlainTCP: true}), acceptor(Config{PlainTCP: true}), 1)
	p := w.connect(100_000, 1_000_000, "", "10.0.1.2:80")
	p.finish(time.Minute)
}

func TestOnePath(t *testing.T) {
	w := newWorld(t, 1, acceptor(Config{}), acceptor(Config{}), 1)
	p := w.connect(100_000, 1_000_000, "", "10.0.1.2:80")
	p.finish(time.Minute)
	if in := p.client.c.Info(w.now); !in.MPTCP || in.Fallback {
		t.Errorf("not MPTCP: %+v", in)
	}
}

func TestTwoPaths(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	w.link(0, func(p *pipe) { p.rate, p.queue = 2_500_000, 250_000 })
	w.link(1, func(p *pipe) { p.rate, p.queue, p.delay = 1_250_000, 250_000, 30*time.Millisecond })
	p := w.connect(100_000, 10_000_000, "10.0.1.1:0", "10.0.1.2:80")
	p.finish(time.Minute)
	t.Logf("10 MB in %.3f s", w.now.Seconds())
	if w.now.Seconds() > 3.5 {
		t.Errorf("10 MB at 20+10 Mbit/s took %.3f s", w.now.Seconds())
	}
	for _, s := range p.server.c.Info(w.now).Subflows {
		t.Logf("subflow %d %v: sent %d retrans %d", s.ID, s.Remote, s.TCP.BytesSent, s.TCP.BytesRetrans)
	}
}
