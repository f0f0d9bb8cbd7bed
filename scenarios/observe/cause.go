package observe

import (
	"time"

	"mptcplab/mptcp/clock"
)

// timeoutSilence is how long a sender must have heard nothing on a path for a
// repair to count as one by time-out. Fast retransmissions answer an ACK that
// just came; Linux's shortest RTO is 200 ms above the round-trip time.
const timeoutSilence = 100 * time.Millisecond

// Cause names what ended a gap in the data of direction d that began with (or
// around) an event at that time, in the words of result.json: remove_addr,
// mp_prio, rst, fin, mp_fail if the sender heard (or said) so on the wire; rto
// if data was sent again after a silence that the gap is as long as, else none.
func (c *Conn) Cause(d Dir, event clock.Instant, g Gap) string {
	from := min(event, g.End)
	for _, e := range c.Events {
		atSender := e.Arrived == (e.Dir != d)
		if e.At < from || e.At > g.End || !atSender {
			continue
		}
		switch e.Kind {
		case EventPrio, EventRemoveAddr, EventRst, EventFail:
			return e.Kind.String()
		case EventFin:
			if c.MPTCP() {
				return e.Kind.String()
			}
		}
	}
	if g.TimedOut() {
		return "rto"
	}
	return "none"
}

// TimedOut reports whether a time-out ended the gap: data was sent again after a
// silence that the gap is as long as.
func (g Gap) TimedOut() bool { return min(g.Silence, g.Duration()) >= timeoutSilence }
