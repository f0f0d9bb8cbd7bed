package drill

import (
	"encoding/hex"
	"net/netip"
	"strings"
)

// options parses the list of TCP options.
func (p *parser) options(k *Packet) error {
	line := p.tok.line
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind == tokEllipsis {
		k.AnyOpts = true
		if err := p.advance(); err != nil {
			return err
		}
		return p.expect(">")
	}
	if ok, err := p.accept(">"); ok || err != nil {
		return err
	}
	for {
		o, err := p.option()
		if err != nil {
			return err
		}
		k.Options = append(k.Options, o)
		if len(k.Options) > 40 {
			return p.at(line, "more than 40 octets of options")
		}
		if more, err := p.accept(","); err != nil {
			return err
		} else if !more {
			return p.expect(">")
		}
	}
}

// plainOptions are those without arguments.
var plainOptions = map[string]OptionKind{"nop": OptNOP, "eol": OptEOL, "sackOK": OptSACKOK}

// option parses one option.
func (p *parser) option() (Option, error) {
	o := Option{Line: p.tok.line, DataLen: -1, Backup: -1, AddressID: -1, Rand: -1, Port: -1}
	o.DSS.SSN, o.DSS.DLL = -1, -1
	line := p.tok.line
	name, err := p.word("a TCP option")
	if err != nil {
		return o, err
	}
	if k, ok := plainOptions[name]; ok {
		o.Kind = k
		return o, nil
	}
	switch name {
	case "mss":
		o.Kind = OptMSS
		return o, p.uint32(&o.Val, 65535)
	case "wscale":
		o.Kind = OptWScale
		return o, p.uint32(&o.Val, 255)
	case "TS":
		return o, p.timestamps(&o)
	case "sack":
		return o, p.sack(&o)
	case "FO", "FOEXP", "md5":
		return o, p.cookie(&o, name)
	case "mpcapable":
		return o, p.capable(&o)
	case "dss":
		return o, p.dss(&o)
	case "mp_join_syn", "mp_join_syn_ack", "mp_join_ack":
		return o, p.join(&o, name)
	case "add_address":
		return o, p.addAddress(&o)
	case "remove_address":
		return o, p.removeAddress(&o)
	case "mp_prio":
		o.Kind = OptPrio
		return o, p.attributes(&o)
	case "mp_reset":
		return o, p.reset(&o)
	case "mp_fastclose":
		return o, p.fastClose(&o)
	case "mp_fail":
		return o, p.fail(&o)
	}
	return o, p.at(line, "unknown TCP option %s", name)
}

func (p *parser) uint32(v *uint32, max int64) error {
	n, err := p.number(max)
	*v = uint32(n)
	return err
}

func (p *parser) timestamps(o *Option) error {
	o.Kind = OptTS
	if err := p.expect("val"); err != nil {
		return err
	}
	if err := p.uint32(&o.Val, 1<<32-1); err != nil {
		return err
	}
	if err := p.expect("ecr"); err != nil {
		return err
	}
	return p.uint32(&o.Ecr, 1<<32-1)
}

func (p *parser) sack(o *Option) error {
	o.Kind = OptSACK
	for p.tok.kind == tokInt {
		var b [2]uint32
		if err := p.uint32(&b[0], 1<<32-1); err != nil {
			return err
		}
		if err := p.expect(":"); err != nil {
			return err
		}
		if err := p.uint32(&b[1], 1<<32-1); err != nil {
			return err
		}
		o.Blocks = append(o.Blocks, b)
	}
	if len(o.Blocks) > 4 {
		return p.at(o.Line, "more than four SACK blocks")
	}
	return nil
}

// cookie parses FO, FOEXP and md5: a string of hexadecimal digits, or nothing.
func (p *parser) cookie(o *Option, name string) error {
	o.Kind = map[string]OptionKind{"FO": OptFO, "FOEXP": OptFOExp, "md5": OptMD5}[name]
	switch p.tok.kind {
	case tokWord, tokInt, tokHex:
	default:
		return nil
	}
	text := strings.TrimPrefix(p.tok.text, "0x")
	b, err := hex.DecodeString(text)
	if err != nil || len(b) > 18 {
		return p.at(p.tok.line, "%s is no cookie", p.tok.text)
	}
	o.Cookie = b
	return p.advance()
}

// capable parses what follows mpcapable.
func (p *parser) capable(o *Option) error {
	o.Kind = OptCapable
	v, err := p.word("the version of MPTCP")
	if err != nil {
		return err
	}
	switch v {
	case "v0", "v1":
		o.Version = v[1] - '0'
	default:
		return p.at(o.Line, "unknown version %s", v)
	}
	if err := p.capableFlags(o); err != nil {
		return err
	}
	if ok, err := p.accept("nokey"); err != nil {
		return err
	} else if !ok {
		if err := p.keys(o); err != nil {
			return err
		}
	}
	if ok, err := p.accept("mpcdatalen"); !ok || err != nil {
		return err
	}
	n, err := p.number(65535)
	o.DataLen = int(n)
	return err
}

