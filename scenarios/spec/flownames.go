package spec

import (
	"strconv"

	"mptcplab/scenarios/expect"
	"mptcplab/topology"
)

// flowNames are the workloads of a run with their flows and paths, as
// expectations speak of them.
func flowNames(run *Run) (list []expect.FlowNames) {
	for i := range run.Workloads {
		w := &run.Workloads[i]
		if len(list) == 0 || list[len(list)-1].Name != w.Name {
			list = append(list, expect.FlowNames{Name: w.Name})
		}
		n := &list[len(list)-1]
		paths := pathNames(run.Topology, w)
		for _, m := range members(w) {
			n.Members = append(n.Members, m)
			n.Paths = append(n.Paths, paths)
		}
		if n.Members == nil {
			n.Paths = append(n.Paths, paths)
		}
	}
	return list
}

// members are the names of the flows of a workload that has several: "1", "sta7"
// or "sta7.1".
func members(w *Workload) (list []string) {
	if w.Parallel <= 1 && w.Member != "" {
		return []string{w.Member}
	}
	for i := 1; i <= w.Parallel && w.Parallel > 1; i++ {
		name := strconv.Itoa(i)
		if w.Member != "" {
			name = w.Member + "." + name
		}
		list = append(list, name)
	}
	return list
}

// pathNames are what the paths of a workload's flows are called: as the client's
// link, with the server's after a plus sign if it has several. The link may be
// called by its group, too, where it is the host's own.
func pathNames(t *topology.Topology, w *Workload) (list []expect.PathName) {
	client, server := t.Node(w.Client), t.Node(w.Server)
	if client == nil || server == nil {
		return nil
	}
	for k := range client.Interfaces {
		c := &client.Interfaces[k]
		if len(server.Interfaces) == 1 {
			list = append(list, expect.PathName{Name: c.Link, Group: ownGroup(client, c)})
			continue
		}
		for j := range server.Interfaces {
			s := &server.Interfaces[j]
			list = append(list, expect.PathName{Name: c.Link + "+" + s.Link, Group: ownGroup(client, c) + "+" + ownGroup(server, s)})
		}
	}
	return list
}

// ownGroup is the name of the group of links by which a node's interface is meant,
// or the name of its link.
func ownGroup(n *topology.Node, i *topology.Interface) string {
	if i.Group != "" && n.Interface(i.Group) == i {
		return i.Group
	}
	return i.Link
}
