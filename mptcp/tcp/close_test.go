package tcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// ESTABLISHED - FIN-WAIT-1 - FIN-WAIT-2 - TIME-WAIT - CLOSED.
func TestActiveClose(t *testing.T) {
	s := established(t, Config{}, "")
	s.do(s.c.Close)
	s.state(StateFINWait1)
	s.out("F. 1:1(0) ack 1")
	s.in(". 1:1(0) ack 2 win 65535")
	s.state(StateFINWait2)
	s.quiet()
	s.in("P. 1:101(100) ack 2 win 65535") // half-closed: the peer goes on
	s.out(". 2:2(0) ack 101")
	s.received(100, false)
	s.in("F. 101:101(0) ack 2 win 65535")
	s.out(". 2:2(0) ack 102")
	s.received(100, true)
	s.state(StateTimeWait)
	s.after(30 * time.Second)
	// "Acknowledge it, and restart the 2 MSL timeout."
	s.in("F. 101:101(0) ack 2 win 65535")
	s.out(". 2:2(0) ack 102")
	s.after(59 * time.Second)
	s.state(StateTimeWait)
	s.after(time.Second)
	s.quiet()
	s.closed(nil, FINReceived)
}

// ESTABLISHED - CLOSE-WAIT - LAST-ACK - CLOSED.
func TestPassiveClose(t *testing.T) {
	s := established(t, Config{}, "")
	s.in("FP. 1:11(10) ack 1 win 65535")
	s.quiet() // what the application says now may take the ACK along
	s.after(40 * time.Millisecond)
	s.out(". 1:1(0) ack 12")
	s.state(StateCloseWait)
	s.received(10, true)
	s.write(50) // half-close: we go on
	s.out("P. 1:51(50) ack 12")
	s.do(s.c.Close)
	s.state(StateLastAck)
	s.out("F. 51:51(0) ack 12")
	s.in(". 12:12(0) ack 51 win 65535")
	s.state(StateLastAck)
	s.in(". 12:12(0) ack 52 win 65535")
	s.quiet()
	s.closed(nil, FINReceived)
}

// FIN-WAIT-1 - CLOSING - TIME-WAIT.
func TestSimultaneousClose(t *testing.T) {
	s := established(t, Config{TimeWait: time.Second}, "")
	s.do(s.c.Close)
	s.out("F. 1:1(0) ack 1")
	s.in("F. 1:1(0) ack 1 win 65535")
	s.state(StateClosing)
	s.out(". 2:2(0) ack 2")
	s.in(". 2:2(0) ack 2 win 65535")
	s.state(StateTimeWait)
	s.after(time.Second)
	s.closed(nil)
}

// FIN-WAIT-1 - TIME-WAIT: the peer's FIN brings the ACK of ours.
func TestFINAckFIN(t *testing.T) {
	s := established(t, Config{}, "")
	s.do(s.c.Close)
	s.out("F. 1:1(0) ack 1")
	s.in("F. 1:1(0) ack 2 win 65535")
	s.state(StateTimeWait)
	s.out(". 2:2(0) ack 2")
}

// Close with data unsent: FIN-WAIT-1 at once, the FIN after the last byte.
func TestCloseWaitsForData(t *testing.T) {
	s := newScript(t, Config{})
	s.accept("S 0:0(0) win 1000 <mss 1000>")
	s.pending = nil
	s.in(". 1:1(0) ack 1 win 1000") // two segments fit the largest window
	s.write(1500)
	s.out(". 1:501(500) ack 1", "P. 501:1001(500) ack 1")
	s.do(s.c.Close)
	s.state(StateFINWait1)
	s.quiet()
	s.in(". 1:1(0) ack 1001 win 1000")
	s.out("FP. 1001:1501(500) ack 1") // the FIN goes along
}

// Close before the handshake is done: in SYN-SENT it is the end, in SYN-RECEIVED
// the FIN follows the handshake.
func TestCloseEarly(t *testing.T) {
	s := newScript(t, Config{})
	s.connect()
	s.out("S 0:0(0)")
	s.do(s.c.Close)
	s.quiet()
	s.closed(nil)

	s = newScript(t, Config{})
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.out("S. 0:0(0) ack 1")
	s.do(s.c.Close)
	s.quiet()
	s.in(". 1:1(0) ack 1 win 65535")
	s.state(StateFINWait1)
	s.out("F. 1:1(0) ack 1")
}

