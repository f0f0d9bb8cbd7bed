package cc

// balia is the Balanced Linked Adaptation Algorithm (Peng et al., "Multipath TCP:
// Analysis, Design, and Implementation", IEEE/ACM ToN 2016; draft-walid-mptcp-
// congestion-control; mptcp_balia.c of Linux out of tree).
type balia struct{}

// increase is, for each segment acknowledged on path r with x = w/rtt and
// a = MAX(x)/x_r,
//
//	x_r/rtt_r / (SUM x)^2 * (1+a)/2 * (4+a)/5
func (balia) increase(c *coupled) float64 {
	x := c.rate()
	if x == 0 {
		return c.alone()
	}
	most, sum := c.family.rates()
	a := most / x
	base := float64(c.flow.MSS) * x / c.rtt() / float64(sum*sum)
	return base * ((1 + a) / 2) * ((4 + a) / 5)
}

// decrease takes w_r/2 * MIN(a, 1.5).
func (balia) decrease(c *coupled) int {
	a, w := 1.0, c.flow.Cwnd
	if x := c.rate(); x > 0 {
		most, _ := c.family.rates()
		a = most / x
	}
	return max(w-int(float64(w)/2*min(a, 1.5)), 2)
}
