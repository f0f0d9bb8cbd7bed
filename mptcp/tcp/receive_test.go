package tcp

import (
	"slices"
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// Quick ACKs at the start, then every second full segment, else after the delay.
func TestDelayedACK(t *testing.T) {
	s := established(t, Config{}, "")
	at := wire.Seq(1)
	next := func() string {
		l := lit("P.", at, 1000, 1)
		at += 1000
		return l
	}
	for range maxQuickACKs {
		s.in(next())
		if len(s.pending) != 1 || s.pending[0].Ack != at {
			t.Fatalf("no quick ACK at %d: %v", at, s.pending)
		}
		s.pending = nil
	}
	s.in(next())
	s.quiet()
	s.in(next())
	s.out(lit(".", 1, 0, at))
	s.in(next())
	s.outAfter(40*time.Millisecond, lit(".", 1, 0, at))
}

// A batch of input owes one ACK if it is in order, one for each segment if not, which
// begins with the block that holds the segment.
func TestBatchACKs(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.in("P. 1:1001(1000) ack 1 win 65535", "P. 1001:2001(1000) ack 1 win 65535")
	s.out(". 1:1(0) ack 2001 <>")
	s.in("P. 3001:4001(1000) ack 1 win 65535", "P. 4001:5001(1000) ack 1 win 65535", "P. 6001:7001(1000) ack 1 win 65535")
	s.out(". 1:1(0) ack 2001 <sack 3001:5001 6001:7001>",
		". 1:1(0) ack 2001 <sack 3001:5001 6001:7001>",
		". 1:1(0) ack 2001 <sack 6001:7001 3001:5001>")
}

// A reply carries the ACK.
func TestPiggyback(t *testing.T) {
	s := established(t, Config{}, "")
	for i := range maxQuickACKs + 1 {
		s.in(lit("P.", wire.Seq(1+10*i), 10, 1))
		s.after(10 * time.Millisecond)
	}
	s.pending = nil
	s.after(time.Second)
	s.pending = nil
	s.in(lit("P.", 171, 10, 1))
	s.pending = nil
	s.write(20)
	s.out("P. 1:21(20) ack 181")
	s.after(time.Millisecond)
	s.in(". 181:181(0) ack 21 win 65535")
	s.in(lit("P.", 181, 10, 21))
	s.quiet() // it waits now for the reply
	s.write(20)
	s.out("P. 21:41(20) ack 191")
}

// The block that arrived last stands first; at most as many as fit.
func TestSACKBlocks(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.in(lit("P.", 1001, 100, 1))
	s.out(". 1:1(0) ack 1 <sack 1001:1101>")
	s.in(lit("P.", 2001, 100, 1))
	s.out(". 1:1(0) ack 1 <sack 2001:2101 1001:1101>")
	s.in(lit("P.", 3001, 100, 1))
	s.out(". 1:1(0) ack 1 <sack 3001:3101 2001:2101 1001:1101>")
	s.in(lit("P.", 4001, 100, 1))
	s.out(". 1:1(0) ack 1 <sack 4001:4101 3001:3101 2001:2101 1001:1101>")
	s.in(lit("P.", 5001, 100, 1))
	s.out(". 1:1(0) ack 1 <sack 5001:5101 4001:4101 3001:3101 2001:2101>")
	s.in(lit("P.", 3101, 900, 1)) // joins two
	s.out(". 1:1(0) ack 1 <sack 3001:4101 5001:5101 2001:2101>")
	s.in(lit("P.", 1, 1000, 1))
	s.out(". 1:1(0) ack 1101 <sack 3001:4101 5001:5101 2001:2101>")
	s.in(lit("P.", 1101, 3900, 1)) // covers what is there already, in part
	s.out(". 1:1(0) ack 5101 <sack 2001:2101>")
	s.received(5100, false)
}

// With timestamps three blocks fit.
func TestSACKBesideTimestamps(t *testing.T) {
	s := established(t, Config{}, ",sackOK,TS val 1 ecr 0")
	for i := range 4 {
		s.in(lit("P.", wire.Seq(1001+1000*i), 100, 1))
	}
	if o := s.pending[3].Options; o.NumSACK != 3 || o.SACK[0].Left != 4001 {
		t.Errorf("options %s", o.String())
	}
}

// A segment with data is so much shorter as its SACK blocks need.
//
// "Eff.snd.MSS = min(SendMSS + 20, MMS_S) - TCPhdrsize - IPoptionsize"
// (https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1).
func TestSACKWithinMTU(t *testing.T) {
	s := newScript(t, Config{})
	s.accept("S 0:0(0) win 65535 <mss 1000,sackOK>")
	s.pending = nil
	s.in(". 1:1(0) ack 1 win 65535")
	s.in("P. 1001:2001(1000) ack 1 win 65535")
	s.out(". 1:1(0) ack 1 <sack 1001:2001>")
	s.write(1100)
	s.out(". 1:989(988) ack 1 <sack 1001:2001>", "P. 989:1101(112) ack 1 <sack 1001:2001>")
}

// SACK yields to what the upper adds, and a segment with data and a full DSS
// leaves the SACK block to a pure ACK.
func TestSACKYieldsToUpper(t *testing.T) {
	s := established(t, Config{}, ",sackOK,TS val 1 ecr 0")
	s.u.opts = func(seg *wire.Segment, n, room int) {
		if room != 28 {
			t.Errorf("room %d, want 40-12", room)
		}
		d := wire.DSS{HasAck: true, Ack64: true}
		if n > 0 {
			d.HasMap, d.DSN64, d.DataLen = true, true, uint16(n)
		}
		seg.Options.Has |= wire.HasDSS
		seg.Options.DSS = d
	}
	s.c.ReserveOptions(28)
	if s.c.MSS() != 1000-12-28 {
		t.Fatalf("MSS %d", s.c.MSS())
	}
	s.u.send = make([]byte, 100)
	s.in(lit("P.", 1001, 100, 1), lit("P.", 2001, 100, 1))
	var data int
	var acks []wire.Seq // what their one block begins with
	for _, seg := range s.pending {
		o := seg.Options
		switch {
		case len(seg.Payload) > 0:
			data++
			if o.Has&wire.HasSACK != 0 {
				t.Errorf("no room, and yet: %s", o.String())
			}
		case o.NumSACK == 1:
			acks = append(acks, o.SACK[0].Left)
		default:
			t.Errorf("pure ACK: %s", o.String())
		}
	}
	// Each of the two is reported, though both came before an ACK could go out.
	if !slices.Equal(acks, []wire.Seq{1001, 2001}) || data != 1 {
		t.Errorf("pure ACKs with blocks at %v, %d segments with data", acks, data)
	}
}

// RFC 2883: duplicates are reported once, below the ACK and above it.
func TestDSACKSent(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.in(lit("P.", 1, 1000, 1))
	s.out(". 1:1(0) ack 1001 <>")
	s.in(lit("P.", 1, 1000, 1)) // wholly below
	s.out(". 1:1(0) ack 1001 <sack 1:1001>")
	s.in(lit("P.", 501, 1000, 1)) // half below
	s.out(". 1:1(0) ack 1501 <sack 501:1001>")
	s.in(lit("P.", 3001, 1000, 1))
	s.out(". 1:1(0) ack 1501 <sack 3001:4001>")
	s.in(lit("P.", 3001, 1000, 1)) // above: the block that holds it follows
	s.out(". 1:1(0) ack 1501 <sack 3001:4001 3001:4001>")
	s.in(lit("P.", 1501, 1500, 1))
	s.out(". 1:1(0) ack 4001 <>")
	s.received(4000, false)
}

// What the upper does not keep is neither acknowledged nor SACKed.
func TestNotKept(t *testing.T) {
	s := established(t, Config{}, ",sackOK")
	s.u.refuse = true
	s.in(lit("P.", 1, 1000, 1))
	s.out(". 1:1(0) ack 1 <>")
	s.in(lit("P.", 2001, 1000, 1))
	s.out(". 1:1(0) ack 1 <>")
	s.u.refuse = false
	s.in(lit("P.", 1, 1000, 1))
	s.out(". 1:1(0) ack 1001 <>")
}

// Payload is cut at the right edge of the window that was advertised.
func TestTrimToWindow(t *testing.T) {
	s := newScript(t, Config{})
	s.u.wnd = 1500
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.out("S. 0:0(0) ack 1 win 1500")
	s.in(". 1:1(0) ack 1 win 65535", lit("P.", 1, 1000, 1), lit("P.", 1001, 1000, 1))
	s.received(1500, false)
	s.pending = nil
	s.in(lit("P.", 1502, 1000, 1)) // wholly beyond
	s.out(". 1:1(0) ack 1501")
	s.received(1500, false)
}

// The right edge of the window never moves back, and it moves forward by a
// segment at least or half of the buffer.
func TestAdvertisedWindow(t *testing.T) {
	s := newScript(t, Config{})
	s.u.wnd = 4000
	s.u.read = 0
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.pending = nil
	s.in(". 1:1(0) ack 1 win 65535", lit("P.", 1, 1000, 1))
	s.out(". 1:1(0) ack 1001 win 3000")
	s.u.wnd = 2000 // the buffer shrinks: the promise stands
	s.in(lit("P.", 1001, 1000, 1))
	s.out(". 1:1(0) ack 2001 win 2000")
	s.u.wnd = 4000
	s.u.read = 500
	s.do(s.c.AckNow) // 500 free: not worth telling
	s.out(". 1:1(0) ack 2001 win 2000")
	s.u.read = 1000
	s.do(s.c.AckNow)
	s.out(". 1:1(0) ack 2001 win 3000")
	s.u.wnd = 0
	s.in(lit("P.", 2001, 1000, 1), lit("P.", 3001, 1000, 1), lit("P.", 4001, 1000, 1))
	s.out(". 1:1(0) ack 5001 win 0")
	s.in(lit("P.", 5001, 1, 1)) // a window probe with data
	s.out(". 1:1(0) ack 5001 win 0")
}

// With a DATA_ACK beside it the window is the connection's: the subflow does not
// alter it, and remembers its own right edge.
func TestWindowOfMPTCP(t *testing.T) {
	s := newScript(t, Config{})
	s.u.opts = func(seg *wire.Segment, n, room int) {
		if seg.Flags&wire.SYN == 0 {
			seg.Options.Has |= wire.HasDSS
			seg.Options.DSS = wire.DSS{HasAck: true}
		}
	}
	s.u.wnd = 3000
	s.accept("S 0:0(0) win 65535 <mss 1000>")
	s.pending = nil
	s.in(". 1:1(0) ack 1 win 65535")
	s.u.wnd = 100 // another subflow has filled the buffer
	s.do(s.c.AckNow)
	s.out(". 1:1(0) ack 1 win 100")
	s.u.wnd = 1100
	s.in(lit("P.", 1, 1000, 1), lit("P.", 1001, 1000, 1), lit("P.", 2001, 1000, 1))
	s.received(3000, false) // it had been promised
}

// RFC 7323: PAWS, and which timestamp is echoed.
func TestTimestamps(t *testing.T) {
	s := established(t, Config{}, ",TS val 100 ecr 0")
	s.in("P. 1:101(100) ack 1 win 65535 <TS val 200 ecr 1010>")
	s.out(". 1:1(0) ack 101 <TS val 1010 ecr 200>")
	s.in("P. 201:301(100) ack 1 win 65535 <TS val 250 ecr 1010>") // out of order: not echoed
	s.out(". 1:1(0) ack 101 <TS val 1010 ecr 200>")
	s.in("P. 101:201(100) ack 1 win 65535 <TS val 199 ecr 1010>") // older than TS.Recent
	s.out(". 1:1(0) ack 101 <TS val 1010 ecr 200>")
	s.received(100, false)
	s.in("P. 101:201(100) ack 1 win 65535 <TS val 210 ecr 1010>")
	s.out(". 1:1(0) ack 301 <TS val 1010 ecr 210>")
	s.received(300, false)
	s.after(25 * 24 * time.Hour) // 24 days of silence: TS.Recent proves nothing
	s.pending = nil
	s.in("P. 301:401(100) ack 1 win 65535 <TS val 5 ecr 1010>")
	s.received(400, false)
}

// RFC 5961: RST only if exact, SYN never, ACKs only in range; the answers are few.
func TestBlindAttacks(t *testing.T) {
	for name, text := range map[string]string{
		"RST in window": "R 2:2(0)",
		"SYN":           "S 1:1(0) win 10 <mss 1000>",
		"ACK too new":   ". 1:1(0) ack 2 win 65535",
		"ACK too old":   ". 1:1(0) ack -70000 win 65535",
		"below window":  ". -5:-5(0) ack 1 win 65535",
		"beyond window": ". 70000:70000(0) ack 1 win 65535",
	} {
		t.Run(name, func(t *testing.T) {
			s := established(t, Config{}, "")
			s.in(text)
			s.out(". 1:1(0) ack 1")
			s.in(text)
			s.quiet()
			s.state(StateEstablished)
			s.after(500 * time.Millisecond)
			s.in(text)
			s.out(". 1:1(0) ack 1")
		})
	}
	s := established(t, Config{}, "")
	s.in("R 70000:70000(0)") // beyond the window: not even an answer
	s.quiet()
	s.state(StateEstablished)
}

func TestResetExact(t *testing.T) {
	s := established(t, Config{}, "")
	s.in("P. 1:101(100) ack 1 win 65535")
	s.pending = nil
	s.in("R 101:101(0)")
	s.quiet()
	s.closed(ErrReset, ResetReceived)
}
