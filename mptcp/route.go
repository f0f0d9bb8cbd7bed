package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
)

const defaultMTU = 1500

func normalLink(l Link) Link {
	if l.MTU == 0 {
		l.MTU = defaultMTU
	}
	return l
}

// owns reports whether a is an address of ours, on whichever link: any own
// address is accepted on any link (the weak host model of Linux).
func (s *Stack) owns(a netip.Addr) bool {
	for i := range s.links {
		if s.links[i].owns(a) {
			return true
		}
	}
	return false
}

func (l *linkState) owns(a netip.Addr) bool {
	for _, p := range l.Prefixes {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// match returns how specific the best route of l to dst is; -1: there is none.
func (l *linkState) match(dst netip.Addr) (bits, metric int) {
	bits = -1
	for _, p := range l.Prefixes {
		if p.Masked().Contains(dst) && p.Bits() > bits {
			bits, metric = p.Bits(), 0
		}
	}
	for _, r := range l.Routes {
		if r.Prefix.Contains(dst) && (r.Prefix.Bits() > bits || r.Prefix.Bits() == bits && r.Metric < metric) {
			bits, metric = r.Prefix.Bits(), r.Metric
		}
	}
	return bits, metric
}

// route returns the link by which packets from src to dst leave: one that owns
// src if there is such a link (as a routing table per interface does), else the
// one with the most specific route, the least metric, the lowest number.
func (s *Stack) route(src, dst netip.Addr) (machine.LinkID, bool) {
	owned := false
	if src.IsValid() {
		if id, ok := s.best(dst, func(l *linkState) bool {
			own := l.owns(src)
			owned = owned || own
			return own
		}); ok {
			return id, true
		}
	}
	if owned && !s.ownerUp(src) {
		return 0, false // its own link is down: no other carries its source
	}
	return s.best(dst, func(*linkState) bool { return true })
}

func (s *Stack) ownerUp(src netip.Addr) bool {
	for i := range s.links {
		if s.links[i].Up && s.links[i].owns(src) {
			return true
		}
	}
	return false
}

func (s *Stack) best(dst netip.Addr, may func(*linkState) bool) (id machine.LinkID, ok bool) {
	bestBits, bestMetric := -1, 0
	for i := range s.links {
		l := &s.links[i]
		if !may(l) || !l.Up {
			continue
		}
		bits, metric := l.match(dst)
		if bits > bestBits || bits == bestBits && bits >= 0 && metric < bestMetric {
			id, bestBits, bestMetric = machine.LinkID(i), bits, metric
		}
	}
	return id, bestBits >= 0
}

// sourceFor returns the address that packets to dst carry if nobody says
// otherwise: that of the link by which they leave, preferably of the prefix that
// holds the next hop.
func (s *Stack) sourceFor(dst netip.Addr) (netip.Addr, bool) {
	id, ok := s.route(netip.Addr{}, dst)
	if !ok {
		return netip.Addr{}, false
	}
	hop := dst
	for _, r := range s.links[id].Routes {
		if r.Gateway.IsValid() && r.Prefix.Contains(dst) {
			hop = r.Gateway
		}
	}
	var first netip.Addr
	for _, p := range s.links[id].Prefixes {
		if p.Addr().Is4() != dst.Is4() {
			continue
		}
		if p.Masked().Contains(hop) {
			return p.Addr(), true
		}
		if !first.IsValid() {
			first = p.Addr()
		}
	}
	return first, first.IsValid()
}

// SetLink changes addresses, routes or state of a link, or adds the link after
// the last. The path manager hears of addresses that come and go.
func (s *Stack) SetLink(now clock.Instant, id machine.LinkID, l Link) error {
	s.now = now
	i := int(id)
	switch {
	case i < 0 || i > len(s.links):
		return ErrInvalid
	case i == len(s.links):
		s.links = append(s.links, linkState{})
	default:
		s.goneAddresses(now, i, l)
	}
	old := s.links[i].Link
	s.links[i].Link = normalLink(l)
	s.newAddresses(now, i, old)
	if tr := s.env.Trace; tr != nil {
		tr.Trace(trace.Event{At: now, Kind: trace.LinkChanged, Path: -1, A: uint64(id), Flag: l.Up, Text: l.Name})
	}
	for _, c := range s.conns {
		c.linkChanged()
	}
	s.runPM(now)
	s.touchAll()
	return nil
}

func (s *Stack) goneAddresses(now clock.Instant, i int, l Link) {
	next := linkState{Link: l}
	for _, p := range s.links[i].Prefixes {
		if s.links[i].Up && (!l.Up || !next.owns(p.Addr())) {
			s.tellPM(now, pm.Event{Kind: pm.LinkDown, Path: -1, Local: netip.AddrPortFrom(p.Addr(), 0)})
		}
	}
}

func (s *Stack) newAddresses(now clock.Instant, i int, old Link) {
	before := linkState{Link: old}
	for _, p := range s.links[i].Prefixes {
		if s.links[i].Up && (!old.Up || !before.owns(p.Addr())) {
			s.tellPM(now, pm.Event{Kind: pm.LinkUp, Path: -1, Local: netip.AddrPortFrom(p.Addr(), 0)})
		}
	}
}

// linkEvents tells the path manager of all addresses of a link that is new.
func (s *Stack) linkEvents(now clock.Instant, i int, up bool) {
	if !up {
		return
	}
	s.newAddresses(now, i, Link{})
}
