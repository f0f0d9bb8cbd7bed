package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/wire"
)

// sent returns the ranges of payload in what is pending, and forgets them.
func (s *script) sent() []span {
	var r []span
	for _, seg := range s.pending {
		if len(seg.Payload) > 0 {
			r = append(r, span{seg.Seq, seg.Seq.Add(len(seg.Payload))})
		}
	}
	s.pending = nil
	return r
}

// wantSent compares sent with segments of 1000 bytes that start at seqs.
func (s *script) wantSent(seqs ...int) {
	s.t.Helper()
	got := s.sent()
	if len(got) != len(seqs) {
		s.t.Fatalf("at %v: sent %v, want segments at %v", s.now.Seconds(), got, seqs)
	}
	for i, seq := range seqs {
		if got[i].left != wire.Seq(seq) || got[i].len() != 1000 {
			s.t.Fatalf("at %v: sent %v, want segments at %v", s.now.Seconds(), got, seqs)
		}
	}
}

// seqs returns n starts of segments of 1000 bytes.
func seqs(from, n int) []int {
	r := make([]int, n)
	for i := range r {
		r[i] = from + 1000*i
	}
	return r
}

// IW 10 (RFC 6928), then slow start: two segments for each that is acknowledged.
func TestSlowStart(t *testing.T) {
	s := established(t, Config{}, "")
	s.write(100_000)
	s.wantSent(seqs(1, 10)...)
	s.after(10 * time.Millisecond)
	s.in(". 1:1(0) ack 2001 win 65535")
	s.wantSent(seqs(10001, 4)...)
	if i := s.c.Info(s.now); i.SndCwnd != 12 || i.Unacked != 12 {
		t.Errorf("cwnd %d, unacked %d", i.SndCwnd, i.Unacked)
	}
}

// A window that is not used does not grow (RFC 7661).
func TestCwndValidation(t *testing.T) {
	s := established(t, Config{NoDelay: true}, "")
	for i := range 20 {
		s.write(1000)
		s.after(10 * time.Millisecond)
		s.in(lit("P.", 1, 0, wire.Seq(1001+1000*i)))
	}
	if got := s.c.Flow().Cwnd; got != 10 {
		t.Errorf("cwnd %d after sending one segment per round trip, want 10", got)
	}
}

// After an idle time cwnd is halved for each RTO, down to IW.
func TestIdleRestart(t *testing.T) {
	s := established(t, Config{}, "")
	s.c.Flow().Cwnd = 64
	s.after(2 * s.c.RTO())
	s.write(65_000)
	if got := len(s.sent()); got != 16 {
		t.Errorf("%d segments after 2 RTO of silence, want 64/4", got)
	}
	if f := s.c.Flow(); f.SSThresh < 48 {
		t.Errorf("ssthresh %d, want 3/4 of 64", f.SSThresh)
	}
}

// tcp_slow_start_after_idle=0.
func TestNoIdleRestart(t *testing.T) {
	s := established(t, Config{NoIdleRestart: true}, "")
	s.c.Flow().Cwnd = 64
	s.after(2 * s.c.RTO())
	s.write(65_000)
	if got := len(s.sent()); got != 64 {
		t.Errorf("%d segments after 2 RTO of silence, want 64", got)
	}
}

// What was remembered more than 2 GB ago means nothing any more: Nagle does not
// wait for a partial segment of then.
func TestStaleMarks(t *testing.T) {
	for _, ago := range []uint32{1 << 30, 3 << 30} {
		s := established(t, Config{}, "")
		s.c.sndSml = s.c.sndUna - wire.Seq(ago)
		s.write(1000)
		s.out("P. 1:1001(1000) ack 1")
		s.write(10)
		s.out("P. 1001:1011(10) ack 1")
	}
}

// Nagle as Minshall modified it: one partial segment at a time; TCP_NODELAY.
func TestNagle(t *testing.T) {
	s := established(t, Config{}, "")
	s.write(100)
	s.out("P. 1:101(100) ack 1")
	s.write(100)
	s.quiet()
	s.write(950) // 1050 wait: a full segment goes, the rest waits
	s.out(". 101:1101(1000) ack 1")
	s.in(lit("P.", 1, 0, 101))
	s.out("P. 1101:1151(50) ack 1")
	s.write(10)
	s.quiet()
	s.do(s.c.Close) // the last one does not wait
	s.out("FP. 1151:1161(10) ack 1")

	s = established(t, Config{NoDelay: true}, "")
	s.write(100)
	s.write(100)
	s.out("P. 1:101(100) ack 1", "P. 101:201(100) ack 1")
}

