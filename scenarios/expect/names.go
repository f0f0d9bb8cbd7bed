package expect

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mptcplab/topology/decode"
)

// Names are the things of a run that result names may speak of.
type Names struct {
	Flows       []FlowNames
	Hosts       []string
	Links       []string
	Middleboxes []string
	Events      []string // named ones
	Axes        []AxisNames
	Pairing     string
	Point       []Axis
}

// FlowNames is a workload with its connections.
type FlowNames struct {
	Name    string
	Members []string     // of a group or a parallel workload: "1", "sta7", "sta7.1"; nil: one flow of that name
	Paths   [][]PathName // of each member, or of the one flow
}

// PathName is what a path is called: "wifi", "wifi+s2", "radio7". Group is the
// name of the group that its links are the member's own of, "radio", or the name.
type PathName struct{ Name, Group string }

// AxisNames is an axis with the labels that run, in order; the pairing is one, too.
type AxisNames struct {
	Name   string
	Labels []string
}

// entry is one name of the catalogue: its last words, its dimension, and what it
// may be asked for.
type entry struct {
	words  string
	dim    decode.Dim
	window bool // counts up: has a value in a window
	gauge  bool // has a value at an instant
	sum    bool // of a parallel workload: the sum
}

var flowEntries = []entry{
	{"bytes", decode.Size, true, false, true},
	{"goodput", decode.Rate, true, false, true},
	{"throughput", decode.Rate, true, false, true},
	{"duration", decode.Time, false, false, false},
	{"client.duration", decode.Time, false, false, false},
	{"server.duration", decode.Time, false, false, false},
	{"setup", decode.Time, false, false, false},
	{"intact", decode.Truth, false, false, false},
	{"finished", decode.Truth, false, false, false},
	{"fallback", decode.Truth, false, false, false},
	{"fallback_reason", decode.Words, false, false, false},
	{"subflows", decode.Number, false, true, false},
	{"retransmitted", decode.Size, true, false, true},
	{"reinjected", decode.Size, true, false, true},
	{"duplicate", decode.Size, true, false, true},
	{"errors", decode.Number, false, false, true},
	{"response.min", decode.Time, false, false, false},
	{"response.median", decode.Time, false, false, false},
	{"response.p95", decode.Time, false, false, false},
	{"response.p99", decode.Time, false, false, false},
	{"response.max", decode.Time, false, false, false},
}

var pathEntries = []entry{
	{"bytes", decode.Size, true, false, true},
	{"packets", decode.Number, true, false, true},
	{"goodput", decode.Rate, true, false, true},
	{"share", decode.Number, true, false, false},
	{"srtt", decode.Time, true, true, false},
	{"retransmitted", decode.Size, true, false, true},
	{"reinjected", decode.Size, true, false, true},
	{"first", decode.Time, true, false, false},
}

var handoverEntries = []entry{
	{"gap", decode.Time, false, false, false},
	{"cause", decode.Words, false, false, false},
	{"path", decode.Words, false, false, false},
	{"rto", decode.Time, false, false, false},
	{"srtt", decode.Time, false, false, false},
}

var linkEntries = []entry{
	{"bytes", decode.Size, true, false, false},
	{"packets", decode.Number, true, false, false},
	{"dropped", decode.Number, true, false, false},
	{"marked", decode.Number, true, false, false},
	{"queue.p95", decode.Size, true, true, false},
	{"rate", decode.Rate, true, true, false},
}

var runEntries = []entry{
	{"honesty", decode.Number, false, false, false},
	{"duration", decode.Time, false, false, false},
}

func words(list []entry) []string {
	w := make([]string, len(list))
	for i, e := range list {
		w[i] = e.words
	}
	return w
}

