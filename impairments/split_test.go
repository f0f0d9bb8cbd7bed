package impairments

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

func numbers(ds []delivery) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "%d ", d.number)
	}
	return b.String()
}

func equal(a, b []int) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// tcpPacket returns an IPv4 packet with a segment of n bytes.
func tcpPacket(seq, n int) []byte {
	return wire.AppendPacket(nil, &wire.Segment{
		Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.MustParseAddrPort("10.0.0.2:2"),
		TTL: 64, Seq: wire.Seq(seq), Flags: wire.ACK, Payload: bytes.Repeat([]byte{'x'}, n),
	})
}

func seqOf(t *testing.T, pkt []byte) int {
	t.Helper()
	var s wire.Segment
	if err := s.Parse(pkt, false); err != nil {
		t.Fatal(err)
	}
	return int(s.Seq)
}

// Who splits a super-segment keeps CWR on the first and FIN and PSH on the last
// piece; checksums and lengths are right.
func TestSplit(t *testing.T) {
	payload := make([]byte, 3500)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	for _, ends := range [][2]string{{"10.0.0.1:1", "10.0.0.2:2"}, {"[fd00::1]:1", "[fd00::2]:2"}} {
		for name, header := range map[string][]byte{"IP": nil, "Ethernet": bytes.Repeat([]byte{1}, Overhead)} {
			super := wire.AppendPacket(bytes.Clone(header), &wire.Segment{
				Src: netip.MustParseAddrPort(ends[0]), Dst: netip.MustParseAddrPort(ends[1]), TTL: 9,
				Seq: 1<<32 - 100, Flags: wire.ACK | wire.PSH | wire.FIN | wire.CWR, Payload: payload,
			})
			if len(header) > 0 { // Finish is for IP packets
				copy(super[len(header):], ipPart(super[len(header):]))
			}
			w := NewWire(1, "split", [2]Config{{Loss: Loss{Packets: []int{2}}}, {}}, Overhead-len(header))
			w.Input(0, machine.Meta{SegSize: 1000, CsumStart: 34, CsumOffset: 16}, super)
			buf := make([]byte, machine.BufferSize)
			var got []string
			var all []byte
			for {
				m, n, ok := w.Output(0, buf)
				if !ok {
					break
				}
				if m.SegSize != 0 || m.CsumStart != 0 || m.Link != 1 || !bytes.Equal(buf[:len(header)], header) {
					t.Errorf("%s: meta %+v", name, m)
				}
				var s wire.Segment
				if err := s.Parse(buf[len(header):n], false); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(s.Flags, " ", uint32(s.Seq), " ", len(s.Payload)))
				all = append(all, s.Payload...)
			}
			var pieces []string // the second is lost
			for _, p := range []struct {
				f   wire.Flags
				seq uint32
				n   int
			}{{wire.ACK | wire.CWR, 1<<32 - 100, 1000}, {wire.ACK, 1900, 1000}, {wire.ACK | wire.PSH | wire.FIN, 2900, 500}} {
				pieces = append(pieces, fmt.Sprint(p.f, " ", p.seq, " ", p.n))
			}
			if fmt.Sprint(got) != fmt.Sprint(pieces) {
				t.Errorf("%s %s: pieces %v, want %v", name, ends[0], got, pieces)
			}
			if want := append(payload[:1000:1000], payload[2000:]...); !bytes.Equal(all, want) {
				t.Errorf("%s: other bytes came out", name)
			}
			if s := w.Stats(0); s.Lost != 1 || s.Packets != 3 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

// ipPart makes the checksums of an IP packet right.
func ipPart(pkt []byte) []byte {
	wire.Finish(pkt)
	return pkt
}

// A flipped bit must not be healed by a checksum that is completed afterwards.
func TestCorruptCompletesTheChecksum(t *testing.T) {
	pkt := tcpPacket(1, 100)
	want := bytes.Clone(pkt)
	// As a stack that leaves the checksum to its device: the field holds the sum of
	// the pseudo-header.
	sum := ^wire.Checksum(pkt[12:20], uint32(wire.ProtoTCP)+uint32(len(pkt)-20))
	pkt[36], pkt[37] = byte(sum>>8), byte(sum)
	w := NewWire(1, "partial", [2]Config{{Corrupt: Chance{P: 1}}, {}}, Overhead)
	w.Input(0, machine.Meta{CsumStart: 20, CsumOffset: 16}, pkt)
	buf := make([]byte, machine.BufferSize)
	m, n, ok := w.Output(0, buf)
	if !ok || m.CsumStart != 0 || m.CsumOffset != 0 {
		t.Fatalf("%v, meta %+v", ok, m)
	}
	differ := 0
	for i := range want {
		if buf[i] != want[i] {
			differ++
		}
	}
	if n != len(want) || differ != 1 {
		t.Errorf("%d bytes differ from the finished packet, want 1", differ)
	}
}

func FuzzWire(f *testing.F) {
	f.Add(uint64(1), []byte("some packets"), uint8(10), uint64(1_000_000))
	f.Add(uint64(2), tcpPacket(1, 3000), uint8(0x55), uint64(0))
	f.Add(uint64(3), []byte{0x60}, uint8(0xff), uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64, pkt []byte, what uint8, rate uint64) {
		bit := func(n int) float64 { return float64(what>>n&1) / 3 }
		cfg := Config{
			Loss: Loss{Random: Chance{bit(0), 0.2}}, Duplicate: Chance{bit(1), 0}, Corrupt: Chance{bit(2), 0},
			Reorder: Chance{bit(3), 0.5}, Delay: 3_000_000, Jitter: 5_000_000, Distribution: Distribution(what >> 4 & 3),
			InOrder: what&0x40 != 0, Rate: rate, Burst: int(what&0x80) * 20,
		}
		if what&1 != 0 {
			cfg.Loss.Segments = []int{2}
		}
		build := func() machine.Machine {
			w := NewWire(seed, "fuzz", [2]Config{cfg, cfg}, int(what&2)*7)
			w.SetHalfDuplex(what&4 != 0)
			return w
		}
		c := machine.Checked(build())
		r := newRig(t, seed, cfg)
		drain := func() {
			for {
				if _, _, ok := c.Output(r.now, r.buf); !ok {
					break
				}
			}
		}
		in := 0
		for i := range 20 {
			if len(pkt) > 0 && len(pkt) <= machine.BufferSize {
				in++
				c.Input(r.now, machine.Meta{Link: machine.LinkID(i % 2), SegSize: int(what) * 4}, pkt)
			}
			drain()
			r.now = min(c.Deadline(), r.now+ms)
			c.Advance(r.now)
			drain()
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		w := c.Unwrap().(*Wire)
		var total uint64
		for dir := range 2 {
			s, d := w.Stats(dir), &w.dirs[dir]
			inside := uint64(len(d.line.heap) + d.queued + d.ready.n)
			if s.Packets+s.QueueDropped+s.Blackholed+inside+s.Lost < d.arrived ||
				s.Packets+s.QueueDropped+s.Blackholed+inside > d.arrived+s.Duplicated {
				t.Fatalf("packets do not add up: %d arrived, %d inside, %+v", d.arrived, inside, s)
			}
			total += d.arrived
		}
		if total < uint64(in) {
			t.Fatalf("%d packets went in, %d arrived", in, total)
		}
	})
}
