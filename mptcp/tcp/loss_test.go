package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/wire"
)

// flight returns a connection with ten segments of 1000 bytes in flight, more
// waiting, and an RTT of 10 ms known.
func flight(t *testing.T, cfg Config, opts string) *script {
	t.Helper()
	s := established(t, cfg, opts)
	s.write(40_000)
	if got := len(s.sent()); got != 10 {
		t.Fatalf("%d segments sent, want 10", got)
	}
	s.after(10 * time.Millisecond)
	return s
}

func (s *script) ca(want cc.State) {
	s.t.Helper()
	if got := s.c.Flow().State; got != want {
		s.t.Fatalf("at %v: state %d, want %d", s.now.Seconds(), got, want)
	}
}

// eager makes no chunk wait for more of the window.
var eager = Config{TSOWinDivisor: 100}

// RACK with SACK: limited transmit for two, then the hole goes out again, PRR
// halves the rate, and a full ACK ends recovery with cwnd = ssthresh.
func TestFastRecoverySACK(t *testing.T) {
	s := flight(t, eager, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:2001>")
	s.ca(cc.Disorder)
	s.wantSent(10001) // RFC 3042
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:3001>")
	s.wantSent(11001)
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:4001>")
	s.ca(cc.Recovery)
	s.wantSent(1)
	if !s.u.saw(RecoveryEntered) || !s.u.saw(Retransmit) {
		t.Errorf("events %v", s.u.events)
	}
	if f := s.c.Flow(); f.SSThresh != 5 {
		t.Errorf("ssthresh %d, want half of 10", f.SSThresh)
	}
	// PRR: one segment out for two that arrive, down to ssthresh in flight.
	sent := 0
	for end := 5001; end <= 12001; end += 1000 {
		s.in(fmtSACK(1, 1001, end))
		sent += len(s.sent())
	}
	if got := s.c.InFlight(); got > 6 || sent < 3 || sent > 5 {
		t.Errorf("%d segments sent during recovery, %d in flight", sent, got)
	}
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, s.c.SndNxt()))
	s.ca(cc.Open)
	if f := s.c.Flow(); f.Cwnd < 5 || f.Cwnd > 6 || !s.u.saw(RecoveryLeft) {
		t.Errorf("cwnd %d after recovery, want ssthresh 5", f.Cwnd)
	}
}

func fmtSACK(ack, left, right int) string {
	return lit("P.", 1, 0, wire.Seq(ack)) + " <sack " + itoa(left) + ":" + itoa(right) + ">"
}

// Several holes: all are repaired in the round trip, none twice.
func TestManyHoles(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:2001>",
		". 1:1(0) ack 1 win 65535 <sack 3001:4001 1001:2001>",
		". 1:1(0) ack 1 win 65535 <sack 5001:6001 3001:4001 1001:2001>",
		". 1:1(0) ack 1 win 65535 <sack 7001:8001 5001:6001 3001:4001 1001:2001>")
	again := map[int]int{}
	note := func() {
		for _, r := range s.sent() {
			if r.left.Less(10001) {
				again[int(r.left)]++
			}
		}
	}
	note()
	s.in(". 1:1(0) ack 1 win 65535 <sack 7001:10001 5001:6001 3001:4001 1001:2001>")
	note()
	s.after(10 * time.Millisecond)
	for _, ack := range []wire.Seq{2001, 4001, 6001} {
		s.in(lit("P.", 1, 0, ack) + " <sack 7001:10001>")
		note()
	}
	for _, seq := range []int{1, 2001, 4001, 6001} {
		if again[seq] != 1 {
			t.Errorf("segment %d was retransmitted %d times: %v", seq, again[seq], again)
		}
	}
	if got := s.c.Info(s.now).Retransmits; got != 0 {
		t.Error("an RTO was needed")
	}
}

// A partly SACKed segment is not SACKed.
func TestPartialSACK(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1501:2501>")
	if got := s.c.Info(s.now).Sacked; got != 0 {
		t.Errorf("%d segments SACKed", got)
	}
	s.in(". 1:1(0) ack 1 win 65535 <sack 1501:4500>")
	if got := s.c.Info(s.now).Sacked; got != 2 {
		t.Errorf("%d segments SACKed, want 2001:4001", got)
	}
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:99999>", ". 1:1(0) ack 1 win 65535 <sack 5001:4001>")
	if got := s.c.Info(s.now).Sacked; got != 2 {
		t.Errorf("%d segments SACKed by invalid blocks", got)
	}
}

