package netem

import (
	"errors"
	"fmt"
	"math"
)

// ErrMismatch says that the kernel has another thing than was asked.
var ErrMismatch = errors.New("netem: the kernel has another configuration than was asked")

// Compare compares what was asked with what was read back, to the kernel's
// resolution. The error wraps ErrMismatch and names every difference. Distribution
// tables and, before Linux 6.6, seeds are never told by the kernel and not compared.
func Compare(want, got []Qdisc) error {
	var all []error
	at := make(map[Handle]Qdisc, len(got))
	for _, q := range got {
		at[q.Handle] = q
	}
	for _, w := range want {
		g, ok := at[w.Handle]
		delete(at, w.Handle)
		switch {
		case !ok:
			all = append(all, fmt.Errorf("%s %s is missing", w.Options.Kind(), w.Handle))
		case g.Parent != w.Parent:
			all = append(all, fmt.Errorf("%s: parent %s, asked %s", w.Handle, g.Parent, w.Parent))
		case g.Options.Kind() != w.Options.Kind():
			all = append(all, fmt.Errorf("%s: %s, asked %s", w.Handle, g.Options.Kind(), w.Options.Kind()))
		default:
			for _, d := range w.Options.differ(g.Options) {
				all = append(all, fmt.Errorf("%s %s: %s", w.Options.Kind(), w.Handle, d))
			}
		}
	}
	for _, g := range got { // in the kernel's order, not the map's
		if _, extra := at[g.Handle]; extra && ours(g) {
			all = append(all, fmt.Errorf("%s %s was not asked", g.Options.Kind(), g.Handle))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMismatch, errors.Join(all...))
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
