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

// shareBottleneck returns what two flows of one kind have of 20 Mbit/s (bytes of each
// in the 60 s from the start of the second), over a path with that round-trip time
// and a drop-tail queue of so many BDPs, the second flow starting so much later.
func shareBottleneck(t *testing.T, cc string, rtt time.Duration, bdps float64, later time.Duration) []float64 {
	t.Helper()
	const rate = 2_500_000 // bytes/s
	w := newWorld(t, 1, HostConfig{}, HostConfig{}, 1)
	w.link(0, func(p *pipe) {
		p.rate, p.delay, p.queue = rate, rtt/2, int(bdps*rate*rtt.Seconds())
	})
	c := newCrowd(w)
	for range 2 {
		c.stay(later)
		c.add(0, Config{PlainTCP: true, TCP: tcp.Config{CongestionControl: cc}})
	}
	got := c.during(60 * time.Second)
	if sum := (got[0] + got[1]) * 8 / 60e6; sum < 18.4 {
		t.Errorf("%s, %v, %g BDP, %v apart: %.2f Mbit/s of 20 together", cc, rtt, bdps, later, sum)
	}
	return got
}

// TestFairness: two flows of one kind that start together share a bottleneck with a
// Jain's index of at least 0.98 over 60 s, on each path.
func TestFairness(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of packets")
	}
	for _, cc := range []string{"reno", "cubic"} {
		for _, rtt := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond} {
			for _, bdps := range []float64{0.5, 1, 2} {
				got := shareBottleneck(t, cc, rtt, bdps, 0)
				index := jain(got)
				t.Logf("%-5s %v, %g BDP: Jain's index %.4f, %.2f and %.2f Mbit/s", cc, rtt, bdps, index, got[0]*8/60e6, got[1]*8/60e6)
				if index < 0.98 {
					t.Errorf("%s, %v, %g BDP: Jain's index %.4f, want 0.98", cc, rtt, bdps, index)
				}
			}
		}
	}
}

// TestFairnessToALateFlow: as TestFairness, the second flow starting up to two seconds
// after the first. Where packets come to a full drop-tail queue at the very
// instants at which room is made, their phase says who loses (Floyd and Jacobson, "On
// Traffic Phase Effects in Packet-Switched Gateways", 1992). Reno does not mind, since
// both flows grow in each round-trip time and so both lose; a CUBIC flow near its
// W_max stands still, and the other loses alone. So the median of the starts counts.
func TestFairnessToALateFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of packets")
	}
	const starts = 20
	var indexes []float64
	for i := range starts {
		later := time.Duration(i+1) * 101 * time.Millisecond
		got := shareBottleneck(t, "cubic", 40*time.Millisecond, 1, later)
		indexes = append(indexes, jain(got))
		t.Logf("%5v apart: Jain's index %.4f, %.2f and %.2f Mbit/s", later, jain(got), got[0]*8/60e6, got[1]*8/60e6)
	}
	slices.Sort(indexes)
	median := (indexes[starts/2-1] + indexes[starts/2]) / 2
	t.Logf("Jain's index from %.4f to %.4f, %.4f in the median", indexes[0], indexes[starts-1], median)
	if median < 0.98 {
		t.Errorf("Jain's index %.4f in the median, want 0.98", median)
	}
}
