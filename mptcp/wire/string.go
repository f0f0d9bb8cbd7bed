package wire

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
)

// String returns the flags as tcpdump prints them: "S.", "P.", "none".
func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	b := make([]byte, 0, 8)
	for _, x := range [...]struct {
		bit  Flags
		char byte
	}{{FIN, 'F'}, {SYN, 'S'}, {RST, 'R'}, {PSH, 'P'}, {ACK, '.'}, {URG, 'U'}, {ECE, 'E'}, {CWR, 'W'}} {
		if f&x.bit != 0 {
			b = append(b, x.char)
		}
	}
	return string(b)
}

// String returns s in one line, in the way of tcpdump with absolute numbers.
func (s *Segment) String() string {
	p := printer{b: make([]byte, 0, 256)}
	p.str("IP ")
	if s.Src.Addr().Is6() {
		p.b = append(p.b[:2], "6 "...)
	}
	p.addr(s.Src)
	p.str(" > ")
	p.addr(s.Dst)
	p.str(": Flags [").str(s.Flags.String()).str("]")
	seq, n := uint64(s.Seq), uint64(len(s.Payload))
	if n > 0 || s.Flags&(SYN|FIN|RST) != 0 {
		p.str(", seq ").dec(seq)
	}
	if n > 0 {
		p.str(":").dec(uint64(s.Seq.Add(int(n))))
	}
	if s.Flags&ACK != 0 {
		p.str(", ack ").dec(uint64(s.Ack))
	}
	p.str(", win ").dec(uint64(s.Window))
	if s.Flags&URG != 0 {
		p.str(", urg ").dec(uint64(s.Urgent))
	}
	if s.Options.Has != 0 {
		p.str(", options [").options(&s.Options)
		p.str("]")
	}
	p.str(", length ").dec(n)
	return string(p.b)
}

// String returns the options in the way of tcpdump, in the order in which
// AppendOptions writes them and without the padding.
func (o *Options) String() string {
	var p printer
	p.options(o)
	return string(p.b)
}

// printer appends to a line.
type printer struct{ b []byte }

func (p *printer) str(s string) *printer {
	p.b = append(p.b, s...)
	return p
}

func (p *printer) dec(n uint64) *printer {
	p.b = strconv.AppendUint(p.b, n, 10)
	return p
}

func (p *printer) hex(n uint64) *printer {
	p.b = strconv.AppendUint(append(p.b, "0x"...), n, 16)
	return p
}

func (p *printer) addr(a netip.AddrPort) *printer {
	p.b = a.Addr().AppendTo(p.b)
	return p.str(".").dec(uint64(a.Port()))
}

// when appends s if cond holds.
func (p *printer) when(cond bool, s string) *printer {
	if cond {
		p.str(s)
	}
	return p
}

// item begins the next option.
func (p *printer) item(s string) *printer {
	if n := len(p.b); n > 0 && p.b[n-1] != '[' {
		p.str(",")
	}
	return p.str(s)
}

func (p *printer) mptcp(n int, name string) *printer {
	return p.item("mptcp ").dec(uint64(n)).str(" ").str(name)
}

func (p *printer) options(o *Options) {
	if o.Has&HasMSS != 0 {
		p.item("mss ").dec(uint64(o.MSS))
	}
	if o.Has&HasSACKPermitted != 0 {
		p.item("sackOK")
	}
	if o.Has&HasTimestamps != 0 {
		p.item("TS val ").dec(uint64(o.TSVal)).str(" ecr ").dec(uint64(o.TSEcr))
	}
	if o.Has&HasWScale != 0 {
		p.item("wscale ").dec(uint64(o.WScale))
	}
	if o.Has&HasSACK != 0 {
		p.item("sack ").dec(uint64(o.NumSACK)).str(" ")
		for _, k := range o.SACK[:o.NumSACK] {
			p.str("{").dec(uint64(k.Left)).str(":").dec(uint64(k.Right)).str("}")
		}
	}
	if o.Has&HasFastOpen != 0 {
		f := &o.FastOpen
		p.item("").when(f.Exp, "exp-").str("tfo ")
		if f.Len == 0 {
			p.str("cookiereq")
		} else {
			p.str("cookie ").str(hex.EncodeToString(f.Cookie[:f.Len]))
		}
	}
	if o.Has&(HasMPTCP|HasMalformedMPTCP) != 0 {
		p.mptcpOptions(o)
	}
}

