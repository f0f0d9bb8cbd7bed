package workloads

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

func bulkPair(up, down Amount, p Pattern) (*BulkClient, *BulkServer) {
	c, s := &BulkClient{}, &BulkServer{}
	c.BulkEnd = BulkEnd{Send: up, Pattern: p, Data: NewStream(1, "up"), Meter: NewMeter()}
	s.BulkEnd = BulkEnd{Send: down, Pattern: p, Data: NewStream(1, "down"), Meter: NewMeter()}
	return c, s
}

func TestBulkMovesBothDirections(t *testing.T) {
	for _, v := range []struct{ up, down uint64 }{{0, 1_000_000}, {1_000_000, 0}, {300_000, 700_000}, {1, 1}} {
		c, s := bulkPair(Amount{Bytes: v.up}, Amount{Bytes: v.down}, Pattern{})
		play(t, &fakeHost{room: 10_000}, c, s)
		if s.Meter.Read != v.up || c.Meter.Read != v.down {
			t.Errorf("up %d, down %d: moved %d and %d", v.up, v.down, s.Meter.Read, c.Meter.Read)
		}
		if c.Meter.SHA256Sent() != s.Meter.SHA256Received() || s.Meter.SHA256Sent() != c.Meter.SHA256Received() {
			t.Errorf("up %d, down %d: digests differ", v.up, v.down)
		}
		if !c.Meter.EOF || !s.Meter.EOF || c.Meter.Finished == clock.Never || s.Meter.Finished == clock.Never {
			t.Errorf("up %d, down %d: not finished", v.up, v.down)
		}
	}
}

// Who sends nothing ends its direction after the other has.
func TestBulkNoEarlyHalfClose(t *testing.T) {
	h := &fakeHost{room: 1000}
	c, s := bulkPair(Amount{}, Amount{Bytes: 50_000}, Pattern{})
	for now := clock.Instant(0); s.Meter.Written < 40_000; now++ {
		s.Step(now, h)
		c.Step(now, h)
		if len(h.dialed) > 0 && h.dialed[0].ends[0].closed {
			t.Fatalf("the client closed after %d bytes", s.Meter.Written)
		}
	}
}

func TestBulkPatterns(t *testing.T) {
	for _, v := range []struct {
		name     string
		amount   Amount
		p        Pattern
		min, max time.Duration
	}{
		{"first and pause", Amount{Bytes: 100_000}, Pattern{First: 100, Pause: 200 * time.Millisecond}, 200 * time.Millisecond, 250 * time.Millisecond},
		{"every write pauses", Amount{Bytes: 500}, Pattern{Max: 50, Pause: 200 * time.Millisecond}, 1800 * time.Millisecond, 2100 * time.Millisecond},
		{"bitrate", Amount{Bytes: 1_000_000}, Pattern{Bitrate: 8_000_000}, 990 * time.Millisecond, 1050 * time.Millisecond},
		{"for a time", Amount{Time: 2 * time.Second}, Pattern{Bitrate: 1_000_000}, 2 * time.Second, 2100 * time.Millisecond},
	} {
		c, s := bulkPair(v.amount, Amount{}, v.p)
		took := time.Duration(play(t, &fakeHost{room: 100_000}, c, s))
		if took < v.min || took > v.max {
			t.Errorf("%s: took %v, want %v to %v", v.name, took, v.min, v.max)
		}
		if c.Meter.SHA256Sent() != s.Meter.SHA256Received() || v.amount.Bytes > 0 && s.Meter.Read != v.amount.Bytes {
			t.Errorf("%s: %d bytes", v.name, s.Meter.Read)
		}
	}
}

func TestBulkStopped(t *testing.T) {
	h := &fakeHost{room: 1000}
	c, s := bulkPair(Amount{Time: time.Hour}, Amount{}, Pattern{})
	for now := clock.Instant(0); c.Meter.Written < 40_000; now++ {
		c.Step(now, h)
		s.Step(now, h)
	}
	c.Stopped = true
	play(t, h, c, s)
	if s.Meter.Read != c.Meter.Written || !s.Meter.EOF {
		t.Errorf("written %d, read %d", c.Meter.Written, s.Meter.Read)
	}
}

func TestBulkRefused(t *testing.T) {
	c, _ := bulkPair(Amount{Bytes: 1}, Amount{}, Pattern{})
	c.Start = time.Second
	if at, done := c.Step(0, &fakeHost{refuse: 1}); at != clock.Instant(time.Second) || done {
		t.Errorf("before its start: %v, %v", at, done)
	}
	if _, done := c.Step(clock.Instant(time.Second), &fakeHost{refuse: 1}); !done || c.Meter.Err == nil || c.Meter.Errors != 1 {
		t.Errorf("done %v, error %v", done, c.Meter.Err)
	}
}

// The stream is the same for the same seed and name however it is cut, and
// another for others.
func TestStream(t *testing.T) {
	whole := make([]byte, 1000)
	NewStream(7, "get/down").Fill(whole)
	for _, cut := range []int{1, 3, 8, 13, 64, 999} {
		s := NewStream(7, "get/down")
		var got []byte
		for len(got) < len(whole) {
			p := make([]byte, min(cut, len(whole)-len(got)))
			s.Fill(p)
			got = append(got, p...)
		}
		if string(got) != string(whole) {
			t.Errorf("cut into pieces of %d bytes the stream is another", cut)
		}
	}
	for _, other := range []*Stream{NewStream(8, "get/down"), NewStream(7, "get/up")} {
		p := make([]byte, len(whole))
		other.Fill(p)
		if string(p) == string(whole) {
			t.Error("two streams are the same")
		}
	}
	u := NewStream(1, "u")
	sum := 0.0
	for range 10_000 {
		v := u.Uniform()
		if v < 0 || v >= 1 {
			t.Fatalf("uniform draw %v", v)
		}
		sum += v
	}
	if sum < 4850 || sum > 5150 { // 5 standard deviations of the sum are 144
		t.Errorf("mean of uniform draws %v", sum/10_000)
	}
}
