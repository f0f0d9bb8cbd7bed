package drill

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"mptcplab/mptcp/wire"
)

// explain adds both packets to an error.
func (r *run) explain(p *Packet, f *flow, l *live, win window, err error) error {
	return fmt.Errorf("%w\nscript packet: %s\nactual packet: %s", err, r.scriptLine(p, f, win), r.liveLine(f, l))
}

// numbers are those of a packet in the way of scripts.
func numbers(b *strings.Builder, flags wire.Flags, seq uint32, n int, ack uint32, window int) {
	text := flags.String()
	if flags == 0 {
		text = "-"
	}
	fmt.Fprintf(b, "%s %d:%d(%d)", text, seq, seq+uint32(n), n)
	if flags&wire.ACK != 0 {
		fmt.Fprintf(b, " ack %d", ack)
	}
	if window >= 0 {
		fmt.Fprintf(b, " win %d", window)
	}
}

// scriptLine prints what was expected.
func (r *run) scriptLine(p *Packet, f *flow, win window) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10s ", seconds(win.to))
	numbers(&b, p.Flags, uint32(p.Seq), int(p.Len), uint32(p.Ack), p.Window)
	switch {
	case p.AnyOpts:
		b.WriteString(" <...>")
	case len(p.Options) > 0:
		var texts []string
		for i := range p.Options {
			texts = append(texts, r.expected(&p.Options[i], p, f))
		}
		fmt.Fprintf(&b, " <%s>", strings.Join(texts, ","))
	}
	return b.String()
}

// expected prints an option as far as its bytes are known without the stack's.
func (r *run) expected(o *Option, p *Packet, f *flow) string {
	if o.Kind == OptTS {
		return fmt.Sprintf("TS val %d ecr %d", o.Val, o.Ecr)
	}
	keys := r.keys
	r.keys.vars = make(map[string]uint64, len(keys.vars))
	for k := range keys.vars {
		r.keys.vars[k] = keys.vars[k]
	}
	defer func() { r.keys = keys }()
	g := *f
	w, err := r.encode(o, p, &g, nil)
	if err != nil {
		return "?"
	}
	return r.optionText(w.b, f)
}

// liveLine prints what came.
func (r *run) liveLine(f *flow, l *live) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10s ", seconds(l.at))
	s := &l.seg
	seq := r.relative(s.Seq, f.locISN)
	if s.Flags&wire.SYN != 0 {
		seq = 0
	}
	numbers(&b, s.Flags, seq, len(s.Payload), r.relative(s.Ack, f.remISN), int(s.Window))
	if len(l.opts) > 0 {
		var texts []string
		for _, o := range split(l.opts) {
			texts = append(texts, r.optionText(o, f))
		}
		fmt.Fprintf(&b, " <%s>", strings.Join(texts, ","))
	}
	return b.String()
}

// optionText prints one option in bytes.
func (r *run) optionText(o []byte, f *flow) string {
	u32 := func(i int) uint32 { return binary.BigEndian.Uint32(o[i:]) }
	switch {
	case len(o) == 0:
		return ""
	case o[0] == kindEOL:
		return "eol"
	case o[0] == kindNOP:
		return "nop"
	case o[0] == kindMSS && len(o) == 4:
		return fmt.Sprintf("mss %d", binary.BigEndian.Uint16(o[2:]))
	case o[0] == kindWS && len(o) == 3:
		return fmt.Sprintf("wscale %d", o[2])
	case o[0] == kindSOK:
		return "sackOK"
	case o[0] == kindTS && len(o) == 10:
		return fmt.Sprintf("TS val %d ecr %d", u32(2), u32(6))
	case o[0] == kindFO:
		return strings.TrimSpace("FO " + hex.EncodeToString(o[2:]))
	case o[0] == kindSACK && len(o)%8 == 2:
		text := "sack"
		for i := 2; i < len(o); i += 8 {
			text += fmt.Sprintf(" %d:%d", u32(i)-uint32(f.remISN), u32(i+4)-uint32(f.remISN))
		}
		return text
	case o[0] == kindMPTCP:
		var opts wire.Options
		wire.ParseOptions(o, &opts)
		return opts.String()
	}
	return "0x" + hex.EncodeToString(o)
}
