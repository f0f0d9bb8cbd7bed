package netem

import (
	"math"

	"mptcplab/impairments"
)

const (
	tableSize  = 4096 // entries; the kernel takes up to 16,384
	tableScale = 8192 // one standard deviation (NETEM_DIST_SCALE)
	shape      = 3    // of the Pareto distribution, as in iproute2's pareto.c
)

// distribution returns the table for jitter of that distribution: quantiles at
// equal steps, in units of the jitter divided by 8,192, from which the kernel draws.
// They follow iproute2's generators (netem/normal.c, pareto.c, paretonormal.c), so
// that "distribution normal" here and in tc(8) mean the same.
func distribution(d impairments.Distribution) []int16 {
	table := make([]int16, tableSize)
	for i := range table {
		var v float64
		switch d {
		case impairments.Normal:
			v = normal(i)
		case impairments.Pareto:
			v = pareto(i)
		case impairments.ParetoNormal:
			v = math.Trunc((normal(i) + 3*pareto(i)) / 4)
		default: // evenly from -1 to 1 jitter
			v = (float64(2*i+1)/tableSize - 1) * tableScale
		}
		table[i] = int16(min(max(math.RoundToEven(v), math.MinInt16), math.MaxInt16))
	}
	return table
}

// normal is quantile i of the normal distribution.
func normal(i int) float64 {
	p := (float64(i) + 0.125) / tableSize // the upper edge of the first of its four bins
	return math.RoundToEven(math.Sqrt2 * math.Erfinv(2*p-1) * tableScale)
}

// pareto is quantile i of the Pareto distribution of shape 3, less its mean and
// scaled.
func pareto(i int) float64 {
	v := (math.Pow(1-float64(i)/tableSize, -1.0/shape) - 1.5) * (4.0 / 3.0) * tableScale
	return math.RoundToEven(min(v, math.MaxInt16))
}
