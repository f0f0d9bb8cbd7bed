package scenarios

import (
	"errors"
	"fmt"
	"strings"

	"mptcplab/impairments"
	"mptcplab/impairments/netem"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
)

// Tc returns the links of a file as commands of tc(8): what --impair netem installs,
// by node, and what the timeline makes of it. Runs that say the same share their
// part. What qdiscs cannot do is said instead.
func Tc(file *spec.File) string {
	var parts []string
	runs := map[string][]string{} // by part
	for i := range file.Runs {
		part := tcOf(&file.Runs[i])
		if runs[part] == nil {
			parts = append(parts, part)
		}
		runs[part] = append(runs[part], file.Runs[i].ID)
	}
	var b strings.Builder
	for i, part := range parts {
		if len(parts) > 1 {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "# runs %s\n", strings.Join(runs[part], " "))
		}
		b.WriteString(part)
	}
	return b.String()
}

func tcOf(run *spec.Run) string {
	var b strings.Builder
	now := map[string][2]impairments.Config{}
	for i := range run.Topology.Links {
		l := &run.Topology.Links[i]
		now[l.Name] = l.Impair
		for dir := range l.Impair {
			tcLine(&b, l, dir, "", l.Impair[dir])
		}
	}
	for i := range run.Timeline {
		e := &run.Timeline[i]
		if e.Impair == nil {
			continue
		}
		when := fmt.Sprintf(" at %v", e.At)
		if e.Ramp > 0 {
			when += fmt.Sprintf(", in steps of %v up to %v", rampStep, e.At+e.Ramp)
		}
		old := now[e.Link]
		now[e.Link] = *e.Impair
		for dir := range e.Impair {
			if !sameTc(old[dir], e.Impair[dir], run.Topology.Link(e.Link).MTU) {
				tcLine(&b, run.Topology.Link(e.Link), dir, when, e.Impair[dir])
			}
		}
	}
	if b.Len() == 0 {
		return "# no link is impaired\n"
	}
	return b.String()
}

// tcLine writes one direction of a link: the qdiscs stand where it leaves.
func tcLine(b *strings.Builder, l *topology.Link, dir int, when string, c impairments.Config) {
	plan, err := netem.Plan(c, l.MTU, 0)
	if err == nil && l.HalfDuplex {
		err = errors.New("two qdiscs cannot share a rate (duplex: half)")
	}
	title := fmt.Sprintf("# %s %s, in %s%s", l.Name, topology.Direction(dir), l.Ends[dir], when)
	switch {
	case err != nil:
		fmt.Fprintf(b, "%s: %v; the relay can\n", title, err)
	case len(plan) > 0:
		fmt.Fprintf(b, "%s\n%s", title, netem.Tc(l.Name, plan))
	case when != "":
		fmt.Fprintf(b, "%s\ntc qdisc del dev %s root\n", title, l.Name)
	}
}

func sameTc(a, b impairments.Config, mtu int) bool {
	x, errX := netem.Plan(a, mtu, 0)
	y, errY := netem.Plan(b, mtu, 0)
	return errX == nil && errY == nil && netem.Tc("", x) == netem.Tc("", y)
}
