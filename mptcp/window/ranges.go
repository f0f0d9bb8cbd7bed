package window

// Range is the half-open range [Lo, Hi) of offsets.
type Range struct{ Lo, Hi uint64 }

// DefaultMaxRanges bounds a Ranges whose Max is zero. It is what a peer can make
// us remember: 64 KiB.
const DefaultMaxRanges = 4096

// Ranges is a set of offsets, kept as sorted ranges that neither overlap nor
// touch. The zero value is empty. It keeps its memory when it shrinks, so that
// steady state allocates nothing.
type Ranges struct {
	Max int // most ranges to hold; 0 is DefaultMaxRanges
	r   []Range
	n   uint64 // offsets in the set
}

// Len returns the number of ranges.
func (s *Ranges) Len() int { return len(s.r) }

// Count returns the number of offsets in the set.
func (s *Ranges) Count() uint64 { return s.n }

// At returns the i-th range in ascending order.
func (s *Ranges) At(i int) Range { return s.r[i] }

// Clear empties the set.
func (s *Ranges) Clear() { s.r, s.n = s.r[:0], 0 }

// Spare reports whether the set is empty and keeps memory all the same; Release gives
// that back.
func (s *Ranges) Spare() bool { return s.r != nil && len(s.r) == 0 }

// Release gives the memory of an empty set back.
func (s *Ranges) Release() {
	if len(s.r) == 0 {
		s.r = nil
	}
}

// search returns the index of the first range that ends behind x, or Len.
func (s *Ranges) search(x uint64) int {
	lo, hi := 0, len(s.r)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); s.r[m].Hi > x {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// Add puts [lo, hi) into the set and returns how many of its offsets were new.
// A full set refuses a range that would stand alone: then nothing is added and
// Add returns 0; ranges that join one that is there are always taken.
func (s *Ranges) Add(lo, hi uint64) (fresh uint64) {
	if lo >= hi {
		return 0
	}
	i := s.search(lo)
	if i > 0 && s.r[i-1].Hi == lo { // touches the one before
		i--
	}
	j := i // [i, j) are the ranges that become one with [lo, hi)
	merged := Range{lo, hi}
	var had uint64
	for ; j < len(s.r) && s.r[j].Lo <= hi; j++ {
		had += s.r[j].Hi - s.r[j].Lo
		merged.Lo = min(merged.Lo, s.r[j].Lo)
		merged.Hi = max(merged.Hi, s.r[j].Hi)
	}
	if i == j {
		if len(s.r) >= s.limit() {
			return 0
		}
		s.insert(i, merged)
	} else {
		s.r[i] = merged
		s.r = append(s.r[:i+1], s.r[j:]...)
	}
	fresh = merged.Hi - merged.Lo - had
	s.n += fresh
	return fresh
}

func (s *Ranges) limit() int {
	if s.Max == 0 {
		return DefaultMaxRanges
	}
	return s.Max
}

// insert makes room for r at index i.
func (s *Ranges) insert(i int, r Range) {
	s.r = append(s.r, Range{})
	copy(s.r[i+1:], s.r[i:])
	s.r[i] = r
}

// Remove takes [lo, hi) out of the set and returns how many offsets of it were
// there. Taking the middle out of a range makes two of it, also in a full set.
func (s *Ranges) Remove(lo, hi uint64) (gone uint64) {
	if lo >= hi {
		return 0
	}
	i := s.search(lo)
	if i < len(s.r) && s.r[i].Lo < lo && s.r[i].Hi > hi { // the middle
		s.insert(i+1, Range{hi, s.r[i].Hi})
		s.r[i].Hi = lo
		s.n -= hi - lo
		return hi - lo
	}
	if i < len(s.r) && s.r[i].Lo < lo { // the end of one
		gone += s.r[i].Hi - lo
		s.r[i].Hi = lo
		i++
	}
	j := i
	for ; j < len(s.r) && s.r[j].Hi <= hi; j++ { // whole ones
		gone += s.r[j].Hi - s.r[j].Lo
	}
	if j < len(s.r) && s.r[j].Lo < hi { // the start of one
		gone += hi - s.r[j].Lo
		s.r[j].Lo = hi
	}
	s.r = append(s.r[:i], s.r[j:]...)
	s.n -= gone
	return gone
}

// Cut takes everything below x out of the set.
func (s *Ranges) Cut(x uint64) { s.Remove(0, x) }

// Has reports whether x is in the set.
func (s *Ranges) Has(x uint64) bool {
	i := s.search(x)
	return i < len(s.r) && s.r[i].Lo <= x
}

// Contains reports whether all of [lo, hi) is in the set. An empty range is.
func (s *Ranges) Contains(lo, hi uint64) bool {
	if lo >= hi {
		return true
	}
	i := s.search(lo)
	return i < len(s.r) && s.r[i].Lo <= lo && s.r[i].Hi >= hi
}

// FirstGap returns the first offset at x or behind it that is not in the set.
func (s *Ranges) FirstGap(x uint64) uint64 {
	if i := s.search(x); i < len(s.r) && s.r[i].Lo <= x {
		return s.r[i].Hi
	}
	return x
}

// Next returns the first range at x or behind it, without what lies before x;
// false: there is none.
func (s *Ranges) Next(x uint64) (Range, bool) {
	i := s.search(x)
	if i == len(s.r) {
		return Range{}, false
	}
	return Range{max(s.r[i].Lo, x), s.r[i].Hi}, true
}
