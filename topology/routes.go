package topology

import (
	"net/netip"
	"slices"
)

// Interface returns the node's interface to a link, or nil.
func (n *Node) Interface(link string) *Interface {
	for i := range n.Interfaces {
		if n.Interfaces[i].Link == link {
			return &n.Interfaces[i]
		}
	}
	return nil
}

// Addr returns the first address of the interface in a family (4 or 6).
func (i *Interface) Addr(family int) (netip.Addr, bool) {
	for _, p := range i.Prefixes {
		if p.Addr().Is4() == (family == 4) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// Owner returns the node and interface that have an address, or nil.
func (t *Topology) Owner(a netip.Addr) (*Node, *Interface) {
	for i := range t.Nodes {
		for k := range t.Nodes[i].Interfaces {
			for _, p := range t.Nodes[i].Interfaces[k].Prefixes {
				if p.Addr() == a {
					return &t.Nodes[i], &t.Nodes[i].Interfaces[k]
				}
			}
		}
	}
	return nil, nil
}

// neighbour returns the node at the other end of an interface of n.
func (t *Topology) neighbour(n *Node, i *Interface) *Node {
	return t.Node(t.Link(i.Link).Ends[1-i.End])
}

// subnets returns all subnets in link order.
func (t *Topology) subnets() []netip.Prefix {
	var list []netip.Prefix
	for _, l := range t.Links {
		for _, p := range t.Node(l.Ends[0]).Interface(l.Name).Prefixes {
			if p = p.Masked(); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

func (n *Node) attached(p netip.Prefix) bool {
	for _, i := range n.Interfaces {
		for _, own := range i.Prefixes {
			if own.Masked() == p {
				return true
			}
		}
	}
	return false
}

// distances returns, by node name, the number of hops to subnet p; nodes that
// cannot reach it are absent. Only routers forward: hosts count if attached.
func (t *Topology) distances(p netip.Prefix) map[string]int {
	dist := map[string]int{}
	var queue []*Node
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.attached(p) {
			dist[n.Name] = 0
			if n.Kind == Router {
				queue = append(queue, n)
			}
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for k := range n.Interfaces {
			next := t.neighbour(n, &n.Interfaces[k])
			if _, seen := dist[next.Name]; seen || next.Kind != Router {
				continue
			}
			dist[next.Name] = dist[n.Name] + 1
			queue = append(queue, next)
		}
	}
	return dist
}

// computeRoutes gives routers the shortest path to each subnet (all of equal
// length with ECMP, else the first in link order), and hosts a route over each of
// their interfaces to each subnet that is reached that way. Subnets of an
// interface itself are on link and not repeated.
func (t *Topology) computeRoutes() {
	for _, p := range t.subnets() {
		dist := t.distances(p)
		for i := range t.Nodes {
			n := &t.Nodes[i]
			if n.Kind == Host {
				t.hostRoutes(n, p, dist)
			} else if !n.attached(p) {
				t.routerRoutes(n, p, dist)
			}
		}
	}
}

func (t *Topology) routerRoutes(n *Node, p netip.Prefix, dist map[string]int) {
	own, ok := dist[n.Name]
	if !ok {
		return
	}
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		next := t.neighbour(n, i)
		d, reaches := dist[next.Name]
		gw, has := next.Interface(i.Link).Addr(family(p))
		if reaches && has && d == own-1 && next.Kind == Router {
			n.addRoute(Route{Prefix: p, Gateway: gw, Link: i.Link})
			if !n.ECMP {
				return
			}
		}
	}
}

// hostRoutes prefers interfaces in their order: the metric counts from 1. The
// neighbour forwards if it is a router; a host answers for its own subnets.
func (t *Topology) hostRoutes(n *Node, p netip.Prefix, dist map[string]int) {
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		next := t.neighbour(n, i)
		d, reaches := dist[next.Name]
		gw, has := next.Interface(i.Link).Addr(family(p))
		if !reaches || !has || onLink(i, p.Addr()) || next.Kind != Router && d > 0 {
			continue
		}
		n.addRoute(Route{Prefix: p, Gateway: gw, Link: i.Link, Metric: k + 1})
	}
}

func (n *Node) addRoute(r Route) {
	if !slices.Contains(n.Routes, r) {
		n.Routes = append(n.Routes, r)
	}
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 4
	}
	return 6
}

// Reaches reports whether packets of node from, leaving by link (any if ""), get
// to address a.
func (t *Topology) Reaches(from, link string, a netip.Addr) bool {
	n := t.Node(from)
	if n == nil {
		return false
	}
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		if (link == "" || link == i.Link) && onLink(i, a) {
			return true
		}
	}
	for _, r := range n.Routes {
		if (link == "" || link == r.Link) && r.Prefix.Contains(a) {
			return true
		}
	}
	return false
}
