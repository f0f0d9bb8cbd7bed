package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// Stack is the MPTCP and TCP stack of one host, a machine.Machine on whole IP
// packets.
type Stack struct {
	env       Env
	links     []linkState
	pm        pm.Manager
	counters  Counters
	endpoints *pm.Kernel    // which is pm, unless user is
	user      *pm.Userspace // nil: another path manager
	monitor   func(now clock.Instant, e pm.Event)

	flows     map[flowKey]holder // never ranged over
	joins     queue[*request]    // some were dropped
	mostFlows int                // that flows ever had
	listeners map[netip.AddrPort]*Listener
	listening []*Listener      // the same in the order of their making
	tokens    map[uint32]*Conn // nil: kept for a request
	conns     []*Conn          // in the order of creation, also those in TIME-WAIT only
	gone      int              // of conns that are forgotten
	ordinal   uint32           // of the newest connection
	ports     uint32           // ephemeral ports drawn so far
	delays    uint32           // of joins, likewise

	sysctl     Sysctl
	peers      destinations
	noMPTCP    blackhole // net.mptcp.blackhole_timeout
	noFastOpen blackhole // tcp_fastopen_blackhole_timeout_sec

	timers timerHeap
	dirty  queue[*Conn] // have something to send or to do
	outbox []packet     // RST and ICMP that belong to no connection
	spare  [][]byte     // buffers of outbox to be used again
	news   queue[*source]

	now clock.Instant
	seg wire.Segment // of the packet at hand
	syn wire.Segment // of the request at hand

	scratch tcp.Scratch
	told    *Config // what the connection made last was told: many are told the same
	icmp    wire.ICMP
}

var _ machine.Machine = (*Stack)(nil)

// flowKey names one TCP connection of ours.
type flowKey struct{ local, remote netip.AddrPort }

type linkState struct {
	Link
	blocked bool // SetWritable(false)
}

// packet waits in the outbox.
type packet struct {
	link machine.LinkID
	data []byte
}

// outboxMax bounds the answers that wait for a blocked link.
const outboxMax = 4096

// spareMax bounds the buffers that are kept for answers.
const spareMax = 64

// New returns the stack of one host. It panics on a path manager that does not
// exist; the caller has checked its scenario.
func New(env Env) *Stack {
	s := &Stack{
		env:       env,
		sysctl:    env.Host.Sysctl,
		flows:     make(map[flowKey]holder),
		listeners: make(map[netip.AddrPort]*Listener),
		tokens:    make(map[uint32]*Conn),
	}
	s.setManager(&env.Host)
	for i := range env.Links {
		s.links = append(s.links, linkState{Link: normalLink(env.Links[i])})
		s.linkEvents(0, i, s.links[i].Up)
	}
	for _, e := range s.endpoints.Endpoints() {
		if e.Port != 0 {
			// An address that is not ours can still be announced.
			_, _ = s.listenEndpoint(0, netip.AddrPortFrom(e.Addr, e.Port))
		}
	}
	return s
}

// Input takes one IP packet that arrived on m.Link.
func (s *Stack) Input(now clock.Instant, m machine.Meta, data []byte) {
	s.now = now
	proto, ok := wire.Proto(data)
	if !ok {
		s.drop(now, "not an IP packet")
		return
	}
	switch proto {
	case wire.ProtoTCP:
		s.inputTCP(now, m, data)
	case wire.ProtoICMP, wire.ProtoICMPv6:
		s.inputICMP(now, data)
	default:
		s.drop(now, "unknown IP protocol")
	}
}

// Advance runs the timers that are due.
func (s *Stack) Advance(now clock.Instant) {
	s.now = now
	for {
		t := s.timers.popDue(now)
		if t == nil {
			break
		}
		t.owner.expire(s, now)
	}
	if s.pm.Deadline() <= now {
		s.pm.Advance(now)
		s.runPM(now)
	}
}

// Deadline says when Advance is needed next.
func (s *Stack) Deadline() clock.Instant {
	return clock.Min(s.timers.next(), s.pm.Deadline())
}

