package topology

import (
	"cmp"
	"slices"
	"time"
)

// computeRTTs finds for each link the longest round trip between two hosts whose
// path uses it: the bandwidth-delay product of a queue is that of the paths
// through it, not of the link alone. A fast link without delay behind slow ones
// must hold the bursts of a window that theirs is.
func (t *Topology) computeRTTs() {
	host := map[string]bool{}
	for _, n := range t.Nodes {
		host[n.Name] = n.Kind == Host
	}
	for i := range t.Links {
		l := &t.Links[i]
		own := l.Impair[Uplink].Delay + l.Impair[Downlink].Delay
		a, b := t.farthest(l.Ends[0], l, host), t.farthest(l.Ends[1], l, host)
		for _, x := range a {
			for _, y := range b {
				if x.host != y.host {
					l.RTT = max(l.RTT, x.rtt+own+y.rtt)
				}
			}
		}
		for d := range l.Impair {
			l.Impair[d].PathRTT = l.RTT
		}
	}
}

// far is a host and its round trip.
type far struct {
	host string
	rtt  time.Duration
}

// farthest returns the two hosts that are farthest from a node without link l: of
// two ends at least one pair of them is not the same host.
func (t *Topology) farthest(from string, l *Link, host map[string]bool) []far {
	dist := t.roundTrips(from, l, host)
	var best []far
	for _, n := range t.Nodes {
		if d, near := dist[n.Name]; near && host[n.Name] {
			best = append(best, far{n.Name, d})
		}
	}
	slices.SortStableFunc(best, func(a, b far) int { return cmp.Compare(b.rtt, a.rtt) })
	return best[:min(2, len(best))]
}

// roundTrips returns the shortest round trip from a node to each node that it
// reaches without link l. Hosts do not forward.
func (t *Topology) roundTrips(from string, l *Link, host map[string]bool) map[string]time.Duration {
	dist := map[string]time.Duration{from: 0}
	for again := true; again; { // Bellman-Ford: the graphs are small
		again = false
		for i := range t.Links {
			via := &t.Links[i]
			if via == l {
				continue
			}
			rtt := via.Impair[Uplink].Delay + via.Impair[Downlink].Delay
			for end := range via.Ends {
				here, there := via.Ends[end], via.Ends[1-end]
				d, ok := dist[here]
				if !ok || host[here] {
					continue
				}
				if old, known := dist[there]; !known || d+rtt < old {
					dist[there], again = d+rtt, true
				}
			}
		}
	}
	return dist
}
