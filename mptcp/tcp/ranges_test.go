package tcp

import (
	"testing"

	"mptcplab/mptcp/wire"
)

// TestRangeSet compares the set with a slice of flags, across the wrap of
// sequence space.
func TestRangeSet(t *testing.T) {
	const base, size = wire.Seq(1<<32 - 100), 200
	for seed := range uint64(200) {
		r := rng(seed)
		var set rangeSet
		var have [size]bool
		next := 0
		for range 60 {
			l := next + int(r.next()%uint64(size-next))
			n := min(1+int(r.next()%20), size-l)
			s := span{base.Add(l), base.Add(l + n)}
			checkGap(t, &set, have[:], base, s)
			if l == next {
				for i := l; i < l+n; i++ {
					have[i] = true
				}
				next = set.advance(s.right).Sub(base)
			} else {
				got := set.add(s)
				for i := l; i < l+n; i++ {
					have[i] = true
				}
				for i := got.left.Sub(base); i < got.right.Sub(base); i++ {
					if !have[i] {
						t.Fatalf("seed %d: add returned %v, which has a hole at %d", seed, got, i)
					}
				}
			}
			for i := range next {
				have[i] = true
			}
			if next == size {
				break
			}
			compare(t, &set, have[:], base, next)
		}
	}
}

func compare(t *testing.T, set *rangeSet, have []bool, base wire.Seq, next int) {
	t.Helper()
	if have[next] {
		t.Fatalf("advance stopped at %d, which is there", next)
	}
	at := next
	for _, s := range set.spans {
		l, r := s.left.Sub(base), s.right.Sub(base)
		if l <= at || r <= l {
			t.Fatalf("spans %v are not disjoint and ascending", set.spans)
		}
		for ; at < l; at++ {
			if have[at] {
				t.Fatalf("%d is missing in %v", at, set.spans)
			}
		}
		for ; at < r; at++ {
			if !have[at] {
				t.Fatalf("%d is in %v", at, set.spans)
			}
		}
	}
	for ; at < len(have); at++ {
		if have[at] {
			t.Fatalf("%d is missing in %v", at, set.spans)
		}
	}
}

// checkGap compares gap and overlap with the first run of flags in s.
func checkGap(t *testing.T, set *rangeSet, have []bool, base wire.Seq, s span) {
	t.Helper()
	find := func(want bool) (span, bool) {
		l, r := s.left.Sub(base), s.right.Sub(base)
		for l < r && have[l] != want {
			l++
		}
		e := l
		for e < r && have[e] == want {
			e++
		}
		return span{base.Add(l), base.Add(e)}, l < r
	}
	if got, ok := set.gap(s); true {
		if want, wantOK := find(false); ok != wantOK || ok && got != want {
			t.Fatalf("gap of %v in %v: %v %v, want %v %v", s, set.spans, got, ok, want, wantOK)
		}
	}
	if got, ok := set.overlap(s); true {
		if want, wantOK := find(true); ok != wantOK || ok && got != want {
			t.Fatalf("overlap of %v in %v: %v %v, want %v %v", s, set.spans, got, ok, want, wantOK)
		}
	}
}
