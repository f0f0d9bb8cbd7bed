package drill

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"mptcplab/mptcp/wire"
)

const ackFlag = wire.ACK

// Subtypes of the MPTCP option (RFC 8684, 3).
const (
	subCapable   = 0
	subJoin      = 1
	subDSS       = 2
	subAddAddr   = 3
	subRemove    = 4
	subPrio      = 5
	subFail      = 6
	subFastClose = 7
	subReset     = 8
)

// encodeMPTCP writes an MPTCP option.
func (r *run) encodeMPTCP(w *builder, o *Option, p *Packet, f *flow) error {
	switch o.Kind {
	case OptCapable:
		return r.encodeCapable(w, o, p)
	case OptDSS:
		return r.encodeDSS(w, o, p, f)
	case OptJoinSYN, OptJoinSYNACK, OptJoinACK:
		return r.encodeJoin(w, o, p, f)
	case OptAddAddr:
		return r.encodeAddAddr(w, o, p, f)
	case OptRemoveAddr:
		w.put(kindMPTCP, byte(3+len(o.IDs)), subRemove<<4)
		for i := len(o.IDs) - 1; i >= 0; i-- {
			w.put(o.IDs[i])
		}
	case OptPrio:
		b := byte(max(o.Backup, 0))
		if o.AddressID >= 0 {
			w.put(kindMPTCP, 4, subPrio<<4|b, byte(o.AddressID))
		} else {
			w.put(kindMPTCP, 3, subPrio<<4|b)
		}
	case OptReset:
		b := byte(subReset << 4)
		if o.Transient {
			b |= 1
		}
		w.put(kindMPTCP, 4, b, o.Reason)
	case OptFastClose:
		w.put(kindMPTCP, 12, subFastClose<<4, 0)
		key := r.keys.sut
		if p.Out {
			key = r.keys.peer
		}
		if o.HasKey {
			key = o.Key
		}
		w.u64(key)
	case OptFail:
		w.put(kindMPTCP, 12, subFail<<4, 0)
		switch {
		case o.HasDSN:
			w.u64(o.DSN)
		case p.Out:
			w.any(8)
		default:
			peer, _ := r.bases(true)
			w.u64(peer + r.keys.sutNext)
		}
	}
	return nil
}

// key returns the value of a key of MP_CAPABLE and binds it if it has none: to
// what the stack sent at offset at, or to a number of ours.
func (r *run) key(k KeyRef, w *builder, out bool, at int) uint64 {
	if k.Set {
		r.keys.vars[k.Name] = bits.ReverseBytes64(k.Val)
	}
	if v, ok := r.keys.vars[k.Name]; ok {
		return v
	}
	v := 0x9E3779B97F4A7C15 * uint64(len(r.keys.vars)+1)
	if out {
		b, ok := w.seen(at, 8)
		if !ok {
			return 0
		}
		v = binary.BigEndian.Uint64(b)
	}
	r.keys.vars[k.Name] = v
	return v
}

func (r *run) encodeCapable(w *builder, o *Option, p *Packet) error {
	n := 4 + 8*len(o.Keys)
	if o.DataLen >= 0 {
		n = 22
	}
	if o.DataLen >= 0 && len(o.Keys) != 2 {
		return fmt.Errorf("mpcdatalen needs two keys")
	}
	w.put(kindMPTCP, byte(n), subCapable<<4|o.Version, o.Flags)
	for i, k := range o.Keys {
		v := r.key(k, w, p.Out, 4+8*i)
		w.u64(v)
		switch {
		case i == 0 && p.Out && !r.keys.hasSUT:
			r.keys.sut, r.keys.hasSUT = v, true
		case i == 0 && !p.Out && !r.keys.hasPeer:
			r.keys.peer, r.keys.hasPeer = v, true
		}
	}
	if o.DataLen >= 0 {
		w.u16(uint16(o.DataLen))
	}
	return nil
}

// bases returns the initial data sequence numbers of the option's sender and of
// its receiver.
func (r *run) bases(out bool) (sender, receiver uint64) {
	peer, sut := uint64(wire.IDSN(r.keys.peer)), uint64(wire.IDSN(r.keys.sut))
	if out {
		return sut, peer
	}
	return peer, sut
}

