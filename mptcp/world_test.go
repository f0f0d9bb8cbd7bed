package mptcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// world is two stacks and pipes between their links, in virtual time.
type world struct {
	t      *testing.T
	now    clock.Instant
	hosts  [2]*Stack
	watch  [2]*machine.Checker // the hosts, and whether they keep the contract
	print  uint64              // a hash of all packets
	pipes  []*pipe             // pipes[2*link+from]
	rng    uint64
	buf    []byte
	steps  int
	onStep func()
	dump   bool
}

// pipe is one direction of a link: rate, delay, queue, loss.
type pipe struct {
	to      int
	link    machine.LinkID
	delay   time.Duration
	rate    int // bytes/s; 0: infinite
	queue   int // bytes that wait for the rate
	loss    uint32
	dead    bool
	busy    clock.Instant
	flying  []flight
	packets int
	filter  func(s *wire.Segment) bool // false: drop; s may be changed: it is written again
	mutate  func(data []byte) [][]byte // what arrives in its place
}

type flight struct {
	at   clock.Instant
	data []byte
}

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func prefix(s string) netip.Prefix     { return netip.MustParsePrefix(s) }

// hostLinks are links 10.0.i.side/24 and fd00:i::side/64. The client (side 1)
// reaches everything over each link, as with a routing table per interface; the
// server answers over the link whose network the client's address is of.
func hostLinks(side, n int) []Link {
	var links []Link
	for i := 1; i <= n; i++ {
		links = append(links, Link{
			Name: fmt.Sprintf("link%d", i), Up: true,
			Prefixes: []netip.Prefix{
				prefix(fmt.Sprintf("10.0.%d.%d/24", i, side)), prefix(fmt.Sprintf("fd00:%d::%d/64", i, side))},
		})
		if side == 1 {
			links[i-1].Routes = []Route{{Prefix: prefix("0.0.0.0/0"), Metric: i}, {Prefix: prefix("::/0"), Metric: i}}
		}
	}
	return links
}

func newWorld(t *testing.T, links int, client, server HostConfig, seed byte) *world {
	w := &world{t: t, rng: uint64(seed)*0x9E3779B97F4A7C15 + 1, buf: make([]byte, machine.BufferSize)}
	for i, hc := range []HostConfig{client, server} {
		env := Env{Host: hc, Links: hostLinks(i+1, links), Seed: [32]byte{seed, byte(i + 1)}}
		w.hosts[i] = New(env)
		w.watch[i] = machine.Checked(w.hosts[i])
	}
	for l := range links {
		for from := range 2 {
			w.pipes = append(w.pipes, &pipe{to: 1 - from, link: machine.LinkID(l), delay: 10 * time.Millisecond})
		}
	}
	w.dump = os.Getenv("MPTCP_DUMP") != ""
	return w
}

func (w *world) random() uint32 {
	w.rng += 0x9E3779B97F4A7C15
	z := w.rng
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return uint32(z >> 32)
}

// link sets both directions of a link.
func (w *world) link(i int, f func(p *pipe)) {
	f(w.pipes[2*i])
	f(w.pipes[2*i+1])
}

// send puts a packet on its way.
func (w *world) send(from int, m machine.Meta, data []byte) {
	p := w.pipes[2*int(m.Link)+from]
	p.packets++
	for _, b := range data[:min(len(data), 80)] { // all headers
		w.print = (w.print ^ uint64(b)) * 1099511628211
	}
	w.print = (w.print ^ uint64(w.now)) * 1099511628211
	var seg wire.Segment
	parsed := (w.dump || p.filter != nil) && seg.Parse(data, false) == nil
	if w.dump && parsed {
		fmt.Printf("%9.6f %d>link%d %s\n", w.now.Seconds(), from, m.Link+1, seg.String())
	}
	if p.dead || w.random() < p.loss {
		return
	}
	data = bytes.Clone(data)
	if p.filter != nil && parsed {
		if !p.filter(&seg) {
			return
		}
		data = wire.AppendPacket(nil, &seg)
	}
	at := w.now
	if p.rate > 0 {
		start := max(at, p.busy)
		if int(start.Sub(at))*p.rate/int(time.Second) > p.queue {
			return
		}
		at = start.Add(time.Duration(len(data)) * time.Second / time.Duration(p.rate))
		p.busy = at
	}
	at = at.Add(p.delay)
	if p.mutate == nil {
		p.flying = append(p.flying, flight{at, data})
		return
	}
	for _, d := range p.mutate(data) {
		p.flying = append(p.flying, flight{at, bytes.Clone(d)})
	}
}

