package mptcp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mptcplab/mptcp/tcp"
)

// crowd is several connections from host 0 to host 1, downloads without end.
type crowd struct {
	w     *world
	pairs []*pair
}

func newCrowd(w *world) *crowd {
	c := &crowd{w: w}
	w.onStep = func() {
		for _, p := range c.pairs {
			p.poll()
		}
	}
	return c
}

// add begins a download over a link with a socket of its own at both ends.
func (c *crowd) add(link int, cfg Config) *pair {
	c.w.t.Helper()
	raddr := addrPort(fmt.Sprintf("10.0.%d.2:%d", link+1, 80+len(c.pairs)))
	ln, err := c.w.hosts[1].Listen(&cfg, raddr)
	if err != nil {
		c.w.t.Fatal(err)
	}
	conn, err := c.w.hosts[0].Dial(c.w.now, &cfg, addrPort(fmt.Sprintf("10.0.%d.1:0", link+1)), raddr)
	if err != nil {
		c.w.t.Fatal(err)
	}
	p := &pair{w: c.w, ln: ln, client: newApp(conn, 0, 1, 2), down: 1 << 40}
	c.pairs = append(c.pairs, p)
	return p
}

// stay lets time pass.
func (c *crowd) stay(d time.Duration) { c.w.run(d, func() bool { return false }) }

// during returns the bytes that each connection received in d.
func (c *crowd) during(d time.Duration) []float64 {
	got := make([]float64, len(c.pairs))
	for i, p := range c.pairs {
		got[i] = -float64(p.client.got)
	}
	c.stay(d)
	for i, p := range c.pairs {
		got[i] += float64(p.client.got)
	}
	return got
}

// jain is Jain's index of fairness: 1 if all are equal, 1/n if one has everything.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

// TestFairness: two flows of one kind share 20 Mbit/s, 40 ms and a queue of one BDP
// over 60 s, the second starting later by so many steps of 43 ms.
//
// Hosts take up to the time of a packet at the bottleneck to send one, as they do in
// simulations since Floyd and Jacobson ("On Traffic Phase Effects in Packet-Switched
// Gateways", 1992; overhead_ of ns-2): if packets come to a full drop-tail queue at
// the very instants at which room is made, it is their phase that says who loses, for
// minutes. Reno does not mind, since both flows grow in each round-trip time and so
// both lose; a CUBIC flow near its W_max does not grow, and the other loses alone.
// That is left to chance, so of several starts the median counts, and no flow has
// twice what the other has, which is an index of 0.9. BBR's figures are for information.
func TestFairness(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of packets")
	}
	for _, tc := range []struct {
		name          string
		starts        int
		median, least float64
	}{
		{"reno", 3, 0.98, 0.98},
		{"cubic", 20, 0.98, 0.9},
		{"bbr", 2, 0, 0},
	} {
		var indexes []float64
		for i := range tc.starts {
			offset := time.Duration(i) * 43 * time.Millisecond
			w := newWorld(t, 1, HostConfig{}, HostConfig{}, byte(i+1))
			w.link(0, func(p *pipe) {
				p.rate, p.delay, p.queue = 2_500_000, 20*time.Millisecond, 100_000
				p.jitter = 600 * time.Microsecond
			})
			c := newCrowd(w)
			for range 2 {
				c.add(0, Config{PlainTCP: true, TCP: tcp.Config{CongestionControl: tc.name}})
				c.stay(offset)
			}
			got := c.during(60 * time.Second)
			index := jain(got)
			indexes = append(indexes, index)
			t.Logf("%-5s %5v apart: Jain's index %.4f, %.2f and %.2f Mbit/s", tc.name, offset, index, got[0]*8/60e6, got[1]*8/60e6)
			if sum := (got[0] + got[1]) * 8 / 60e6; sum < 18.4 {
				t.Errorf("%s, %v apart: %.2f Mbit/s of 20 together", tc.name, offset, sum)
			}
			if index < tc.least {
				t.Errorf("%s, %v apart: Jain's index %.4f, want %.2f", tc.name, offset, index, tc.least)
			}
		}
		slices.Sort(indexes)
		n := len(indexes)
		median := (indexes[(n-1)/2] + indexes[n/2]) / 2
		t.Logf("%s: Jain's index from %.4f to %.4f, %.4f in the median", tc.name, indexes[0], indexes[n-1], median)
		if median < tc.median {
			t.Errorf("%s: Jain's index %.4f in the median, want %.2f", tc.name, median, tc.median)
		}
	}
}
