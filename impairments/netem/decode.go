package netem

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/vishvananda/netlink/nl"

	"mptcplab/impairments"
)

var errShort = errors.New("netem: message from the kernel is cut short")

// attributes calls f for each attribute in b, with its type without flags. It ends
// with the first error.
func attributes(b []byte, f func(kind int, v []byte) error) error {
	for len(b) >= 4 {
		n := int(native.Uint16(b))
		if n < 4 || n > len(b) {
			return errShort
		}
		if err := f(int(native.Uint16(b[2:])&^(3<<14)), b[4:n]); err != nil {
			return err
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	if len(b) > 0 {
		return errShort
	}
	return nil
}

// decodeQdisc reads the body of a message RTM_NEWQDISC: struct tcmsg and attributes.
func decodeQdisc(msg []byte) (q Qdisc, ifindex int, st Stats, err error) {
	if len(msg) < nl.SizeofTcMsg {
		return q, 0, st, errShort
	}
	ifindex = int(int32(native.Uint32(msg[4:])))
	q.Handle, q.Parent = Handle(native.Uint32(msg[8:])), Handle(native.Uint32(msg[12:]))
	var kind string
	var options []byte
	err = attributes(msg[nl.SizeofTcMsg:], func(k int, v []byte) error {
		switch k {
		case nl.TCA_KIND:
			kind = nl.BytesToString(append(v[:len(v):len(v)], 0))
		case nl.TCA_OPTIONS:
			options = v
		case nl.TCA_STATS2:
			return st.decode(v)
		}
		return nil
	})
	if err == nil {
		q.Options, err = decodeOptions(kind, options)
	}
	return q, ifindex, st, err
}

func decodeOptions(kind string, b []byte) (Options, error) {
	switch kind {
	case "netem":
		return decodeNetem(b)
	case "tbf":
		return decodeTBF(b)
	case "pfifo", "bfifo":
		if len(b) < 4 {
			return nil, fmt.Errorf("%w (%s)", errShort, kind)
		}
		return &FIFO{Bytes: kind == "bfifo", Limit: native.Uint32(b)}, nil
	}
	return &Other{Name: kind}, nil
}

// netemHeader is the length of struct tc_netem_qopt.
const netemHeader = 24

func decodeNetem(b []byte) (*Netem, error) {
	if len(b) < netemHeader {
		return nil, fmt.Errorf("%w (netem)", errShort)
	}
	n := &Netem{
		Latency:   time.Duration(native.Uint32(b)) * tick,
		Limit:     native.Uint32(b[4:]),
		Loss:      impairments.Chance{P: chance(native.Uint32(b[8:]))},
		Gap:       native.Uint32(b[12:]),
		Duplicate: impairments.Chance{P: chance(native.Uint32(b[16:]))},
		Jitter:    time.Duration(native.Uint32(b[20:])) * tick,
	}
	var long uint64
	err := attributes(b[netemHeader:], func(kind int, v []byte) error {
		if kind == tcaNetemRate64 && len(v) >= 8 {
			long = native.Uint64(v)
			return nil
		}
		if len(v) < netemSizes[kind] {
			return fmt.Errorf("%w (netem attribute %d)", errShort, kind)
		}
		return n.attribute(kind, v)
	})
	// The kernel's rule: the 64-bit rate counts if it is the greater.
	n.Rate = max(n.Rate, min(long, math.MaxUint64/8)*8)
	return n, err
}

// netemSizes are the least lengths of the attributes.
var netemSizes = map[int]int{
	tcaNetemCorr: 12, tcaNetemReorder: 8, tcaNetemCorrupt: 8, tcaNetemRate: 4, tcaNetemECN: 4,
	tcaNetemRate64: 8, tcaNetemLatency64: 8, tcaNetemJitter64: 8, tcaNetemSlot: 24, tcaNetemSeed: 8,
}

// attribute takes over one attribute whose length was checked.
func (n *Netem) attribute(kind int, v []byte) error {
	word := func(i int) uint32 {
		if 4*i+4 > len(v) { // older iproute2 sends shorter structs
			return 0
		}
		return native.Uint32(v[4*i:])
	}
	long := func(i int) time.Duration {
		if 8*i+8 > len(v) {
			return 0
		}
		return time.Duration(native.Uint64(v[8*i:]))
	}
	switch kind {
	case tcaNetemCorr:
		n.DelayCorrelation = chance(word(0))
		n.Loss.Correlation = chance(word(1))
		n.Duplicate.Correlation = chance(word(2))
	case tcaNetemReorder:
		n.Reorder = impairments.Chance{P: chance(word(0)), Correlation: chance(word(1))}
	case tcaNetemCorrupt:
		n.Corrupt = impairments.Chance{P: chance(word(0)), Correlation: chance(word(1))}
	case tcaNetemLoss:
		return attributes(v, n.lossModel)
	case tcaNetemRate:
		n.Rate = uint64(word(0)) * 8
		n.PacketOverhead, n.CellSize, n.CellOverhead = int32(word(1)), word(2), int32(word(3))
	case tcaNetemECN:
		n.ECN = word(0) != 0
	case tcaNetemLatency64:
		n.Latency = long(0)
	case tcaNetemJitter64:
		n.Jitter = long(0)
	case tcaNetemSlot:
		n.Slot = &Slot{MinDelay: long(0), MaxDelay: long(1), MaxPackets: int32(word(4)),
			MaxBytes: int32(word(5)), DistDelay: long(3), Distribution: long(4)}
	case tcaNetemSeed:
		n.Seed = native.Uint64(v)
	}
	return nil
}

func (n *Netem) lossModel(kind int, v []byte) error {
	word := func(i int) float64 { return chance(native.Uint32(v[4*i:])) }
	switch {
	case kind == netemLossGE && len(v) >= 16:
		n.GE = &impairments.GilbertElliott{P: word(0), R: word(1),
			LossBad: chance(math.MaxUint32 - native.Uint32(v[8:])), LossGood: word(3)}
	case kind == netemLossGI && len(v) >= 20:
		n.FourState = &impairments.FourState{P13: word(0), P31: word(1), P32: word(2), P14: word(3), P23: word(4)}
	case kind == netemLossGE, kind == netemLossGI:
		return fmt.Errorf("%w (netem loss model %d)", errShort, kind)
	}
	return nil
}

// tbfParms is the length of struct tc_tbf_qopt.
const tbfParms = 36

func decodeTBF(b []byte) (*TBF, error) {
	t := &TBF{}
	var buffer uint32
	var long uint64
	seen := false
	err := attributes(b, func(kind int, v []byte) error {
		switch {
		case kind == tcaTBFParms && len(v) >= tbfParms:
			seen = true
			t.Rate = uint64(native.Uint32(v[8:])) * 8
			t.Limit, buffer = native.Uint32(v[24:]), native.Uint32(v[28:])
		case kind == tcaTBFBurst && len(v) >= 4:
			t.Burst = native.Uint32(v)
		case kind == tcaTBFRate64 && len(v) >= 8:
			long = native.Uint64(v)
		case kind == tcaTBFParms, kind == tcaTBFBurst, kind == tcaTBFRate64:
			return fmt.Errorf("%w (tbf attribute %d)", errShort, kind)
		}
		return nil
	})
	if err == nil && !seen {
		err = fmt.Errorf("%w (tbf without parameters)", errShort)
	}
	t.Rate = max(t.Rate, min(long, math.MaxUint64/8)*8)
	if t.Burst == 0 { // the kernel tells the time to fill the bucket instead
		t.Burst = uint32(min(float64(buffer)*tick.Seconds()*float64(t.Rate/8)+0.5, math.MaxUint32))
	}
	return t, err
}

// Stats are a qdisc's counters.
type Stats struct {
	Packets, Bytes, Dropped    uint64
	QueuedPackets, QueuedBytes uint64
}

// decode reads the nested attribute TCA_STATS2.
func (s *Stats) decode(b []byte) error {
	const basic, queue, pkt64 = 1, 3, 8
	return attributes(b, func(kind int, v []byte) error {
		switch {
		case kind == basic && len(v) >= 12:
			s.Bytes = native.Uint64(v)
			s.Packets = max(s.Packets, uint64(native.Uint32(v[8:])))
		case kind == pkt64 && len(v) >= 8:
			s.Packets = native.Uint64(v)
		case kind == queue && len(v) >= 12:
			s.QueuedPackets, s.QueuedBytes = uint64(native.Uint32(v)), uint64(native.Uint32(v[4:]))
			s.Dropped = uint64(native.Uint32(v[8:]))
		}
		return nil
	})
}