// settle lets both hosts send what they have.
func (w *world) settle() {
	for again := true; again; {
		again = false
		for i, h := range w.watch {
			for n := 0; ; n++ {
				m, k, ok := h.Output(w.now, w.buf)
				if !ok {
					break
				}
				if n > 100000 {
					w.t.Fatalf("host %d does not stop sending at %v", i, w.now)
				}
				again = true
				w.send(i, m, w.buf[:k])
			}
		}
	}
}

// step moves to the next event; false: nothing is going to happen before limit.
func (w *world) step(limit clock.Instant) bool {
	w.mutated()
	next := clock.Never
	for _, h := range w.watch {
		next = clock.Min(next, h.Deadline())
	}
	for _, p := range w.pipes {
		if len(p.flying) > 0 {
			next = clock.Min(next, p.flying[0].at)
		}
	}
	if next > limit {
		w.now = max(w.now, limit)
		return false
	}
	if next <= w.now {
		if w.steps++; w.steps > 1000 {
			w.t.Fatalf("no progress of time at %v: deadlines %v %v", w.now, w.hosts[0].Deadline(), w.hosts[1].Deadline())
		}
	} else {
		w.steps = 0
	}
	w.now = max(w.now, next)
	for _, p := range w.pipes {
		for len(p.flying) > 0 && p.flying[0].at <= w.now {
			data := p.flying[0].data
			p.flying = p.flying[1:]
			w.watch[p.to].Input(w.now, machine.Meta{Link: p.link}, data)
			w.settle()
		}
	}
	for _, h := range w.watch {
		if h.Deadline() <= w.now {
			h.Advance(w.now)
			w.settle()
		}
	}
	if w.onStep != nil {
		w.onStep()
		w.mutated()
	}
	for _, h := range w.watch {
		if err := h.Err(); err != nil {
			w.t.Fatal(err)
		}
	}
	return true
}

// mutated drains the hosts after calls of their API.
func (w *world) mutated() {
	for _, h := range w.watch {
		h.Mutated(w.now)
	}
	w.settle()
}

// run goes on until cond holds or for at most d.
func (w *world) run(d time.Duration, cond func() bool) bool {
	limit := w.now.Add(d)
	for !cond() {
		if !w.step(limit) {
			return cond()
		}
	}
	return true
}

// app writes total bytes of a pattern and checks what it reads.
type app struct {
	c           *Conn
	total       int
	sent, got   int
	key         byte
	peer        byte
	closed, eof bool
	err         error
	buf         []byte
	lastGot     clock.Instant
	gap         time.Duration
	garbled     bool // what it reads is not checked
	paused      bool // it does not read
}

// stream returns n bytes, at most 32 KiB, of the pattern that a key stands for,
// from offset i on. Its period is a prime, so that no shift by a power of two
// goes unseen.
func stream(key byte, i, n int) []byte {
	const period = 65521
	if patterns[key] == nil {
		b := make([]byte, period+32<<10)
		for i := range b {
			k := i % period
			b[i] = byte(k) ^ byte(k>>8)*7 ^ key
		}
		patterns[key] = b
	}
	return patterns[key][i%period:][:n]
}

var patterns [256][]byte

func newApp(c *Conn, total int, key, peer byte) *app {
	return &app{c: c, total: total, key: key, peer: peer, buf: make([]byte, 32<<10)}
}

// poll reads and writes as much as there is.
func (a *app) poll(w *world) {
	t := w.t
	for a.sent < a.total {
		n, err := a.c.Write(stream(a.key, a.sent, min(len(a.buf), a.total-a.sent)), false)
		a.sent += n
		if err != nil {
			if !errors.Is(err, ErrWouldBlock) {
				a.err = err
			}
			break
		}
	}
	if a.sent == a.total && !a.closed {
		a.closed = true
		a.c.CloseWrite()
	}
	for !a.eof && !a.paused {
		n, err := a.c.Read(a.buf)
		if !a.garbled && !bytes.Equal(a.buf[:n], stream(a.peer, a.got, n)) {
			t.Fatalf("the stream is wrong between bytes %d and %d", a.got, a.got+n)
		}
		if n > 0 {
			if a.got > 0 {
				a.gap = max(a.gap, w.now.Sub(a.lastGot))
			}
			a.lastGot = w.now
		}
		a.got += n
		if err == io.EOF {
			a.eof = true
		} else if err != nil {
			if !errors.Is(err, ErrWouldBlock) {
				a.err = err
			}
			break
		}
	}
}

// pair is a connection with an app at each end.
type pair struct {
	w      *world
	ln     *Listener
	client *app
	server *app
	down   int

	paused  bool // the server does not read
	forged  bool // packets were changed: what one end believes of the other may be wrong
	garbled bool // and in a way that nothing guards: the streams, too
}

