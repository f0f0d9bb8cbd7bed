package impairments

import (
	"encoding/binary"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// datagram is an IPv4 packet of n bytes with Ethernet header and this ECN codepoint,
// from a port.
func datagram(n int, ecn byte, port uint16) []byte {
	b := make([]byte, n-Overhead)
	b[0], b[1], b[8], b[9] = 0x45, ecn, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[20:], port)
	binary.BigEndian.PutUint16(b[10:], wire.Checksum(b[:20], 0))
	return b
}

// load is a sender that answers neither drops nor marks: packets of 1,500 bytes at an
// even rate.
type load struct {
	port uint16
	rate uint64 // bit/s, 12 Mbit/s is a packet each ms
	ecn  byte
}

// seen is what became of the packets of a port.
type seen struct {
	sent, arrived, marked int
	delays                []clock.Instant
}

// offer runs loads through a wire for a time and returns what arrived, by port.
func offer(t *testing.T, cfg Config, d time.Duration, loads ...load) (map[uint16]*seen, Stats) {
	t.Helper()
	w := NewWire(1, "test", [2]Config{cfg, {}}, Overhead)
	buf := make([]byte, machine.BufferSize)
	got := map[uint16]*seen{}
	next := make([]clock.Instant, len(loads))
	for i, l := range loads {
		got[l.port] = &seen{}
		next[i] = clock.Instant(i) * us
	}
	now := clock.Instant(0)
	for now < clock.Instant(d) {
		now = w.Deadline()
		for i := range loads {
			now = min(now, next[i])
		}
		w.Advance(now)
		for i, l := range loads {
			if next[i] > now {
				continue
			}
			p := datagram(1500, l.ecn, l.port)
			binary.BigEndian.PutUint64(p[28:], uint64(now))
			got[l.port].sent++
			w.Input(now, machine.Meta{}, p)
			next[i] += clock.Instant(1500 * bitNsPerByte / l.rate)
		}
		for {
			_, n, ok := w.Output(now, buf)
			if !ok {
				break
			}
			if wire.Checksum(buf[:20], 0) != 0 {
				t.Fatal("the header's checksum is wrong")
			}
			s := got[binary.BigEndian.Uint16(buf[20:n])]
			s.arrived++
			if buf[1]&3 == 3 {
				s.marked++
			}
			s.delays = append(s.delays, now-clock.Instant(binary.BigEndian.Uint64(buf[28:])))
		}
	}
	return got, w.Stats(0)
}

// late returns the longest delay in the second half of a run.
func (s *seen) late() clock.Instant {
	var most clock.Instant
	for _, d := range s.delays[len(s.delays)/2:] {
		most = max(most, d)
	}
	return most
}

var disciplines = []struct {
	kind AQM
	most clock.Instant // the delay to which a load that is 10 % too high is held
}{{CoDel, 200 * ms}, {FQCoDel, 200 * ms}, {PIE, 60 * ms}, {RED, 120 * ms}}

// TestAQMHolds: where tail drop lets the queue fill, each discipline keeps the delay
// low under a load that never slows down, and passes what the rate allows.
func TestAQMHolds(t *testing.T) {
	const rate = 12_000_000
	full := Config{Rate: rate, Queue: Queue{Bytes: 1_500_000}}
	got, _ := offer(t, full, 30*time.Second, load{1, rate * 11 / 10, 0})
	if d := got[1].late(); d < 900*ms {
		t.Fatalf("tail drop: delay %v", time.Duration(d))
	}
	for _, tt := range disciplines {
		cfg := full
		cfg.AQM = tt.kind
		if tt.kind == RED {
			cfg.Queue.Bytes = 600_000 // RED's own thresholds: 50 and 150 KB, 33 and 100 ms
		}
		got, stats := offer(t, cfg, 30*time.Second, load{1, rate * 11 / 10, 0})
		s := got[1]
		if d := s.late(); d > tt.most {
			t.Errorf("%v: delay up to %v", tt.kind, time.Duration(d))
		}
		if s.arrived < 29_500 || s.marked != 0 || stats.QueueDropped == 0 {
			t.Errorf("%v: %d of %d arrived, %d marked, stats %+v", tt.kind, s.arrived, s.sent, s.marked, stats)
		}
	}
}

// TestAQMIdle: a load below the rate loses nothing, whatever the discipline.
func TestAQMIdle(t *testing.T) {
	for _, tt := range disciplines {
		got, stats := offer(t, Config{Rate: 12_000_000, AQM: tt.kind}, 20*time.Second, load{1, 10_000_000, 0})
		if stats.QueueDropped != 0 || got[1].arrived < got[1].sent-1 {
			t.Errorf("%v: %d of %d arrived, %+v", tt.kind, got[1].arrived, got[1].sent, stats)
		}
	}
}

