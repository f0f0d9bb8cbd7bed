package virtual

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// Switch is a bridge for packets without Ethernet header: where a real one would
// learn MAC addresses it knows which addresses are behind which of its links, and
// for destinations elsewhere which gateway the sender's routes name. What it does
// not know it floods.
type Switch struct {
	mtus     []int
	behind   map[netip.Addr]int // address -> link
	gateways []*table           // by link on which a packet comes: routes of those behind it
	out      outboxes
	tooBig   uint64
}

var _ machine.Machine = (*Switch)(nil)

// NewSwitch returns the switch named name of t.
func NewSwitch(t *topology.Topology, name string) *Switch {
	n := t.Node(name)
	s := &Switch{behind: make(map[netip.Addr]int), out: make(outboxes, len(n.Interfaces))}
	for i := range n.Interfaces {
		s.mtus = append(s.mtus, t.Link(n.Interfaces[i].Link).MTU)
		for _, st := range stations(t, n, i) {
			for _, p := range st.node.Interfaces[st.iface].Prefixes {
				s.behind[p.Addr()] = i
			}
		}
	}
	for i := range n.Interfaces {
		var all topology.Node
		for _, st := range stations(t, n, i) {
			name := st.node.Interfaces[st.iface].Link
			for _, r := range st.node.Routes {
				if r.Link == name && r.Gateway.IsValid() {
					all.Routes = append(all.Routes, r)
				}
			}
		}
		s.gateways = append(s.gateways, newTable(&all, func(string) int { return 0 }))
	}
	return s
}

// A station is a host's or router's interface on a segment.
type station struct {
	node  *topology.Node
	iface int
}

// stations returns the stations behind interface port of switch n, through other
// switches too.
func stations(t *topology.Topology, n *topology.Node, port int) []station {
	seen := map[string]bool{n.Name: true}
	links := []topology.Interface{n.Interfaces[port]}
	var found []station
	for len(links) > 0 {
		at := links[0]
		links = links[1:]
		far := t.Node(t.Link(at.Link).Ends[1-at.End])
		if far == nil {
			continue
		}
		if far.Kind != topology.Switch {
			found = append(found, station{far, interfaceOf(far, at.Link)})
			continue
		}
		if seen[far.Name] {
			continue
		}
		seen[far.Name] = true
		for _, i := range far.Interfaces {
			if i.Link != at.Link {
				links = append(links, i)
			}
		}
	}
	return found
}

// Input implements machine.Machine.
func (s *Switch) Input(_ clock.Instant, m machine.Meta, data []byte) {
	_, dst, ok := wire.Addrs(data)
	if !ok || m.Link < 0 || int(m.Link) >= len(s.out) {
		return
	}
	from := int(m.Link)
	if to, ok := s.port(from, dst); ok {
		if to != from {
			s.send(to, m, data)
		}
		return
	}
	for to := range s.out {
		if to != from {
			s.send(to, m, data)
		}
	}
}

// port returns where a packet for dst that came on link from goes.
func (s *Switch) port(from int, dst netip.Addr) (int, bool) {
	if to, ok := s.behind[dst]; ok {
		return to, true
	}
	for _, r := range s.gateways[from].lookup(dst) {
		if to, ok := s.behind[r.via]; ok {
			return to, true
		}
	}
	return 0, false
}

func (s *Switch) send(to int, m machine.Meta, data []byte) {
	if m.SegSize == 0 && len(data) > s.mtus[to] {
		s.tooBig++ // a bridge tells nobody
		return
	}
	m.Link = machine.LinkID(to)
	if l := s.out[to].add(m); l != nil {
		l.data = append(l.data, data...)
	}
}

// Advance implements machine.Machine.
func (s *Switch) Advance(clock.Instant) {}

// Deadline implements machine.Machine.
func (s *Switch) Deadline() clock.Instant { return clock.Never }

// Output implements machine.Machine.
func (s *Switch) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	return s.out.output(buf)
}

// SetWritable implements machine.Machine.
func (s *Switch) SetWritable(link machine.LinkID, ok bool) { s.out.setWritable(link, ok) }
