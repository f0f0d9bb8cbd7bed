package impairments

import "time"

// distScale is netem's NETEM_DIST_SCALE: one standard deviation in its tables.
const distScale = 8192

// delayOf returns the delay that the draw r gives a packet, never below zero.
func (c *Config) delayOf(r uint64) time.Duration {
	if c.Jitter <= 0 {
		return max(c.Delay, 0)
	}
	var d time.Duration
	switch c.Distribution {
	case Normal:
		d = scaled(c.Jitter, normalAt(r))
	case Pareto:
		d = scaled(c.Jitter, paretoAt(r))
	case ParetoNormal: // iproute2's paretonormal.c: a quarter normal, the rest Pareto
		d = scaled(c.Jitter, (normalAt(r)+3*paretoAt(r))/4)
	default:
		d = time.Duration(below(r, 2*uint64(c.Jitter)+1)) - c.Jitter
	}
	return max(c.Delay+d, 0)
}

// scaled returns x/distScale of sigma.
func scaled(sigma time.Duration, x int64) time.Duration {
	return sigma/distScale*time.Duration(x) + sigma%distScale*time.Duration(x)/distScale
}

// normalAt returns a quantile of the standard normal distribution. A high r is a
// high quantile.
func normalAt(r uint64) int64 {
	i := int(r >> 52) // 12 bits
	if i >= len(normal) {
		return int64(normal[i-len(normal)])
	}
	return -int64(normal[len(normal)-1-i])
}

// paretoAt returns a quantile of netem's Pareto distribution: u^(-1/3) with mean
// 3/2 shifted to 0, scaled by 4/3 and cut at 4 sigma (iproute2's pareto.c).
func paretoAt(r uint64) int64 {
	u := 65536 - r>>48 // 1 to 65536; a high r is a high quantile
	y := int64(cubeRoot(1 << 55 / u))
	return min((y-distScale*3/2)*4/3, 32767)
}

// cubeRoot returns the integer part of the cube root, bit by bit (Hacker's
// Delight, 11-2).
func cubeRoot(x uint64) uint64 {
	var y uint64
	for s := 63; s >= 0; s -= 3 {
		y += y
		b := 3*y*(y+1) + 1
		if x>>s >= b {
			x -= b << s
			y++
		}
	}
	return y
}
