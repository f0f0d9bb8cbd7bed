// Package impairments describes how one direction of a link behaves (rate,
// queue, delay, jitter, loss, reordering, duplication, corruption, outage) and
// holds Wire, the machine that does it, in virtual time and in the relay alike.
// Beside it stands Middlebox, which looks into packets and applies rules to them, and
// Link, a wire with the middleboxes on it.
package impairments

import "time"

// Config is the behaviour of one direction of a link; the zero value is a
// perfect wire. The stages stand in netem's order: duplicate, loss, corrupt,
// delay with jitter and reordering, then queue and rate.
type Config struct {
	Duplicate Chance
	Loss      Loss
	Corrupt   Chance // one bit of the packet is flipped
	Reorder   Chance // netem's: the packet skips the delay
	Gap       int    // netem's gap for Reorder: only every Gap-th packet; 0: every packet may

	Delay        time.Duration // one way
	Jitter       time.Duration
	Distribution Distribution
	InOrder      bool // jitter does not reorder

	Rate  uint64 // bit/s; 0: unlimited
	Burst int    // bytes of a token bucket; 0: exact for each packet
	Queue Queue  // what waits for the rate
	AQM   AQM    // how it waits
	ECN   bool   // AQM marks packets that allow it, instead of dropping them
	// PathRTT is the longest round trip without queueing of the paths that use the
	// link; the default queue is a bandwidth-delay product of it. 0: the link's own.
	PathRTT time.Duration
	Limit   int // netem's: packets in queue and delay line together; 0: none. Not with Queue

	Blackhole bool // nothing comes out, what is under way is lost, nobody is told
}

// Chance is the probability (0 to 1) that a packet meets something, with
// netem's correlation (0 to 1) to the draw before.
type Chance struct{ P, Correlation float64 }

// Loss says which packets are lost. At most one model is used.
type Loss struct {
	Random   Chance
	GE       *GilbertElliott
	State    *FourState
	Packets  []int // these packets of the direction, counted from 1
	Segments []int // these TCP segments with payload, counted from 1
}

// GilbertElliott is the model of tc-netem(8): probabilities from 0 to 1. P: good
// to bad, R: bad to good, LossBad (1-h), LossGood (1-k).
type GilbertElliott struct{ P, R, LossBad, LossGood float64 }

// FourState is the loss model "state" of tc-netem(8): probabilities from 0 to 1 to go
// from one state to another. 1: good reception within a gap, 2: good reception within a
// burst of losses, 3: losses within a burst, 4: a lone loss within a gap.
type FourState struct{ P13, P31, P32, P23, P14 float64 }

// Distribution is the distribution of the jitter.
type Distribution uint8

// The distributions, in tc's words.
const (
	Uniform Distribution = iota
	Normal
	Pareto
	ParetoNormal
)

// Queue bounds what waits for the rate. At most one field is set; all zero is the
// default: one bandwidth-delay product of Config.PathRTT and at least 20 packets of
// 1,500 bytes; with an AQM what tc gives it, and RED four of those products.
type Queue struct {
	Time    time.Duration
	Packets int
	Bytes   int
}

// Overhead is the length in bytes of the Ethernet header that qdiscs on veth
// count for the rate and that IP packets in virtual time lack.
const Overhead = 14

// Stats counts what one direction did.
type Stats struct {
	Packets, Bytes                                                   uint64 // delivered, with Ethernet header
	Lost, QueueDropped, Blackholed, Duplicated, Corrupted, Reordered uint64
	Marked                                                           uint64 // with ECN's CE
	QueueBytes                                                       int    // waiting now
}
