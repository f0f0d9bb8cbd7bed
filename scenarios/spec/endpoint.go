package spec

import (
	"net/netip"
	"slices"
	"strings"

	"mptcplab/mptcp/pm"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// Limits as Linux has them before anybody sets them, and those of "auto".
var (
	kernelLimits = pm.Limits{Subflows: 2}
	autoLimits   = pm.Limits{Subflows: 8, AddAddrAccepted: 8}
	meshLimits   = pm.Limits{Subflows: 31, AddAddrAccepted: 8} // of fullmesh and ndiffports: all that a connection can have
)

// maxEndpoints is how many endpoints Linux's path manager takes.
const maxEndpoints = 8

// endpointDraft is an endpoint as the file says it: by dev, address or id.
type endpointDraft struct {
	pm.Endpoint
	family int // with dev; 0: the IPv4 address or the only one
	at     Position
	path   string
	change bool             // in change_endpoint
	remove bool             // in delete_endpoint
	zero   bool             // id: 0, the initial address
	clear  pm.EndpointFlags // flags to take away: nobackup
}

var flagWords = []struct {
	word string
	bit  pm.EndpointFlags
}{{"subflow", pm.Subflow}, {"signal", pm.Signal}, {"backup", pm.Backup}, {"fullmesh", pm.Fullmesh}, {"laminar", pm.Laminar}}

// FlagWords returns the flags in the words of ip-mptcp(8).
func FlagWords(f pm.EndpointFlags) (words []string) {
	for _, w := range flagWords {
		if f&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return words
}

func flagBit(word string) pm.EndpointFlags {
	for _, w := range flagWords {
		if w.word == word {
			return w.bit
		}
	}
	return 0
}

var (
	flagType       = decode.EnumType([]string{"subflow", "signal", "backup", "fullmesh", "laminar"}, "implicit")
	changeFlagType = decode.EnumType([]string{"backup", "nobackup", "fullmesh", "nofullmesh"})
)

func (e *endpointDraft) keys(m *decode.Map) {
	e.at, e.path = m.At, m.Path
	id, port := 0, 0
	decode.Get(m, "dev", decode.NameType, &e.Dev, "the link whose address it is: the IPv4 one, or the only one")
	decode.Get(m, "address", decode.AddrType, &e.Addr, "the address itself")
	decode.Get(m, "family", ipType, &e.family, "4 or 6, with dev")
	lowest, doc := 1, "address id; default: the lowest free one"
	if e.remove {
		lowest, doc = 0, "address id; 0 is that of the initial address"
	}
	decode.Get(m, "id", decode.IntType(lowest, 255), &id, doc)
	decode.Get(m, "port", decode.IntType(1, 65535), &port, "with signal: announced, and listened on for joins")
	e.flagsKey(m)
	e.ID, e.Port = uint8(id), uint16(port)
	if m.Describing() {
		return
	}
	e.zero = m.Has("id") && id == 0
	if e.zero && e.Dev == "" && !e.Addr.IsValid() {
		m.Errorf("id 0 is the initial address of connections; which one say dev or address")
	} else if e.Dev == "" && !e.Addr.IsValid() && e.ID == 0 {
		m.Errorf("an endpoint is meant by dev, address or id")
	}
	if port != 0 && e.Flags&(pm.Signal|pm.Subflow) != pm.Signal {
		m.Errorf("a port is announced: flags must have signal, and not subflow")
	}
	if e.Flags&pm.Fullmesh != 0 && e.Flags&pm.Signal != 0 {
		m.Errorf("signal and fullmesh exclude each other, as in Linux")
	}
}

func (e *endpointDraft) flagsKey(m *decode.Map) {
	t, doc := flagType, "subflow signal backup fullmesh laminar"
	if e.change {
		t, doc = changeFlagType, "backup nobackup fullmesh nofullmesh"
	}
	var flags []string
	decode.GetList(m, "flags", t, &flags, doc)
	for _, f := range flags {
		if bare, no := strings.CutPrefix(f, "no"); no {
			e.clear |= flagBit(bare)
		} else {
			e.Flags |= flagBit(f)
		}
	}
}

// address finds the address that is meant by dev or address at a node.
func (e *endpointDraft) address(n *topology.Node, r *decode.Report) (netip.Addr, string) {
	if e.Dev == "" {
		for _, i := range n.Interfaces {
			for _, p := range i.Prefixes {
				if p.Addr() == e.Addr {
					return e.Addr, i.Link
				}
			}
		}
		r.Errorf(e.at, "%s: %s has no address %s%s", e.path, n.Name, e.Addr, decode.Allowed(addresses(n)))
		return netip.Addr{}, ""
	}
	i := n.Interface(e.Dev)
	if i == nil {
		r.Errorf(e.at, "%s: %s has no interface %q%s", e.path, n.Name, e.Dev, decode.Suggest(e.Dev, links(n)))
		return netip.Addr{}, ""
	}
	if e.Addr.IsValid() {
		for _, p := range i.Prefixes {
			if p.Addr() == e.Addr {
				return e.Addr, i.Link
			}
		}
		r.Errorf(e.at, "%s: %s.%s has no address %s", e.path, n.Name, e.Dev, e.Addr)
		return netip.Addr{}, ""
	}
	families := []int{4, 6}
	if e.family != 0 {
		families = []int{e.family}
	}
	for _, f := range families {
		if a, ok := i.Addr(f); ok {
			return a, i.Link
		}
	}
	r.Errorf(e.at, "%s: %s.%s has no IPv%d address", e.path, n.Name, e.Dev, e.family)
	return netip.Addr{}, ""
}

func links(n *topology.Node) (words []string) {
	for _, i := range n.Interfaces {
		words = append(words, i.Link)
	}
	return words
}

func addresses(n *topology.Node) (words []string) {
	for _, i := range n.Interfaces {
		for _, p := range i.Prefixes {
			words = append(words, p.Addr().String())
		}
	}
	return words
}

// resolveEndpoints writes the endpoints of a host out: addresses, and ids in the
// order of the file.
func resolveEndpoints(n *topology.Node, drafts []endpointDraft, r *decode.Report) []pm.Endpoint {
	var list []pm.Endpoint
	used := map[uint8]bool{}
	for i := range drafts {
		e := &drafts[i]
		if used[e.ID] && e.ID != 0 {
			r.Errorf(e.at, "%s: id %d is taken", e.path, e.ID)
		}
		used[e.ID] = true
	}
	for i := range drafts {
		out := drafts[i].Endpoint
		if out.Dev == "" && !out.Addr.IsValid() {
			r.Errorf(drafts[i].at, "%s: a new endpoint needs dev or address", drafts[i].path)
			continue
		}
		out.Addr, out.Dev = drafts[i].address(n, r)
		if slices.ContainsFunc(list, func(o pm.Endpoint) bool { return o.Addr == out.Addr && o.Port == out.Port && out.Addr.IsValid() }) {
			r.Errorf(drafts[i].at, "%s: %s is an endpoint twice", drafts[i].path, out.Addr)
		}
		if out.ID == 0 {
			out.ID = freeID(used)
		}
		used[out.ID] = true
		list = append(list, out)
	}
	return list
}

func freeID(used map[uint8]bool) uint8 {
	id := uint8(1)
	for used[id] {
		id++
	}
	return id
}

// autoEndpoints are the endpoints of a host that says nothing: every interface of
// a multi-homed client is a subflow, every one of a multi-homed server is
// announced. The interface that carries the first subflow is an endpoint, too:
// when it goes away, its REMOVE_ADDR must be sent.
func autoEndpoints(n *topology.Node, work []Workload) []pm.Endpoint {
	flags, families := pm.EndpointFlags(0), map[int]bool{}
	for _, w := range work {
		if w.Client != n.Name && w.Server != n.Name {
			continue
		}
		if w.Client == n.Name {
			flags |= pm.Subflow
		} else {
			flags |= pm.Signal
		}
		families[map[bool]int{true: 4, false: 6}[w.ServerAddr.Is4()]] = true
	}
	if flags == 0 || len(n.Interfaces) < 2 {
		return nil
	}
	var list []pm.Endpoint
	for k := range n.Interfaces {
		i := &n.Interfaces[k]
		for _, f := range []int{4, 6} {
			if a, ok := i.Addr(f); ok && families[f] {
				list = append(list, pm.Endpoint{ID: uint8(len(list) + 1), Addr: a, Dev: i.Link, Flags: flags})
			}
		}
	}
	return list
}
