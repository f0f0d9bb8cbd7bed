package tcp

import (
	"bytes"
	"net/netip"
	"testing"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// reno is a controller that is only as good as these tests need: slow start,
// congestion avoidance, half of cwnd at a loss.
type reno struct{ credit int }

func (r *reno) OnAck(f *cc.Flow, s *cc.Sample) {
	if !s.CwndLimited {
		return
	}
	if f.InSlowStart() {
		f.Cwnd += s.Acked
		return
	}
	for r.credit += s.Acked; r.credit >= f.Cwnd; {
		r.credit -= f.Cwnd
		f.Cwnd++
	}
}
func (r *reno) SSThresh(f *cc.Flow) int                 { return max(f.Cwnd/2, 2) }
func (r *reno) Undo(*cc.Flow)                           {}
func (r *reno) Event(*cc.Flow, clock.Instant, cc.Event) {}
func (r *reno) Owns() bool                              { return false }
func (r *reno) Pacing(*cc.Flow) uint64                  { return 0 }

type renoFamily struct{ live int }

func (r *renoFamily) New(*cc.Flow, clock.Instant) cc.Controller { r.live++; return new(reno) }
func (r *renoFamily) Drop(cc.Controller)                        { r.live-- }

// stream is an Upper that carries a byte stream: a slice to send, a slice of
// what arrived. pos is the stream offset of ssn 1.
type stream struct {
	c      *Conn
	send   []byte
	more   bool
	noPush bool
	rcv    []byte // by ssn-1; staged out of order, too
	have   int    // in order
	fin    bool
	wnd    int  // fixed window; with unread > 0 less that
	read   int  // bytes the application took
	refuse bool // Deliver keeps nothing
	flaky  *rng // Deliver keeps a part, sometimes
	events []Event
	opts   func(s *wire.Segment, n, room int) // the upper's options
	handle func(s *wire.Segment) error
	acked  wire.Seq

	endless bool // there is always more to send
	sink    bool // what arrives is counted, not kept
}

func (u *stream) Unsent() (int, bool, bool) {
	if u.c == nil {
		return 0, false, false
	}
	if u.endless {
		return 1 << 20, false, false
	}
	return len(u.send) - max(u.c.SndNxt().Sub(1), 0), !u.noPush, u.more
}

func (u *stream) Plan(ssn wire.Seq, max int) (int, int, bool) {
	end := ssn.Sub(1) + max
	return max, 0, end == len(u.send) && !u.noPush
}

func (u *stream) Options(_ clock.Instant, s *wire.Segment, _ wire.Seq, n, room int) int {
	if u.opts != nil {
		u.opts(s, n, room)
	}
	return u.wnd - (u.have - u.read)
}

func (u *stream) Fill(b []byte, ssn wire.Seq) {
	if !u.endless {
		copy(b, u.send[ssn.Sub(1):])
	}
}

func (u *stream) HandleOptions(_ clock.Instant, s *wire.Segment) error {
	if u.handle != nil {
		return u.handle(s)
	}
	return nil
}

func (u *stream) Deliver(_ clock.Instant, ssn wire.Seq, p []byte) int {
	switch {
	case u.refuse:
		return 0
	case u.sink:
		return len(p)
	}
	if u.flaky != nil && u.flaky.chance(100) {
		p = p[:u.flaky.next()%uint64(len(p)+1)]
	}
	at := ssn.Sub(1)
	if need := at + len(p); need > len(u.rcv) {
		if need > cap(u.rcv) {
			u.rcv = append(make([]byte, 0, 2*need), u.rcv...)
		}
		u.rcv = u.rcv[:need]
	}
	copy(u.rcv[at:], p)
	return len(p)
}

func (u *stream) InOrder(_ clock.Instant, nxt wire.Seq, fin bool) {
	u.have = nxt.Sub(1)
	if fin {
		u.have--
		u.fin = true
	}
}

func (u *stream) Acked(_ clock.Instant, una wire.Seq) { u.acked = una }

func (u *stream) Event(_ clock.Instant, e Event) { u.events = append(u.events, e) }

func (u *stream) saw(e Event) bool {
	return bytes.IndexByte(asBytes(u.events), byte(e)) >= 0
}

func asBytes(es []Event) []byte {
	b := make([]byte, len(es))
	for i, e := range es {
		b[i] = byte(e)
	}
	return b
}

var (
	clientAddr = netip.MustParseAddrPort("10.0.0.1:1000")
	serverAddr = netip.MustParseAddrPort("10.0.0.2:80")
)

// pattern returns n bytes that tell where they belong.
func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	for i := range p {
		seed = seed*6364136223846793005 + 1442695040888963407
		p[i] = byte(seed >> 56)
	}
	return p
}

