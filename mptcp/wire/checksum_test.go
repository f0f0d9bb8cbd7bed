package wire

import (
	"encoding/binary"
	"math/rand"
	"testing"
)

// slowSum is RFC 1071, 4.1, word for word.
func slowSum(b []byte, sum uint32) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
		sum = sum>>16 + sum&0xffff
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	return sum>>16 + sum&0xffff
}

// same compares in ones' complement: zero has two forms.
func same(a, b uint32) bool { return a%0xffff == b%0xffff && (a == 0) == (b == 0) }

func TestSum(t *testing.T) {
	// The example of RFC 1071, 3: "ddf2".
	if s := Sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0); s != 0xddf2 {
		t.Errorf("Sum = %x, want ddf2", s)
	}
	r := rand.New(rand.NewSource(1))
	buf := make([]byte, 3000)
	for i := range 2000 {
		b := buf[:r.Intn(len(buf))]
		r.Read(b)
		switch i % 5 {
		case 0: // carries everywhere
			for j := range b {
				b[j] = 0xff
			}
		case 1:
			clear(b)
		}
		init := uint32(r.Intn(1 << 17))
		got, want := Sum(b, init), slowSum(b, init>>16+init&0xffff)
		if got > 0xffff || !same(got, want) {
			t.Fatalf("Sum of %d octets from %x = %x, want %x", len(b), init, got, want)
		}
	}
}

func TestPayloadSum(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	b := make([]byte, 5000)
	r.Read(b)
	for range 200 {
		var p PayloadSum
		for rest := b; len(rest) > 0; {
			n := min(len(rest), r.Intn(700))
			p.Add(rest[:n])
			rest = rest[n:]
		}
		if !same(p.Sum(), Sum(b, 0)) || p.Len() != len(b) {
			t.Fatalf("in pieces %x of %d octets, at once %x", p.Sum(), p.Len(), Sum(b, 0))
		}
	}
}

func TestDSSChecksum(t *testing.T) {
	// The pseudo-header of RFC 8684, figure 10, and the data, in one piece.
	data := []byte("hello, world!")
	dsn, ssn := DSN(0x0102030405060708), Seq(0xa0b0c0d0)
	whole := []byte{1, 2, 3, 4, 5, 6, 7, 8, 0xa0, 0xb0, 0xc0, 0xd0, 0, byte(len(data)), 0, 0}
	whole = append(whole, data...)
	want := ^uint16(slowSum(whole, 0))
	got := DSSChecksum(dsn, ssn, uint16(len(data)), Sum(data, 0))
	if got != want {
		t.Errorf("DSSChecksum = %x, want %x", got, want)
	}
	if !VerifyDSSChecksum(dsn, ssn, uint16(len(data)), Sum(data, 0), got) {
		t.Error("the right checksum is refused")
	}
	if VerifyDSSChecksum(dsn, ssn, uint16(len(data)), Sum(data, 0), got+1) {
		t.Error("a wrong checksum is accepted")
	}
	// A lone DATA_FIN: "The checksum in this case will only cover the
	// pseudo-header" (RFC 8684, 3.3.3).
	if got, want := DSSChecksum(5, 0, 1, 0), ^uint16(6); got != want {
		t.Errorf("DATA_FIN: %x, want %x", got, want)
	}
	// A sum of 0xffff gives 0; the peer may write it as 0xffff.
	if !VerifyDSSChecksum(0xffff, 0, 0, 0, 0) || !VerifyDSSChecksum(0xffff, 0, 0, 0, 0xffff) {
		t.Error("both forms of zero are the same checksum")
	}
}

func BenchmarkSum(b *testing.B) {
	buf := make([]byte, 1448)
	var sum uint32
	for b.Loop() {
		sum = Sum(buf, sum)
	}
}
