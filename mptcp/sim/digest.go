package sim

import (
	"hash/crc32"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// digest is the running hash of a run: CRC-32C of each packet, which computers
// have an instruction for, chained with time and place by the finalizer of
// SplitMix64. It tells runs apart; it withstands no attacker.
type digest uint64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newDigest(seed uint64) digest { return digest(0).add(seed) }

func (d digest) add(x uint64) digest {
	z := (uint64(d) ^ x) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return digest(z ^ z>>31)
}

func (d *digest) packet(now clock.Instant, node int, link machine.LinkID, pkt []byte) {
	crc := crc32.Checksum(pkt, castagnoli)
	*d = d.add(uint64(now)).add(uint64(node)<<32 | uint64(uint32(link))).add(uint64(len(pkt))<<32 | uint64(crc))
}

func (d digest) sum() uint64 { return uint64(d) }