// capableFlags parses flags[...], flags 0xNN or no_flags.
func (p *parser) capableFlags(o *Option) error {
	if err := p.expect("flags"); err != nil {
		return err
	}
	if ok, err := p.accept("["); err != nil {
		return err
	} else if !ok {
		n, err := p.number(255)
		o.Flags = byte(n)
		return err
	}
	for {
		f, err := p.word("a flag")
		if err != nil {
			return err
		}
		switch {
		case f == "no_flags":
		case len(f) == 6 && strings.HasPrefix(f, "flag_") && f[5] >= 'a' && f[5] <= 'h':
			o.Flags |= 0x80 >> (f[5] - 'a')
		default:
			return p.at(p.tok.line, "unknown flag %s", f)
		}
		if more, err := p.accept(","); err != nil {
			return err
		} else if !more {
			return p.expect("]")
		}
	}
}

// keys parses key[a] or key[a, b].
func (p *parser) keys(o *Option) error {
	if err := p.expect("key"); err != nil {
		return err
	}
	if err := p.expect("["); err != nil {
		return err
	}
	for {
		name, err := p.word("the name of a key")
		if err != nil {
			return err
		}
		k := KeyRef{Name: name}
		if ok, err := p.accept("="); err != nil {
			return err
		} else if ok {
			v, err := p.integer()
			if err != nil {
				return err
			}
			k.Set, k.Val = true, uint64(v)
		}
		o.Keys = append(o.Keys, k)
		if more, err := p.accept(","); err != nil {
			return err
		} else if !more {
			break
		}
	}
	if len(o.Keys) > 2 {
		return p.at(o.Line, "more than two keys")
	}
	return p.expect("]")
}

