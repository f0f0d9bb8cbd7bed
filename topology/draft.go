package topology

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"mptcplab/impairments"
	"mptcplab/topology/decode"
)

var (
	errZeroRate  = errors.New("a rate of 0 would never send; leave rate out for an unlimited link, or use blackhole: true")
	errZeroQueue = errors.New("a queue of nothing would pass nothing; the smallest is 1p")
)

func badQueue(s string) error {
	return fmt.Errorf("%q is not a queue; write a time (100ms), packets (64p) or a size (250KB)", s)
}

// Draft is the topology block of a file while it is read: what was said, before
// addresses and routes are assigned. The zero value is ready to use.
type Draft struct {
	// HostKeys declares the keys of a host that other rooms own (its stack and
	// settings).
	HostKeys func(host string, m *decode.Map)

	families []int
	nodes    []nodeDraft
	links    []linkDraft
	boxes    []boxDraft
}

type nodeDraft struct {
	name   string
	kind   Kind
	group  string
	ecmp   bool
	at     decode.Position
	routes []routeDraft
	nat    NAT
	natAt  decode.Position
	filter []impairments.Rule
}

type boxDraft struct {
	Middlebox
	at decode.Position
}

type routeDraft struct {
	Route
	at decode.Position
}

type linkDraft struct {
	name      string
	at        decode.Position
	ends      []string
	endsAt    decode.Position
	group     string
	addresses [2][]netip.Prefix
	given     bool // addresses
	bad       bool // addresses that could not be read
	addrAt    decode.Position
	mtu       int
	duplex    string
	through   []string
	throughAt decode.Position
	behaviour [2]Behaviour
}

// Keys declares the keys of the topology block.
func (d *Draft) Keys(m *decode.Map) {
	decode.GetList(m, "ip", ipType, &d.families, "IP versions; default [4, 6]")
	m.Each("hosts", "machines with applications; a set such as {phone, server} will do", func(name string, m *decode.Map) {
		n := nodeDraft{name: name, kind: Host, at: m.At}
		if d.HostKeys != nil {
			d.HostKeys(name, m)
		}
		routeKeys(m, &n)
		decode.Get(m, "count", decode.IntType(1, maxMembers), new(int), "a group: makes NAME1 ... NAMEn; $i in the host is the index, from 1")
		groupKey(m, &n.group)
		RulesKey(m, "filter", true, &n.filter, "rules as of a middlebox, on all of its interfaces: a packet filter")
		d.nodes = append(d.nodes, n)
	})
	m.Each("routers", "nodes that forward", func(name string, m *decode.Map) {
		n := nodeDraft{name: name, kind: Router, at: m.At}
		var ecmp string
		decode.Get(m, "ecmp", decode.EnumType([]string{"none", "flow-hash"}), &ecmp, "equal-cost routes: the first one, or by a hash of the flow; default none")
		n.ecmp = ecmp == "flow-hash"
		routeKeys(m, &n)
		natKey(m, &n)
		d.nodes = append(d.nodes, n)
	})
	m.Each("switches", "bridges: all that is joined to one shares its subnets", func(name string, m *decode.Map) {
		d.nodes = append(d.nodes, nodeDraft{name: name, kind: Switch, at: m.At})
	})
	m.Each("middleboxes", "machines on links that look into packets; links go through them", func(name string, m *decode.Map) {
		b := boxDraft{Middlebox{Name: name}, m.At}
		RulesKey(m, "rules", false, &b.Rules, "what they do, in this order")
		d.boxes = append(d.boxes, b)
	})
	m.Each("links", "what joins two nodes; the name is the interface's name inside its hosts", d.linkKeys)
}

var ipType = decode.Type[int]{What: "4 or 6", Parse: func(s string) (int, error) {
	if s != "4" && s != "6" {
		return 0, fmt.Errorf("%q is no IP version; allowed: 4 6", s)
	}
	return strconv.Atoi(s)
}, Schema: &decode.Schema{Enum: []any{4, 6}}}

func routeKeys(m *decode.Map, n *nodeDraft) {
	m.List("routes", "static routes besides the computed ones", func(_ int, m *decode.Map) {
		r := routeDraft{at: m.At}
		decode.Get(m, "to", decode.PrefixType, &r.Prefix, "destination: 10.0.9.0/24")
		decode.Get(m, "via", decode.AddrType, &r.Gateway, "gateway; absent: on link")
		decode.Get(m, "link", decode.NameType, &r.Link, "the interface it leaves by")
		decode.Get(m, "metric", decode.IntType(0, 1<<30), &r.Metric, "lower is preferred; default 0")
		m.Require("to")
		m.Require("link")
		r.Prefix = r.Prefix.Masked()
		n.routes = append(n.routes, r)
	})
}

// natTimeout is Linux's nf_conntrack_tcp_timeout_established.
const natTimeout = 5 * 24 * time.Hour

