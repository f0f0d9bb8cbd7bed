package spec

import (
	"fmt"
	"slices"
	"strings"

	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// pairing is one case of which host runs which stack.
type pairing struct {
	name   string
	stacks []hostStack
	skip   string // why a fabric cannot run it; "" if it can
}

type hostStack struct {
	host, stack string
	at          Position
}

// readPairings reads pairings: NAME: {HOST: STACK}. A file without has one,
// without a name: every host's own stack.
func readPairings(root *decode.Node, fabric string, r *decode.Report) []pairing {
	n := root.Get("pairings")
	if n == nil {
		return []pairing{{}}
	}
	var list []pairing
	block := root.Get("topology").Get("hosts")
	hosts := append(block.Keys(), topology.Groups(block)...)
	decode.EachEntry(r, n, "pairings", func(e decode.Entry) {
		path := "pairings." + e.Key
		if _, err := decode.ParseName(e.Key); err != nil {
			r.Errorf(e.At, "pairings: %v", err)
		}
		p := pairing{name: e.Key}
		decode.EachEntry(r, e.Value, path, func(h decode.Entry) {
			if !slices.Contains(hosts, h.Key) {
				r.Errorf(h.At, "%s: there is no host %q%s", path, h.Key, decode.Suggest(h.Key, hosts))
				return
			}
			p.host(h, fabric, path+"."+h.Key, r)
		})
		list = append(list, p)
	})
	if len(list) == 0 {
		r.Errorf(n.At, "pairings is empty; leave it out if every host runs its own stack")
	}
	return list
}

func (p *pairing) host(h decode.Entry, fabric, path string, r *decode.Report) {
	if h.Value.Kind != decode.Dict {
		if s, ok := stackType.Read(r, h.Value, path); ok {
			p.stacks = append(p.stacks, hostStack{h.Key, s, h.Value.At})
		}
		return
	}
	found := false
	for _, e := range h.Value.Entries {
		if e.Key != "virtual" && e.Key != "netns" {
			r.Errorf(e.At, "%s: %q is no fabric; allowed: virtual netns", path, e.Key)
			continue
		}
		s, ok := stackType.Read(r, e.Value, path+"."+e.Key)
		if ok && e.Key == "virtual" && Stack(s).Kernel() {
			r.Errorf(e.Value.At, "%s", kernelInVirtual(h.Key, Stack(s)))
		}
		if ok && !found && (e.Key == fabric || fabric == "") {
			found = true
			p.stacks = append(p.stacks, hostStack{h.Key, s, e.Value.At})
		}
	}
	if !found && p.skip == "" {
		p.skip = fmt.Sprintf("no stack of %s for the %s fabric; there is one for: %s", h.Key, fabric, strings.Join(h.Value.Keys(), " "))
	}
}

func kernelInVirtual(host string, s Stack) string {
	return fmt.Sprintf("%s runs %s, and kernel stacks cannot run in virtual time; use tcp or mptcp there, or --fabric netns", host, s)
}

// apply sets the stacks in the tree.
func (p *pairing) apply(tree *decode.Node, r *decode.Report) {
	for _, s := range p.stacks {
		if err := assign(tree, "topology.hosts."+s.host+".stack", decode.Word(s.stack, s.at)); err != nil {
			r.Errorf(s.at, "pairings.%s: %v", p.name, err)
		}
	}
}