// dss parses what follows dss.
func (p *parser) dss(o *Option) error {
	o.Kind = OptDSS
	d := &o.DSS
	for p.tok.kind == tokWord {
		name := p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
		var err error
		switch name {
		case "dack4", "dack8":
			d.HasDACK, d.DACK8 = true, name == "dack8"
			d.DACK, err = p.sequenceNumber()
		case "dsn4", "dsn8":
			d.HasDSN, d.DSN8 = true, name == "dsn8"
			d.DSN, err = p.sequenceNumber()
		case "ssn":
			d.SSN, err = p.assigned(1<<32 - 1)
		case "dll":
			d.DLL, err = p.assigned(65535)
		case "cksum":
			d.HasChecksum, d.AutoChecksum = true, true
			if p.tok.is("=") {
				var n int64
				n, err = p.assigned(65535)
				d.Checksum, d.AutoChecksum = uint16(n), false
			}
		case "nocs":
		case "fin":
			d.FIN = true
		default:
			err = p.at(o.Line, "unknown member %s of dss", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// assigned parses =N.
func (p *parser) assigned(max int64) (int64, error) {
	if err := p.expect("="); err != nil {
		return 0, err
	}
	return p.number(max)
}

// sequenceNumber parses the value of a data sequence number: nothing, =N, or a
// hash.
func (p *parser) sequenceNumber() (n Number, err error) {
	if ok, err := p.accept("="); !ok || err != nil {
		return n, err
	}
	n.Given = true
	if p.tok.kind != tokWord {
		v, err := p.integer()
		n.Val = uint64(v)
		return n, err
	}
	name, err := p.word("a number")
	if err != nil {
		return n, err
	}
	switch name {
	case "trunc_r64_hmac", "trunc_r64_hmac_sha256":
	case "trunc_r64_hmac_sha1":
		n.SHA1 = true
	default:
		return n, p.at(p.tok.line, "unknown function %s of a key", name)
	}
	if err = p.expect("("); err != nil {
		return n, err
	}
	n.Hashed = true
	if p.tok.kind == tokWord {
		n.Hash, err = p.word("the name of a key")
	} else {
		var v int64
		v, err = p.integer()
		n.Key = uint64(v)
	}
	if err != nil {
		return n, err
	}
	if err = p.expect(")"); err != nil {
		return n, err
	}
	if ok, err := p.accept("+"); !ok || err != nil {
		return n, err
	}
	v, err := p.integer()
	n.Val = uint64(v)
	return n, err
}

// join parses what follows mp_join_syn, mp_join_syn_ack or mp_join_ack.
func (p *parser) join(o *Option, name string) error {
	o.Kind = map[string]OptionKind{"mp_join_syn": OptJoinSYN, "mp_join_syn_ack": OptJoinSYNACK, "mp_join_ack": OptJoinACK}[name]
	if err := p.attributes(o); err != nil {
		return err
	}
	if o.Kind == OptJoinSYN && o.Token == nil {
		return p.at(o.Line, "mp_join_syn without a token")
	}
	return nil
}

// attributes parses the name=value members of joins, addresses and priorities.
func (p *parser) attributes(o *Option) error {
	for p.tok.kind == tokWord {
		name := p.tok.text
		if name == "addr" {
			var err error
			if o.Addr, err = p.addrRef(); err != nil {
				return err
			}
			continue
		}
		if err := p.advance(); err != nil {
			return err
		}
		if name == "addr_echo" {
			o.Echo = true
			continue
		}
		if err := p.expect("="); err != nil {
			return err
		}
		if err := p.attribute(o, name); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) attribute(o *Option, name string) error {
	var n int64
	var err error
	switch name {
	case "backup":
		n, err = p.number(1)
		o.Backup = int(n)
	case "address_id":
		n, err = p.number(255)
		o.AddressID = int(n)
	case "rand":
		if ok, err := p.accept("auto"); ok || err != nil {
			return err
		}
		o.Rand, err = p.number(1<<32 - 1)
	case "port":
		n, err = p.number(65535)
		o.Port = int(n)
	case "token":
		o.Token, err = p.token()
	case "sender_hmac", "hmac":
		if o.AutoHMAC, err = p.accept("auto"); err == nil && !o.AutoHMAC {
			n, err = p.integer()
			o.HMAC = uint64(n)
		}
	default:
		err = p.at(o.Line, "unknown member %s of an option", name)
	}
	return err
}

// token parses sha256_32(var), sha1_32(var), auto or a number.
func (p *parser) token() (*TokenRef, error) {
	t := &TokenRef{}
	if p.tok.kind != tokWord {
		n, err := p.number(1<<32 - 1)
		t.Val = uint32(n)
		return t, err
	}
	name := p.tok.text
	if err := p.advance(); err != nil {
		return t, err
	}
	switch name {
	case "auto":
		t.Auto = true
		return t, nil
	case "sha256_32", "sha1_32":
		t.SHA1 = name == "sha1_32"
	default:
		return t, p.at(p.tok.line, "unknown token %s", name)
	}
	if err := p.expect("("); err != nil {
		return t, err
	}
	var err error
	if t.Var, err = p.word("the name of a key"); err != nil {
		return t, err
	}
	return t, p.expect(")")
}

// addrRef parses addr[v], addr[v=inet_addr("...")] or addr[v=inet6_addr("...")].
func (p *parser) addrRef() (r AddrRef, err error) {
	if err = p.expect("addr"); err != nil {
		return r, err
	}
	if err = p.expect("["); err != nil {
		return r, err
	}
	if r.Name, err = p.word("the name of an address"); err != nil {
		return r, err
	}
	if ok, err := p.accept("="); err != nil {
		return r, err
	} else if ok {
		if r.Addr, err = p.inetAddr(); err != nil {
			return r, err
		}
	}
	return r, p.expect("]")
}

// inetAddr parses inet_addr("...") or inet6_addr("...").
func (p *parser) inetAddr() (netip.Addr, error) {
	if !p.tok.is("inet_addr") && !p.tok.is("inet6_addr") {
		return netip.Addr{}, p.unexpected("inet_addr or inet6_addr")
	}
	if err := p.advance(); err != nil {
		return netip.Addr{}, err
	}
	if err := p.expect("("); err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(p.tok.text)
	if p.tok.kind != tokString || err != nil || a.Zone() != "" {
		return a, p.unexpected("an address in quotes")
	}
	if err := p.advance(); err != nil {
		return a, err
	}
	return a, p.expect(")")
}

func (p *parser) addAddress(o *Option) error {
	o.Kind = OptAddAddr
	if err := p.attributes(o); err != nil {
		return err
	}
	if o.Addr.Name == "" {
		return p.at(o.Line, "add_address without an address")
	}
	return nil
}

func (p *parser) removeAddress(o *Option) error {
	o.Kind = OptRemoveAddr
	if err := p.expect("address_id"); err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	if err := p.expect("["); err != nil {
		return err
	}
	for {
		n, err := p.number(255)
		if err != nil {
			return err
		}
		o.IDs = append(o.IDs, byte(n))
		if more, err := p.accept(","); err != nil {
			return err
		} else if !more {
			break
		}
	}
	if len(o.IDs) > 37 {
		return p.at(o.Line, "more address ids than an option can hold")
	}
	return p.expect("]")
}

func (p *parser) reset(o *Option) error {
	o.Kind = OptReset
	n, err := p.number(255)
	if err != nil {
		return err
	}
	o.Reason = byte(n)
	if ok, err := p.accept("flags"); !ok || err != nil {
		return err
	}
	if err := p.expect("["); err != nil {
		return err
	}
	if o.Transient, err = p.accept("flag_t"); err != nil {
		return err
	}
	return p.expect("]")
}

func (p *parser) fastClose(o *Option) error {
	o.Kind = OptFastClose
	if p.tok.kind != tokWord {
		return nil
	}
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	n, err := p.integer()
	o.HasKey, o.Key = true, uint64(n)
	return err
}

func (p *parser) fail(o *Option) error {
	o.Kind = OptFail
	if ok, err := p.accept("dsn8"); !ok || err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	n, err := p.integer()
	o.HasDSN, o.DSN = true, uint64(n)
	return err
}
