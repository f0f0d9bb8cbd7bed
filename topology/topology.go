// Package topology describes the network of a scenario: hosts, routers,
// switches, links, addresses and routes, with every default written out.
// topology/virtual builds it in virtual time, topology/netns on namespaces.
package topology

import (
	"net/netip"
	"time"

	"mptcplab/impairments"
)

// Topology is a resolved network: nothing in it is left to be assumed.
type Topology struct {
	Families []int  // 4, 6 or both
	Nodes    []Node // in the order of the file
	Links    []Link

	Middleboxes []Middlebox
}

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Host Kind = iota + 1
	Router
	Switch
)

// String returns the word for the kind.
func (k Kind) String() string { return [...]string{"", "host", "router", "switch"}[k] }

// Node is a host, router or switch.
type Node struct {
	Name       string
	Group      string // that it is a member of; "": none
	Kind       Kind
	ECMP       bool // routers: by flow hash
	NAT        NAT  // routers: of no link without
	Interfaces []Interface
	// Routes are the computed ones and then the given; subnets of own interfaces
	// are on link and not among them. Those of hosts go by source address first;
	// their metrics count from 1 in the order of the interfaces.
	Routes []Route
	Filter []impairments.Rule // of a host, on all its interfaces: Up is out, Down is in
}

// NAT is network address and port translation: what leaves by Link gets the
// address of the router's interface there. IPv6 is not translated.
type NAT struct {
	Link    string
	Timeout time.Duration // of an established TCP connection without packets
}

// Interface is one end of a link at a node. Its name inside the node is the
// link's name; everywhere else it is NODE.LINK.
type Interface struct {
	Link     string
	Group    string         // of the link
	End      int            // 0: first end of the link, 1: second
	Prefixes []netip.Prefix // own addresses with their prefix length; none at a switch
}

// Route is a static route of a node.
type Route struct {
	Prefix  netip.Prefix
	Gateway netip.Addr // invalid: on link
	Link    string     // the interface it leaves by
	Metric  int        // lower is preferred
}

// Direction of a link. Uplink goes from the first end to the second.
type Direction int

// The directions.
const (
	Uplink Direction = iota
	Downlink
)

func (d Direction) String() string {
	if d == Uplink {
		return "uplink"
	}
	return "downlink"
}

// Link joins two interfaces.
type Link struct {
	Name       string
	Group      string    // that it is a member of; "": none
	Ends       [2]string // node names
	MTU        int
	HalfDuplex bool                  // both directions share the rate
	RTT        time.Duration         // the longest round trip, without queueing, of the paths between hosts that use the link
	Impair     [2]impairments.Config // by Direction
	Through    []string              // middleboxes at the second end
}

// Node returns the node of that name, or nil.
func (t *Topology) Node(name string) *Node {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i]
		}
	}
	return nil
}

// Link returns the link of that name, or nil.
func (t *Topology) Link(name string) *Link {
	for i := range t.Links {
		if t.Links[i].Name == name {
			return &t.Links[i]
		}
	}
	return nil
}

// Members returns the hosts that a name stands for: the host of that name, or
// those of the group, in order.
func (t *Topology) Members(name string) (list []*Node) {
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Kind == Host && n.Name == name {
			return []*Node{n}
		}
	}
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Kind == Host && n.Group == name && name != "" {
			list = append(list, n)
		}
	}
	return list
}

// LinkMembers returns the links that a name stands for: the link of that name, or
// those of the group, in order.
func (t *Topology) LinkMembers(name string) (list []*Link) {
	if l := t.Link(name); l != nil {
		return []*Link{l}
	}
	for i := range t.Links {
		if t.Links[i].Group == name && name != "" {
			list = append(list, &t.Links[i])
		}
	}
	return list
}
