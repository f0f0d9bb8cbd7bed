package topology

import (
	"net/netip"
	"slices"

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
			r.Errorf(n.at, "topology: %q is a %s and a %s; a node has one kind", n.name, kinds[n.name], n.kind)
			continue
		}
		kinds[n.name] = n.kind
		t.Nodes = append(t.Nodes, Node{Name: n.name, Group: n.group, Kind: n.kind, ECMP: n.ecmp, Filter: n.filter})
	}
	for _, b := range d.boxes {
		if kinds[b.Name] != 0 {
			r.Errorf(b.at, "topology: %q is a middlebox and a node; give the middlebox a name of its own", b.Name)
		}
		t.Middleboxes = append(t.Middleboxes, b.Middlebox)
	}
	for i := range d.links {
		d.link(t, r, i)
	}
	d.checkGroups(t, r)
	d.addresses(t, r)
	if r.Failed() {
		return t
	}
	if d.translators(t, r); r.Failed() {
		return t
	}
	t.computeRTTs()
	t.computeRoutes()
	d.givenRoutes(t, r)
	return t
}

// Hosts returns the names of the hosts in the file.
func (d *Draft) Hosts() (names []string) {
	for _, n := range d.nodes {
		if n.kind == Host {
			names = append(names, n.name)
		}
	}
	return names
}

// Middleboxes returns the names of the middleboxes in the file.
func (d *Draft) Middleboxes() (names []string) {
	for _, b := range d.boxes {
		names = append(names, b.Name)
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

// HostGroups returns the members of the groups of hosts in the file.
func (d *Draft) HostGroups() map[string][]string {
	m := map[string][]string{}
	for _, n := range d.nodes {
		if n.kind == Host && n.group != "" {
			m[n.group] = append(m[n.group], n.name)
		}
	}
	return m
}

// LinkGroups returns the members of the groups of links in the file.
func (d *Draft) LinkGroups() map[string][]string {
	m := map[string][]string{}
	for _, l := range d.links {
		if l.group != "" {
			m[l.group] = append(m[l.group], l.name)
		}
	}
	return m
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
		if t.Node(end) == nil {
			r.Errorf(l.endsAt, "topology.links.%s.ends: there is no host, router or switch %q%s", l.name, end, decode.Suggest(end, t.names()))
			return
		}
	}
	if l.ends[0] == l.ends[1] {
		r.Errorf(l.endsAt, "topology.links.%s: both ends are %q", l.name, l.ends[0])
		return
	}
	link := Link{Name: l.name, Group: l.group, Ends: [2]string{l.ends[0], l.ends[1]}, MTU: l.mtu, HalfDuplex: l.duplex == "half"}
	for _, name := range l.through {
		if t.Middlebox(name) == nil {
			r.Errorf(l.throughAt, "topology.links.%s.through: there is no middlebox %q%s", l.name, name, decode.Suggest(name, d.Middleboxes()))
			continue
		}
		if slices.Contains(link.Through, name) {
			r.Errorf(l.throughAt, "topology.links.%s.through: %q is there twice; a link has one of each", l.name, name)
		}
		link.Through = append(link.Through, name)
	}
	for dir := range link.Impair {
		link.Impair[dir] = l.behaviour[dir].Config()
	}
	t.Links = append(t.Links, link)
	for end := range 2 {
		n := t.Node(l.ends[end])
		n.Interfaces = append(n.Interfaces, Interface{Link: l.name, Group: l.group, End: end, Prefixes: l.addresses[end]})
	}
}

// checkGroups refuses groups that are called as a thing is.
func (d *Draft) checkGroups(t *Topology, r *decode.Report) {
	for _, n := range d.nodes {
		if n.group != "" && t.Node(n.group) != nil {
			r.Errorf(n.at, "topology: %s is of the group %q, and a node has that name", n.name, n.group)
		}
	}
	for _, l := range d.links {
		if l.group != "" && t.Link(l.group) != nil {
			r.Errorf(l.at, "topology: link %s is of the group %q, and a link has that name", l.name, l.group)
		}
	}
}

// translators gives routers their NAT.
func (d *Draft) translators(t *Topology, r *decode.Report) {
	for i := range d.nodes {
		nd := &d.nodes[i]
		n := t.Node(nd.name)
		if nd.nat.Link == "" {
			continue
		}
		f := n.Interface(nd.nat.Link)
		if f == nil {
			r.Errorf(nd.natAt, "topology.routers.%s.nat: %s has no interface %q%s", n.Name, n.Name, nd.nat.Link, decode.Suggest(nd.nat.Link, n.links()))
			continue
		}
		if _, ok := f.Addr(4); !ok {
			r.Errorf(nd.natAt, "topology.routers.%s.nat: %s.%s has no IPv4 address, and IPv6 is not translated", n.Name, n.Name, f.Link)
			continue
		}
		n.NAT = NAT{Link: f.Link, Timeout: nd.nat.Timeout}
	}
}

// addresses assigns those that the file leaves out and checks all.
func (d *Draft) addresses(t *Topology, r *decode.Report) {
	given := map[*Interface]bool{}
	for i := range d.links {
		l := &d.links[i]
		for end := range min(2, len(l.ends)) {
			n := t.Node(l.ends[end])
			if n == nil || !l.given || l.bad || n.exact(l.name) == nil {
				continue
			}
			given[n.exact(l.name)] = true
			switch some := len(l.addresses[end]) > 0; {
			case n.Kind == Switch && some:
				r.Errorf(l.addrAt, "topology.links.%s: %s is a switch and has no address; write [] for its end", l.name, n.Name)
			case n.Kind != Switch && !some:
				r.Errorf(l.addrAt, "topology.links.%s: %s.%s has no address", l.name, n.Name, l.name)
			}
		}
	}
	if r.Failed() {
		return
	}
	t.assign(given)
	d.checkAddresses(t, r)
}

func (d *Draft) checkAddresses(t *Topology, r *decode.Report) {
	owner := map[netip.Addr]string{}
	subnet := map[netip.Prefix]*segment{}
	of := t.segments()
	for i := range d.links {
		l := &d.links[i]
		for _, end := range l.ends {
			for _, p := range t.Node(end).exact(l.name).Prefixes {
				name := end + "." + l.name
				if other, dup := owner[p.Addr()]; dup {
					r.Errorf(l.addrAt, "topology.links.%s: %s has the address %s of %s", l.name, name, p.Addr(), other)
				}
				owner[p.Addr()] = name
				net := p.Masked()
				s := of[l.name]
				if other := subnet[net]; other != nil && other != s {
					r.Errorf(l.addrAt, "topology.links.%s has the subnet %s of link %s; give each link its own", l.name, net, other.links[0])
				}
				subnet[net] = s
				if len(s.stations) > 1 && !s.shares(net, l.name, end) {
					r.Errorf(l.addrAt, "topology.links.%s: %s of %s is not in a subnet of the other end", l.name, p, name)
				}
				if p.Addr() == net.Addr() && p.Bits() < p.Addr().BitLen()-1 {
					r.Errorf(l.addrAt, "topology.links.%s: %s is the subnet itself, not an address in it", l.name, p)
				}
			}
		}
	}
}

// shares reports whether another station than that of link at node has an address
// in the subnet.
func (s *segment) shares(net netip.Prefix, link, node string) bool {
	for _, st := range s.stations {
		if st.Interface.Link == link && st.Node.Name == node {
			continue
		}
		for _, p := range st.Interface.Prefixes {
			if p.Masked() == net {
				return true
			}
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
				route.Link = i.Link
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
