package impairments

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// bench is a middlebox between two ends that the test holds.
type bench struct {
	t     *testing.T
	m     *Middlebox
	now   clock.Instant
	v6    bool
	frame int // length of the link header
	raw   [2][][]byte
}

func newBench(t *testing.T, rules ...Rule) *bench {
	return &bench{t: t, m: NewMiddlebox(1, "m", rules, 0, 0)}
}

var (
	ends4 = [2]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")}
	ends6 = [2]netip.AddrPort{netip.MustParseAddrPort("[fd00::1]:1000"), netip.MustParseAddrPort("[fd00::2]:80")}
)

// segment is a segment from end dir with the numbers given.
func (b *bench) segment(dir int, flags wire.Flags, seq, ack wire.Seq, payload string) wire.Segment {
	ends := ends4
	if b.v6 {
		ends = ends6
	}
	return wire.Segment{Src: ends[dir], Dst: ends[1-dir], TTL: 64, Seq: seq, Ack: ack, Flags: flags, Window: 1000, Payload: []byte(payload)}
}

func stamped(s wire.Segment) wire.Segment {
	s.Options.Has |= wire.HasTimestamps
	s.Options.TSVal, s.Options.TSEcr = 7, 8
	return s
}

func mapped(s wire.Segment) wire.Segment {
	s.Options.Has |= wire.HasDSS
	s.Options.DSS = wire.DSS{HasAck: true, DataAck: 5, HasMap: true, DSN: 6, SSN: 1, DataLen: uint16(len(s.Payload))}
	return s
}

// send sends s from end dir and returns what leaves on both links, by direction.
func (b *bench) send(dir int, s wire.Segment) (out [2][]wire.Segment) {
	return b.bytes(dir, wire.AppendPacket(make([]byte, b.frame), &s))
}

func (b *bench) bytes(dir int, pkt []byte) (out [2][]wire.Segment) {
	if b.frame > 0 {
		copy(pkt, []byte{1, 1, 1, 1, 1, byte(1 - dir), 1, 1, 1, 1, 1, byte(dir), 8, 0})
	}
	b.m.Input(b.now, machine.Meta{Link: machine.LinkID(dir)}, pkt)
	return b.drain()
}

func (b *bench) drain() (out [2][]wire.Segment) {
	buf := make([]byte, machine.BufferSize)
	b.raw = [2][][]byte{}
	for {
		m, n, ok := b.m.Output(b.now, buf)
		if !ok {
			return out
		}
		dir := 1 - int(m.Link)
		pkt := bytes.Clone(buf[:n])
		b.raw[dir] = append(b.raw[dir], pkt)
		if b.frame > 0 && (pkt[5] != byte(1-dir) || pkt[11] != byte(dir)) {
			b.t.Errorf("a frame in direction %d goes from station %d to %d", dir, pkt[11], pkt[5])
		}
		var s wire.Segment
		if err := s.Parse(pkt[b.frame:], false); err == wire.ErrProtocol {
			continue // ICMP
		} else if err != nil {
			b.t.Fatalf("what left is broken: %v", err)
		}
		out[dir] = append(out[dir], s)
	}
}

// until lets time pass and returns what left at at.
func (b *bench) until(at clock.Instant) [2][]wire.Segment {
	b.now = at
	b.m.Advance(at)
	return b.drain()
}

// variants runs a test with IPv4 and IPv6 packets and with frames.
func variants(t *testing.T, rules []Rule, f func(b *bench)) {
	for _, v := range []struct {
		name  string
		v6    bool
		frame int
	}{{"IPv4", false, 0}, {"IPv6", true, 0}, {"frames", false, Overhead}} {
		t.Run(v.name, func(t *testing.T) {
			f(&bench{t: t, m: NewMiddlebox(1, "m", rules, v.frame, 0), v6: v.v6, frame: v.frame})
		})
	}
}

func kinds(words ...string) (k OptionKinds) {
	for _, w := range words {
		k |= 1 << slices.Index(OptionWords, w)
	}
	return k
}

