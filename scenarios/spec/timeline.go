package spec

import (
	"cmp"
	"slices"
	"strings"

	"mptcplab/impairments"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/expect"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// eventDraft is an event as the file says it.
type eventDraft struct {
	Event
	at, nameAt, subjectAt Position
	path                  string
	both                  topology.Change
	each                  [2]topology.Change
	state                 *bool
	endpoints             [3]*endpointDraft // add, delete, change
	limits                *limitsDraft
	commands              []*commandDraft
	when, check           string // expressions
	exprAt                map[string]Position
	parts                 int // events that it became
}

var subjects = []string{"link", "iface", "host", "workload", "middlebox", "mark", "check"}

var stateType = decode.Type[bool]{What: "up or down", Schema: decode.OneOf(decode.Enum("up", "down"), decode.Parameter), Parse: func(s string) (bool, error) {
	_, err := decode.EnumType([]string{"up", "down"}).Parse(s)
	return s == "up", err
}}

// eventKeys declares section 7 of the schema.
func (d *document) eventKeys(_ int, m *decode.Map) {
	e := eventDraft{at: m.At, nameAt: m.At, subjectAt: m.At, path: m.Path, exprAt: map[string]Position{}}
	decode.Get(m, "at", decode.TimeType, &e.At, "from 0, when the topology is ready")
	decode.Get(m, "when", decode.TextType, &e.when, "in place of at: the first instant at which an expression holds, such as flow.get.bytes > 5MB; if it never does, the run fails")
	decode.Get(m, "after", decode.TimeType, &e.After, "that long after when holds; default 0s")
	decode.Get(m, "name", decode.NameType, &e.Name, "for handover.NAME")
	decode.Get(m, "link", decode.NameType, &e.Link, "a link, or a group of them, whose behaviour or state changes")
	decode.Get(m, "iface", endType, &e.Iface, "HOST.LINK: ip link set; HOST may be a group")
	decode.Get(m, "host", decode.NameType, &e.Host, "a host, or a group of them, whose endpoints change")
	decode.Get(m, "workload", endType, &e.Workload, "a workload, or WORKLOAD.MEMBER of a group")
	decode.Get(m, "middlebox", decode.NameType, &e.Middlebox, "a middlebox, on all links that go through it")
	decode.Get(m, "check", decode.TextType, &e.check, "an expression that must hold then")
	decode.Get(m, "mark", decode.TextType, &e.Mark, "a mark in results and plots")
	e.both = topology.ImpairKeys(m)
	for _, dir := range []topology.Direction{topology.Uplink, topology.Downlink} {
		m.Object(dir.String(), "a change of this direction alone", func(m *decode.Map) { e.each[dir] = topology.ImpairKeys(m) })
	}
	decode.Get(m, "ramp", decode.TimeType, &e.Ramp, "goes there linearly")
	var up bool
	if decode.Get(m, "state", stateType, &up, "of a link: the cable is out, no carrier at both ends; of an iface: ip link set, no carrier at the peer") {
		e.state = &up
	}
	decode.Get(m, "notice", decode.BoolType, &e.Notice, "also deletes or adds its MPTCP endpoints, as NetworkManager does: REMOVE_ADDR")
	e.hostKeys(m)
	decode.Get(m, "stop", decode.BoolType, &e.Stop, "the workload ends")
	m.Reserved("tcp", "settings of the workload from now on", decode.Anything)
	m.Object("mptcp", "settings of the workload's connections from now on", func(m *decode.Map) {
		decode.Get(m, "scheduler", settingOf("mptcp.scheduler").typ(), &e.Scheduler, "packet scheduler of both ends; of the built-in stack alone")
	})
	var enabled bool
	if decode.Get(m, "enabled", decode.BoolType, &enabled, "of a middlebox: false, and everything passes as it is") {
		e.Enabled = &enabled
	}
	var rules []impairments.Rule
	if topology.RulesKey(m, "rules", false, &rules, "of a middlebox: these in place of those it has") {
		e.Rules = &rules
	}
	if m.Describing() {
		return
	}
	e.checkTime(m)
	e.checkSubject(m)
	d.timeline = append(d.timeline, e)
}

// checkTime refuses events that do not say when, or say it twice.
func (e *eventDraft) checkTime(m *decode.Map) {
	for _, key := range []string{"when", "check"} {
		if m.Has(key) {
			e.exprAt[key] = m.PositionOf(key)
		}
	}
	switch {
	case m.Has("at") && m.Has("when"):
		m.Errorf("give either at or when")
	case m.Has("after") && !m.Has("when"):
		m.Report().Errorf(m.PositionOf("after"), "%s: after goes with when", m.Path)
	case !m.Has("when"):
		m.Require("at")
	}
}

func (e *eventDraft) hostKeys(m *decode.Map) {
	docs := [3][2]string{{"add_endpoint", "a new endpoint"}, {"delete_endpoint", "meant by dev, address or id: REMOVE_ADDR; id: 0 with dev or address: the initial subflow of the connections from there"}, {"change_endpoint", "flags: [backup], [nobackup] ...: MP_PRIO"}}
	for i, doc := range docs {
		m.Object(doc[0], doc[1], func(m *decode.Map) {
			e.endpoints[i] = &endpointDraft{remove: i == 1, change: i == 2}
			e.endpoints[i].keys(m)
		})
	}
	decode.Get(m, "flush_endpoints", decode.BoolType, &e.FlushEndpoints, "deletes all endpoints")
	m.Object("set_limits", "of the path manager", func(m *decode.Map) {
		l := limitKeys(m)
		e.limits = &l
	})
	e.commandKeys(m)
	var filter []impairments.Rule
	if topology.RulesKey(m, "filter", true, &filter, "the host's new packet filter; [] is none") {
		e.Filter = &filter
	}
}

// checkSubject refuses events without or with several subjects, and keys that
// belong to another subject.
func (e *eventDraft) checkSubject(m *decode.Map) {
	var have []string
	for _, s := range subjects {
		if m.Has(s) {
			have = append(have, s)
			e.subjectAt = m.PositionOf(s)
		}
	}
	if len(have) != 1 {
		m.Errorf("an event has one subject, this one has %d%s", len(have), decode.Allowed(subjects))
		return
	}
	if m.Has("name") {
		e.nameAt = m.PositionOf("name")
	}
	own := map[string][]string{
		"link":      {"uplink", "downlink", "ramp", "state"},
		"iface":     {"state", "notice"},
		"host":      append([]string{"add_endpoint", "delete_endpoint", "change_endpoint", "flush_endpoints", "set_limits", "filter"}, CommandWords...),
		"workload":  {"stop", "mptcp"},
		"middlebox": {"enabled", "rules"},
		"mark":      {},
		"check":     {},
	}
	changes, foreign := 0, 0
	for _, key := range m.Present() {
		switch {
		case slices.Contains([]string{"at", "name", "when", "after", have[0]}, key) || isReservedKey(key):
		case have[0] == "link" && isImpairKey(key), slices.Contains(own[have[0]], key):
			changes++
		default:
			foreign++
			m.Report().Errorf(m.PositionOf(key), "%s: %q does not go with %s", m.Path, key, have[0])
		}
	}
	if changes == 0 && foreign == 0 && len(own[have[0]]) > 0 {
		m.Errorf("nothing changes; give %s", strings.Join(append(own[have[0]], impairWord(have[0])...), ", "))
	}
	if have[0] == "iface" && !m.Has("state") {
		m.Errorf("an iface event needs state: up or down")
	}
	if have[0] == "workload" && !e.Stop && e.Scheduler == "" && !m.Has("tcp") {
		m.Errorf("a workload event needs stop: true or mptcp: {scheduler: ...}")
	}
	if e.state != nil && have[0] == "link" && e.Ramp > 0 {
		m.Errorf("state changes at once; ramp is for impairments")
	}
	if e.Ramp > 0 && e.both.Empty() && e.each[0].Empty() && e.each[1].Empty() {
		m.Errorf("ramp needs an impairment to go to")
	}
}

func impairWord(subject string) []string {
	if subject == "link" {
		return []string{"or an impairment such as blackhole: true"}
	}
	return nil
}

func isReservedKey(key string) bool {
	return key == "tcp"
}

var impairKeyNames = func() []string {
	s := decode.Describe(func(m *decode.Map) { topology.ImpairKeys(m) })
	var keys []string
	for k := range s.Properties {
		keys = append(keys, k)
	}
	return keys
}()

func isImpairKey(key string) bool { return slices.Contains(impairKeyNames, key) }

// resolveTimeline orders the events by time and works out what each leads to: a
// link event is a change of the named keys only, so the whole new behaviour of
// both directions follows from the events before it. When those with a condition
// come is not known: they are last, in the order of the file.
func (d *document) resolveTimeline(t *topology.Topology, hosts []Host, work []Workload, r *decode.Report) []Event {
	drafts := slices.Clone(d.timeline)
	slices.SortStableFunc(drafts, func(a, b eventDraft) int {
		if a.when != "" || b.when != "" {
			return min(1, len(a.when)) - min(1, len(b.when))
		}
		return cmp.Compare(a.At, b.At)
	})
	now := map[string]*[2]topology.Behaviour{}
	state := map[string]*pathManager{}
	for _, h := range hosts {
		state[h.Name] = &pathManager{slices.Clone(h.Endpoints), h.Limits, map[string][]pm.Endpoint{}}
	}
	names := map[string]bool{}
	var out []Event
	for i := range drafts {
		e := &drafts[i]
		if e.Name != "" && names[e.Name] {
			r.Errorf(e.nameAt, "%s: there is an event %q already", e.path, e.Name)
		}
		names[e.Name] = true
		e.checkScheduler(hosts, work, r)
		parts := d.resolveEvent(e, t, hosts, work, now, state, r)
		for k := range parts {
			if k > 0 {
				parts[k].Name, parts[k].Part = "", e.Name
			}
		}
		out = append(out, parts...)
		e.parts = len(parts)
	}
	d.timeline = drafts
	return out
}

// checkScheduler refuses a change of scheduler on a kernel's sockets, without MPTCP
// and before there is a connection.
func (e *eventDraft) checkScheduler(hosts []Host, work []Workload, r *decode.Report) {
	if e.Scheduler == "" {
		return
	}
	for i := range work {
		w := &work[i]
		if w.Name != e.Workload && w.Flow() != e.Workload {
			continue
		}
		if e.when == "" && e.At < w.Start {
			r.Errorf(e.subjectAt, "%s: %s begins at %s, has no connection before", e.path, w.Name, decode.FormatTime(w.Start))
		}
		for _, h := range hosts {
			if (h.Name == w.Client || h.Name == w.Server) && (h.Stack != StackMPTCP || w.Proto == "tcp") {
				what := string(h.Stack)
				if h.Stack == StackMPTCP {
					what = "proto: tcp"
				}
				r.Errorf(e.subjectAt, "%s: %s on %s is %s; the scheduler of a connection changes on the built-in mptcp stack alone", e.path, w.Name, h.Name, what)
			}
		}
	}
}

// resolveConditions reads the expressions of events, for which all names of the run
// must be known.
func (d *document) resolveConditions(run *Run, axes []expect.AxisNames, r *decode.Report) {
	names := resultNames(run, axes)
	k := 0
	for i := range d.timeline {
		e := &d.timeline[i]
		when, check := e.condition("when", e.when, names, r), e.condition("check", e.check, names, r)
		for range e.parts {
			run.Timeline[k].When, run.Timeline[k].Check = when, check
			k++
		}
	}
}

// condition reads an expression; nil: there is none, or it is wrong.
func (e *eventDraft) condition(key, text string, names *expect.Names, r *decode.Report) *expect.Comparison {
	if text == "" {
		return nil
	}
	c, err := expect.ParseNow(text, names)
	if err != nil {
		r.Errorf(e.exprAt[key], "%s.%s: %v (in %q)", e.path, key, err, text)
		return nil
	}
	return c
}

// resolveEvent works out what an event leads to: one event for each member of a
// group.
func (d *document) resolveEvent(e *eventDraft, t *topology.Topology, stacks []Host, work []Workload, now map[string]*[2]topology.Behaviour, state map[string]*pathManager, r *decode.Report) (list []Event) {
	switch {
	case e.Link != "":
		links := t.LinkMembers(e.Link)
		if links == nil {
			r.Errorf(e.subjectAt, "%s: there is no link %q%s", e.path, e.Link, decode.Suggest(e.Link, linkNames(t)))
		}
		for _, l := range links {
			one := *e
			one.Link = l.Name
			d.resolveLinkEvent(&one, l, now, r)
			list = append(list, one.Event)
		}
	case e.Iface != "":
		for _, p := range findEnds(t, e.Iface, e.path+".iface", e.subjectAt, r) {
			if p.iface == nil {
				r.Errorf(e.subjectAt, "%s: wanted is HOST.LINK%s", e.path, decode.Allowed(interfaces(p.node)))
				break
			}
			one := *e
			one.Iface, one.IfaceUp = p.String(), e.state
			if e.Notice && e.state != nil {
				one.Noticed = state[p.node.Name].notice(p.iface.Link, *e.state)
			}
			list = append(list, one.Event)
		}
	case e.Host != "":
		hosts := t.Members(e.Host)
		if hosts == nil {
			r.Errorf(e.subjectAt, "%s: there is no host %q%s", e.path, e.Host, decode.Suggest(e.Host, hostNames(t)))
		}
		for _, n := range hosts {
			one := *e
			one.Host = n.Name
			resolveHostEvent(&one, n, state[n.Name], r)
			one.Commands = e.resolveCommands(n, t, stacks, work, r)
			list = append(list, one.Event)
		}
	case e.Workload != "":
		if !slices.ContainsFunc(work, func(w Workload) bool { return w.Name == e.Workload || w.Flow() == e.Workload }) {
			r.Errorf(e.subjectAt, "%s: there is no workload %q%s", e.path, e.Workload, decode.Suggest(e.Workload, workloadNames(work)))
		}
		list = append(list, e.Event)
	case e.Middlebox != "":
		missing(e.Middlebox, e.path, "middlebox", e.subjectAt, throughNames(t), r)
		list = append(list, e.Event)
	default:
		list = append(list, e.Event)
	}
	return list
}

func interfaces(n *topology.Node) (words []string) {
	for _, l := range links(n) {
		words = append(words, n.Name+"."+l)
	}
	return words
}

// throughNames are the middleboxes that links go through.
func throughNames(t *topology.Topology) (names []string) {
	for _, l := range t.Links {
		names = append(names, l.Through...)
	}
	return names
}

// linkNames are the names of links and of their groups.
func linkNames(t *topology.Topology) (names []string) {
	for _, l := range t.Links {
		if l.Group != "" && !slices.Contains(names, l.Group) {
			names = append(names, l.Group)
		}
		names = append(names, l.Name)
	}
	return names
}

// workloadNames are the names of workloads and of those of their members.
func workloadNames(work []Workload) (names []string) {
	for _, w := range work {
		if !slices.Contains(names, w.Name) {
			names = append(names, w.Name)
		}
		if w.Member != "" {
			names = append(names, w.Flow())
		}
	}
	return names
}

func (d *document) resolveLinkEvent(e *eventDraft, l *topology.Link, now map[string]*[2]topology.Behaviour, r *decode.Report) {
	e.LinkUp = e.state
	if e.both.Empty() && e.each[0].Empty() && e.each[1].Empty() {
		return
	}
	b := now[e.Link]
	if b == nil {
		b = d.draft.Behaviour(e.Link)
		now[e.Link] = b
	}
	e.Impair = new([2]impairments.Config)
	for dir := range b {
		e.Change[dir] = e.both.Then(e.each[dir])
		b[dir].Apply(e.both)
		b[dir].Apply(e.each[dir])
		e.Impair[dir] = b[dir].Config()
		e.Impair[dir].PathRTT = l.RTT
		if wrong := b[dir].Check(); wrong != "" {
			r.Errorf(e.at, "%s: %s", e.path, wrong)
			return
		}
	}
}

// pathManager is what the events so far made of a host's endpoints and limits.
type pathManager struct {
	endpoints []pm.Endpoint
	limits    pm.Limits
	withdrawn map[string][]pm.Endpoint // by notice, of each link
}

// notice withdraws the endpoints that an interface has now, or brings back those
// that went with it.
func (p *pathManager) notice(link string, up bool) []pm.Endpoint {
	if up {
		back := p.withdrawn[link]
		p.endpoints = append(slices.Clone(p.endpoints), back...)
		delete(p.withdrawn, link)
		return back
	}
	var stay, gone []pm.Endpoint
	for _, e := range p.endpoints {
		if e.Dev == link {
			gone = append(gone, e)
		} else {
			stay = append(stay, e)
		}
	}
	p.endpoints = stay
	p.withdrawn[link] = append(p.withdrawn[link], gone...)
	return gone
}

func resolveHostEvent(e *eventDraft, n *topology.Node, state *pathManager, r *decode.Report) {
	list := state.endpoints
	if a := e.endpoints[0]; a != nil {
		drafts := make([]endpointDraft, 0, len(list)+1)
		for _, old := range list {
			drafts = append(drafts, endpointDraft{Endpoint: old, at: a.at, path: a.path})
		}
		all := resolveEndpoints(n, append(drafts, *a), r)
		if len(all) > 0 {
			added := all[len(all)-1]
			e.AddEndpoint, list = &added, all
		}
	}
	if c := e.endpoints[2]; c != nil {
		if k := find(c, n, list, r); k >= 0 {
			list[k].Flags = list[k].Flags&^c.clear | c.Flags
			changed := list[k]
			e.ChangeEndpoint = &changed
		}
	}
	if x := e.endpoints[1]; x != nil && x.zero {
		e.RemoveID0, _ = x.address(n, r)
	} else if x != nil {
		if k := find(x, n, list, r); k >= 0 {
			gone := list[k]
			e.DeleteEndpoint, list = &gone, slices.Delete(slices.Clone(list), k, k+1)
		}
	}
	if e.FlushEndpoints {
		list = nil
	}
	state.endpoints = list
	if e.limits != nil {
		l := e.limits.over(state.limits)
		state.limits, e.SetLimits = l, &l
	}
}

// find returns the index of the endpoint that is meant.
func find(x *endpointDraft, n *topology.Node, list []pm.Endpoint, r *decode.Report) int {
	if x.Dev == "" && !x.Addr.IsValid() {
		k := slices.IndexFunc(list, func(e pm.Endpoint) bool { return e.ID == x.ID })
		if k < 0 {
			r.Errorf(x.at, "%s: %s has no endpoint with id %d then", x.path, n.Name, x.ID)
		}
		return k
	}
	addr, _ := x.address(n, r)
	if !addr.IsValid() {
		return -1
	}
	k := slices.IndexFunc(list, func(e pm.Endpoint) bool { return e.Addr == addr })
	if k < 0 {
		r.Errorf(x.at, "%s: %s is no endpoint of %s then", x.path, addr, n.Name)
	}
	return k
}
