package kit

import (
	"strings"
	"testing"

	"mptcplab/mptcp/wire"
)

func TestLiteral(t *testing.T) {
	for _, text := range []string{
		"S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>",
		"P. 1:1001(1000) ack 1 win 512 <>",
		". 1:1(0) ack 1001 win 9 <sack 2001:3001 4001:5001>",
		"FP. 5:6(1) ack 7 win 8 <>",
	} {
		l, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		s := Relative(l.Absolute(1<<31, 77), 1<<31, 77)
		if err := l.Match(&s); err != nil {
			t.Errorf("round trip: %v", err)
		}
		s.Window++
		if l.Match(&s) == nil {
			t.Errorf("%s: another window matches", text)
		}
	}
}

func TestLiteralMistakes(t *testing.T) {
	for text, part := range map[string]string{
		"S":                     "want FLAGS",
		"X 0:0(0)":              "flag",
		". 0:1(2) ack 1":        "bad range",
		". 0:0(0) ack x":        "invalid syntax",
		". 0:0(0) foo 1":        "what is foo",
		". 0:0(0) ack 1 <huh>":  "unknown option",
		". 0:0(0) ack 1 <TS 1>": "option",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %v, want %q in it", text, err, part)
		}
	}
}

func TestMatchComparesPayload(t *testing.T) {
	l, err := Parse("P. 1:101(100) ack 1")
	if err != nil {
		t.Fatal(err)
	}
	s := l.Segment
	s.Payload = append([]byte(nil), l.Payload...)
	if err := l.Match(&s); err != nil {
		t.Fatal(err)
	}
	s.Payload[50] ^= 1
	if l.Match(&s) == nil {
		t.Error("a wrong byte matches")
	}
	if Byte(1) == Byte(2) && Byte(2) == Byte(3) {
		t.Error("the pattern is constant")
	}
	var _ wire.Segment = s
}
