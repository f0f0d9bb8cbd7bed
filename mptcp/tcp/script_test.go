package tcp

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/internal/kit"
	"mptcplab/mptcp/wire"
)

const (
	ourISS   wire.Seq = 1<<32 - 3000 // wraps in most scripts
	theirISS wire.Seq = 5_000_000
)

// script plays the peer of one connection: in feeds a segment, out says what the
// connection has sent since the last out, at advances the clock.
type script struct {
	t       *testing.T
	now     clock.Instant
	u       *stream
	c       *Conn
	fam     renoFamily
	cfg     Config
	buf     [70000]byte
	pending []wire.Segment
}

func newScript(t *testing.T, cfg Config) *script {
	s := &script{t: t, cfg: cfg, now: clock.Instant(time.Second)}
	s.u = &stream{wnd: 65535}
	return s
}

func (s *script) params() Params {
	return Params{Config: &s.cfg, Local: serverAddr, Remote: clientAddr, ISS: ourISS, MTU: 1040, Family: &s.fam}
}

// connect begins actively.
func (s *script) connect() {
	s.t.Helper()
	s.c = Connect(s.now, s.params(), s.u)
	s.u.c = s.c
	s.drain()
}

// accept begins passively from a SYN.
func (s *script) accept(text string) {
	s.t.Helper()
	seg := s.parse(text)
	s.c = Accept(s.now, s.params(), s.u, &seg)
	s.u.c = s.c
	s.drain()
}

// established returns a connection after a passive handshake without timestamps
// unless opts asks for them; MSS is 1000 either way, windows are unscaled, the
// round trip of the handshake is 10 ms and the RTO thus 210 ms.
func established(t *testing.T, cfg Config, opts string) *script {
	t.Helper()
	s := newScript(t, cfg)
	s.accept("S 0:0(0) win 65535 <mss 1000" + opts + ">")
	s.pending = nil
	s.after(10 * time.Millisecond)
	s.in(". 1:1(0) ack 1 win 65535")
	s.state(StateEstablished)
	s.quiet()
	return s
}

func (s *script) parse(text string) wire.Segment {
	s.t.Helper()
	l, err := kit.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	seg := l.Absolute(theirISS, ourISS)
	seg.Src, seg.Dst = clientAddr, serverAddr
	return seg
}

// in feeds segments, as one batch.
func (s *script) in(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		seg := s.parse(text)
		s.c.Segment(s.now, &seg)
	}
	s.drain()
}

func (s *script) drain() {
	s.t.Helper()
	drain(s.t, s.now, s.u, s.buf[:], func(b []byte) {
		var seg wire.Segment
		if err := seg.Parse(b, false); err != nil {
			s.t.Fatal(err)
		}
		seg.Payload = append([]byte(nil), seg.Payload...)
		s.pending = append(s.pending, kit.Relative(seg, ourISS, theirISS))
	})
}

// out compares what was sent since the last out.
func (s *script) out(texts ...string) {
	s.t.Helper()
	for i, text := range texts {
		l, err := kit.Parse(text)
		if err != nil {
			s.t.Fatal(err)
		}
		if i == len(s.pending) {
			s.t.Fatalf("nothing was sent, want %s", text)
		}
		if err := l.Match(&s.pending[i]); err != nil {
			s.t.Fatalf("at %v, segment %d: %v", s.now.Seconds(), i, err)
		}
	}
	s.pending = s.pending[len(texts):]
	s.quiet()
}

// quiet says that nothing else was sent.
func (s *script) quiet() {
	s.t.Helper()
	if len(s.pending) > 0 {
		s.t.Fatalf("at %v, unexpected: %s", s.now.Seconds(), kit.Format(&s.pending[0]))
	}
}

// after lets d pass; timers run on time.
func (s *script) after(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for s.c.Deadline() <= end {
		s.now = s.c.Deadline()
		s.c.Advance(s.now)
		s.drain()
	}
	s.now = end
	s.c.Advance(s.now)
	s.drain()
}

// outAfter expects silence until just before d has passed, and then texts.
func (s *script) outAfter(d time.Duration, texts ...string) {
	s.t.Helper()
	s.quiet()
	s.after(d - 1)
	s.quiet()
	s.after(1)
	s.out(texts...)
}

// write adds n bytes for the connection to send.
func (s *script) write(n int) {
	s.t.Helper()
	old := len(s.u.send)
	s.u.send = append(s.u.send, make([]byte, n)...)
	kit.Fill(s.u.send[old:], wire.Seq(1).Add(old))
	s.drain()
}

// do runs an API call and drains.
func (s *script) do(f func()) {
	s.t.Helper()
	f()
	s.drain()
}

func (s *script) state(want State) {
	s.t.Helper()
	if got := s.c.State(); got != want {
		s.t.Fatalf("at %v: state %d, want %d", s.now.Seconds(), got, want)
	}
}

// received compares what the application can read.
func (s *script) received(n int, fin bool) {
	s.t.Helper()
	if s.u.have != n || s.u.fin != fin {
		s.t.Fatalf("received %d bytes, FIN %v; want %d, %v", s.u.have, s.u.fin, n, fin)
	}
	for i, b := range s.u.rcv[:n] {
		if b != kit.Byte(wire.Seq(1).Add(i)) {
			s.t.Fatalf("byte %d received is wrong", i)
		}
	}
}

// closed expects the end, with err and the events given among others.
func (s *script) closed(err error, events ...Event) {
	s.t.Helper()
	s.state(StateClosed)
	if s.c.Err() != err {
		s.t.Fatalf("error %v, want %v", s.c.Err(), err)
	}
	for _, e := range append(events, Closed) {
		if !s.u.saw(e) {
			s.t.Fatalf("events %v lack %d", s.u.events, e)
		}
	}
	if s.u.events[len(s.u.events)-1] != Closed {
		s.t.Fatalf("Closed is not the last event: %v", s.u.events)
	}
	if s.fam.live != 0 {
		s.t.Fatal("the controller was not dropped")
	}
	if s.c.Deadline() != clock.Never {
		s.t.Fatal("a timer is still running")
	}
}

// lit writes a literal with n bytes at seq, window 65535.
func lit(flags string, seq wire.Seq, n int, ack wire.Seq) string {
	return fmt.Sprintf("%s %d:%d(%d) ack %d", flags, seq, int(seq)+n, n, ack) + lits[flags == "P."]
}

// lits is what segments of the peer say besides: our own are not compared by it.
var lits = map[bool]string{true: " win 65535", false: ""}

func itoa(n int) string { return strconv.Itoa(n) }
