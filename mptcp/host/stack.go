package host

import (
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

// Stack is our MPTCP stack with the interface of package net, for programs that are
// not state machines.
type Stack struct {
	*Monitor
	stack *mptcp.Stack
	news  map[any]*news // by *mptcp.Conn or *mptcp.Listener; under the monitor's lock
}

// StackConfig says what NewStack runs.
type StackConfig struct {
	Env     mptcp.Env
	Devices []link.Device // by machine.LinkID, as Env.Links; the stack owns them
	Clock   *Clock        // nil: a new one
	Tap     func(now clock.Instant, id machine.LinkID, out bool, packet []byte)
}

// news wakes who waits for something to happen to a connection or listener.
type news struct{ changed chan struct{} }

func (n *news) happened() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// attentive is the stack's machine; at the end of each drain it wakes the goroutines
// for which there is news.
type attentive struct {
	*mptcp.Stack
	owner *Stack
}

// Output implements machine.Machine.
func (a attentive) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	m, n, ok := a.Stack.Output(now, buf)
	if ok {
		return m, n, ok
	}
	for {
		r, any := a.Stack.NextEvent()
		if !any {
			return m, n, false
		}
		if r.Conn != nil {
			a.owner.wakeUp(r.Conn)
		}
		if r.Listener != nil {
			a.owner.wakeUp(r.Listener)
		}
	}
}

// NewStack starts a stack.
func NewStack(c StackConfig) (*Stack, error) {
	if c.Clock == nil {
		c.Clock = NewClock()
	}
	s := &Stack{stack: mptcp.New(c.Env), news: make(map[any]*news)}
	m, err := Start(Config{Machine: attentive{s.stack, s}, Devices: c.Devices, Clock: c.Clock, Tap: c.Tap})
	if err != nil {
		return nil, err
	}
	s.Monitor = m
	return s, nil
}

// With runs f on the stack as one mutation: for counters, endpoints and links.
func (s *Stack) With(f func(now clock.Instant, stack *mptcp.Stack)) error {
	return s.Do(func(now clock.Instant) { f(now, s.stack) })
}

// watch registers a connection or listener; under the lock.
func (s *Stack) watch(key any) { s.news[key] = &news{changed: make(chan struct{})} }

// forget ends a watch, and wakes who waits; under the lock.
func (s *Stack) forget(key any) {
	s.wakeUp(key)
	delete(s.news, key)
}

func (s *Stack) wakeUp(key any) {
	if n := s.news[key]; n != nil {
		n.happened()
	}
}

// wait returns a channel that is closed at the next news; under the lock. Of what is
// not watched any more there is always news.
func (s *Stack) wait(key any) <-chan struct{} {
	if n := s.news[key]; n != nil {
		return n.changed
	}
	return over
}

// over is a closed channel.
var over = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
