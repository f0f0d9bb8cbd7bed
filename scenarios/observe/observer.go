// Package observe computes verdicts from packets: it watches the interfaces of
// all hosts, and what it says about connections, subflows, mappings and progress
// follows from the wire alone. So own stacks and kernel stacks are judged by one
// measure, live or from a capture afterwards.
//
// An Observer is fed every IP packet of every host interface, both where it
// leaves and where it arrives. Sent bytes, retransmissions and reinjections are
// counted where the sender stands; received bytes where the receiver stands;
// progress is the DATA_ACK (plain TCP: the ACK) that leaves the receiver. It
// follows connections whose SYN it saw. It is not safe for concurrent use.
package observe

import (
	"net/netip"
	"strings"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// Place is where an address is at home: a host and its link.
type Place struct{ Host, Link string }

// String returns HOST.LINK, the name of the interface.
func (p Place) String() string { return p.Host + "." + p.Link }

// Options say how the observer names things and whom it tells.
type Options struct {
	// Places names the host and link of each address. An address that is not
	// listed is learned from the interface it is first seen at.
	Places map[netip.Addr]Place
	// Interfaces lists host interfaces ("phone.wifi") beside those of Places: a
	// path is called "wifi+s2" only if the server has several links.
	Interfaces []string
	// FlowName names a connection when its SYN leaves; nil: not named.
	FlowName func(client, server netip.AddrPort) string
	// OnData hears of each piece of data as its sender sends it; nil: nobody.
	OnData func(d Data)
	// OnProgress hears of new in-order bytes at the receiver; nil: nobody.
	OnProgress func(c *Conn, dir Dir, at clock.Instant, offset int64)
	// OnEvent hears of signals; the connection keeps them, too; nil: nobody.
	OnEvent func(c *Conn, e Event)
}

// Places returns the addresses of the hosts of a topology.
func Places(t *topology.Topology) map[netip.Addr]Place {
	m := make(map[netip.Addr]Place)
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Kind != topology.Host {
			continue
		}
		for _, ifc := range n.Interfaces {
			for _, p := range ifc.Prefixes {
				m[p.Addr()] = Place{n.Name, ifc.Link}
			}
		}
	}
	return m
}

// Observer watches the wire.
type Observer struct {
	opt    Options
	places map[netip.Addr]Place
	links  map[string]map[string]bool // host: its links
	ifaces map[string]Place
	flows  map[tuple]view
	syns   map[syn]view // by what a translator of addresses leaves as it is
	tokens map[uint32]*Conn
	conns  []*Conn
	seg    segment

	// Ignored counts TCP packets of connections whose SYN was not seen,
	// Malformed packets that are no whole TCP header or carry an MPTCP option
	// that no rule allows.
	Ignored, Malformed uint64
}

// tuple is a TCP connection seen from the sender of a packet.
type tuple struct{ src, dst netip.AddrPort }

// view is a subflow and which way a packet of that tuple travels.
type view struct {
	sub *Subflow
	dir Dir
}

// syn is a SYN as both ends see it.
type syn struct {
	dst netip.AddrPort
	seq wire.Seq
}

// New returns an observer that has seen nothing.
func New(opt Options) *Observer {
	o := &Observer{
		opt:    opt,
		places: make(map[netip.Addr]Place),
		links:  make(map[string]map[string]bool),
		ifaces: make(map[string]Place),
		flows:  make(map[tuple]view),
		syns:   make(map[syn]view),
		tokens: make(map[uint32]*Conn),
	}
	for a, p := range opt.Places { // order does not matter: both are sets
		o.places[a] = p
		o.addLink(p)
	}
	for _, name := range opt.Interfaces {
		o.iface(name)
	}
	return o
}

// Conns returns the connections in the order of their first SYN. The slice and
// what it points to belong to the observer: read only, between two packets.
func (o *Observer) Conns() []*Conn { return o.conns }

