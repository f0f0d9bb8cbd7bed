package spec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"mptcplab/mptcp/pm"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// fill is a default to be written out at a path.
type fill struct {
	path string
	v    *decode.Node
}

// resolve writes the effective file out. A default is written if it is the same
// in all runs and the file says nothing at that place; whether the result gives
// the same runs is checked by reading it.
func (f *File) resolve() ([]byte, error) {
	fills := f.commonFills()
	withoutPaths := slices.DeleteFunc(slices.Clone(fills), func(x fill) bool { return strings.Contains(x.path, ".mptcp.") })
	for _, some := range [][]fill{fills, withoutPaths, nil} {
		data := f.write(some)
		again, err := parse(f.Path, data, Options{Fabric: f.options.Fabric})
		if err == nil && sameRuns(f.Runs, again.Runs) {
			return data, nil
		}
		if some == nil && err != nil {
			return nil, fmt.Errorf("spec: the resolved file cannot be read again: %w", err)
		}
	}
	return nil, fmt.Errorf("spec: the resolved file gives other runs")
}

func (f *File) write(fills []fill) []byte {
	tree := f.tree.Clone()
	for _, x := range fills {
		if err := tree.Set(x.path, x.v, intoKnown); err != nil {
			continue // the file has something else there, or a group is made only in a run
		}
	}
	tree.Delete("quick")
	order := func(key string) int { return slices.Index(fileOrder, key) }
	slices.SortStableFunc(tree.Entries, func(a, b decode.Entry) int { return order(a.Key) - order(b.Key) })
	return tree.Encode()
}

var fileOrder = []string{"name", "description", "source", "seed", "repeat", "duration", "timeout", "params", "topology", "mptcp", "tcp",
	"pairings", "workloads", "timeline", "sweep", "expect", "capture", "assumed"}

// commonFills are the defaults that are the same in all runs.
func (f *File) commonFills() []fill {
	var common []fill
	given := map[string]bool{}
	for i := range f.Runs {
		run := &f.Runs[i]
		if i > 0 && run.Topology == f.Runs[i-1].Topology {
			continue // a repetition
		}
		noteGiven(run, given)
		here := f.runFills(run)
		if i == 0 {
			common = here
			continue
		}
		common = slices.DeleteFunc(common, func(x fill) bool {
			return !slices.ContainsFunc(here, func(y fill) bool { return x.path == y.path && sameNode(x.v, y.v) })
		})
	}
	head := []fill{{"name", word(f.Name)}, {"seed", word(strconv.FormatUint(f.Seed, 10))}, {"repeat", word(strconv.Itoa(f.Repeat))}}
	if f.tree.Get("capture").Get("packets") == nil {
		head = append(head, fill{"capture.packets", word(f.Capture.Packets)})
	}
	if f.tree.Get("capture").Get("snaplen") == nil && f.Capture.SnapLen > 0 {
		head = append(head, fill{"capture.snaplen", word(strconv.Itoa(f.Capture.SnapLen))})
	}
	return slices.Concat(head, common, f.settingFills(given))
}

func noteGiven(run *Run, given map[string]bool) {
	for _, h := range run.Hosts {
		maps.Copy(given, h.Settings.Given)
	}
	for _, w := range run.Workloads {
		maps.Copy(given, w.ClientSettings.Given)
		maps.Copy(given, w.ServerSettings.Given)
	}
}

// settingFills are the settings of the built-in stack that nobody gave, and the list that says so: a
// kernel that lacks one of them is no reason to refuse the run.
func (f *File) settingFills(given map[string]bool) []fill {
	var list []fill
	assumed := &decode.Node{Kind: decode.List}
	add := func(block string, settings []setting) {
		for _, s := range settings {
			key := block + "." + s.name
			if !s.ours || given[key] || f.at(key) != nil && !slices.Contains(f.assumed(), key) {
				continue
			}
			v := word(s.def)
			if words := strings.Fields(s.def); len(words) > 1 {
				v = &decode.Node{Kind: decode.List}
				for _, w := range words {
					v.Items = append(v.Items, word(w))
				}
			}
			list = append(list, fill{key, v})
			assumed.Items = append(assumed.Items, word(key))
		}
	}
	add("mptcp", mptcpSettings)
	add("tcp", tcpSettings)
	return append(list, fill{"assumed", assumed})
}

func (f *File) assumed() []string { return labelsOf(orEmpty(f.tree.Get("assumed"))) }

func orEmpty(n *decode.Node) *decode.Node {
	if n == nil {
		return &decode.Node{}
	}
	return n
}

// at returns what the effective file has at a path of maps, or nil.
func (f *File) at(path string) *decode.Node {
	n := f.tree
	for _, key := range strings.Split(path, ".") {
		n = n.Get(key)
	}
	return n
}

