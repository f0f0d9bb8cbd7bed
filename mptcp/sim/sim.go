// Package sim runs a graph of machines in virtual time. Links between nodes are
// joined without delay: what delays is a machine itself (impairments.Wire). Time
// jumps from deadline to deadline, so a run takes as long as its packets, and two
// runs of one seed are the same run, packet by packet.
package sim

import (
	"errors"
	"fmt"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// DefaultMaxTurns is how many turns the nodes may take in one instant before the
// run is given up as one that does not move.
const DefaultMaxTurns = 200_000

// ErrStuck says that an instant did not end.
var ErrStuck = errors.New("time stands still: too many turns in one instant")

// Sim is a run. Its methods are not for several goroutines.
type Sim struct {
	// Tap, if not nil, sees each packet as it leaves a node and as it enters the
	// next. pkt is borrowed for the call.
	Tap func(now clock.Instant, node int, link machine.LinkID, out bool, pkt []byte)
	// Invariant, if not nil, is asked after each turn of a node; an error ends the
	// run.
	Invariant func(now clock.Instant) error
	// MaxTurns bounds the turns of one instant; 0 is DefaultMaxTurns.
	MaxTurns int

	seed   uint64
	now    clock.Instant
	nodes  []node
	due    deadlines
	calls  agenda
	work   []int    // nodes with input, first come, first served
	busy   bool     // nodes have their turns
	atWork int      // the node whose turn it is, or -1
	late   []func() // calls that came while busy
	turns  int      // in this instant
	hash   digest
	packet uint64
	buf    []byte
	err    error
}

type node struct {
	name    string
	m       machine.Machine
	peers   []peer // by LinkID
	pending bool   // in the work list
}

type peer struct {
	node int // -1: nothing is joined
	link machine.LinkID
}

// New returns an empty run at instant 0. seed is for the message of a failure and
// for the fingerprint: machines have theirs from whoever made them.
func New(seed uint64) *Sim {
	return &Sim{seed: seed, atWork: -1, buf: make([]byte, machine.BufferSize), hash: newDigest(seed)}
}

// Add adds a machine and returns its number. Of nodes that are due at the same
// instant the one with the lower number goes first.
func (s *Sim) Add(name string, m machine.Machine) int {
	s.nodes = append(s.nodes, node{name: name, m: m})
	id := s.due.add()
	s.wake(id)
	return id
}

// Join joins a link of one node to a link of another. It fails if either is
// taken or if both nodes are the same.
func (s *Sim) Join(a int, aLink machine.LinkID, b int, bLink machine.LinkID) error {
	if a == b {
		return fmt.Errorf("sim: %s joined to itself", s.nodes[a].name)
	}
	pa, pb := s.nodes[a].peer(aLink), s.nodes[b].peer(bLink)
	if pa.node >= 0 || pb.node >= 0 {
		return fmt.Errorf("sim: link %d of %s or link %d of %s is joined already", aLink, s.nodes[a].name, bLink, s.nodes[b].name)
	}
	*pa, *pb = peer{b, bLink}, peer{a, aLink}
	return nil
}

// peer returns the place for what is joined to link, made if need be.
func (n *node) peer(link machine.LinkID) *peer {
	for int(link) >= len(n.peers) {
		n.peers = append(n.peers, peer{node: -1})
	}
	return &n.peers[link]
}

// Now returns the instant at which the run is.
func (s *Sim) Now() clock.Instant { return s.now }

// Seed returns the seed of the run.
func (s *Sim) Seed() uint64 { return s.seed }

// Packets returns how many packets nodes have handed to their links.
func (s *Sim) Packets() uint64 { return s.packet }

// Fingerprint returns a hash over all packets so far, with their times, nodes and
// links. Equal seeds and scenarios have equal fingerprints.
func (s *Sim) Fingerprint() uint64 { return s.hash.sum() }

// At calls f at t, or at once when the run goes on if t has passed. Calls of one
// instant come in the order in which they were asked for, before the machines
// that are due then.
func (s *Sim) At(t clock.Instant, f func()) { s.calls.push(max(t, s.now), f) }

// Do calls an API of a node's machine: f changes it, and what follows happens at
// once. From within a turn (a tap, a tracer) it happens after that turn.
func (s *Sim) Do(node int, f func(now clock.Instant)) {
	call := func() {
		f(s.now)
		s.wake(node)
	}
	if s.busy {
		s.late = append(s.late, call)
		return
	}
	defer s.explain()
	call()
	s.settle()
}

// Run lets time pass to until, deadlines at until included. It returns the first
// error of the run, with its seed; a run that failed stays where it is.
func (s *Sim) Run(until clock.Instant) error {
	defer s.explain()
	s.settle()
	for s.err == nil {
		t := clock.Min(s.due.next(), s.calls.next())
		if t > until || t == clock.Never {
			break
		}
		if t > s.now {
			s.now, s.turns = t, 0
		}
		for s.err == nil && s.calls.next() <= s.now {
			s.calls.pop()()
			s.settle()
		}
		if id, at := s.due.first(); at <= s.now && s.err == nil {
			s.advance(id)
			s.settle()
		}
	}
	if s.err == nil && until > s.now && until != clock.Never {
		s.now, s.turns = until, 0
	}
	return s.err
}

// Idle reports whether nothing is going to happen any more.
func (s *Sim) Idle() bool { return s.due.next() == clock.Never && s.calls.next() == clock.Never }

// wake puts a node on the work list.
func (s *Sim) wake(id int) {
	if n := &s.nodes[id]; !n.pending {
		n.pending = true
		s.work = append(s.work, id)
	}
}

// settle gives a turn to each node that has input, until none has.
func (s *Sim) settle() {
	s.busy = true
	for i := 0; ; i++ {
		for k := 0; k < len(s.late); k++ {
			s.late[k]()
		}
		s.late = s.late[:0]
		if i == len(s.work) || s.err != nil {
			break
		}
		id := s.work[i]
		s.nodes[id].pending = false
		s.drain(id, false)
	}
	s.work = s.work[:0]
	s.busy = false
}

// advance lets a node that is due go on.
func (s *Sim) advance(id int) {
	s.busy, s.atWork = true, id
	s.nodes[id].m.Advance(s.now)
	s.drain(id, true)
}

// drain takes all that a node sends to its peers, and its next deadline.
func (s *Sim) drain(id int, advanced bool) {
	n := &s.nodes[id]
	s.atWork = id
	s.turns++
	if s.turns > s.maxTurns() {
		s.fail(ErrStuck)
	}
	for {
		m, length, ok := n.m.Output(s.now, s.buf)
		if !ok {
			break
		}
		s.pass(id, n, m, s.buf[:length])
	}
	at := n.m.Deadline()
	if advanced && at <= s.now {
		s.fail(fmt.Errorf("deadline %d ns is not after now", int64(at)))
	}
	s.due.set(id, at)
	if s.Invariant != nil {
		if err := s.Invariant(s.now); err != nil {
			s.fail(err)
		}
	}
	s.atWork = -1
}

// pass hands a packet to the node at the other end.
func (s *Sim) pass(id int, n *node, m machine.Meta, pkt []byte) {
	s.packet++
	s.hash.packet(s.now, id, m.Link, pkt)
	if s.Tap != nil {
		s.Tap(s.now, id, m.Link, true, pkt)
	}
	if int(m.Link) >= len(n.peers) || m.Link < 0 || n.peers[m.Link].node < 0 {
		return // cable hangs loose
	}
	p := n.peers[m.Link]
	if s.Tap != nil {
		s.Tap(s.now, p.node, p.link, false, pkt)
	}
	m.Link = p.link
	s.atWork = p.node
	s.nodes[p.node].m.Input(s.now, m, pkt)
	s.atWork = id
	s.wake(p.node)
}

func (s *Sim) maxTurns() int {
	if s.MaxTurns > 0 {
		return s.MaxTurns
	}
	return DefaultMaxTurns
}

// fail ends the run. Everything needed to repeat it stands in the error.
func (s *Sim) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", s.place(), err)
	}
}

// place says where the run is, for messages.
func (s *Sim) place() string {
	node := "none"
	if s.atWork >= 0 {
		node = s.nodes[s.atWork].name
	}
	return fmt.Sprintf("sim: seed %d, at %.9f s, node %s", s.seed, s.now.Seconds(), node)
}

// explain adds seed and time to the panic of a machine.
func (s *Sim) explain() {
	if r := recover(); r != nil {
		panic(fmt.Sprintf("%s: %v", s.place(), r))
	}
}
