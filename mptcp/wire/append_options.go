package wire

import "encoding/binary"

// AppendOptions appends the options of o as they stand in a TCP header. Order
// and padding are Linux's, so that captures compare: each block fills a multiple
// of four octets, with NOPs before TCP's options and behind those of MPTCP.
func AppendOptions(b []byte, o *Options) []byte {
	const tcp = HasMSS | HasSACKPermitted | HasTimestamps | HasWScale | HasSACK | HasFastOpen
	if o.Has&tcp == HasTimestamps {
		b = appendTimestamps(b, o)
	} else if o.Has&tcp != 0 {
		b = appendTCP(b, o)
	}
	if o.Has&HasMPTCP != 0 {
		b = appendMPTCP(b, o)
	}
	return b
}

func appendTimestamps(b []byte, o *Options) []byte {
	b = append(b, kindNOP, kindNOP, kindTimestamps, 10)
	b = binary.BigEndian.AppendUint32(b, o.TSVal)
	return binary.BigEndian.AppendUint32(b, o.TSEcr)
}

func appendTCP(b []byte, o *Options) []byte {
	if o.Has&HasMSS != 0 {
		b = append(b, kindMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	switch {
	case o.Has&(HasTimestamps|HasSACKPermitted) == HasTimestamps|HasSACKPermitted:
		b = append(b, kindSACKPermitted, 2, kindTimestamps, 10)
		b = binary.BigEndian.AppendUint32(b, o.TSVal)
		b = binary.BigEndian.AppendUint32(b, o.TSEcr)
	case o.Has&HasTimestamps != 0:
		b = appendTimestamps(b, o)
	case o.Has&HasSACKPermitted != 0:
		b = append(b, kindNOP, kindNOP, kindSACKPermitted, 2)
	}
	if o.Has&HasWScale != 0 {
		b = append(b, kindNOP, kindWScale, 3, o.WScale)
	}
	if o.Has&HasSACK != 0 && o.NumSACK > 0 {
		b = append(b, kindNOP, kindNOP, kindSACK, byte(2+8*o.NumSACK))
		for i := range o.SACK[:o.NumSACK] {
			b = binary.BigEndian.AppendUint32(b, uint32(o.SACK[i].Left))
			b = binary.BigEndian.AppendUint32(b, uint32(o.SACK[i].Right))
		}
	}
	if o.Has&HasFastOpen != 0 {
		f := &o.FastOpen
		if f.Exp {
			b = append(b, kindExperimental, byte(4+f.Len), fastOpenMagic>>8, fastOpenMagic&0xff)
		} else {
			b = append(b, kindFastOpen, byte(2+f.Len))
		}
		b = append(b, f.Cookie[:f.Len]...)
		if !f.Exp && f.Len%4 == 0 || f.Exp && f.Len%4 == 2 {
			b = append(b, kindNOP, kindNOP)
		}
	}
	return b
}

// appendMPTCP appends the MPTCP options: MP_FAIL before DSS, MP_PRIO before
// REMOVE_ADDR and MP_FASTCLOSE before MP_TCPRST, as Linux does.
func appendMPTCP(b []byte, o *Options) []byte {
	if o.Has&HasMPFail != 0 {
		b = append(b, kindMPTCP, 12, subFail<<4, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(o.MPFail))
	}
	if o.Has&HasDSS != 0 {
		b = appendDSS(b, &o.DSS)
	}
	if o.Has&^HasDSS&HasMPTCP == 0 {
		return b
	}
	if o.Has&HasMPCapable != 0 {
		b = appendCapable(b, &o.MPCapable)
	}
	if o.Has&HasMPJoin != 0 {
		b = appendJoin(b, &o.MPJoin)
	}
	if o.Has&HasAddAddr != 0 {
		b = appendAddAddr(b, &o.AddAddr)
	}
	if o.Has&HasMPPrio != 0 {
		b = append(b, kindMPTCP, 3, subPrio<<4|bit(o.MPPrio.Backup, flagBackup), kindNOP)
	}
	if o.Has&HasRemoveAddr != 0 {
		r := &o.RemoveAddr
		b = append(b, kindMPTCP, byte(3+r.Num), subRemoveAddr<<4)
		b = append(b, r.IDs[:r.Num]...)
		b = pad(b, 3+r.Num)
	}
	if o.Has&HasFastClose != 0 {
		b = append(b, kindMPTCP, 12, subFastClose<<4, 0)
		b = binary.BigEndian.AppendUint64(b, o.FastClose)
	}
	if o.Has&HasMPTCPRst != 0 {
		b = append(b, kindMPTCP, 4, subRst<<4|bit(o.MPTCPRst.Transient, flagTransit), byte(o.MPTCPRst.Reason))
	}
	return b
}

func appendDSS(b []byte, d *DSS) []byte {
	f := bit(d.DataFIN, dssFIN)
	n := 4
	if d.HasAck {
		f |= dssAck
		n += 4
		if d.Ack64 {
			f |= dssAck64
			n += 4
		}
	}
	if d.HasMap {
		f |= dssMap
		n += 10
		if d.DSN64 {
			f |= dssDSN64
			n += 4
		}
		if d.HasChecksum {
			n += 2
		}
	}
	b = append(b, kindMPTCP, byte(n), subDSS<<4, f)
	switch {
	case d.HasAck && d.Ack64:
		b = binary.BigEndian.AppendUint64(b, uint64(d.DataAck))
	case d.HasAck:
		b = binary.BigEndian.AppendUint32(b, uint32(d.DataAck))
	}
	if !d.HasMap {
		return b
	}
	if d.DSN64 {
		b = binary.BigEndian.AppendUint64(b, uint64(d.DSN))
	} else {
		b = binary.BigEndian.AppendUint32(b, uint32(d.DSN))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(d.SSN))
	b = append(b, byte(d.DataLen>>8), byte(d.DataLen))
	if d.HasChecksum {
		return append(b, byte(d.Checksum>>8), byte(d.Checksum))
	}
	return append(b, kindNOP, kindNOP)
}

func appendCapable(b []byte, c *MPCapable) []byte {
	n := c.Len()
	if c.HasDataLen && !c.HasChecksum {
		n -= 2
	}
	b = append(b, kindMPTCP, byte(n), subCapable<<4|c.Version&15, byte(c.Flags))
	if n >= 12 {
		b = binary.BigEndian.AppendUint64(b, c.SenderKey)
	}
	if n >= 20 {
		b = binary.BigEndian.AppendUint64(b, c.ReceiverKey)
	}
	if !c.HasDataLen {
		return b
	}
	b = append(b, byte(c.DataLen>>8), byte(c.DataLen))
	if c.HasChecksum {
		return append(b, byte(c.Checksum>>8), byte(c.Checksum))
	}
	return append(b, kindNOP, kindNOP)
}

func appendJoin(b []byte, j *MPJoin) []byte {
	first := subJoin<<4 | bit(j.Backup, flagBackup)
	switch j.Form {
	case JoinSYN:
		b = append(b, kindMPTCP, 12, first, j.AddrID)
		b = binary.BigEndian.AppendUint32(b, j.Token)
		return binary.BigEndian.AppendUint32(b, j.Nonce)
	case JoinSYNACK:
		b = append(b, kindMPTCP, 16, first, j.AddrID)
		b = append(b, j.HMAC[:8]...)
		return binary.BigEndian.AppendUint32(b, j.Nonce)
	}
	b = append(b, kindMPTCP, 24, subJoin<<4, 0)
	return append(b, j.HMAC[:]...)
}

func appendAddAddr(b []byte, a *AddAddr) []byte {
	n := a.len()
	b = append(b, kindMPTCP, byte(n), subAddAddr<<4|bit(a.Echo, flagEcho), a.ID)
	if a.Addr.Is4() {
		ip := a.Addr.As4()
		b = append(b, ip[:]...)
	} else {
		ip := a.Addr.As16()
		b = append(b, ip[:]...)
	}
	if a.Port != 0 {
		b = append(b, byte(a.Port>>8), byte(a.Port))
	}
	if !a.Echo {
		b = binary.BigEndian.AppendUint64(b, a.HMAC)
	}
	return pad(b, n)
}

// pad appends NOPs behind an option of n octets, to a multiple of four.
func pad(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, kindNOP)
	}
	return b
}

func bit(set bool, mask byte) byte {
	if set {
		return mask
	}
	return 0
}
