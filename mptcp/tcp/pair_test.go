package tcp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// rng is splitmix64.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance reports true p times in a thousand.
func (r *rng) chance(p int) bool { return int(r.next()%1000) < p }

// path is what happens to the packets of both directions.
type path struct {
	delay              time.Duration
	perByte            time.Duration // serialization
	queue              int           // packets; 0: no limit
	loss, reorder, dup int           // per mille
	reorderBy          time.Duration
}

type inFlight struct {
	at  clock.Instant
	ord int
	p   []byte
}

// side is one end of a pair.
type side struct {
	u      *stream
	in     []inFlight    // on their way to it, by at
	free   clock.Instant // when the wire towards it is idle
	ord    int
	closed bool
}

// pair joins two connections by a path in virtual time.
type pair struct {
	t      testing.TB
	now    clock.Instant
	path   path
	rng    rng
	cfg    [2]Config
	side   [2]side
	addr   [2]netip.AddrPort
	listen bool // side 1 has not seen a SYN
	buf    [70000]byte
	steps  int
	wnd    int  // of both ends; 0 is 1 MiB
	lazy   bool // the applications read now and then
	flaky  bool // and their buffers refuse a part of what arrives
	v6     bool
	fam    cc.Family
	keep   func(from int, s *wire.Segment) bool // nil: all
	fams   [2]renoFamily
}

func newPair(t testing.TB, p path, seed uint64) *pair {
	return &pair{t: t, path: p, rng: rng(seed), listen: true}
}

func (p *pair) start(client, server []byte) {
	if p.wnd == 0 {
		p.wnd = 1 << 20
	}
	p.side[0].u = &stream{send: client, wnd: p.wnd}
	p.side[1].u = &stream{send: server, wnd: p.wnd}
	if p.flaky {
		p.side[0].u.flaky, p.side[1].u.flaky = &p.rng, &p.rng
	}
	p.addr = [2]netip.AddrPort{clientAddr, serverAddr}
	if p.v6 {
		p.addr = [2]netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:1000"), netip.MustParseAddrPort("[2001:db8::2]:80")}
	}
	par := Params{Config: &p.cfg[0], Local: p.addr[0], Remote: p.addr[1], ISS: wire.Seq(p.rng.next()), TSOffset: uint32(p.rng.next()), MTU: 1500, Family: &p.fams[0]}
	if p.fam != nil {
		par.Family = p.fam
	}
	p.side[0].u.c = Connect(p.now, par, p.side[0].u)
	p.drain(0)
}

func (p *pair) drain(i int) {
	if p.side[i].u == nil || p.side[i].u.c == nil {
		return
	}
	u := p.side[i].u
	drain(p.t, p.now, u, p.buf[:], func(b []byte) { p.send(i, b) })
	if p.lazy && !p.rng.chance(200) {
		return
	}
	if unread := u.have - u.read; unread > 0 {
		u.read = u.have
		if unread >= u.wnd/2 { // a reader that frees much says so
			u.c.AckNow()
			drain(p.t, p.now, u, p.buf[:], func(b []byte) { p.send(i, b) })
		}
	}
}

func (p *pair) send(from int, b []byte) {
	var s wire.Segment
	if err := s.Parse(b, false); err != nil {
		p.t.Fatalf("side %d sent what does not parse: %v", from, err)
	}
	if p.keep != nil && !p.keep(from, &s) {
		return
	}
	to := &p.side[1-from]
	if p.rng.chance(p.path.loss) {
		return
	}
	if p.path.queue > 0 && p.path.perByte > 0 &&
		to.free.Sub(p.now) > time.Duration(p.path.queue*1500)*p.path.perByte {
		return
	}
	n := 1
	if p.rng.chance(p.path.dup) {
		n = 2
	}
	for ; n > 0; n-- {
		to.free = max(to.free, p.now).Add(time.Duration(len(b)) * p.path.perByte)
		at := to.free.Add(p.path.delay)
		if p.rng.chance(p.path.reorder) {
			at = at.Add(time.Duration(p.rng.next() % uint64(p.path.reorderBy)))
		}
		to.ord++
		f := inFlight{at, to.ord, append([]byte(nil), b...)}
		i := len(to.in)
		for i > 0 && f.at < to.in[i-1].at {
			i--
		}
		to.in = append(to.in, inFlight{})
		copy(to.in[i+1:], to.in[i:])
		to.in[i] = f
	}
}

func (p *pair) deliver(i int, b []byte) {
	var s wire.Segment
	if err := s.Parse(b, false); err != nil {
		p.t.Fatal(err)
	}
	u := p.side[i].u
	if i == 1 && p.listen {
		if s.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.SYN {
			return
		}
		p.listen = false
		par := Params{Config: &p.cfg[1], Local: p.addr[1], Remote: p.addr[0], ISS: wire.Seq(p.rng.next()), TSOffset: uint32(p.rng.next()), MTU: 1500, Family: &p.fams[1]}
		u.c = Accept(p.now, par, u, &s)
		return
	}
	if u.c != nil {
		u.c.Segment(p.now, &s)
	}
}

// step runs the next thing that happens; false: nothing will.
func (p *pair) step() bool {
	p.steps++
	next := clock.Never
	for i := range p.side {
		s := &p.side[i]
		if len(s.in) > 0 {
			next = min(next, s.in[0].at)
		}
		if s.u.c != nil {
			next = min(next, s.u.c.Deadline())
		}
	}
	if next == clock.Never {
		return false
	}
	p.now = next
	for i := range p.side {
		s := &p.side[i]
		if s.u.c != nil && s.u.c.Deadline() <= p.now {
			s.u.c.Advance(p.now)
			p.drain(i)
		}
		for len(s.in) > 0 && s.in[0].at <= p.now {
			f := s.in[0]
			s.in = s.in[1:]
			p.deliver(i, f.p)
			p.drain(i)
		}
	}
	return true
}

