package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"mptcplab/topology"
)

// endMAC is the address of an end of a link: locally administered, and the same in
// every run.
func endMAC(link, end int) [6]byte {
	return [6]byte{0x02, 0x6d, 0x70, byte(link >> 8), byte(link), byte(end)} // "mp"
}

// relayPort is the name of a relay's interface. Link names may have as many
// characters as an interface can; so links are numbered here.
func relayPort(link, end int) string { return fmt.Sprintf("relay%d%c", link, 'a'+end) }

// addLink makes the veth pair of a link, or two pairs around a relay.
func (l *Lab) addLink(index int) error {
	spec := &l.topology.Links[index]
	var ends [2]*Node
	for e := range ends {
		n := l.nodes[spec.Ends[e]]
		if n == nil {
			return fmt.Errorf("no node %q", spec.Ends[e])
		}
		var prefixes []netip.Prefix
		for _, i := range n.spec.Interfaces {
			if i.Link == spec.Name && i.End == e {
				prefixes = i.Prefixes
			}
		}
		n.ifaces = append(n.ifaces, &Interface{name: spec.Name, mac: endMAC(index, e), prefixes: prefixes, end: e, link: index})
		ends[e] = n
	}
	if !l.options.Relayed(spec.Name) {
		err := ends[0].thread.do(func() error {
			return addVeth(spec, endMAC(index, 0), spec.Name, endMAC(index, 1), ends[1].thread)
		})
		if err != nil {
			return err
		}
	} else if err := l.addRelayed(index, ends); err != nil {
		return err
	}
	for e, n := range ends {
		if err := n.thread.do(func() error { return n.attach(spec.Name, endMAC(index, e)) }); err != nil {
			return fmt.Errorf("%s: %w", n.spec.Name, err)
		}
		l.steer(n.thread, spec.Name, index+e)
	}
	return nil
}

// steer keeps the packets that arrive at an interface in order, if the machine lets
// us. In a user namespace it never does, which Unordered tells.
func (l *Lab) steer(t *thread, name string, cpu int) {
	err := t.sysfs
	if err == nil {
		err = t.do(func() error { return keepOrder(name, cpu) })
	}
	if err != nil && l.unordered == nil {
		l.unordered = err
	}
}

// Unordered says why links need not keep the order of packets on a busy machine;
// nil: they keep it. Where they need not, a sender that the kernel moves to another
// processor within a burst can overtake its own packets; only root of the machine
// can prevent that.
func (l *Lab) Unordered() error { return l.unordered }

// addRelayed makes a pair from each end into the relays' namespace.
func (l *Lab) addRelayed(index int, ends [2]*Node) error {
	spec := &l.topology.Links[index]
	if err := l.startRelay(); err != nil {
		return err
	}
	for e, n := range ends {
		port := relayPort(index, e)
		err := n.thread.do(func() error {
			return addVeth(spec, endMAC(index, e), port, endMAC(index, 2+e), l.relay)
		})
		if err != nil {
			return err
		}
		err = l.relay.do(func() error {
			dev, err := netlink.LinkByName(port)
			if err != nil {
				return err
			}
			return silent(dev)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", port, err)
		}
		l.steer(l.relay, port, index)
	}
	return nil
}

// startRelay makes the namespace of the relay ports, in which the kernel is silent.
func (l *Lab) startRelay() error {
	if l.relay != nil {
		return nil
	}
	t, err := newThread()
	if err != nil {
		return err
	}
	l.relay = t
	silence := &Node{lab: l, spec: &topology.Node{Name: "relay", Kind: topology.Host}, thread: t, userspace: true}
	return t.do(silence.prepare)
}

// addVeth makes a pair from the calling thread's namespace, where it is called as the
// link, into that of peer.
func addVeth(spec *topology.Link, mac [6]byte, peerName string, peerMAC [6]byte, peer *thread) error {
	attrs := netlink.NewLinkAttrs() // {} would mean a queue of length 0
	attrs.Name = spec.Name
	attrs.MTU = spec.MTU
	attrs.HardwareAddr = net.HardwareAddr(mac[:])
	return netlink.LinkAdd(&netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         peerName,
		PeerHardwareAddr: net.HardwareAddr(peerMAC[:]),
		PeerNamespace:    netlink.NsFd(peer.ns.Fd()),
	})
}

// attach readies a new interface on the node's thread, as the node's kind wants it,
// but for addresses.
func (n *Node) attach(name string, mac [6]byte) error {
	dev, err := n.nl.LinkByName(name)
	if err != nil {
		return err
	}
	i := n.iface(name)
	i.index = dev.Attrs().Index
	if n.userspace {
		return silent(dev)
	}
	if err := plain(dev); err != nil {
		return err
	}
	if n.spec.Kind == topology.Switch {
		br, err := n.addBridge()
		if err != nil {
			return err
		}
		if err := n.nl.LinkSetMaster(dev, br); err != nil {
			return err
		}
	}
	return n.nl.LinkSetUp(dev)
}

// plain makes an interface carry packets of the MTU with complete checksums: offloads
// off, and the stack above makes no super-segments, which a qdisc would take for one
// packet.
func plain(dev netlink.Link) error {
	if err := plainPackets(dev.Attrs().Name); err != nil {
		return err
	}
	return netlink.LinkSetGSOMaxSegs(dev, 1)
}

// silent readies an interface for a packet socket: up, without ARP, and with
// everything that arrives dropped before the kernel's stack looks at it.
func silent(dev netlink.Link) error {
	if err := plain(dev); err != nil {
		return err
	}
	if err := netlink.LinkSetARPOff(dev); err != nil {
		return fmt.Errorf("arp off: %w", err)
	}
	if err := dropIngress(dev.Attrs().Name); err != nil {
		return err
	}
	return netlink.LinkSetUp(dev)
}
