package impairments

import (
	"testing"
	"time"
)

func TestBetween(t *testing.T) {
	a := Config{Rate: 20e6, Delay: 10 * time.Millisecond}
	b := Config{Rate: 10e6, Delay: 30 * time.Millisecond, Loss: Loss{Random: Chance{P: 0.5}}, Blackhole: true}
	for _, c := range []struct {
		step  int
		rate  uint64
		delay time.Duration
		loss  float64
	}{
		{0, 20e6, 10 * time.Millisecond, 0},
		{1, 17.5e6, 15 * time.Millisecond, 0.125},
		{2, 15e6, 20 * time.Millisecond, 0.25},
		{4, 10e6, 30 * time.Millisecond, 0.5},
	} {
		got := Between(a, b, c.step, 4)
		if got.Rate != c.rate || got.Delay != c.delay || got.Loss.Random.P != c.loss {
			t.Errorf("step %d: rate %d delay %v loss %v, want %d %v %v", c.step, got.Rate, got.Delay, got.Loss.Random.P, c.rate, c.delay, c.loss)
		}
	}
	if got := Between(Config{}, Config{Rate: 5e6}, 1, 4); got.Rate != 5e6 {
		t.Errorf("from no rate: %d, want the new rate at once", got.Rate)
	}
}