func find(list []entry, parts []string, what string) (*entry, error) {
	w := strings.Join(parts, ".")
	for i := range list {
		if list[i].words == w {
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("%s has no %q%s", what, w, decode.Suggest(w, words(list)))
}

// concrete is a name written out.
type concrete struct {
	name  string
	stars []string // what the stars stand for
}

// resolve writes a name out: stars and members of parallel workloads. aggregate
// says that the list is one value, the sum (or all) of the members.
func (n *Names) resolve(name string) (list []concrete, e *entry, aggregate bool, err error) {
	parts := strings.Split(name, ".")
	switch parts[0] {
	case "flow":
		return n.flow(parts)
	case "handover":
		list, e, err = n.handover(parts[1:], concrete{name: "handover"})
	case "host":
		list, e, err = n.host(parts)
	case "link":
		list, e, err = n.link(parts)
	case "run":
		e, err = find(runEntries, parts[1:], "run")
		list = []concrete{{name: name}}
	case "middlebox":
		list, e, err = n.middlebox(parts)
	default:
		err = fmt.Errorf("unknown name %q%s", name, decode.Suggest(parts[0], []string{"flow", "handover", "host", "link", "middlebox", "run"}))
	}
	return list, e, false, err
}

// choose returns the words that a part of a name stands for.
func choose(part string, all []string, what string) ([]string, error) {
	if part == "*" {
		if len(all) == 0 {
			return nil, fmt.Errorf("there is no %s for the star", what)
		}
		return all, nil
	}
	if !slices.Contains(all, part) {
		return nil, fmt.Errorf("there is no %s %q%s", what, part, decode.Suggest(part, all))
	}
	return []string{part}, nil
}

func (c concrete) with(part, word string) concrete {
	next := concrete{c.name + "." + word, slices.Clone(c.stars)}
	if part == "*" {
		next.stars = append(next.stars, word)
	}
	return next
}

func (n *Names) flow(parts []string) (list []concrete, e *entry, aggregate bool, err error) {
	if len(parts) < 3 {
		return nil, nil, false, fmt.Errorf("%q is incomplete; write flow.NAME.WHAT, such as flow.get.goodput", strings.Join(parts, "."))
	}
	names := make([]string, len(n.Flows))
	for i, f := range n.Flows {
		names[i] = f.Name
	}
	chosen, err := choose(parts[1], names, "workload")
	if err != nil {
		return nil, nil, false, err
	}
	for i := range n.Flows {
		f := &n.Flows[i]
		if !slices.Contains(chosen, f.Name) {
			continue
		}
		more, entry, agg, err := n.members(f, concrete{name: "flow"}.with(parts[1], f.Name), parts[2:])
		if err != nil {
			return nil, nil, false, err
		}
		list, e, aggregate = append(list, more...), entry, aggregate || agg
	}
	if aggregate && parts[1] == "*" {
		return nil, nil, false, fmt.Errorf("flow.* has workloads with parallel flows in it; name them, as in flow.NAME.*.%s", strings.Join(parts[2:], "."))
	}
	return list, e, aggregate, nil
}

// leaf is one flow of a workload.
type leaf struct {
	concrete
	paths []PathName
}

// leaves returns the flows that the first parts of a name mean, the parts that
// follow, and whether the flows are meant as one.
func (f *FlowNames) leaves(base concrete, parts []string) (list []leaf, rest []string, aggregate bool, err error) {
	if f.Members == nil {
		if parts[0] == "*" {
			return nil, nil, false, fmt.Errorf("workload %q has one flow, and no members for the star", f.Name)
		}
		return []leaf{{base, f.Paths[0]}}, parts, false, nil
	}
	used, star := 0, false
	for i, m := range f.Members {
		words := strings.Split(m, ".")
		k := 0
		for k < len(words) && k < len(parts) && (parts[k] == "*" || parts[k] == words[k]) {
			k++
		}
		if k > used {
			used, list = k, nil
		}
		if k < used {
			continue
		}
		c := base
		for j, w := range words {
			part := ""
			if j < k {
				part = parts[j]
			}
			star = star || part == "*"
			if part == "*" && k < len(words) { // a star for a member stands for all its flows
				c = base.with("*", m)
				break
			}
			c = c.with(part, w)
		}
		list = append(list, leaf{c, f.Paths[i]})
	}
	return list, parts[used:], !star && (used == 0 || len(list) > 1), nil
}

// members goes through the connections of a workload.
func (n *Names) members(f *FlowNames, base concrete, parts []string) (list []concrete, e *entry, aggregate bool, err error) {
	leaves, rest, aggregate, err := f.leaves(base, parts)
	if err != nil {
		return nil, nil, false, err
	}
	if len(rest) == 0 {
		return nil, nil, false, fmt.Errorf("flow.%s.%s is incomplete; write what of it, as in flow.get.goodput", f.Name, strings.Join(parts, "."))
	}
	var absent error
	for _, l := range leaves {
		more, entry, err := n.flowRest(f, l, rest)
		switch {
		case errors.Is(err, errNoPath): // another member may have it
			absent = err
			continue
		case err != nil:
			return nil, nil, false, err
		}
		list, e = append(list, more...), entry
	}
	if e == nil {
		return nil, nil, false, absent
	}
	if aggregate && !e.sum && e.dim != decode.Truth {
		return nil, nil, false, fmt.Errorf("workload %q has several flows: %s of all of them is no sum; write flow.%s.*.%s in a function such as median( )", f.Name, e.words, f.Name, strings.Join(rest, "."))
	}
	return list, e, aggregate, nil
}

func (n *Names) flowRest(f *FlowNames, base leaf, parts []string) ([]concrete, *entry, error) {
	if len(parts) > 1 && parts[0] == "path" {
		return base.path(f, parts)
	}
	if len(parts) > 1 && parts[0] == "handover" {
		return n.handover(parts[1:], base.with("", "handover"))
	}
	e, err := find(flowEntries, parts, "a flow")
	if err != nil {
		if near := decode.Nearest(parts[0], []string{"path", "handover"}); near != "" && len(parts) > 1 {
			err = fmt.Errorf("a flow has no %q; did you mean %q?", parts[0], near)
		}
		return nil, nil, err
	}
	return []concrete{{base.name + "." + e.words, base.stars}}, e, nil
}

// errNoPath says that a flow has no path of that name.
var errNoPath = errors.New("no such path")

type noPath struct{ error }

// Is makes it errNoPath.
func (noPath) Is(target error) bool { return target == errNoPath }

// path resolves path.LINK.WHAT.
func (l leaf) path(f *FlowNames, parts []string) (list []concrete, e *entry, err error) {
	if len(parts) < 3 {
		return nil, nil, fmt.Errorf("write flow.%s.path.LINK.WHAT, such as flow.%s.path.wifi.bytes", f.Name, f.Name)
	}
	var all, chosen []string
	for _, p := range l.paths {
		if all = append(all, p.Name); p.Group == parts[1] {
			chosen = []string{p.Name}
		}
	}
	if chosen == nil {
		if chosen, err = choose(parts[1], all, "path"); err != nil {
			return nil, nil, noPath{err}
		}
	}
	if e, err = find(pathEntries, parts[2:], "a path"); err != nil {
		return nil, nil, err
	}
	for _, p := range chosen {
		c := l.with("", "path").with(parts[1], p)
		list = append(list, concrete{c.name + "." + e.words, c.stars})
	}
	return list, e, nil
}

// handover resolves EVENT.WHAT, or gap alone: the largest of all events.
func (n *Names) handover(parts []string, base concrete) ([]concrete, *entry, error) {
	if len(parts) == 1 && parts[0] == "gap" {
		return []concrete{{base.name + ".gap", base.stars}}, &handoverEntries[0], nil
	}
	if len(parts) < 2 {
		return nil, nil, fmt.Errorf("write handover.EVENT.WHAT, such as handover.wifi-lost.gap, or handover.gap")
	}
	chosen, err := choose(parts[0], n.Events, "named event")
	if err != nil {
		return nil, nil, err
	}
	e, err := find(handoverEntries, parts[1:], "a handover")
	if err != nil {
		return nil, nil, err
	}
	var list []concrete
	for _, ev := range chosen {
		c := base.with(parts[0], ev)
		list = append(list, concrete{c.name + "." + e.words, c.stars})
	}
	return list, e, nil
}

// Counters have the names of nstat.
var counterName = regexp.MustCompile(`^(MPTcpExt|TcpExt|Tcp|IpExt|Ip6?|Icmp6?|Udp6?)[A-Z][A-Za-z0-9]*$`)

// hits are counted of each rule of a middlebox, and of a host's filter.
var hits = entry{words: "hits", dim: decode.Number, window: true}

var ruleNumber = regexp.MustCompile(`^(0|[1-9][0-9]?)$`)

func (n *Names) middlebox(parts []string) ([]concrete, *entry, error) {
	if len(parts) != 5 || parts[2] != "rule" || !ruleNumber.MatchString(parts[3]) || parts[4] != "hits" {
		return nil, nil, fmt.Errorf("%q: write middlebox.NAME.rule.N.hits, such as middlebox.nat.rule.0.hits", strings.Join(parts, "."))
	}
	chosen, err := choose(parts[1], n.Middleboxes, "middlebox")
	if err != nil {
		return nil, nil, err
	}
	var list []concrete
	for _, b := range chosen {
		c := concrete{name: "middlebox"}.with(parts[1], b)
		list = append(list, concrete{c.name + ".rule." + parts[3] + ".hits", c.stars})
	}
	return list, &hits, nil
}

// filter resolves host.HOST.filter.rule.N.hits.
func (n *Names) filter(parts []string) ([]concrete, *entry, error) {
	if len(parts) != 6 || parts[3] != "rule" || !ruleNumber.MatchString(parts[4]) || parts[5] != "hits" {
		return nil, nil, fmt.Errorf("%q: write host.HOST.filter.rule.N.hits, such as host.phone.filter.rule.0.hits", strings.Join(parts, "."))
	}
	chosen, err := choose(parts[1], n.Hosts, "host")
	if err != nil {
		return nil, nil, err
	}
	var list []concrete
	for _, h := range chosen {
		c := concrete{name: "host"}.with(parts[1], h)
		list = append(list, concrete{c.name + "." + strings.Join(parts[2:], "."), c.stars})
	}
	return list, &hits, nil
}

func (n *Names) host(parts []string) ([]concrete, *entry, error) {
	if len(parts) > 2 && parts[2] == "filter" {
		return n.filter(parts)
	}
	if len(parts) != 4 || parts[2] != "counter" {
		return nil, nil, fmt.Errorf("%q: write host.HOST.counter.NAME, such as host.phone.counter.MPTcpExtMPJoinSynTx", strings.Join(parts, "."))
	}
	chosen, err := choose(parts[1], n.Hosts, "host")
	if err != nil {
		return nil, nil, err
	}
	if !counterName.MatchString(parts[3]) {
		return nil, nil, fmt.Errorf("%q is no counter; counters have the names of nstat, such as MPTcpExtMPJoinSynTx or TcpRetransSegs", parts[3])
	}
	var list []concrete
	for _, h := range chosen {
		c := concrete{name: "host"}.with(parts[1], h)
		list = append(list, concrete{c.name + ".counter." + parts[3], c.stars})
	}
	return list, &entry{words: parts[3], dim: decode.Number, window: true}, nil
}

func (n *Names) link(parts []string) ([]concrete, *entry, error) {
	if len(parts) < 4 {
		return nil, nil, fmt.Errorf("%q: write link.LINK.uplink.WHAT, such as link.wifi.downlink.dropped", strings.Join(parts, "."))
	}
	chosen, err := choose(parts[1], n.Links, "link")
	if err != nil {
		return nil, nil, err
	}
	dirs, err := choose(parts[2], []string{"uplink", "downlink"}, "direction")
	if err != nil {
		return nil, nil, err
	}
	e, err := find(linkEntries, parts[3:], "a link")
	if err != nil {
		return nil, nil, err
	}
	var list []concrete
	for _, l := range chosen {
		for _, d := range dirs {
			c := concrete{name: "link"}.with(parts[1], l).with(parts[2], d)
			list = append(list, concrete{c.name + "." + e.words, c.stars})
		}
	}
	return list, e, nil
}
