package workloads

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Source is the bytes that one direction of a flow carries.
type Source interface {
	Fill(p []byte) // writes the next len(p) bytes
}

// SHA256 returns the digest of the next n bytes of a source in hexadecimal.
func SHA256(s Source, n uint64) string {
	sum := sha256.New()
	buf := make([]byte, chunk)
	for n > 0 {
		p := buf[:min(n, chunk)]
		s.Fill(p)
		sum.Write(p)
		n -= uint64(len(p))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Content is a source that has its bytes: those of a file.
type Content struct{ rest []byte }

// NewContent returns the source of b, which is not copied.
func NewContent(b []byte) *Content { return &Content{b} }

// Fill implements Source. Behind the end there is nothing to be had: a flow sends
// as many bytes as there are.
func (c *Content) Fill(p []byte) { c.rest = c.rest[copy(p, c.rest):] }

// Stream generates the bytes that a flow carries: pseudo-random, the same for the
// same seed, so that a byte delivered in the wrong place can't go unnoticed.
type Stream struct {
	state uint64
	word  [8]byte
	left  int // bytes of word not yet handed out
}

// NewStream returns the stream of one direction of a flow: the name keeps the
// streams of a run apart.
func NewStream(seed uint64, name string) *Stream {
	h := uint64(14695981039346656037) ^ seed*0x9E3779B97F4A7C15
	for i := 0; i < len(name); i++ {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return &Stream{state: h}
}

// next is SplitMix64 (Steele, Lea, Flood 2014).
func (s *Stream) next() uint64 {
	s.state += 0x9E3779B97F4A7C15
	z := s.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Fill writes the next len(p) bytes of the stream.
func (s *Stream) Fill(p []byte) {
	n := copy(p, s.word[8-s.left:])
	s.left -= n
	p = p[n:]
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, s.next())
		p = p[8:]
	}
	if len(p) > 0 {
		binary.LittleEndian.PutUint64(s.word[:], s.next())
		s.left = 8 - copy(p, s.word[:])
	}
}

// Uniform returns a draw from [0, 1).
func (s *Stream) Uniform() float64 { return float64(s.next()>>11) / (1 << 53) }
