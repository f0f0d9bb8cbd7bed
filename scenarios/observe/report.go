package observe

import (
	"slices"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/result"
)

// Report adds what the wire says of a connection to the result of its flow, which
// may have had others: subflows, paths, retransmitted and reinjected bytes. It
// returns the payload bytes that were sent. Application bytes, durations, digests
// and whether an end asked for MPTCP at all are the runner's.
func (c *Conn) Report(f *result.Flow) (sent uint64) {
	for _, sub := range c.Subflows {
		if sub.Established == clock.Never {
			continue
		}
		s := result.Subflow{ID: len(f.Subflows), Path: sub.Path, Client: sub.Client.String(), Server: sub.Server.String(),
			Backup: sub.Backup, Established: sub.Established.Seconds()}
		i := slices.IndexFunc(f.Paths, func(p result.Path) bool { return p.Name == sub.Path })
		if i < 0 {
			i = len(f.Paths)
			f.Paths = append(f.Paths, result.Path{Name: sub.Path})
		}
		p := &f.Paths[i]
		for d := range sub.Dirs {
			n := &sub.Dirs[d]
			s.BytesSent += n.Sent
			s.Retransmitted += n.Retransmitted
			s.Reinjected += n.Reinjected
			p.Bytes += n.Received
			p.Packets += n.PacketsReceived
			if n.Sent > 0 {
				p.SRTT = max(p.SRTT, n.MedianRTT().Seconds()*1e3)
			}
		}
		p.Retransmitted += s.Retransmitted
		p.Reinjected += s.Reinjected
		f.Retransmitted += s.Retransmitted
		f.Reinjected += s.Reinjected
		f.Subflows = append(f.Subflows, s)
		sent += s.BytesSent
	}
	var all uint64
	for _, p := range f.Paths {
		all += p.Bytes
	}
	for i := range f.Paths {
		if all > 0 {
			f.Paths[i].Share = float64(f.Paths[i].Bytes) / float64(all)
		}
	}
	return sent
}
