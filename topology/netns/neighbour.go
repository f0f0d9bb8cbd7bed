package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"mptcplab/topology"
)

// neighbour is what a node knows of another on the same link.
type neighbour struct {
	addr netip.Addr
	mac  [6]byte
}

// segment is the set of interfaces that hear one another: a link's two ends, and
// more where switches join links.
type segment struct {
	ends []end
}

type end struct {
	node  *Node
	iface *Interface
}

// segments returns every interface's segment, by link index.
func (l *Lab) segments() []*segment {
	of := make([]*segment, len(l.topology.Links))
	for i := range of {
		of[i] = &segment{}
	}
	join := func(a, b *segment) {
		for i := range of {
			if of[i] == b {
				of[i] = a
			}
		}
	}
	for _, n := range l.order {
		if n.spec.Kind != topology.Switch {
			continue
		}
		for _, i := range n.ifaces[min(1, len(n.ifaces)):] {
			join(of[n.ifaces[0].link], of[i.link])
		}
	}
	for _, n := range l.order {
		if n.spec.Kind == topology.Switch {
			continue
		}
		for _, i := range n.ifaces {
			of[i.link].ends = append(of[i.link].ends, end{n, i})
		}
	}
	return of
}

// neighbours returns whom each interface of each node can reach without a router.
func (l *Lab) neighbours() map[string]map[string][]neighbour {
	segments := l.segments()
	all := make(map[string]map[string][]neighbour)
	for _, n := range l.order {
		mine := make(map[string][]neighbour)
		for _, i := range n.ifaces {
			for _, e := range segments[i.link].ends {
				if e.iface == i {
					continue
				}
				for _, p := range e.iface.prefixes {
					mine[i.name] = append(mine[i.name], neighbour{p.Addr(), e.iface.mac})
				}
			}
		}
		all[n.spec.Name] = mine
	}
	return all
}

// addNeighbours writes what the interface's neighbours are into the kernel, for good,
// so that no question about them meets a link's impairments.
func (n *Node) addNeighbours(i *Interface) error {
	for _, nb := range n.neighbours[i.name] {
		err := n.nl.NeighSet(&netlink.Neigh{
			LinkIndex:    i.index,
			Family:       family(nb.addr),
			State:        netlink.NUD_PERMANENT,
			IP:           nb.addr.AsSlice(),
			HardwareAddr: net.HardwareAddr(nb.mac[:]),
		})
		if err != nil {
			return fmt.Errorf("neighbour %s on %s: %w", nb.addr, i.name, err)
		}
	}
	return nil
}
