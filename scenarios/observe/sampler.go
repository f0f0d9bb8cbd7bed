package observe

import (
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/result"
)

// Sample emits the state of all named flows as rows of series.csv: cumulative
// bytes per path and direction, and in-order progress per direction. Paths of
// one name are added up. Call it every 100 ms, and once at the end.
func (o *Observer) Sample(at clock.Instant, run string, emit func(result.Sample)) {
	for _, c := range o.conns {
		if c.Flow == "" || (c.Closed != clock.Never && c.Closed < c.sampled) {
			continue // closed, and sampled since
		}
		c.sampled = at
		for d := Up; d <= Down; d++ {
			c.sample(at, d, run, emit)
		}
	}
}

func (c *Conn) sample(at clock.Instant, d Dir, run string, emit func(result.Sample)) {
	first := c.Subflows[0]
	sender, receiver := first.ClientPlace().Host, first.ServerPlace().Host
	if d == Down {
		sender, receiver = receiver, sender
	}
	row := result.Sample{Run: run, Flow: c.Flow, Direction: d.String(), Time: at.Seconds()}
	put := func(path, host, metric, unit string, v float64) {
		row.Path, row.Host, row.Metric, row.Unit, row.Value = path, host, metric, unit, v
		emit(row)
	}
	put("", receiver, result.MetricDelivered, "bytes", float64(c.Dirs[d].Delivered))
	for i, s := range c.Subflows {
		if c.pathBefore(i) {
			continue
		}
		n := c.PathCounters(s.Path, d)
		put(s.Path, sender, result.MetricSent, "bytes", float64(n.Sent))
		put(s.Path, receiver, result.MetricReceived, "bytes", float64(n.Received))
		put(s.Path, receiver, result.MetricPackets, "packets", float64(n.PacketsReceived))
		put(s.Path, sender, result.MetricRetransmitted, "bytes", float64(n.Retransmitted))
		put(s.Path, sender, result.MetricReinjected, "bytes", float64(n.Reinjected))
		if rtt := s.Dirs[d].SRTT(); rtt > 0 {
			put(s.Path, sender, result.MetricSRTT, "ms", rtt.Seconds()*1e3)
		}
	}
}

// pathBefore reports whether an earlier subflow than i has the same path.
func (c *Conn) pathBefore(i int) bool {
	for _, s := range c.Subflows[:i] {
		if s.Path == c.Subflows[i].Path {
			return true
		}
	}
	return false
}

// PathCounters adds up the subflows of one path. Only the exported fields of
// what it returns count.
func (c *Conn) PathCounters(path string, d Dir) (sum Counters) {
	for _, s := range c.Subflows {
		if s.Path != path {
			continue
		}
		n := &s.Dirs[d]
		sum.PacketsSent += n.PacketsSent
		sum.PacketsReceived += n.PacketsReceived
		sum.Sent += n.Sent
		sum.Received += n.Received
		sum.Retransmitted += n.Retransmitted
		sum.Reinjected += n.Reinjected
		sum.FirstSent += n.FirstSent
		sum.FirstReceived += n.FirstReceived
		sum.Unmapped += n.Unmapped
	}
	return sum
}
