package kit

import "mptcplab/mptcp/wire"

// Byte returns the byte that belongs at seq: neighbours and multiples of usual
// sizes differ.
func Byte(seq wire.Seq) byte {
	x := uint32(seq) * 2654435761
	return byte(x>>24 ^ x>>11)
}

// Fill writes the pattern that starts at seq.
func Fill(b []byte, seq wire.Seq) {
	for i := range b {
		b[i] = Byte(seq.Add(i))
	}
}
