package impairments

import (
	"bytes"
	"math"
	"math/bits"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// within checks a count of n draws with probability p against five standard
// deviations of the binomial distribution.
func within(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	mean, sigma := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	if d := math.Abs(float64(got) - mean); d > 5*sigma+0.5 {
		t.Errorf("%s: %d of %d, want %.0f +- %.0f", what, got, n, mean, 5*sigma)
	}
}

func TestRates(t *testing.T) {
	const n = 20_000
	for _, p := range []float64{0, 0.02, 0.5, 1} {
		for seed := uint64(1); seed <= 2; seed++ {
			c := Chance{P: p}
			for _, tt := range []struct {
				name string
				cfg  Config
				got  func(Stats) uint64
			}{
				{"loss", Config{Loss: Loss{Random: c}}, func(s Stats) uint64 { return s.Lost }},
				{"duplicate", Config{Duplicate: c}, func(s Stats) uint64 { return s.Duplicated }},
				{"corrupt", Config{Corrupt: c}, func(s Stats) uint64 { return s.Corrupted }},
				{"reorder", Config{Reorder: c}, func(s Stats) uint64 { return s.Reordered }},
			} {
				r := newRig(t, seed, tt.cfg)
				for range n {
					r.send(0, 64)
				}
				s := r.w.Stats(0)
				within(t, tt.name, int(tt.got(s)), n, p)
				if want := n - s.Lost + s.Duplicated; s.Packets != want {
					t.Errorf("%s: %d packets came out, want %d", tt.name, s.Packets, want)
				}
			}
		}
	}
}

// Correlated draws hang together: with correlation 0.9 a loss is followed by a
// loss far more often than by chance. netem's filter narrows the distribution of
// the draws around one half, so that the rate is not P: a fact of netem.
func TestCorrelatedLoss(t *testing.T) {
	const p = 0.45
	runs := func(correlation float64) (losses, pairs int) {
		r := newRig(t, 3, Config{Loss: Loss{Random: Chance{P: p, Correlation: correlation}}})
		last := false
		for range 50_000 {
			before := r.w.Stats(0).Lost
			r.send(0, 64)
			lost := r.w.Stats(0).Lost > before
			if lost {
				losses++
				if last {
					pairs++
				}
			}
			last = lost
		}
		return losses, pairs
	}
	losses, pairs := runs(0)
	within(t, "pairs without correlation", pairs, losses, p)
	losses, pairs = runs(0.9)
	if losses == 0 || float64(losses) > 0.3*50_000 || float64(pairs)/float64(losses) < 0.6 {
		t.Errorf("with correlation: %d losses, %d of them in a row", losses, pairs)
	}
}

// The chain of Gilbert and Elliott: time in the bad state is p/(p+r), bursts last
// 1/r packets on average.
// TestFourState: bursts as long and as frequent as the chain says, and lone losses.
func TestFourState(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		f           FourState
		share, mean float64
	}{
		{FourState{P13: 0.01, P31: 0.2, P23: 1}, 0.01 / 0.21, 5}, // bursts of 1/P31, apart by 1/P13
		{FourState{P14: 0.05, P23: 1}, 0.05 / 1.05, 1},           // each lone loss is followed by a packet that passes
		// A burst is left for good with P31, and begins anew with P32 after one good packet.
		{FourState{P13: 0.02, P31: 0.1, P32: 0.1, P23: 1}, 10. / (10 + 1 + 50), 5},
	} {
		r := newRig(t, 5, Config{Loss: Loss{State: &tt.f}})
		bursts, lost, in := 0, 0, false
		for range n {
			before := r.w.Stats(0).Lost
			r.send(0, 64)
			gone := r.w.Stats(0).Lost > before
			if gone {
				lost++
				if !in {
					bursts++
				}
			}
			in = gone
		}
		if share := float64(lost) / n; math.Abs(share-tt.share) > 0.1*tt.share {
			t.Errorf("%+v: %.4f of all packets lost, want %.4f", tt.f, share, tt.share)
		}
		if mean := float64(lost) / float64(bursts); math.Abs(mean-tt.mean) > 0.08*tt.mean {
			t.Errorf("%+v: bursts of %.2f packets, want %.2f", tt.f, mean, tt.mean)
		}
	}
}

func TestGilbertElliott(t *testing.T) {
	const n = 100_000
	ge := &GilbertElliott{P: 0.01, R: 0.2, LossBad: 1}
	r := newRig(t, 5, Config{Loss: Loss{GE: ge}})
	bursts, lost, in := 0, 0, false
	for range n {
		before := r.w.Stats(0).Lost
		r.send(0, 64)
		gone := r.w.Stats(0).Lost > before
		if gone {
			lost++
			if !in {
				bursts++
			}
		}
		in = gone
	}
	if share := float64(lost) / n; math.Abs(share-0.01/0.21) > 0.005 {
		t.Errorf("%.4f of all packets lost, want %.4f", share, 0.01/0.21)
	}
	if mean := float64(lost) / float64(bursts); math.Abs(mean-5) > 0.35 {
		t.Errorf("bursts of %.2f packets, want 5", mean)
	}
	// Loss in the good state, and a bad state that lets half through.
	r = newRig(t, 6, Config{Loss: Loss{GE: &GilbertElliott{P: 0.1, R: 0.1, LossBad: 0.5, LossGood: 0.1}}})
	for range n {
		r.send(0, 64)
	}
	if share := float64(r.w.Stats(0).Lost) / n; math.Abs(share-0.3) > 0.01 {
		t.Errorf("%.4f of all packets lost, want 0.3", share)
	}
}

