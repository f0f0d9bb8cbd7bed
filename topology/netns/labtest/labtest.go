// Package labtest has the topology of the tests that need network namespaces.
package labtest

import (
	"fmt"
	"net/netip"
	"slices"

	"mptcplab/topology"
)

// Addresses of Handover's hosts.
var (
	PhoneWiFi = netip.MustParseAddr("10.0.1.1")
	PhoneLTE  = netip.MustParseAddr("10.0.2.1")
	Server    = netip.MustParseAddr("10.0.3.1")

	PhoneWiFi6 = netip.MustParseAddr("fd00:0:0:1::1")
	PhoneLTE6  = netip.MustParseAddr("fd00:0:0:2::1")
	Server6    = netip.MustParseAddr("fd00:0:0:3::1")
)

var links = []string{"wifi", "lte", "lan"}

// Handover is the demo's network: a phone with two links, a router and a server. The
// router is 2 on every link.
func Handover(families ...int) *topology.Topology {
	if len(families) == 0 {
		families = []int{4}
	}
	prefixes := func(link, end int) (list []netip.Prefix) {
		if slices.Contains(families, 4) {
			list = append(list, netip.MustParsePrefix(fmt.Sprintf("10.0.%d.%d/24", link, end)))
		}
		if slices.Contains(families, 6) {
			list = append(list, netip.MustParsePrefix(fmt.Sprintf("fd00:0:0:%d::%d/64", link, end)))
		}
		return list
	}
	defaults := func(link, metric int) (list []topology.Route) {
		for _, p := range prefixes(link, 2) {
			all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if p.Addr().Is6() {
				all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			list = append(list, topology.Route{Prefix: all, Gateway: p.Addr(), Link: links[link-1], Metric: metric})
		}
		return list
	}
	return &topology.Topology{
		Families: families,
		Nodes: []topology.Node{
			{Name: "phone", Kind: topology.Host,
				Interfaces: []topology.Interface{{Link: "wifi", Prefixes: prefixes(1, 1)}, {Link: "lte", Prefixes: prefixes(2, 1)}},
				Routes:     append(defaults(1, 1), defaults(2, 2)...)},
			{Name: "router", Kind: topology.Router,
				Interfaces: []topology.Interface{
					{Link: "wifi", End: 1, Prefixes: prefixes(1, 2)}, {Link: "lte", End: 1, Prefixes: prefixes(2, 2)},
					{Link: "lan", Prefixes: prefixes(3, 2)}}},
			{Name: "server", Kind: topology.Host,
				Interfaces: []topology.Interface{{Link: "lan", End: 1, Prefixes: prefixes(3, 1)}},
				Routes:     defaults(3, 1)},
		},
		Links: []topology.Link{
			{Name: "wifi", Ends: [2]string{"phone", "router"}, MTU: 1500},
			{Name: "lte", Ends: [2]string{"phone", "router"}, MTU: 1500},
			{Name: "lan", Ends: [2]string{"router", "server"}, MTU: 1500},
		},
	}
}
