// Package link holds the devices through which a real-time driver moves packets:
// AF_PACKET on an interface, as Ethernet frames (Ethernet) or as IP packets with
// neighbour resolution (IP), and a pair of connected pipes for tests.
//
// A device keeps the network namespace in which it was opened: open it there, use
// it anywhere. No call blocks; a driver polls Fd. A device belongs to one driver at
// a time: its methods need outside locking, except that Fd may be polled meanwhile.
package link

import "errors"

var (
	// ErrFull says that the device can't take a packet now. Poll Fd for
	// POLLOUT, then offer the packet again.
	ErrFull = errors.New("link: device full")
	// ErrGone says that the interface under the device doesn't exist any more,
	// or that the device is closed.
	ErrGone = errors.New("link: interface gone")
)

// Device reads and writes whole packets (IP packets or Ethernet frames, which of
// them the device says).
type Device interface {
	// ReadBatch hands packets that wait to deliver, at most one batch of them,
	// and returns how many it took from the device. 0 and a nil error: nothing
	// waits. The data is borrowed for the call. The error is ErrGone or a system
	// call's.
	ReadBatch(deliver func(data []byte)) (n int, err error)
	// Write sends one packet. ErrFull: nothing was sent. A packet that the
	// device had to drop (no buffers, interface down) is counted in Stats and is
	// no error.
	Write(data []byte) error
	// Fd is the descriptor to poll: POLLIN for ReadBatch, POLLOUT after ErrFull.
	Fd() int
	// MTU is the largest IP packet in bytes.
	MTU() int
	// Stats returns what was counted since the device was opened.
	Stats() Stats
	// Close frees the device. Further calls return ErrGone.
	Close() error
}

// Stats counts a device's packets.
type Stats struct {
	RxPackets, TxPackets uint64
	RxDropped            uint64 // arrived while our receive buffer was full, or longer than the MTU
	TxDropped            uint64 // no buffers or interface down
	Unresolved           uint64 // IP only: no route or no neighbour
}
