package clock

import (
	"math"
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	for _, c := range []struct {
		i    Instant
		d    time.Duration
		want Instant
	}{
		{0, 0, 0},
		{5, 7, 12},
		{5, -7, -2},
		{Never, 0, Never},
		{Never, -time.Hour, Never},
		{Never - 1, 1, Never},
		{Never - 1, 2, Never},
		{1, math.MaxInt64, Never},
		{-1, math.MaxInt64, Never - 1},
	} {
		if got := c.i.Add(c.d); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.i, c.d, got, c.want)
		}
	}
	if d := Instant(3).Sub(5); d != -2 {
		t.Errorf("3 - 5 = %d", d)
	}
	if s := Instant(1500 * time.Millisecond).Seconds(); s != 1.5 {
		t.Errorf("1.5 s is %v s", s)
	}
	if Min(1, 2) != 1 || Min(2, 1) != 1 || Min(Never, 3) != 3 || Min(-1, Never) != -1 {
		t.Error("Min is not the earlier one")
	}
}

func TestTimers(t *testing.T) {
	const (
		a = iota
		b
		c
		n
	)
	ts := NewTimers(n)
	if ts.Next() != Never || ts.Armed(a) || ts.Expired(a, Never) {
		t.Error("a new timer runs")
	}
	ts.Set(a, 10)
	ts.Set(b, 5)
	ts.Set(b, 20) // replaces
	if ts.Next() != 10 || !ts.Armed(a) || !ts.Armed(b) || ts.Armed(c) {
		t.Errorf("next %d", ts.Next())
	}
	if ts.Expired(a, 9) {
		t.Error("expired early")
	}
	if !ts.Expired(a, 10) || ts.Armed(a) || ts.Expired(a, 10) {
		t.Error("expires once, at its time")
	}
	if ts.Next() != 20 {
		t.Errorf("next %d, want 20", ts.Next())
	}
	ts.Set(c, Never)
	if ts.Armed(c) {
		t.Error("a timer for never is armed")
	}
	ts.Stop(b)
	if ts.Next() != Never || ts.Expired(b, 100) {
		t.Error("a stopped timer runs")
	}
	if n := testing.AllocsPerRun(10, func() { ts.Set(a, 1); ts.Next(); ts.Expired(a, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