func TestFINRetransmission(t *testing.T) {
	s := established(t, Config{Retries2: 3}, "")
	s.do(s.c.Close)
	s.out("F. 1:1(0) ack 1")
	s.outAfter(210*time.Millisecond, "F. 1:1(0) ack 1")
	s.outAfter(420*time.Millisecond, "F. 1:1(0) ack 1")
	s.outAfter(840*time.Millisecond, "F. 1:1(0) ack 1")
	s.after(1680 * time.Millisecond)
	s.quiet()
	s.closed(ErrTimedOut, TimedOut)
}

// A FIN ahead of a hole waits for it; what lies behind the FIN is ignored.
func TestFINOutOfOrder(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.in("F. 101:201(100) ack 1 win 65535")
	s.out(". 1:1(0) ack 1 <sack 101:202>")
	s.state(StateEstablished)
	s.in(". 202:302(100) ack 1 win 65535")
	s.out(". 1:1(0) ack 1 <sack 101:202>")
	s.in(". 1:101(100) ack 1 win 65535")
	s.out(". 1:1(0) ack 202 <>")
	s.state(StateCloseWait)
	s.received(200, true)
}

// An orphan does not wait in FIN-WAIT-2 for ever, and answers data with a RST.
func TestOrphan(t *testing.T) {
	s := established(t, Config{FinTimeout: 5 * time.Second}, "")
	s.do(func() { s.c.Close(); s.c.Orphan() })
	s.out("F. 1:1(0) ack 1")
	s.in(". 1:1(0) ack 2 win 65535")
	s.state(StateFINWait2)
	s.after(5 * time.Second)
	s.quiet()
	s.closed(nil)

	s = established(t, Config{}, "")
	s.do(func() { s.c.Close(); s.c.Orphan() })
	s.out("F. 1:1(0) ack 1")
	s.in("P. 1:11(10) ack 2 win 65535")
	s.out("R 2:2(0)")
	s.state(StateClosed)

	// Who is no orphan waits.
	s = established(t, Config{FinTimeout: 5 * time.Second}, "")
	s.do(s.c.Close)
	s.in(". 1:1(0) ack 2 win 65535")
	s.after(time.Hour)
	s.state(StateFINWait2)
}

func TestAbort(t *testing.T) {
	for _, st := range []string{"established", "syn-sent", "syn-received", "close-wait", "fin-wait-2"} {
		t.Run(st, func(t *testing.T) {
			s := established(t, Config{}, "")
			want := "R. 1:1(0) ack 1"
			switch st {
			case "syn-sent":
				s = newScript(t, Config{})
				s.connect()
				want = ""
			case "syn-received":
				s = newScript(t, Config{})
				s.accept("S 0:0(0) win 65535 <mss 1000>")
			case "close-wait":
				s.in("F. 1:1(0) ack 1 win 65535")
				want = "R. 1:1(0) ack 2"
			case "fin-wait-2":
				s.do(s.c.Close)
				s.in(". 1:1(0) ack 2 win 65535")
				want = "R. 2:2(0) ack 1"
			}
			s.pending = nil
			s.do(func() { s.c.Abort(wire.RstPerformance) })
			if want == "" {
				s.quiet()
			} else {
				s.out(want)
			}
			re, ok := s.c.Err().(*ResetError)
			if !ok || re.Reason != wire.RstPerformance {
				t.Fatalf("error %v", s.c.Err())
			}
			s.closed(s.c.Err())
			s.in(". 1:1(0) ack 1 win 65535") // nobody is here any more
			s.quiet()
		})
	}
}

// TIME-WAIT ends by a RST, and only by an exact one.
func TestResetInTimeWait(t *testing.T) {
	s := established(t, Config{}, "")
	s.do(s.c.Close)
	s.in("F. 1:1(0) ack 2 win 65535")
	s.pending = nil
	s.in("R 1000:1000(0)")
	s.out(". 2:2(0) ack 2")
	s.state(StateTimeWait)
	s.in("R 2:2(0)")
	s.closed(nil)
}
