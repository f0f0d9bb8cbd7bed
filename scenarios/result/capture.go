package result

import (
	"encoding/binary"
	"io"
	"sync"

	"mptcplab/mptcp/clock"
)

// The blocks and options of pcapng that are written
// (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html).
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockPacket    = 6
	byteOrderMagic = 0x1A2B3C4D
	linkTypeRaw    = 101 // packets begin with the IP header
	optEnd         = 0
	optIfName      = 2
	optIfTSResol   = 9
	optFlags       = 2
	flagInbound    = 1
	flagOutbound   = 2
)

// Capture writes packets.pcapng: raw IP packets at named interfaces
// ("phone.wifi") with their direction, in nanoseconds since the start of the
// run. It says nothing about the machine that wrote it: equal packets give
// equal bytes. It may be used by several goroutines.
type Capture struct {
	mu     sync.Mutex
	w      io.Writer
	snap   int
	ifaces map[string]uint32
	buf    []byte
}

// NewCapture starts a capture that keeps at most snap octets of a packet.
func NewCapture(w io.Writer, snap int, interfaces []string) *Capture {
	c := &Capture{w: w, snap: snap, ifaces: make(map[string]uint32)}
	c.begin(blockSection)
	c.u32(byteOrderMagic)
	c.u32(1)          // version 1.0
	c.u32(0xFFFFFFFF) // section length: not given
	c.u32(0xFFFFFFFF)
	c.end()
	for _, name := range interfaces {
		c.iface(name)
	}
	return c
}

// Packet writes one packet: out if it leaves the host. An interface that was
// not named before is added.
func (c *Capture) Packet(at clock.Instant, iface string, out bool, ip []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.iface(iface)
	n := min(len(ip), c.snap)
	c.begin(blockPacket)
	c.u32(id)
	c.u32(uint32(uint64(at) >> 32))
	c.u32(uint32(at))
	c.u32(uint32(n))
	c.u32(uint32(len(ip)))
	c.octets(ip[:n])
	c.buf = append(c.buf, optFlags, 0, 4, 0)
	if out {
		c.u32(flagOutbound)
	} else {
		c.u32(flagInbound)
	}
	c.u32(optEnd)
	c.end()
}

// iface returns the number of an interface, which it describes if it is new.
func (c *Capture) iface(name string) uint32 {
	id, ok := c.ifaces[name]
	if ok {
		return id
	}
	id = uint32(len(c.ifaces))
	c.ifaces[name] = id
	c.begin(blockInterface)
	c.buf = append(c.buf, linkTypeRaw, 0, 0, 0)
	c.u32(uint32(c.snap))
	c.buf = append(c.buf, optIfName, 0, byte(len(name)), byte(len(name)>>8))
	c.octets([]byte(name))
	c.buf = append(c.buf, optIfTSResol, 0, 1, 0, 9, 0, 0, 0) // 10^-9 s
	c.u32(optEnd)
	c.end()
	return id
}

func (c *Capture) begin(block uint32) {
	c.buf = c.buf[:0]
	c.u32(block)
	c.u32(0) // the length, known in the end
}

func (c *Capture) u32(v uint32) { c.buf = binary.LittleEndian.AppendUint32(c.buf, v) }

// octets appends b, padded to 32 bits.
func (c *Capture) octets(b []byte) {
	c.buf = append(c.buf, b...)
	for len(c.buf)%4 != 0 {
		c.buf = append(c.buf, 0)
	}
}

func (c *Capture) end() {
	n := uint32(len(c.buf) + 4)
	c.u32(n)
	binary.LittleEndian.PutUint32(c.buf[4:], n)
	c.w.Write(c.buf) //nolint:errcheck // the file keeps the error for Close
}
