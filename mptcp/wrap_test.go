package mptcp

import (
	"testing"
	"time"
)

// The sequence numbers of a subflow wrap after 4 GiB: positions in it are kept in
// 64 bits, and nothing that is remembered of long ago is taken for the future. A
// big MTU makes the 4.5 GB cheap; the time that it takes is that of checking them.
func TestSequenceWrap(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 4.5 GB")
	}
	for name, host := range map[string]HostConfig{"MPTCP": acceptor(Config{}), "TCP": {Default: Config{PlainTCP: true}}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, host, host, 1)
			for _, h := range w.hosts {
				l := h.links[0].Link
				l.MTU = 65_000
				if err := h.SetLink(0, 0, l); err != nil {
					t.Fatal(err)
				}
			}
			w.link(0, func(p *pipe) {
				p.rate, p.queue, p.delay, p.loss = 1_250_000_000, 4_000_000, time.Millisecond, 1<<32/5000
			})
			const n = 4_500_000_000
			p := w.connect(1000, n, "10.0.1.1:0", "10.0.1.2:80")
			p.finish(5 * time.Minute)
			in := p.server.c.Info(w.now)
			t.Logf("%.1f s, %d bytes again, %d reinjected", w.now.Seconds(), in.BytesRetrans, in.Reinjected)
			if in.BytesRetrans == 0 || in.Reinjected > 0 {
				t.Errorf("%d bytes again, %d reinjected", in.BytesRetrans, in.Reinjected)
			}
			if mean := n / w.now.Seconds(); mean < 100e6 {
				t.Errorf("only %.0f bytes/s", mean)
			}
		})
	}
}
