package topology

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"mptcplab/impairments"
	"mptcplab/topology/decode"
)

// ImpairWords writes a direction's behaviour in the words of the scenario file,
// such as "rate 20mbit, delay 15ms, loss 0.1%"; "" for a perfect wire.
func ImpairWords(c impairments.Config) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if c.Blackhole {
		add("blackhole")
	}
	if c.Rate > 0 {
		add("rate %s", decode.FormatRate(c.Rate))
	}
	if c.Burst > 0 {
		add("burst %s", decode.FormatSize(uint64(c.Burst)))
	}
	if c.Delay > 0 {
		add("delay %s", decode.FormatTime(c.Delay))
	}
	if c.Jitter > 0 {
		order := "reordering"
		if c.InOrder {
			order = "in order"
		}
		add("jitter %s %s (%s)", decode.FormatTime(c.Jitter), DistributionName(c.Distribution), order)
	}
	if l := lossWords(c.Loss); l != "" {
		add("loss %s", l)
	}
	for _, ch := range []struct {
		word string
		impairments.Chance
	}{{"duplicate", c.Duplicate}, {"corrupt", c.Corrupt}, {"reorder", c.Reorder}} {
		if ch.P > 0 {
			add("%s %s", ch.word, chanceWords(ch.Chance))
		}
	}
	if c.Gap > 0 {
		add("gap %d", c.Gap)
	}
	if q := queueWords(c.Queue); q != "" {
		add("queue %s", q)
	}
	if c.AQM != impairments.DropTail {
		add("%s", AQMName(c.AQM))
		if c.ECN {
			add("ecn")
		}
	}
	if c.Limit > 0 {
		add("limit %s", decode.FormatPackets(c.Limit))
	}
	return strings.Join(w, ", ")
}

func chanceWords(c impairments.Chance) string {
	if c.Correlation == 0 {
		return decode.FormatProbability(c.P)
	}
	return decode.FormatProbability(c.P) + " (correlation " + decode.FormatProbability(c.Correlation) + ")"
}

func lossWords(l impairments.Loss) string {
	switch {
	case l.GE != nil:
		p := decode.FormatProbability
		return fmt.Sprintf("gemodel p %s r %s 1-h %s 1-k %s", p(l.GE.P), p(l.GE.R), p(l.GE.LossBad), p(l.GE.LossGood))
	case l.State != nil:
		p, s := decode.FormatProbability, l.State
		return fmt.Sprintf("state p13 %s p31 %s p32 %s p23 %s p14 %s", p(s.P13), p(s.P31), p(s.P32), p(s.P23), p(s.P14))
	case len(l.Packets) > 0:
		return "packets " + numbers(l.Packets)
	case len(l.Segments) > 0:
		return "segments " + numbers(l.Segments)
	case l.Random.P > 0:
		return chanceWords(l.Random)
	}
	return ""
}

func numbers(list []int) string {
	w := make([]string, len(list))
	for i, n := range list {
		w[i] = strconv.Itoa(n)
	}
	return strings.Join(w, " ")
}

func queueWords(q impairments.Queue) string {
	switch {
	case q.Time > 0:
		return decode.FormatTime(q.Time)
	case q.Packets > 0:
		return decode.FormatPackets(q.Packets)
	case q.Bytes > 0:
		return decode.FormatSize(uint64(q.Bytes))
	}
	return ""
}

// Show returns the network as text: nodes with their interfaces, links with
// their behaviour, and routes.
func Show(t *Topology) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, n := range t.Nodes {
		nat := ""
		if n.NAT.Link != "" {
			nat = ", translates addresses by " + n.NAT.Link
		}
		fmt.Fprintf(w, "%s %s%s\n", n.Kind, n.Name, nat)
		for _, i := range n.Interfaces {
			peer := t.Link(i.Link).Ends[1-i.End]
			fmt.Fprintf(w, "  %s.%s\t%s\tto %s\n", n.Name, i.Link, prefixes(i), peer)
		}
		showRules(w, "filter", n.Filter, true)
	}
	for _, m := range t.Middleboxes {
		fmt.Fprintf(w, "middlebox %s\n", m.Name)
		showRules(w, "rule", m.Rules, false)
	}
	w.Flush()
	for _, l := range t.Links {
		half := ""
		if l.HalfDuplex {
			half = ", half duplex"
		}
		through := ""
		if len(l.Through) > 0 {
			through = ", through " + strings.Join(l.Through, ", ")
		}
		fmt.Fprintf(w, "link %s: %s -- %s, mtu %d%s%s\n", l.Name, l.Ends[0], l.Ends[1], l.MTU, half, through)
		for _, d := range []Direction{Uplink, Downlink} {
			fmt.Fprintf(w, "  %s\t%s -> %s\t%s\n", d, l.Ends[d], l.Ends[1-d], perfect(ImpairWords(l.Impair[d])))
		}
	}
	w.Flush()
	for _, n := range t.Nodes {
		if len(n.Routes) > 0 {
			fmt.Fprintf(w, "routes of %s\n", n.Name)
		}
		for _, r := range n.Routes {
			fmt.Fprintf(w, "  %s\t%s\tdev %s\tmetric %d\n", r.Prefix, via(r), r.Link, r.Metric)
		}
	}
	w.Flush()
	return b.String()
}

func showRules(w io.Writer, what string, rules []impairments.Rule, host bool) {
	for i := range rules {
		fmt.Fprintf(w, "  %s %d: %s\n", what, i, RuleWords(&rules[i], host))
	}
}

func prefixes(i Interface) string {
	w := make([]string, len(i.Prefixes))
	for k, p := range i.Prefixes {
		w[k] = p.String()
	}
	return strings.Join(w, " ")
}

func perfect(s string) string {
	if s == "" {
		return "perfect"
	}
	return s
}

func via(r Route) string {
	if r.Gateway.IsValid() {
		return "via " + r.Gateway.String()
	}
	return "on link"
}

// Dot returns the network for Graphviz.
func Dot(t *Topology) string {
	var b strings.Builder
	b.WriteString("graph topology {\n  graph [rankdir=LR]\n  node [fontname=\"sans-serif\"]\n  edge [fontname=\"sans-serif\", fontsize=10]\n")
	for _, n := range t.Nodes {
		shape := map[Kind]string{Host: "box", Router: "ellipse", Switch: "diamond"}[n.Kind]
		fmt.Fprintf(&b, "  %q [shape=%s]\n", n.Name, shape)
	}
	for _, l := range t.Links {
		label := append([]string{l.Name}, l.Through...)
		up, down := ImpairWords(l.Impair[Uplink]), ImpairWords(l.Impair[Downlink])
		switch {
		case up == down && up != "":
			label = append(label, up)
		case up != down:
			label = append(label, "up: "+perfect(up), "down: "+perfect(down))
		}
		var ends [2]string
		for e := range 2 {
			ends[e] = prefixes(*t.Node(l.Ends[e]).Interface(l.Name))
		}
		fmt.Fprintf(&b, "  %q -- %q [label=%q, taillabel=%q, headlabel=%q]\n",
			l.Ends[0], l.Ends[1], strings.Join(label, "\n"), ends[0], ends[1])
	}
	b.WriteString("}\n")
	return b.String()
}