func (p *printer) mptcpOptions(o *Options) {
	if o.Has&HasMPFail != 0 {
		p.mptcp(12, "fail seq ").dec(uint64(o.MPFail))
	}
	if o.Has&HasDSS != 0 {
		p.dss(&o.DSS)
	}
	if o.Has&HasMPCapable != 0 {
		p.capable(&o.MPCapable)
	}
	if o.Has&HasMPJoin != 0 {
		p.join(&o.MPJoin)
	}
	if o.Has&HasAddAddr != 0 {
		p.addAddr(&o.AddAddr)
	}
	if o.Has&HasMPPrio != 0 {
		p.mptcp(3, "prio ").when(!o.MPPrio.Backup, "non-").str("backup")
	}
	if o.Has&HasRemoveAddr != 0 {
		r := &o.RemoveAddr
		p.mptcp(3+r.Num, "rem-addr id")
		for _, id := range r.IDs[:r.Num] {
			p.str(" ").dec(uint64(id))
		}
	}
	if o.Has&HasFastClose != 0 {
		p.mptcp(12, "fast-close key ").hex(o.FastClose)
	}
	if o.Has&HasMPTCPRst != 0 {
		p.mptcp(4, "tcprst ").str(o.MPTCPRst.Reason.String()).when(o.MPTCPRst.Transient, " transient")
	}
	if o.Has&HasMalformedMPTCP != 0 {
		p.item("mptcp [bad]")
	}
}

func (p *printer) capable(c *MPCapable) {
	n := c.Len()
	if c.HasDataLen && !c.HasChecksum {
		n -= 2
	}
	p.mptcp(n, "capable v").dec(uint64(c.Version))
	p.when(c.Flags&CapChecksum != 0, " csum").when(c.Flags&CapNoJoin != 0, " no-join")
	if c.NumKeys > 0 {
		p.str(" {").hex(c.SenderKey)
		if c.NumKeys > 1 {
			p.str(",").hex(c.ReceiverKey)
		}
		p.str("}")
	}
	if c.HasDataLen {
		p.str(" len ").dec(uint64(c.DataLen))
	}
	if c.HasChecksum {
		p.str(" csum ").hex(uint64(c.Checksum))
	}
}

func (p *printer) join(j *MPJoin) {
	p.mptcp(j.Len(), "join").when(j.Backup, " backup")
	switch j.Form {
	case JoinSYN:
		p.str(" id ").dec(uint64(j.AddrID)).str(" token ").hex(uint64(j.Token)).str(" nonce ").hex(uint64(j.Nonce))
	case JoinSYNACK:
		p.str(" id ").dec(uint64(j.AddrID)).str(" hmac ").hex(binary.BigEndian.Uint64(j.HMAC[:8])).
			str(" nonce ").hex(uint64(j.Nonce))
	default:
		p.str(" hmac 0x").str(hex.EncodeToString(j.HMAC[:]))
	}
}

func (p *printer) dss(d *DSS) {
	n := d.Len()
	if d.HasMap && !d.HasChecksum {
		n -= 2
	}
	p.mptcp(n, "dss").when(d.DataFIN, " fin")
	if d.HasAck {
		p.str(" ack ").dec(uint64(d.DataAck))
	}
	if d.HasMap {
		p.str(" seq ").dec(uint64(d.DSN)).str(" subseq ").dec(uint64(d.SSN)).str(" len ").dec(uint64(d.DataLen))
	}
	if d.HasChecksum {
		p.str(" csum ").hex(uint64(d.Checksum))
	}
}

func (p *printer) addAddr(a *AddAddr) {
	p.mptcp(a.len(), "add-addr v1").when(a.Echo, "-echo").str(" id ").dec(uint64(a.ID)).str(" ")
	p.b = a.Addr.AppendTo(p.b)
	if a.Port != 0 {
		p.str(":").dec(uint64(a.Port))
	}
	if !a.Echo {
		p.str(" hmac ").hex(a.HMAC)
	}
}

var rstReasons = [...]string{
	RstUnspecified: "unspecified",
	RstMPTCP:       "mptcp-error",
	RstResources:   "resources",
	RstProhibited:  "prohibited",
	RstTooMuchData: "too-much-data",
	RstPerformance: "performance",
	RstMiddlebox:   "middlebox",
}

// String returns a short name for r.
func (r RstReason) String() string {
	if int(r) < len(rstReasons) {
		return rstReasons[r]
	}
	return "reason-" + strconv.Itoa(int(r))
}