// TCP_CORK holds a partial segment back, at most an RTO; MSG_MORE until the next
// event, under Nagle's rules.
func TestCork(t *testing.T) {
	s := established(t, Config{Cork: true}, "")
	s.write(1500)
	s.out(". 1:1001(1000) ack 1")
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, 1001))
	s.outAfter(s.c.RTO(), "P. 1001:1501(500) ack 1")

	s = established(t, Config{}, "")
	s.u.more = true
	s.write(1500)
	s.out(". 1:1001(1000) ack 1")
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, 1001))
	s.out(". 1001:1501(500) ack 1")
}

// RFC 9293, 3.8.6.2.1: no tiny segments because the window is tiny.
func TestSenderSWS(t *testing.T) {
	s := established(t, Config{}, "")
	s.c.sndWnd, s.c.maxSndWnd = 4000, 4000
	s.write(10_000)
	s.wantSent(seqs(1, 4)...)
	s.in(". 1:1(0) ack 4001 win 500")
	s.quiet()
	s.outAfter(s.c.RTO(), "P. 4001:4501(500) ack 1") // the override timeout
	s.in(". 1:1(0) ack 4501 win 1000")
	s.out(". 4501:5501(1000) ack 1")
	s.in(". 1:1(0) ack 5501 win 999")
	s.quiet()
	s.in(". 1:1(0) ack 5501 win 2000")
	s.wantSent(5501, 6501)
}

// Zero window: probes at RTO, doubling, for ever while they are answered.
func TestPersist(t *testing.T) {
	s := established(t, Config{Retries2: 3}, "")
	s.in(". 1:1(0) ack 1 win 0")
	s.write(1000)
	s.quiet()
	d := s.c.RTO()
	for range 6 {
		s.outAfter(d, ". 0:0(0) ack 1")
		s.in(". 1:1(0) ack 1 win 0")
		d *= 2
	}
	s.in(". 1:1(0) ack 1 win 1000")
	s.out("P. 1:1001(1000) ack 1")

	// Nobody answers: the connection times out.
	s = established(t, Config{Retries2: 3}, "")
	s.in(". 1:1(0) ack 1 win 0")
	s.write(1000)
	s.after(time.Hour)
	if len(s.pending) != 3 {
		t.Errorf("%d probes, want 3", len(s.pending))
	}
	s.closed(ErrTimedOut, TimedOut)
}

// A FIN needs room in the window, too.
func TestFINWaitsForWindow(t *testing.T) {
	s := established(t, Config{}, "")
	s.in(". 1:1(0) ack 1 win 0")
	s.do(s.c.Close)
	s.outAfter(s.c.RTO(), ". 0:0(0) ack 1")
	s.in(". 1:1(0) ack 1 win 100")
	s.out("F. 1:1(0) ack 1")
}

func TestKeepalive(t *testing.T) {
	cfg := Config{KeepaliveIdle: 10 * time.Second, KeepaliveInterval: time.Second, KeepaliveProbes: 2}
	s := established(t, cfg, "")
	s.outAfter(10*time.Second, ". 0:0(0) ack 1")
	s.in(". 1:1(0) ack 1 win 65535")
	s.after(9 * time.Second)
	s.quiet()
	s.outAfter(time.Second, ". 0:0(0) ack 1")
	s.outAfter(time.Second, ". 0:0(0) ack 1")
	s.outAfter(time.Second, "R. 1:1(0) ack 1")
	s.closed(ErrTimedOut, TimedOut)

	// The peer's probe is answered.
	s = established(t, Config{}, "")
	s.in(". 0:0(0) ack 1 win 65535")
	s.out(". 1:1(0) ack 1")
}

// TCP_USER_TIMEOUT counts from the first retransmission or window probe, or from the SYN.
func TestUserTimeout(t *testing.T) {
	s := established(t, Config{UserTimeout: 3 * time.Second}, "")
	s.after(time.Minute) // idle: nothing is due
	s.state(StateEstablished)
	s.write(2000)
	s.after(210*time.Millisecond + 2*time.Second)
	s.in(lit("P.", 1, 0, 1001)) // progress: the count begins anew
	s.after(2900 * time.Millisecond)
	s.state(StateEstablished)
	s.after(2 * time.Second)
	s.closed(ErrTimedOut, TimedOut)

	s = newScript(t, Config{UserTimeout: 1500 * time.Millisecond})
	s.connect()
	s.after(1500*time.Millisecond - 1)
	s.state(StateSYNSent)
	s.after(1)
	s.closed(ErrTimedOut, TimedOut)

	s = established(t, Config{UserTimeout: 3 * time.Second}, "") // zero window
	s.in(". 1:1(0) ack 1 win 0")
	s.write(10)
	s.after(3209 * time.Millisecond)
	s.state(StateEstablished)
	s.after(2 * time.Millisecond)
	s.closed(ErrTimedOut, TimedOut)
}

