package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// Stack is the MPTCP and TCP stack of one host, a machine.Machine on whole IP
// packets.
type Stack struct {
	env      Env
	counters Counters
}

var _ machine.Machine = (*Stack)(nil)

// New returns the stack of one host.
func New(env Env) *Stack { return &Stack{env: env} }

// Input takes one IP packet that arrived on m.Link.
func (s *Stack) Input(now clock.Instant, m machine.Meta, data []byte) {}

// Advance runs the timers that are due.
func (s *Stack) Advance(now clock.Instant) {}

// Deadline says when Advance is needed next.
func (s *Stack) Deadline() clock.Instant { return clock.Never }

// Output writes the next IP packet into buf.
func (s *Stack) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	return machine.Meta{}, 0, false
}

// SetWritable says whether a link can take packets.
func (s *Stack) SetWritable(link machine.LinkID, ok bool) {}

// SetLink changes addresses, routes or state of a link, or adds the link after
// the last. The path manager hears of addresses that come and go.
func (s *Stack) SetLink(now clock.Instant, id machine.LinkID, l Link) error { return nil }

// Dial begins a connection to raddr. laddr may be zero, or have port 0: the
// stack chooses then. cfg nil is the host's default.
func (s *Stack) Dial(now clock.Instant, cfg *Config, laddr, raddr netip.AddrPort) (*Conn, error) {
	return nil, ErrUnreachable
}

// Listen accepts connections at laddr, whose address may be unspecified (0.0.0.0
// or ::) for all of the host's addresses of that family. cfg nil is the host's
// default.
func (s *Stack) Listen(cfg *Config, laddr netip.AddrPort) (*Listener, error) {
	return nil, ErrAddrInUse
}

// Counters returns the stack's counters; they live as long as the stack.
func (s *Stack) Counters() *Counters { return &s.counters }

// Conns returns the connections that are not Done, in the order of their
// creation.
func (s *Stack) Conns() []*Conn { return nil }

// NextEvent returns the next connection or listener with news, first come first
// served; false: there is none.
func (s *Stack) NextEvent() (Ready, bool) { return Ready{}, false }
