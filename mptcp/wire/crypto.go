package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// Token returns the token of the connection whose receiver has this key.
//
// "the token MUST be a truncated (most significant 32 bits) SHA-256 hash [...] of
// the key", "the key MUST be hashed in network byte order"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func Token(key uint64) uint32 {
	h := hashKey(key)
	return binary.BigEndian.Uint32(h[:4])
}

// IDSN returns the initial data sequence number of the end with this key.
//
// "A different, 64-bit truncation (the least significant 64 bits) of the SHA-256
// hash of the key MUST be used as the IDSN"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func IDSN(key uint64) DSN {
	h := hashKey(key)
	return DSN(binary.BigEndian.Uint64(h[24:]))
}

func hashKey(key uint64) [sha256.Size]byte {
	var k [8]byte
	binary.BigEndian.PutUint64(k[:], key)
	return sha256.Sum256(k[:])
}

// HMAC returns HMAC-SHA256 of msg with the two keys, one after the other, as its
// key (RFC 2104).
func HMAC(keyA, keyB uint64, msg []byte) (mac [sha256.Size]byte) {
	var k [16]byte
	binary.BigEndian.PutUint64(k[:], keyA)
	binary.BigEndian.PutUint64(k[8:], keyB)
	h := hmac.New(sha256.New, k[:])
	h.Write(msg)
	h.Sum(mac[:0])
	return mac
}

// JoinHMAC returns the HMAC that the end with keyLocal sends in MP_JOIN: all of
// it in the ACK, its first eight octets in the SYN/ACK. The receiver computes it
// with its own key and nonce as the remote ones.
//
// "HMAC-A = HMAC(Key=(Key-A + Key-B), Msg=(R-A + R-B))", "the output is truncated
// to the leftmost 160 bits (20 octets)"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func JoinHMAC(keyLocal, keyRemote uint64, nonceLocal, nonceRemote uint32) [20]byte {
	var m [8]byte
	binary.BigEndian.PutUint32(m[:], nonceLocal)
	binary.BigEndian.PutUint32(m[4:], nonceRemote)
	mac := HMAC(keyLocal, keyRemote, m[:])
	return [20]byte(mac[:20])
}

// AddAddrHMAC returns the HMAC of an ADD_ADDR that the end with keyLocal sends.
//
// "The Truncated HMAC parameter present in this option is the rightmost 64 bits of
// an HMAC", "If the port is not present in the ADD_ADDR option, the HMAC message
// will nevertheless include 2 octets of value zero"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1).
func AddAddrHMAC(keyLocal, keyRemote uint64, id uint8, addr netip.Addr, port uint16) uint64 {
	m := make([]byte, 0, 1+16+2)
	m = append(m, id)
	if addr.Is4() {
		ip := addr.As4()
		m = append(m, ip[:]...)
	} else {
		ip := addr.As16()
		m = append(m, ip[:]...)
	}
	m = binary.BigEndian.AppendUint16(m, port)
	mac := HMAC(keyLocal, keyRemote, m)
	return binary.BigEndian.Uint64(mac[24:])
}
