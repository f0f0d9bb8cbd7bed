package mptcp

import (
	"testing"
	"time"
)

// Abort in mid-transfer over lossy paths, by either form: both hosts forget the
// connection, and with the ACK form the peer hears of it within seconds whatever
// was lost.
func TestAbortUnderLoss(t *testing.T) {
	for _, ack := range []bool{false, true} {
		for seed := byte(1); seed <= 10; seed++ {
			cfg := Config{FastCloseACK: ack}
			w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), seed)
			for i := range 2 {
				w.link(i, func(p *pipe) { p.rate, p.queue, p.loss = 1_250_000, 50_000, 1<<32/20 })
			}
			p := w.connect(5_000_000, 5_000_000, "10.0.1.1:0", "10.0.1.2:80")
			w.run(time.Second, func() bool { return false })
			w.onStep = nil
			p.server.c.Abort()
			w.run(10*time.Second, p.client.c.Done)
			if ack && p.client.c.Err() != ErrReset {
				t.Errorf("seed %d: after 10 s done %v, err %v", seed, p.client.c.Done(), p.client.c.Err())
			}
			w.forgets()
		}
	}
}
