// Package netem imposes an impairments.Config on a kernel interface, as the
// kernel's own queueing disciplines netem and TBF.
//
// Plan translates one direction of a link into qdiscs, Tc prints them as tc(8)
// would be told, a Conn installs, changes, reads back and verifies them in the
// network namespace it was opened in. What these qdiscs cannot express is an
// error that names it; package relay can do it then.
//
// The shape of a plan is a root netem with the delay line, the loss and the other
// accidents, and below it, if there is a rate, one qdisc with the rate and the
// queue that waits for it. They are two because netem's limit counts the delay
// line too. Three things follow from the kernel's code (net/sched/sch_netem.c):
//
//   - Jitter that must not reorder needs a rate at the root, since netem keeps its
//     send times in order only then: a dummy one of 100 Gbit/s.
//   - The rate is netem's own where possible. It computes each packet's time from
//     the packet before, so that a timer that fires late costs no throughput; a
//     token bucket that holds one packet loses what it could not save. netem's
//     queue counts packets: bytes and times become full-sized packets. With a
//     burst, or with duplication (newer kernels refuse two netems then), the rate
//     is TBF's and the queue is counted as it was asked.
//   - A reordered packet of netem's skips the delay and the rate of its child. A
//     plan that would let it do so is refused.
//
// A qdisc sees a super-segment (GSO) as one packet; offloads must be off on the
// interface.
package netem

import (
	"fmt"
	"math"
	"time"

	"mptcplab/impairments"
)

// Handle is a qdisc's or a class's number, major<<16 | minor.
type Handle uint32

// Root is the parent of the outermost qdisc of an interface.
const Root Handle = 0xFFFFFFFF

// String returns h as tc prints it, in hexadecimal.
func (h Handle) String() string {
	switch {
	case h == Root:
		return "root"
	case h&0xFFFF == 0:
		return fmt.Sprintf("%x:", uint32(h>>16))
	}
	return fmt.Sprintf("%x:%x", uint32(h>>16), uint32(h&0xFFFF))
}

// Qdisc is one queueing discipline at its place.
type Qdisc struct {
	Parent, Handle Handle
	Options        Options
}

// Options are the parameters of a qdisc: *Netem, *TBF, *FIFO, or *Other for what
// was read and is none of these.
type Options interface {
	// Kind is the kernel's name of the qdisc.
	Kind() string
	// Tc returns the parameters in the words of tc(8).
	Tc() string
	encode() []byte
	differ(got Options) []string
}

// Netem is the qdisc netem. Times have the kernel's resolution of one nanosecond,
// chances of 2^-32, rates of 8 bit/s.
type Netem struct {
	Limit            uint32 // packets in queue and delay line together
	Latency, Jitter  time.Duration
	DelayCorrelation float64
	Distribution     impairments.Distribution // the kernel never tells
	Loss             impairments.Chance       // without GE and FourState
	GE               *impairments.GilbertElliott
	FourState        *impairments.FourState
	Duplicate        impairments.Chance
	Corrupt          impairments.Chance
	Reorder          impairments.Chance
	Gap              uint32
	Rate             uint64 // bit/s; 0: unlimited
	PacketOverhead   int32  // bytes added to each packet for the rate
	CellSize         uint32
	CellOverhead     int32
	ECN              bool
	Slot             *Slot
	Seed             uint64 // of the random numbers; 0: the kernel's choice. Linux 6.6 and newer

	resetTable bool // a table from before must give way to the uniform distribution
	hole       bool // what is queued is lost as well
}

// Slot is netem's slotting, see tc-netem(8).
type Slot struct {
	MinDelay, MaxDelay      time.Duration
	MaxPackets, MaxBytes    int32
	DistDelay, Distribution time.Duration
}

// TBF is the token bucket filter.
type TBF struct {
	Rate  uint64 // bit/s
	Burst uint32 // bytes of the bucket
	Limit uint32 // bytes that wait
}

// FIFO is a queue with tail drop, in packets (pfifo) or bytes (bfifo).
type FIFO struct {
	Bytes bool
	Limit uint32
}

// Other is a qdisc that this package only recognises.
type Other struct{ Name string }

// Kind returns "netem".
func (*Netem) Kind() string { return "netem" }

// Kind returns "tbf".
func (*TBF) Kind() string { return "tbf" }

// Kind returns "pfifo" or "bfifo".
func (f *FIFO) Kind() string {
	if f.Bytes {
		return "bfifo"
	}
	return "pfifo"
}

// Kind returns the name.
func (o *Other) Kind() string { return o.Name }

// probability converts a chance from 0 to 1 to the kernel's 32 bits, as tc does.
func probability(p float64) uint32 { return uint32(math.RoundToEven(p * math.MaxUint32)) }

// chance is the inverse of probability.
func chance(u uint32) float64 { return float64(u) / math.MaxUint32 }
