package impairments

import "time"

// Between returns the behaviour that lies step/steps of the way from a to b:
// numbers go linearly, everything else is b's from the first step on.
func Between(a, b Config, step, steps int) Config {
	c := b
	c.Delay = time.Duration(between(int64(a.Delay), int64(b.Delay), step, steps))
	c.Jitter = time.Duration(between(int64(a.Jitter), int64(b.Jitter), step, steps))
	if a.Rate != 0 && b.Rate != 0 { // 0 is no rate at all: there is nothing between
		c.Rate = uint64(between(int64(a.Rate), int64(b.Rate), step, steps))
	}
	c.Loss.Random.P = portion(a.Loss.Random.P, b.Loss.Random.P, step, steps)
	c.Duplicate.P = portion(a.Duplicate.P, b.Duplicate.P, step, steps)
	c.Corrupt.P = portion(a.Corrupt.P, b.Corrupt.P, step, steps)
	c.Reorder.P = portion(a.Reorder.P, b.Reorder.P, step, steps)
	return c
}

func between(a, b int64, step, steps int) int64 {
	return a + (b-a)/int64(steps)*int64(step) + (b-a)%int64(steps)*int64(step)/int64(steps)
}

func portion(a, b float64, step, steps int) float64 {
	if step == steps {
		return b
	}
	return a + float64((b-a)*(float64(step)/float64(steps)))
}
