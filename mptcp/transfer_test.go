package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
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

// TestBlackhole is scenario (a): Wi-Fi at 20 Mbit/s loses everything from 5 s to
// 12 s, LTE at 10 Mbit/s goes on.
func TestBlackhole(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	rec := &recorder{}
	w.hosts[1].env.Trace = rec
	w.link(0, func(p *pipe) { p.rate, p.queue, p.delay, p.loss = 2_500_000, 250_000, 15*time.Millisecond, 1<<32/1000 })
	w.link(1, func(p *pipe) { p.rate, p.queue, p.delay = 1_250_000, 375_000, 30*time.Millisecond })
	p := w.connect(1000, 40_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(5*time.Second, func() bool { return false })
	p.client.gap = 0
	w.link(0, func(p *pipe) { p.dead = true; p.flying = nil })
	before := p.client.got
	w.run(7*time.Second, func() bool { return false })
	t.Logf("black hole: %d bytes in 7 s, longest gap %v", p.client.got-before, p.client.gap)
	if p.client.gap > time.Second {
		t.Errorf("nothing arrived for %v", p.client.gap)
	}
	if got := p.client.got - before; got < 6_500_000 {
		t.Errorf("only %d bytes in 7 s over the other path", got)
	}
	w.link(0, func(p *pipe) { p.dead = false })
	sent := w.pipes[1].packets
	p.finish(time.Minute)
	if n := w.pipes[1].packets - sent; n < 5000 {
		t.Errorf("only %d packets over the path after it was back", n)
	}
	if !(w.hosts[1].counters.MPTcpExtSubflowStale == 1 && w.hosts[1].counters.MPTcpExtSubflowRecover == 1) {
		t.Errorf("stale %d, recover %d", w.hosts[1].counters.MPTcpExtSubflowStale, w.hosts[1].counters.MPTcpExtSubflowRecover)
	}
	in := p.server.c.Info(w.now)
	t.Logf("40 MB in %.3f s, reinjected %d, retransmitted %d", w.now.Seconds(), in.Reinjected, in.BytesRetrans)
	if in.Reinjected == 0 || in.Reinjected > 1_000_000 {
		t.Errorf("reinjected %d bytes", in.Reinjected)
	}
	if w.now.Seconds() > 25 {
		t.Errorf("40 MB took %.3f s", w.now.Seconds())
	}
	dsnMonotone(t, rec)
}

// dsnMonotone checks that new data is mapped in order and without holes, and
// DATA_ACKs advance.
func dsnMonotone(t *testing.T, rec *recorder) {
	t.Helper()
	var next, acked uint64
	for _, e := range rec.events {
		switch e.Kind {
		case trace.Mapped:
			if !e.Flag && next != 0 && e.A != next {
				t.Fatalf("new data mapped at %d, want %d", e.A, next)
			}
			if !e.Flag {
				next = e.A + uint64(e.N)
			} else if e.A+uint64(e.N) > next {
				t.Fatalf("reinjection of bytes never sent")
			}
		case trace.Acked:
			if acked != 0 && e.A <= acked {
				t.Fatalf("DATA_ACK went from %d to %d", acked, e.A)
			}
			acked = e.A
		}
	}
}

// TestManySeeds transfers both ways over two lossy paths in all variants.
func TestManySeeds(t *testing.T) {
	variants := []struct {
		name           string
		client, server HostConfig
		laddr, raddr   string
		fallback       bool
	}{
		{"mptcp", twoPaths(Config{}), acceptor(Config{}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"checksum", twoPaths(Config{ChecksumEnabled: true}), acceptor(Config{}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"checksum-server", twoPaths(Config{}), acceptor(Config{ChecksumEnabled: true}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"tcp-server", twoPaths(Config{}), acceptor(Config{PlainTCP: true}), "10.0.1.1:0", "10.0.1.2:80", true},
		{"tcp-client", twoPaths(Config{PlainTCP: true}), acceptor(Config{}), "10.0.1.1:0", "10.0.1.2:80", true},
		{"ipv6", HostConfig{Limits: pm.Limits{Subflows: 2}, Endpoints: []pm.Endpoint{{Addr: addr("fd00:2::1"), Flags: pm.Subflow}}},
			acceptor(Config{}), "[fd00:1::1]:0", "[fd00:1::2]:80", false},
		{"small buffers", twoPaths(Config{SendBuffer: 60000, RecvBuffer: 40000}), acceptor(Config{SendBuffer: 50000, RecvBuffer: 30000}),
			"10.0.1.1:0", "10.0.1.2:80", false},
		{"redundant", twoPaths(Config{Scheduler: "redundant"}), acceptor(Config{Scheduler: "redundant"}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"roundrobin", twoPaths(Config{Scheduler: "roundrobin"}), acceptor(Config{Scheduler: "roundrobin"}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"opportunistic", twoPaths(Config{OpportunisticRetransmission: true, Penalization: true}),
			acceptor(Config{OpportunisticRetransmission: true, Penalization: true, RecvBuffer: 60000}), "10.0.1.1:0", "10.0.1.2:80", false},
		{"signal", HostConfig{Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}},
			HostConfig{Limits: pm.Limits{Subflows: 2}, Endpoints: []pm.Endpoint{{Addr: addr("10.0.2.2"), Flags: pm.Signal}}}, "10.0.1.1:0", "10.0.1.2:80", false},
	}
	for _, v := range variants {
		for seed := range byte(5) {
			t.Run(v.name, func(t *testing.T) {
				w := newWorld(t, 2, v.client, v.server, seed)
				rec := &recorder{}
				w.hosts[1].env.Trace = rec
				loss := uint32(seed) * (1 << 32 / 160) // 0 to 2.5 %
				w.link(0, func(p *pipe) { p.rate, p.queue, p.loss = 2_500_000, 100_000, loss })
				w.link(1, func(p *pipe) { p.rate, p.queue, p.loss, p.delay = 1_250_000, 100_000, loss, 25*time.Millisecond })
				p := w.connect(150_000, 300_000, v.laddr, v.raddr)
				p.finish(5 * time.Minute)
				w.forgets()
				for i, c := range []*Conn{p.client.c, p.server.c} {
					in := c.Info(w.now)
					if in.Fallback != v.fallback && !(v.fallback && i == 0 && v.client.Default.PlainTCP) {
						t.Errorf("fallback %v %q", in.Fallback, in.FallbackReason)
					}
					if !v.fallback && len(in.Subflows) < 2 && seed == 0 {
						t.Errorf("only %d subflows", len(in.Subflows))
					}
				}
				dsnMonotone(t, rec)
			})
		}
	}
}

// The same seed gives the same packets at the same times.
func TestReplay(t *testing.T) {
	run := func(seed byte) uint64 {
		w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), seed)
		w.link(0, func(p *pipe) { p.rate, p.queue, p.loss = 2_500_000, 100_000, 1<<32/50 })
		w.link(1, func(p *pipe) { p.rate, p.queue, p.loss = 1_250_000, 100_000, 1<<32/50 })
		p := w.connect(100_000, 300_000, "10.0.1.1:0", "10.0.1.2:80")
		p.finish(time.Minute)
		return w.print
	}
	first, again := run(7), run(7)
	if first != again {
		t.Error("two runs with one seed differ")
	}
	if first == run(8) {
		t.Error("two seeds give the same run")
	}
}

// Steady state allocates nothing per segment.
func TestAllocations(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{SendBuffer: 1 << 20, RecvBuffer: 1 << 20}), acceptor(Config{SendBuffer: 1 << 20, RecvBuffer: 1 << 20}), 1)
	s := &shuttle{w: w}
	s.begin()
	s.move(8 << 20)
	before := s.segments
	allocs := testing.AllocsPerRun(1, func() { s.move(8 << 20) })
	n := s.segments - before
	t.Logf("%.0f allocations for %d segments", allocs, n)
	if allocs > float64(n)/100 {
		t.Errorf("%.0f allocations for %d segments", allocs, n)
	}
}

// shuttle carries packets between two hosts at once and without a loss, itself
// without allocations, one millisecond after the other.
type shuttle struct {
	w        *world
	client   *Conn
	server   *Conn
	got      int
	segments int
	buf      []byte
}

func (s *shuttle) begin() {
	s.buf = make([]byte, 64<<10)
	ln, _ := s.w.hosts[1].Listen(nil, addrPort("10.0.1.2:80"))
	s.client, _ = s.w.hosts[0].Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	for s.server == nil {
		s.turn()
		s.server, _ = ln.Accept()
	}
}

// move lets n more bytes pass from server to client.
func (s *shuttle) move(n int) {
	for end := s.got + n; s.got < end; s.turn() {
		s.server.Write(s.buf, false)
		for b := s.client.Peek(); b != nil; b = s.client.Peek() {
			s.got += len(b)
			s.client.Discard(len(b))
		}
		for {
			if _, ok := s.w.hosts[0].NextEvent(); !ok {
				break
			}
		}
		for {
			if _, ok := s.w.hosts[1].NextEvent(); !ok {
				break
			}
		}
	}
}

// turn exchanges packets until nobody has any, then a millisecond passes.
func (s *shuttle) turn() {
	w := s.w
	for again := true; again; {
		again = false
		for i, h := range w.hosts {
			for k := 0; k < 64; k++ {
				m, n, ok := h.Output(w.now, w.buf)
				if !ok {
					break
				}
				again = true
				s.segments++
				w.hosts[1-i].Input(w.now, m, w.buf[:n])
			}
		}
	}
	w.now += clock.Instant(time.Millisecond)
	for _, h := range w.hosts {
		h.Advance(w.now)
	}
}
