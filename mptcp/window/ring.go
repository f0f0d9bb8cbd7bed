// Package window holds what a send or receive window is made of: rings of bytes
// addressed by their offset in the stream, and sets of ranges of offsets.
// Offsets are 64 bits wide and count from the start of a stream: they do not
// wrap.
package window

import "math/bits"

// minSize is the least buffer of a ring: a few segments.
const minSize = 8 << 10

// Ring holds the bytes of a window [Start, End) of a stream, at most Cap of
// them. As a send buffer it is written with Append, read anywhere and freed at
// the front. As a reassembly buffer it is written anywhere within the window;
// which of its bytes count is for a Ranges to say, and bytes never written have
// no particular value.
//
// Its buffer grows by doubling as the window needs it and stays until Release.
// The zero value has no room; use NewRing.
type Ring struct {
	buf    []byte // of a power of two: offset o is at o & (len(buf)-1)
	lo, hi uint64
	bound  int
}

// NewRing returns an empty ring at the given offset for at most bound bytes. It
// allocates nothing yet.
func NewRing(at uint64, bound int) Ring { return Ring{lo: at, hi: at, bound: bound} }

// Start returns the offset of the first byte that is not freed.
func (r *Ring) Start() uint64 { return r.lo }

// End returns the offset behind the last byte written.
func (r *Ring) End() uint64 { return r.hi }

// Len returns End - Start.
func (r *Ring) Len() int { return int(r.hi - r.lo) }

// Cap returns the bound: the most bytes that the window may span.
func (r *Ring) Cap() int { return r.bound }

// Room returns how many bytes Append would take.
func (r *Ring) Room() int { return max(0, r.bound-r.Len()) }

// Size returns how many bytes are allocated.
func (r *Ring) Size() int { return len(r.buf) }

// SetCap changes the bound. A bound below Len loses nothing: the ring takes no
// more until enough is freed.
func (r *Ring) SetCap(bound int) { r.bound = bound }

// Append writes p behind End and returns how much of it found room.
func (r *Ring) Append(p []byte) int { return r.Write(r.hi, p) }

// Write places p at offset off, not before Start, and returns how many bytes
// from the front of p lie within the bound; the rest is not kept. What stood
// there is overwritten.
func (r *Ring) Write(off uint64, p []byte) int {
	if off < r.lo {
		panic("BUG: write before the window")
	}
	end := r.lo + uint64(max(r.bound, 0))
	if off >= end || len(p) == 0 {
		return 0
	}
	p = p[:min(uint64(len(p)), end-off)]
	last := off + uint64(len(p))
	if need := last - r.lo; need > uint64(len(r.buf)) {
		r.grow(need)
	}
	at := off & uint64(len(r.buf)-1)
	n := copy(r.buf[at:], p)
	copy(r.buf, p[n:])
	r.hi = max(r.hi, last)
	return len(p)
}

// grow moves the window into a buffer of at least need bytes.
func (r *Ring) grow(need uint64) {
	size := max(minSize, uint64(1)<<bits.Len64(need-1))
	old := *r
	r.buf = make([]byte, size)
	for off := old.lo; off < old.hi; {
		p := old.Peek(off)
		at := off & (size - 1)
		off += uint64(copy(r.buf[at:], p))
	}
}

// ReadAt copies bytes from offset off on into b and returns how many: fewer than
// len(b) only at End. Nothing lies before Start.
func (r *Ring) ReadAt(off uint64, b []byte) int {
	if off < r.lo || off >= r.hi {
		return 0
	}
	b = b[:min(uint64(len(b)), r.hi-off)]
	n := copy(b, r.buf[off&uint64(len(r.buf)-1):])
	copy(b[n:], r.buf)
	return len(b)
}

// Peek returns bytes from offset off on, as many as lie in one piece: all up to
// End unless the ring wraps between. They are valid until the next Write, Append
// or Release.
func (r *Ring) Peek(off uint64) []byte {
	if off < r.lo || off >= r.hi {
		return nil
	}
	at := off & uint64(len(r.buf)-1)
	n := min(r.hi-off, uint64(len(r.buf))-at)
	return r.buf[at : at+n]
}

// Free gives up everything before offset to, which may lie behind End: then the
// ring is empty and goes on there. Going back does nothing.
func (r *Ring) Free(to uint64) {
	r.lo = max(r.lo, to)
	r.hi = max(r.hi, r.lo)
}

// Release gives the buffer of an empty ring back, for a connection that idles.
func (r *Ring) Release() {
	if r.lo == r.hi {
		r.buf = nil
	}
}
