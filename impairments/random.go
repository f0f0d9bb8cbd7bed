package impairments

import "math/bits"

// A stream is one stage's source of randomness in one direction of one link. It
// is addressed, not stepped: what a packet draws depends only on the seed, the
// stream's name and the packet's number. So switching a stage on or changing its
// parameters shifts no other draw, and two runs can be compared packet by packet.
//
// The function is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014) with a start of its own for each stream.
type stream uint64

const golden = 0x9e3779b97f4a7c15

// mix is SplitMix64's finalizer.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// newStream returns the stream of that name under a seed.
func newStream(seed uint64, name string) stream {
	h := mix(seed + golden)
	for i := 0; i < len(name); i++ {
		h = mix((h ^ uint64(name[i])) + golden)
	}
	return stream(h)
}

// Seed returns a seed of its own for the thing of that name under seed: the seed
// tree of a run, in which a new branch changes no other.
func Seed(seed uint64, name string) uint64 { return uint64(newStream(seed, name)) }

// draw returns the n-th number of the stream.
func (s stream) draw(n uint64) uint64 { return mix(uint64(s) + n*golden) }

// below maps a draw to 0 <= x < n without floating point.
func below(r, n uint64) uint64 {
	hi, _ := bits.Mul64(r, n)
	return hi
}

// threshold is the probability p as a bound for 32-bit draws.
func threshold(p float64) uint64 {
	if p <= 0 {
		return 0
	}
	return uint64(min(p, 1) * (1 << 32))
}

// A correlated is a Chance with netem's memory of the draw before: each draw is
// the weighted mean of a fresh one and the last.
type correlated struct {
	bound, rho uint64 // 32-bit fixed point
	last       uint64
}

func (c *correlated) set(ch Chance) {
	c.bound, c.rho = threshold(ch.P), 0
	if ch.Correlation > 0 {
		c.rho = min(threshold(ch.Correlation)+1, 1<<32)
	}
}

// hit reports whether the draw r meets the chance.
func (c *correlated) hit(r uint64) bool {
	if c.bound == 0 {
		return false
	}
	v := r >> 32
	if c.rho != 0 { // get_crandom in net/sched/sch_netem.c
		v = (v*(1<<32-c.rho) + c.last*c.rho) >> 32
		c.last = v
	}
	return v < c.bound
}
