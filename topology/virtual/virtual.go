// Package virtual builds a topology in virtual time: each link is an
// impairments.Wire, each router and switch a machine of this package, each host a
// machine that the caller gives.
package virtual

import (
	"errors"
	"fmt"
	"strings"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/sim"
	"mptcplab/topology"
)

// Options say how to build.
type Options struct {
	// Seed is the root of every draw of links and routers.
	Seed uint64
	// Host returns the machine of a host. Its LinkID i is n.Interfaces[i], and its
	// packets are IP packets.
	Host func(n *topology.Node) machine.Machine
	// Tap, if not nil, sees each packet at the interfaces of hosts ("phone.wifi"),
	// out when the host sends it. pkt is borrowed.
	Tap func(at clock.Instant, iface string, out bool, pkt []byte)
	// Filtered says which hosts may get a packet filter by SetRules, besides those that
	// have one. nil: none.
	Filtered func(host string) bool
	// Check watches the contract of all machines; a breach ends the run.
	Check bool
}

// Lab is a topology in virtual time.
type Lab struct {
	sim    *sim.Sim
	topo   *topology.Topology
	nodes  map[string]int
	links  map[string]*link
	ifaces [][]string // by node: names of a host's interfaces; none for other nodes
	mtus   [][]int    // by node: MTUs of a host's interfaces
	boxes  []box
	checks []*machine.Checker // by node, if Check
	tap    func(at clock.Instant, iface string, out bool, pkt []byte)
	err    error
}

// box is a middlebox or filter, and the link that it stands on.
type box struct {
	topology.Box
	link *link
}

type link struct {
	*impairments.Link
	node   int
	cfg    [2]impairments.Config
	down   bool
	ifDown [2]bool // by end
}

// What can be asked for in vain.
var (
	ErrNoLink      = errors.New("virtual: no such link")
	ErrNoInterface = errors.New("virtual: no such interface")
	ErrNoHost      = errors.New("virtual: no such host")
	ErrNoBox       = errors.New("virtual: no such middlebox on a link")
)

// Build builds t. It fails if t does not hang together or a host has no machine.
func Build(t *topology.Topology, o Options) (*Lab, error) {
	l := &Lab{
		sim:   sim.New(o.Seed),
		topo:  t,
		nodes: make(map[string]int),
		links: make(map[string]*link),
		tap:   o.Tap,
	}
	if err := joined(t); err != nil {
		return nil, err
	}
	for i := range t.Nodes {
		if err := l.addNode(&t.Nodes[i], o); err != nil {
			return nil, err
		}
	}
	for i := range t.Links {
		if err := l.addLink(&t.Links[i], o); err != nil {
			return nil, err
		}
	}
	l.sim.Tap = l.see
	l.sim.Invariant = l.invariant
	return l, nil
}

// joined reports what does not hang together in t.
func joined(t *topology.Topology) error {
	for i := range t.Nodes {
		n := &t.Nodes[i]
		for _, f := range n.Interfaces {
			link := t.Link(f.Link)
			if link == nil || f.End < 0 || f.End > 1 || link.Ends[f.End] != n.Name {
				return fmt.Errorf("virtual: interface %s.%s is not an end of a link", n.Name, f.Link)
			}
		}
	}
	for i := range t.Links {
		link := &t.Links[i]
		for _, end := range link.Ends {
			n := t.Node(end)
			if n == nil || interfaceOf(n, link.Name) < 0 {
				return fmt.Errorf("virtual: link %s ends at %s, which has no such interface", link.Name, end)
			}
		}
	}
	return nil
}

func (l *Lab) addNode(n *topology.Node, o Options) error {
	var m machine.Machine
	var names []string
	mtus := make([]int, len(n.Interfaces))
	for i, f := range n.Interfaces {
		mtus[i] = l.topo.Link(f.Link).MTU
	}
	switch n.Kind {
	case topology.Router:
		m = NewRouter(n, mtus, impairments.Seed(o.Seed, "router/"+n.Name))
	case topology.Switch:
		m = NewSwitch(l.topo, n.Name)
	case topology.Host:
		if o.Host != nil {
			m = o.Host(n)
		}
		for _, f := range n.Interfaces {
			names = append(names, n.Name+"."+f.Link)
		}
	}
	if m == nil {
		return fmt.Errorf("virtual: node %s has no machine", n.Name)
	}
	l.nodes[n.Name] = l.add(n.Name, m, o.Check)
	l.ifaces = append(l.ifaces, names)
	l.mtus = append(l.mtus, mtus)
	return nil
}

// add adds a machine to the run, watched if check.
func (l *Lab) add(name string, m machine.Machine, check bool) int {
	if check {
		c := machine.Checked(m)
		l.checks = append(l.checks, c)
		m = c
	}
	return l.sim.Add(name, m)
}

func (l *Lab) addLink(t *topology.Link, o Options) error {
	m, boxes := l.topo.NewLink(t, o.Seed, t.Impair, false, o.Filtered)
	id := l.add("link "+t.Name, m, o.Check)
	k := &link{Link: m, node: id, cfg: t.Impair}
	l.links[t.Name] = k
	for _, b := range boxes {
		l.boxes = append(l.boxes, box{b, k})
	}
	for end, name := range t.Ends {
		n := l.topo.Node(name)
		err := l.sim.Join(l.nodes[name], machine.LinkID(interfaceOf(n, t.Name)), id, machine.LinkID(end))
		if err != nil {
			return err
		}
	}
	return nil
}

