package netem

import (
	"errors"
	"fmt"
	"math"
	"time"

	"mptcplab/impairments"
)

// ErrInexpressible says that netem cannot do what was asked.
var ErrInexpressible = errors.New("netem cannot do this")

const (
	// unbounded is the limit in packets of a delay line that must never drop.
	unbounded = 1_000_000
	// dummyRate in bit/s makes netem keep its send times in order and delays a
	// full packet by 0.12 us.
	dummyRate = 100_000_000_000
)

// The places of a plan. Majors 8000 and above are the kernel's own.
const (
	rootMajor  = 0x10
	otherMajor = 0x20 // where a second tree stands while it takes over from the first
)

// Plan returns the qdiscs that do cfg on an interface with that MTU in bytes, from
// the root downwards; none for a perfect wire. seed is for netem's random numbers,
// where the kernel takes one (0: none is given). An error wraps ErrInexpressible
// if netem cannot do it, and names the reason.
//
// The queue's length is cfg.Bound's.
func Plan(cfg impairments.Config, mtu int, seed uint64) ([]Qdisc, error) {
	if err := check(&cfg, mtu); err != nil {
		return nil, err
	}
	root := &Netem{
		Limit:        unbounded,
		Latency:      cfg.Delay,
		Jitter:       cfg.Jitter,
		Distribution: cfg.Distribution,
		Loss:         cfg.Loss.Random,
		GE:           cfg.Loss.GE,
		FourState:    cfg.Loss.State,
		Duplicate:    cfg.Duplicate,
		Corrupt:      cfg.Corrupt,
		Reorder:      cfg.Reorder,
		Gap:          gap(&cfg),
		Seed:         seed,
	}
	if cfg.Jitter == 0 {
		root.Distribution = impairments.Uniform
	}
	if cfg.InOrder && cfg.Jitter > 0 {
		root.Rate = dummyRate
	}
	plan := []Qdisc{{Parent: Root, Handle: rootMajor << 16, Options: root}}
	switch {
	case cfg.Limit > 0:
		root.Limit = uint32(cfg.Limit)
		if cfg.Rate > 0 {
			root.Rate = cfg.Rate
		}
	case cfg.Rate > 0:
		plan = append(plan, bottleneck(&cfg, mtu)...)
	}
	if cfg.Blackhole {
		// The tree stays as it is below, so that the end of the black hole is one
		// change of the root. Nothing but the loss may be left: a packet that is
		// duplicated and lost comes out once.
		plan[0].Options = hole(root)
		return plan, nil
	}
	if len(plan) == 1 && idle(root) {
		return nil, nil
	}
	return plan, nil
}

// hole is a netem that lets nothing through.
func hole(n *Netem) *Netem {
	return &Netem{Limit: n.Limit, Loss: impairments.Chance{P: 1}, Seed: n.Seed, hole: true}
}

// idle reports whether n does nothing at all.
func idle(n *Netem) bool {
	return *n == Netem{Limit: unbounded, Gap: n.Gap, Seed: n.Seed}
}

// gap returns netem's gap. Without one netem never reorders, and tc makes it 1, so
// that every packet may be reordered.
func gap(cfg *impairments.Config) uint32 {
	if cfg.Reorder.P > 0 && cfg.Gap == 0 {
		return 1
	}
	return uint32(cfg.Gap)
}

// bottleneck returns the rate and the queue before it.
func bottleneck(cfg *impairments.Config, mtu int) []Qdisc {
	const parent, handle = rootMajor<<16 | 1, (rootMajor + 1) << 16
	frame := mtu + impairments.Overhead
	packets, bytes := cfg.Bound()
	if cfg.Burst == 0 && cfg.Duplicate.P == 0 {
		if packets == 0 {
			packets = bytes / frame
		}
		return []Qdisc{{parent, handle, &Netem{Rate: cfg.Rate, Limit: field(max(1, packets))}}}
	}
	leaf := &FIFO{Limit: field(packets)}
	if packets == 0 {
		leaf = &FIFO{Bytes: true, Limit: field(max(frame, bytes))}
	}
	return []Qdisc{
		{parent, handle, &TBF{Rate: cfg.Rate, Burst: bucket(cfg, frame), Limit: field(max(frame, bytes, packets*frame))}},
		// TBF would make itself a queue in bytes, but one that is not listed, and
		// that cannot become another kind.
		{handle | 1, (rootMajor + 2) << 16, leaf},
	}
}

// field returns n, or the most that a field of 31 bits holds.
func field(n int) uint32 { return uint32(min(n, math.MaxInt32)) }

// bucket returns the bytes of the token bucket. One that nobody asked for holds
// two packets, or as much as a timer that fires 1 ms late makes up for.
func bucket(cfg *impairments.Config, frame int) uint32 {
	if cfg.Burst > 0 {
		return uint32(cfg.Burst)
	}
	return uint32(min(max(2*uint64(frame), cfg.Rate/8/1000), math.MaxUint32))
}

