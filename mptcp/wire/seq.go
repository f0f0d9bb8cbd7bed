package wire

// Seq is a TCP sequence number: absolute on the wire, or relative to the initial
// sequence number where a comment says so ("ssn"; the SYN is 0 then). Arithmetic
// is modulo 2^32 (RFC 9293, 3.4).
type Seq uint32

// Add returns s+n.
func (s Seq) Add(n int) Seq { return s + Seq(uint32(n)) }

// Sub returns the distance from o to s in sequence space: s-o, between -2^31 and 2^31-1.
func (s Seq) Sub(o Seq) int { return int(int32(s - o)) }

// Less reports whether s is before o.
func (s Seq) Less(o Seq) bool { return int32(s-o) < 0 }

// LessEq reports whether s is o or before it.
func (s Seq) LessEq(o Seq) bool { return int32(s-o) <= 0 }

// DSN is a 64-bit data sequence number (RFC 8684, 3.3.1), absolute: the first
// octet of data is IDSN+1. It may wrap, so compare it with Less.
type DSN uint64

// Add returns d+n.
func (d DSN) Add(n int) DSN { return d + DSN(int64(n)) }

// Sub returns the distance from o to d.
func (d DSN) Sub(o DSN) int { return int(int64(d - o)) }

// Less reports whether d is before o.
func (d DSN) Less(o DSN) bool { return int64(d-o) < 0 }

// LessEq reports whether d is o or before it.
func (d DSN) LessEq(o DSN) bool { return int64(d-o) <= 0 }