// runFills are the defaults of one run at places where the file says nothing.
func (f *File) runFills(run *Run) []fill {
	var list []fill
	add := func(path string, v *decode.Node) {
		if f.at(path) == nil {
			list = append(list, fill{path, v})
		}
	}
	add("timeout", word(decode.FormatTime(run.Timeout)))
	ip := &decode.Node{Kind: decode.List}
	for _, v := range run.Topology.Families {
		ip.Items = append(ip.Items, word(strconv.Itoa(v)))
	}
	add("topology.ip", ip)
	for i := range run.Hosts {
		h := &run.Hosts[i]
		base := "topology.hosts." + h.Name
		add(base+".stack", word(string(StackMPTCP)))
		if f.at("mptcp.endpoints") == nil {
			add(base+".mptcp.endpoints", endpointNodes(h.Endpoints))
		}
		if f.at("mptcp.limits") == nil {
			add(base+".mptcp.limits", limitNode(h.Limits))
		}
	}
	for i := range run.Topology.Nodes {
		n := &run.Topology.Nodes[i]
		if len(n.Routes) > 0 {
			kind := map[topology.Kind]string{topology.Host: "hosts", topology.Router: "routers"}[n.Kind]
			list = append(list, fill{"topology." + kind + "." + n.Name + ".routes", routeNodes(n.Routes)})
		}
	}
	for _, n := range run.Topology.Nodes {
		if n.NAT.Link != "" {
			list = append(list, fill{"topology.routers." + n.Name + ".nat", dict("link", word(n.NAT.Link), "timeout", word(decode.FormatTime(n.NAT.Timeout)))})
		}
	}
	for i := range run.Topology.Links {
		linkFills(run.Topology, &run.Topology.Links[i], add)
	}
	for i := range run.Workloads {
		w := &run.Workloads[i]
		if i > 0 && run.Workloads[i-1].Name == w.Name {
			continue // another member: the first has the first port
		}
		base := "workloads." + w.Name
		add(base+".port", word(strconv.Itoa(int(w.Port))))
		add(base+".family", word(strconv.Itoa(map[bool]int{true: 4, false: 6}[w.ServerAddr.Is4()])))
		add(base+".start", word(decode.FormatTime(w.Start)))
		add(base+".parallel", word(strconv.Itoa(w.Parallel)))
		if w.Member != "" || w.Parallel > 1 {
			add(base+".stagger", word(FormatDraw(w.Stagger)))
		}
		if w.Type == "request-response" {
			add(base+".count", word(strconv.Itoa(w.Count)))
			add(base+".think", word(FormatDraw(w.Think)))
		}
	}
	return list
}

func linkFills(t *topology.Topology, l *topology.Link, add func(string, *decode.Node)) {
	base := "topology.links." + l.Name
	ends := &decode.Node{Kind: decode.List}
	for _, end := range l.Ends {
		list := &decode.Node{Kind: decode.List}
		for _, p := range t.Node(end).Interface(l.Name).Prefixes {
			list.Items = append(list.Items, word(p.String()))
		}
		ends.Items = append(ends.Items, list)
	}
	add(base+".addresses", ends)
	add(base+".mtu", word(strconv.Itoa(l.MTU)))
	up, down := &l.Impair[topology.Uplink], &l.Impair[topology.Downlink]
	if up.Jitter > 0 && down.Jitter > 0 && up.InOrder == down.InOrder {
		add(base+".in_order", word(strconv.FormatBool(up.InOrder)))
		if up.Distribution == down.Distribution {
			add(base+".distribution", word(topology.DistributionName(up.Distribution)))
		}
	}
}

func endpointNodes(list []pm.Endpoint) *decode.Node {
	n := &decode.Node{Kind: decode.List}
	for _, e := range list {
		flags := &decode.Node{Kind: decode.List}
		for _, w := range FlagWords(e.Flags) {
			flags.Items = append(flags.Items, word(w))
		}
		item := dict("address", word(e.Addr.String()), "id", word(strconv.Itoa(int(e.ID))), "flags", flags)
		if e.Port != 0 {
			item.Put("port", Position{}, word(strconv.Itoa(int(e.Port))))
		}
		n.Items = append(n.Items, item)
	}
	return n
}

func limitNode(l pm.Limits) *decode.Node {
	return dict("subflows", word(strconv.Itoa(l.Subflows)), "add_addr_accepted", word(strconv.Itoa(l.AddAddrAccepted)))
}

func routeNodes(routes []topology.Route) *decode.Node {
	n := &decode.Node{Kind: decode.List}
	for _, r := range routes {
		item := dict("to", word(r.Prefix.String()))
		if r.Gateway.IsValid() {
			item.Put("via", Position{}, word(r.Gateway.String()))
		}
		item.Put("link", Position{}, word(r.Link))
		if r.Metric != 0 {
			item.Put("metric", Position{}, word(strconv.Itoa(r.Metric)))
		}
		n.Items = append(n.Items, item)
	}
	return n
}

func word(s string) *decode.Node { return decode.Word(s, Position{}) }

func dict(pairs ...any) *decode.Node {
	n := &decode.Node{Kind: decode.Dict}
	for i := 0; i < len(pairs); i += 2 {
		n.Put(pairs[i].(string), Position{}, pairs[i+1].(*decode.Node))
	}
	return n
}

func sameNode(a, b *decode.Node) bool { return string(a.Encode()) == string(b.Encode()) }

// sameRuns reports whether two lists of runs are the same but for the places in
// their files.
func sameRuns(a, b []Run) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if i > 0 && a[i].Topology == a[i-1].Topology && b[i].Topology == b[i-1].Topology && a[i].ID != a[i-1].ID {
			if a[i].ID != b[i].ID || a[i].Seed != b[i].Seed {
				return false
			}
			continue // repetitions share all else
		}
		x, y := a[i], b[i]
		x.Expect, y.Expect = withoutPlaces(x.Expect), withoutPlaces(y.Expect)
		x.Timeline, y.Timeline = withoutChanges(x.Timeline), withoutChanges(y.Timeline)
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

func withoutPlaces(list []Expectation) []Expectation {
	list = slices.Clone(list)
	for i := range list {
		list[i].At = Position{}
	}
	return list
}

// withoutChanges leaves out what cannot be compared: what a change leads to is in
// Impair.
func withoutChanges(list []Event) []Event {
	list = slices.Clone(list)
	for i := range list {
		list[i].Change = [2]topology.Change{}
	}
	return list
}
