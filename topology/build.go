package topology

import (
	"net/netip"

	"mptcplab/topology/decode"
)

// Build assigns addresses, interfaces and routes and reports what cannot be
// built. The result is usable only if nothing was reported.
func (d *Draft) Build(r *decode.Report) *Topology {
	t := &Topology{Families: d.families}
	if len(t.Families) == 0 {
		t.Families = []int{4, 6}
	}
	kinds := map[string]Kind{}
	for _, n := range d.nodes {
		if kinds[n.name] != 0 {
			r.Errorf(n.at, "topology: %q is a host and a router; a node has one kind", n.name)
			continue
		}
		kinds[n.name] = n.kind
		t.Nodes = append(t.Nodes, Node{Name: n.name, Kind: n.kind, ECMP: n.ecmp})
	}
	for i := range d.links {
		d.link(t, r, i)
	}
	d.checkAddresses(t, r)
	if r.Failed() {
		return t
	}
	t.computeRTTs()
	t.computeRoutes()
	d.givenRoutes(t, r)
	return t
}

// Incomplete reports whether the block has nodes that are not built yet, so that
// names may be missing.
func (d *Draft) Incomplete() bool { return d.later }

// Hosts returns the names of the hosts in the file.
func (d *Draft) Hosts() (names []string) {
	for _, n := range d.nodes {
		if n.kind == Host {
			names = append(names, n.name)
		}
	}
	return names
}

// Links returns the names of the links in the file, also of those that are wrong.
func (d *Draft) Links() (names []string) {
	for _, l := range d.links {
		names = append(names, l.name)
	}
	return names
}

// Behaviour returns both directions of a link as the file describes them, for
// events that change some of it; nil if there is no such link.
func (d *Draft) Behaviour(link string) *[2]Behaviour {
	for i := range d.links {
		if d.links[i].name == link {
			b := d.links[i].behaviour
			return &b
		}
	}
	return nil
}

func (d *Draft) link(t *Topology, r *decode.Report, i int) {
	l := &d.links[i]
	if len(l.ends) != 2 {
		if l.ends != nil {
			r.Errorf(l.endsAt, "topology.links.%s.ends has %d nodes; a link has two ends", l.name, len(l.ends))
		}
		return
	}
	for _, end := range l.ends {
		if t.Node(end) == nil && d.later {
			return // reported already
		}
		if t.Node(end) == nil {
			r.Errorf(l.endsAt, "topology.links.%s.ends: there is no host or router %q%s", l.name, end, decode.Suggest(end, t.names()))
			return
		}
	}
	if l.ends[0] == l.ends[1] {
		r.Errorf(l.endsAt, "topology.links.%s: both ends are %q", l.name, l.ends[0])
		return
	}
	if !l.given {
		l.addresses = defaultAddresses(i+1, t.Families)
	}
	link := Link{Name: l.name, Ends: [2]string{l.ends[0], l.ends[1]}, MTU: l.mtu, HalfDuplex: l.duplex == "half"}
	for dir := range link.Impair {
		link.Impair[dir] = l.behaviour[dir].Config()
	}
	t.Links = append(t.Links, link)
	for end := range 2 {
		n := t.Node(l.ends[end])
		n.Interfaces = append(n.Interfaces, Interface{Link: l.name, End: end, Prefixes: l.addresses[end]})
	}
}

// defaultAddresses are those of section 11 of the schema: link n of the file is
// 10.0.n.0/24 and fd00:0:0:n::/64, the first end .1, the second .2.
func defaultAddresses(n int, families []int) (ends [2][]netip.Prefix) {
	for end := range 2 {
		for _, f := range families {
			var p netip.Prefix
			if f == 4 {
				p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(end + 1)}), 24)
			} else {
				p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 6: byte(n >> 8), 7: byte(n), 15: byte(end + 1)}), 64)
			}
			ends[end] = append(ends[end], p)
		}
	}
	return ends
}

func (d *Draft) checkAddresses(t *Topology, r *decode.Report) {
	owner := map[netip.Addr]string{}
	subnet := map[netip.Prefix]string{}
	for i := range d.links {
		l := &d.links[i]
		if len(l.ends) != 2 || l.bad {
			continue
		}
		for end, list := range l.addresses {
			for _, p := range list {
				name := l.ends[end] + "." + l.name
				if other, dup := owner[p.Addr()]; dup {
					r.Errorf(l.addrAt, "topology.links.%s: %s has the address %s of %s", l.name, name, p.Addr(), other)
				}
				owner[p.Addr()] = name
				net := p.Masked()
				if other, dup := subnet[net]; dup && other != l.name {
					r.Errorf(l.addrAt, "topology.links.%s has the subnet %s of link %s; give each link its own", l.name, net, other)
				}
				subnet[net] = l.name
				if !shares(net, l.addresses[1-end]) {
					r.Errorf(l.addrAt, "topology.links.%s: %s of %s is not in a subnet of the other end", l.name, p, name)
				}
				if p.Addr() == net.Addr() && p.Bits() < p.Addr().BitLen()-1 {
					r.Errorf(l.addrAt, "topology.links.%s: %s is the subnet itself, not an address in it", l.name, p)
				}
			}
		}
	}
}

func shares(net netip.Prefix, other []netip.Prefix) bool {
	for _, o := range other {
		if o.Masked() == net {
			return true
		}
	}
	return false
}

func (d *Draft) givenRoutes(t *Topology, r *decode.Report) {
	for _, nd := range d.nodes {
		n := t.Node(nd.name)
		for _, route := range nd.routes {
			i := n.Interface(route.Link)
			switch {
			case i == nil:
				r.Errorf(route.at, "topology: %s has no interface %q for its route%s", n.Name, route.Link, decode.Suggest(route.Link, n.links()))
			case route.Gateway.IsValid() && !onLink(i, route.Gateway):
				r.Errorf(route.at, "topology: gateway %s is not in a subnet of %s.%s", route.Gateway, n.Name, route.Link)
			case route.Gateway.IsValid() && route.Gateway.Is4() != route.Prefix.Addr().Is4():
				r.Errorf(route.at, "topology: route to %s via %s mixes IP versions", route.Prefix, route.Gateway)
			default:
				n.addRoute(route.Route)
			}
		}
	}
}

func onLink(i *Interface, a netip.Addr) bool {
	for _, p := range i.Prefixes {
		if p.Masked().Contains(a) {
			return true
		}
	}
	return false
}

func (t *Topology) names() []string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return names
}

func (n *Node) links() []string {
	var names []string
	for _, i := range n.Interfaces {
		names = append(names, i.Link)
	}
	return names
}