// sequence writes a data sequence number relative to base; false: the script gives
// no value and none follows from anything.
func (r *run) sequence(w *builder, n Number, eight, out bool, base, auto uint64) {
	size := 4
	if eight {
		size = 8
	}
	if !n.Given && out {
		w.any(size)
		return
	}
	v := base + auto
	if n.Given {
		v = base + n.Val
	}
	if n.Hashed {
		key := bits.ReverseBytes64(n.Key)
		if n.Hash != "" {
			key = r.keys.vars[n.Hash]
		}
		v = uint64(wire.IDSN(key)) + n.Val
		if n.SHA1 {
			sum := sha1.Sum(binary.BigEndian.AppendUint64(nil, key))
			v = binary.BigEndian.Uint64(sum[12:]) + n.Val
		}
	}
	if eight {
		w.u64(v)
	} else {
		w.u32(uint32(v))
	}
}

func (r *run) encodeDSS(w *builder, o *Option, p *Packet, f *flow) error {
	d := &o.DSS
	n, flags := 4, byte(0)
	size := func(has, eight bool, one, two byte) {
		switch {
		case has && eight:
			n, flags = n+8, flags|one|two
		case has:
			n, flags = n+4, flags|one
		}
	}
	size(d.HasDACK, d.DACK8, 1, 2)
	size(d.HasDSN, d.DSN8, 4, 8)
	if d.HasDSN {
		n += 6
		if d.HasChecksum {
			n += 2
		}
	}
	if d.FIN {
		flags |= 0x10
	}
	w.put(kindMPTCP, byte(n), subDSS<<4, flags)
	sender, receiver := r.bases(p.Out)
	if d.HasDACK {
		r.sequence(w, d.DACK, d.DACK8, p.Out, receiver, r.keys.sutNext)
	}
	fin := int64(0)
	if d.FIN {
		fin = 1
	}
	if d.HasDSN {
		r.sequence(w, d.DSN, d.DSN8, p.Out, sender, uint64(f.ssn))
		r.mapping(w, d, p, f, fin)
	}
	if !p.Out {
		f.ssn += uint32(p.Len + fin)
	}
	return nil
}

// mapping writes what follows the data sequence number.
func (r *run) mapping(w *builder, d *DSS, p *Packet, f *flow, fin int64) {
	switch {
	case d.SSN >= 0:
		w.u32(uint32(d.SSN))
	case p.Out:
		w.any(4)
	default:
		w.u32(f.ssn)
	}
	switch {
	case d.DLL >= 0:
		w.u16(uint16(d.DLL))
	case p.Out:
		w.any(2)
	default:
		w.u16(uint16(p.Len + fin))
	}
	switch {
	case d.AutoChecksum:
		dsn, _ := r.bases(p.Out)
		if d.DSN.Given {
			dsn += d.DSN.Val
		} else {
			dsn += uint64(f.ssn)
		}
		ssn, dll := binary.BigEndian.Uint32(w.b[len(w.b)-6:]), binary.BigEndian.Uint16(w.b[len(w.b)-2:])
		w.u16(wire.DSSChecksum(wire.DSN(dsn), wire.Seq(ssn), dll, 0)) // payloads are zeros
	case d.HasChecksum:
		w.u16(d.Checksum)
	}
}

