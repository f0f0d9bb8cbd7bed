package topology

import (
	"net/netip"
	"slices"
)

// Interface returns the node's interface to a link, or nil. The name of a group of
// links means the node's own among them, if it has one only.
func (n *Node) Interface(link string) *Interface {
	if i := n.exact(link); i != nil {
		return i
	}
	var own *Interface
	for i := range n.Interfaces {
		if n.Interfaces[i].Group == link && link != "" {
			if own != nil {
				return nil
			}
			own = &n.Interfaces[i]
		}
	}
	return own
}

// exact returns the node's interface to the link of that very name, or nil.
func (n *Node) exact(link string) *Interface {
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

// subnets returns all subnets in link order.
func (t *Topology) subnets() []netip.Prefix {
	var list []netip.Prefix
	for _, l := range t.Links {
		for _, end := range l.Ends {
			for _, p := range t.Node(end).exact(l.Name).Prefixes {
				if p = p.Masked(); !slices.Contains(list, p) {
					list = append(list, p)
				}
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
func (t *Topology) distances(p netip.Prefix, of map[string]*segment) map[string]int {
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
			if family(p) == 4 && n.NAT.Link == n.Interfaces[k].Link {
				continue // those outside do not see what is inside
			}
			routers, _ := of[n.Interfaces[k].Link].neighbours(n, 0)
			for _, next := range routers {
				if _, seen := dist[next.Node.Name]; !seen {
					dist[next.Node.Name] = dist[n.Name] + 1
					queue = append(queue, next.Node)
				}
			}
		}
	}
	return dist
}

// computeRoutes gives routers the shortest path to each subnet (all of equal
// length with ECMP, else the first in link order), and hosts a route over each of
// their interfaces to each subnet that is reached that way. Subnets of an
// interface itself are on link and not repeated.
func (t *Topology) computeRoutes() {
	of := t.segments()
	for _, p := range t.subnets() {
		dist := t.distances(p, of)
		for i := range t.Nodes {
			n := &t.Nodes[i]
			switch {
			case n.Kind == Host:
				n.hostRoutes(p, dist, of)
			case n.Kind == Router && !n.attached(p):
				n.routerRoutes(p, dist, of)
			}
		}
	}
}

func (n *Node) routerRoutes(p netip.Prefix, dist map[string]int, of map[string]*segment) {
	own, ok := dist[n.Name]
	if !ok {
		return
	}
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		routers, _ := of[i.Link].neighbours(n, family(p))
		for _, next := range routers {
			d, reaches := dist[next.Node.Name]
			gw, has := next.Interface.Addr(family(p))
			if !reaches || !has || d != own-1 {
				continue
			}
			n.addRoute(Route{Prefix: p, Gateway: gw, Link: i.Link})
			if !n.ECMP {
				return
			}
		}
	}
}

// hostRoutes prefers interfaces in their order: the metric counts from 1.
func (n *Node) hostRoutes(p netip.Prefix, dist map[string]int, of map[string]*segment) {
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		if onLink(i, p.Addr()) {
			continue
		}
		if gw, ok := of[i.Link].gateway(n, p, dist); ok {
			n.addRoute(Route{Prefix: p, Gateway: gw, Link: i.Link, Metric: k + 1})
		}
	}
}

// gateway chooses by whom a host on the segment reaches p: the nearest router. A
// host does not forward but answers for its own subnets, so where there is no
// router the only host will do.
func (s *segment) gateway(n *Node, p netip.Prefix, dist map[string]int) (gw netip.Addr, ok bool) {
	routers, hosts := s.neighbours(n, family(p))
	best := -1
	for _, st := range routers {
		d, reaches := dist[st.Node.Name]
		if a, has := st.Interface.Addr(family(p)); has && reaches && (best < 0 || d < best) {
			gw, ok, best = a, true, d
		}
	}
	if ok || len(hosts) != 1 || !hosts[0].Node.attached(p) {
		return gw, ok
	}
	return hosts[0].Interface.Addr(family(p))
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

// Seen returns the source address that the owner of a sees in packets that node
// from sends it from address src by link (any if ""): a router on the way may
// translate.
func (t *Topology) Seen(from, link string, src, a netip.Addr) netip.Addr {
	n := t.Node(from)
	for range len(t.Nodes) {
		if n == nil || n.owns(a) {
			break
		}
		i, hop := n.next(link, a)
		if i == nil {
			break
		}
		if n.NAT.Link == i.Link && src.Is4() && !onLink(i, src) {
			src, _ = i.Addr(4)
		}
		n, _ = t.Owner(hop)
		link = ""
	}
	return src
}

// owns reports whether the node has an address.
func (n *Node) owns(a netip.Addr) bool {
	for _, i := range n.Interfaces {
		for _, p := range i.Prefixes {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}

// next returns the interface by which packets to a leave the node, and the next
// hop: by the longest prefix, then the lowest metric, as the fabrics do. link
// restricts it to one interface; "": any.
func (n *Node) next(link string, a netip.Addr) (by *Interface, hop netip.Addr) {
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		if (link == "" || link == i.Link) && onLink(i, a) {
			return i, a
		}
	}
	var best *Route
	for k := range n.Routes {
		r := &n.Routes[k]
		if link != "" && link != r.Link || !r.Prefix.Contains(a) {
			continue
		}
		if best == nil || r.Prefix.Bits() > best.Prefix.Bits() || r.Prefix.Bits() == best.Prefix.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	switch {
	case best == nil:
		return nil, netip.Addr{}
	case best.Gateway.IsValid():
		return n.exact(best.Link), best.Gateway
	}
	return n.exact(best.Link), a
}
