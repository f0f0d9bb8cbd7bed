package wire

import (
	"encoding/binary"
	"net/netip"
)

// The subtypes of the MPTCP option (RFC 8684, 8).
const (
	subCapable = iota
	subJoin
	subDSS
	subAddAddr
	subRemoveAddr
	subPrio
	subFail
	subFastClose
	subRst
)

// The flags of DSS and of the other options.
const (
	dssFIN      = 0x10 // F
	dssDSN64    = 0x08 // m
	dssMap      = 0x04 // M
	dssAck64    = 0x02 // a
	dssAck      = 0x01 // A
	flagBackup  = 0x01 // B of MP_JOIN and MP_PRIO
	flagEcho    = 0x01 // E of ADD_ADDR
	flagTransit = 0x01 // T of MP_TCPRST
)

// parseMPTCP reads one MPTCP option; v is what follows kind and length.
func (o *Options) parseMPTCP(v []byte) {
	if len(v) < 1 {
		o.Has |= HasMalformedMPTCP
		return
	}
	ok := true // an unknown subtype is skipped as an unknown kind is
	switch v[0] >> 4 {
	case subCapable:
		ok = o.parseCapable(v)
	case subJoin:
		ok = o.parseJoin(v)
	case subDSS:
		ok = o.parseDSS(v)
	case subAddAddr:
		ok = o.parseAddAddr(v)
	case subRemoveAddr:
		ok = o.parseRemoveAddr(v)
	case subPrio:
		if ok = len(v) == 1; ok {
			o.MPPrio = MPPrio{Backup: v[0]&flagBackup != 0}
			o.Has |= HasMPPrio
		}
	case subFail:
		if ok = len(v) == 10; ok {
			o.MPFail = DSN(binary.BigEndian.Uint64(v[2:]))
			o.Has |= HasMPFail
		}
	case subFastClose:
		if ok = len(v) == 10; ok {
			o.FastClose = binary.BigEndian.Uint64(v[2:])
			o.Has |= HasFastClose
		}
	case subRst:
		if ok = len(v) == 2; ok {
			o.MPTCPRst = MPTCPRst{Transient: v[0]&flagTransit != 0, Reason: RstReason(v[1])}
			o.Has |= HasMPTCPRst
		}
	}
	if !ok {
		o.Has |= HasMalformedMPTCP
	}
}

// parseCapable reads MP_CAPABLE
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1). The form follows from
// the length; whether it is the form that belongs on a SYN, a SYN/ACK, an ACK or
// data is the reader's to judge, as is the version.
func (o *Options) parseCapable(v []byte) bool {
	switch len(v) {
	case 2, 10, 18, 20, 22:
	default:
		return false
	}
	c := &o.MPCapable
	*c = MPCapable{Version: v[0] & 15, Flags: CapableFlags(v[1])}
	if len(v) >= 10 {
		c.NumKeys = 1
		c.SenderKey = binary.BigEndian.Uint64(v[2:])
	}
	if len(v) >= 18 {
		c.NumKeys = 2
		c.ReceiverKey = binary.BigEndian.Uint64(v[10:])
	}
	if len(v) >= 20 {
		c.HasDataLen = true
		c.DataLen = binary.BigEndian.Uint16(v[18:])
	}
	if len(v) >= 22 {
		c.HasChecksum = true
		c.Checksum = binary.BigEndian.Uint16(v[20:])
	}
	o.Has |= HasMPCapable
	return true
}

// parseJoin reads MP_JOIN
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2), whose form follows from
// the length.
func (o *Options) parseJoin(v []byte) bool {
	j := &o.MPJoin
	switch len(v) {
	case 10:
		*j = MPJoin{
			Form:   JoinSYN,
			Backup: v[0]&flagBackup != 0,
			AddrID: v[1],
			Token:  binary.BigEndian.Uint32(v[2:]),
			Nonce:  binary.BigEndian.Uint32(v[6:]),
		}
	case 14:
		*j = MPJoin{
			Form:   JoinSYNACK,
			Backup: v[0]&flagBackup != 0,
			AddrID: v[1],
			Nonce:  binary.BigEndian.Uint32(v[10:]),
		}
		copy(j.HMAC[:8], v[2:])
	case 22:
		*j = MPJoin{Form: JoinACK, HMAC: [20]byte(v[2:])}
	default:
		return false
	}
	o.Has |= HasMPJoin
	return true
}

// parseDSS reads DSS (https://www.rfc-editor.org/rfc/rfc8684#section-3.3): "The
// flags, when set, define the contents of this option"; the checksum is there if
// the length has room for it.
func (o *Options) parseDSS(v []byte) bool {
	if len(v) < 2 {
		return false
	}
	f := v[1]
	ackLen, mapLen := 0, 0
	if f&dssAck != 0 {
		ackLen = 4
		if f&dssAck64 != 0 {
			ackLen = 8
		}
	}
	if f&dssMap != 0 {
		mapLen = 10
		if f&dssDSN64 != 0 {
			mapLen = 14
		}
	}
	want := 2 + ackLen + mapLen
	csum := mapLen > 0 && len(v) == want+2
	if len(v) != want && !csum {
		return false
	}
	d := &o.DSS
	*d = DSS{
		HasAck: ackLen > 0, Ack64: ackLen == 8,
		HasMap: mapLen > 0, DSN64: mapLen == 14,
		HasChecksum: csum,
		DataFIN:     f&dssFIN != 0,
	}
	v = v[2:]
	switch ackLen {
	case 4:
		d.DataAck = DSN(binary.BigEndian.Uint32(v))
	case 8:
		d.DataAck = DSN(binary.BigEndian.Uint64(v))
	}
	if v = v[ackLen:]; mapLen > 0 {
		if d.DSN64 {
			d.DSN = DSN(binary.BigEndian.Uint64(v))
			v = v[8:]
		} else {
			d.DSN = DSN(binary.BigEndian.Uint32(v))
			v = v[4:]
		}
		d.SSN = Seq(binary.BigEndian.Uint32(v))
		d.DataLen = binary.BigEndian.Uint16(v[4:])
		if csum {
			d.Checksum = binary.BigEndian.Uint16(v[6:])
		}
	}
	o.Has |= HasDSS
	return true
}

// parseAddAddr reads ADD_ADDR
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1): IPv4 or IPv6, with or
// without port, and with the HMAC unless it is an echo.
func (o *Options) parseAddAddr(v []byte) bool {
	if len(v) < 2 {
		return false
	}
	a := AddAddr{Echo: v[0]&flagEcho != 0, ID: v[1]}
	v = v[2:]
	rest := len(v)
	if !a.Echo {
		rest -= 8
	}
	switch rest {
	case 4, 6:
		a.Addr = netip.AddrFrom4([4]byte(v))
		v = v[4:]
	case 16, 18:
		a.Addr = netip.AddrFrom16([16]byte(v))
		v = v[16:]
	default:
		return false
	}
	if rest == 6 || rest == 18 {
		a.Port = binary.BigEndian.Uint16(v)
		v = v[2:]
	}
	if !a.Echo {
		a.HMAC = binary.BigEndian.Uint64(v)
	}
	o.AddAddr = a
	o.Has |= HasAddAddr
	return true
}

// parseRemoveAddr reads REMOVE_ADDR
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.2): one address ID or more.
func (o *Options) parseRemoveAddr(v []byte) bool {
	n := len(v) - 1
	if n < 1 || n > len(o.RemoveAddr.IDs) {
		return false
	}
	r := RemoveAddr{Num: n}
	copy(r.IDs[:], v[1:])
	o.RemoveAddr = r
	o.Has |= HasRemoveAddr
	return true
}
