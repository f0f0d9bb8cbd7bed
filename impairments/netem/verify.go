package netem

import (
	"errors"
	"fmt"
	"math"
)

// ErrMismatch says that the kernel has another thing than was asked.
var ErrMismatch = errors.New("netem: the kernel has another configuration than was asked")

// Compare compares what was asked with what was read back, to the kernel's
// resolution. The error wraps ErrMismatch and names every difference. Qdiscs are told
// by their place in the tree: their numbers change when one takes over from another.
// Distribution tables and, before Linux 6.6, seeds are never told by the kernel and not
// compared.
func Compare(want, got []Qdisc) error {
	var all []error
	matched := make(map[Handle]bool)
	below := Root // the place of the next qdisc of the chain
	for _, w := range want {
		g, ok := at(got, below)
		switch {
		case !ok:
			all = append(all, fmt.Errorf("%s below %s is missing", w.Options.Kind(), below))
		case g.Options.Kind() != w.Options.Kind():
			all = append(all, fmt.Errorf("%s: %s, asked %s", g.Handle, g.Options.Kind(), w.Options.Kind()))
		default:
			for _, d := range w.Options.differ(g.Options) {
				all = append(all, fmt.Errorf("%s %s: %s", w.Options.Kind(), g.Handle, d))
			}
		}
		if !ok {
			break
		}
		matched[g.Handle] = true
		below = g.Handle | 1
	}
	for _, g := range got {
		if !matched[g.Handle] && ours(g) {
			all = append(all, fmt.Errorf("%s %s was not asked", g.Options.Kind(), g.Handle))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMismatch, errors.Join(all...))
}

// at returns the qdisc at a place.
func at(tree []Qdisc, parent Handle) (Qdisc, bool) {
	for _, q := range tree {
		if q.Parent == parent {
			return q, true
		}
	}
	return Qdisc{}, false
}

// ours reports whether q limits traffic: the kernel's own default qdisc does not.
func ours(q Qdisc) bool {
	_, other := q.Options.(*Other)
	return !other
}

func diff[T comparable](name string, got, want T) []string {
	if got == want {
		return nil
	}
	return []string{fmt.Sprintf("%s %v, asked %v", name, got, want)}
}

func diffPointer[T comparable](name string, got, want *T) []string {
	switch {
	case got == nil && want == nil:
		return nil
	case got == nil || want == nil:
		return []string{fmt.Sprintf("%s %+v, asked %+v", name, got, want)}
	}
	return diff(name, *got, *want)
}

func (n *Netem) differ(o Options) []string {
	g := o.(*Netem)
	w, err := decodeNetem(n.encode()[4:]) // n as the kernel rounds it
	if err != nil {
		return []string{err.Error()}
	}
	var d []string
	d = append(d, diff("limit", g.Limit, w.Limit)...)
	d = append(d, diff("delay", g.Latency, w.Latency)...)
	d = append(d, diff("jitter", g.Jitter, w.Jitter)...)
	d = append(d, diff("delay correlation", g.DelayCorrelation, w.DelayCorrelation)...)
	d = append(d, diff("loss", g.Loss, w.Loss)...)
	d = append(d, diffPointer("gemodel", g.GE, w.GE)...)
	d = append(d, diffPointer("loss state", g.FourState, w.FourState)...)
	d = append(d, diff("duplicate", g.Duplicate, w.Duplicate)...)
	d = append(d, diff("corrupt", g.Corrupt, w.Corrupt)...)
	d = append(d, diff("reorder", g.Reorder, w.Reorder)...)
	d = append(d, diff("gap", g.Gap, w.Gap)...)
	d = append(d, diff("rate", g.Rate, w.Rate)...)
	d = append(d, diff("packet overhead", g.PacketOverhead, w.PacketOverhead)...)
	d = append(d, diff("cell size", g.CellSize, w.CellSize)...)
	d = append(d, diff("cell overhead", g.CellOverhead, w.CellOverhead)...)
	d = append(d, diff("ecn", g.ECN, w.ECN)...)
	d = append(d, diffPointer("slot", g.Slot, w.Slot)...)
	if g.Seed != 0 && w.Seed != 0 {
		d = append(d, diff("seed", g.Seed, w.Seed)...)
	}
	return d
}

func (t *TBF) differ(o Options) []string {
	g := o.(*TBF)
	d := diff("rate", g.Rate, t.Rate/8*8)
	d = append(d, diff("limit", g.Limit, t.Limit)...)
	// The kernel keeps the time to fill the bucket, rounded down to ticks, with a
	// rate that is a fraction of 32 bits: the bytes come back a little off.
	step := 2*tick.Seconds()*float64(t.Rate)/8 + float64(t.Burst)*1e-6 + 1
	if math.Abs(float64(g.Burst)-float64(t.Burst)) > step {
		d = append(d, diff("burst", g.Burst, t.Burst)...)
	}
	return d
}

func (f *FIFO) differ(o Options) []string { return diff("limit", o.(*FIFO).Limit, f.Limit) }

func (*Other) differ(Options) []string { return nil }
