package wire

import (
	"net/netip"
	"testing"
)

func TestLayout(t *testing.T) {
	for _, src := range []string{"10.0.0.1:1", "[fd00::1]:1"} {
		s := Segment{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(src), Flags: ACK, Payload: []byte("abc")}
		s.Options.Has, s.Options.TSVal = HasTimestamps, 1
		b := AppendPacket(nil, &s)
		l, ok := LayoutOf(append(b, 0, 0)) // link padding
		if !ok || l.End != len(b) || string(b[l.Payload:l.End]) != "abc" || l.Payload-l.TCP != 32 {
			t.Errorf("%s: %+v %v", src, l, ok)
		}
		var kinds []byte
		for rest := l.Options(b); ; {
			kind, n, ok := FirstOption(rest)
			if !ok {
				break
			}
			kinds, rest = append(kinds, kind), rest[n:]
		}
		if string(kinds) != "\x01\x01\x08" {
			t.Errorf("%s: options of kinds %v", src, kinds)
		}
		for name, spoil := range map[string]func(b []byte) []byte{
			"short":       func(b []byte) []byte { return b[:len(b)-1] },
			"data offset": func(b []byte) []byte { b[l.TCP+12] = 0xf0; return b },
			"no TCP": func(b []byte) []byte {
				b[map[bool]int{true: 9, false: 6}[b[0]>>4 == 4]] = ProtoUDP
				return b
			},
		} {
			if l, ok := LayoutOf(spoil(AppendPacket(nil, &s))); ok {
				t.Errorf("%s, %s: %+v", src, name, l)
			}
		}
	}
	for _, area := range [][]byte{nil, {0, 8, 2}, {8}, {8, 1, 0}, {8, 10, 0}} {
		if kind, n, ok := FirstOption(area); ok {
			t.Errorf("%v: option of kind %d and length %d", area, kind, n)
		}
	}
}
