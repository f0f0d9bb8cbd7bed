package observe

import (
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/result"
)

// Report fills in what the wire says about a flow: paths, subflows, wire bytes,
// set-up time and why it fell back. Application bytes, durations, hashes and
// whether an end asked for MPTCP at all (and so Fallback) are the runner's.
func (c *Conn) Report(f *result.Flow) {
	f.Start = c.Start.Seconds()
	if d, ok := c.Setup(); ok {
		f.Setup = d.Seconds() * 1e3
	}
	f.FallbackReason = c.Fallback
	f.Retransmitted, f.Reinjected, f.Duplicate = 0, 0, 0
	f.Paths, f.Subflows = nil, nil
	var sent, received uint64
	for i, s := range c.Subflows {
		u, d := &s.Dirs[Up], &s.Dirs[Down]
		sent += u.Sent + d.Sent
		received += u.Received + d.Received
		f.Duplicate += u.Received + d.Received - u.FirstReceived - d.FirstReceived - u.Unmapped - d.Unmapped
		sub := result.Subflow{
			ID: s.ID, Path: s.Path, Client: s.Client.String(), Server: s.Server.String(),
			BytesSent:     u.Sent + d.Sent,
			Retransmitted: u.Retransmitted + d.Retransmitted,
			Reinjected:    u.Reinjected + d.Reinjected,
			Backup:        s.Backup,
		}
		f.Retransmitted += sub.Retransmitted
		f.Reinjected += sub.Reinjected
		if s.Established != clock.Never {
			sub.Established = s.Established.Seconds()
			f.Subflows = append(f.Subflows, sub)
		}
		if !c.pathBefore(i) {
			f.Paths = append(f.Paths, c.reportPath(s))
		}
	}
	for i := range f.Paths {
		if received > 0 {
			f.Paths[i].Share = float64(f.Paths[i].Bytes) / float64(received)
		}
	}
	if f.Duration > 0 {
		f.Throughput = float64(sent) * 8 / f.Duration
	}
}

// reportPath sums the subflows of the path of s. Its round-trip time is that of
// the direction that carried more.
func (c *Conn) reportPath(s *Subflow) result.Path {
	u, d := c.PathCounters(s.Path, Up), c.PathCounters(s.Path, Down)
	p := result.Path{
		Name:          s.Path,
		Bytes:         u.Received + d.Received,
		Packets:       u.PacketsReceived + d.PacketsReceived,
		Retransmitted: u.Retransmitted + d.Retransmitted,
		Reinjected:    u.Reinjected + d.Reinjected,
	}
	main := Down
	if u.Received > d.Received {
		main = Up
	}
	p.SRTT = s.Dirs[main].MedianRTT().Seconds() * 1e3
	return p
}