func TestStripAndNop(t *testing.T) {
	for _, do := range []Action{Strip, Nop} {
		t.Run(do.String(), func(t *testing.T) {
			variants(t, []Rule{{Match: Match{Options: kinds("dss")}, Do: do, Direction: Up}}, func(b *bench) {
				s := stamped(mapped(b.segment(0, wire.ACK|wire.PSH, 100, 200, "hello, world")))
				long := len(wire.AppendPacket(nil, &s))
				got := b.send(0, s)[0][0]
				if got.Options.Has != wire.HasTimestamps || got.Options.TSVal != 7 || string(got.Payload) != "hello, world" || got.Seq != 100 {
					t.Errorf("got %s", got.String())
				}
				want := long
				if do == Strip {
					want -= s.Options.DSS.Len()
				}
				if n := len(b.raw[0][0]) - b.frame; n != want {
					t.Errorf("%d bytes, want %d", n, want)
				}
				if got := b.send(1, mapped(b.segment(1, wire.ACK, 200, 112, "x")))[1][0]; got.Options.Has != wire.HasDSS {
					t.Errorf("the other direction lost options: %s", got.String())
				}
				if b.m.Hits()[0] != 1 {
					t.Errorf("%d hits, want 1", b.m.Hits()[0])
				}
			})
		})
	}
}

