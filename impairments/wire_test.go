package impairments

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

func TestPerfectWire(t *testing.T) {
	r := newRig(t, 1, Config{})
	for range 100 {
		r.send(0, 1514)
		r.send(1, 64)
	}
	for dir, n := range []int{1514, 64} {
		if len(r.out[dir]) != 100 || r.now != 0 {
			t.Errorf("direction %d: %d packets at %d, want 100 at once", dir, len(r.out[dir]), r.now)
		}
		want := Stats{Packets: 100, Bytes: uint64(100 * n)}
		if got := r.w.Stats(dir); got != want {
			t.Errorf("direction %d: %+v, want %+v", dir, got, want)
		}
	}
}

// The rate is exact over any number of packets, also where a packet takes no
// whole number of nanoseconds.
func TestRateIsExact(t *testing.T) {
	for _, rate := range []uint64{9_999_991, 3_333_333_333} {
		const count, size = 100_000, 1514
		r := newRig(t, 1, Config{Rate: rate, Queue: Queue{Packets: 10}})
		for range 10 {
			r.send(0, size)
		}
		for len(r.out[0]) < count {
			r.until(r.w.Deadline())
			r.send(0, size)
		}
		first, last := r.out[0][0].at, r.out[0][count-1].at
		want := clock.Instant((count*size*8*1_000_000_000 + 0.0) / rate)
		if d := last - want; d < -1 || d > 1 {
			t.Errorf("%d bit/s: %d packets left after %d ns (first %d), want %d", rate, count, last, first, want)
		}
	}
}

// A rate change holds from the next packet on.
func TestRateChange(t *testing.T) {
	r := newRig(t, 1, Config{Rate: 8_000_000})
	for range 4 {
		r.send(0, 1000) // 1 ms each
	}
	r.until(1500 * us)
	r.w.SetConfig(r.now, 0, Config{Rate: 80_000_000})
	r.drain()
	r.until(10 * ms)
	r.want(0, []delivery{{number: 1, at: 1 * ms}, {number: 2, at: 2 * ms}, {number: 3, at: 2100 * us}, {number: 4, at: 2200 * us}})
}

func (r *rig) want(dir int, want []delivery) {
	r.t.Helper()
	got := r.out[dir]
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = got[i].number == want[i].number && got[i].at == want[i].at
	}
	if !ok {
		r.t.Errorf("direction %d: got %v, want %v", dir, got, want)
	}
}

// However late the driver is, packets leave at the rate, none is lost to it.
func TestLateDriver(t *testing.T) {
	r := newRig(t, 1, Config{Rate: 8_000_000, Delay: time.Millisecond, Queue: Queue{Packets: 5}})
	for range 5 {
		r.send(0, 1000)
	}
	r.now = 20 * ms
	r.send(0, 1000) // while five are overdue
	if len(r.out[0]) != 5 {
		t.Errorf("%d packets came out late, want 5", len(r.out[0]))
	}
	r.until(30 * ms)
	if got := r.out[0][5].at; got != 22*ms {
		t.Errorf("the next one came out at %d, want 22 ms", got)
	}
}

func TestBurst(t *testing.T) {
	// A bucket of 3,000 bytes: three packets leave at once, then one each ms.
	r := newRig(t, 1, Config{Rate: 8_000_000, Burst: 3000})
	for range 5 {
		r.send(0, 1000)
	}
	r.until(10 * ms)
	for range 4 { // the bucket is full again
		r.send(0, 1000)
	}
	r.until(20 * ms)
	r.want(0, []delivery{{1, 0, nil}, {2, 0, nil}, {3, 0, nil}, {4, 1 * ms, nil}, {5, 2 * ms, nil},
		{6, 10 * ms, nil}, {7, 10 * ms, nil}, {8, 10 * ms, nil}, {9, 11 * ms, nil}})
}

