package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/wire"
)

// destination is what is remembered of a peer beyond its connections, as Linux's
// tcp_metrics: "the client should cache at most one (most recently received) cookie per
// client and server IP address pair", and "we recommend that the client also cache the
// Maximum Segment Size (MSS) advertised by the server"
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.1.3).
type destination struct {
	cookie wire.FastOpen // Len 0: none
	mss    int           // 0: unknown
	tryExp uint8         // 1: the experimental option is to be tried, 2: it was
	losses int           // SYNs with data in a row that seem to have been dropped
}

// hostPair names a destination: who we are there, and the peer.
type hostPair struct{ local, remote netip.Addr }

// destinations is the cache, of the most recent maxDestinations pairs.
type destinations struct {
	known map[hostPair]*destination
	order queue[hostPair] // of arrival: the first goes first
}

const maxDestinations = 1024

// get returns what is known of p; nil: nothing.
func (d *destinations) get(p hostPair) *destination { return d.known[p] }

// make returns what is known of p, and begins to know it.
func (d *destinations) make(p hostPair) *destination {
	if e := d.known[p]; e != nil {
		return e
	}
	if d.known == nil {
		d.known = make(map[hostPair]*destination)
	}
	if len(d.known) >= maxDestinations {
		oldest, _ := d.order.front()
		d.order.pop()
		delete(d.known, oldest)
	}
	e := &destination{}
	d.known[p] = e
	d.order.push(p)
	return e
}

// FlushDestinations forgets all peers (ip tcp_metrics flush all).
func (s *Stack) FlushDestinations() { s.peers = destinations{} }
