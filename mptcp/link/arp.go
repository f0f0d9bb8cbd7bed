package link

import (
	"encoding/binary"
	"net/netip"
)

// arpLen is the length of an ARP packet for IPv4 over Ethernet.
const arpLen = 28

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const (
	arpRequest = 1
	arpReply   = 2
)

func appendARP(b []byte, op uint16, srcMAC [6]byte, src netip.Addr, dstMAC [6]byte, dst netip.Addr) []byte {
	b = append(b, 0, 1, typeIPv4>>8, typeIPv4&0xff, 6, 4) // Ethernet, IPv4, their lengths
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, srcMAC[:]...)
	b = append(b, src.AsSlice()...)
	b = append(b, dstMAC[:]...)
	return append(b, dst.AsSlice()...)
}

// askARP asks everybody who has target.
func (i *IP) askARP(src, target netip.Addr) error {
	var b [arpLen]byte
	return i.send(broadcast, appendARP(b[:0], arpRequest, i.mac, src, [6]byte{}, target), typeARP)
}

// arp takes an ARP packet (RFC 826): "?Am I the target protocol address?" If so, the
// sender is noted, and a request answered; otherwise only what we know already is
// brought up to date.
func (i *IP) arp(p []byte) {
	if len(p) < arpLen || binary.BigEndian.Uint16(p) != 1 ||
		binary.BigEndian.Uint16(p[2:]) != typeIPv4 || p[4] != 6 || p[5] != 4 {
		return
	}
	sender, target := netip.AddrFrom4([4]byte(p[14:])), netip.AddrFrom4([4]byte(p[24:]))
	mac := [6]byte(p[8:])
	mine := i.owns(target)
	i.heard(sender, mac, mine)
	if !mine || binary.BigEndian.Uint16(p[6:]) != arpRequest {
		return
	}
	var b [arpLen]byte
	if i.send(mac, appendARP(b[:0], arpReply, i.mac, target, mac, sender), typeARP) != nil {
		i.stats.TxDropped++
	}
}