// see watches the packets of hosts.
func (l *Lab) see(now clock.Instant, node int, link machine.LinkID, out bool, pkt []byte) {
	if node >= len(l.ifaces) || int(link) >= len(l.ifaces[node]) {
		return
	}
	if mtu := l.mtus[node][link]; out && mtu > 0 && len(pkt) > mtu && l.err == nil {
		l.err = fmt.Errorf("%s sent a packet of %d bytes, its MTU is %d", l.ifaces[node][link], len(pkt), mtu)
	}
	if l.tap != nil {
		l.tap(now, l.ifaces[node][link], out, pkt)
	}
}

func (l *Lab) invariant(clock.Instant) error {
	for _, c := range l.checks {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return l.err
}

// Sim returns the run underneath.
func (l *Lab) Sim() *sim.Sim { return l.sim }

// Now returns the virtual time.
func (l *Lab) Now() clock.Instant { return l.sim.Now() }

// Fingerprint returns the hash over all packets so far.
func (l *Lab) Fingerprint() uint64 { return l.sim.Fingerprint() }

// Run lets time pass to until.
func (l *Lab) Run(until clock.Instant) error { return l.sim.Run(until) }

// At calls f at t.
func (l *Lab) At(t clock.Instant, f func()) { l.sim.At(t, f) }

// do calls an API of the machine of a node.
func (l *Lab) do(id int, f func(now clock.Instant)) {
	l.sim.Do(id, func(now clock.Instant) {
		if l.checks != nil {
			l.checks[id].Mutated(now)
		}
		f(now)
	})
}

// Do calls an API of a host's machine; what it causes happens at once.
func (l *Lab) Do(host string, f func(now clock.Instant)) error {
	id, ok := l.nodes[host]
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoHost, host)
	}
	l.do(id, f)
	return nil
}

// SetImpairments changes how a link behaves, by topology.Direction.
func (l *Lab) SetImpairments(name string, cfg [2]impairments.Config) error {
	k, ok := l.links[name]
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoLink, name)
	}
	k.cfg = cfg
	l.apply(k)
	return nil
}

// SetLinkUp plugs a link's cable in or out. What is on it when it goes is lost.
// Nobody is told: a host learns of its carrier from whoever runs the lab.
func (l *Lab) SetLinkUp(name string, up bool) error {
	k, ok := l.links[name]
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoLink, name)
	}
	k.down = !up
	l.apply(k)
	return nil
}

// SetIfaceUp is ip link set up or down for an interface, NODE.LINK. While it is
// down its link carries nothing, and what was on it is lost.
func (l *Lab) SetIfaceUp(iface string, up bool) error {
	node, name, _ := strings.Cut(iface, ".")
	n := l.topo.Node(node)
	if n == nil || interfaceOf(n, name) < 0 {
		return fmt.Errorf("%w: %q", ErrNoInterface, iface)
	}
	k := l.links[name]
	k.ifDown[n.Interfaces[interfaceOf(n, name)].End] = !up
	l.apply(k)
	return nil
}

// apply gives a link the behaviour that its settings and its state add up to.
func (l *Lab) apply(k *link) {
	l.do(k.node, func(now clock.Instant) {
		for dir, cfg := range k.cfg {
			cfg.Blackhole = cfg.Blackhole || k.down || k.ifDown[0] || k.ifDown[1]
			k.Wire.SetConfig(now, dir, cfg)
		}
	})
}

// SetRules replaces the rules of a middlebox, or the filter of a host, on all links.
func (l *Lab) SetRules(name string, rules []impairments.Rule) error {
	return l.onBoxes(name, func(b *topology.Box) { b.SetRules(rules) })
}

// SetEnabled says whether the rules of a middlebox hold.
func (l *Lab) SetEnabled(name string, on bool) error {
	return l.onBoxes(name, func(b *topology.Box) { b.SetEnabled(on) })
}

// onBoxes calls f with each middlebox of that name; there must be one.
func (l *Lab) onBoxes(name string, f func(b *topology.Box)) error {
	found := false
	for i := range l.boxes {
		b := &l.boxes[i]
		if b.Name == name {
			found = true
			l.do(b.link.node, func(clock.Instant) { f(&b.Box) })
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", ErrNoBox, name)
	}
	return nil
}

// Hits returns how many packets each rule of a middlebox or a filter was applied to,
// on all links together.
func (l *Lab) Hits(name string) (hits []uint64) {
	for i := range l.boxes {
		if l.boxes[i].Name == name {
			hits = topology.AddHits(hits, l.boxes[i].Hits())
		}
	}
	return hits
}

// Stats returns what one direction of a link did so far; zero for a link that
// does not exist.
func (l *Lab) Stats(name string, dir topology.Direction) impairments.Stats {
	if k, ok := l.links[name]; ok && (dir == topology.Uplink || dir == topology.Downlink) {
		return k.Wire.Stats(int(dir))
	}
	return impairments.Stats{}
}
