package observe

import (
	"math/rand/v2"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

// The set agrees with a plain slice of booleans.
func TestRangesModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r ranges
	var model [300]bool
	for range 20000 {
		lo := rng.Int64N(300)
		hi := min(300, lo+rng.Int64N(20))
		switch rng.IntN(50) {
		case 0:
			r = ranges{}
			model = [300]bool{}
		case 1:
			r.cut(lo)
			for i := range lo {
				model[i] = true
			}
		}
		fresh, any := int64(0), false
		for i := lo; i < hi; i++ {
			any = any || model[i]
		}
		if got := r.has(lo, hi); got != any {
			t.Fatalf("has(%d,%d) = %v in %v", lo, hi, got, r)
		}
		for i := lo; i < hi; i++ {
			if !model[i] {
				fresh++
			}
			model[i] = true
		}
		if got := r.add(lo, hi); got != fresh {
			t.Fatalf("add(%d,%d) = %d, want %d in %v", lo, hi, got, fresh, r)
		}
		for i := 1; i < len(r.spans); i++ {
			if r.spans[i-1].hi >= r.spans[i].lo {
				t.Fatalf("spans touch: %v", r)
			}
		}
	}
}

func TestGapTracker(t *testing.T) {
	ms := func(n int) clock.Instant { return clock.Instant(time.Duration(n) * time.Millisecond) }
	var g GapTracker
	g.Start(0)
	for _, at := range []int{10, 20, 900, 910, 1500} {
		g.Progress(ms(at), Ending{By: at})
	}
	for _, tt := range []struct{ from, to, start, end int }{
		{0, 1000, 20, 900},
		{500, 600, 20, 900}, // meets the window: at its full length
		{905, 2000, 910, 1500},
		{1500, 3000, 1500, 3000}, // no progress any more
		{0, 20, 0, 10},
	} {
		got, ok := g.LongestGap(ms(tt.from), ms(tt.to))
		if !ok || got.Start != ms(tt.start) || got.End != ms(tt.end) {
			t.Errorf("[%d, %d): %v %v, want %d to %d", tt.from, tt.to, got, ok, tt.start, tt.end)
		}
	}
	// A long run of short gaps does not push out the long one.
	at := ms(1500)
	for i := range 100000 {
		at += clock.Instant(1000 + i%7)
		g.Progress(at, Ending{})
	}
	if got, ok := g.LongestGap(0, at); !ok || got.Duration() != 880*time.Millisecond {
		t.Errorf("longest: %v", got)
	}
	if len(g.gaps) > maxGaps {
		t.Errorf("%d gaps kept", len(g.gaps))
	}
}
