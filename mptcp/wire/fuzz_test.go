package wire

import (
	"bytes"
	"testing"
)

// FuzzParse: no packet makes a parser fail in another way than by an error, and
// what parses survives being written and parsed again.
func FuzzParse(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		for _, n := range []int{0, 1, 20} {
			s := sample(v6, n)
			pkt := AppendPacket(nil, &s)
			f.Add(pkt)
			router := router4
			if v6 {
				router = router6
			}
			f.Add(AppendICMPError(nil, router, ICMPTooBig, 1280, pkt))
		}
	}
	for i := range optionCases {
		f.Add(AppendPacket(nil, &Segment{Src: v4a, Dst: v4b, Flags: ACK, TTL: 1, Options: optionCases[i].o}))
	}
	f.Add(appendICMP(nil, v6a.Addr(), v6b.Addr(), icmp6Echo, 0, [4]byte{}, []byte("ping")))
	f.Fuzz(func(t *testing.T, b []byte) {
		Proto(b)
		Addrs(b)
		FlowOf(b)
		var m ICMP
		if m.Parse(b) == nil && m.HasQuote && !m.QuoteSrc.IsValid() {
			t.Errorf("a quote without addresses: %+v", m)
		}
		AppendICMPError(nil, router4, ICMPTooBig, 1280, b)
		AppendICMPError(nil, router6, ICMPTooBig, 1280, b)
		AppendEchoReply(nil, b)
		var s Segment
		if s.Parse(b, true) != nil {
			return
		}
		_ = s.String()
		if s.Options.Len() > maxOptionsLen {
			return // the padding of ours may need more room than the sender's
		}
		var again Segment
		pkt := AppendPacket(nil, &s)
		if err := again.Parse(pkt, false); err != nil {
			t.Fatalf("%v: %x", err, pkt)
		}
		if again.String() != s.String() && s.Options.Has&HasMalformedMPTCP == 0 {
			t.Fatalf("written %v, read %v", &s, &again)
		}
		DecrementTTL(pkt)
		if err := again.Parse(pkt, false); err != nil {
			t.Fatalf("after a hop: %v", err)
		}
	})
}

// FuzzOptions: what parses is written in the length that Len says and reads the
// same again.
func FuzzOptions(f *testing.F) {
	for i := range optionCases {
		f.Add(AppendOptions(nil, &optionCases[i].o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again Options
		ParseOptions(b, &o)
		if o.Has&HasFastOpen != 0 && o.FastOpen.Len > len(o.FastOpen.Cookie) || o.NumSACK > len(o.SACK) {
			t.Fatalf("out of bounds: %+v", o)
		}
		w := AppendOptions(nil, &o)
		if len(w) != o.Len() || len(w)%4 != 0 {
			t.Fatalf("%d octets, Len says %d", len(w), o.Len())
		}
		ParseOptions(w, &again)
		if again.Has != o.Has&^HasMalformedMPTCP {
			t.Fatalf("written %b, read %b", o.Has, again.Has)
		}
		if w2 := AppendOptions(nil, &again); !bytes.Equal(w, w2) {
			t.Fatalf("written %x, then %x", w, w2)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		in := sample(v6, 1400)
		pkt := AppendPacket(nil, &in)
		var s Segment
		if n := testing.AllocsPerRun(100, func() {
			if s.Parse(pkt, false) != nil {
				t.Error("refused")
			}
		}); n != 0 {
			t.Errorf("Parse: %v allocations", n)
		}
		buf := make([]byte, 0, 2000)
		if n := testing.AllocsPerRun(100, func() { AppendPacket(buf, &in) }); n != 0 {
			t.Errorf("AppendPacket: %v allocations", n)
		}
		if n := testing.AllocsPerRun(100, func() { FlowOf(pkt); DecrementTTL(pkt); pkt[7], pkt[8] = 64, 64 }); n != 0 {
			t.Errorf("FlowOf, DecrementTTL: %v allocations", n)
		}
		if n := testing.AllocsPerRun(100, func() { AppendReset(buf, &in, &MPTCPRst{}) }); n != 0 {
			t.Errorf("AppendReset: %v allocations", n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	in := sample(false, 1400)
	pkt := AppendPacket(nil, &in)
	var s Segment
	for b.Loop() {
		if s.Parse(pkt, false) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkParseChecked(b *testing.B) {
	in := sample(false, 1400)
	pkt := AppendPacket(nil, &in)
	var s Segment
	for b.Loop() {
		if s.Parse(pkt, true) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	in := sample(false, 1400)
	buf := make([]byte, 0, 2000)
	for b.Loop() {
		AppendPacket(buf, &in)
	}
}

func BenchmarkAppendHeaders(b *testing.B) {
	in := sample(false, 1400)
	buf := make([]byte, 0, 2000)
	for b.Loop() {
		AppendHeaders(buf, &in, 1400)
	}
}
