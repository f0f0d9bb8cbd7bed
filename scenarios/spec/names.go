package spec

import (
	"slices"
	"strconv"
	"strings"

	"mptcplab/scenarios/expect"
	"mptcplab/topology/decode"
)

// checkNames looks for names of things that are not in the file when a mistake
// elsewhere keeps the file from being resolved: one reading finds all mistakes.
func (d *document) checkNames(p pairing, point []Axis, axes []expect.AxisNames, r *decode.Report) {
	if d.draft.Incomplete() {
		return // names of what is not built yet would seem to be missing
	}
	hosts, links := d.draft.Hosts(), d.draft.Links()
	n := &expect.Names{Hosts: hosts, Links: links, Axes: axes, Pairing: p.name, Point: point}
	for i := range d.workloads {
		w := &d.workloads[i]
		checkEnd(w.client, "workloads."+w.Name+".client", w.clientAt, hosts, links, r)
		checkEnd(w.server, "workloads."+w.Name+".server", w.serverAt, hosts, links, r)
		n.Flows = append(n.Flows, expect.FlowNames{Name: w.Name, Members: members(w.Parallel), Paths: links})
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
		missing(e.Link, e.path, "link", e.subjectAt, links, r)
		missing(e.Host, e.path, "host", e.subjectAt, hosts, r)
		missing(e.Workload, e.path, "workload", e.subjectAt, work, r)
		checkEnd(e.Iface, e.path+".iface", e.subjectAt, hosts, links, r)
	}
	for i := range d.expects {
		appendParsed(nil, d.expects[i].Expectation, n, r)
	}
}

// members are the names of the flows of a parallel workload.
func members(parallel int) (list []string) {
	for i := 1; i <= parallel && parallel > 1; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

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
