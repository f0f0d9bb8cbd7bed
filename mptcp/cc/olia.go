package cc

// olia is the Opportunistic Linked Increases Algorithm (Khalili et al., "MPTCP Is
// Not Pareto-Optimal", CoNEXT 2012; draft-khalili-mptcp-congestion-control):
// windows follow what is best for the network as a whole, and alpha moves some of
// the growth from the paths with the largest windows to better ones that carry
// little.
type olia struct{ halving }

// increase is, for each segment acknowledged on path r,
//
//	w_r/rtt_r^2 / (SUM w_p/rtt_p)^2 + alpha_r/w_r
//
// with alpha_r = 1/(n |B\M|) for the best paths that have not the largest window,
// -1/(n |M|) for the paths with the largest window if there are such best paths,
// and 0 else.
func (o olia) increase(c *coupled) float64 {
	x := c.rate()
	if x == 0 {
		return c.alone()
	}
	fam := c.family
	_, sum := fam.rates()
	base := float64(c.flow.MSS) * x / c.rtt() / float64(sum*sum)
	return base + float64(o.alpha(c)*c.alone())
}

// alpha moves growth between the paths.
func (olia) alpha(c *coupled) float64 {
	var widest, best float64
	n := 0
	for _, m := range c.family.members {
		if w := m.bytes(); w > 0 {
			n++
			widest, best = max(widest, w), max(best, m.quality())
		}
	}
	var wide, better int // |M|, |B\M|
	for _, m := range c.family.members {
		switch w := m.bytes(); {
		case w == 0:
		case w == widest:
			wide++
		case m.quality() == best:
			better++
		}
	}
	switch {
	case better == 0:
		return 0
	case c.bytes() == widest:
		return -1 / float64(n*wide)
	case c.quality() == best:
		return 1 / float64(n*better)
	}
	return 0
}

// quality ranks a path by l/rtt^2, where l is the larger of the bytes acknowledged
// between the last two losses and since the last one. That is the form of the
// Linux implementation; the paper has l^2/rtt in one place. With loss probability
// p, l estimates 1/p, and a TCP of its own would send sqrt(2/p)/rtt there: l/rtt^2
// is half the square of that rate, so the best path is the one where TCP would
// be fastest, which is what the algorithm's proof asks for. l^2/rtt weighs loss
// against delay four times as much, and prefers satellites.
func (c *coupled) quality() float64 {
	rtt := c.rtt()
	return max(c.sinceLoss, c.betweenLosses) / float64(rtt*rtt)
}
