package mptcp

import (
	"fmt"
	"testing"
	"time"
)

// TestCUBICFills: one CUBIC flow keeps a link at 95 % of its rate, packets with their
// headers, with a queue of one bandwidth-delay product; of 20 packets where that is
// less than a few packets, as links have by default.
func TestCUBICFills(t *testing.T) {
	for _, mbit := range []int{1, 10, 100} {
		for _, rtt := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%dMbit_%v", mbit, rtt), func(t *testing.T) {
				if mbit == 100 && testing.Short() {
					t.Skip("half a million packets")
				}
				bdp := int(int64(mbit) * 125_000 * int64(rtt) / int64(time.Second))
				w := newWorld(t, 1, HostConfig{}, HostConfig{}, 1)
				w.link(0, func(p *pipe) { p.rate, p.delay, p.queue = mbit*125_000, rtt/2, max(bdp, 20*1500) })
				c := newCrowd(w)
				c.add(0, Config{PlainTCP: true})
				c.stay(10 * time.Second)
				got := c.during(30 * time.Second)[0] / 30 / float64(c.pairs[0].client.c.mss()) * 1500
				if share := got / float64(mbit*125_000); share < 0.95 {
					t.Errorf("%.1f %% of the link", 100*share)
				} else {
					t.Logf("%.1f %% of the link", 100*share)
				}
			})
		}
	}
}
