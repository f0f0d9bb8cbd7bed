package virtual

import (
	"net/netip"
	"slices"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// A translator is the network address and port translation of a router as home
// routers and carriers do it, and as Linux masquerades: what leaves by its outside
// interface has the router's address there and a port of its own, and what comes
// back gets its own address again. It is IPv4's alone. Each flow has a binding of
// its own (address- and port-dependent, RFC 4787, 4.1) that keeps the port if
// that is free. What nobody inside asked for is dropped.
type translator struct {
	outside     int // interface
	addr        netip.Addr
	established time.Duration
	out         map[flow]*binding // by what the inside sends
	in          map[flow]*binding // by what the outside sends
	bindings    []*binding        // all, in the order in which they were made
	sweep       clock.Instant
	port        uint16 // where the search for a free one goes on
	buf         []byte
}

// flow is the ends of a packet, as its sender sees them.
type flow struct {
	proto    uint8
	src, dst netip.AddrPort
}

// binding is one flow through the translator.
type binding struct {
	proto                   uint8
	inside, outside, remote netip.AddrPort
	state                   bindingState
	fin                     [2]bool // from inside, from outside
	expires                 clock.Instant
}

type bindingState uint8

const (
	opening     bindingState = iota // the outside has not answered
	established                     // it has
	closing                         // FIN was seen
	reset                           // RST was seen
)

// How long a binding outlives its last packet: Linux's nf_conntrack_tcp_timeout_*
// (syn_sent, fin_wait, close; established is the scenario's to say), and those of
// UDP and ICMP.
var timeouts = map[uint8][4]time.Duration{
	wire.ProtoTCP:  {2 * time.Minute, 0, 2 * time.Minute, 10 * time.Second},
	wire.ProtoUDP:  {30 * time.Second, 2 * time.Minute, 0, 0},
	wire.ProtoICMP: {30 * time.Second, 30 * time.Second, 0, 0},
}

// sweepEvery is how often bindings that have expired are looked for.
const sweepEvery = 10 * time.Second

// firstPort is the lowest that is given to a flow whose own port is taken.
const firstPort = 1024

// newTranslator returns the translator of a router; nil: it has none.
func newTranslator(n *topology.Node) *translator {
	i := interfaceOf(n, n.NAT.Link)
	if i < 0 {
		return nil
	}
	addr, ok := n.Interfaces[i].Addr(4)
	if !ok {
		return nil
	}
	return &translator{outside: i, addr: addr, established: n.NAT.Timeout, port: firstPort,
		out: make(map[flow]*binding), in: make(map[flow]*binding)}
}

// copyOf returns the packet in the translator's own buffer, with its checksum
// complete.
func (t *translator) copyOf(m *machine.Meta, data []byte) []byte {
	t.buf = append(t.buf[:0], data...)
	if m.CsumStart != 0 {
		wire.Finish(t.buf)
	}
	m.CsumStart, m.CsumOffset, m.CsumOK = 0, 0, false
	return t.buf
}

// arrive translates what comes from outside to the router's address there. known
// is false if no flow of the inside's is meant.
func (t *translator) arrive(now clock.Instant, m *machine.Meta, data []byte) (pkt []byte, known bool) {
	if q := wire.Quoted(data); q != nil {
		b := t.find(now, t.in, q, true)
		if b == nil {
			return data, false
		}
		pkt = t.copyOf(m, data)
		wire.Readdress(wire.Quoted(pkt), true, b.inside)
		wire.Readdress(pkt, false, netip.AddrPortFrom(b.inside.Addr(), 0))
		wire.FinishICMP(pkt)
		return pkt, true
	}
	b := t.find(now, t.in, data, false)
	if b == nil {
		return data, false
	}
	b.seen(now, t, data, 1)
	pkt = t.copyOf(m, data)
	wire.Readdress(pkt, false, b.inside)
	return pkt, true
}

// leave translates what goes out; nil: it cannot, and is dropped.
func (t *translator) leave(now clock.Instant, m *machine.Meta, data []byte) []byte {
	if wire.Quoted(data) != nil {
		pkt := t.copyOf(m, data)
		if !t.leaveError(now, pkt) {
			return nil
		}
		return pkt
	}
	proto, src, dst, ok := wire.Ends(data)
	if !ok {
		return nil
	}
	b := t.find(now, t.out, data, false)
	if b == nil {
		b = t.bind(now, proto, src, dst)
	}
	if b == nil {
		return nil
	}
	b.seen(now, t, data, 0)
	pkt := t.copyOf(m, data)
	wire.Readdress(pkt, true, b.outside)
	return pkt
}

// leaveError translates an ICMP error that goes out, in place. "the NAT device
// [...] MUST modify the source IP address of the ICMP Error packet" where the
// sender is inside, and the packet it quotes is shown as the outside knows it
// (https://www.rfc-editor.org/rfc/rfc5508#section-4.2).
func (t *translator) leaveError(now clock.Instant, pkt []byte) bool {
	b := t.find(now, t.out, wire.Quoted(pkt), true)
	if b == nil {
		return false
	}
	wire.Readdress(wire.Quoted(pkt), false, b.outside)
	wire.Readdress(pkt, true, netip.AddrPortFrom(t.addr, 0))
	wire.FinishICMP(pkt)
	return true
}

// find returns the living binding of a packet, or of one that came the other way
// and is quoted.
func (t *translator) find(now clock.Instant, by map[flow]*binding, pkt []byte, quoted bool) *binding {
	proto, src, dst, ok := wire.Ends(pkt)
	if !ok {
		return nil
	}
	if quoted {
		src, dst = dst, src
	}
	b := by[flow{proto, src, dst}]
	if b == nil || b.expires <= now {
		return nil
	}
	return b
}

// bind makes the binding of a new flow; nil: no port is free.
func (t *translator) bind(now clock.Instant, proto uint8, src, dst netip.AddrPort) *binding {
	t.expire(now)
	b := &binding{proto: proto, inside: src, remote: dst, expires: clock.Never}
	port, free := src.Port(), false
	for tries := 0; tries <= 1<<16-firstPort; tries++ {
		b.outside = netip.AddrPortFrom(t.addr, port)
		if o := t.in[flow{proto, dst, b.outside}]; o == nil || o.expires <= now {
			free = true
			break
		}
		if t.port++; t.port < firstPort {
			t.port = firstPort
		}
		port = t.port
	}
	if !free {
		return nil
	}
	t.out[flow{proto, src, dst}], t.in[flow{proto, dst, b.outside}] = b, b
	t.bindings = append(t.bindings, b)
	return b
}

// expire forgets what has expired, now and then.
func (t *translator) expire(now clock.Instant) {
	if now < t.sweep {
		return
	}
	t.sweep = now.Add(sweepEvery)
	t.bindings = slices.DeleteFunc(t.bindings, func(b *binding) bool {
		if b.expires > now {
			return false
		}
		if k := (flow{b.proto, b.inside, b.remote}); t.out[k] == b {
			delete(t.out, k)
		}
		if k := (flow{b.proto, b.remote, b.outside}); t.in[k] == b {
			delete(t.in, k)
		}
		return true
	})
}

// seen follows the flow and sets when it is forgotten; from is 0 for what the
// inside sends, 1 for what the outside does. A flow in whose midst the translator
// begins counts as established, as Linux's nf_conntrack_tcp_loose has it.
func (b *binding) seen(now clock.Instant, t *translator, pkt []byte, from int) {
	flags := tcpFlags(b.proto, pkt)
	switch {
	case flags&wire.RST != 0:
		b.state = reset
	case flags&(wire.SYN|wire.ACK) == wire.SYN && from == 0:
		b.state, b.fin = opening, [2]bool{}
	case flags&wire.FIN != 0:
		b.state, b.fin[from] = closing, true
	case b.state == opening && (from == 1 || b.proto == wire.ProtoTCP):
		b.state = established
	}
	life := timeouts[b.proto][b.state]
	if b.proto == wire.ProtoTCP && b.state == established {
		life = t.established
	}
	b.expires = now.Add(life)
}

// tcpFlags returns the flags of a TCP packet, 0 of another.
func tcpFlags(proto uint8, pkt []byte) wire.Flags {
	at := int(pkt[0]&15)*4 + 13
	if proto != wire.ProtoTCP || at >= len(pkt) {
		return 0
	}
	return wire.Flags(pkt[at])
}
