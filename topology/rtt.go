package topology

import "time"

// computeRTTs finds for each link the longest round trip between two hosts whose
// path uses it: the bandwidth-delay product of a queue is that of the paths
// through it, not of the link alone. A fast link without delay behind slow ones
// must hold the bursts of a window that theirs is.
func (t *Topology) computeRTTs() {
	for i := range t.Links {
		l := &t.Links[i]
		own := l.Impair[Uplink].Delay + l.Impair[Downlink].Delay
		a, b := t.roundTrips(l.Ends[0], l), t.roundTrips(l.Ends[1], l)
		for _, x := range t.hosts() {
			for _, y := range t.hosts() {
				dx, near := a[x]
				dy, far := b[y]
				if x != y && near && far {
					l.RTT = max(l.RTT, dx+own+dy)
				}
			}
		}
		for d := range l.Impair {
			l.Impair[d].PathRTT = l.RTT
		}
	}
}

func (t *Topology) hosts() (names []string) {
	for _, n := range t.Nodes {
		if n.Kind == Host {
			names = append(names, n.Name)
		}
	}
	return names
}

// roundTrips returns the shortest round trip from a node to each node that it
// reaches without link l. Hosts do not forward.
func (t *Topology) roundTrips(from string, l *Link) map[string]time.Duration {
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
				if !ok || t.Node(here).Kind == Host {
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
