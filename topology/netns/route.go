package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcplab/mptcp/link"
	"mptcplab/topology"
)

// firstTable is the number of the routing table of a multi-homed host's first
// interface; the others follow.
const firstTable = 100

// configure gives the node its addresses, routes, rules and neighbours.
func (n *Node) configure() error {
	if n.userspace || n.spec.Kind == topology.Switch {
		return nil
	}
	return n.thread.do(func() error {
		for _, i := range n.ifaces {
			if err := n.addAddresses(i); err != nil {
				return err
			}
		}
		for k, i := range n.ifaces {
			if err := errors.Join(n.addNeighbours(i), n.addTable(k, i), n.addRules(k, i)); err != nil {
				return err
			}
		}
		return errors.Join(n.addRoutes(nil), n.masquerade())
	})
}

// multihomed reports whether the node chooses routes by source address, too.
func (n *Node) multihomed() bool { return n.spec.Kind == topology.Host && len(n.ifaces) > 1 }

// table is the routing table of the k-th interface.
func table(k int) int { return firstTable + k }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

func device(i *Interface) netlink.Link {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = i.name, i.index
	return &netlink.Veth{LinkAttrs: attrs}
}

func (n *Node) addAddress(i *Interface, p netip.Prefix) error {
	addr := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := n.nl.AddrReplace(device(i), addr); err != nil {
		return fmt.Errorf("address %s on %s: %w", p, i.name, err)
	}
	return nil
}

func (n *Node) addAddresses(i *Interface) error {
	for _, p := range i.prefixes {
		if err := n.addAddress(i, p); err != nil {
			return err
		}
	}
	return nil
}

// routesOf returns the node's routes by an interface; nil: by all of them.
func (n *Node) routesOf(i *Interface) (list []topology.Route) {
	for _, r := range n.spec.Routes {
		if i == nil || r.Link == i.name {
			list = append(list, r)
		}
	}
	return list
}

// addRoutes writes the node's routes by an interface (nil: all) into the main table.
func (n *Node) addRoutes(i *Interface) error {
	type key struct {
		prefix netip.Prefix
		metric int
	}
	groups := make(map[key]*netlink.Route)
	for _, r := range n.routesOf(i) {
		if n.connected(r) {
			continue // the kernel made it with the address
		}
		route, err := n.route(r)
		if err != nil {
			return err
		}
		k := key{r.Prefix, route.Priority}
		if n.spec.ECMP {
			if first := groups[k]; first != nil {
				addHop(first, route)
				if err := n.nl.RouteReplace(first); err != nil {
					return fmt.Errorf("route %s: %w", r.Prefix, err)
				}
				continue
			}
		} else {
			// Two routes of one metric: the earlier in the list is preferred.
			for groups[k] != nil {
				k.metric++
			}
			route.Priority = k.metric
		}
		groups[k] = route
		if err := n.nl.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s by %s: %w", r.Prefix, r.Link, err)
		}
	}
	return nil
}

// connected reports whether r is what an address of its interface implies.
func (n *Node) connected(r topology.Route) bool {
	if r.Gateway.IsValid() {
		return false
	}
	if i := n.iface(r.Link); i != nil {
		for _, p := range i.prefixes {
			if p.Masked() == r.Prefix.Masked() {
				return true
			}
		}
	}
	return false
}

// route translates a route for the main table.
func (n *Node) route(r topology.Route) (*netlink.Route, error) {
	i := n.iface(r.Link)
	if i == nil {
		return nil, fmt.Errorf("route %s: no interface %s.%s", r.Prefix, n.spec.Name, r.Link)
	}
	route := &netlink.Route{LinkIndex: i.index, Dst: ipNet(r.Prefix.Masked()), Priority: r.Metric}
	if r.Gateway.IsValid() {
		route.Gw = r.Gateway.AsSlice()
	} else {
		route.Scope = netlink.SCOPE_LINK
	}
	return route, nil
}

// addHop adds the next hop of second to first.
func addHop(first, second *netlink.Route) {
	if len(first.MultiPath) == 0 {
		first.MultiPath = []*netlink.NexthopInfo{{LinkIndex: first.LinkIndex, Gw: first.Gw}}
		first.LinkIndex, first.Gw = 0, nil
	}
	first.MultiPath = append(first.MultiPath, &netlink.NexthopInfo{LinkIndex: second.LinkIndex, Gw: second.Gw})
}

// addTable fills the table of the k-th interface of a multi-homed host: its
// prefixes and its routes.
func (n *Node) addTable(k int, i *Interface) error {
	if !n.multihomed() {
		return nil
	}
	for _, p := range i.prefixes {
		connected := &netlink.Route{LinkIndex: i.index, Dst: ipNet(p.Masked()), Scope: netlink.SCOPE_LINK, Table: table(k)}
		if p.Addr().Is4() {
			connected.Src = p.Addr().AsSlice()
		}
		if err := n.nl.RouteReplace(connected); err != nil {
			return fmt.Errorf("table %d: %s: %w", table(k), p.Masked(), err)
		}
	}
	for _, r := range n.routesOf(i) {
		if n.connected(r) {
			continue
		}
		route, err := n.route(r)
		if err != nil {
			return err
		}
		route.Table = table(k)
		if err := n.nl.RouteReplace(route); err != nil {
			return fmt.Errorf("table %d: route %s: %w", table(k), r.Prefix, err)
		}
	}
	return nil
}

// addRules sends what has an address of the k-th interface to its table:
// "from ADDR lookup TABLE".
func (n *Node) addRules(k int, i *Interface) error {
	if !n.multihomed() {
		return nil
	}
	for _, p := range i.prefixes {
		if err := n.addRule(k, p.Addr()); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) rule(k int, addr netip.Addr) *netlink.Rule {
	r := netlink.NewRule()
	r.Src = ipNet(netip.PrefixFrom(addr, addr.BitLen()))
	r.Table = table(k)
	r.Family = family(addr)
	r.Priority = table(k)
	return r
}

func (n *Node) addRule(k int, addr netip.Addr) error {
	if err := n.nl.RuleAdd(n.rule(k, addr)); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("rule from %s lookup %d: %w", addr, table(k), err)
	}
	return nil
}

// ipConfig is what an IP device on the interface of a userspace host needs to know.
func (n *Node) ipConfig(i *Interface) (c link.IPConfig) {
	for _, p := range i.prefixes {
		c.Addrs = append(c.Addrs, p.Addr())
		c.Routes = append(c.Routes, link.Route{Prefix: p.Masked()})
	}
	for _, r := range n.routesOf(i) {
		c.Routes = append(c.Routes, link.Route{Prefix: r.Prefix.Masked(), Gateway: r.Gateway})
	}
	return c
}
