package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// removal is what follows REMOVE_ADDR for a subflow of its address if
// Config.RemoveAddrKeepalive is set. Linux, and this stack without it, believe the
// signal and close the subflow at once.
//
// "The receipt of REMOVE_ADDR SHOULD first trigger the sending of a TCP keepalive
// [RFC1122] on the path, and if a response is received, the path SHOULD NOT be removed.
// If the path is found to still be alive,
// the receiving host SHOULD no longer use the specified address for future connections,
// but it is the responsibility of the host that sent the REMOVE_ADDR to shut down the
// subflow." (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.2).
type removal struct {
	asked clock.Instant
	at    clock.Instant // ask again, or give up; Never: nothing was asked
	tries int
}

// maxRemovalProbes is how often the peer is asked, the timeout doubling.
const maxRemovalProbes = 3

// askAlive sends the keepalive.
func (sf *subflow) askAlive(now clock.Instant) {
	sf.removal = removal{asked: now, at: now.Add(sf.tcp.RTO())}
	sf.tcp.Probe()
	sf.conn.again = true
}

// checkRemovals lets the subflows live that were heard of since they were asked, and
// resets those that do not answer: "The sending and receipt (if no keepalive response was received) of
// this message SHOULD trigger the sending of RSTs by both hosts on the affected
// subflow(s) (if possible)" (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.2).
func (c *Conn) checkRemovals(now clock.Instant) {
	for _, sf := range c.subflows {
		r := &sf.removal
		switch {
		case r.at == clock.Never || sf.over:
		case sf.lastRecv > r.asked:
			r.at = clock.Never
		case r.at > now:
		case r.tries+1 < maxRemovalProbes:
			r.tries++
			r.at = now.Add(sf.tcp.RTO() << r.tries)
			sf.tcp.Probe()
		default:
			r.at = clock.Never
			sf.abort(wire.RstUnspecified, "remove_addr")
		}
	}
}
