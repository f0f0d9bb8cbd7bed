package topology

import "net/netip"

// Station is an interface of a host or a router.
type Station struct {
	Node      *Node
	Interface *Interface
}

// segment is what hears one another without a router: a link, and more where
// switches join links. Its stations share their subnets.
type segment struct {
	links    []string // in the order of the file
	stations []Station
}

// segments returns the segment of each link.
func (t *Topology) segments() map[string]*segment {
	of := map[string]*segment{}
	for i := range t.Links {
		of[t.Links[i].Name] = &segment{}
	}
	join := func(a, b *segment) {
		for name, s := range of {
			if s == b {
				of[name] = a
			}
		}
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		for k := range n.Interfaces {
			if n.Kind == Switch && k > 0 {
				join(of[n.Interfaces[0].Link], of[n.Interfaces[k].Link])
			}
		}
	}
	for i := range t.Links {
		l := &t.Links[i]
		s := of[l.Name]
		s.links = append(s.links, l.Name)
		for _, end := range l.Ends {
			if n := t.Node(end); n.Kind != Switch {
				s.stations = append(s.stations, Station{n, n.exact(l.Name)})
			}
		}
	}
	return of
}

// neighbours returns the other hosts on the segment of a node, and the routers
// that it may send by: one that translates is no gateway to what is inside, for
// IPv4.
func (s *segment) neighbours(n *Node, family int) (routers, hosts []Station) {
	for _, st := range s.stations {
		switch {
		case st.Node == n, family == 4 && st.Node.NAT.Link == st.Interface.Link:
		case st.Node.Kind == Router:
			routers = append(routers, st)
		default:
			hosts = append(hosts, st)
		}
	}
	return routers, hosts
}

// assign gives the stations of each segment that have no addresses theirs: link n
// of the file, which is the first of its segment, is 10.0.n.0/24 and
// fd00:0:0:n::/64, and its stations count from .1 in the order of the file. Where
// some have addresses, the others take the free ones of their subnet. More
// stations than a /24 holds get a 10.N.0.0/16 from 10.128 on. given has the
// interfaces that the file gives addresses.
func (t *Topology) assign(given map[*Interface]bool) {
	seen := map[*segment]bool{}
	of := t.segments()
	large := 0
	for i := range t.Links {
		s := of[t.Links[i].Name]
		if seen[s] {
			continue
		}
		seen[s] = true
		wide := len(s.stations) > 254
		for _, f := range t.Families {
			net := defaultSubnet(i+1, f)
			if wide && f == 4 {
				net = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(128 + large)}), 16)
			}
			s.fill(f, net, given)
		}
		if wide {
			large++
		}
	}
}

func defaultSubnet(n, family int) netip.Prefix {
	if family == 4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n)}), 24)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 6: byte(n >> 8), 7: byte(n)}), 64)
}

// fill gives addresses of a family to the stations without any: the free ones of
// the subnet that the others have, or of net.
func (s *segment) fill(family int, net netip.Prefix, given map[*Interface]bool) {
	taken := map[netip.Addr]bool{}
	found := false
	for _, st := range s.stations {
		for _, p := range st.Interface.Prefixes {
			if p.Addr().Is4() != (family == 4) {
				continue
			}
			taken[p.Addr()] = true
			if !found {
				net, found = p.Masked(), true
			}
		}
	}
	next := net.Addr()
	for _, st := range s.stations {
		if given[st.Interface] {
			continue
		}
		for next = next.Next(); taken[next]; {
			next = next.Next()
		}
		st.Interface.Prefixes = append(st.Interface.Prefixes, netip.PrefixFrom(next, net.Bits()))
	}
}