// Each option is known by its word, and by "mptcp" if it is one of MPTCP.
func TestOptionWords(t *testing.T) {
	addr := netip.MustParseAddr("10.0.0.9")
	for word, o := range map[string]wire.Options{
		"mp_capable":     {Has: wire.HasMPCapable, MPCapable: wire.MPCapable{Version: 1}},
		"mp_join":        {Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYN}},
		"dss":            {Has: wire.HasDSS, DSS: wire.DSS{HasAck: true}},
		"add_addr":       {Has: wire.HasAddAddr, AddAddr: wire.AddAddr{ID: 1, Addr: addr}},
		"add_addr_echo":  {Has: wire.HasAddAddr, AddAddr: wire.AddAddr{ID: 1, Addr: addr, Echo: true}},
		"remove_addr":    {Has: wire.HasRemoveAddr, RemoveAddr: wire.RemoveAddr{Num: 1}},
		"mp_prio":        {Has: wire.HasMPPrio},
		"mp_fail":        {Has: wire.HasMPFail},
		"mp_fastclose":   {Has: wire.HasFastClose},
		"mp_tcprst":      {Has: wire.HasMPTCPRst},
		"mss":            {Has: wire.HasMSS},
		"wscale":         {Has: wire.HasWScale},
		"sack_permitted": {Has: wire.HasSACKPermitted},
		"sack":           {Has: wire.HasSACK, NumSACK: 1},
		"timestamps":     {Has: wire.HasTimestamps},
		"fastopen":       {Has: wire.HasFastOpen, FastOpen: wire.FastOpen{Len: 8}},
	} {
		for _, other := range OptionWords {
			b := newBench(t, Rule{Match: Match{Options: kinds(other)}, Do: Drop})
			s := b.segment(0, wire.ACK, 1, 1, "")
			s.Options = o
			want := other == word || other == "mptcp" && o.Has&wire.HasMPTCP != 0
			if dropped := len(b.send(0, s)[0]) == 0; dropped != want {
				t.Errorf("%s matches %s: %v, want %v", other, word, dropped, want)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	for name, tt := range map[string]struct {
		m    Match
		want []int // which of five packets match
	}{
		"all":        {Match{}, []int{0, 1, 2, 3, 4}},
		"syn":        {Match{Flags: wire.SYN}, []int{0, 1}},
		"syn, noack": {Match{Flags: wire.SYN, NoFlags: wire.ACK}, []int{0}},
		"data":       {Match{Data: true}, []int{3, 4}},
		"no data":    {Match{NoData: true}, []int{0, 1, 2}},
		"src":        {Match{Src: netip.MustParsePrefix("10.0.0.2/32")}, []int{1}},
		"dst":        {Match{Dst: netip.MustParsePrefix("10.0.0.0/30")}, []int{0, 1, 2, 3, 4}},
		"nth":        {Match{Data: true, First: 2, Last: 2}, []int{4}},
		"nth from":   {Match{First: 4}, []int{3, 4}},
		"nth to":     {Match{First: 1, Last: 2}, []int{0, 1}},
		"hole":       {Match{Hole: true}, []int{4}},
		"unseen":     {Match{Unseen: true}, nil},
	} {
		b := newBench(t, Rule{Match: tt.m, Do: Drop})
		var got []int
		for i, p := range []struct {
			dir int
			s   wire.Segment
		}{
			{0, b.segment(0, wire.SYN, 99, 0, "")}, {1, b.segment(1, wire.SYN|wire.ACK, 199, 100, "")},
			{0, b.segment(0, wire.ACK, 100, 200, "")}, {0, b.segment(0, wire.ACK, 100, 200, "abc")}, {0, b.segment(0, wire.ACK, 104, 200, "ef")},
		} {
			if out := b.send(p.dir, p.s); len(out[p.dir]) == 0 {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: matched %v, want %v", name, got, tt.want)
		}
		if n := b.m.Hits()[0]; n != uint64(len(tt.want)) {
			t.Errorf("%s: %d hits, want %d", name, n, len(tt.want))
		}
	}
}

func TestUnseen(t *testing.T) {
	b := newBench(t, Rule{Match: Match{Unseen: true}, Do: Drop})
	b.send(0, b.segment(0, wire.ACK, 100, 200, "abc"))
	if out := b.send(1, b.segment(1, wire.ACK, 200, 103, "")); len(out[1]) != 1 {
		t.Error("an acknowledgment of what passed was dropped")
	}
	if out := b.send(1, b.segment(1, wire.ACK, 200, 104, "")); len(out[1]) != 0 {
		t.Error("an acknowledgment of what did not pass went through")
	}
}

// A connection that was silent is unknown until it begins anew.
func TestIdle(t *testing.T) {
	b := newBench(t, Rule{Match: Match{Idle: time.Second}, Do: Drop})
	passes := func(at clock.Instant, flags wire.Flags, want bool) {
		t.Helper()
		b.now = at * ms
		if got := len(b.send(0, b.segment(0, flags, wire.Seq(at), 1, ""))[0]) == 1; got != want {
			t.Errorf("at %d ms passes %v, want %v", at, got, want)
		}
	}
	passes(5000, wire.SYN, true)
	passes(5999, wire.ACK, true)
	passes(6999, wire.ACK, false)
	passes(7000, wire.ACK, false)
	passes(7001, wire.SYN, true)
	passes(7002, wire.ACK, true)
}

// What no rule changes passes bit by bit, broken packets too.
func TestUntouched(t *testing.T) {
	b := newBench(t, Rule{Match: Match{Options: kinds("dss")}, Do: Strip}, Rule{Match: Match{Data: true}, Do: RewriteData, Rewrite: Edit{ISN: true, Invert: 1}})
	s := mapped(b.segment(0, wire.ACK, 1, 1, "hello"))
	broken := wire.AppendPacket(nil, &s)
	broken[len(broken)-1] ^= 1
	fragment := wire.AppendPacket(nil, &s)
	fragment[6], fragment[7] = 0x20, 1
	udp := bytes.Clone(fragment[:28])
	copy(udp, []byte{0x45, 0, 0, 28})
	udp[9] = wire.ProtoUDP
	for name, pkt := range map[string][]byte{"wrong checksum": broken, "fragment": fragment, "UDP": udp, "no IP": []byte("ARP or so"), "short": {0x45}} {
		b.m.Input(0, machine.Meta{Link: 0}, pkt)
		buf := make([]byte, machine.BufferSize)
		if m, n, ok := b.m.Output(0, buf); !ok || m.Link != 1 || !bytes.Equal(buf[:n], pkt) {
			t.Errorf("%s was changed or lost", name)
		}
	}
	if h := b.m.Hits(); h[0]+h[1] != 0 {
		t.Errorf("hits %v", h)
	}
	b.m.SetEnabled(false)
	if got := b.send(0, s)[0][0]; got.Options.Has != wire.HasDSS || string(got.Payload) != "hello" {
		t.Errorf("switched off, and yet: %s", got.String())
	}
}

func TestReject(t *testing.T) {
	variants(t, []Rule{{Match: Match{Flags: wire.SYN}, Do: Reject}}, func(b *bench) {
		out := b.send(0, b.segment(0, wire.SYN, 100, 0, ""))
		if len(out[0]) != 0 || len(b.raw[1]) != 1 {
			t.Fatalf("%d went on, %d came back", len(out[0]), len(b.raw[1]))
		}
		var icmp wire.ICMP
		if err := icmp.Parse(b.raw[1][0][b.frame:]); err != nil || icmp.Kind != wire.ICMPPortUnreachable {
			t.Errorf("answer %+v, %v", icmp, err)
		}
	})
	variants(t, []Rule{{Match: Match{Flags: wire.SYN}, Do: Reject, WithReset: true}}, func(b *bench) {
		got := b.send(0, b.segment(0, wire.SYN, 100, 0, ""))[1][0]
		if got.Flags != wire.RST|wire.ACK || got.Ack != 101 {
			t.Errorf("answer %s", got.String())
		}
	})
}

// Each end gets a RST with exactly the number that it expects next.
func TestReset(t *testing.T) {
	variants(t, []Rule{{Match: Match{Data: true, First: 2, Last: 2}, Do: Reset, TCPRst: &wire.MPTCPRst{Reason: wire.RstProhibited}}}, func(b *bench) {
		b.send(0, b.segment(0, wire.SYN, 99, 0, ""))
		b.send(1, b.segment(1, wire.SYN|wire.ACK, 199, 100, ""))
		b.send(1, b.segment(1, wire.ACK, 200, 100, "0123456789"))
		out := b.send(0, b.segment(0, wire.ACK, 100, 200, "abc")) // has not seen the ten bytes yet
		fwd, back := out[0][0], out[1][0]
		if fwd.Flags != wire.RST|wire.ACK || fwd.Seq != 100 || back.Flags != wire.RST|wire.ACK || back.Seq != 210 || back.Ack != 103 {
			t.Errorf("forward %s, back %s", fwd.String(), back.String())
		}
		if fwd.Options.MPTCPRst.Reason != wire.RstProhibited || back.Options.MPTCPRst.Reason != wire.RstProhibited {
			t.Error("MP_TCPRST is missing")
		}
	})
}

func TestSplitRule(t *testing.T) {
	for _, once := range []bool{false, true} {
		variants(t, []Rule{{Match: Match{Data: true}, Do: Split, Size: 4, Once: once}}, func(b *bench) {
			s := stamped(mapped(b.segment(0, wire.ACK|wire.PSH|wire.FIN|wire.CWR, 100, 200, "0123456789")))
			out := b.send(0, s)[0]
			if len(out) != 3 {
				t.Fatalf("%d pieces", len(out))
			}
			for i, got := range out {
				wantFlags := wire.ACK
				if i == 0 {
					wantFlags |= wire.CWR
				}
				if i == 2 {
					wantFlags |= wire.PSH | wire.FIN
				}
				wantHas := wire.HasTimestamps
				if i == 0 || !once {
					wantHas |= wire.HasDSS
				}
				if got.Seq != wire.Seq(100+4*i) || string(got.Payload) != "0123456789"[4*i:min(4*i+4, 10)] || got.Flags != wantFlags || got.Options.Has != wantHas {
					t.Errorf("piece %d: %s", i, got.String())
				}
			}
		})
	}
}

func TestCoalesce(t *testing.T) {
	for _, once := range []bool{false, true} {
		variants(t, []Rule{{Do: Coalesce, Size: 10, Wait: 5 * time.Millisecond, Once: once}}, func(b *bench) {
			quiet := func(out [2][]wire.Segment) {
				t.Helper()
				if len(out[0])+len(out[1]) != 0 {
					t.Fatal("something left early")
				}
			}
			first, second := mapped(b.segment(0, wire.ACK, 100, 200, "0123")), mapped(b.segment(0, wire.ACK, 104, 201, "45"))
			second.Options.DSS.DSN = 10
			quiet(b.send(0, first))
			quiet(b.send(0, second))
			b.now = 3 * ms
			// Something that does not follow: what was held goes first.
			if out := b.send(0, b.segment(0, wire.ACK, 300, 201, "x"))[0]; len(out) != 1 || string(out[0].Payload) != "012345" || out[0].Seq != 100 || out[0].Ack != 201 {
				t.Fatalf("got %v", out)
			} else if want := map[bool]wire.DSN{true: 6, false: 10}[once]; out[0].Options.DSS.DSN != want {
				t.Errorf("the mapping is that of DSN %d, want %d", out[0].Options.DSS.DSN, want)
			}
			if at := b.m.Deadline(); at != 8*ms {
				t.Errorf("deadline %v, want 8 ms", at)
			}
			if out := b.until(8 * ms)[0]; len(out) != 1 || string(out[0].Payload) != "x" {
				t.Errorf("after the wait: %v", out)
			}
			// PSH ends it at once; so does a FIN behind it.
			quiet(b.send(0, b.segment(0, wire.ACK, 301, 201, "a")))
			if out := b.send(0, b.segment(0, wire.ACK|wire.PSH, 302, 201, "b"))[0]; len(out) != 1 || string(out[0].Payload) != "ab" || out[0].Flags != wire.ACK|wire.PSH {
				t.Errorf("with PSH: %v", out)
			}
			quiet(b.send(0, b.segment(0, wire.ACK, 303, 201, "c")))
			if out := b.send(0, b.segment(0, wire.ACK|wire.FIN, 304, 201, ""))[0]; len(out) != 2 || string(out[0].Payload) != "c" {
				t.Errorf("with FIN: %v", out)
			}
			if b.m.Hits()[0] != 2 {
				t.Errorf("%d hits, want 2: segments that became part of another", b.m.Hits()[0])
			}
			if b.m.Deadline() != clock.Never {
				t.Error("nothing is held, and there is a deadline")
			}
		})
	}
}

func TestRewriteISN(t *testing.T) {
	variants(t, []Rule{{Do: RewriteData, Rewrite: Edit{ISN: true}, Direction: Up}}, func(b *bench) {
		syn := b.send(0, b.segment(0, wire.SYN, 99, 0, ""))[0][0]
		shift := syn.Seq - 99
		if shift == 0 {
			t.Fatal("the SYN kept its number")
		}
		if again := b.send(0, b.segment(0, wire.SYN, 99, 0, ""))[0][0]; again.Seq != syn.Seq {
			t.Error("the SYN that comes again has another number")
		}
		answer := b.segment(1, wire.SYN|wire.ACK, 199, 100+shift, "")
		if got := b.send(1, answer)[1][0]; got.Ack != 100 || got.Seq != 199 {
			t.Errorf("SYN/ACK %s", got.String())
		}
		if got := b.send(0, b.segment(0, wire.ACK, 100, 200, "abc"))[0][0]; got.Seq != 100+shift || got.Ack != 200 || string(got.Payload) != "abc" {
			t.Errorf("data %s", got.String())
		}
		sack := b.segment(1, wire.ACK, 200, 100+shift, "")
		sack.Options.Has, sack.Options.NumSACK = wire.HasSACK, 1
		sack.Options.SACK[0] = wire.SACKBlock{Left: 101 + shift, Right: 103 + shift}
		if got := b.send(1, sack)[1][0]; got.Ack != 100 || got.Options.SACK[0] != (wire.SACKBlock{Left: 101, Right: 103}) {
			t.Errorf("SACK %s", got.String())
		}
		if b.m.Hits()[0] != 2 {
			t.Errorf("%d hits, want 2", b.m.Hits()[0])
		}
	})
}

// FTP ALGs replace an address by a longer or shorter one: numbers behind it move in
// both directions, and a retransmission looks the same.
func TestRewritePayload(t *testing.T) {
	variants(t, []Rule{{Match: Match{Data: true, First: 2, Last: 2}, Do: RewriteData, Direction: Up, Rewrite: Edit{At: 2, Invert: 1, Remove: 1, Insert: "three"}}}, func(b *bench) {
		b.send(0, b.segment(0, wire.SYN, 99, 0, ""))
		b.send(0, b.segment(0, wire.ACK, 100, 200, "hello")) // to 105
		for range 2 {
			got := b.send(0, b.segment(0, wire.ACK|wire.PSH, 105, 200, "abCDef"))[0]
			if len(got) != 1 || got[0].Seq != 105 || string(got[0].Payload) != "ab\xbcthreeef" || got[0].Flags != wire.ACK|wire.PSH {
				t.Fatalf("got %v", got)
			}
		}
		if got := b.send(0, b.segment(0, wire.ACK, 111, 200, "more"))[0][0]; got.Seq != 115 {
			t.Errorf("what follows has number %d, want 115", got.Seq)
		}
		for _, ack := range [][2]wire.Seq{{105, 105}, {107, 107}, {108, 108}, {110, 109}, {113, 109}, {115, 111}, {119, 115}} {
			if got := b.send(1, b.segment(1, wire.ACK, 200, ack[0], ""))[1][0]; got.Ack != ack[1] {
				t.Errorf("acknowledgment of %d arrives as %d, want %d", ack[0], got.Ack, ack[1])
			}
		}
		if got := b.send(0, b.segment(0, wire.ACK|wire.FIN, 115, 200, ""))[0][0]; got.Seq != 119 {
			t.Errorf("FIN has number %d, want 119", got.Seq)
		}
	})
}

func TestGrownPayloadIsCut(t *testing.T) {
	b := newBench(t, Rule{Match: Match{Data: true}, Do: RewriteData, Rewrite: Edit{Insert: "0123456789"}})
	long := string(bytes.Repeat([]byte("x"), 1000))
	out := b.send(0, stamped(b.segment(0, wire.ACK|wire.PSH, 100, 200, long)))[0]
	if len(out) != 2 || len(out[0].Payload) != 1000 || len(out[1].Payload) != 10 || out[1].Seq != 1100 || out[0].Flags != wire.ACK || out[1].Flags != wire.ACK|wire.PSH {
		t.Errorf("got %v", out)
	}
}

// A proxy acknowledges what follows, keeps within the window, and repeats what the
// receiver does not acknowledge.
func TestAcknowledge(t *testing.T) {
	variants(t, []Rule{{Match: Match{Data: true}, Do: Acknowledge, Direction: Up}}, func(b *bench) {
		b.send(0, b.segment(0, wire.SYN, 99, 0, ""))
		b.send(1, b.segment(1, wire.SYN|wire.ACK, 199, 100, ""))
		out := b.send(0, stamped(mapped(b.segment(0, wire.ACK, 100, 200, "abc"))))
		if len(out[0]) != 1 || out[0][0].Options.Has&wire.HasDSS == 0 {
			t.Fatalf("went on: %v", out[0])
		}
		if ack := out[1][0]; ack.Ack != 103 || ack.Seq != 200 || ack.Window != 997 || ack.Options.Has&wire.HasMPTCP != 0 {
			t.Errorf("acknowledgment %s", ack.String())
		}
		if out := b.send(0, b.segment(0, wire.ACK, 110, 200, "z")); len(out[0]) != 1 || len(out[1]) != 0 {
			t.Error("what lies behind a hole is the receiver's to answer")
		}
		if out := b.send(0, b.segment(0, wire.ACK, 100, 200, "abc")); len(out[0]) != 0 || len(out[1]) != 1 {
			t.Error("what it has acknowledged it does not send on again")
		}
		at := b.m.Deadline()
		if out := b.until(at); len(out[0]) != 1 || string(out[0][0].Payload) != "abc" {
			t.Errorf("repeated %v", out[0])
		}
		b.send(1, b.segment(1, wire.ACK, 200, 103, ""))
		if b.m.Deadline() != clock.Never {
			t.Error("the receiver has everything, and there is a deadline")
		}
	})
}

// FuzzTranslation edits a stream at random places, sends it in random segments, also
// again, and puts together what the receiver sees: it is the edited stream, and what
// it acknowledges is understood.
func FuzzTranslation(f *testing.F) {
	f.Add([]byte{3, 2, 1, 20, 0, 4, 50, 5, 0}, []byte{10, 7, 30, 200, 3})
	f.Fuzz(func(t *testing.T, edits, cuts []byte) {
		start := wire.Seq(0xffffffc0) // wraps
		stream := make([]byte, 300)
		for i := range stream {
			stream[i] = byte(i)
		}
		x := translation{base: 1 << 20}
		var want []byte
		pos := 0
		for ; len(edits) >= 3; edits = edits[3:] {
			at, remove, n := pos+int(edits[0])%60, int(edits[1])%6, int(edits[2])%6
			if at+remove > len(stream) || at >= len(stream) || remove+n == 0 {
				break
			}
			x.add(change{start.Add(at), remove, bytes.Repeat([]byte{0xee}, n)})
			want = append(append(want, stream[pos:at]...), bytes.Repeat([]byte{0xee}, n)...)
			pos = at + max(remove, 1)
			if remove == 0 {
				want = append(want, stream[at])
			}
		}
		want = append(want, stream[pos:]...)
		got, seen := make([]byte, len(want)), make([]bool, len(want))
		put := func(from, to int) {
			off := x.forward(start.Add(from)).Sub(start + 1<<20)
			for i, b := range x.payload(nil, start.Add(from), stream[from:to]) {
				if off+i >= len(want) || seen[off+i] && got[off+i] != b {
					t.Fatalf("byte %d of the receiver is given twice, differently, or behind the end", off+i)
				}
				got[off+i], seen[off+i] = b, true
			}
		}
		for _, c := range cuts {
			put(int(c), min(int(c)+17, len(stream)))
		}
		for at, i := 0, 0; at < len(stream); i++ {
			n := 23
			if len(cuts) > 0 {
				n = 1 + int(cuts[i%len(cuts)])%50
			}
			put(at, min(at+n, len(stream)))
			at += n
		}
		if !bytes.Equal(got, want) || slices.Contains(seen, false) {
			t.Fatalf("the receiver has\n%x, want\n%x", got, want)
		}
		last := start
		for i := range len(want) + 1 {
			ack := x.inverse((start + 1<<20).Add(i))
			if ack.Less(last) {
				t.Fatalf("acknowledgment of %d goes back to %d", i, ack.Sub(start))
			}
			last = ack
		}
		if last != start.Add(len(stream)) {
			t.Fatalf("all was acknowledged, the sender sees %d of %d", last.Sub(start), len(stream))
		}
	})
}

// everyRule is a list with all actions.
func everyRule() []Rule {
	return []Rule{
		{Match: Match{Flags: wire.SYN}, Do: RewriteData, Rewrite: Edit{ISN: true}},
		{Match: Match{Data: true}, Do: Acknowledge, Direction: Up},
		{Match: Match{Options: kinds("dss"), First: 3}, Do: Strip},
		{Match: Match{Options: kinds("timestamps"), First: 3, Last: 4}, Do: Nop},
		{Match: Match{Data: true, First: 2, Last: 4}, Do: RewriteData, Rewrite: Edit{At: 1, Remove: 2, Insert: "longer"}},
		{Match: Match{Data: true}, Do: Split, Size: 3},
		{Match: Match{Data: true}, Do: Coalesce, Size: 8, Wait: 2 * time.Millisecond},
		{Match: Match{Unseen: true}, Do: Drop},
		{Match: Match{Hole: true, First: 2}, Do: Drop},
		{Match: Match{First: 40, Last: 40}, Do: Reject},
		{Match: Match{First: 50}, Do: Reset},
	}
}

func TestMiddleboxContract(t *testing.T) {
	b := newBench(t)
	var script []machine.Step
	for i := range 80 {
		dir := i % 3 / 2
		s := stamped(mapped(b.segment(dir, wire.ACK, wire.Seq(1000+4*i), wire.Seq(900+3*i), "abcd")))
		if i < 2 {
			s = b.segment(i, wire.SYN, 999, 0, "")
		}
		script = append(script, machine.Step{At: clock.Instant(i) * ms, Link: machine.LinkID(dir), Data: wire.AppendPacket(nil, &s)})
	}
	script = append(script, machine.Step{At: 80 * ms, Do: func(m machine.Machine, _ clock.Instant) { setRules(m, everyRule()[:3]) }})
	for name, build := range map[string]func() machine.Machine{
		"middlebox": func() machine.Machine { return NewMiddlebox(1, "m", everyRule(), 0, 0) },
		"link": func() machine.Machine {
			return NewLink([]*Middlebox{NewMiddlebox(1, "a", everyRule()[:4], 0, 0)},
				NewWire(1, "w", [2]Config{{Delay: 3 * time.Millisecond, Rate: 1e6}, {Delay: time.Millisecond}}, Overhead),
				[]*Middlebox{NewMiddlebox(1, "b", everyRule()[4:7], 0, 0), NewMiddlebox(1, "c", everyRule(), 0, 0)})
		},
	} {
		if err := machine.Check(build, script, 10_000*ms); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func setRules(m machine.Machine, rules []Rule) {
	if m, ok := m.(*Middlebox); ok {
		m.SetRules(rules)
	}
}

// A packet that no rule of a stateless list matches costs no allocation.
func TestMiddleboxAllocations(t *testing.T) {
	b := newBench(t, Rule{Match: Match{Options: kinds("mp_join")}, Do: Strip}, Rule{Match: Match{Src: netip.MustParsePrefix("10.9.0.0/16")}, Do: Drop})
	s := mapped(b.segment(0, wire.ACK, 1, 1, "hello"))
	pkt := wire.AppendPacket(nil, &s)
	buf := make([]byte, machine.BufferSize)
	if n := testing.AllocsPerRun(100, func() {
		b.m.Input(0, machine.Meta{Link: 0}, pkt)
		for _, _, ok := b.m.Output(0, buf); ok; _, _, ok = b.m.Output(0, buf) {
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// FuzzMiddlebox sends packets that were changed at random through all rules: whatever
// is in them, what leaves is what came or has right checksums.
func FuzzMiddlebox(f *testing.F) {
	f.Add(uint16(0), []byte{0x45}, []byte("payload"), uint8(0))
	f.Add(uint16(33), []byte{5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, []byte("x"), uint8(3))
	f.Fuzz(func(t *testing.T, at uint16, change, payload []byte, flags uint8) {
		b := newBench(t)
		b.m = NewMiddlebox(1, "m", everyRule(), 0, 1500)
		buf := make([]byte, machine.BufferSize)
		for i := range 12 {
			dir := i & 1
			s := stamped(mapped(b.segment(dir, wire.ACK|wire.Flags(flags), wire.Seq(1000+7*i), wire.Seq(1000+5*i), string(payload[:min(len(payload), 2000)]))))
			pkt := wire.AppendPacket(nil, &s)
			if i%3 == 2 {
				copy(pkt[int(at)%len(pkt):], change)
				if l, ok := wire.LayoutOf(pkt); ok && i%2 == 0 {
					wire.Finish(pkt[:l.End])
				}
			}
			b.m.Input(b.now, machine.Meta{Link: machine.LinkID(dir), SegSize: int(flags) % 3 * 100}, pkt)
			b.now += 3 * ms
			b.m.Advance(b.now)
			for {
				_, n, ok := b.m.Output(b.now, buf)
				if !ok {
					break
				}
				var got wire.Segment
				if err := got.Parse(buf[:n], false); err == wire.ErrChecksum && !bytes.Equal(buf[:n], pkt) {
					t.Fatalf("packet %d was changed and has a wrong checksum: %x", i, buf[:n])
				}
			}
			if at := b.m.Deadline(); at <= b.now {
				t.Fatalf("deadline %d is not after %d", at, b.now)
			}
		}
	})
}