// A lost retransmission is found by RACK without an RTO.
func TestLostRetransmission(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:5001>")
	if r := s.sent(); len(r) == 0 || r[0].left != 1 {
		t.Fatalf("sent %v", r)
	}
	s.after(2 * time.Millisecond)
	s.in(fmtSACK(1, 1001, 9001)) // new data goes out behind the retransmission
	nxt := s.c.SndNxt()
	s.sent()
	if nxt == 10001 {
		t.Fatal("nothing new was sent")
	}
	s.after(10 * time.Millisecond)
	s.in(fmtSACK(1, 1001, int(nxt))) // and arrives: the retransmission did not
	s.after(5 * time.Millisecond)    // the reordering window
	s.wantAgain(1)
}

// wantAgain expects one retransmission at seq, without a timeout.
func (s *script) wantAgain(seq wire.Seq) {
	s.t.Helper()
	again := 0
	for _, r := range s.sent() {
		again += btoi(r.left == seq)
	}
	if again != 1 || s.u.saw(RTOExpired) {
		s.t.Fatalf("%d was retransmitted %d times", seq, again)
	}
}

// The same with timestamps, where the ACKs that SACK a retransmission echo an
// old one: the loss of one retransmission is known by another that arrived.
func TestLostRetransmissionWithTimestamps(t *testing.T) {
	s := flight(t, Config{}, ",sackOK,TS val 1 ecr 0")
	in := func(blocks string) { s.in(". 1:1(0) ack 1 win 65535 <TS val 2 ecr 1010,sack " + blocks + ">") }
	in("989:1977")
	in("2965:9881 989:1977") // 1 and 1977 are lost
	if r := s.sent(); len(r) < 3 || r[1].left != 1 || r[2].left != 1977 {
		t.Fatalf("sent %v", r)
	}
	s.after(10 * time.Millisecond)
	in("989:9881") // the retransmission of 1977 arrived, that of 1 did not
	s.after(3 * time.Millisecond)
	s.wantAgain(1)
}

// Reordering that was seen earns patience: a quarter of the RTT.
func TestReorderingWindow(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:2001>", ". 1:1(0) ack 2001 win 65535")
	s.sent()
	if s.c.Info(s.now).ReordSeen != 1 {
		t.Fatal("the reordering was not seen")
	}
	s.in(". 1:1(0) ack 2001 win 65535 <sack 3001:9001>")
	for _, r := range s.sent() {
		if r.left == 2001 {
			t.Fatal("retransmitted at once")
		}
	}
	s.after(5 * time.Millisecond) // and two ticks
	if r := s.sent(); len(r) == 0 || r[0].left != 2001 {
		t.Errorf("sent %v after the reordering window", r)
	}
	s.ca(cc.Recovery)
}

// No SACK: three duplicate ACKs, partial ACKs (RFC 6582).
func TestNewReno(t *testing.T) {
	s := flight(t, eager, "")
	const dup = ". 1:1(0) ack 1 win 65535"
	s.in(dup)
	s.wantSent(10001)
	s.in(dup)
	s.wantSent(11001)
	s.in(dup)
	s.ca(cc.Recovery)
	s.wantSent(1)
	s.in(dup, dup, dup, dup)
	s.sent()
	s.in(lit("P.", 1, 0, 4001)) // partial: the next hole at once
	if r := s.sent(); len(r) == 0 || r[0].left != 4001 {
		t.Fatalf("sent %v after a partial ACK", r)
	}
	s.ca(cc.Recovery)
	s.in(lit("P.", 1, 0, 12001))
	s.sent()
	s.in(lit("P.", 1, 0, s.c.SndNxt()))
	s.ca(cc.Open)
	if f := s.c.Flow(); f.SSThresh != 5 || f.Cwnd < 5 || f.Cwnd > 12 {
		t.Errorf("cwnd %d, ssthresh %d", f.Cwnd, f.SSThresh)
	}
}

