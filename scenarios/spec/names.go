package spec

import (
	"maps"
	"slices"
	"strings"

	"mptcplab/scenarios/expect"
	"mptcplab/topology/decode"
)

// checkNames looks for names of things that are not in the file when a mistake
// elsewhere keeps the file from being resolved: one reading finds all mistakes.
func (d *document) checkNames(p pairing, point []Axis, axes []expect.AxisNames, r *decode.Report) {
	hosts, links := d.draft.Hosts(), d.draft.Links()
	groups := d.draft.HostGroups()
	ends, wires := append(hosts, keys(groups)...), append(links, keys(d.draft.LinkGroups())...)
	boxes := d.draft.Middleboxes()
	n := &expect.Names{Hosts: hosts, Links: links, Middleboxes: boxes, Axes: axes, Pairing: p.name, Point: point}
	for i := range d.workloads {
		w := &d.workloads[i]
		checkEnd(w.client, "workloads."+w.Name+".client", w.clientAt, ends, wires, r)
		checkEnd(w.server, "workloads."+w.Name+".server", w.serverAt, ends, wires, r)
		n.Flows = append(n.Flows, w.names(groups, wires))
	}
	var work []string
	for _, f := range n.Flows {
		work = append(work, f.Name)
	}
	for i := range d.timeline {
		e := &d.timeline[i]
		if e.Name != "" {
			n.Events = append(n.Events, e.Name)
		}
		missing(e.Link, e.path, "link", e.subjectAt, wires, r)
		missing(e.Host, e.path, "host", e.subjectAt, ends, r)
		missing(host(e.Workload), e.path, "workload", e.subjectAt, work, r)
		missing(e.Middlebox, e.path, "middlebox", e.subjectAt, boxes, r)
		checkEnd(e.Iface, e.path+".iface", e.subjectAt, ends, wires, r)
	}
	for i := range d.expects {
		appendParsed(nil, d.expects[i].Expectation, n, r)
	}
}

// names are the flows of a workload that could not be resolved.
func (w *workloadDraft) names(groups map[string][]string, links []string) expect.FlowNames {
	n := expect.FlowNames{Name: w.Name}
	var paths []expect.PathName
	for _, l := range links {
		paths = append(paths, expect.PathName{Name: l, Group: l})
	}
	group := groups[host(w.client)]
	if group == nil {
		group = groups[host(w.server)]
	}
	if group == nil {
		group = []string{""}
	}
	for _, m := range group {
		n.Members = append(n.Members, members(&Workload{Member: m, Parallel: w.Parallel})...)
	}
	for range max(1, len(n.Members)) {
		n.Paths = append(n.Paths, paths)
	}
	return n
}

func keys(m map[string][]string) []string { return slices.Sorted(maps.Keys(m)) }

func checkEnd(end, path string, at Position, hosts, links []string, r *decode.Report) {
	name, link, _ := strings.Cut(end, ".")
	missing(name, path, "host", at, hosts, r)
	if slices.Contains(hosts, name) && link != "" && !slices.Contains(links, link) {
		r.Errorf(at, "%s: %s has no interface %q%s", path, name, link, decode.Suggest(link, links))
	}
}

// missing reports a name, if there is one, that is not among those there are.
func missing(name, path, what string, at Position, have []string, r *decode.Report) {
	if name != "" && !slices.Contains(have, name) {
		r.Errorf(at, "%s: there is no %s %q%s", path, what, name, decode.Suggest(name, have))
	}
}
