// Package netns builds a topology on the kernel: one anonymous network namespace per
// node, veth pairs for links, addresses, routes and rules over netlink. Nothing has a
// name in the machine's own namespace, nothing is written to /run/netns: when the
// process dies, even by kill -9, the kernel frees everything.
//
// What is easy to get wrong, and is taken care of here:
//
//   - A namespace is entered by one locked thread each, which ends with the lab.
//     The runtime's main thread is never used: it would not end.
//   - Sockets keep the namespace they were opened in: open inside (Node.Do), use
//     anywhere. Children get the namespace of the thread that starts them (Node.Start).
//   - veth ends are created in their namespaces, never moved from the machine's own.
//   - All segmentation and checksum offloads are off: a packet on a link is one of
//     the MTU's size with a complete checksum.
//   - Neighbours are written into every node, so that no ARP or ND packet meets the
//     impairments of a link or counts among its packets.
//   - On a host with a userspace stack the kernel has no address, no ARP, no IPv6 and
//     no forwarding, and drops what arrives; packet sockets still see it.
package netns

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/topology"
)

// Options say how a topology is built.
type Options struct {
	// Userspace says whether a host runs a stack of its own over Lab.Device
	// instead of the kernel's. nil: no host does.
	Userspace func(node string) bool
	// Relayed says whether a link is cut in the middle for a relay (see
	// Lab.RelayPorts). Nothing passes it until one runs. nil: no link is.
	Relayed func(link string) bool
	// Clock is the lab's; nil makes a new one.
	Clock *host.Clock
}

// Lab is a topology that stands. Its methods may be called from any goroutine.
type Lab struct {
	topology *topology.Topology
	options  Options
	clock    *host.Clock
	nodes    map[string]*Node
	order    []*Node
	relay    *thread // all relay ports; nil if no link is relayed

	unordered error // why an interface could not be bound to one processor

	mu       sync.Mutex
	closed   bool
	captures []*Capture
	err      error
	failed   chan struct{} // closed when err is set
}

// Build builds t. On an error, or when ctx ends first, everything built so far is
// torn down.
func Build(ctx context.Context, t *topology.Topology, o Options) (*Lab, error) {
	if o.Userspace == nil {
		o.Userspace = func(string) bool { return false }
	}
	if o.Relayed == nil {
		o.Relayed = func(string) bool { return false }
	}
	l := &Lab{topology: t, options: o, clock: o.Clock, nodes: make(map[string]*Node), failed: make(chan struct{})}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.clock == nil {
		l.clock = host.NewClock() // shows 0 when the topology is ready
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context) error {
	if !Privileged() {
		return errors.New("netns: no privileges for namespaces (see Enter)")
	}
	for i := range l.topology.Nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.addNode(&l.topology.Nodes[i]); err != nil {
			return err
		}
	}
	for i := range l.topology.Links {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.addLink(i); err != nil {
			return fmt.Errorf("netns: link %s: %w", l.topology.Links[i].Name, err)
		}
	}
	neighbours := l.neighbours()
	for _, n := range l.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		n.neighbours = neighbours[n.spec.Name]
		if err := n.configure(); err != nil {
			return fmt.Errorf("netns: %s: %w", n.spec.Name, err)
		}
		if err := n.thread.do(n.watch); err != nil {
			return fmt.Errorf("netns: %s: %w", n.spec.Name, err)
		}
	}
	return nil
}

// Close tears the lab down: captures first, then the namespaces. Devices opened from
// the lab hold their namespace until they are closed, too.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	captures := l.captures
	l.mu.Unlock()
	var errs []error
	for _, c := range captures {
		errs = append(errs, c.Close())
	}
	for _, n := range l.order {
		errs = append(errs, n.close())
	}
	if l.relay != nil {
		l.relay.close()
	}
	return errors.Join(errs...)
}

// Clock returns the clock that the lab's devices and captures read.
func (l *Lab) Clock() *host.Clock { return l.clock }

// Now reads the lab's clock.
func (l *Lab) Now() clock.Instant { return l.clock.Now() }

// Node returns the node of that name, or nil.
func (l *Lab) Node(name string) *Node { return l.nodes[name] }

// lookup returns the node and its interface, or an error that names what is missing.
func (l *Lab) lookup(node, iface string) (*Node, *Interface, error) {
	n := l.nodes[node]
	if n == nil {
		return nil, nil, fmt.Errorf("netns: no node %q", node)
	}
	i := n.iface(iface)
	if i == nil {
		return nil, nil, fmt.Errorf("netns: no interface %s.%s", node, iface)
	}
	return n, i, nil
}

// Device opens the interface of a host as an IP device for a userspace stack, with
// the addresses, routes and neighbours of the topology. The caller closes it.
func (l *Lab) Device(hostName, linkName string) (*link.IP, error) {
	n, i, err := l.lookup(hostName, linkName)
	if err != nil {
		return nil, err
	}
	var dev *link.IP
	err = n.thread.do(func() (err error) {
		dev, err = link.OpenIP(i.name, n.ipConfig(i), l.clock.Now)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, nb := range n.neighbours[i.name] {
		dev.SetNeighbour(nb.addr, nb.mac)
	}
	return dev, nil
}

// RelayPorts opens the two ends of the gap in a relayed link: a sees what the link's
// first end sends, b the second's. The caller closes them.
func (l *Lab) RelayPorts(linkName string) (a, b link.Device, err error) {
	for i := range l.topology.Links {
		if l.topology.Links[i].Name != linkName || !l.options.Relayed(linkName) {
			continue
		}
		return l.openRelay(i)
	}
	return nil, nil, fmt.Errorf("netns: no relayed link %q", linkName)
}

func (l *Lab) openRelay(index int) (a, b link.Device, err error) {
	err = l.relay.do(func() error {
		x, err := link.OpenEthernet(relayPort(index, 0))
		if err != nil {
			return err
		}
		y, err := link.OpenEthernet(relayPort(index, 1))
		if err != nil {
			x.Close()
			return err
		}
		a, b = x, y
		return nil
	})
	return a, b, err
}
