package spec

import (
	"path"
	"slices"
	"strings"

	"mptcplab/scenarios/expect"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// run resolves the document into a run; what is wrong goes to r.
func (d *document) run(fabric string, p pairing, point []Axis, axes []expect.AxisNames, r *decode.Report) Run {
	run := Run{Pairing: p.name, Point: point, Duration: d.duration, Timeout: d.timeout}
	run.Topology = d.draft.Build(r)
	if len(d.workloads) == 0 && !r.Failed() {
		r.Errorf(Position{File: d.file}, "there are no workloads; a scenario needs at least one")
	}
	if r.Failed() {
		d.checkNames(p, point, axes, r)
		return run
	}
	for i := range d.workloads {
		run.Workloads = append(run.Workloads, d.workloads[i].resolve(d, run.Topology, r)...)
	}
	d.checkPorts(r)
	for i := range run.Topology.Nodes {
		if n := &run.Topology.Nodes[i]; n.Kind == topology.Host {
			run.Hosts = append(run.Hosts, d.resolveHost(n, run.Workloads, r))
		}
	}
	d.checkStacks(&run, fabric, r)
	d.checkCapture(run.Topology, r)
	if d.duration > d.timeout {
		r.Errorf(d.durationAt, "duration %s is after the timeout of %s", decode.FormatTime(d.duration), decode.FormatTime(d.timeout))
	}
	if r.Failed() {
		d.checkNames(p, point, axes, r)
		return run
	}
	d.markAssumed(&run)
	run.Timeline = d.resolveTimeline(run.Topology, run.Hosts, run.Workloads, r)
	d.resolveConditions(&run, axes, r)
	d.behaviours(&run)
	run.Expect = d.resolveExpect(&run, fabric, axes, r)
	return run
}

// behaviours keeps what the links that events change are before.
func (d *document) behaviours(run *Run) {
	run.Behaviour = map[string][2]topology.Behaviour{}
	for i := range run.Timeline {
		if e := &run.Timeline[i]; e.Impair != nil {
			run.Behaviour[e.Link] = *d.draft.Behaviour(e.Link)
		}
	}
}

func (d *document) resolveHost(n *topology.Node, work []Workload, r *decode.Report) Host {
	own := d.hosts[n.Name]
	h := Host{Name: n.Name, Stack: own.stack, Settings: overlay(d.global.settings, own.settings), Limits: autoLimits}
	h.PathManager = h.Settings.MPTCP["path_manager"]
	mesh := h.PathManager == "fullmesh" || h.PathManager == "ndiffports"
	if mesh {
		h.Limits = meshLimits
	}
	level := &d.global
	if own.given {
		level = own
	}
	if level.given && !level.auto {
		if !mesh {
			h.Limits = kernelLimits
		}
		h.Endpoints = resolveEndpoints(n, level.endpoints, r)
	} else {
		h.Endpoints = autoEndpoints(n, work)
	}
	h.Limits = own.limits.over(d.global.limits.over(h.Limits))
	if own.stack.MPTCP() {
		d.checkPathManager(&h, own, mesh, r)
	}
	return h
}

// checkPathManager refuses what the host's path manager pays no regard to, and what
// is more than Linux's takes.
func (d *document) checkPathManager(h *Host, own *hostBlock, mesh bool, r *decode.Report) {
	at := func(key string) Position {
		if g, ok := own.settings[key]; ok {
			return g.at
		}
		return d.global.settings[key].at
	}
	if n := integer(h.Settings.MPTCP["subflows_per_pair"]); n > 1 && !mesh {
		r.Errorf(at("mptcp.subflows_per_pair"), "mptcp.subflows_per_pair is of path_manager fullmesh and ndiffports; %s has %s", h.Name, h.PathManager)
	} else if n > meshLimits.Subflows+1 {
		r.Errorf(at("mptcp.subflows_per_pair"), "mptcp.subflows_per_pair: a connection has at most %d subflows", meshLimits.Subflows+1)
	}
	if duration(h.Settings.MPTCP["bring_up"]) != 0 && h.PathManager != "single-path" {
		r.Errorf(at("mptcp.bring_up"), "mptcp.bring_up is of path_manager single-path; %s has %s", h.Name, h.PathManager)
	}
	if mesh {
		return
	}
	if h.Limits.Subflows > autoLimits.Subflows || h.Limits.AddAddrAccepted > autoLimits.AddAddrAccepted {
		where := own.limits.at
		if where == (Position{}) {
			where = d.global.limits.at
		}
		r.Errorf(where, "limits: the path manager of Linux takes at most %d; %s has %s", autoLimits.Subflows, h.Name, h.PathManager)
	}
	if len(h.Endpoints) > maxEndpoints {
		r.Errorf(own.at, "%s has %d endpoints; the path manager of Linux takes at most %d", h.Name, len(h.Endpoints), maxEndpoints)
	}
}

// checkStacks refuses settings that a stack does not have, and kernel stacks in
// virtual time.
func (d *document) checkStacks(run *Run, fabric string, r *decode.Report) {
	for _, h := range run.Hosts {
		own := d.hosts[h.Name]
		if fabric == "virtual" && h.Stack.Kernel() {
			r.Errorf(own.stackAt, "%s", kernelInVirtual(h.Name, h.Stack))
		}
		checkSettings(r, h.Name, h.Stack, false, d.global.settings, own.settings)
		for _, w := range run.Workloads {
			if w.Client == h.Name || w.Server == h.Name {
				checkSettings(r, h.Name, h.Stack, true, d.workload(w.Name).block.settings)
			}
		}
	}
}

func host(end string) string {
	name, _, _ := strings.Cut(end, ".")
	return name
}

// workload returns the draft of a workload.
func (d *document) workload(name string) *workloadDraft {
	i := slices.IndexFunc(d.workloads, func(w workloadDraft) bool { return w.Name == name })
	return &d.workloads[i]
}

// checkPorts refuses two workloads that listen on one port of one host. Their
// connections take ports in a row.
func (d *document) checkPorts(r *decode.Report) {
	for i := range d.workloads {
		w := &d.workloads[i]
		for k := range i {
			o := &d.workloads[k]
			if o.port < w.port+w.ports && w.port < o.port+o.ports && host(o.server) == host(w.server) {
				r.Errorf(w.at, "workloads.%s listens on port %d of %s, as workloads.%s does", w.Name, max(o.port, w.port), host(w.server), o.Name)
			}
		}
	}
}

// checkCapture refuses patterns that no interface of a host fits.
func (d *document) checkCapture(t *topology.Topology, r *decode.Report) {
	var all []string
	for i := range t.Nodes {
		for k := range t.Nodes[i].Interfaces {
			if t.Nodes[i].Kind == topology.Host {
				all = append(all, InterfaceNames(&t.Nodes[i], &t.Nodes[i].Interfaces[k])...)
			}
		}
	}
	for _, p := range d.capture.Interfaces {
		fits := func(name string) bool { ok, err := path.Match(p, name); return ok && err == nil }
		if !slices.ContainsFunc(all, fits) {
			r.Errorf(d.capture.at, "capture.packets: no interface fits %q%s", p, decode.Suggest(p, all))
		}
	}
}

// InterfaceNames returns the names that an interface goes by: NODE.LINK, and
// those with the groups of either.
func InterfaceNames(n *topology.Node, i *topology.Interface) []string {
	names := []string{n.Name + "." + i.Link}
	if n.Group != "" {
		names = append(names, n.Group+"."+i.Link)
	}
	if i.Group != "" && n.Interface(i.Group) != nil {
		names = append(names, n.Name+"."+i.Group)
		if n.Group != "" {
			names = append(names, n.Group+"."+i.Group)
		}
	}
	return names
}

// markAssumed takes settings that only "validate --resolved" wrote out from
// those that the author gave.
func (d *document) markAssumed(run *Run) {
	forget := func(s Settings) {
		for _, key := range d.assumed {
			delete(s.Given, key)
		}
	}
	for _, h := range run.Hosts {
		forget(h.Settings)
	}
	for _, w := range run.Workloads {
		forget(w.ClientSettings)
		forget(w.ServerSettings)
	}
}

// resolveExpect returns the expectations of a run, those that nobody needs to say
// first: every flow finishes intact. Where duration ends the run it need not be
// finished then.
func (d *document) resolveExpect(run *Run, fabric string, axes []expect.AxisNames, r *decode.Report) []Expectation {
	names := resultNames(run, axes)
	var list []Expectation
	for i, w := range run.Workloads {
		if w.MayFail {
			continue
		}
		for k, what := range []string{"finished", "intact"} {
			if what == "finished" && run.Duration > 0 {
				continue
			}
			expr := "flow." + w.Flow() + "." + what + " == true"
			e := Expectation{ID: -1 - 2*i - k, Name: expr, Expr: expr, Over: "each", Need: "all", At: d.workload(w.Name).at}
			list = appendParsed(list, e, names, r)
		}
	}
	for i := range d.expects {
		e := &d.expects[i]
		if applies, impair := e.applies(run, fabric); applies {
			one := e.Expectation
			one.Impair = impair
			list = appendParsed(list, one, names, r)
		}
	}
	return list
}

// appendParsed adds an expectation unless it is wrong.
func appendParsed(list []Expectation, e Expectation, names *expect.Names, r *decode.Report) []Expectation {
	tree, err := expect.Parse(e.Expr, names)
	if err != nil {
		r.Errorf(e.At, "expect: %v (in %q)", err, e.Expr)
		return list
	}
	e.Tree = tree
	return append(list, e)
}

// resultNames are the things of a run that expectations may speak of.
func resultNames(run *Run, axes []expect.AxisNames) *expect.Names {
	n := &expect.Names{Axes: axes, Pairing: run.Pairing, Point: run.Point}
	n.Flows = flowNames(run)
	for _, h := range run.Hosts {
		n.Hosts = append(n.Hosts, h.Name)
	}
	for _, l := range run.Topology.Links {
		n.Links = append(n.Links, l.Name)
	}
	for _, b := range run.Topology.Middleboxes {
		n.Middleboxes = append(n.Middleboxes, b.Name)
	}
	for _, e := range run.Timeline {
		if e.Name != "" {
			n.Events = append(n.Events, e.Name)
		}
	}
	return n
}

// applies reports whether the expectation is about this run, as far as its
// filters go; what depends on the impairment driver is left to the judge.
func (e *expectDraft) applies(run *Run, fabric string) (ok bool, impair []string) {
	for i := range e.filters {
		f := &e.filters[i]
		switch f.axis {
		case "impair":
			impair = f.labels
		case "fabric":
			if fabric != "" && !f.matches(fabric) {
				return false, nil
			}
		case "pairing":
			if !f.matches(run.Pairing) {
				return false, nil
			}
		default:
			if !slices.ContainsFunc(run.Point, func(a Axis) bool { return a.Name == f.axis && f.matches(a.Label) }) {
				return false, nil
			}
		}
	}
	return true, impair
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// checkFilters refuses filters on axes that the file does not have.
func checkFilters(root *decode.Node, r *decode.Report) {
	expects := root.Get("expect")
	if expects == nil {
		return
	}
	for i, item := range expects.Items {
		axes := item.Get("for")
		if axes == nil || axes.Kind != decode.Dict {
			continue
		}
		var scratch decode.Report // the values are read, and reported, later
		for _, f := range readFilters(&scratch, axes, "expect") {
			have, known := axisLabels(root, f.axis)
			if !known {
				r.Errorf(f.at, "expect.%d.for: there is no axis %q%s", i, f.axis, decode.Suggest(f.axis, append(root.Get("sweep").Keys(), "pairing", "fabric", "impair")))
				continue
			}
			for _, l := range f.labels {
				one := filter{labels: []string{l}}
				if !slices.ContainsFunc(have, one.matches) {
					r.Errorf(f.at, "expect.%d.for.%s: there is no %q%s", i, f.axis, l, decode.Suggest(l, have))
				}
			}
		}
	}
}

// allAxes returns the axes with their labels.
func allAxes(root *decode.Node) (list []expect.AxisNames) {
	for _, name := range append(root.Get("sweep").Keys(), "pairing") {
		labels, ok := axisLabels(root, name)
		if !ok {
			continue // sample
		}
		list = append(list, expect.AxisNames{Name: name, Labels: labels})
	}
	return list
}

func axisLabels(root *decode.Node, axis string) ([]string, bool) {
	switch axis {
	case "fabric":
		return []string{"virtual", "netns"}, true
	case "impair":
		return []string{"virtual", "netem", "relay"}, true
	case "pairing":
		return root.Get("pairings").Keys(), true
	}
	n := root.Get("sweep").Get(axis)
	if n == nil {
		return nil, false
	}
	if n.Kind != decode.Scalar {
		return labelsOf(n), true
	}
	var scratch decode.Report // reported when the sweep is read
	for _, a := range readSweep(root, &scratch) {
		if a.name == axis {
			return a.labels, true
		}
	}
	return nil, false
}
