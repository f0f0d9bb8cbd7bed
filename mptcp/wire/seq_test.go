package wire

import "testing"

func TestSeq(t *testing.T) {
	for _, c := range []struct {
		a, b Seq
		diff int // a - b
	}{
		{5, 3, 2}, {3, 5, -2}, {7, 7, 0},
		{2, 0xfffffffe, 4}, {0xfffffffe, 2, -4}, // across the wrap
		{0x7fffffff, 0, 1<<31 - 1}, {0x80000000, 0, -1 << 31},
	} {
		if got := c.a.Sub(c.b); got != c.diff {
			t.Errorf("%d - %d = %d, want %d", c.a, c.b, got, c.diff)
		}
		if got := c.b.Add(c.diff); got != c.a {
			t.Errorf("%d + %d = %d, want %d", c.b, c.diff, got, c.a)
		}
		if c.a.Less(c.b) != (c.diff < 0) || c.a.LessEq(c.b) != (c.diff <= 0) {
			t.Errorf("%d and %d: Less %v, LessEq %v", c.a, c.b, c.a.Less(c.b), c.a.LessEq(c.b))
		}
	}
}

func TestDSN(t *testing.T) {
	const top = ^DSN(0)
	for _, c := range []struct {
		a, b DSN
		diff int
	}{
		{5, 3, 2}, {3, 5, -2}, {7, 7, 0}, {2, top - 1, 4}, {top - 1, 2, -4}, {1 << 40, 0, 1 << 40},
	} {
		if got := c.a.Sub(c.b); got != c.diff {
			t.Errorf("%d - %d = %d, want %d", c.a, c.b, got, c.diff)
		}
		if got := c.b.Add(c.diff); got != c.a {
			t.Errorf("%d + %d = %d, want %d", c.b, c.diff, got, c.a)
		}
		if c.a.Less(c.b) != (c.diff < 0) || c.a.LessEq(c.b) != (c.diff <= 0) {
			t.Errorf("%d and %d: Less %v, LessEq %v", c.a, c.b, c.a.Less(c.b), c.a.LessEq(c.b))
		}
	}
}

func TestSegmentLen(t *testing.T) {
	for _, c := range []struct {
		f    Flags
		n    int
		want int
	}{{ACK, 0, 0}, {ACK, 10, 10}, {SYN, 0, 1}, {FIN | ACK, 10, 11}, {SYN | FIN, 10, 12}, {RST, 0, 0}} {
		s := Segment{Flags: c.f, Payload: make([]byte, c.n)}
		if s.Len() != c.want {
			t.Errorf("%v with %d bytes: %d, want %d", c.f, c.n, s.Len(), c.want)
		}
	}
}
