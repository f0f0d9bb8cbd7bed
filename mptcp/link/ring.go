package link

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// ringBytes is the size of a receive ring: 4,096 packets of 1,500 bytes, 50 ms
	// at 1 Gbit/s. Unlike a socket's buffer it has no limit for ordinary users.
	ringBytes = 8 << 20
	// ringHeader is where at the latest a frame starts in its slot: tpacket2_hdr,
	// sockaddr_ll, alignment and a link-layer header (TPACKET2_HDRLEN in
	// linux/if_packet.h).
	ringHeader = 96
	// ringBatch is how many packets ReadBatch takes at most.
	ringBatch = 64
	// addressOffset is where the sockaddr_ll stands in a slot.
	addressOffset = 32
)

// ring is a memory-mapped receive ring (TPACKET_V2): the kernel writes each packet
// into the next slot and sets the slot's status; no system call is needed to read.
type ring struct {
	mem   []byte
	slot  int
	slots int
	next  int
}

// newRing maps a ring for packets of at most size bytes on an unbound socket.
func newRing(fd, size int) (*ring, error) {
	slot := 1 << bits.Len(uint(size+ringHeader-1))
	block := max(slot, 1<<16)
	blocks := max(ringBytes, 32*slot) / block
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("TPACKET_V2: %w", err)
	}
	req := unix.TpacketReq{
		Block_size: uint32(block),
		Block_nr:   uint32(blocks),
		Frame_size: uint32(slot),
		Frame_nr:   uint32(blocks * block / slot),
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("receive ring of %d bytes: %w", blocks*block, err)
	}
	mem, err := unix.Mmap(fd, 0, blocks*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("receive ring: %w", err)
	}
	return &ring{mem: mem, slot: slot, slots: int(req.Frame_nr)}, nil
}

// received is a packet in the ring.
type received struct {
	frame    []byte
	whole    bool
	outgoing bool
	at       unix.Timespec // CLOCK_REALTIME
}

// take returns the packet that came first and hasn't been released.
func (r *ring) take() (p received, ok bool) {
	slot := r.mem[r.next*r.slot:][:r.slot]
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
	status := atomic.LoadUint32(&h.Status)
	if status&unix.TP_STATUS_USER == 0 {
		return p, false
	}
	start, end := int(h.Mac), int(h.Mac)+int(h.Snaplen)
	if end > len(slot) { // never, unless the kernel's layout differs
		start, end = 0, 0
	}
	p.frame = slot[start:end]
	p.whole = h.Snaplen == h.Len && end > start
	p.outgoing = slot[addressOffset+10] == unix.PACKET_OUTGOING // sll_pkttype
	p.at = unix.Timespec{Sec: int64(h.Sec), Nsec: int64(h.Nsec)}
	return p, true
}

// release gives the slot of the last taken packet back to the kernel.
func (r *ring) release() {
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.mem[r.next*r.slot]))
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
	r.next++
	if r.next == r.slots {
		r.next = 0
	}
}

func (r *ring) close() { _ = unix.Munmap(r.mem) }
