package tcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// receiveRate is what dynamic right-sizing needs: the round-trip time as a
// receiver can know it, and how much the application reads in one.
type receiveRate struct {
	rtt    time.Duration // the least seen, slowly forgotten; 0: none yet
	space  int           // bytes read in a round trip (rcvq_space.space)
	edge   wire.Seq      // without timestamps: reaching it takes a round trip
	ecr    uint32        // timestamp that was echoed last
	edgeAt clock.Instant
}

// sampleRcvRTT estimates the round-trip time from the data that arrive: by an
// echoed timestamp that is new, with a full segment, or else by how long a whole
// window takes (tcp_rcv_rtt_measure).
func (c *Conn) sampleRcvRTT(now clock.Instant, s *wire.Segment) {
	d := &c.drs
	if c.tsOK && s.Options.Has&wire.HasTimestamps != 0 {
		if s.Options.TSEcr == d.ecr || s.Options.TSEcr == 0 || len(s.Payload) < c.rcvMSS {
			return
		}
		d.ecr = s.Options.TSEcr
		if rtt := c.echoRTT(now, s); rtt > 0 {
			d.update(rtt, false)
		}
		return
	}
	switch {
	case d.edgeAt == 0:
	case c.rcvNxt.Less(d.edge):
		return
	default:
		d.update(now.Sub(d.edgeAt), true)
	}
	d.edge, d.edgeAt = c.rcvAdv, now
}

// update takes a sample. That of a window's time is an upper bound: only the least
// counts.
func (d *receiveRate) update(rtt time.Duration, bound bool) {
	switch {
	case d.rtt == 0, bound && rtt < d.rtt:
		d.rtt = max(rtt, 1)
	case !bound:
		d.rtt += (rtt - d.rtt) / 8
	}
}

// RcvRTT returns the round-trip time as the receiver estimates it from the data
// that arrive; 0: it cannot.
func (c *Conn) RcvRTT() time.Duration { return c.drs.rtt }

// NoteRead tells how much the application read in a round trip, for Info.
func (c *Conn) NoteRead(n int) { c.drs.space = n }