// What is no duplicate ACK: another window, payload, an MPTCP signal (RFC 8684,
// section 3), another DATA_ACK.
func TestNoDuplicateACK(t *testing.T) {
	signal := func(s *script, set func(*wire.Options)) {
		seg := s.parse(". 1:1(0) ack 1 win 65535")
		set(&seg.Options)
		s.c.Segment(s.now, &seg)
		s.drain()
	}
	for name, f := range map[string]func(*script, int){
		"window":   func(s *script, i int) { s.in(". 1:1(0) ack 1 win " + itoa(60000+i)) },
		"payload":  func(s *script, i int) { s.in(lit("P.", wire.Seq(1+10*i), 10, 1)) },
		"ADD_ADDR": func(s *script, i int) { signal(s, func(o *wire.Options) { o.Has |= wire.HasAddAddr }) },
		"DATA_ACK": func(s *script, i int) {
			signal(s, func(o *wire.Options) {
				o.Has |= wire.HasDSS
				o.DSS = wire.DSS{HasAck: true, DataAck: wire.DSN(100 + i)}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := flight(t, Config{}, "")
			s.c.sndWnd = 50_000
			for i := range 6 {
				f(s, i)
			}
			s.ca(cc.Open)
		})
	}
	s := flight(t, Config{}, "") // but a DSS that says nothing new is one
	for range 4 {
		signal(s, func(o *wire.Options) {
			o.Has |= wire.HasDSS
			o.DSS = wire.DSS{HasAck: true, DataAck: 100}
		})
	}
	s.ca(cc.Recovery)
}

// RTO: one segment, cwnd 1, back-off, slow start; everything unacknowledged goes
// out again before anything new.
func TestRTO(t *testing.T) {
	s := flight(t, Config{NoFRTO: true}, "")
	rto := s.c.RTO()
	if rto != 210*time.Millisecond {
		t.Fatalf("RTO %v", rto)
	}
	s.after(rto - 10*time.Millisecond - 1)
	s.quiet()
	s.after(1)
	s.wantSent(1)
	s.ca(cc.Loss)
	if i := s.c.Info(s.now); i.SndCwnd != 1 || i.SndSSThresh != 5 || i.Lost != 10 || i.Retrans != 1 || i.RTO != 2*rto || i.Backoff != 1 {
		t.Errorf("%+v", i)
	}
	s.after(2*rto - 1)
	s.quiet()
	s.after(1)
	s.wantSent(1)
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, 1001))
	s.wantSent(1001, 2001)
	if i := s.c.Info(s.now); i.Retransmits != 0 || i.Backoff != 2 {
		t.Errorf("retransmits %d, back-off %d: without timestamps Karn keeps it", i.Retransmits, i.Backoff)
	}
	s.in(lit("P.", 1, 0, 3001))
	s.wantSent(3001, 4001, 5001, 6001)
	s.in(lit("P.", 1, 0, 10001))
	s.ca(cc.Loss) // duplicate ACKs may still come
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, 11001))
	s.ca(cc.Open)
	if !s.u.saw(RTOExpired) || !s.u.saw(RecoveryEntered) || !s.u.saw(RecoveryLeft) {
		t.Errorf("events %v", s.u.events)
	}
}

// After Retries2 timeouts the connection is gone.
func TestRetriesExhausted(t *testing.T) {
	s := flight(t, Config{Retries2: 4, RTOMax: time.Second}, "")
	s.after(210*time.Millisecond + 420*time.Millisecond + 840*time.Millisecond + time.Second)
	if n := len(s.sent()); n != 4 {
		t.Errorf("%d retransmissions, want 4", n)
	}
	s.state(StateEstablished)
	s.after(time.Second)
	s.quiet()
	s.closed(ErrTimedOut, TimedOut)
}

// With timestamps an ACK of the original, delayed, undoes the timeout (Eifel).
func TestSpuriousRTO(t *testing.T) {
	s := flight(t, Config{}, ",sackOK,TS val 1 ecr 0")
	s.after(222 * time.Millisecond)
	if len(s.sent()) != 2 {
		t.Fatal("no probe and retransmission")
	}
	s.ca(cc.Loss)
	sentAt := 1010 // the original's
	s.after(5 * time.Millisecond)
	s.in(lit("P.", 1, 0, 989) + " <TS val 2 ecr " + itoa(sentAt) + ">")
	s.ca(cc.Open)
	if i := s.c.Info(s.now); i.SndCwnd < 10 || i.Lost != 0 || i.SndSSThresh < cc.MaxSSThresh {
		t.Errorf("cwnd %d, ssthresh %d, lost %d after undo", i.SndCwnd, i.SndSSThresh, i.Lost)
	}
	if r := s.sent(); len(r) == 0 || r[0].left.Less(9881) {
		t.Errorf("sent %v, want new data", r)
	}
}

// A D-SACK for every retransmission undoes recovery (RFC 3708).
func TestUndoByDSACK(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:5001>")
	s.ca(cc.Recovery)
	s.sent()
	s.after(time.Millisecond)
	s.in(lit("P.", 1, 0, 5001)) // the original came late
	s.sent()
	s.in(lit("P.", 1, 0, 5001) + " <sack 1:1001>") // and so did the copy
	s.ca(cc.Open)
	if f := s.c.Flow(); f.Cwnd < 10 || s.c.Info(s.now).DSACKDups != 1 {
		t.Errorf("cwnd %d after undo", f.Cwnd)
	}
}