// TestECN: packets that allow it are marked instead of dropped, the others dropped;
// without ecn nothing is marked.
func TestECN(t *testing.T) {
	const rate = 12_000_000
	for _, tt := range disciplines {
		cfg := Config{Rate: rate, AQM: tt.kind, ECN: true}
		got, stats := offer(t, cfg, 20*time.Second, load{1, rate * 55 / 100, 2}, load{2, rate * 55 / 100, 0})
		if got[1].marked == 0 || got[2].marked != 0 || stats.Marked < uint64(got[1].marked) {
			t.Errorf("%v: %d and %d marked, %+v", tt.kind, got[1].marked, got[2].marked, stats)
		}
		if lost := got[2].sent - got[2].arrived; lost < 100 {
			t.Errorf("%v: %d of those that cannot be marked were lost", tt.kind, lost)
		}
		cfg.ECN = false
		if got, stats := offer(t, cfg, 20*time.Second, load{1, rate * 11 / 10, 1}); got[1].marked != 0 || stats.Marked != 0 || stats.QueueDropped == 0 {
			t.Errorf("%v without ecn: %+v", tt.kind, stats)
		}
	}
}

// TestFlowQueueing: a thin flow does not wait for a fat one, and gets all it asks for.
func TestFlowQueueing(t *testing.T) {
	const rate = 12_000_000
	got, _ := offer(t, Config{Rate: rate, AQM: FQCoDel}, 20*time.Second, load{1, 2 * rate, 0}, load{2, rate / 20, 0})
	if d := got[2].late(); got[2].arrived < got[2].sent-1 || d > 4*ms {
		t.Errorf("the thin flow: %d of %d, up to %v late", got[2].arrived, got[2].sent, time.Duration(d))
	}
	if got[1].arrived < 18_500 {
		t.Errorf("the fat flow: %d packets in 20 s", got[1].arrived)
	}
	// The same through one queue: the thin flow waits and loses with the fat one.
	got, _ = offer(t, Config{Rate: rate, AQM: CoDel}, 20*time.Second, load{1, 2 * rate, 0}, load{2, rate / 20, 0})
	if got[2].late() < 4*ms || got[2].arrived == got[2].sent {
		t.Errorf("without flows: %v late, %d of %d", time.Duration(got[2].late()), got[2].arrived, got[2].sent)
	}
}

// TestCoDelLaw: the n-th drop in a row comes interval / sqrt(n) after the last one
// (RFC 8289, 5.5).
func TestCoDelLaw(t *testing.T) {
	for n, want := range map[uint32]time.Duration{1: 100 * time.Millisecond, 2: 70_710_678, 4: 50 * time.Millisecond, 100: 10 * time.Millisecond} {
		c := codelState{count: n}
		if got := time.Duration(c.law(0)); got < want-want/500 || got > want+want/500 {
			t.Errorf("after %d drops: %v, want %v", n, got, want)
		}
	}
	for _, v := range []uint64{0, 1, 2, 3, 4, 99, 100, 1<<40 + 7, 1 << 62} {
		if r := sqrt(v); r*r > v || (r+1)*(r+1) <= v {
			t.Errorf("sqrt(%d) = %d", v, r)
		}
	}
}

// TestREDWeight: iproute2's formula for the example of tc-red(8), "limit 400000 min 30000
// max 90000 avpkt 1000 burst 55": 26 <= (1 - (1-1/32)^55) * 32 = 26.4, but not at 1/16.
func TestREDWeight(t *testing.T) {
	if n := redWeight(30000, 55); n != 5 {
		t.Errorf("ewma %d", n)
	}
}

// TestAQMChanges: another discipline takes over what waits, and a black hole takes
// all of it.
func TestAQMChanges(t *testing.T) {
	r := newRig(t, 1, Config{Rate: 1_200_000, Queue: Queue{Packets: 100}})
	for range 50 {
		r.send(0, 1500)
	}
	for _, kind := range []AQM{FQCoDel, PIE, CoDel, DropTail, RED} {
		r.w.SetConfig(r.now, 0, Config{Rate: 1_200_000, Queue: Queue{Packets: 100}, AQM: kind})
		// RED's average rises over its thresholds, as if they all came at once.
		if n, lost := r.w.dirs[0].queue.waiting(), int(r.w.Stats(0).QueueDropped); n+lost != 49 || lost > 0 && kind != RED {
			t.Fatalf("%v: %d wait, %d were dropped", kind, n, lost)
		}
	}
	r.until(r.now + 10_000*ms)
	if n, lost := len(r.out[0]), int(r.w.Stats(0).QueueDropped); n+lost != 50 || n < 25 {
		t.Errorf("%d of 50 came out, %d were dropped", n, lost)
	}
	for _, kind := range []AQM{FQCoDel, PIE, RED, CoDel} {
		r := newRig(t, 1, Config{Rate: 1_200_000, Queue: Queue{Packets: 100}, AQM: kind})
		for range 20 {
			r.send(0, 1500)
		}
		r.w.SetConfig(r.now, 0, Config{Rate: 1_200_000, AQM: kind, Blackhole: true})
		r.until(r.now + 1000*ms)
		r.w.SetConfig(r.now, 0, Config{Rate: 1_200_000, AQM: kind})
		if n := r.w.dirs[0].queue.waiting(); n != 0 || r.w.Stats(0).QueueBytes != 0 || len(r.out[0]) != 0 {
			t.Errorf("%v after a black hole: %d wait, %d bytes", kind, n, r.w.Stats(0).QueueBytes)
		}
		r.send(0, 1500)
		r.until(r.now + 100*ms)
		if len(r.out[0]) != 1 {
			t.Errorf("%v: nothing passes after a black hole", kind)
		}
	}
}
