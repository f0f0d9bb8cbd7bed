package cc

// lia is the Linked Increases Algorithm (RFC 6356). Slow start and decrease are
// Reno's: "The algorithm we present only applies to the increase phase of the
// congestion avoidance state" (section 3).
type lia struct{ halving }

// increase is
//
// "min ( alpha * bytes_acked * MSS_i / cwnd_total, bytes_acked * MSS_i / cwnd_i )"
// with "alpha = cwnd_total * MAX (cwnd_i/rtt_i^2) / (SUM (cwnd_i/rtt_i))^2"
// (https://www.rfc-editor.org/rfc/rfc6356#section-3), in which cwnd_total cancels
// out; alpha is computed anew for each ACK.
func (lia) increase(c *coupled) float64 {
	var best, sum float64
	for _, m := range c.family.members {
		if x := m.rate(); x > 0 {
			sum += x
			best = max(best, x/m.rtt())
		}
	}
	if best == 0 {
		return c.alone()
	}
	return min(float64(c.flow.MSS)*best/float64(sum*sum), c.alone())
}