func TestLossLists(t *testing.T) {
	r := newRig(t, 1, Config{Loss: Loss{Packets: []int{7, 3}}})
	for range 10 {
		r.send(0, 64)
	}
	if got := numbers(r.out[0]); got != "1 2 4 5 6 8 9 10 " {
		t.Errorf("passed: %s", got)
	}

	for name, header := range map[string][]byte{"IP": nil, "Ethernet": make([]byte, Overhead)} {
		overhead := Overhead - len(header)
		w := NewWire(1, "list", [2]Config{{Loss: Loss{Segments: []int{2, 3}}}, {}}, overhead)
		for i := range 6 { // an ACK and a segment each time
			w.Input(0, machine.Meta{}, append(bytes.Clone(header), tcpPacket(2*i, 0)...))
			w.Input(0, machine.Meta{}, append(bytes.Clone(header), tcpPacket(2*i+1, 10)...))
		}
		if s := w.Stats(0); s.Lost != 2 {
			t.Errorf("%s: %d lost, want the second and the third segment", name, s.Lost)
		}
		buf := make([]byte, machine.BufferSize)
		var got []int
		for {
			_, n, ok := w.Output(0, buf)
			if !ok {
				break
			}
			got = append(got, seqOf(t, buf[len(header):n]))
		}
		if want := []int{0, 1, 2, 4, 6, 7, 8, 9, 10, 11}; !equal(got, want) {
			t.Errorf("%s: passed %v, want %v", name, got, want)
		}
	}
}

func TestDelayDistributions(t *testing.T) {
	const n = 100_000
	mu, sigma := 50*time.Millisecond, 5*time.Millisecond
	tests := []struct {
		d        Distribution
		mean, sd float64 // of (delay-mu)/sigma
		lo, hi   float64
	}{
		{Uniform, 0, 1 / math.Sqrt(3), -1, 1},
		{Normal, 0, 1, -4, 4},
		// u^(-1/3) - 3/2, times 4/3, cut at 4. Mean and deviation are those of the
		// tables that iproute2 6.1 installs.
		{Pareto, -0.0335, 0.8197, -0.667, 4},
		{ParetoNormal, -0.0253, 0.8339, -1.503, 4},
	}
	for _, tt := range tests {
		cfg := Config{Delay: mu, Jitter: sigma, Distribution: tt.d}
		s := newStream(9, "delay")
		var sum, squares float64
		lo, hi := math.Inf(1), math.Inf(-1)
		for i := range n {
			x := float64(cfg.delayOf(s.draw(uint64(i)))-mu) / float64(sigma)
			sum += x
			squares += x * x
			lo, hi = min(lo, x), max(hi, x)
		}
		mean := sum / n
		sd := math.Sqrt(squares/n - mean*mean)
		if math.Abs(mean-tt.mean) > 0.01 || math.Abs(sd-tt.sd) > 0.01 || lo < tt.lo-1e-3 || hi > tt.hi+1e-3 {
			t.Errorf("distribution %d: mean %.4f, sd %.4f, from %.3f to %.3f; want %+v", tt.d, mean, sd, lo, hi, tt)
		}
	}
}

// The table is that of the normal distribution.
func TestNormalTable(t *testing.T) {
	for i, x := range normal {
		p := 0.5 + (float64(i)+0.5)/4096
		if got := 0.5 + 0.5*math.Erf(float64(x)/distScale/math.Sqrt2); math.Abs(got-p) > 3e-5 {
			t.Fatalf("entry %d is %d: a quantile at %.6f, want %.6f", i, x, got, p)
		}
	}
}

func TestCubeRoot(t *testing.T) {
	for _, x := range []uint64{0, 1, 7, 8, 26, 27, 1 << 55, 1<<63 - 1, math.MaxUint64, 999_999_999_999} {
		y := cubeRoot(x)
		if y*y*y > x {
			t.Errorf("cubeRoot(%d) = %d is too large", x, y)
		}
		hi, lo := bits.Mul64((y+1)*(y+1), y+1)
		if hi == 0 && lo <= x {
			t.Errorf("cubeRoot(%d) = %d is too small", x, y)
		}
	}
}