func (r *run) encodeJoin(w *builder, o *Option, p *Packet, f *flow) error {
	backup := byte(max(o.Backup, 0))
	sender, receiver := r.keys.peer, r.keys.sut
	mine, other := &f.remNonce, f.locNonce
	if p.Out {
		sender, receiver = receiver, sender
		mine, other = &f.locNonce, f.remNonce
	}
	nonce := func(at int) {
		switch b, ok := w.seen(at, 4); {
		case p.Out && ok:
			*mine = binary.BigEndian.Uint32(b)
		case o.Rand >= 0:
			*mine = uint32(o.Rand)
		case o.Kind == OptJoinSYN:
			*mine = 42
		default:
			*mine = 0x5EED0000 + uint32(f.remote.Port())
		}
	}
	id := func(checked bool) {
		switch {
		case p.Out && (o.AddressID < 0 || !checked):
			w.any(1)
		case o.AddressID >= 0:
			w.put(byte(o.AddressID))
		default:
			w.put(r.keys.nextPeerID)
		}
	}
	rand := func() {
		if p.Out {
			w.any(4)
		} else {
			w.u32(*mine)
		}
	}
	switch o.Kind {
	case OptJoinSYN:
		w.put(kindMPTCP, 12, subJoin<<4|backup)
		id(true)
		nonce(8)
		token := o.Token.Val
		if o.Token.Auto || o.Token.Var != "" {
			key, ok := r.keys.vars[o.Token.Var]
			if o.Token.Auto {
				key, ok = receiver, true
			}
			if !ok {
				return fmt.Errorf("the key %s has no value yet", o.Token.Var)
			}
			token = wire.Token(key)
			if o.Token.SHA1 { // MPTCP version 0
				sum := sha1.Sum(binary.BigEndian.AppendUint64(nil, key))
				token = binary.BigEndian.Uint32(sum[:])
			}
		}
		w.u32(token)
		rand()
	case OptJoinSYNACK:
		w.put(kindMPTCP, 16, subJoin<<4|backup)
		id(false)
		nonce(12)
		mac := wire.JoinHMAC(sender, receiver, *mine, other)
		r.mac(w, o, mac[:8])
		rand()
	default:
		w.put(kindMPTCP, 24, subJoin<<4, 0)
		mac := wire.JoinHMAC(sender, receiver, *mine, other)
		r.mac(w, o, mac[:])
	}
	return nil
}

// mac writes an HMAC: the right one, or the number that the script gives.
func (r *run) mac(w *builder, o *Option, right []byte) {
	if o.AutoHMAC || o.HMAC == 0 {
		w.put(right...)
		return
	}
	b := make([]byte, len(right))
	binary.BigEndian.PutUint64(b[len(b)-8:], o.HMAC)
	w.put(b...)
}

func (r *run) encodeAddAddr(w *builder, o *Option, p *Packet, f *flow) error {
	v := r.announced(o, p, f, w)
	ip := v.ap.Addr().AsSlice()
	n := 4 + len(ip)
	if o.Port >= 0 {
		n += 2
	}
	echo := byte(1)
	if !o.Echo {
		n, echo = n+8, 0
	}
	w.put(kindMPTCP, byte(n), subAddAddr<<4|echo)
	id := byte(max(o.AddressID, 0))
	switch {
	case o.AddressID >= 0:
		w.put(id)
	case p.Out:
		if b, ok := w.seen(3, 1); ok {
			id = b[0]
		}
		w.any(1)
	default:
		id = byte(max(v.id, 0))
		w.put(id)
	}
	w.put(ip...)
	port := uint16(max(o.Port, 0))
	if o.Port >= 0 {
		w.u16(port)
	}
	if o.Echo {
		return nil
	}
	sender, receiver := r.keys.peer, r.keys.sut
	if p.Out {
		sender, receiver = receiver, sender
	}
	var mac [8]byte
	binary.BigEndian.PutUint64(mac[:], wire.AddAddrHMAC(sender, receiver, id, v.ap.Addr(), port))
	r.mac(w, o, mac[:])
	return nil
}

// announced returns the value of the variable of ADD_ADDR and binds it if it has
// none: to the address that the stack sent, or to a new one of the peer.
func (r *run) announced(o *Option, p *Packet, f *flow, w *builder) address {
	name := o.Addr.Name
	if o.Addr.Addr.IsValid() {
		r.keys.addrs[name] = address{netip.AddrPortFrom(o.Addr.Addr, f.remote.Port()), o.AddressID}
	}
	if v, ok := r.keys.addrs[name]; ok {
		return v
	}
	v := address{id: o.AddressID}
	if p.Out {
		size := 4
		if r.set.mode == IPv6 {
			size = 16
		}
		b, ok := w.seen(4, size)
		if !ok {
			return address{netip.AddrPortFrom(r.set.local.Addr(), 0), -1}
		}
		a, _ := netip.AddrFromSlice(b)
		v.ap = netip.AddrPortFrom(a, f.local.Port())
	} else {
		v.ap = netip.AddrPortFrom(r.newPeerAddr(), f.remote.Port())
		if v.id < 0 {
			v.id = int(r.keys.nextPeerID)
		}
	}
	r.keys.addrs[name] = v
	return v
}
