package spec

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"mptcplab/mptcp/pm"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// document is a file as it is decoded for one point and pairing.
type document struct {
	name, description, source string
	seed                      uint64
	repeat                    int
	duration, timeout         time.Duration
	draft                     topology.Draft
	global                    hostBlock
	hosts                     map[string]*hostBlock
	workloads                 []workloadDraft
	timeline                  []eventDraft
	expects                   []expectDraft
	capture                   Capture
	assumed                   []string
	file                      string
	durationAt                Position
}

// hostBlock is what one level (the file, a host, a workload) says about stacks.
type hostBlock struct {
	stack     Stack
	stackAt   Position
	settings  settingsBlock
	limits    limitsDraft
	endpoints []endpointDraft // nil with auto
	auto      bool
	given     bool // endpoints
	at        Position
}

func newDocument() *document {
	d := &document{seed: 1, repeat: 1, timeout: 10 * time.Minute, hosts: map[string]*hostBlock{}}
	d.capture = Capture{Packets: "headers", SnapLen: 128}
	d.draft.HostKeys = d.hostKeys
	return d
}

// topKeys returns the top-level keys.
func topKeys() []string { return topKeyList }

var topKeyList = func() []string {
	s := decode.Describe(newDocument().keys)
	keys := make([]string, 0, len(s.Properties))
	for k := range s.Properties {
		keys = append(keys, k)
	}
	return sorted(keys)
}()

// keys declares the top level (section 2 of the schema).
func (d *document) keys(m *decode.Map) {
	decode.Get(m, "name", decode.TextType, &d.name, "default: the name of the file")
	decode.Get(m, "description", decode.TextType, &d.description, "a sentence for people")
	decode.Get(m, "source", decode.TextType, &d.source, "where the numbers come from")
	decode.Get(m, "seed", seedType, &d.seed, "run r of every point and pairing uses seed + r; default 1")
	decode.Get(m, "repeat", decode.IntType(1, 100_000), &d.repeat, "repetitions of every point and pairing; default 1")
	if !m.Describing() {
		d.durationAt = m.PositionOf("duration")
	}
	decode.Get(m, "duration", decode.TimeType, &d.duration, "stop then; default: when all workloads are done")
	decode.Get(m, "timeout", decode.TimeType, &d.timeout, "give up then; default 10min")
	structural(m, "include", "other files, relative to this one: maps merge, lists replace", decode.OneOf(decode.Pattern("."), decode.ListOf(decode.Pattern("."))))
	structural(m, "params", "values that $name stands for", mapOf(decode.Anything))
	structural(m, "quick", "changes under --quick, {parameter or path: value}", mapOf(decode.Anything))
	m.Object("topology", "hosts, routers and what joins them", d.draft.Keys)
	d.global.keys(m, true)
	structural(m, "pairings", "which stack each host runs, case by case", mapOf(mapOf(decode.OneOf(decode.Enum(stackWords...), mapOf(decode.Enum(stackWords...))))))
	m.Each("workloads", "applications", d.workloadKeys)
	m.List("timeline", "what happens when; one subject for each entry", d.eventKeys)
	structural(m, "sweep", "axes: a list of values of a parameter, or named bundles of changes", mapOf(decode.OneOf(decode.ListOf(decode.Anything), mapOf(mapOf(decode.Anything)), decode.Pattern(`\.\.`), decode.IntType(1, 1<<20).Schema)))
	d.expectKeys(m)
	m.Object("capture", "which packets are kept", d.captureKeys)
	decode.GetList(m, "assumed", decode.TextType, &d.assumed, `settings that "validate --resolved" wrote out and the author did not ask for`)
}

func structural(m *decode.Map, key, doc string, s *decode.Schema) {
	m.Key(key, doc, func() *decode.Schema { return s }, func(*decode.Node, string) {})
}

func mapOf(s *decode.Schema) *decode.Schema {
	return &decode.Schema{Type: []string{"object", "null"}, AdditionalProperties: s}
}

var seedType = decode.Type[uint64]{What: "an integer from 0", Parse: func(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no seed; write an integer from 0", s)
	}
	return v, nil
}, Schema: decode.OneOf(&decode.Schema{Type: "integer", Minimum: new(float64)}, decode.Parameter)}

var stackWords = []string{string(StackMPTCP), string(StackTCP), string(StackKernelMPTCP), string(StackKernelTCP)}

var stackType = decode.EnumType(stackWords)

func (d *document) hostKeys(host string, m *decode.Map) {
	h := &hostBlock{stack: StackMPTCP, stackAt: m.At, at: m.At}
	var stack string
	if decode.Get(m, "stack", stackType, &stack, "what the host runs; default mptcp") {
		h.stack, h.stackAt = Stack(stack), m.PositionOf("stack")
	}
	h.keys(m, true)
	d.hosts[host] = h
}

