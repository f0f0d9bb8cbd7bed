package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"

	"mptcplab/topology"
)

// SetIfaceUp does "ip link set IFACE up" or "down" at one end of a link. The other
// end loses or regains its carrier, also where a relay is in between. An interface
// that comes up again gets its addresses, routes and neighbours back, which the
// kernel forgets when it goes down.
func (l *Lab) SetIfaceUp(node, iface string, up bool) error {
	n, i, err := l.lookup(node, iface)
	if err != nil {
		return err
	}
	if l.options.Relayed(iface) {
		// The far side of the gap, whose peer is the other end.
		if err := l.relay.do(func() error { return setUp(relayPort(i.link, 1-i.end), up) }); err != nil {
			return fmt.Errorf("netns: relay of %s: %w", iface, err)
		}
	}
	return n.thread.do(func() error { return n.setIfaceUp(i, up) })
}

// SetLinkUp sets both ends of a link up or down.
func (l *Lab) SetLinkUp(name string, up bool) error {
	spec := l.topology.Link(name)
	if spec == nil {
		return fmt.Errorf("netns: no link %q", name)
	}
	return errors.Join(l.SetIfaceUp(spec.Ends[0], name, up), l.SetIfaceUp(spec.Ends[1], name, up))
}

// setUp sets an interface of the calling thread's namespace up or down.
func setUp(name string, up bool) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(dev)
	}
	return netlink.LinkSetDown(dev)
}

func (n *Node) setIfaceUp(i *Interface, up bool) error {
	if err := setUp(i.name, up); err != nil {
		return fmt.Errorf("netns: %s.%s: %w", n.spec.Name, i.name, err)
	}
	if !up || n.userspace || n.spec.Kind == topology.Switch {
		return nil
	}
	k := slices.Index(n.ifaces, i)
	err := errors.Join(n.addAddresses(i), n.addNeighbours(i), n.addTable(k, i), n.addRules(k, i))
	if err != nil {
		return err
	}
	if n.spec.ECMP {
		i = nil // next hops of one route on several interfaces
	}
	return n.addRoutes(i)
}

// AddrAdd adds an address to an interface of a kernel node; on a multi-homed host it
// chooses that interface's routes.
func (l *Lab) AddrAdd(node, iface string, p netip.Prefix) error {
	n, i, err := l.kernelIface(node, iface)
	if err != nil {
		return err
	}
	return n.thread.do(func() error {
		if err := n.addAddress(i, p); err != nil {
			return err
		}
		if !slices.Contains(i.prefixes, p) {
			i.prefixes = append(slices.Clone(i.prefixes), p)
		}
		k := slices.Index(n.ifaces, i)
		return errors.Join(n.addTable(k, i), n.addRules(k, i))
	})
}

// AddrDel removes an address from an interface of a kernel node.
func (l *Lab) AddrDel(node, iface string, p netip.Prefix) error {
	n, i, err := l.kernelIface(node, iface)
	if err != nil {
		return err
	}
	return n.thread.do(func() error {
		if err := n.nl.AddrDel(device(i), &netlink.Addr{IPNet: ipNet(p)}); err != nil {
			return fmt.Errorf("netns: address %s on %s.%s: %w", p, node, iface, err)
		}
		i.prefixes = slices.DeleteFunc(slices.Clone(i.prefixes), func(q netip.Prefix) bool { return q == p })
		if !n.multihomed() {
			return nil
		}
		err := n.nl.RuleDel(n.rule(slices.Index(n.ifaces, i), p.Addr()))
		if errors.Is(err, syscall.ENOENT) {
			return nil
		}
		return err
	})
}

func (l *Lab) kernelIface(node, iface string) (*Node, *Interface, error) {
	n, i, err := l.lookup(node, iface)
	if err == nil && n.userspace {
		err = fmt.Errorf("netns: %s has a userspace stack: its addresses are the stack's", node)
	}
	return n, i, err
}

// Check returns an error that names the interfaces of the topology that are gone.
func (l *Lab) Check() error {
	var errs []error
	for _, n := range l.order {
		errs = append(errs, n.thread.do(func() error {
			for _, i := range n.ifaces {
				if _, err := n.nl.LinkByIndex(i.index); err != nil {
					return fmt.Errorf("netns: interface %s.%s is gone: %w", n.spec.Name, i.name, err)
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}
