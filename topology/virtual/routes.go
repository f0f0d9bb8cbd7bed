package virtual

import (
	"net/netip"
	"slices"

	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// A table is a routing table: longest prefix first, then lowest metric.
type table struct {
	routes []route
	cache  map[netip.Addr][]route
}

type route struct {
	prefix netip.Prefix
	via    netip.Addr // the next hop; invalid: on link
	link   int
	metric int
}

// cacheLimit bounds the cache of destinations, which is emptied when full.
const cacheLimit = 4096

// newTable returns the table of a node: what it is connected to and its routes.
// link numbers the interfaces; routes over interfaces it does not know (negative)
// are left out.
func newTable(n *topology.Node, link func(name string) int) *table {
	t := &table{cache: make(map[netip.Addr][]route)}
	for i := range n.Interfaces {
		for _, p := range n.Interfaces[i].Prefixes {
			if l := link(n.Interfaces[i].Link); l >= 0 {
				t.routes = append(t.routes, route{prefix: p.Masked(), link: l})
			}
		}
	}
	for _, r := range n.Routes {
		if l := link(r.Link); l >= 0 {
			t.routes = append(t.routes, route{r.Prefix.Masked(), r.Gateway, l, r.Metric})
		}
	}
	slices.SortStableFunc(t.routes, func(a, b route) int {
		if d := b.prefix.Bits() - a.prefix.Bits(); d != 0 {
			return d
		}
		return a.metric - b.metric
	})
	t.routes = dedupe(t.routes)
	return t
}

// dedupe drops routes that say the same as one before: a connected prefix may
// also stand among the computed routes.
func dedupe(rs []route) []route {
	var kept []route
	for _, r := range rs {
		same := func(k route) bool { return k.prefix == r.prefix && k.link == r.link && k.via == r.via }
		if !slices.ContainsFunc(kept, same) {
			kept = append(kept, r)
		}
	}
	return kept
}

// lookup returns the best routes to dst, several if their prefix and metric are
// equal; none: there is no route.
func (t *table) lookup(dst netip.Addr) []route {
	if found, ok := t.cache[dst]; ok {
		return found
	}
	found := t.search(dst)
	if len(t.cache) >= cacheLimit {
		clear(t.cache)
	}
	t.cache[dst] = found
	return found
}

func (t *table) search(dst netip.Addr) []route {
	for i, r := range t.routes {
		if !r.prefix.Contains(dst) {
			continue
		}
		var best []route
		for _, o := range t.routes[i:] {
			if o.prefix == r.prefix && o.metric == r.metric {
				best = append(best, o)
			}
		}
		return best
	}
	return nil
}

// flowHash is a hash over the flow of a packet (addresses, ports, protocol),
// under a key.
func flowHash(key uint64, pkt []byte) uint64 {
	if src, dst, ok := wire.FlowOf(pkt); ok {
		return hashAddr(hashAddr(key+uint64(src.Port())<<16+uint64(dst.Port()), src.Addr()), dst.Addr())
	}
	src, dst, _ := wire.Addrs(pkt)
	return hashAddr(hashAddr(key, src), dst)
}

func hashAddr(h uint64, a netip.Addr) uint64 {
	for _, b := range a.As16() {
		h = (h ^ uint64(b)) * 1099511628211 // FNV-1a
	}
	h ^= h >> 32
	return h * 0x9e3779b97f4a7c15 >> 1
}
