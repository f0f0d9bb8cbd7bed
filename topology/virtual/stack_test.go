package virtual

import (
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/topology"
)

// Two stacks move megabytes over two links, watched by the contract's checker.
func TestTransfer(t *testing.T) {
	tcp := mptcp.Config{PlainTCP: true}
	for _, tt := range []struct {
		name          string
		phone, server mptcp.Config
		multipath     bool
	}{
		{"mptcp", mptcp.Config{}, mptcp.Config{}, true},
		{"checksums", mptcp.Config{ChecksumEnabled: true}, mptcp.Config{ChecksumEnabled: true}, true},
		{"tcp server", mptcp.Config{}, tcp, false},
		{"tcp client", tcp, mptcp.Config{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const size = 4_000_000
			x := download(t, demo(), Options{Seed: 7, Check: true}, size, tt.phone, tt.server)
			x.run(t, 30*time.Second)
			x.intact(t)
			down, up := x.down.Info(x.lab.Now()), x.up.Info(x.lab.Now())
			if down.MPTCP != tt.multipath || (down.Fallback || up.Fallback) == tt.multipath {
				t.Errorf("MPTCP %v, fallback: phone %q, server %q", down.MPTCP, down.FallbackReason, up.FallbackReason)
			}
			wifi, lte := x.lab.Stats("wifi", topology.Downlink), x.lab.Stats("lte", topology.Downlink)
			if tt.multipath && (wifi.Bytes < size/3 || lte.Bytes < size/10) || !tt.multipath && lte.Packets > 0 {
				t.Errorf("bytes by Wi-Fi %d, by LTE %d", wifi.Bytes, lte.Bytes)
			}
			rate := float64(size) * 8 / x.finished.Seconds() / 1e6
			t.Logf("%.1f Mbit/s, Wi-Fi %d bytes, LTE %d bytes", rate, wifi.Bytes, lte.Bytes)
			if most := 30.0; rate > most {
				t.Errorf("%.1f Mbit/s over links of %.0f", rate, most)
			}
		})
	}
}

// The demo's black hole: the transfer goes on over LTE.
func TestHandover(t *testing.T) {
	x := download(t, demo(), Options{Seed: 7, Check: true}, 20_000_000, mptcp.Config{}, mptcp.Config{})
	var gap, last clock.Instant
	at := 3 * clock.Instant(time.Second)
	before := 0
	receive := x.phone.step
	x.phone.step = func(now clock.Instant) {
		receive(now)
		if x.read > before {
			if now > at {
				gap = max(gap, now-last)
			}
			before, last = x.read, now
		}
	}
	silent := impairments.Config{Blackhole: true}
	wifi := x.lab.topo.Link("wifi").Impair
	x.lab.At(at, func() { _ = x.lab.SetImpairments("wifi", [2]impairments.Config{silent, silent}) })
	x.lab.At(at+7*clock.Instant(time.Second), func() { _ = x.lab.SetImpairments("wifi", wifi) })
	x.run(t, 60*time.Second)
	x.intact(t)
	t.Logf("finished at %v, gap %v", time.Duration(x.finished), time.Duration(gap))
	if gap > clock.Instant(time.Second) {
		t.Errorf("a gap of %v", time.Duration(gap))
	}
	if s := x.lab.Stats("wifi", topology.Downlink); s.Blackholed == 0 {
		t.Error("the black hole swallowed nothing")
	}
}

// Two runs of one seed are the same run, to the packet; another seed is another.
func TestStackDeterminism(t *testing.T) {
	run := func(seed uint64) (uint64, clock.Instant) {
		x := download(t, demo(), Options{Seed: seed}, 1_000_000, mptcp.Config{}, mptcp.Config{})
		x.run(t, 20*time.Second)
		x.intact(t)
		return x.lab.Fingerprint(), x.finished
	}
	a, at := run(7)
	b, bt := run(7)
	c, _ := run(8)
	if a != b || at != bt {
		t.Errorf("one seed: %x at %v and %x at %v", a, at, b, bt)
	}
	if a == c {
		t.Errorf("two seeds, one fingerprint %x", a)
	}
}

// BenchmarkDemo runs the demo's download with a capture that is read and thrown
// away. The figure to watch is virtual seconds per second.
func BenchmarkDemo(b *testing.B) {
	b.ReportAllocs()
	var virtual float64
	var packets uint64
	for b.Loop() {
		seen := 0
		x := download(b, demo(), Options{Seed: 7, Tap: func(_ clock.Instant, _ string, _ bool, pkt []byte) { seen += len(pkt) }},
			40_000_000, mptcp.Config{}, mptcp.Config{})
		x.run(b, 60*time.Second)
		x.intact(b)
		virtual += x.finished.Seconds()
		packets += x.lab.Sim().Packets()
	}
	b.ReportMetric(virtual/b.Elapsed().Seconds(), "virtual-s/s")
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "hops/s")
}
