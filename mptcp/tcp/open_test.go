package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// Active open: SYN with all options, the third ACK, RTT from the handshake.
func TestActiveOpen(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	s.state(StateSYNSent)
	s.out("S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1000 ecr 0,wscale 7>")
	s.after(30 * time.Millisecond)
	s.in("S. 0:0(0) ack 1 win 5000 <mss 1460,sackOK,TS val 7 ecr 1000,wscale 3>")
	s.state(StateEstablished)
	s.out(". 1:1(0) ack 1 win 512 <TS val 1030 ecr 7>")
	if i := s.c.Info(s.now); i.RTT != 30*time.Millisecond || i.RTO != 230*time.Millisecond || i.SndMSS != 988 || i.SndWnd != 5000 {
		t.Errorf("RTT %v, RTO %v, MSS %d, window %d", i.RTT, i.RTO, i.SndMSS, i.SndWnd)
	}
	if !s.u.saw(Established) || s.u.acked != 1 {
		t.Errorf("events %v, acked %d", s.u.events, s.u.acked)
	}
	s.in(". 1:1(0) ack 1 win 5000 <TS val 8 ecr 1030>")
	if got := s.c.Info(s.now).SndWnd; got != 40000 {
		t.Errorf("window %d, want 5000<<3", got)
	}
}

// What the peer does not offer is not used.
func TestOpenWithoutOptions(t *testing.T) {
	s := newScript(t, Config{})
	s.accept("S 0:0(0) win 2000")
	s.out("S. 0:0(0) ack 1 win 65535 <mss 1000>")
	s.in(". 1:1(0) ack 1 win 2000")
	if got := s.c.MSS(); got != 536 {
		t.Errorf("MSS %d, want the default 536", got)
	}
	s.write(10)
	s.out("P. 1:11(10) ack 1 win 65535 <>")
}

func TestPassiveOpen(t *testing.T) {
	s := newScript(t, Config{})
	s.accept("S 0:0(0) win 65535 <mss 1460,sackOK,TS val 9 ecr 0,wscale 14>")
	s.state(StateSYNReceived)
	s.out("S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,TS val 1000 ecr 9,wscale 7>")
	s.after(20 * time.Millisecond)
	s.in("P. 1:11(10) ack 1 win 1 <TS val 10 ecr 1000>") // third ACK with data
	s.state(StateEstablished)
	s.received(10, false)
	s.out(". 1:1(0) ack 11 <TS val 1020 ecr 10>")
	if i := s.c.Info(s.now); i.SndWnd != 1<<14 || i.RTT != 20*time.Millisecond {
		t.Errorf("window %d, RTT %v", i.SndWnd, i.RTT)
	}
}

// 1 s, then doubling; after SYNRetries the connection times out.
func TestSYNRetransmission(t *testing.T) {
	s := newScript(t, Config{SYNRetries: 3})
	s.connect()
	s.out("S 0:0(0)")
	for i, d := range []time.Duration{1, 2, 4} {
		s.outAfter(d*time.Second, "S 0:0(0)")
		if got := s.c.Info(s.now).Retransmits; got != i+1 {
			t.Errorf("retransmits %d, want %d", got, i+1)
		}
	}
	s.after(8 * time.Second)
	s.quiet()
	s.closed(ErrTimedOut, TimedOut, RTOExpired)
}

func TestSYNACKRetransmission(t *testing.T) {
	s := newScript(t, Config{SYNACKRetries: 2})
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.out("S. 0:0(0) ack 1 <mss 1000>")
	s.outAfter(time.Second, "S. 0:0(0) ack 1 <mss 1000>")
	s.in("S 0:0(0) win 65535 <mss 1000>") // the peer's SYN again
	s.out("S. 0:0(0) ack 1 <mss 1000>")
	s.outAfter(2*time.Second, "S. 0:0(0) ack 1 <mss 1000>")
	s.after(4 * time.Second)
	s.quiet()
	s.closed(ErrTimedOut, TimedOut)
}

