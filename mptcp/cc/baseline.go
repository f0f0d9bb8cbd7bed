package cc

// ewtcp is Equally-Weighted TCP (Honda et al., "Multipath congestion control for
// shared bottleneck", PFLDNeT 2009), as a baseline: each of n subflows takes 1/n of
// what a TCP would on its path, whatever the others do. The window of an increase
// of a/w for each segment and a halving for each loss is sqrt(2a/p): the weight 1/n
// is a = 1/n^2.
type ewtcp struct{ halving }

func (ewtcp) increase(c *coupled) float64 {
	n := 0
	for _, m := range c.family.members {
		if m.bytes() > 0 {
			n++
		}
	}
	if n == 0 {
		return c.alone()
	}
	return c.alone() / float64(n*n)
}

// fullyCoupled is COUPLED (Wischik et al., "Design, implementation and evaluation
// of congestion control for multipath TCP", NSDI 2011, 2.2; Kelly and Voice 2005),
// as a baseline: all windows together behave as one of TCP, so everything moves to
// the paths with the least loss.
type fullyCoupled struct{}

// increase is 1/w_total for each segment acknowledged.
func (fullyCoupled) increase(c *coupled) float64 {
	if total := c.family.total(); total > 0 {
		return min(float64(c.flow.MSS)/total, c.alone())
	}
	return c.alone()
}

// decrease takes w_total/2. A window of one segment stays, to probe the path.
func (fullyCoupled) decrease(c *coupled) int {
	w := float64(c.flow.Cwnd) - c.family.total()/float64(2*c.flow.MSS)
	if c.bytes() == 0 {
		w = float64(c.flow.Cwnd) / 2
	}
	return max(int(w), 1)
}

// total returns the bytes of all windows.
func (fam *coupledFamily) total() float64 {
	var total float64
	for _, m := range fam.members {
		total += m.bytes()
	}
	return total
}
