package expect
import "time"
func Instants(e []Expectation) []time.Duration { return nil }