// What a bucket owes is bytes: at a new rate it is paid back at that rate.
func TestBurstAndRateChange(t *testing.T) {
	r := newRig(t, 1, Config{Rate: 8_000_000, Burst: 3000})
	for range 3 {
		r.send(0, 1000)
	}
	r.w.SetConfig(0, 0, Config{Rate: 800_000, Burst: 3000})
	r.send(0, 1000)
	r.until(100 * ms)
	if got := r.out[0][3].at; got != 10*ms {
		t.Errorf("the fourth packet left at %d, want 10 ms", got)
	}
}

func TestQueueBounds(t *testing.T) {
	const rate = 8_000_000 // 1,000 bytes a ms
	tests := []struct {
		name string
		cfg  Config
		want int // packets of 1,000 bytes that pass, of 100 sent at once
	}{
		{"packets", Config{Rate: rate, Queue: Queue{Packets: 7}}, 7},
		{"bytes", Config{Rate: rate, Queue: Queue{Bytes: 5500}}, 5},
		{"time", Config{Rate: rate, Queue: Queue{Time: 12 * time.Millisecond}}, 12},
		{"time, in order", Config{Rate: rate, InOrder: true, Jitter: time.Millisecond, Queue: Queue{Time: time.Second}}, 100},
		{"default: round trip", Config{Rate: rate, Delay: 25 * time.Millisecond}, 50},
		{"default: at least 20 packets", Config{Rate: rate}, 30}, // of 1,514 bytes
		{"bytes below one packet", Config{Rate: rate, Queue: Queue{Bytes: 10}}, 1},
		{"limit counts the delay line", Config{Rate: rate, Delay: 25 * time.Millisecond, Limit: 9}, 9},
		{"limit without rate", Config{Delay: 25 * time.Millisecond, Limit: 9}, 9},
		{"no rate", Config{Delay: 25 * time.Millisecond}, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, tt.cfg)
			for range 100 {
				r.send(0, 1000)
			}
			r.until(1000 * ms)
			if got := len(r.out[0]); got != tt.want {
				t.Errorf("%d packets passed, want %d", got, tt.want)
			}
			s := r.w.Stats(0)
			if int(s.QueueDropped) != 100-tt.want || s.QueueBytes != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestBlackhole(t *testing.T) {
	r := newRig(t, 1, Config{Rate: 8_000_000, Delay: 2 * time.Millisecond})
	for range 10 {
		r.send(0, 1000)
	}
	r.now = 4 * ms // one has left at 3 ms, one leaves at 4 ms but was not fetched
	r.w.SetConfig(r.now, 0, Config{Blackhole: true})
	r.drain()
	r.send(0, 1000)
	r.until(50 * ms)
	if len(r.out[0]) != 0 {
		t.Errorf("out of a black hole came %v", r.out[0])
	}
	if s := r.w.Stats(0); s.Blackholed != 11 || s.QueueBytes != 0 {
		t.Errorf("stats %+v, want 11 blackholed", s)
	}
	r.w.SetConfig(r.now, 0, Config{Rate: 8_000_000})
	r.drain()
	r.send(0, 1000)
	r.until(60 * ms)
	r.want(0, []delivery{{number: 12, at: 51 * ms}})
	if d := r.w.Deadline(); d != clock.Never {
		t.Errorf("deadline %d of an empty wire", d)
	}
}

// A change of delay leaves what is in the delay line alone.
func TestDelayChange(t *testing.T) {
	r := newRig(t, 1, Config{Delay: 10 * time.Millisecond})
	r.send(0, 100)
	r.w.SetConfig(0, 0, Config{Delay: time.Millisecond})
	r.send(0, 100)
	r.until(20 * ms)
	r.want(0, []delivery{{number: 2, at: 1 * ms}, {number: 1, at: 10 * ms}})

	r = newRig(t, 1, Config{Delay: 10 * time.Millisecond, InOrder: true})
	r.send(0, 100)
	r.w.SetConfig(0, 0, Config{Delay: time.Millisecond, InOrder: true})
	r.send(0, 100)
	r.until(20 * ms)
	r.want(0, []delivery{{number: 1, at: 10 * ms}, {number: 2, at: 10 * ms}})
}

// Half duplex: both directions together have the rate, and take turns.
func TestHalfDuplex(t *testing.T) {
	cfg := Config{Rate: 8_000_000}
	w := NewWire(1, "air", [2]Config{cfg, cfg}, Overhead)
	w.SetHalfDuplex(true)
	r := newRig(t, 1, cfg)
	r.w = w
	for range 3 {
		r.send(0, 1000)
		r.send(1, 1000)
	}
	r.send(0, 1000)
	r.until(20 * ms)
	r.want(0, []delivery{{number: 1, at: 1 * ms}, {number: 2, at: 3 * ms}, {number: 3, at: 5 * ms}, {number: 4, at: 7 * ms}})
	r.want(1, []delivery{{number: 1, at: 2 * ms}, {number: 2, at: 4 * ms}, {number: 3, at: 6 * ms}})
}

// A link that cannot be written makes its own queue fill and holds up no other.
func TestGatedLink(t *testing.T) {
	cfg := Config{Rate: 8_000_000, Queue: Queue{Packets: 5}}
	w := NewWire(1, "gated", [2]Config{cfg, cfg}, Overhead)
	r := newRig(t, 1, cfg)
	r.w = w
	w.SetWritable(1, false)
	for range 10 {
		r.send(0, 1000)
		r.send(1, 1000)
		r.until(r.now + ms)
	}
	if len(r.out[0]) != 0 || len(r.out[1]) != 10 {
		t.Fatalf("%d packets to the gated link, %d to the other", len(r.out[0]), len(r.out[1]))
	}
	w.SetWritable(1, true)
	r.drain()
	r.until(100 * ms)
	if len(r.out[0]) != 5 || r.out[0][0].at != 11*ms || w.Stats(0).QueueDropped != 5 {
		t.Errorf("after the gate opened: %v, %+v", r.out[0], w.Stats(0))
	}
}

func TestWireContract(t *testing.T) {
	cfg := Config{
		Duplicate: Chance{P: 0.1}, Loss: Loss{Random: Chance{P: 0.1}}, Corrupt: Chance{P: 0.1}, Reorder: Chance{P: 0.1},
		Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Rate: 5_000_000, Queue: Queue{Packets: 20},
	}
	for i, name := range []string{"full duplex", "half duplex", "fq_codel", "pie", "red", "codel"} {
		half := i == 1
		cfg := cfg
		cfg.AQM = []AQM{DropTail, DropTail, FQCoDel, PIE, RED, CoDel}[i]
		build := func() machine.Machine {
			w := NewWire(1, "contract", [2]Config{cfg, cfg}, Overhead)
			w.SetHalfDuplex(half)
			return w
		}
		var script []machine.Step
		for i := range 400 {
			script = append(script, machine.Step{At: clock.Instant(i) * ms, Link: machine.LinkID(i % 2), Data: make([]byte, 20+i*3)})
		}
		script = append(script, machine.Step{At: 410 * ms, Do: func(m machine.Machine, now clock.Instant) {
			c := cfg
			c.Blackhole = true
			m.(*Wire).SetConfig(now, 0, c)
		}})
		if err := machine.Check(build, script, 1000*ms); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Steady state allocates nothing.
func TestWireAllocates(t *testing.T) {
	r := newRig(t, 1, Config{Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Distribution: Pareto,
		Loss: Loss{Random: Chance{P: 0.01}}, Rate: 100_000_000})
	step := func() {
		r.send(0, 1514)
		r.until(r.now + 100*us)
		r.out[0] = r.out[0][:0]
	}
	for range 2000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkWire(b *testing.B) {
	r := newRig(b, 1, Config{Delay: 15 * time.Millisecond, Loss: Loss{Random: Chance{P: 0.001}}, Rate: 1_000_000_000})
	b.SetBytes(1514)
	for b.Loop() {
		r.send(0, 1514)
		r.until(r.now + 13*us)
		r.out[0] = r.out[0][:0]
	}
}