// Packet tells of one IP packet at a host interface ("phone.wifi"): out if it
// leaves the host. The packet may be cut short behind its TCP header. It is
// borrowed for the call. Times must not decrease.
func (o *Observer) Packet(at clock.Instant, iface string, out bool, ip []byte) {
	s := &o.seg
	switch s.parse(ip) {
	case notTCP:
		return
	case malformed:
		o.Malformed++
		return
	}
	if s.opt.Has&wire.HasMalformedMPTCP != 0 {
		o.Malformed++
	}
	o.learn(iface, out, s)
	v, ok := o.flows[tuple{s.src, s.dst}]
	if ok {
		v.sub.level(v.dir, out, s)
	}
	if s.flags&(wire.SYN|wire.ACK) == wire.SYN && (!ok || v.sub.stale(v.dir, s)) {
		if v, ok = o.translated(out, s); !ok {
			if v, ok = o.open(at, s); ok {
				v.sub.left[v.dir] = out
			}
		}
	}
	if !ok {
		o.Ignored++
		return
	}
	v.sub.packet(at, v.dir, out, s)
}

// translated finds the subflow of a SYN that arrives with another source than it
// left with: a translator of addresses is on the way, and the ends know different
// ones. It left for the same destination with the same sequence number.
func (o *Observer) translated(out bool, s *segment) (view, bool) {
	v, ok := o.syns[syn{s.dst, s.seq}]
	if !ok || out || v.sub.closed || v.sub.answered {
		return view{}, false
	}
	v.sub.seen = s.src
	o.flows[tuple{s.src, s.dst}] = v
	o.flows[tuple{s.dst, s.src}] = view{v.sub, 1 - v.dir}
	return v, true
}

// open starts a subflow, of a new connection or of the one that the token of
// MP_JOIN names; false: that token is nobody's.
func (o *Observer) open(at clock.Instant, s *segment) (view, bool) {
	sub := &Subflow{start: at, Established: clock.Never, initiator: Up}
	if s.opt.Has&wire.HasMPJoin != 0 && s.opt.MPJoin.Form == wire.JoinSYN {
		sub.joining = true
		sub.conn = o.tokens[s.opt.MPJoin.Token]
		sub.Backup = s.opt.MPJoin.Backup
		if sub.conn == nil {
			return view{}, false
		}
	}
	c := sub.conn
	if c == nil {
		c = &Conn{
			ID: len(o.conns) + 1, Start: at, Established: clock.Never, Closed: clock.Never,
			Client: s.src, Server: s.dst, obs: o,
		}
		for d := range c.Dirs {
			c.Dirs[d].gaps.Start(at)
			c.Dirs[d].ending.By = -1
		}
		if o.opt.FlowName != nil {
			c.Flow = o.opt.FlowName(s.src, s.dst)
		}
		sub.conn = c
		o.conns = append(o.conns, c)
	} else if s.opt.MPJoin.Token == c.Token[Up] {
		sub.initiator = Down // the token is the client's: the server joins
	}
	sub.ID = len(c.Subflows)
	sub.Client, sub.Server = s.src, s.dst
	if sub.initiator == Down {
		sub.Client, sub.Server = s.dst, s.src
	}
	c.Subflows = append(c.Subflows, sub)
	for d := range sub.Dirs {
		sub.Dirs[d].init(at)
	}
	sub.Dirs[sub.initiator].isn = s.seq
	sub.name()
	v := view{sub, sub.initiator}
	o.flows[tuple{s.src, s.dst}] = v
	o.flows[tuple{s.dst, s.src}] = view{sub, 1 - sub.initiator}
	o.syns[syn{s.dst, s.seq}] = v
	return v, true
}

// learn remembers where addresses are at home.
func (o *Observer) learn(iface string, out bool, s *segment) {
	a := s.dst.Addr()
	if out {
		a = s.src.Addr()
	}
	if _, ok := o.places[a]; ok {
		return
	}
	o.places[a] = o.iface(iface)
	for _, c := range o.conns {
		for _, sub := range c.Subflows {
			sub.name()
		}
	}
}

func (o *Observer) iface(name string) Place {
	p, ok := o.ifaces[name]
	if !ok {
		p.Host, p.Link, _ = strings.Cut(name, ".")
		o.ifaces[name] = p
		o.addLink(p)
	}
	return p
}

func (o *Observer) addLink(p Place) {
	if o.links[p.Host] == nil {
		o.links[p.Host] = make(map[string]bool)
	}
	o.links[p.Host][p.Link] = true
}

// forget frees what finds the connection; its counters stay.
func (o *Observer) forget(c *Conn) {
	for d, t := range c.Token {
		if c.Keys[d] != 0 && o.tokens[t] == c {
			delete(o.tokens, t)
		}
	}
}