// keys declares the mptcp and tcp blocks; a workload has only those of sockets.
func (h *hostBlock) keys(m *decode.Map, host bool) {
	h.settings = settingsBlock{}
	doc := "settings of every host; a host's own and a workload's own come later, key by key"
	m.Object("mptcp", doc+": the last word of net.mptcp.*", func(m *decode.Map) {
		list := mptcpSettings
		if !host {
			list = socketSettings
		}
		h.settings.keys("mptcp", list, m)
		if host {
			h.endpointsKey(m)
			m.Object("limits", "of the path manager; default 8/8 with endpoints: auto, 31/8 with fullmesh and ndiffports, else as Linux 2/0", func(m *decode.Map) {
				h.limits = limitKeys(m)
			})
		}
	})
	m.Object("tcp", doc+": the last word of net.ipv4.tcp_*", func(m *decode.Map) { h.settings.keys("tcp", tcpSettings, m) })
}

// socketSettings are the mptcp settings without those of a whole host.
var socketSettings = func() (list []setting) {
	for _, s := range mptcpSettings {
		switch s.name {
		case "enabled", "path_manager", "subflows_per_pair", "bring_up", "join_delay", "blackhole_timeout":
		default:
			list = append(list, s)
		}
	}
	return list
}()

// limitsDraft is what a block says about limits: either, both or none.
type limitsDraft struct {
	subflows, accepted *int
	at                 Position
}

func limitKeys(m *decode.Map) limitsDraft {
	l := limitsDraft{at: m.At}
	var subflows, accepted int
	if decode.Get(m, "subflows", decode.IntType(0, meshLimits.Subflows), &subflows, "additional subflows of a connection; more than 8 with fullmesh and ndiffports alone") {
		l.subflows = &subflows
	}
	if decode.Get(m, "add_addr_accepted", decode.IntType(0, meshLimits.Subflows), &accepted, "announced addresses that are used") {
		l.accepted = &accepted
	}
	return l
}

// over lays what was said over l.
func (d limitsDraft) over(l pm.Limits) pm.Limits {
	if d.subflows != nil {
		l.Subflows = *d.subflows
	}
	if d.accepted != nil {
		l.AddAddrAccepted = *d.accepted
	}
	return l
}

func (h *hostBlock) endpointsKey(m *decode.Map) {
	var one endpointDraft
	schema := func() *decode.Schema {
		item := decode.Describe(func(m *decode.Map) { one.keys(m) })
		return decode.OneOf(decode.Enum("auto"), decode.ListOf(item))
	}
	doc := "addresses for subflows, in the words of ip-mptcp(8); default auto: a multi-homed client has every interface as subflow, a multi-homed server every interface as signal; [] is the bare kernel"
	m.Key("endpoints", doc, schema, func(n *decode.Node, path string) {
		h.given, h.endpoints, h.auto = true, nil, false
		if n.Kind == decode.Scalar && n.Text == "auto" {
			h.auto = true
			return
		}
		if n.Kind != decode.List {
			m.Report().Errorf(n.At, "%s: wanted is auto or a list of endpoints, such as [{dev: lte, flags: [subflow]}]", path)
			return
		}
		for i, item := range n.Items {
			e := endpointDraft{at: item.At}
			decode.Object(m.Report(), item, item.At, fmt.Sprintf("%s.%d", path, i), e.keys)
			h.endpoints = append(h.endpoints, e)
		}
	})
}

var ipType = decode.Type[int]{What: "4 or 6", Parse: func(s string) (int, error) {
	if s != "4" && s != "6" {
		return 0, fmt.Errorf("%q is no IP version; allowed: 4 6", s)
	}
	return strconv.Atoi(s)
}, Schema: &decode.Schema{Enum: []any{4, 6}}}

func (d *document) captureKeys(m *decode.Map) {
	snap := func() *decode.Schema {
		return decode.OneOf(decode.IntType(64, math.MaxInt32).Schema, decode.Enum("all"))
	}
	schema := func() *decode.Schema {
		return decode.OneOf(decode.Enum("none", "headers", "all"), decode.ListOf(decode.Pattern(`^[a-z0-9_*-]+\.[a-z0-9_*-]+$`)))
	}
	m.Key("packets", "none, headers (default), all, or a list of interfaces such as [server.lan, phone.*]", schema, func(n *decode.Node, path string) {
		switch {
		case n.Kind == decode.List:
			d.capture.Interfaces, _ = decode.ReadList(m.Report(), n, path, decode.TextType)
			d.capture.at = n.At
		case n.Kind == decode.Scalar && (n.Text == "none" || n.Text == "headers" || n.Text == "all"):
			d.capture.Packets = n.Text
			if n.Text == "all" {
				d.capture.SnapLen = 0
			}
		default:
			m.Report().Errorf(n.At, "%s: wanted is none, headers, all, or a list of interfaces such as [server.lan, phone.*]", path)
		}
	})
	m.Key("snaplen", "bytes kept of each packet; default 128", snap, func(n *decode.Node, path string) {
		if n.Kind == decode.Scalar && n.Text == "all" {
			d.capture.SnapLen = 0
		} else if v, ok := decode.IntType(64, math.MaxInt32).Read(m.Report(), n, path); ok {
			d.capture.SnapLen = v
		}
	})
}
