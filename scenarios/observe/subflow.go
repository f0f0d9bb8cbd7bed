package observe

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Subflow is a TCP connection: a subflow of an MPTCP connection, or all of a
// plain one. The fields are for reading.
type Subflow struct {
	ID             int            // from 0 in its connection
	Path           string         // the client's link: "wifi", "wifi+s2"
	Client, Server netip.AddrPort // by the ends of the connection, whoever joined
	Backup         bool
	Established    clock.Instant // clock.Never before
	Dirs           [2]Counters   // by direction of the data

	conn      *Conn
	seen      netip.AddrPort // the end that joined, as the other sees it behind a translator; invalid: as it is
	start     clock.Instant
	initiator Dir // the way of its SYN
	joining   bool
	joined    bool // MP_JOIN was in the SYN/ACK
	answered  bool // a SYN/ACK was seen
	closed    bool
	left      [2]bool // its SYN was seen as it left its sender
	moved     [2]bool // and as it arrived
	shift     [2]wire.Seq
}

// Counters are what one direction of a subflow has carried, cumulative.
type Counters struct {
	PacketsSent, PacketsReceived uint64
	Sent                         uint64 // payload bytes that left the sender
	Received                     uint64 // payload bytes that arrived at the receiver
	Retransmitted                uint64 // sent before at the same subflow sequence numbers
	Reinjected                   uint64 // new to the subflow, but sent before on another
	FirstSent                    uint64 // sent as the first copy
	FirstReceived                uint64 // arrived as the first copy
	Unmapped                     uint64 // arrived without a mapping that covers it

	isn      wire.Seq
	next     int64 // the highest subflow sequence number sent, relative to the ISN
	una      int64 // all below has been acknowledged
	fin      int64 // sequence number of the FIN, or 0
	signal   bool  // a DSS was seen
	maps     []mapping
	again    ranges // subflow sequence numbers that were retransmitted
	reinject ranges // and that carry reinjected data
	rtt      rttMeter
	heard    clock.Instant // something arrived at the sender
}

func (n *Counters) init(at clock.Instant) { n.next, n.una, n.heard = 1, 1, at }

// SRTT returns the smoothed round-trip time that the sender can have measured:
// data to ACK where the sender stands (RFC 6298), 0 before the first sample.
func (n *Counters) SRTT() time.Duration { return n.rtt.srtt }

// RTTVar returns the mean deviation that belongs to SRTT.
func (n *Counters) RTTVar() time.Duration { return n.rtt.rttvar }

// MedianRTT returns the median of the round-trip times measured, within 3 %.
func (n *Counters) MedianRTT() time.Duration { return n.rtt.median() }

// InFlight returns how many bytes await their acknowledgment.
func (n *Counters) InFlight() int64 { return n.next - n.una }

// unwrap turns a sequence number into one relative to the ISN that does not
// wrap: the one nearest to the highest sent.
func (n *Counters) unwrap(seq wire.Seq) int64 {
	return n.next + int64(int32(uint32(seq)-uint32(n.isn)-uint32(n.next)))
}

// name gives the path its name, as far as the places are known.
func (s *Subflow) name() {
	o := s.conn.obs
	s.Path = o.places[s.Client.Addr()].Link
	server := o.places[s.Server.Addr()]
	if len(o.links[server.Host]) > 1 {
		s.Path += "+" + server.Link
	}
}

// ClientPlace and ServerPlace name the interfaces at the ends.
func (s *Subflow) ClientPlace() Place { return s.conn.obs.places[s.Client.Addr()] }

// ServerPlace names the interface at the server.
func (s *Subflow) ServerPlace() Place { return s.conn.obs.places[s.Server.Addr()] }

// Ends returns the addresses by which the sender of data in direction d knows the
// subflow: its own, and the peer's as it sees it.
func (s *Subflow) Ends(d Dir) (local, remote netip.AddrPort) {
	local, remote = s.Client, s.Server
	if d == Down {
		local, remote = remote, local
	}
	if s.seen.IsValid() && d != s.initiator {
		remote = s.seen
	}
	return local, remote
}

// stale reports whether a SYN opens another connection on the same addresses.
func (s *Subflow) stale(d Dir, g *segment) bool {
	return s.closed || (d == s.initiator && g.seq != s.Dirs[d].isn)
}

// level gives a segment the numbers that the sender of each has, where a middlebox
// between the ends has drawn the initial sequence number anew.
func (s *Subflow) level(d Dir, out bool, g *segment) {
	if g.flags&wire.SYN != 0 && !s.closed {
		switch {
		case out:
			s.left[d] = true
		case s.left[d] && !s.moved[d]:
			s.moved[d], s.shift[d] = true, g.seq-s.Dirs[d].isn
		}
	}
	if out {
		g.ack -= s.shift[1-d]
	} else {
		g.seq -= s.shift[d]
	}
}

// packet takes one segment that travels in direction d.
func (s *Subflow) packet(at clock.Instant, d Dir, out bool, g *segment) {
	c := s.conn
	src, dst := d, 1-d // the ends, by the direction of the data that they send
	if out {
		c.observed[src] = true
	} else {
		c.observed[dst] = true
	}
	// Where only one end is observed it must speak for both.
	leaves, arrives := out || !c.observed[src], !out || !c.observed[dst]
	n, back := &s.Dirs[d], &s.Dirs[1-d]
	if leaves {
		n.PacketsSent++
	}
	if arrives {
		n.PacketsReceived++
		back.heard = at
	}
	s.handshake(at, d, out, g)
	if g.opt.Has&wire.HasMPTCP != 0 && g.flags&wire.SYN == 0 {
		s.signalling(at, d, leaves, arrives, g)
	}
	s.confirm(at, d, arrives, g)
	if g.n > 0 {
		s.data(at, d, leaves, arrives, g)
	}
	if g.flags&wire.FIN != 0 {
		s.finish(at, d, out, g)
	}
	s.signals(at, d, out, g)
	if g.flags&wire.ACK != 0 && s.answered {
		s.acknowledge(at, 1-d, leaves, arrives, g)
	}
	if g.flags&wire.RST != 0 && arrives {
		s.closed = true
		c.close(at)
	}
}

