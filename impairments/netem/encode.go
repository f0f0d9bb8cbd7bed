package netem

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/vishvananda/netlink/nl"

	"mptcplab/impairments"
)

// The attributes of include/uapi/linux/pkt_sched.h.
const (
	tcaNetemCorr      = 1
	tcaNetemDelayDist = 2
	tcaNetemReorder   = 3
	tcaNetemCorrupt   = 4
	tcaNetemLoss      = 5
	tcaNetemRate      = 6
	tcaNetemECN       = 7
	tcaNetemRate64    = 8
	tcaNetemLatency64 = 10
	tcaNetemJitter64  = 11
	tcaNetemSlot      = 12
	tcaNetemSeed      = 14

	netemLossGI = 1
	netemLossGE = 2

	tcaTBFParms  = 1
	tcaTBFRate64 = 4
	tcaTBFBurst  = 6

	linkLayerEthernet = 1
)

// tick is the kernel's unit of time in qdiscs (PSCHED_SHIFT).
const tick = 64 * time.Nanosecond

// native is the byte order of netlink.
var native = binary.NativeEndian

// ticks returns d in ticks, at most what the field holds.
func ticks(d time.Duration) uint32 {
	return uint32(min(max(d, 0)/tick, math.MaxUint32))
}

func words(v ...uint32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, w := range v {
		b = native.AppendUint32(b, w)
	}
	return b
}

func u64(v uint64) []byte { return native.AppendUint64(nil, v) }

// rateFields splits a rate in bit/s into the 32-bit field in bytes per second and
// the value for the 64-bit attribute, which is needed if the field is full.
func rateFields(bits uint64) (field uint32, bytes uint64, long bool) {
	bytes = bits / 8
	if bytes > math.MaxUint32-1 {
		return math.MaxUint32, bytes, true
	}
	return uint32(bytes), bytes, false
}

// encode returns the attribute TCA_OPTIONS. Everything is said explicitly, zeros
// too: in a change the kernel keeps what is left out (net/sched/sch_netem.c,
// netem_change).
func (n *Netem) encode() []byte {
	o := nl.NewRtAttr(nl.TCA_OPTIONS, words(ticks(n.Latency), n.Limit,
		probability(n.Loss.P), n.Gap, probability(n.Duplicate.P), ticks(n.Jitter)))
	if t := n.table(); t != nil {
		o.AddRtAttr(tcaNetemDelayDist, t)
	}
	o.AddRtAttr(tcaNetemLatency64, u64(uint64(n.Latency)))
	o.AddRtAttr(tcaNetemJitter64, u64(uint64(n.Jitter)))
	o.AddRtAttr(tcaNetemCorr, words(probability(n.DelayCorrelation),
		probability(n.Loss.Correlation), probability(n.Duplicate.Correlation)))
	o.AddRtAttr(tcaNetemReorder, words(probability(n.Reorder.P), probability(n.Reorder.Correlation)))
	o.AddRtAttr(tcaNetemCorrupt, words(probability(n.Corrupt.P), probability(n.Corrupt.Correlation)))
	n.encodeLoss(o)
	field, bytes, long := rateFields(n.Rate)
	if long {
		o.AddRtAttr(tcaNetemRate64, u64(bytes))
	}
	o.AddRtAttr(tcaNetemRate, words(field, uint32(n.PacketOverhead), n.CellSize, uint32(n.CellOverhead)))
	ecn := uint32(0)
	if n.ECN {
		ecn = 1
	}
	o.AddRtAttr(tcaNetemECN, words(ecn))
	if s := n.Slot; s != nil {
		b := append(u64(uint64(s.MinDelay)), u64(uint64(s.MaxDelay))...)
		b = append(b, words(uint32(s.MaxPackets), uint32(s.MaxBytes))...)
		b = append(b, u64(uint64(s.DistDelay))...)
		o.AddRtAttr(tcaNetemSlot, append(b, u64(uint64(s.Distribution))...))
	}
	if n.Seed != 0 {
		o.AddRtAttr(tcaNetemSeed, u64(n.Seed))
	}
	return o.Serialize()
}

// encodeLoss adds the loss model, if it is another than random loss.
func (n *Netem) encodeLoss(o *nl.RtAttr) {
	switch {
	case n.GE != nil:
		// The kernel's h and k1 are the chance to survive in the bad state and
		// the chance of loss in the good one.
		ge := n.GE
		o.AddRtAttr(tcaNetemLoss|nlaFNested, nil).AddRtAttr(netemLossGE, words(probability(ge.P),
			probability(ge.R), math.MaxUint32-probability(ge.LossBad), probability(ge.LossGood)))
	case n.FourState != nil:
		s := n.FourState
		o.AddRtAttr(tcaNetemLoss|nlaFNested, nil).AddRtAttr(netemLossGI, words(probability(s.P13),
			probability(s.P31), probability(s.P32), probability(s.P14), probability(s.P23)))
	}
}

const nlaFNested = 1 << 15

// table returns the distribution of the jitter, or nil: without a table the kernel's
// jitter is uniform.
func (n *Netem) table() []byte {
	if n.Distribution == impairments.Uniform && !n.resetTable {
		return nil
	}
	t := distribution(n.Distribution)
	b := make([]byte, 0, 2*len(t))
	for _, v := range t {
		b = native.AppendUint16(b, uint16(v))
	}
	return b
}

// encode returns the attribute TCA_OPTIONS. No table of rates is sent: kernels
// since 3.8 compute it if the link layer is named.
func (t *TBF) encode() []byte {
	field, bytes, long := rateFields(t.Rate)
	spec := append([]byte{0, linkLayerEthernet, 0, 0, 0, 0, 0, 0}, words(field)...)
	parms := append(spec, make([]byte, 12)...) // no peak rate
	parms = append(parms, words(t.Limit, ticks(t.fill()), 0)...)
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(tcaTBFParms, parms)
	o.AddRtAttr(tcaTBFBurst, words(t.Burst))
	if long {
		o.AddRtAttr(tcaTBFRate64, u64(bytes))
	}
	return o.Serialize()
}

// fill returns how long the rate takes to fill the bucket: the kernel's measure of it.
func (t *TBF) fill() time.Duration {
	if t.Rate < 8 {
		return 0
	}
	return time.Duration(float64(t.Burst) / float64(t.Rate/8) * float64(time.Second))
}

func (f *FIFO) encode() []byte {
	return nl.NewRtAttr(nl.TCA_OPTIONS, words(f.Limit)).Serialize()
}

func (*Other) encode() []byte { return nl.NewRtAttr(nl.TCA_OPTIONS, nil).Serialize() }
