package drill

import (
	"net/netip"
	"strings"

	"mptcplab/mptcp/wire"
)

// packet parses a packet line from its direction on.
func (p *parser) packet() (*Packet, error) {
	k := &Packet{Line: p.tok.line, Out: p.tok.is(">"), Window: -1, ACE: -1,
		IP: IPInfo{TOS: -1, ECN: -1, TTL: -1, Flow: -1}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.is("[") || p.tok.is("(") {
		if err := p.ipInfo(&k.IP); err != nil {
			return nil, err
		}
	}
	if err := p.tuple(k); err != nil {
		return nil, err
	}
	switch {
	case p.tok.is("icmp"):
		return k, p.icmp(k)
	case p.tok.is("udp"), p.tok.is("gre"), p.tok.is("mpls"), p.tok.is("ipv4"), p.tok.is("ipv6"):
		return nil, p.at(p.tok.line, "%s packets are not supported", p.tok.text)
	}
	return k, p.segment(k)
}

// ipInfo parses what stands in brackets about the IP header.
func (p *parser) ipInfo(ip *IPInfo) error {
	end := "]"
	if p.tok.is("(") {
		end = ")"
	}
	if err := p.advance(); err != nil {
		return err
	}
	for {
		name, err := p.word("a field of the IP header")
		if err != nil {
			return err
		}
		var v int64
		switch name {
		case "tos":
			if v, err = p.number(255); err == nil {
				ip.TOS = int(v)
			}
		case "ttl":
			if v, err = p.number(255); err == nil {
				ip.TTL = int(v)
			}
		case "flowlabel":
			if v, err = p.number(0xFFFFF); err == nil {
				ip.Flow = int(v)
			}
		case "noecn", "ect1", "ect0", "ce":
			ip.ECN = map[string]int{"noecn": 0, "ect1": 1, "ect0": 2, "ce": 3}[name]
		case "ect01":
			ip.AnyECT = true
		default:
			err = p.at(p.tok.line, "unknown field %s of the IP header", name)
		}
		if err != nil {
			return err
		}
		if more, err := p.accept(","); err != nil || !more {
			if err != nil {
				return err
			}
			return p.expect(end)
		}
	}
}

// tuple parses "end > end" if it is there.
func (p *parser) tuple(k *Packet) error {
	if !p.tok.is("addr") && !p.tok.is(">") && p.tok.kind != tokIPv4 && p.tok.kind != tokIPv6 && p.tok.kind != tokInt {
		return nil
	}
	k.HasTuple = true
	var err error
	if k.Src, err = p.end(); err != nil {
		return err
	}
	if err = p.expect(">"); err != nil {
		return err
	}
	k.Dst, err = p.end()
	return err
}

// end parses one end of a tuple; there may be nothing.
func (p *parser) end() (e End, err error) {
	switch {
	case p.tok.is("addr"):
		var ref AddrRef
		if ref, err = p.addrRef(); err == nil {
			e.Var, e.Addr = ref.Name, ref.Addr
		}
		return e, err
	case p.tok.kind == tokIPv4 || p.tok.kind == tokIPv6:
		if e.Addr, err = netip.ParseAddr(p.tok.text); err != nil {
			return e, p.at(p.tok.line, "%s is no address", p.tok.text)
		}
		if err = p.advance(); err != nil {
			return e, err
		}
		if ok, err := p.accept(":"); err != nil || !ok {
			return e, err
		}
		return e, p.port(&e)
	case p.tok.kind == tokInt:
		return e, p.port(&e)
	}
	return e, nil
}

func (p *parser) port(e *End) error {
	v, err := p.number(65535)
	e.Port = uint16(v)
	return err
}

// segment parses flags, numbers and options of a TCP segment.
func (p *parser) segment(k *Packet) error {
	if err := p.flags(k); err != nil {
		return err
	}
	var err error
	if k.Seq, k.Len, err = p.sequence(); err != nil {
		return err
	}
	if err := p.fields(k); err != nil {
		return err
	}
	if !k.Out && k.Window < 0 {
		return p.at(k.Line, "an injected segment needs a window")
	}
	if !p.tok.is("<") {
		return nil
	}
	return p.options(k)
}

// fields parses ack, win and urg.
func (p *parser) fields(k *Packet) error {
	if ok, err := p.accept("ack"); err != nil {
		return err
	} else if ok {
		if k.Ack, err = p.number(1<<32 - 1); err != nil {
			return err
		}
		k.HasAck = true
	}
	if ok, err := p.accept("win"); err != nil {
		return err
	} else if ok {
		v, err := p.number(65535)
		if err != nil {
			return err
		}
		k.Window = int(v)
	}
	if ok, err := p.accept("urg"); err != nil {
		return err
	} else if ok {
		v, err := p.number(65535)
		if err != nil {
			return err
		}
		k.Urgent = uint16(v)
	}
	return nil
}

// flags parses the control bits: letters and a dot without space, or "-".
func (p *parser) flags(k *Packet) error {
	var text strings.Builder
	start := p.tok
	for {
		t := p.tok
		if t.kind != tokWord && !t.is(".") && !t.is("-") {
			break
		}
		text.WriteString(t.text)
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.end-len(p.tok.text) != t.end {
			break // something stands between them
		}
	}
	if text.Len() == 0 {
		return p.unexpected("the flags of a segment")
	}
	if text.String() == "-" {
		return nil
	}
	for _, c := range []byte(text.String()) {
		if isDigit(c) && c < '8' {
			k.ACE = int(c - '0')
			continue
		}
		if c == 'A' {
			k.AE = true
			continue
		}
		i := strings.IndexByte("FSRP.UEW", c)
		if i < 0 {
			return p.at(start.line, "unknown flag %q", c)
		}
		k.Flags |= wire.Flags(1 << i)
	}
	return nil
}

// sequence parses first:last(len).
func (p *parser) sequence() (seq, n int64, err error) {
	line := p.tok.line
	if seq, err = p.number(1<<32 - 1); err != nil {
		return 0, 0, err
	}
	if err = p.expect(":"); err != nil {
		return 0, 0, err
	}
	last, err := p.number(1<<32 - 1)
	if err != nil {
		return 0, 0, err
	}
	if err = p.expect("("); err != nil {
		return 0, 0, err
	}
	if n, err = p.number(1 << 24); err != nil {
		return 0, 0, err
	}
	if uint32(seq+n) != uint32(last) {
		return 0, 0, p.at(line, "%d:%d is not %d bytes", seq, last, n)
	}
	return seq, n, p.expect(")")
}

// icmp parses an ICMP message.
func (p *parser) icmp(k *Packet) error {
	k.ICMP = &ICMP{}
	if err := p.advance(); err != nil {
		return err
	}
	var err error
	if k.ICMP.Type, err = p.word("the type of an ICMP message"); err != nil {
		return err
	}
	if p.tok.kind == tokWord && !p.tok.is("mtu") {
		if k.ICMP.Code, err = p.word("the code of an ICMP message"); err != nil {
			return err
		}
	}
	if ok, err := p.accept("mtu"); err != nil {
		return err
	} else if ok {
		v, err := p.number(65535)
		if err != nil {
			return err
		}
		k.ICMP.MTU = int(v)
	}
	if ok, err := p.accept("["); err != nil || !ok {
		return err
	}
	if k.ICMP.Seq, k.ICMP.Len, err = p.sequence(); err != nil {
		return err
	}
	return p.expect("]")
}