// data counts payload.
func (s *Subflow) data(at clock.Instant, d Dir, leaves, arrives bool, g *segment) {
	n := &s.Dirs[d]
	ssn := n.unwrap(g.seq)
	if g.flags&wire.SYN != 0 {
		ssn++
	}
	end := ssn + int64(g.n)
	if leaves {
		s.send(at, d, ssn, end)
	}
	if arrives {
		s.receive(d, ssn, end)
	}
}

// send counts payload that leaves the sender.
func (s *Subflow) send(at clock.Instant, d Dir, ssn, end int64) {
	n, dir := &s.Dirs[d], &s.conn.Dirs[d]
	n.Sent += uint64(end - ssn)
	old := min(end, max(ssn, n.next)) // [ssn, old) was sent before
	if old > ssn {
		n.Retransmitted += uint64(old - ssn)
		n.again.add(ssn, old)
		n.rtt.resent()
		dir.ending.Silence = max(dir.ending.Silence, at.Sub(n.heard))
		s.tell(at, d, ssn, old, Retransmission)
	}
	if old == end {
		return
	}
	n.rtt.sent(at, end)
	n.next = end
	for ssn = old; ssn < end; {
		off, run, ok := n.lookup(ssn, end)
		if ok {
			fresh := dir.sent.add(off, off+run)
			dir.FirstSent += uint64(fresh)
			n.FirstSent += uint64(fresh)
			n.Reinjected += uint64(run - fresh)
			kind := First
			if fresh < run {
				kind = Reinjection
				n.reinject.add(ssn, ssn+run)
				dir.ending.Silence = max(dir.ending.Silence, s.conn.silence(at, d, s))
			}
			s.tell(at, d, ssn, ssn+run, kind)
		}
		ssn += run
	}
}

// tell reports pieces of data to whoever wants to hear of them.
func (s *Subflow) tell(at clock.Instant, d Dir, ssn, end int64, kind DataKind) {
	hook := s.conn.obs.opt.OnData
	if hook == nil {
		return
	}
	for ssn < end {
		off, run, ok := s.Dirs[d].lookup(ssn, end)
		if ok {
			hook(Data{At: at, Conn: s.conn, Subflow: s, Dir: d, Offset: off, Len: int(run), Kind: kind})
		}
		ssn += run
	}
}

// silence returns the longest time that the sender has heard nothing on another
// subflow that owes it acknowledgments.
func (c *Conn) silence(at clock.Instant, d Dir, but *Subflow) (longest time.Duration) {
	for _, o := range c.Subflows {
		if o != but && o.Dirs[d].InFlight() > 0 {
			longest = max(longest, at.Sub(o.Dirs[d].heard))
		}
	}
	return longest
}

// receive counts payload that arrives at the receiver.
func (s *Subflow) receive(d Dir, ssn, end int64) {
	n, dir := &s.Dirs[d], &s.conn.Dirs[d]
	n.Received += uint64(end - ssn)
	for ssn = max(ssn, min(n.una, end)); ssn < end; { // below una it has been received
		off, run, ok := n.lookup(ssn, end)
		if !ok {
			n.Unmapped += uint64(run)
			ssn += run
			continue
		}
		fresh := uint64(dir.received.add(off, off+run))
		dir.FirstReceived += fresh
		n.FirstReceived += fresh
		if off <= dir.Delivered && dir.Delivered < off+run {
			dir.ending.By, dir.ending.How = s.ID, First
			switch {
			case n.again.has(ssn, ssn+run):
				dir.ending.How = Retransmission
			case n.reinject.has(ssn, ssn+run):
				dir.ending.How = Reinjection
			}
		}
		ssn += run
	}
}

// finish notes a FIN. On plain TCP it ends the data, too.
func (s *Subflow) finish(at clock.Instant, d Dir, out bool, g *segment) {
	n := &s.Dirs[d]
	n.fin = n.unwrap(g.seq) + int64(g.n)
	if s.conn.decided && !s.conn.MPTCP() {
		if off, _, ok := n.lookup(n.fin, n.fin+1); ok {
			s.conn.Dirs[d].fin, s.conn.Dirs[d].finKnown = off, true
		}
	}
	s.event(Event{At: at, Kind: EventFin, Dir: d, Arrived: !out})
}

// acknowledge takes the ACK of data in direction d.
func (s *Subflow) acknowledge(at clock.Instant, d Dir, leaves, arrives bool, g *segment) {
	n, c := &s.Dirs[d], s.conn
	ack := n.unwrap(g.ack)
	if arrives {
		n.rtt.acked(at, ack)
	}
	if !leaves || ack < n.una || ack > n.next+1 {
		return
	}
	if c.decided && !c.MPTCP() && ack > 1 {
		// The last byte that is acknowledged has a place in the stream, the
		// next need not have one yet.
		if off, _, ok := n.lookup(ack-1, ack); ok {
			c.progress(at, d, off+1)
		}
	}
	n.acked(ack)
	if o := &s.Dirs[1-d]; n.fin != 0 && n.una > n.fin && o.fin != 0 && o.una > o.fin && !s.closed {
		s.closed = true
		c.close(at)
	}
}

// acked forgets what is needed only until data has been acknowledged.
func (n *Counters) acked(ack int64) {
	n.una = ack
	n.again.cut(ack)
	n.reinject.cut(ack)
	n.cutMaps(ack)
}
