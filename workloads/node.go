package workloads

import (
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// Node is a host as one machine: our stack and the applications on it. In the
// simulator and on real interfaces alike, an application runs inside the same
// turn as the packet that woke it.
type Node struct {
	Stack *mptcp.Stack

	apps []running
	next clock.Instant // earliest wish of an app
	kick bool          // apps are to run even without news from the stack
}

type running struct {
	app  App
	next clock.Instant
	done bool
}

var _ machine.Machine = (*Node)(nil)

// NewNode returns a host that runs apps on stack from its first turn on.
func NewNode(stack *mptcp.Stack, apps ...App) *Node {
	n := &Node{Stack: stack, kick: len(apps) > 0, next: clock.Never}
	for _, a := range apps {
		n.apps = append(n.apps, running{app: a})
	}
	return n
}

// Done reports whether all applications are done.
func (n *Node) Done() bool {
	for i := range n.apps {
		if !n.apps[i].done {
			return false
		}
	}
	return true
}

// Kick makes the applications run in the next turn: something about them was
// changed from outside.
func (n *Node) Kick() { n.kick = true }

// Input implements machine.Machine.
func (n *Node) Input(now clock.Instant, m machine.Meta, data []byte) { n.Stack.Input(now, m, data) }

// Advance implements machine.Machine.
func (n *Node) Advance(now clock.Instant) {
	n.Stack.Advance(now)
	if now >= n.next {
		n.kick = true
	}
}

// Deadline implements machine.Machine.
func (n *Node) Deadline() clock.Instant {
	if n.kick {
		return 0
	}
	return clock.Min(n.next, n.Stack.Deadline())
}

// SetWritable implements machine.Machine.
func (n *Node) SetWritable(link machine.LinkID, ok bool) { n.Stack.SetWritable(link, ok) }

// Output implements machine.Machine: first what the stack has, then the
// applications run if there is news for them, then what that gave the stack.
func (n *Node) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	for {
		if m, l, ok := n.Stack.Output(now, buf); ok {
			return m, l, true
		}
		if !n.news() {
			return machine.Meta{}, 0, false
		}
		n.step(now)
	}
}

// news takes the stack's events; whose they are does not matter, since every app
// looks at its own sockets.
func (n *Node) news() bool {
	news := n.kick
	n.kick = false
	for {
		if _, ok := n.Stack.NextEvent(); !ok {
			return news
		}
		news = true
	}
}

func (n *Node) step(now clock.Instant) {
	n.next = clock.Never
	for i := range n.apps {
		a := &n.apps[i]
		if !a.done {
			a.next, a.done = a.app.Step(now, stackHost{n.Stack})
		}
		if !a.done {
			n.next = clock.Min(n.next, a.next)
		}
	}
}
