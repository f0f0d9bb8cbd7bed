package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the octets of b to init as the Internet checksum does (RFC 1071):
// the ones' complement sum of big-endian 16-bit words, an odd last octet padded
// with zero on the right. init is an earlier sum; the result fits into 16 bits
// and is not complemented.
func Sum(b []byte, init uint32) uint32 {
	// The sum does not depend on byte order as long as the result is swapped
	// back (RFC 1071, 2(B)), so words are loaded in the machine's order, eight
	// octets at a time (2(C)).
	var acc, carry uint64
	for len(b) >= 64 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[0:8]), 0)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:16]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:24]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:32]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[32:40]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[40:48]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[48:56]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[56:64]), carry)
		acc += carry // cannot overflow: what is left beside a carry is at most 2^64-2
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	var last uint64
	for i := len(b) - 1; i >= 0; i-- {
		last = last<<8 | uint64(b[i])
	}
	acc, carry = bits.Add64(acc, last, 0)
	acc += carry

	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	folded := fold(uint32(acc))
	return uint32(fold(uint32(bits.ReverseBytes16(folded)) + uint32(fold(init))))
}

// fold reduces a sum to 16 bits.
func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum&0xffff)
}

// Checksum returns the Internet checksum of b (RFC 1071): the complement of Sum.
// Over data that contain a correct checksum it is 0.
func Checksum(b []byte, init uint32) uint16 { return ^uint16(Sum(b, init)) }

// CombineSum adds to sum the Sum of a block that starts offset octets after the
// start of what sum covers: at an odd offset its octets count in the other half
// of the words.
func CombineSum(sum, block uint32, offset int) uint32 {
	f := fold(block)
	if offset&1 != 0 {
		f = bits.ReverseBytes16(f)
	}
	return uint32(fold(uint32(fold(sum)) + uint32(f)))
}

// PayloadSum sums octets that come in pieces of any length. The zero value is
// an empty sum.
type PayloadSum struct {
	sum uint32
	n   int
}

// Add appends b to what is summed.
func (p *PayloadSum) Add(b []byte) {
	p.sum = CombineSum(p.sum, Sum(b, 0), p.n)
	p.n += len(b)
}

// Len returns how many octets were added.
func (p *PayloadSum) Len() int { return p.n }

// Sum returns the sum so far, for DSSChecksum.
func (p *PayloadSum) Sum() uint32 { return p.sum }

// DSSChecksum returns the checksum of a mapping whose payload has the given Sum.
//
// "The checksum algorithm used is the standard TCP checksum [...], operating over the
// data covered by this mapping, along with a pseudo-header": the 64-bit DSN,
// "irrespective of what length is used in the DSS option itself", the relative
// subflow sequence number and the data-level length, a DATA_FIN counted
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1). MP_CAPABLE with data
// uses it with DSN IDSN+1 and ssn 1.
func DSSChecksum(dsn DSN, ssn Seq, dataLen uint16, payloadSum uint32) uint16 {
	var p [16]byte // the last two octets are the zeros in place of the checksum
	binary.BigEndian.PutUint64(p[0:], uint64(dsn))
	binary.BigEndian.PutUint32(p[8:], uint32(ssn))
	binary.BigEndian.PutUint16(p[12:], dataLen)
	return Checksum(p[:], payloadSum)
}

// VerifyDSSChecksum reports whether checksum is right for the mapping. It is a
// comparison in ones' complement, where 0 and 0xffff are the same.
func VerifyDSSChecksum(dsn DSN, ssn Seq, dataLen uint16, payloadSum uint32, checksum uint16) bool {
	want := DSSChecksum(dsn, ssn, dataLen, payloadSum)
	return fold(uint32(^want)+uint32(checksum)) == 0xffff
}

// replaceWord updates checksum c for a 16-bit word that changes from was to is
// (RFC 1624, equation 3).
func replaceWord(c, was, is uint16) uint16 {
	return ^fold(uint32(^c) + uint32(^was) + uint32(is))
}
