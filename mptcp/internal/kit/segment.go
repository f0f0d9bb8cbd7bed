// Package kit is what the tests of the stack share: segments as one-line
// literals and byte patterns that say where a byte belongs.
package kit

import (
	"fmt"
	"strconv"
	"strings"

	"mptcplab/mptcp/wire"
)

// Literal is a segment as a line of a script, in packetdrill's way and with
// numbers relative to the initial sequence numbers:
//
//	S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>
//	P. 1:1001(1000) ack 1 win 512
//	. 1:1(0) ack 1001 <sack 2001:3001 4001:5001>
//
// What a line does not say (window, options) is not compared by Match.
type Literal struct {
	wire.Segment // Seq, Ack, Flags, Window, Options; Payload has the right length and pattern
	Text         string
	hasWin       bool
	hasOptions   bool
}

// flagLetters are the letters of the control bits, in their order.
const flagLetters = "FSRP.UEW"

// Parse reads a literal.
func Parse(text string) (*Literal, error) {
	l := &Literal{Text: text}
	head, opts, ok := strings.Cut(text, "<")
	if ok {
		l.hasOptions = true
		if err := l.parseOptions(strings.TrimSuffix(strings.TrimSpace(opts), ">")); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}
	f := strings.Fields(head)
	if len(f) < 2 || len(f)%2 != 0 {
		return nil, fmt.Errorf("%q: want FLAGS SEQ:END(LEN) [ack N] [win N] [<options>]", text)
	}
	for _, r := range f[0] {
		i := strings.IndexRune(flagLetters, r)
		if i < 0 {
			return nil, fmt.Errorf("%q: flag %q", text, r)
		}
		l.Flags |= 1 << i
	}
	var seq, end, n int64
	if _, err := fmt.Sscanf(f[1], "%d:%d(%d)", &seq, &end, &n); err != nil || end-seq != n {
		return nil, fmt.Errorf("%q: bad range %s", text, f[1])
	}
	l.Seq = wire.Seq(seq)
	l.Payload = make([]byte, n)
	Fill(l.Payload, l.Seq)
	for i := 2; i < len(f); i += 2 {
		v, err := strconv.ParseInt(f[i+1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		switch f[i] {
		case "ack":
			l.Ack = wire.Seq(v)
		case "win":
			l.Window, l.hasWin = uint16(v), true
		default:
			return nil, fmt.Errorf("%q: what is %s", text, f[i])
		}
	}
	return l, nil
}

func (l *Literal) parseOptions(text string) error {
	o := &l.Options
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			continue
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(item), " ")
		var err error
		switch word {
		case "mss":
			o.Has |= wire.HasMSS
			_, err = fmt.Sscan(rest, &o.MSS)
		case "sackOK":
			o.Has |= wire.HasSACKPermitted
		case "TS":
			o.Has |= wire.HasTimestamps
			_, err = fmt.Sscanf(rest, "val %d ecr %d", &o.TSVal, &o.TSEcr)
		case "wscale":
			o.Has |= wire.HasWScale
			_, err = fmt.Sscan(rest, &o.WScale)
		case "sack":
			o.Has |= wire.HasSACK
			for _, b := range strings.Fields(rest) {
				var left, right uint32
				if _, err = fmt.Sscanf(b, "%d:%d", &left, &right); err != nil {
					return err
				}
				o.SACK[o.NumSACK] = wire.SACKBlock{Left: wire.Seq(left), Right: wire.Seq(right)}
				o.NumSACK++
			}
		default:
			err = fmt.Errorf("unknown option %q", item)
		}
		if err != nil {
			return fmt.Errorf("option %q: %w", item, err)
		}
	}
	return nil
}

// Absolute returns the segment with numbers as on the wire, for a sender whose
// initial sequence number is own and that acknowledges those from peer.
func (l *Literal) Absolute(own, peer wire.Seq) wire.Segment {
	return shift(l.Segment, own, peer)
}

// Relative is the inverse of Absolute.
func Relative(s wire.Segment, own, peer wire.Seq) wire.Segment { return shift(s, -own, -peer) }

func shift(s wire.Segment, own, peer wire.Seq) wire.Segment {
	s.Seq += own
	if s.Flags&wire.ACK != 0 {
		s.Ack += peer
	}
	for i := range s.Options.SACK[:s.Options.NumSACK] {
		s.Options.SACK[i].Left += peer
		s.Options.SACK[i].Right += peer
	}
	return s
}

// Match compares a segment with relative numbers to the literal.
func (l *Literal) Match(s *wire.Segment) error {
	switch {
	case s.Flags != l.Flags, s.Seq != l.Seq, len(s.Payload) != len(l.Payload),
		s.Flags&wire.ACK != 0 && s.Ack != l.Ack,
		l.hasWin && s.Window != l.Window,
		l.hasOptions && s.Options.String() != l.Options.String():
		return fmt.Errorf("got  %s\nwant %s", Format(s), l.Text)
	}
	for i, b := range s.Payload {
		if b != l.Payload[i] {
			return fmt.Errorf("byte %d of %s is wrong", i, l.Text)
		}
	}
	return nil
}

// Format returns s as a literal.
func Format(s *wire.Segment) string {
	t := fmt.Sprintf("%s %d:%d(%d)", s.Flags, int32(s.Seq), int32(s.Seq)+int32(len(s.Payload)), len(s.Payload))
	if s.Flags&wire.ACK != 0 {
		t += fmt.Sprintf(" ack %d", s.Ack)
	}
	return t + fmt.Sprintf(" win %d <%s>", s.Window, s.Options.String())
}
