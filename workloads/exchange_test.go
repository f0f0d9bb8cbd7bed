package workloads

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

func exchangePair(x Exchange) (*ExchangeClient, *ExchangeServer) {
	return &ExchangeClient{Exchange: x, Data: NewStream(1, "up"), Draws: NewStream(1, "draws"), Meter: NewMeter()},
		&ExchangeServer{Exchange: x, Data: NewStream(1, "down"), Meter: NewMeter()}
}

func TestExchange(t *testing.T) {
	x := Exchange{Request: Draw[int]{A: 500}, Response: Draw[int]{A: 100_000}, Count: 7, Think: Draw[time.Duration]{A: 300 * time.Millisecond}}
	c, s := exchangePair(x)
	took := time.Duration(play(t, &fakeHost{room: 8000}, c, s))
	if len(c.Times) != 7 || c.Meter.Read != 700_000 || s.Meter.Read != 3500 || c.Meter.Errors+s.Meter.Errors != 0 {
		t.Fatalf("%d responses, %d and %d bytes, errors %v %v", len(c.Times), c.Meter.Read, s.Meter.Read, c.Meter.Err, s.Meter.Err)
	}
	if c.Meter.SHA256Received() != s.Meter.SHA256Sent() || c.Meter.SHA256Sent() != s.Meter.SHA256Received() {
		t.Error("digests differ")
	}
	if took < 1800*time.Millisecond || took > 2*time.Second {
		t.Errorf("six pauses of 300 ms took %v", took)
	}
	for _, d := range c.Times {
		if d <= 0 || d > 50*time.Millisecond {
			t.Errorf("response time %v has thinking in it", d)
		}
	}
}

// A broken connection is an error; with Reconnect the request is repeated on a
// new one, without it the flow ends.
func TestExchangeReconnects(t *testing.T) {
	for _, reconnect := range []time.Duration{0, 3 * time.Second} {
		x := Exchange{Request: Draw[int]{A: 100}, Response: Draw[int]{A: 5000}, Count: 3, Think: Draw[time.Duration]{A: time.Second}, Reconnect: reconnect}
		c, s := exchangePair(x)
		h := &fakeHost{room: 1000}
		now := clock.Instant(0)
		for ; len(c.Times) < 1; now = now.Add(time.Millisecond) {
			s.Step(now, h)
			c.Step(now, h)
		}
		h.dialed[0].ends[1].aborted = true // the server's end breaks while the client thinks
		done := false
		for end := now.Add(20 * time.Second); now < end && !done; now = now.Add(time.Millisecond) {
			s.Step(now, h)
			_, done = c.Step(now, h)
		}
		want, dials := 1, 1
		if reconnect > 0 {
			want, dials = 3, 2
		}
		if !done || len(c.Times) != want || len(h.dialed) != dials || c.Meter.Errors != 1 {
			t.Errorf("reconnect %v: done %v, %d responses over %d connections, %d errors", reconnect, done, len(c.Times), len(h.dialed), c.Meter.Errors)
		}
		if reconnect > 0 && (c.Times[1] < reconnect || c.Times[2] >= reconnect) {
			t.Errorf("response times %v: the one that broke counts from its first attempt", c.Times)
		}
	}
}

func TestExchangeStop(t *testing.T) {
	c, s := exchangePair(Exchange{Request: Draw[int]{A: 10}, Response: Draw[int]{A: 10}, Count: 100, Think: Draw[time.Duration]{A: time.Second}})
	h := &fakeHost{room: 1000}
	now := clock.Instant(0)
	for ; len(c.Times) < 2; now = now.Add(time.Millisecond) {
		s.Step(now, h)
		c.Step(now, h)
	}
	c.Stop()
	play(t, h, c, s)
	if n := len(c.Times); n < 2 || n > 3 {
		t.Errorf("%d responses after a stop at 2", n)
	}
}

func TestDraws(t *testing.T) {
	s := NewStream(3, "draws")
	if d := (Draw[time.Duration]{A: 5 * time.Millisecond}).From(s); d != 5*time.Millisecond {
		t.Errorf("fixed draw %v", d)
	}
	var exp, uni time.Duration
	const n = 20_000
	for range n {
		exp += Draw[time.Duration]{Kind: "exp", A: time.Second}.From(s)
		u := Draw[time.Duration]{Kind: "uniform", A: time.Second, B: 3 * time.Second}.From(s)
		if u < time.Second || u >= 3*time.Second {
			t.Fatalf("uniform draw %v", u)
		}
		uni += u
	}
	// five standard errors: 35 ms for the exponential, 20 ms for the uniform one
	if m := exp / n; m < 965*time.Millisecond || m > 1035*time.Millisecond {
		t.Errorf("mean of exponential draws %v", m)
	}
	if m := uni / n; m < 1980*time.Millisecond || m > 2020*time.Millisecond {
		t.Errorf("mean of uniform draws %v", m)
	}
}
