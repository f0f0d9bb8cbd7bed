package link

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2); Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// batch is a set of receive buffers for one recvmmsg(2).
type batch struct {
	hdrs []mmsghdr
	iovs []unix.Iovec
	size int
	mem  []byte
}

// newBatch returns buffers for packets of at most size bytes: up to 64 of them and
// about a megabyte.
func newBatch(size int) *batch {
	n := min(64, max(8, 1<<20/size))
	b := &batch{
		hdrs: make([]mmsghdr, n),
		iovs: make([]unix.Iovec, n),
		size: size,
		mem:  make([]byte, n*size),
	}
	for i := range n {
		b.iovs[i].Base = &b.mem[i*size]
		b.iovs[i].SetLen(size)
		b.hdrs[i].hdr.Iov = &b.iovs[i]
		b.hdrs[i].hdr.SetIovlen(1)
	}
	return b
}

// receive fills the batch from fd without blocking and returns how many packets
// arrived; errno is 0 if at least one did.
func (b *batch) receive(fd int) (n int, errno unix.Errno) {
	r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[0])),
		uintptr(len(b.hdrs)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// packet returns packet i of the last receive; whole is false if it was longer than
// its buffer.
func (b *batch) packet(i int) (data []byte, whole bool) {
	h := &b.hdrs[i]
	return b.mem[i*b.size : i*b.size+int(h.len)], h.hdr.Flags&unix.MSG_TRUNC == 0
}