// A retransmitted SYN gives no sample: RTO is 3 s then (RFC 6298, 5.7), and more
// than one retransmission means an initial window of 1.
func TestSYNRetransmittedThenOpen(t *testing.T) {
	s := newScript(t, Config{NoTimestamps: true})
	s.connect()
	s.after(3500 * time.Millisecond)
	s.out("S 0:0(0)", "S 0:0(0)", "S 0:0(0)")
	s.in("S. 0:0(0) ack 1 win 65535 <mss 1000>")
	s.out(". 1:1(0) ack 1")
	if i := s.c.Info(s.now); i.RTO != 3*time.Second || i.SndCwnd != 1 || i.RTT != 0 {
		t.Errorf("RTO %v, cwnd %d, RTT %v", i.RTO, i.SndCwnd, i.RTT)
	}
}

// RFC 9293, 3.5, figure 8.
func TestSimultaneousOpen(t *testing.T) {
	s := newScript(t, Config{NoTimestamps: true})
	s.connect()
	s.out("S 0:0(0) <mss 1000,sackOK,wscale 7>")
	s.in("S 0:0(0) win 2000 <mss 900>")
	s.state(StateSYNReceived)
	s.out("S. 0:0(0) ack 1 <mss 1000>")
	s.in("S. 0:0(0) ack 1 win 2000 <mss 900>")
	s.state(StateEstablished)
	s.out(". 1:1(0) ack 1")
	if !s.u.saw(SYNReceived) || !s.u.saw(Established) || s.c.MSS() != 900 {
		t.Errorf("events %v, MSS %d", s.u.events, s.c.MSS())
	}
	s.write(5)
	s.out("P. 1:6(5) ack 1")
}

func TestConnectionRefused(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	s.out("S 0:0(0)")
	s.in("R. 0:0(0) ack 2") // not ours
	s.state(StateSYNSent)
	s.in("R 0:0(0)") // without ACK nothing proves that it is
	s.state(StateSYNSent)
	s.in("R. 0:0(0) ack 1")
	s.quiet()
	s.closed(ErrRefused, ResetReceived)
}

// "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset".
func TestSYNSentBadAck(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	s.out("S 0:0(0)")
	s.in("S. 0:0(0) ack 7 win 1000 <mss 900>")
	s.out("R 7:7(0)")
	s.in(". 0:0(0) ack 0 win 1000")
	s.out("R 0:0(0)")
	s.state(StateSYNSent)
	s.in(". 0:0(0) ack 1 win 1000") // neither SYN nor RST
	s.quiet()
	s.state(StateSYNSent)
}

func TestSYNReceivedBadAck(t *testing.T) {
	s := newScript(t, Config{})
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.out("S. 0:0(0) ack 1")
	s.in(". 1:1(0) ack 2 win 10")
	s.out("R 2:2(0)")
	s.state(StateSYNReceived)
	s.in("R 1:1(0)")
	s.closed(ErrReset, ResetReceived)
}

// The SYN/ACK again after our ACK was lost: an ACK, at a bounded rate.
func TestThirdACKLost(t *testing.T) {
	s := newScript(t, Config{NoTimestamps: true})
	s.connect()
	s.out("S 0:0(0)")
	s.in("S. 0:0(0) ack 1 win 65535 <mss 1000>")
	s.out(". 1:1(0) ack 1")
	s.after(time.Second)
	s.in("S. 0:0(0) ack 1 win 65535 <mss 1000>", "S. 0:0(0) ack 1 win 65535 <mss 1000>")
	s.out(". 1:1(0) ack 1")
}

// An error from the upper's HandleOptions resets, before Established.
func TestHandshakeRefusedByUpper(t *testing.T) {
	s := newScript(t, Config{})
	refusal := &ResetError{Reason: wire.RstProhibited, Text: "test"}
	s.u.handle = func(*wire.Segment) error { return refusal }
	s.u.opts = func(seg *wire.Segment, n, room int) {
		if seg.Flags&wire.RST != 0 {
			seg.Options.Has |= wire.HasMPTCPRst
			seg.Options.MPTCPRst = wire.MPTCPRst{Reason: s.c.Err().(*ResetError).Reason}
		}
	}
	s.connect()
	s.out("S 0:0(0)")
	s.in("S. 0:0(0) ack 1 win 65535 <mss 1000>")
	if got := s.pending[0].Options.MPTCPRst.Reason; got != wire.RstProhibited {
		t.Errorf("MP_TCPRST reason %d", got)
	}
	s.out("R. 1:1(0) ack 1")
	s.closed(refusal)
	if s.u.saw(Established) {
		t.Error("Established was said")
	}
}