// The peer reneges: after an RTO with the head SACKed nothing counts as SACKed.
func TestReneging(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 65535 <sack 1001:2001>", ". 1:1(0) ack 1001 win 65535")
	s.sent()
	if s.c.Info(s.now).Sacked != 1 {
		t.Fatal("nothing SACKed")
	}
	s.after(time.Second)
	if i := s.c.Info(s.now); i.Sacked != 0 || i.Backoff == 0 {
		t.Errorf("sacked %d, back-off %d", i.Sacked, i.Backoff)
	}
	if r := s.sent(); len(r) == 0 || r[len(r)-1].left != 1001 {
		t.Errorf("sent %v, want the head again", r)
	}
}

// TLP (RFC 8985, 7): the tail is probed after 2 SRTT, with new data if there is
// any and else with the last segment.
func TestTailLossProbe(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.write(3000)
	s.wantSent(seqs(1, 3)...)
	s.outAfter(22*time.Millisecond, "P. 2001:3001(1000) ack 1")
	s.ca(cc.Open)
	// The probe repaired the loss of the tail: cwnd is reduced all the same.
	s.after(10 * time.Millisecond)
	s.in(lit("P.", 1, 0, 2001) + " <sack 2001:3001>"[:0])
	s.after(time.Millisecond)
	s.in(lit("P.", 1, 0, 3001))
	if i := s.c.Info(s.now); i.Unacked != 0 || i.Retransmits != 0 {
		t.Errorf("%+v", i)
	}

	// With D-SACK both arrived: no reduction.
	s = established(t, Config{}, ",sackOK")
	s.write(3000)
	s.after(22 * time.Millisecond)
	s.sent()
	s.in(lit("P.", 1, 0, 3001), lit("P.", 1, 0, 3001)+" <sack 2001:3001>")
	if s.c.tlpHigh != 0 || s.c.Flow().SSThresh != cc.MaxSSThresh {
		t.Errorf("probe pending %d, ssthresh %d", s.c.tlpHigh, s.c.Flow().SSThresh)
	}

	// A single segment waits for the delayed ACK, too.
	s = established(t, Config{}, ",sackOK")
	s.write(10)
	s.pending = nil
	if got := s.c.Deadline().Sub(s.now); got < 200*time.Millisecond {
		t.Errorf("probe after %v", got)
	}

	// New data goes first.
	s = established(t, Config{}, ",sackOK")
	s.in(". 1:1(0) ack 1 win 60000")
	s.c.Flow().Cwnd = 2
	s.write(5000)
	s.wantSent(1, 1001)
	s.after(22 * time.Millisecond)
	s.wantSent(2001)
	s.after(time.Millisecond)
	s.in(". 1:1(0) ack 1 win 60000 <sack 2001:3001>")
	s.after(5 * time.Millisecond)
	if r := s.sent(); len(r) == 0 || r[0].left != 1 {
		t.Errorf("sent %v: RACK should have found the loss by the probe", r)
	}
	if s.c.Info(s.now).Backoff != 0 {
		t.Error("an RTO was needed")
	}
}

// An ACK of the probe that moves una beyond it tells of a repaired loss.
func TestTLPRepairReduces(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.write(3000)
	s.sent()
	s.after(22 * time.Millisecond)
	s.wantSent(2001)
	s.u.send = append(s.u.send, make([]byte, 1000)...)
	s.in(". 1:1(0) ack 2001 win 65535") // the first two; the new segment goes out
	s.sent()
	s.after(5 * time.Millisecond)
	s.in(lit("P.", 1, 0, 4001))
	if f := s.c.Flow(); f.SSThresh == cc.MaxSSThresh || f.State != cc.Open {
		t.Errorf("ssthresh %d, state %d: the loss went unpunished", f.SSThresh, f.State)
	}
}

// A peer whose window is shut while segments are in flight is not given up as
// long as it answers.
func TestRTOWithWindowShut(t *testing.T) {
	s := flight(t, Config{Retries2: 2, RTOMax: time.Second}, "")
	s.in(". 1:1(0) ack 1 win 0")
	for range 8 {
		s.after(time.Second)
		s.in(". 1:1(0) ack 1 win 0")
	}
	s.state(StateEstablished)
	s.after(10 * time.Second)
	s.closed(ErrTimedOut, TimedOut)
}

// On a path that goes silent the probe does not put off the timeout of a subflow: it
// comes an RTO after the last sign of life.
func TestProbeDoesNotDelayRTO(t *testing.T) {
	s := flight(t, Config{}, ",sackOK")
	s.c.ReserveOptions(28)
	s.in(lit("P.", 1, 0, 1001))
	s.sent()
	rto := s.c.RTO()
	s.after(rto - 1)
	if s.u.saw(RTOExpired) || len(s.sent()) != 1 {
		t.Fatal("want one probe and no timeout")
	}
	s.after(1)
	if !s.u.saw(RTOExpired) {
		t.Errorf("no timeout after %v", rto)
	}
}
