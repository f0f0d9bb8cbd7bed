package expect

import (
	"fmt"
	"math"
	"strconv"

	"mptcplab/topology/decode"
)

// format writes a value of the comparison with the unit that people would choose.
func (c *Comparison) format(v Value) string {
	d := c.left.dim()
	if d.zero {
		d = c.right.dim()
	}
	switch {
	case d.kind == decode.Truth:
		return strconv.FormatBool(v.Truth)
	case d.kind == decode.Words:
		if v.Text == "" {
			return `""`
		}
		return v.Text
	case d.bits == 1 && d.sec == 0:
		return scaled(v.Number/8, []string{"B", "KB", "MB", "GB"}, 1000)
	case d.bits == 1 && d.sec == -1:
		return scaled(v.Number, []string{"bit", "kbit", "mbit", "gbit"}, 1000)
	case d.bits == 0 && d.sec == 1:
		return formatTime(v.Number)
	case d.bits == 0 && d.sec == 0:
		return digits(v.Number)
	}
	return digits(v.Number) + fmt.Sprintf(" bit^%d s^%d", d.bits, d.sec)
}

func scaled(v float64, units []string, by float64) string {
	k := 0
	for math.Abs(v) >= by && k < len(units)-1 {
		v /= by
		k++
	}
	return digits(v) + units[k]
}

func formatTime(s float64) string {
	switch a := math.Abs(s); {
	case a == 0:
		return "0s"
	case a < 1e-6:
		return digits(s*1e9) + "ns"
	case a < 1e-3:
		return digits(s*1e6) + "us"
	case a < 1:
		return digits(s*1e3) + "ms"
	}
	return digits(s) + "s"
}

// digits writes five significant digits, integers in full.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}
