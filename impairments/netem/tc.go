package netem

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mptcplab/impairments"
)

// Tc returns the plan as commands of tc(8), one a line, for the interface dev. The
// seed of the random numbers is left out: iproute2 before 6.7 does not know it.
func Tc(dev string, plan []Qdisc) string {
	var b strings.Builder
	for _, q := range plan {
		place := "root"
		if q.Parent != Root {
			place = "parent " + q.Parent.String()
		}
		fmt.Fprintf(&b, "tc qdisc replace dev %s %s handle %s %s %s\n", dev, place, q.Handle, q.Options.Kind(), q.Options.Tc())
	}
	return b.String()
}

var distributionNames = [...]string{"uniform", "normal", "pareto", "paretonormal"}

// Tc returns netem's parameters, as in tc-netem(8).
func (n *Netem) Tc() string {
	w := []string{"limit", strconv.FormatUint(uint64(n.Limit), 10)}
	if n.Latency != 0 || n.Jitter != 0 {
		w = append(w, "delay", duration(n.Latency))
		if n.Jitter != 0 {
			w = append(w, duration(n.Jitter))
			if n.DelayCorrelation != 0 {
				w = append(w, percent(n.DelayCorrelation))
			}
			if n.Distribution != impairments.Uniform {
				w = append(w, "distribution", distributionNames[n.Distribution])
			}
		}
	}
	switch {
	case n.GE != nil:
		w = append(w, "loss", "gemodel", percent(n.GE.P), percent(n.GE.R), percent(n.GE.LossBad), percent(n.GE.LossGood))
	case n.FourState != nil:
		s := n.FourState
		w = append(w, "loss", "state", percent(s.P13), percent(s.P31), percent(s.P32), percent(s.P23), percent(s.P14))
	default:
		w = append(w, chances("loss random", n.Loss)...)
	}
	w = append(w, chances("duplicate", n.Duplicate)...)
	w = append(w, chances("corrupt", n.Corrupt)...)
	w = append(w, chances("reorder", n.Reorder)...)
	if n.Reorder.P > 0 && n.Gap > 0 {
		w = append(w, "gap", strconv.FormatUint(uint64(n.Gap), 10))
	}
	if n.Rate > 0 {
		w = append(w, "rate", rate(n.Rate))
	}
	if n.ECN {
		w = append(w, "ecn")
	}
	if s := n.Slot; s != nil {
		w = append(w, "slot", duration(s.MinDelay), duration(s.MaxDelay))
	}
	return strings.Join(w, " ")
}

// Tc returns TBF's parameters, as in tc-tbf(8).
func (t *TBF) Tc() string {
	return fmt.Sprintf("rate %s burst %d limit %d", rate(t.Rate), t.Burst, t.Limit)
}

// Tc returns the limit.
func (f *FIFO) Tc() string { return fmt.Sprintf("limit %d", f.Limit) }

// Tc returns nothing: the parameters are unknown.
func (*Other) Tc() string { return "" }

func chances(words string, c impairments.Chance) []string {
	if c.P == 0 {
		return nil
	}
	w := []string{words, percent(c.P)}
	if c.Correlation != 0 {
		w = append(w, percent(c.Correlation))
	}
	return w
}

func percent(p float64) string { return strconv.FormatFloat(p*100, 'f', -1, 64) + "%" }

// duration writes d in the largest unit of tc's that needs no fraction.
func duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// rate writes bit/s in the largest unit of tc's that needs no fraction.
func rate(bits uint64) string {
	for _, u := range []struct {
		unit uint64
		name string
	}{{1e9, "gbit"}, {1e6, "mbit"}, {1e3, "kbit"}} {
		if bits%u.unit == 0 {
			return strconv.FormatUint(bits/u.unit, 10) + u.name
		}
	}
	return strconv.FormatUint(bits, 10) + "bit"
}
