package spec

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// place is an end of a workload: a host, and the interface whose address is meant
// (nil: any).
type place struct {
	node  *topology.Node
	iface *topology.Interface
}

// resolve binds the workload to hosts and addresses: one Workload for each member
// of a group.
func (w *workloadDraft) resolve(d *document, t *topology.Topology, r *decode.Report) (list []Workload) {
	path := "workloads." + w.Name
	clients := findEnds(t, w.client, path+".client", w.clientAt, r)
	servers := findEnds(t, w.server, path+".server", w.serverAt, r)
	if clients == nil || servers == nil {
		return nil
	}
	ofClients, ofServers := t.Node(host(w.client)) == nil, t.Node(host(w.server)) == nil
	if ofClients && ofServers && len(clients) != len(servers) {
		r.Errorf(w.serverAt, "%s: client and server are groups of %d and %d; they talk member by member", path, len(clients), len(servers))
		return nil
	}
	if w.alone && !ofClients && !ofServers {
		r.Errorf(w.staggerAt, "%s.stagger: it is between the members of a group or parallel connections, and this is one connection", path)
	}
	n := max(len(clients), len(servers))
	if w.port == 0 {
		w.port = d.freePort(n * w.Parallel)
	}
	w.ports = n * w.Parallel
	if w.port+w.ports-1 > math.MaxUint16 {
		r.Errorf(w.portAt, "%s: port %d and those that follow, one for each of %d connections, go beyond 65535", path, w.port, w.ports)
		return nil
	}
	for i := range n {
		c, s := clients[min(i, len(clients)-1)], servers[min(i, len(servers)-1)]
		out := w.one(d, t, c, s, r)
		out.Port = uint16(w.port + i*w.Parallel)
		switch {
		case ofClients:
			out.Member = c.node.Name
		case ofServers:
			out.Member = s.node.Name
		}
		list = append(list, out)
	}
	return list
}

// firstPort is the server's of the first connection, where the file has no word.
const firstPort = 5001

// freePort returns the first of n ports in a row that no workload before has:
// every connection has a port of its own, so that it belongs to one flow beyond
// doubt.
func (d *document) freePort(n int) int {
	port := firstPort
	for again := true; again; {
		again = false
		for i := range d.workloads {
			o := &d.workloads[i]
			if o.ports > 0 && port < o.port+o.ports && o.port < port+n {
				port, again = o.port+o.ports, true
			}
		}
	}
	return port
}

// one binds a client and a server.
func (w *workloadDraft) one(d *document, t *topology.Topology, client, server place, r *decode.Report) Workload {
	out := w.Workload
	out.Client, out.Server = client.node.Name, server.node.Name
	if client.node == server.node {
		r.Errorf(w.serverAt, "workloads.%s: client and server are the same host %q", w.Name, client.node.Name)
		return out
	}
	if client.iface != nil {
		out.ClientLink = client.iface.Link
	}
	families := []int{w.family}
	if w.family == 0 {
		families = []int{4, 6}
	}
	for _, f := range families {
		if bind(&out, t, client, server, f) {
			out.ClientSettings = overlay(d.global.settings, d.hosts[out.Client].settings, w.block.settings)
			out.ServerSettings = overlay(d.global.settings, d.hosts[out.Server].settings, w.block.settings)
			return out
		}
	}
	r.Errorf(w.serverAt, "workloads.%s: %s cannot be reached from %s%s", w.Name, server, client, familyWord(w.family))
	return out
}

// String writes HOST or HOST.LINK.
func (p place) String() string {
	if p.iface == nil {
		return p.node.Name
	}
	return p.node.Name + "." + p.iface.Link
}

func familyWord(f int) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf(" over IPv%d", f)
}

// bind chooses the server's address in a family: the one on the client's own
// link, or the first that the client reaches and that reaches the client.
func bind(out *Workload, t *topology.Topology, client, server place, family int) bool {
	source, link := netip.Addr{}, ""
	if client.iface != nil {
		a, ok := client.iface.Addr(family)
		if !ok {
			return false
		}
		source, link = a, client.iface.Link
	}
	ends := make([]*topology.Interface, 0, len(server.node.Interfaces)+1)
	if i := server.node.Interface(link); i != nil {
		ends = append(ends, i)
	}
	for k := range server.node.Interfaces {
		ends = append(ends, &server.node.Interfaces[k])
	}
	for _, i := range ends {
		if server.iface != nil && i.Link != server.iface.Link {
			continue
		}
		a, ok := i.Addr(family)
		if ok && t.Reaches(out.Client, link, a) && (!source.IsValid() || t.Reaches(server.node.Name, "", t.Seen(out.Client, link, source, a))) {
			out.ClientAddr, out.ServerAddr = source, a
			return true
		}
	}
	return false
}

// findEnds finds HOST or HOST.LINK; HOST may be a group, whose members then each
// have that link. What is not there is reported.
func findEnds(t *topology.Topology, s, path string, at Position, r *decode.Report) (list []place) {
	if s == "" {
		return nil
	}
	name, link, dot := strings.Cut(s, ".")
	nodes := t.Members(name)
	if nodes == nil {
		r.Errorf(at, "%s: there is no host %q%s", path, name, decode.Suggest(name, hostNames(t)))
		return nil
	}
	for _, n := range nodes {
		p := place{node: n}
		if dot {
			p.iface = n.Interface(link)
		}
		if dot && p.iface == nil {
			r.Errorf(at, "%s: %s has no interface %q%s", path, n.Name, link, decode.Suggest(link, links(n)))
			return nil
		}
		list = append(list, p)
	}
	return list
}

// hostNames are the names of hosts and of their groups.
func hostNames(t *topology.Topology) (names []string) {
	for _, n := range t.Nodes {
		if n.Kind != topology.Host {
			continue
		}
		if n.Group != "" && !slices.Contains(names, n.Group) {
			names = append(names, n.Group)
		}
		names = append(names, n.Name)
	}
	return names
}
