package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/cc"
)

// TestGoodput is about what the whole adds up to: 10 MB over 20 Mbit/s, 20 ms and
// a queue of 30 packets, with the stack's controllers. The limit without loss is
// that of headers; with loss it is what one RTO-free recovery a loss leaves.
func TestGoodput(t *testing.T) {
	const size, rate = 10_000_000, 2_500_000 // bytes, bytes/s
	for _, tc := range []struct {
		name  string
		loss  int     // per mille
		share float64 // of the rate, at least
	}{
		{"reno", 0, 0.94},
		{"cubic", 0, 0.94},
		{"lia", 0, 0.94},
		{"bbr", 0, 0.93},
		{"bbr", 10, 0.9}, // a loss is no signal to it
		{"reno", 1, 0.7},
		{"cubic", 1, 0.7},
		{"cubic", 10, 0.25},
	} {
		f, ok := cc.Lookup(tc.name)
		if !ok {
			t.Fatalf("no controller %s", tc.name)
		}
		p := newPair(t, path{delay: 10 * time.Millisecond, perByte: 400 * time.Nanosecond, queue: 30, loss: tc.loss}, 1)
		p.fam = f
		var done time.Duration
		p.start(make([]byte, size), nil)
		p.run(time.Minute, func() bool { return p.side[1].u.have == size })
		done = time.Duration(p.now)
		i := p.side[0].u.c.Info(p.now)
		share := size / done.Seconds() / rate
		t.Logf("%s, loss %d/1000: %.3f of the rate, %d retransmissions, %d timeouts", tc.name, tc.loss, share, i.TotalRetrans, countEvents(p.side[0].u.events, RTOExpired))
		if share < tc.share || share > 1448.0/1500 {
			t.Errorf("%s, loss %d/1000: goodput is %.3f of the rate, want %.2f to %.3f", tc.name, tc.loss, share, tc.share, 1448.0/1500)
		}
	}
}

func countEvents(events []Event, e Event) int {
	n := 0
	for _, x := range events {
		if x == e {
			n++
		}
	}
	return n
}
