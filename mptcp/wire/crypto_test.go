package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"testing"
)

// The key and its hash by sha256sum: printf '\x01\x02\x03\x04\x05\x06\x07\x08' | sha256sum.
func TestTokenAndIDSN(t *testing.T) {
	const key = 0x0102030405060708
	// 66840dda154e8a113c31dd0ad32f7f3a366a80e8136979d8f5a101d3d29d6f72
	if got := Token(key); got != 0x66840dda {
		t.Errorf("Token = %#x", got)
	}
	if got := IDSN(key); got != 0xf5a101d3d29d6f72 {
		t.Errorf("IDSN = %#x", got)
	}
}

// handHMAC is RFC 2104 with SHA-256 for keys up to a block, by hand.
func handHMAC(key, msg []byte) [32]byte {
	var inner, outer [64]byte
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	in := sha256.Sum256(append(inner[:], msg...))
	return sha256.Sum256(append(outer[:], in[:]...))
}

func TestHMACs(t *testing.T) {
	// The hand-made one against RFC 4231, test case 2.
	if got := handHMAC([]byte("Jefe"), []byte("what do ya want for nothing?")); binary.BigEndian.Uint64(got[:]) != 0x5bdcc146bf60754e {
		t.Fatalf("handHMAC = %x", got)
	}
	const keyA, keyB = 0x0102030405060708, 0xf1f2f3f4f5f6f7f8
	key := unhex(t, "0102030405060708 f1f2f3f4f5f6f7f8")

	want := handHMAC(key, unhex(t, "aabbccdd 11223344"))
	if got := JoinHMAC(keyA, keyB, 0xaabbccdd, 0x11223344); got != [20]byte(want[:20]) {
		t.Errorf("JoinHMAC = %x, want %x", got, want[:20])
	}
	if JoinHMAC(keyA, keyB, 1, 2) == JoinHMAC(keyB, keyA, 2, 1) {
		t.Error("both ends send the same HMAC")
	}
	for _, c := range []struct {
		addr string
		port uint16
		msg  string
	}{
		{"10.0.2.1", 0, "07 0a000201 0000"},
		{"10.0.2.1", 443, "07 0a000201 01bb"},
		{"2001:db8::1", 0, "07 20010db8000000000000000000000001 0000"},
		{"2001:db8::1", 443, "07 20010db8000000000000000000000001 01bb"},
	} {
		want := handHMAC(key, unhex(t, c.msg))
		if got := AddAddrHMAC(keyA, keyB, 7, netip.MustParseAddr(c.addr), c.port); got != binary.BigEndian.Uint64(want[24:]) {
			t.Errorf("AddAddrHMAC(%s, %d) = %x, want %x", c.addr, c.port, got, want[24:])
		}
	}
}
