package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// serving is a stack with a server that sends a stream to whoever connects.
type serving struct {
	*Stack
	ln    *Listener
	conns []*Conn
	left  []int
}

func newServing() *serving {
	s := &serving{Stack: New(Env{Host: acceptor(Config{}), Links: hostLinks(2, 2), Seed: [32]byte{2}})}
	ln, err := s.Listen(nil, addrPort("10.0.1.2:80"))
	if err != nil {
		panic(err)
	}
	s.ln = ln
	return s
}

func (s *serving) Input(now clock.Instant, m machine.Meta, data []byte) {
	s.Stack.Input(now, m, data)
	s.serve()
}

func (s *serving) Advance(now clock.Instant) {
	s.Stack.Advance(now)
	s.serve()
}

func (s *serving) serve() {
	if c, ok := s.ln.Accept(); ok {
		s.conns, s.left = append(s.conns, c), append(s.left, 300_000)
	}
	for i, c := range s.conns {
		for s.left[i] > 0 {
			n, err := c.Write(make([]byte, min(s.left[i], 4096)), false)
			s.left[i] -= n
			if err != nil {
				break
			}
			if s.left[i] == 0 {
				_ = c.CloseWrite()
			}
		}
		c.Discard(1 << 20)
	}
}

// TestContract replays what a client sends into a server that is driven well,
// early, late and over links that stop.
func TestContract(t *testing.T) {
	client := New(Env{Host: twoPaths(Config{}), Links: hostLinks(1, 2), Seed: [32]byte{1}})
	server := newServing()
	c, err := client.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	type packet struct {
		at   clock.Instant
		to   machine.Machine
		link machine.LinkID
		data []byte
	}
	var flying []packet
	var script []machine.Step
	buf := make([]byte, machine.BufferSize)
	now := clock.Instant(0)
	drain := func(m, to machine.Machine) {
		for {
			meta, n, ok := m.Output(now, buf)
			if !ok {
				return
			}
			flying = append(flying, packet{now.Add(5 * time.Millisecond), to, meta.Link, append([]byte(nil), buf[:n]...)})
		}
	}
	for now < clock.Instant(10*time.Second) {
		for again := true; again; {
			before := len(flying)
			drain(client, server)
			drain(server, client)
			again = len(flying) > before
		}
		next := clock.Min(client.Deadline(), server.Deadline())
		if len(flying) > 0 {
			next = clock.Min(next, flying[0].at)
		}
		if next == clock.Never {
			break
		}
		now = max(now, next)
		switch {
		case len(flying) > 0 && flying[0].at <= now:
			p := flying[0]
			flying = flying[1:]
			if p.to == server {
				script = append(script, machine.Step{At: now, Link: p.link, Data: p.data})
			}
			p.to.Input(now, machine.Meta{Link: p.link}, p.data)
			c.Discard(1 << 20)
			if c.recv.finDone {
				_ = c.CloseWrite()
			}
		case server.Deadline() <= now:
			server.Advance(now)
		default:
			client.Advance(now)
		}
	}
	if !c.Done() || c.Info(now).BytesReceived != 300_000 {
		t.Fatalf("the recording did not work: %+v", c.Info(now))
	}
	if err := machine.Check(func() machine.Machine { return newServing() }, script, clock.Instant(20*time.Second)); err != nil {
		t.Fatal(err)
	}
}
