package window

import (
	"math/rand"
	"testing"
)

// driveRanges runs the operations that ops encodes on a set and on a table of
// 256 offsets.
func driveRanges(t *testing.T, ops []byte, maxRanges int) {
	s := Ranges{Max: maxRanges}
	var m [257]bool
	runs := func() (n int) {
		for x := range 256 {
			if m[x] && (x == 0 || !m[x-1]) {
				n++
			}
		}
		return n
	}
	for ; len(ops) >= 3; ops = ops[3:] {
		lo, hi := int(ops[1]), int(ops[2])
		want := uint64(0)
		switch ops[0] % 3 {
		case 0:
			if lo < hi && runs() >= maxRanges {
				joins := false
				for x := max(lo-1, 0); x <= hi; x++ {
					joins = joins || m[x]
				}
				if !joins {
					if n := s.Add(uint64(lo), uint64(hi)); n != 0 {
						t.Fatalf("a full set took %d", n)
					}
					continue
				}
			}
			for x := lo; x < hi; x++ {
				if !m[x] {
					m[x] = true
					want++
				}
			}
			if got := s.Add(uint64(lo), uint64(hi)); got != want {
				t.Fatalf("Add(%d, %d) = %d, want %d", lo, hi, got, want)
			}
		case 1:
			for x := lo; x < hi; x++ {
				if m[x] {
					m[x] = false
					want++
				}
			}
			if got := s.Remove(uint64(lo), uint64(hi)); got != want {
				t.Fatalf("Remove(%d, %d) = %d, want %d", lo, hi, got, want)
			}
		case 2:
			clear(m[:lo])
			s.Cut(uint64(lo))
		}
		if s.Len() != runs() {
			t.Fatalf("%d ranges, want %d", s.Len(), runs())
		}
		compare(t, &s, &m)
	}
}

// compare asks the set everything that the table knows.
func compare(t *testing.T, s *Ranges, m *[257]bool) {
	t.Helper()
	var count uint64
	gap, next, run := 256, -1, 256 // from the right: first gap, first member, end of its run
	for x := 255; x >= 0; x-- {
		if m[x] {
			count++
			if !m[x+1] {
				run = x + 1
			}
			next = x
		} else {
			gap = x
		}
		if s.Has(uint64(x)) != m[x] {
			t.Fatalf("Has(%d) = %v", x, !m[x])
		}
		if got := s.FirstGap(uint64(x)); got != uint64(gap) {
			t.Fatalf("FirstGap(%d) = %d, want %d", x, got, gap)
		}
		r, ok := s.Next(uint64(x))
		if ok != (next >= 0) || ok && r != (Range{uint64(next), uint64(run)}) {
			t.Fatalf("Next(%d) = %v, %v, want [%d, %d)", x, r, ok, next, run)
		}
		if m[x] && (!s.Contains(uint64(x), uint64(run)) || s.Contains(uint64(x), uint64(run+1))) {
			t.Fatalf("Contains from %d is wrong about %d", x, run)
		}
	}
	if s.Count() != count {
		t.Fatalf("Count = %d, want %d", s.Count(), count)
	}
}

func TestRangesModel(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for i := range 200 {
		ops := make([]byte, 3*60)
		rnd.Read(ops)
		if i%2 == 0 { // short ranges, so that there are many
			for j := 0; j < len(ops); j += 3 {
				ops[j+2] = byte(min(255, int(ops[j+1])+int(ops[j+2])%6))
			}
		}
		driveRanges(t, ops, 3+i%30)
	}
}

func FuzzRanges(f *testing.F) {
	f.Add([]byte{0, 1, 5, 0, 7, 9, 0, 5, 7, 1, 3, 4, 2, 4, 0, 0, 0, 255})
	f.Add([]byte{0, 1, 2, 0, 3, 4, 0, 5, 6, 0, 7, 8, 0, 9, 10, 0, 2, 9})
	f.Fuzz(func(t *testing.T, ops []byte) { driveRanges(t, ops[:min(len(ops), 600)], 4) })
}

func TestRangesEdges(t *testing.T) {
	var s Ranges
	if s.Add(5, 5) != 0 || s.Add(6, 5) != 0 || s.Remove(5, 5) != 0 || s.Len() != 0 {
		t.Error("an empty range did something")
	}
	if !s.Contains(5, 5) || s.Contains(5, 6) {
		t.Error("Contains in an empty set")
	}
	if _, ok := s.Next(0); ok {
		t.Error("Next in an empty set")
	}
	const top = 1<<64 - 1
	if s.Add(0, top) != top || s.FirstGap(0) != top || s.Remove(10, 20) != 10 || s.Len() != 2 || s.At(1) != (Range{20, top}) {
		t.Errorf("the whole space: %v", s.r)
	}
	s = Ranges{}
	for i := range uint64(DefaultMaxRanges + 10) {
		s.Add(3*i, 3*i+1)
	}
	if s.Len() != DefaultMaxRanges || s.Count() != DefaultMaxRanges {
		t.Errorf("%d ranges", s.Len())
	}
}