func TestJitterOrder(t *testing.T) {
	for _, inOrder := range []bool{false, true} {
		r := newRig(t, 1, Config{Delay: 30 * time.Millisecond, Jitter: 5 * time.Millisecond, Distribution: Normal, InOrder: inOrder})
		r.stream(20_000, 100, 500*us)
		late := 0
		for i := 1; i < len(r.out[0]); i++ {
			if r.out[0][i].number < r.out[0][i-1].number {
				late++
			}
		}
		if inOrder && late != 0 || !inOrder && late < 1000 {
			t.Errorf("in order %v: %d packets out of order", inOrder, late)
		}
	}
	// netem with a rate keeps the order.
	r := newRig(t, 1, Config{Delay: 30 * time.Millisecond, Jitter: 5 * time.Millisecond, Rate: 10_000_000, Limit: 1000})
	r.stream(2000, 100, 500*us)
	for i := 1; i < len(r.out[0]); i++ {
		if r.out[0][i].number < r.out[0][i-1].number {
			t.Fatal("a netem with a rate does not reorder")
		}
	}
}

// netem's gap: with probability 1 exactly every gap-th packet skips the delay.
func TestReorderGap(t *testing.T) {
	r := newRig(t, 1, Config{Delay: 100 * time.Millisecond, Reorder: Chance{P: 1}, Gap: 5})
	for range 10 {
		r.send(0, 64)
	}
	r.until(200 * ms)
	if got := numbers(r.out[0]); got != "5 10 1 2 3 4 6 7 8 9 " {
		t.Errorf("order: %s", got)
	}
}

func TestCorruptFlipsOneBit(t *testing.T) {
	w := NewWire(1, "corrupt", [2]Config{{Corrupt: Chance{P: 1}}, {}}, Overhead)
	buf := make([]byte, machine.BufferSize)
	seen := make(map[int]bool)
	for i := range 2000 {
		pkt := tcpPacket(i, 20)
		w.Input(0, machine.Meta{CsumOK: true}, pkt)
		m, n, ok := w.Output(0, buf)
		if !ok || n != len(pkt) || m.CsumOK {
			t.Fatalf("packet %d: %v, %d bytes, CsumOK %v", i, ok, n, m.CsumOK)
		}
		flipped := 0
		for k := range pkt {
			if x := pkt[k] ^ buf[k]; x != 0 {
				flipped += bits.OnesCount8(x)
				seen[k] = true
			}
		}
		if flipped != 1 {
			t.Fatalf("packet %d: %d bits flipped", i, flipped)
		}
	}
	if len(seen) != len(tcpPacket(0, 20)) {
		t.Errorf("flips hit %d bytes only", len(seen))
	}
}

// Switching one stage on shifts no draw of another.
func TestStagesDrawForThemselves(t *testing.T) {
	base := Config{Loss: Loss{Random: Chance{P: 0.1}}, Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond}
	arrivals := func(cfg Config) map[int]clock.Instant {
		r := newRig(t, 4, cfg)
		r.stream(3000, 64, ms)
		at := make(map[int]clock.Instant)
		for _, d := range r.out[0] {
			if _, ok := at[d.number]; !ok { // of a copy the original comes out once more
				at[d.number] = d.at
			}
		}
		return at
	}
	want := arrivals(base)
	withCorrupt, withReorder := base, base
	withCorrupt.Corrupt = Chance{P: 0.5}
	withReorder.Reorder = Chance{P: 0.0001, Correlation: 0.5}
	noLoss := base
	noLoss.Loss = Loss{}
	// Corruption may hit the number itself, so only times are compared there.
	r1, r2 := newRig(t, 4, base), newRig(t, 4, withCorrupt)
	r1.stream(3000, 64, ms)
	r2.stream(3000, 64, ms)
	for i := range r1.out[0] {
		if len(r1.out[0]) != len(r2.out[0]) || r1.out[0][i].at != r2.out[0][i].at {
			t.Fatal("corruption changed losses or delays")
		}
	}
	all := arrivals(noLoss)
	for n, at := range want {
		if all[n] != at {
			t.Fatalf("packet %d: %d with loss, %d without", n, at, all[n])
		}
	}
	moved := 0
	for n, at := range arrivals(withReorder) {
		if want[n] != at {
			moved++
		}
	}
	if moved > 10 {
		t.Errorf("%d packets moved by reordering 0.01 %%", moved)
	}
}

func TestSeedsAndNames(t *testing.T) {
	run := func(seed uint64, name string) Stats {
		w := NewWire(seed, name, [2]Config{{Loss: Loss{Random: Chance{P: 0.5}}}, {}}, 0)
		for range 10_000 {
			w.Input(0, machine.Meta{}, []byte{1})
		}
		return w.Stats(0)
	}
	a := run(1, "wifi")
	if b := run(1, "wifi"); a != b {
		t.Errorf("the same seed and name: %+v and %+v", a, b)
	}
	if b := run(2, "wifi"); a == b {
		t.Error("another seed draws the same")
	}
	if b := run(1, "lte"); a == b {
		t.Error("another name draws the same")
	}
}
