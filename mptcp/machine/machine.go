// Package machine defines the one shape of everything that handles packets: a
// host's stack, a wire, a router, a middlebox, a tap. Drivers (virtual time,
// network namespaces, scripts) run machines; a machine does not know which.
//
// The contract, which Check verifies:
//
//  1. One mutation (Input, Advance or an API call; a batch of Inputs counts as
//     one), then Output until it returns false, then Deadline. Only then the
//     next mutation. A driver may stop a drain early for a link that is full: it
//     tells the machine by SetWritable(link, false), goes on with the others and
//     says SetWritable(link, true) later.
//  2. now never decreases. Drivers pass the clock reading, never the deadline.
//     Advance may come early or late.
//  3. After Advance(now) and a complete drain, Deadline() > now: no busy loop.
//  4. Inside there is no goroutine, lock, clock, logger, global randomness, I/O
//     or dependence on map order. Integers; where floating point is unavoidable
//     write float64(x*y)+z, since a fused multiply-add gives other results on
//     other GOAMD64 levels.
//  5. Buffers belong to the driver. Machines copy what they keep.
//  6. Who splits a super-segment keeps CWR on the first and FIN and PSH on the
//     last piece.
package machine

import "mptcplab/mptcp/clock"

// LinkID names one of a machine's links. It is the machine's own number for it:
// a driver knows what is at the other end.
type LinkID int32

// Meta travels with a packet in both directions. A machine that forwards passes
// it on; whoever alters bytes completes the checksum first and clears it.
type Meta struct {
	Link                  LinkID
	SegSize               int    // > 0: a run of TCP segments of SegSize payload bytes (GSO/GRO)
	CsumStart, CsumOffset uint16 // non-zero: the checksum is still to be completed
	CsumOK                bool   // verified by the device; cleared by anything that may have changed a bit
}

// BufferSize is the least size in bytes of the buffer that a driver hands to
// Output: the largest IP packet and headroom.
const BufferSize = 65535 + 256

// Machine is what a driver runs. See the package comment for the contract.
type Machine interface {
	// Input hands over one packet that arrived on m.Link. data is borrowed for
	// the call. Packets are whole IP packets unless the machine says otherwise.
	Input(now clock.Instant, m Meta, data []byte)
	// Advance lets time pass to now.
	Advance(now clock.Instant)
	// Deadline says when Advance is needed next, or clock.Never.
	Deadline() clock.Instant
	// Output writes one packet to the front of buf and returns where it goes and
	// how long it is; false: nothing to send now.
	Output(now clock.Instant, buf []byte) (Meta, int, bool)
	// SetWritable says whether link can take packets. All links start writable.
	SetWritable(link LinkID, ok bool)
}