// A controller that paces spreads what cwnd allows.
func TestPacing(t *testing.T) {
	s := established(t, Config{InitialCwnd: 20}, "")
	s.c.ctrl = &paced{rate: 1_000_000} // a segment each ms
	s.write(15000)
	s.wantSent(1, 1001, 2001, 3001, 4001, 5001, 6001, 7001, 8001, 9001) // ten are free
	for i := range 4 {
		s.after(time.Millisecond - 1)
		s.quiet()
		s.after(1)
		s.wantSent(10001 + 1000*i)
	}
	s.after(1700 * time.Microsecond) // late: made up for, by half at most
	s.wantSent(14001)
	s.write(2000)
	s.quiet()
	s.after(500 * time.Microsecond)
	s.wantSent(15001)
}

// A repair is paced, too.
func TestPacedRetransmission(t *testing.T) {
	s := established(t, Config{InitialCwnd: 20}, ",sackOK")
	s.c.ctrl = &paced{rate: 1_000_000}
	s.c.paced = pacingFree
	s.write(3000)
	s.after(2 * time.Millisecond)
	s.wantSent(1, 1001, 2001)
	s.after(10 * time.Millisecond)
	s.write(1000)
	s.wantSent(3001)
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:4001>")
	s.quiet() // until the segment just sent has left
	s.after(time.Millisecond)
	s.out(". 1:1001(1000) ack 1")
}

type paced struct {
	reno
	rate uint64
}

func (p *paced) Pacing(*cc.Flow) uint64 { return p.rate }

// RoomProbes: Room says what could be sent when nothing waits.
func TestRoom(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	if s.c.Room(s.now) != 0 {
		t.Error("room in SYN-SENT")
	}
	s = established(t, Config{}, "")
	if got := s.c.Room(s.now); got != 1000 {
		t.Errorf("room %d, want 1000", got)
	}
	s.c.ReserveOptions(20)
	if got := s.c.Room(s.now); got != 980 {
		t.Errorf("room %d, want 1000-20", got)
	}
	if got := s.c.SndWndEnd(); got != 65536 {
		t.Errorf("window ends at %d", got)
	}
	s.do(s.c.Close)
	if s.c.Room(s.now) != 0 {
		t.Error("room after FIN")
	}
}

func TestPenalise(t *testing.T) {
	s := established(t, Config{}, "")
	s.c.Penalise(s.now)
	if f := s.c.Flow(); f.Cwnd != 5 || f.SSThresh != 5 {
		t.Errorf("cwnd %d, ssthresh %d", f.Cwnd, f.SSThresh)
	}
}

// Seen by the kit: the payload of every segment is the pattern's; retransmissions
// are cut to a smaller path MTU.
func TestPacketTooBig(t *testing.T) {
	s := established(t, Config{}, "")
	s.write(2000)
	s.wantSent(1, 1001)
	big := wire.ICMP{Kind: wire.ICMPTooBig, MTU: 640, HasQuote: true, QuoteSeq: ourISS + 1}
	old := big
	old.QuoteSeq = ourISS - 5
	s.do(func() { s.c.ICMP(s.now, &old) }) // quotes nothing in flight
	if s.c.MSS() != 1000 {
		t.Fatal("a forged ICMP was believed")
	}
	s.do(func() { s.c.ICMP(s.now, &big) })
	s.out(". 1:601(600) ack 1", "P. 601:1001(400) ack 1", ". 1001:1601(600) ack 1", "P. 1601:2001(400) ack 1")
	if s.c.MSS() != 600 || !s.u.saw(MSSChanged) || s.c.Flow().Cwnd != 10 {
		t.Errorf("MSS %d, cwnd %d, events %v", s.c.MSS(), s.c.Flow().Cwnd, s.u.events)
	}
	big.MTU = 68
	s.do(func() { s.c.ICMP(s.now, &big) })
	if s.c.MSS() != minMTU4-40 {
		t.Errorf("MSS %d after an ICMP with MTU 68", s.c.MSS())
	}
}

func TestICMPErrors(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	m := wire.ICMP{Kind: wire.ICMPHostUnreachable, HasQuote: true, QuoteSeq: ourISS}
	s.do(func() { s.c.ICMP(s.now, &m) })
	s.closed(ErrUnreachable, ICMPError) // in SYN-SENT Linux takes every error for the end

	s = newScript(t, Config{})
	s.connect()
	m.Kind = wire.ICMPPortUnreachable
	s.do(func() { s.c.ICMP(s.now, &m) })
	s.closed(ErrRefused, ICMPError)

	s = established(t, Config{}, "")
	s.write(10)
	m.QuoteSeq = ourISS + 1
	s.do(func() { s.c.ICMP(s.now, &m) })
	s.state(StateEstablished)
}