// natKey reads nat: LINK or nat: {link: LINK, timeout: TIME}.
func natKey(m *decode.Map, n *nodeDraft) {
	keys := func(m *decode.Map) {
		decode.Get(m, "link", decode.NameType, &n.nat.Link, "the link outside")
		decode.Get(m, "timeout", decode.TimeType, &n.nat.Timeout, "of an established TCP connection without packets; default 120h, as Linux")
		m.Require("link")
	}
	schema := func() *decode.Schema { return decode.OneOf(decode.NameType.Schema, decode.Describe(keys)) }
	m.Key("nat", "network address translation: the link by which what leaves gets the router's address there; IPv4 alone", schema, func(v *decode.Node, path string) {
		n.natAt, n.nat.Timeout = v.At, natTimeout
		if v.Kind == decode.Dict {
			decode.Object(m.Report(), v, v.At, path, keys)
		} else if link, ok := decode.NameType.Read(m.Report(), v, path); ok {
			n.nat.Link = link
		}
		if n.nat.Timeout <= 0 {
			m.Report().Errorf(v.At, "%s.timeout: a connection is forgotten at once; wanted is more than 0s", path)
		}
	})
}

func (d *Draft) linkKeys(name string, m *decode.Map) {
	l := linkDraft{name: name, at: m.At, mtu: 1500, endsAt: m.At, addrAt: m.At}
	if !m.Describing() {
		l.endsAt, l.addrAt, l.throughAt = m.PositionOf("ends"), m.PositionOf("addresses"), m.PositionOf("through")
	}
	decode.GetList(m, "ends", decode.NameType, &l.ends, "the two nodes; uplink goes from the first to the second")
	m.Require("ends")
	addressKey(m, &l)
	decode.Get(m, "mtu", decode.IntType(576, 65535), &l.mtu, "default 1500")
	decode.Get(m, "count", decode.IntType(1, maxMembers), new(int), "makes NAME1 ... NAMEn; $i in the link is the index, from 1")
	groupKey(m, &l.group)
	decode.GetList(m, "through", decode.NameType, &l.through, "middleboxes at the second end, after the impairments, in the order in which the uplink meets them")
	decode.Get(m, "duplex", decode.EnumType([]string{"full", "half"}), &l.duplex, "half: both directions share the rate, as in the air; default full")
	decode.Get(m, "preset", presetType, new(string), "a ready-made link, whose first end is the user's; keys beside it win")
	both := ImpairKeys(m)
	l.behaviour[Uplink].Apply(both)
	l.behaviour[Downlink].Apply(both)
	for _, dir := range []Direction{Uplink, Downlink} {
		m.Object(dir.String(), "impairments of this direction alone", func(m *decode.Map) {
			l.behaviour[dir].Apply(ImpairKeys(m))
		})
	}
	if m.Describing() {
		return
	}
	if name == "lo" || name == "all" || name == "default" {
		m.Errorf("a link cannot be called %q, that is no name for an interface in Linux", name)
	}
	for _, dir := range []Direction{Uplink, Downlink} {
		if wrong := l.behaviour[dir].Check(); wrong != "" {
			m.Errorf("%s", wrong)
			break
		}
	}
	d.links = append(d.links, l)
}

// groupKey declares what a count writes into each member.
func groupKey(m *decode.Map, dst *string) {
	decode.Get(m, "group", decode.NameType, dst, "the group that it is a member of: the name stands for all of them; count writes it")
}

// addressKey reads addresses: [a, b]; an end may have a list, for both families.
func addressKey(m *decode.Map, l *linkDraft) {
	item := decode.OneOf(decode.PrefixType.Schema, decode.ListOf(decode.PrefixType.Schema))
	schema := func() *decode.Schema {
		return &decode.Schema{Type: "array", Items: item, MinItems: 2, MaxItems: 2}
	}
	m.Key("addresses", "of the first and the second end, with prefix length; an end may have a list, that at a switch is []. Default: link n of the file has 10.0.n.0/24 and fd00:0:0:n::/64", schema, func(n *decode.Node, path string) {
		if n.Kind != decode.List || len(n.Items) != 2 {
			m.Report().Errorf(n.At, "%s: wanted is a list of two, one address for each end", path)
			return
		}
		l.given = true
		for end, item := range n.Items {
			at := fmt.Sprintf("%s.%d", path, end)
			if item.Kind == decode.List {
				list, ok := decode.ReadList(m.Report(), item, at, decode.PrefixType)
				l.bad = l.bad || !ok
				if len(list) > 0 {
					l.addresses[end] = list
				}
			} else {
				p, ok := decode.PrefixType.Read(m.Report(), item, at)
				l.addresses[end], l.bad = []netip.Prefix{p}, l.bad || !ok
			}
		}
	})
}