// Output writes the next IP packet into buf. Answers that belong to no connection
// go first, then what connections owe, first touched first served.
func (s *Stack) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	s.now = now
	if m, n, ok := s.outputAnswer(buf); ok {
		s.countOut(buf[:n])
		return m, n, true
	}
	for {
		c, ok := s.dirty.front()
		if !ok {
			return machine.Meta{}, 0, false
		}
		if link, n, ok := c.output(now, buf); ok {
			s.countOut(buf[:n])
			return machine.Meta{Link: link}, n, true
		}
		s.dirty.pop()
		c.queued = false
		c.phase = phaseOwed
		s.settle(now, c)
	}
}

// countOut counts a segment that goes out, if the packet is one.
func (s *Stack) countOut(packet []byte) {
	if proto, ok := wire.Proto(packet); !ok || proto != wire.ProtoTCP {
		return
	}
	s.counters.TcpOutSegs++
	header := 40
	if packet[0]>>4 == 4 {
		header = int(packet[0]&15) * 4
	}
	if packet[header+13]&byte(wire.RST) != 0 {
		s.counters.TcpOutRsts++
	}
}

// outputAnswer writes the first answer whose link takes packets.
func (s *Stack) outputAnswer(buf []byte) (machine.Meta, int, bool) {
	for i := range s.outbox {
		p := s.outbox[i]
		if s.links[p.link].blocked {
			continue
		}
		n := copy(buf, p.data)
		if len(s.spare) < spareMax {
			s.spare = append(s.spare, p.data[:0])
		}
		s.outbox = append(s.outbox[:i], s.outbox[i+1:]...)
		return machine.Meta{Link: p.link}, n, true
	}
	return machine.Meta{}, 0, false
}

// answer queues a packet that b builds into a spare buffer, from src to dst.
func (s *Stack) answer(src, dst netip.Addr, b func([]byte) []byte) {
	link, ok := s.route(src, dst)
	if !ok || len(s.outbox) >= outboxMax {
		s.drop(s.now, "no way out for an answer")
		return
	}
	var buf []byte
	if n := len(s.spare); n > 0 {
		buf, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	if buf = b(buf); len(buf) > 0 {
		s.outbox = append(s.outbox, packet{link, buf})
	}
}

// SetWritable says whether a link can take packets.
func (s *Stack) SetWritable(link machine.LinkID, ok bool) {
	if int(link) >= len(s.links) || link < 0 || s.links[link].blocked == !ok {
		return
	}
	s.links[link].blocked = !ok
	if ok {
		s.touchAll()
	}
}

// touch puts c into the line for Output.
func (s *Stack) touch(c *Conn) {
	if !c.queued {
		c.queued = true
		s.dirty.push(c)
	}
}

func (s *Stack) touchAll() {
	for _, c := range s.conns {
		if !c.forgotten {
			s.touch(c)
		}
	}
}

// settle is called when c has nothing more to send: its deadline is set, or the
// connection forgotten.
func (s *Stack) settle(now clock.Instant, c *Conn) {
	if c.forgotten {
		return
	}
	if c.rest(now); c.again { // a connection that has lost its last subflow ends
		s.touch(c)
		return
	}
	if len(c.subflows) == 0 && c.done {
		s.forget(c)
		return
	}
	s.timers.set(&c.timer, c.deadline())
}

// forget drops the last trace of a connection.
func (s *Stack) forget(c *Conn) {
	c.forgotten = true
	s.timers.remove(&c.timer)
	s.gone++
	if s.gone > 32 && s.gone > len(s.conns)/2 {
		kept := s.conns[:0]
		for _, c := range s.conns {
			if !c.forgotten {
				kept = append(kept, c)
			}
		}
		clear(s.conns[len(kept):])
		s.conns, s.gone = shrink(kept), 0
	}
}

// Counters returns the stack's counters; they live as long as the stack.
func (s *Stack) Counters() *Counters { return &s.counters }

// Conns returns the connections that are not Done, in the order of their
// creation.
func (s *Stack) Conns() []*Conn {
	var live []*Conn
	for _, c := range s.conns {
		if !c.done {
			live = append(live, c)
		}
	}
	return live
}

// drop tells the trace of a packet that went nowhere.
func (s *Stack) drop(now clock.Instant, why string) {
	if s.env.Trace != nil {
		s.env.Trace.Trace(trace.Event{At: now, Kind: trace.Dropped, Path: -1, Text: why})
	}
}
