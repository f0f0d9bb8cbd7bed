package link

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv6HeaderLen = 40
	protoICMPv6   = 58

	neighbourSolicitation  = 135
	neighbourAdvertisement = 136

	// ndLen is the length of a solicitation or advertisement with one link-layer
	// address option.
	ndLen = 24 + 8

	optionSource = 1
	optionTarget = 2
)

// appendND appends an IPv6 packet with a neighbour solicitation or advertisement
// and the link-layer address option that belongs to it.
func appendND(b []byte, kind, flags byte, src, dst, target netip.Addr, option byte, mac [6]byte) []byte {
	at := len(b)
	b = append(b, 6<<4, 0, 0, 0, 0, ndLen, protoICMPv6, 255)
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	b = append(b, kind, 0, 0, 0, flags, 0, 0, 0)
	b = append(b, target.AsSlice()...)
	b = append(b, option, 1)
	b = append(b, mac[:]...)
	binary.BigEndian.PutUint16(b[at+ipv6HeaderLen+2:], checksumICMPv6(b[at:]))
	return b
}

// checksumICMPv6 returns the checksum for the ICMPv6 message of an IPv6 packet whose
// checksum field is zero, or zero if the field is right.
func checksumICMPv6(p []byte) uint16 {
	sum := uint32(protoICMPv6) + uint32(len(p)-ipv6HeaderLen)
	for b := p[8:]; len(b) > 0; b = b[min(2, len(b)):] {
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		} else {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// askND asks the solicited-node group of target who has it.
// https://www.rfc-editor.org/rfc/rfc4861#section-7.2.2
func (i *IP) askND(src, target netip.Addr) error {
	t := target.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}
	mac := [6]byte{0x33, 0x33, 0xff, t[13], t[14], t[15]}
	var b [ipv6HeaderLen + ndLen]byte
	return i.send(mac, appendND(b[:0], neighbourSolicitation, 0, src, netip.AddrFrom16(group), target,
		optionSource, i.mac), typeIPv6)
}

// discovery deals with p, an IPv6 packet, if it is a neighbour solicitation or
// advertisement, and reports whether it was.
func (i *IP) discovery(p []byte) bool {
	if len(p) < ipv6HeaderLen+24 || p[6] != protoICMPv6 {
		return false
	}
	m := p[ipv6HeaderLen:]
	if m[0] != neighbourSolicitation && m[0] != neighbourAdvertisement {
		return false
	}
	// https://www.rfc-editor.org/rfc/rfc4861#section-7.1.1: "The IP Hop Limit field
	// has a value of 255, i.e., the packet could not possibly have been forwarded by
	// a router."
	if p[7] != 255 || m[1] != 0 || checksumICMPv6(p) != 0 {
		return true
	}
	target := netip.AddrFrom16([16]byte(m[8:]))
	if m[0] == neighbourAdvertisement {
		if mac, ok := linkLayerAddress(m[24:], optionTarget); ok {
			i.heard(target, mac, false)
		}
		return true
	}
	if i.owns(target) {
		i.advertise(p, target)
	}
	return true
}

// advertise answers the solicitation p for target.
func (i *IP) advertise(p []byte, target netip.Addr) {
	src := netip.AddrFrom16([16]byte(p[8:]))
	mac, ok := linkLayerAddress(p[ipv6HeaderLen+24:], optionSource)
	// Without its address, or from the unspecified address (duplicate address
	// detection), the asker can't be answered directly: all nodes are told.
	flags, dst := byte(0x60), src // solicited, override
	if src.IsUnspecified() {
		flags, dst = 0x20, netip.IPv6LinkLocalAllNodes()
	}
	if src.IsUnspecified() || !ok {
		mac = [6]byte{0x33, 0x33, 0, 0, 0, 1}
	} else {
		i.heard(src, mac, true)
	}
	var b [ipv6HeaderLen + ndLen]byte
	if i.send(mac, appendND(b[:0], neighbourAdvertisement, flags, target, dst, target, optionTarget, i.mac),
		typeIPv6) != nil {
		i.stats.TxDropped++
	}
}

// linkLayerAddress finds the option of that type among the options of a message.
func linkLayerAddress(options []byte, kind byte) (mac [6]byte, ok bool) {
	for len(options) >= 8 {
		n := int(options[1]) * 8
		if n == 0 || n > len(options) {
			return mac, false
		}
		if options[0] == kind {
			return [6]byte(options[2:]), true
		}
		options = options[n:]
	}
	return mac, false
}