// run steps until done or the time is up.
func (p *pair) run(limit time.Duration, done func() bool) {
	p.t.Helper()
	end := p.now.Add(limit)
	for !done() {
		if !p.step() {
			p.t.Fatalf("nothing more happens at %v: %+v\n%+v", p.now.Seconds(), p.info(0), p.info(1))
		}
		if p.now > end {
			p.t.Fatalf("not done after %v: %+v\n%+v", limit, p.info(0), p.info(1))
		}
	}
}

func (p *pair) info(i int) any {
	if p.side[i].u.c == nil {
		return "none"
	}
	return p.side[i].u.c.Info(p.now)
}

// transfer sends both streams, closes both sides and checks what arrived.
func (p *pair) transfer(client, server []byte, limit time.Duration) {
	p.t.Helper()
	p.start(client, server)
	c, s := p.side[0].u, p.side[1].u
	p.run(limit, func() bool {
		for i := range p.side {
			u := p.side[i].u
			if n, _, _ := u.Unsent(); u.c != nil && u.c.State() != StateSYNSent && n == 0 && !p.side[i].closed {
				p.side[i].closed = true
				u.c.Close()
				p.drain(i)
			}
		}
		return c.fin && s.fin
	})
	p.run(limit+10*time.Minute, func() bool { return c.saw(Closed) && s.saw(Closed) })
	if !bytes.Equal(c.rcv[:c.have], server) {
		p.t.Fatalf("client received %d bytes, not the %d sent", c.have, len(server))
	}
	if !bytes.Equal(s.rcv[:s.have], client) {
		p.t.Fatalf("server received %d bytes, not the %d sent", s.have, len(client))
	}
	if c.c.Err() != nil || s.c.Err() != nil {
		p.t.Fatalf("errors %v, %v", c.c.Err(), s.c.Err())
	}
	if p.fam == nil && p.fams[0].live != 0 || p.fams[1].live != 0 {
		p.t.Fatal("a controller was not dropped")
	}
}

var paths = []struct {
	name string
	path path
}{
	{"clean", path{delay: 10 * time.Millisecond}},
	{"bottleneck", path{delay: 10 * time.Millisecond, perByte: 400 * time.Nanosecond, queue: 30}},
	{"loss", path{delay: 10 * time.Millisecond, perByte: 100 * time.Nanosecond, loss: 20}},
	{"reorder", path{delay: 10 * time.Millisecond, perByte: 100 * time.Nanosecond, reorder: 100, reorderBy: 8 * time.Millisecond}},
	{"all", path{delay: 20 * time.Millisecond, perByte: 400 * time.Nanosecond, queue: 40, loss: 30, reorder: 50, dup: 30, reorderBy: 30 * time.Millisecond}},
	{"terrible", path{delay: 50 * time.Millisecond, perByte: 400 * time.Nanosecond, loss: 150, reorder: 100, dup: 50, reorderBy: 100 * time.Millisecond}},
}

var configs = []struct {
	name string
	cfg  [2]Config
}{
	{"default", [2]Config{}},
	{"no-sack", [2]Config{{NoSACK: true}, {}}},
	{"no-ts", [2]Config{{NoTimestamps: true}, {}}},
	{"bare", [2]Config{{NoSACK: true, NoTimestamps: true, NoWindowScaling: true}, {}}},
}

// TestTransfer moves data both ways over bad paths, intact, whatever the seed.
func TestTransfer(t *testing.T) {
	for _, pt := range paths {
		for _, cf := range configs {
			t.Run(pt.name+"/"+cf.name, func(t *testing.T) {
				for seed := uint64(1); seed <= 5; seed++ {
					p := newPair(t, pt.path, seed)
					p.cfg = cf.cfg
					n := 400_000
					if pt.name == "terrible" {
						n = 60_000
					}
					p.transfer(pattern(n, seed), pattern(n/4, seed+1), 10*time.Minute)
					if t.Failed() {
						t.Fatal(fmt.Sprint("seed ", seed))
					}
				}
			})
		}
	}
}

// TestTransferSmallBuffers moves data through windows that open and shut.
func TestTransferSmallBuffers(t *testing.T) {
	for _, wnd := range []int{900, 3000, 20_000, 100_000} {
		for _, pt := range paths {
			t.Run(fmt.Sprintf("%d/%s", wnd, pt.name), func(t *testing.T) {
				for seed := uint64(1); seed <= 4; seed++ {
					p := newPair(t, pt.path, seed)
					p.wnd, p.lazy, p.flaky, p.v6 = wnd, true, seed%2 == 0, seed > 2
					p.transfer(pattern(20*wnd/(1+wnd/20_000), seed), pattern(4000, seed+1), 24*time.Hour)
				}
			})
		}
	}
}

// The whole of a run is a function of its seed.
func TestDeterministic(t *testing.T) {
	run := func() string {
		p := newPair(t, paths[4].path, 7)
		p.transfer(pattern(300_000, 1), pattern(30_000, 2), 10*time.Minute)
		return fmt.Sprint(p.steps, p.now, p.info(0), p.info(1))
	}
	if a, b := run(), run(); a != b {
		t.Errorf("two runs with one seed differ:\n%s\n%s", a, b)
	}
}
