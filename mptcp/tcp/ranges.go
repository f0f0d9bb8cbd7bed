package tcp

import "mptcplab/mptcp/wire"

// span is the range [left, right) of sequence space.
type span struct{ left, right wire.Seq }

func (s span) len() int { return s.right.Sub(s.left) }

// touches reports whether s and o share a byte or adjoin.
func (s span) touches(o span) bool { return s.left.LessEq(o.right) && o.left.LessEq(s.right) }

// maxRanges bounds what a peer can make us remember with tiny segments.
const maxRanges = 4096

// rangeSet is a set of sequence numbers as disjoint spans in ascending order.
type rangeSet struct{ spans []span }

func (r *rangeSet) empty() bool { return len(r.spans) == 0 }

// find returns the index of the first span that ends behind seq. Most arrivals
// are at the right end: it looks from there.
func (r *rangeSet) find(seq wire.Seq) int {
	i := len(r.spans)
	for i > 0 && seq.Less(r.spans[i-1].right) {
		i--
	}
	return i
}

// add includes n and returns the span that holds it now.
func (r *rangeSet) add(n span) span {
	i := r.find(n.left)
	if i > 0 && r.spans[i-1].right == n.left {
		i--
	}
	j := i
	for j < len(r.spans) && r.spans[j].left.LessEq(n.right) {
		if r.spans[j].left.Less(n.left) {
			n.left = r.spans[j].left
		}
		if n.right.Less(r.spans[j].right) {
			n.right = r.spans[j].right
		}
		j++
	}
	if j == i {
		r.spans = append(r.spans, span{})
		copy(r.spans[i+1:], r.spans[i:])
		r.spans[i] = n
		return n
	}
	r.spans[i] = n
	r.spans = append(r.spans[:i+1], r.spans[j:]...)
	return n
}

// gap returns the first part of s that is not in the set; false: there is none.
func (r *rangeSet) gap(s span) (span, bool) {
	for i := r.find(s.left); i < len(r.spans) && s.len() > 0; i++ {
		o := r.spans[i]
		if s.left.Less(o.left) {
			if o.left.Less(s.right) {
				s.right = o.left
			}
			break
		}
		s.left = o.right
	}
	return s, s.len() > 0
}

// overlap returns the first part of s that is in the set; false: there is none.
func (r *rangeSet) overlap(s span) (span, bool) {
	i := r.find(s.left)
	if i == len(r.spans) || s.right.LessEq(r.spans[i].left) {
		return span{}, false
	}
	o := r.spans[i]
	if s.left.Less(o.left) {
		s.left = o.left
	}
	if o.right.Less(s.right) {
		s.right = o.right
	}
	return s, true
}

// advance removes what begins at or before next and returns where the contiguous
// part ends now.
func (r *rangeSet) advance(next wire.Seq) wire.Seq {
	i := 0
	for i < len(r.spans) && r.spans[i].left.LessEq(next) {
		if next.Less(r.spans[i].right) {
			next = r.spans[i].right
		}
		i++
	}
	if i > 0 {
		r.spans = append(r.spans[:0], r.spans[i:]...)
	}
	return next
}