// connect dials from host 0 to host 1; up and down are bytes to send.
func (w *world) connect(up, down int, laddr, raddr string) *pair {
	w.t.Helper()
	ln, err := w.hosts[1].Listen(nil, addrPort(raddr))
	if err != nil {
		w.t.Fatal(err)
	}
	var local netip.AddrPort
	if laddr != "" {
		local = addrPort(laddr)
	}
	c, err := w.hosts[0].Dial(w.now, nil, local, addrPort(raddr))
	if err != nil {
		w.t.Fatal(err)
	}
	p := &pair{w: w, ln: ln, client: newApp(c, up, 1, 2), down: down}
	w.onStep = p.poll
	return p
}

func (p *pair) poll() {
	if p.server == nil {
		if c, ok := p.ln.Accept(); ok {
			p.server = newApp(c, p.down, 2, 1)
		}
	}
	if p.client.garbled = p.garbled; p.server != nil {
		p.server.garbled = p.garbled
	}
	if p.client.c.Established() {
		p.client.poll(p.w)
	}
	if p.server != nil {
		p.server.paused = p.paused
		p.server.poll(p.w)
		if !p.forged {
			p.check()
		}
	}
}

// check holds the invariants that need both ends.
func (p *pair) check() {
	a, b := p.client.c, p.server.c
	if a.recv.nxt > b.send.nxt || b.recv.nxt > a.send.nxt {
		p.w.t.Fatalf("received more than sent: %d > %d or %d > %d", a.recv.nxt, b.send.nxt, b.recv.nxt, a.send.nxt)
	}
	if a.send.una > b.recv.nxt || b.send.una > a.recv.nxt {
		p.w.t.Fatalf("acknowledged more than received")
	}
}

func (p *pair) done() bool {
	return p.client.c.Done() && p.server != nil && p.server.c.Done() && p.client.eof && p.server.eof
}

func (p *pair) state() string {
	s := fmt.Sprintf("client sent %d got %d/%d", p.client.sent, p.client.got, p.down)
	if p.server != nil {
		s += fmt.Sprintf("; server sent %d got %d/%d err %v", p.server.sent, p.server.got, p.client.total, p.server.err)
		s += fmt.Sprintf("\nserver %+v", p.server.c.Info(p.w.now))
	}
	for _, sf := range p.client.c.subflows {
		s += fmt.Sprintf("\n%d: stage %d closing %v over %v joinAt %v", sf.id, sf.stage, sf.closing, sf.over, sf.joinAt)
	}
	return s + fmt.Sprintf("\nclient err %v %+v", p.client.err, p.client.c.Info(p.w.now))
}

// finish runs the pair to its end.
func (p *pair) finish(d time.Duration) {
	p.w.t.Helper()
	start := p.w.now
	p.poll() // who paused reads what is there, even if nothing else happens
	p.w.mutated()
	if !p.w.run(d, p.done) {
		p.w.t.Fatalf("not done after %v: %s", p.w.now.Sub(start), p.state())
	}
	if p.client.err != nil || p.server.err != nil {
		p.w.t.Fatalf("errors: %s", p.state())
	}
	if p.client.got != p.down || p.server.got != p.client.total {
		p.w.t.Fatalf("lost bytes: %s", p.state())
	}
	for i, h := range p.w.hosts {
		if n := h.counters.MPTcpExtMPCurrEstab; n != 0 {
			p.w.t.Errorf("host %d: MPCurrEstab = %d at the end", i, n)
		}
	}
}

// twoPaths is a client that joins from its second address.
func twoPaths(cfg Config) HostConfig {
	return HostConfig{Default: cfg, Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2},
		Endpoints: []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Subflow}}}
}

func acceptor(cfg Config) HostConfig {
	return HostConfig{Default: cfg, Limits: pm.Limits{Subflows: 2, AddAddrAccepted: 2}}
}

type recorder struct{ events []trace.Event }

func (r *recorder) Trace(e trace.Event) { r.events = append(r.events, e) }

// forgets waits until TIME-WAIT and the like are over: the hosts have forgotten
// everything then.
func (w *world) forgets() {
	w.t.Helper()
	w.run(time.Hour, func() bool { return false })
	for i, h := range w.hosts {
		live := 0
		for _, c := range h.conns {
			if !c.forgotten {
				live++
			}
		}
		if live != 0 || len(h.flows) != 0 || len(h.tokens) != 0 || h.Deadline() != clock.Never {
			w.t.Errorf("host %d remembers %d connections, %d flows, %d tokens; deadline %v", i, live, len(h.flows), len(h.tokens), h.Deadline())
		}
	}
}