// drain takes everything that c and its stream send at now.
func drain(t testing.TB, now clock.Instant, u *stream, buf []byte, send func([]byte)) {
	t.Helper()
	c := u.c
	for i := 0; ; i++ {
		if i > 100000 {
			t.Fatalf("Output does not end: %+v", c.Info(now))
		}
		n, ok := c.Output(now, buf)
		if !ok {
			if n = c.Room(now); n > 0 {
				unsent, _, _ := u.Unsent()
				if n = min(n, unsent); n > 0 {
					n = c.Send(now, n, buf)
				}
			}
			if n <= 0 {
				break
			}
		}
		if n > max(c.mtu, c.headerLen()+maxOptionsLen+8) {
			t.Fatalf("a packet of %d bytes where the MTU is %d", n, c.mtu)
		}
		send(buf[:n])
	}
	check(t, now, c)
}

// check verifies the invariants of c.
func check(t testing.TB, now clock.Instant, c *Conn) {
	t.Helper()
	if c.sndNxt.Less(c.sndUna) {
		t.Fatalf("una %d > nxt %d", c.sndUna, c.sndNxt)
	}
	if d := c.Deadline(); d <= now {
		t.Fatalf("deadline %d at %d: %v state %d", d, now, c.timers, c.state)
	}
	b := &c.board
	var packets, sacked, lost, retrans, timed int
	prev := noRun
	for id := b.head; id != noRun; id = b.at(id).next {
		r := b.at(id)
		if r.prev != prev {
			t.Fatalf("run %d: prev %d, want %d", id, r.prev, prev)
		}
		if prev != noRun && b.at(prev).end != r.start {
			t.Fatalf("runs %d..%d and %d..%d do not join", b.at(prev).start, b.at(prev).end, r.start, r.end)
		}
		n := r.segs()
		packets += n
		if r.flags&runSACKed != 0 {
			sacked += n
			if r.flags&(runLost|runRetrans|runTimed) != 0 {
				t.Fatalf("a SACKed run has flags %b", r.flags)
			}
		}
		if r.flags&runLost != 0 {
			lost += n
		}
		if r.flags&runRetrans != 0 {
			retrans += n
		}
		if r.flags&runTimed != 0 {
			timed++
		}
		if r.flags&(runLost|runRetrans|runSACKed) == runLost && (b.lostHint == noRun || r.start.Less(b.at(b.lostHint).start)) {
			t.Fatalf("run at %d is lost, but before the hint", r.start)
		}
		prev = id
	}
	if prev != b.tail {
		t.Fatalf("tail %d, want %d", b.tail, prev)
	}
	if packets != b.packets || sacked != b.sacked || lost != b.lost || retrans != b.retrans {
		t.Fatalf("counts: packets %d sacked %d lost %d retrans %d; recount %d %d %d %d",
			b.packets, b.sacked, b.lost, b.retrans, packets, sacked, lost, retrans)
	}
	if b.pipe() < 0 {
		t.Fatalf("pipe %d", b.pipe())
	}
	if b.head != noRun && b.at(b.tail).end != c.sndNxt {
		t.Fatalf("the last run ends at %d, nxt is %d", b.at(b.tail).end, c.sndNxt)
	}
	last := noRun
	for id := b.oldest; id != noRun; id = b.at(id).newer {
		if b.at(id).older != last || last != noRun && b.at(id).order < b.at(last).order {
			t.Fatalf("the list by time is out of order at %d", id)
		}
		last = id
		timed--
	}
	if timed != 0 || last != b.newest {
		t.Fatalf("the list by time misses %d", timed)
	}
	if c.state != StateClosed && b.packets > 0 && !c.timers.Armed(timerRTO) {
		t.Fatalf("%d segments in flight and no RTO timer", b.packets)
	}
}
