package drill

import (
	"fmt"
	"net/netip"

	"mptcplab/mptcp/wire"
)

// flow is what the script knows of one connection: a socket of its own, or a
// subflow. They are kept newest first and never forgotten.
type flow struct {
	fd            int // in the script; -1: none yet
	state         flowState
	local, remote netip.AddrPort    // the stack's end and the peer's; ports may be 0: unknown
	locISN        wire.Seq          // the stack's
	scriptISN     wire.Seq          // as the script has it
	remISN        wire.Seq          // the peer's
	open          bool              // the stack knows the peer's number: a later SYN does not change it
	stamps        map[uint32]uint32 // of the script to the stack's
	firstStamp    uint32            // in stamps, if hasStamp
	hasStamp      bool
	join          bool
	locNonce      uint32
	remNonce      uint32
	ssn           uint32  // of the next DSS that does not say
	tsBase        *uint32 // the script's clock against the stack's
}

// flowState is how far a flow is.
type flowState uint8

const (
	flowNew flowState = iota
	flowListening
	flowConnecting // connect or sendto was called
	flowSYNReceived
	flowSYNACKSent
	flowBound // its 4-tuple is known
)

// live reports whether the flow can have packets.
func (f *flow) live() bool { return f.state >= flowConnecting }

// is reports whether a packet between these ends is of the flow.
func (f *flow) is(local, remote netip.AddrPort) bool {
	return f.state > flowConnecting && f.local == local && f.remote == remote
}

// keyring holds the keys of the script's connection and of its variables.
type keyring struct {
	vars            map[string]uint64 // as on the wire
	peer, sut       uint64
	hasPeer, hasSUT bool
	sutNext         uint64 // what the stack has mapped ends there, counted from its IDSN
	addrs           map[string]address
	nextPeerID      uint8
	highest         netip.Addr // of the peer's
}

// address is the value of addr[v].
type address struct {
	ap netip.AddrPort
	id int // -1: unknown
}

// newFlow puts a flow before the others.
func (r *run) newFlow(f *flow) *flow {
	f.stamps = make(map[uint32]uint32)
	f.ssn = 1
	r.flows = append([]*flow{f}, r.flows...)
	return f
}

// fits reports whether a live end may be what the script names.
func (r *run) fits(e End, ap netip.AddrPort) bool {
	switch {
	case e.Var != "":
		v, ok := r.keys.addrs[e.Var]
		return !ok || v.ap.Addr() == ap.Addr() && (v.ap.Port() == 0 || v.ap.Port() == ap.Port())
	case e.Addr.IsValid() && e.Addr != ap.Addr():
		return false
	case e.Port != 0:
		return e.Port == ap.Port()
	}
	return true
}

// ends returns the script's ends as the stack's and the peer's.
func ends(p *Packet) (local, remote End) {
	if p.Out {
		return p.Src, p.Dst
	}
	return p.Dst, p.Src
}

// flowOf finds the flow of a packet line, or makes it.
func (r *run) flowOf(p *Packet) (*flow, error) {
	syn := p.ICMP == nil && p.Flags&(wire.SYN|wire.ACK) == wire.SYN
	switch {
	case syn && hasOption(p, OptJoinSYN):
		if p.Out {
			return r.newFlow(&flow{fd: -1, state: flowConnecting, join: true}), nil
		}
		return r.joinFlow(p)
	case syn && !p.Out && r.current != nil && r.current.state == flowListening:
		return r.passiveFlow(p)
	case syn && p.Out && r.current != nil && r.current.state == flowConnecting:
		return r.current, nil
	}
	local, remote := ends(p)
	for _, f := range r.flows {
		if !f.live() && p.Out || f.state < flowConnecting {
			continue
		}
		if !p.HasTuple || r.fits(local, f.local) && r.fits(remote, f.remote) {
			return f, nil
		}
	}
	if r.current != nil && r.current.live() {
		return r.current, nil
	}
	return nil, fmt.Errorf("no connection that this packet could belong to")
}

func hasOption(p *Packet, k OptionKind) bool {
	for i := range p.Options {
		if p.Options[i].Kind == k {
			return true
		}
	}
	return false
}

// ephemeral returns a new port of the peer.
func (r *run) ephemeral() uint16 {
	r.peerPort++
	return r.peerPort
}

// passiveFlow is the flow of a SYN to the listening socket.
func (r *run) passiveFlow(p *Packet) (*flow, error) {
	f := &flow{fd: -1, state: flowSYNReceived,
		local:  netip.AddrPortFrom(r.set.local.Addr(), r.set.port),
		remote: netip.AddrPortFrom(r.set.remote, r.ephemeral())}
	r.override(f, p)
	return r.newFlow(f), nil
}

// override puts ends that a tuple states into a new flow.
func (r *run) override(f *flow, p *Packet) {
	local, remote := ends(p)
	f.local, f.remote = r.endOf(local, f.local), r.endOf(remote, f.remote)
}

// endOf returns what an end of a tuple says, def where it says nothing.
func (r *run) endOf(e End, def netip.AddrPort) netip.AddrPort {
	if v, ok := r.keys.addrs[e.Var]; ok && e.Var != "" {
		if v.ap.Port() == 0 {
			return netip.AddrPortFrom(v.ap.Addr(), def.Port())
		}
		return v.ap
	}
	if e.Addr.IsValid() {
		def = netip.AddrPortFrom(e.Addr, def.Port())
	}
	if e.Port != 0 {
		def = netip.AddrPortFrom(def.Addr(), e.Port)
	}
	return def
}

// joinFlow is the flow of an injected SYN with MP_JOIN: from a new address of the
// peer unless the script names one that is known.
func (r *run) joinFlow(p *Packet) (*flow, error) {
	f := &flow{fd: -1, state: flowSYNReceived, join: true,
		local: netip.AddrPortFrom(r.set.local.Addr(), r.set.port)}
	_, bound := r.keys.addrs[p.Src.Var]
	addr := r.set.remote
	if p.Src.Var != "" && !bound {
		addr = r.newPeerAddr()
	}
	f.remote = netip.AddrPortFrom(addr, r.ephemeral())
	if bound {
		f.remote = netip.AddrPortFrom(r.keys.addrs[p.Src.Var].ap.Addr(), f.remote.Port())
		f.local = r.endOf(p.Dst, f.local)
	} else {
		r.override(f, p)
	}
	return r.newFlow(f), nil
}

// newPeerAddr returns the highest address of the peer so far plus one.
func (r *run) newPeerAddr() netip.Addr {
	r.keys.highest = r.keys.highest.Next()
	r.keys.nextPeerID++
	return r.keys.highest
}

// bindEnds gives unbound variables of a tuple the flow's addresses.
func (r *run) bindEnds(p *Packet, f *flow) {
	local, remote := ends(p)
	r.bindAddr(local.Var, f.local, -1)
	r.bindAddr(remote.Var, f.remote, -1)
}

func (r *run) bindAddr(name string, ap netip.AddrPort, id int) {
	if name == "" {
		return
	}
	if _, ok := r.keys.addrs[name]; !ok {
		r.keys.addrs[name] = address{ap, id}
	}
}
