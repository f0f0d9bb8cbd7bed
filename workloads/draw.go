package workloads

import (
	"math"
	"time"
)

// Draw is a time or a size in bytes that is fixed ("": A), exponential ("exp":
// mean A) or uniform ("uniform": from A to B). A size is at least one byte.
type Draw[T time.Duration | int] struct {
	Kind string
	A, B T
}

// From draws one value.
func (d Draw[T]) From(s *Stream) T {
	switch d.Kind {
	case "exp":
		return max(d.least(), T(-math.Log1p(-s.Uniform())*float64(d.A)))
	case "uniform":
		return max(d.least(), d.A+T(s.Uniform()*float64(d.B-d.A)))
	}
	return d.A
}

func (Draw[T]) least() T {
	var t T
	if _, size := any(t).(int); size {
		return 1
	}
	return 0
}