func inexpressible(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInexpressible, fmt.Sprintf(format, args...))
}

// check finds what netem cannot do, and values without meaning.
func check(cfg *impairments.Config, mtu int) error {
	if mtu < 68 || mtu > 65535 {
		return fmt.Errorf("netem: MTU %d is not between 68 and 65535", mtu)
	}
	if err := checkChances(cfg); err != nil {
		return err
	}
	if err := checkRanges(cfg); err != nil {
		return err
	}
	loss := cfg.Loss
	switch {
	case len(loss.Packets) > 0:
		return inexpressible("losing packets by their number (packets %v)", loss.Packets)
	case len(loss.Segments) > 0:
		return inexpressible("losing TCP segments by their number (segments %v)", loss.Segments)
	case cfg.AQM != impairments.DropTail:
		return inexpressible("an AQM: only the built-in queue has codel, fq_codel, pie and red")
	case loss.GE != nil && loss.Random.P > 0:
		return inexpressible("random loss and Gilbert-Elliott loss at once")
	case cfg.Reorder.P > 0 && cfg.Delay == 0:
		return inexpressible("reordering without a delay that a packet could skip")
	case cfg.Reorder.P > 0 && cfg.Rate > 0 && cfg.Limit == 0:
		return inexpressible("reordering before a rate with its own queue: a reordered packet skips the rate as well (as it does with limit, in a plain netem)")
	case cfg.Limit > 0 && cfg.Burst > 0:
		return inexpressible("burst with limit: netem's rate has no token bucket")
	case cfg.Limit > 0 && cfg.Queue != (impairments.Queue{}):
		return inexpressible("limit with queue: netem's limit counts both")
	case cfg.Burst > 0 && cfg.Burst < mtu+impairments.Overhead:
		return inexpressible("burst of %d bytes, which is less than a full frame (%d): it would never pass", cfg.Burst, mtu+impairments.Overhead)
	}
	return nil
}

func checkChances(cfg *impairments.Config) error {
	type named struct {
		name string
		c    impairments.Chance
	}
	chances := []named{{"loss", cfg.Loss.Random}, {"duplicate", cfg.Duplicate}, {"corrupt", cfg.Corrupt}, {"reorder", cfg.Reorder}}
	if ge := cfg.Loss.GE; ge != nil {
		chances = append(chances, named{"gemodel", impairments.Chance{P: ge.P, Correlation: ge.R}},
			named{"gemodel", impairments.Chance{P: ge.LossBad, Correlation: ge.LossGood}})
	}
	if st := cfg.Loss.State; st != nil {
		for _, p := range []float64{st.P13, st.P31, st.P32, st.P23, st.P14} {
			chances = append(chances, named{"loss state", impairments.Chance{P: p}})
		}
	}
	for _, n := range chances {
		for _, v := range []float64{n.c.P, n.c.Correlation} {
			if !(v >= 0 && v <= 1) { // not a number neither
				return fmt.Errorf("netem: %s: %v is not between 0 and 1", n.name, v)
			}
		}
	}
	return nil
}

func checkRanges(cfg *impairments.Config) error {
	for _, n := range []struct {
		name     string
		v, limit int64
	}{
		{"delay", int64(cfg.Delay), math.MaxInt64},
		{"jitter", int64(cfg.Jitter), math.MaxInt32}, // the kernel cuts it there: 2.1 s
		{"gap", int64(cfg.Gap), math.MaxInt32},
		{"burst", int64(cfg.Burst), math.MaxUint32},
		{"limit", int64(cfg.Limit), math.MaxInt32},
		{"queue", int64(cfg.Queue.Bytes), math.MaxInt32},
		{"queue", int64(cfg.Queue.Packets), math.MaxInt32},
		{"queue", int64(cfg.Queue.Time), math.MaxInt64},
	} {
		switch {
		case n.v < 0:
			return fmt.Errorf("netem: %s: %d is negative", n.name, n.v)
		case n.v > n.limit && n.name == "jitter":
			return inexpressible("jitter of %v, the kernel's most is %v", cfg.Jitter, time.Duration(math.MaxInt32))
		case n.v > n.limit:
			return inexpressible("%s of %d, the kernel's most is %d", n.name, n.v, n.limit)
		}
	}
	if cfg.Rate > 0 && cfg.Rate < 8 {
		return inexpressible("rate of %d bit/s, the kernel's least is 8", cfg.Rate)
	}
	if cfg.Distribution > impairments.ParetoNormal {
		return fmt.Errorf("netem: distribution %d is unknown", cfg.Distribution)
	}
	return nil
}
