package spec

import (
	"slices"

	"mptcplab/mptcp/pm"
	"mptcplab/topology/decode"
)

// lint returns what is allowed and hardly meant: endpoints that limits make
// useless, as with ip-mptcp(8) nothing says so, and middleboxes off all paths.
func (f *File) lint() []decode.Mistake {
	var r decode.Report
	for i := range f.Runs {
		run := &f.Runs[i]
		for k := range run.Hosts {
			lintHost(run, &run.Hosts[k], Position{File: f.Path}, &r)
		}
		for _, b := range run.Topology.Middleboxes {
			if !slices.Contains(throughNames(run.Topology), b.Name) {
				r.Errorf(Position{File: f.Path}, "no link goes through the middlebox %s", b.Name)
			}
		}
	}
	return r.All()
}

func lintHost(run *Run, h *Host, at Position, r *decode.Report) {
	if h.Stack == StackTCP || h.Stack == StackKernelTCP || h.PathManager != "kernel" {
		return
	}
	has := func(flag pm.EndpointFlags) bool {
		for _, e := range h.Endpoints {
			if e.Flags&flag != 0 {
				return true
			}
		}
		return false
	}
	if has(pm.Subflow) && h.Limits.Subflows == 0 {
		r.Errorf(at, "%s has endpoints for subflows, but limits.subflows is 0: it makes none", h.Name)
	}
	if !has(pm.Signal) {
		return
	}
	for _, w := range run.Workloads {
		for _, peer := range run.Hosts {
			if (w.Server == h.Name && w.Client == peer.Name || w.Client == h.Name && w.Server == peer.Name) && peer.Limits.AddAddrAccepted > 0 {
				return
			}
		}
	}
	r.Errorf(at, "%s announces addresses, but its peers' limits.add_addr_accepted is 0: nobody uses them", h.Name)
}
