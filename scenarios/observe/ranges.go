package observe

import "sort"

// span is a half-open range of offsets.
type span struct{ lo, hi int64 }

// ranges is a set of offsets as sorted, disjoint, not adjacent spans. All below
// the floor counts as a member and takes no room.
type ranges struct {
	floor int64
	spans []span
}

// add makes [lo, hi) members and returns how many were not before.
func (r *ranges) add(lo, hi int64) (fresh int64) {
	lo = max(lo, r.floor)
	if lo >= hi {
		return 0
	}
	// The usual case: at the end.
	if n := len(r.spans); n == 0 || r.spans[n-1].hi < lo {
		r.spans = append(r.spans, span{lo, hi})
		return hi - lo
	}
	i := sort.Search(len(r.spans), func(i int) bool { return r.spans[i].hi >= lo })
	j, covered := i, int64(0)
	merged := span{lo, hi}
	for j < len(r.spans) && r.spans[j].lo <= hi {
		s := r.spans[j]
		covered += max(0, min(s.hi, hi)-max(s.lo, lo))
		merged.lo, merged.hi = min(merged.lo, s.lo), max(merged.hi, s.hi)
		j++
	}
	if i == j {
		r.spans = append(r.spans, span{})
		copy(r.spans[i+1:], r.spans[i:])
	} else {
		r.spans = append(r.spans[:i+1], r.spans[j:]...)
	}
	r.spans[i] = merged
	return hi - lo - covered
}

// has reports whether any of [lo, hi) is a member.
func (r *ranges) has(lo, hi int64) bool {
	if lo >= hi || lo < r.floor {
		return lo < hi
	}
	i := sort.Search(len(r.spans), func(i int) bool { return r.spans[i].hi > lo })
	return i < len(r.spans) && r.spans[i].lo < hi
}

// cut raises the floor.
func (r *ranges) cut(floor int64) {
	if floor <= r.floor {
		return
	}
	r.floor = floor
	i := 0
	for i < len(r.spans) && r.spans[i].hi <= floor {
		i++
	}
	if i > 0 {
		r.spans = r.spans[:copy(r.spans, r.spans[i:])]
	}
	if len(r.spans) > 0 && r.spans[0].lo < floor {
		r.spans[0].lo = floor
	}
}
