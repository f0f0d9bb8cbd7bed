package virtual

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/topology"
)

// routed adds routes to handover: each interface of the phone has the router's as
// its gateway.
func routed() *topology.Topology {
	t := handover()
	add := func(node, gw, link string, metric int) {
		n := t.Node(node)
		for _, p := range []struct{ prefix, gw string }{{"0.0.0.0/0", "10.0." + gw}, {"::/0", "fd00:0:0:" + gw[:1] + "::" + gw[2:]}} {
			n.Routes = append(n.Routes, topology.Route{Prefix: netip.MustParsePrefix(p.prefix),
				Gateway: netip.MustParseAddr(p.gw), Link: link, Metric: metric})
		}
	}
	add("phone", "1.2", "wifi", 1)
	add("phone", "2.2", "lte", 2)
	add("server", "3.1", "lan", 1)
	return t
}

// demo is the handover of the demo: Wi-Fi 20 Mbit/s and LTE 10 Mbit/s.
func demo() *topology.Topology {
	t := routed()
	wifi := impairments.Config{Rate: 20_000_000, Delay: 15 * time.Millisecond, Queue: impairments.Queue{Time: 100 * time.Millisecond},
		Loss: impairments.Loss{Random: impairments.Chance{P: 0.001}}}
	lte := impairments.Config{Rate: 10_000_000, Delay: 30 * time.Millisecond, Jitter: 5 * time.Millisecond, InOrder: true,
		Queue: impairments.Queue{Time: 300 * time.Millisecond}}
	impair(t, "wifi", wifi, wifi)
	impair(t, "lte", lte, lte)
	lan := impairments.Config{Rate: 1_000_000_000}
	impair(t, "lan", lan, lan)
	return t
}

// A host is a stack with a small application on top, in one machine: the
// application runs when the stack has nothing more to send.
type host struct {
	*mptcp.Stack
	step func(now clock.Instant) // nil: none
}

func (h *host) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	for {
		if m, n, ok := h.Stack.Output(now, buf); ok {
			return m, n, true
		}
		if _, news := h.NextEvent(); !news {
			return machine.Meta{}, 0, false
		}
		if h.step != nil {
			h.step(now)
		}
	}
}

// env is what the stack of n is made from.
func env(t *topology.Topology, n *topology.Node, seed uint64, config mptcp.Config) mptcp.Env {
	e := mptcp.Env{Host: mptcp.HostConfig{Default: config, Limits: pm.Limits{Subflows: 8, AddAddrAccepted: 8}}}
	binary.BigEndian.PutUint64(e.Seed[:], impairments.Seed(seed, "host/"+n.Name))
	for _, i := range n.Interfaces {
		l := mptcp.Link{Name: i.Link, Prefixes: i.Prefixes, MTU: t.Link(i.Link).MTU, Up: true}
		for _, r := range n.Routes {
			if r.Link == i.Link {
				l.Routes = append(l.Routes, mptcp.Route{Prefix: r.Prefix, Gateway: r.Gateway, Metric: r.Metric})
			}
		}
		e.Links = append(e.Links, l)
		if n.Name == "phone" {
			e.Host.Endpoints = append(e.Host.Endpoints, pm.Endpoint{Addr: i.Prefixes[0].Addr(), Flags: pm.Subflow})
		}
	}
	return e
}

// A transfer is a download from server to phone.
type transfer struct {
	lab            *Lab
	phone, server  *host
	down, up       *mptcp.Conn
	sent, received hash.Hash
	size, written  int
	read           int
	finished       clock.Instant
	err            error
	chunk          []byte
}

func newTransfer(size int) *transfer {
	return &transfer{size: size, sent: sha256.New(), received: sha256.New(), chunk: make([]byte, 64<<10)}
}

// download builds the lab and starts a download of size bytes.
func download(tb testing.TB, topo *topology.Topology, o Options, size int, phone, server mptcp.Config) *transfer {
	tb.Helper()
	x := newTransfer(size)
	o.Host = func(n *topology.Node) machine.Machine {
		config := phone
		if n.Name == "server" {
			config = server
		}
		h := &host{Stack: mptcp.New(env(topo, n, o.Seed, config))}
		if n.Name == "phone" {
			x.phone = h
			h.step = x.receive
		} else {
			x.server = h
		}
		return h
	}
	lab, err := Build(topo, o)
	if err != nil {
		tb.Fatal(err)
	}
	x.lab = lab
	addr := netip.MustParseAddrPort("10.0.3.2:8080")
	l, err := x.server.Listen(nil, addr)
	if err != nil {
		tb.Fatal(err)
	}
	x.server.step = func(now clock.Instant) { x.serve(l) }
	if err := lab.Do("phone", func(now clock.Instant) {
		x.down, err = x.phone.Dial(now, nil, netip.MustParseAddrPort("10.0.1.1:0"), addr)
	}); err != nil {
		tb.Fatal(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// serve writes as much as fits.
func (x *transfer) serve(l *mptcp.Listener) {
	if x.up == nil {
		x.up, _ = l.Accept()
	}
	for x.up != nil && x.written < x.size {
		p := x.chunk[:min(len(x.chunk), x.size-x.written)]
		for i := range p {
			at := x.written + i
			p[i] = byte(at ^ at>>8 ^ at>>16)
		}
		n, err := x.up.Write(p, false)
		if err != nil {
			x.fail(err)
			return
		}
		x.sent.Write(p[:n])
		x.written += n
		if x.written == x.size {
			x.fail(x.up.CloseWrite())
		}
	}
}

// receive reads what there is.
func (x *transfer) receive(now clock.Instant) {
	if x.down == nil {
		return
	}
	for {
		p := x.down.Peek()
		if len(p) == 0 {
			break
		}
		x.received.Write(p)
		x.read += len(p)
		x.down.Discard(len(p))
	}
	if _, err := x.down.Read(x.chunk); errors.Is(err, io.EOF) && x.finished == 0 {
		x.finished = now
		x.down.Close()
	}
}

func (x *transfer) fail(err error) {
	if err != nil && !errors.Is(err, mptcp.ErrWouldBlock) && x.err == nil {
		x.err = err
	}
}

// intact checks the end of a transfer.
func (x *transfer) intact(tb testing.TB) {
	tb.Helper()
	if x.err != nil {
		tb.Error(x.err)
	}
	if x.finished == 0 {
		tb.Fatalf("not finished at %v: %d of %d bytes arrived", time.Duration(x.lab.Now()), x.read, x.size)
	}
	if x.read != x.size || fmt.Sprintf("%x", x.sent.Sum(nil)) != fmt.Sprintf("%x", x.received.Sum(nil)) {
		tb.Errorf("%d of %d bytes arrived, or others", x.read, x.size)
	}
}

func (x *transfer) run(tb testing.TB, until time.Duration) {
	tb.Helper()
	if err := x.lab.Run(clock.Instant(until)); err != nil {
		tb.Fatal(err)
	}
}
