package link

import (
	"encoding/binary"
	"net/netip"

	"mptcplab/mptcp/clock"
)

// EtherTypes.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
)

// Route says which next hop leads to Prefix: Gateway, or the destination itself if
// Gateway is invalid.
type Route struct {
	Prefix  netip.Prefix
	Gateway netip.Addr
}

// IPConfig is what an IP device knows of its network.
type IPConfig struct {
	Addrs  []netip.Addr // own: answered for in ARP and ND
	Routes []Route      // longest prefix wins; connected prefixes belong here, too
}

// IP carries IP packets over a device of Ethernet frames. It answers and asks ARP
// (RFC 826) and IPv6 neighbour discovery (RFC 4861) itself, since the namespace's
// kernel is silent.
//
// It has no timer of its own: an unanswered question is asked again when another
// packet wants to go there, a second after the last question at the earliest. What
// retransmits above it keeps it going.
type IP struct {
	dev        Device
	mac        [6]byte
	now        func() clock.Instant
	config     IPConfig
	neighbours map[netip.Addr]*neighbour
	deliver    func([]byte)
	frame      func([]byte) // i.receive, bound once
	out        []byte
	stats      Stats
}

var _ Device = (*IP)(nil)

// NewIP returns an IP device over frames, whose own address is mac. now is read for
// the pace of neighbour questions only.
func NewIP(frames Device, mac [6]byte, config IPConfig, now func() clock.Instant) *IP {
	i := &IP{
		dev:        frames,
		mac:        mac,
		now:        now,
		config:     config,
		neighbours: make(map[netip.Addr]*neighbour),
		out:        make([]byte, headerLen+65535),
	}
	i.frame = i.receive
	return i
}

// OpenIP opens the interface of that name in the namespace of the calling thread as
// an IP device.
func OpenIP(name string, config IPConfig, now func() clock.Instant) (*IP, error) {
	e, err := OpenEthernet(name)
	if err != nil {
		return nil, err
	}
	return NewIP(e, e.MAC(), config, now), nil
}

// SetConfig replaces addresses and routes. Known neighbours stay known.
func (i *IP) SetConfig(config IPConfig) { i.config = config }

// SetNeighbour makes addr known for good, as "ip neigh add ... nud permanent" does.
func (i *IP) SetNeighbour(addr netip.Addr, mac [6]byte) {
	n := i.neighbour(addr)
	n.permanent = true
	i.learned(n, mac)
}

// Fd implements Device.
func (i *IP) Fd() int { return i.dev.Fd() }

// MTU implements Device.
func (i *IP) MTU() int { return i.dev.MTU() }

// Close implements Device.
func (i *IP) Close() error { return i.dev.Close() }

// Stats implements Device. ARP and ND frames count as packets.
func (i *IP) Stats() Stats {
	s := i.dev.Stats()
	s.Unresolved += i.stats.Unresolved
	s.TxDropped += i.stats.TxDropped
	return s
}

// ReadBatch implements Device: IP packets for us go to deliver, ARP and ND are
// dealt with here.
func (i *IP) ReadBatch(deliver func(packet []byte)) (int, error) {
	i.deliver = deliver
	return i.dev.ReadBatch(i.frame)
}

func (i *IP) receive(f []byte) {
	if len(f) < headerLen {
		return
	}
	// An interface in a namespace sees frames for others where a bridge floods.
	if dst := [6]byte(f); dst != i.mac && dst[0]&1 == 0 {
		return
	}
	payload := f[headerLen:]
	switch binary.BigEndian.Uint16(f[12:]) {
	case typeIPv4:
		if n := len(payload); n >= 20 {
			// Ethernet pads short packets to 60 bytes; AF_PACKET shows the padding.
			i.deliver(payload[:min(n, max(20, int(binary.BigEndian.Uint16(payload[2:]))))])
		}
	case typeIPv6:
		n := len(payload)
		if n < ipv6HeaderLen {
			return
		}
		payload = payload[:min(n, ipv6HeaderLen+int(binary.BigEndian.Uint16(payload[4:])))]
		if !i.discovery(payload) {
			i.deliver(payload)
		}
	case typeARP:
		i.arp(payload)
	}
}

// Write implements Device: it finds the next hop, resolves it and sends the packet
// in a frame. A packet that waits for an answer is sent with it.
func (i *IP) Write(packet []byte) error {
	dst, ok := destination(packet)
	if !ok || headerLen+len(packet) > len(i.out) {
		i.stats.TxDropped++
		return nil
	}
	hop, ok := i.nextHop(dst)
	if !ok {
		i.stats.Unresolved++
		return nil
	}
	n := i.neighbour(hop)
	if !n.known {
		i.wait(n, packet)
		return i.ask(n)
	}
	return i.send(n.mac, packet, etherType(packet))
}

func etherType(packet []byte) uint16 {
	if packet[0]>>4 == 6 {
		return typeIPv6
	}
	return typeIPv4
}

// destination returns the destination address of an IP packet.
func destination(p []byte) (netip.Addr, bool) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[16:])), true
	case len(p) >= ipv6HeaderLen && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[24:])), true
	}
	return netip.Addr{}, false
}

// nextHop returns the address to resolve for dst.
func (i *IP) nextHop(dst netip.Addr) (netip.Addr, bool) {
	best := -1
	hop := dst
	for _, r := range i.config.Routes {
		if r.Prefix.Bits() <= best || !r.Prefix.Contains(dst) {
			continue
		}
		best, hop = r.Prefix.Bits(), dst
		if r.Gateway.IsValid() {
			hop = r.Gateway
		}
	}
	return hop, best >= 0
}

func (i *IP) send(mac [6]byte, payload []byte, etherType uint16) error {
	copy(i.out, mac[:])
	copy(i.out[6:], i.mac[:])
	binary.BigEndian.PutUint16(i.out[12:], etherType)
	n := copy(i.out[headerLen:], payload)
	return i.dev.Write(i.out[:headerLen+n])
}

// owns reports whether addr is one of ours.
func (i *IP) owns(addr netip.Addr) bool {
	for _, a := range i.config.Addrs {
		if a == addr {
			return true
		}
	}
	return false
}

// source returns the own address from which to ask for target: one on the link to
// it if there is one.
func (i *IP) source(target netip.Addr) (netip.Addr, bool) {
	var found netip.Addr
	for _, a := range i.config.Addrs {
		if a.Is4() != target.Is4() {
			continue
		}
		for _, r := range i.config.Routes {
			if !r.Gateway.IsValid() && r.Prefix.Contains(a) && r.Prefix.Contains(target) {
				return a, true
			}
		}
		if !found.IsValid() {
			found = a
		}
	}
	return found, found.IsValid()
}
