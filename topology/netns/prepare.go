package netns

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/vishvananda/netlink"

	"mptcplab/topology"
)

// setting is a sysctl of a new namespace.
type setting struct{ name, value string }

// prepare sets the namespace up before it has interfaces: new ones take over what
// "default" says. New namespaces inherit from the machine's (ip_forward, for example),
// so nothing is left to chance.
func (n *Node) prepare() error {
	forward, noIPv6 := "0", "1"
	if n.spec.Kind == topology.Router {
		forward = "1"
	}
	if !n.userspace && n.spec.Kind != topology.Switch && slices.Contains(n.lab.topology.Families, 6) {
		noIPv6 = "0"
	}
	settings := []setting{
		{"net.ipv4.ip_forward", forward},
		{"net.ipv4.conf.all.send_redirects", "0"},
		{"net.ipv4.conf.default.send_redirects", "0"},
		{"net.ipv4.conf.all.accept_redirects", "0"},
		{"net.ipv4.conf.default.accept_redirects", "0"},
		// A multi-homed host gets answers on the interface that its routes would
		// not have chosen.
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.conf.default.rp_filter", "0"},
		{"net.ipv6.conf.all.disable_ipv6", noIPv6},
		{"net.ipv6.conf.default.disable_ipv6", noIPv6},
		{"net.ipv6.conf.all.forwarding", forward},
		{"net.ipv6.conf.default.forwarding", forward},
		{"net.ipv6.conf.all.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_dad", "0"},
		{"net.ipv6.conf.all.accept_ra", "0"},
		{"net.ipv6.conf.default.accept_ra", "0"},
		{"net.ipv6.conf.all.router_solicitations", "0"},
		{"net.ipv6.conf.default.router_solicitations", "0"},
	}
	if n.spec.ECMP {
		settings = append(settings,
			setting{"net.ipv4.fib_multipath_hash_policy", "1"}, // by ports, too
			setting{"net.ipv6.fib_multipath_hash_policy", "1"})
	}
	for _, s := range settings {
		err := writeSysctl(s.name, s.value)
		if errors.Is(err, fs.ErrNotExist) && s.name[:8] == "net.ipv6" && noIPv6 == "1" {
			continue // a kernel without IPv6 is as silent
		}
		if err != nil {
			return err
		}
	}
	if n.userspace || n.spec.Kind == topology.Switch {
		return nil
	}
	lo, err := n.nl.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.nl.LinkSetUp(lo)
}

// bridge is the name of a switch's bridge: no link is called so, since names begin
// with a letter.
const bridge = "0bridge"

// addBridge makes the switch in its namespace. Spanning tree stays off: ports forward
// at once.
func (n *Node) addBridge() (netlink.Link, error) {
	if br, err := n.nl.LinkByName(bridge); err == nil {
		return br, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridge
	snooping := false
	if err := n.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return nil, err
	}
	br, err := n.nl.LinkByName(bridge)
	if err != nil {
		return nil, err
	}
	return br, n.nl.LinkSetUp(br)
}
