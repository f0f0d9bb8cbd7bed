package plots

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
)

// handover draws, around each named event, what was sent on which path and what
// arrived in order, with the gap shaded.
func (b *book) handover(run *result.Run, s *series, d *digest) *figure {
	flow, dir := mainFlow(run)
	if flow == nil {
		return nil
	}
	f := &figure{title: "Handover gap: " + label(run), subtitle: b.subtitle(run), height: 200}
	list := windows(run, flow)
	if d != nil {
		list = d.windows
	}
	lgd := newLegend(b)
	lgd.add(entry{text: "delivered in order", color: ink})
	for i := range list {
		w := &list[i]
		h := w.handover
		p := newPlot(describe(w), "Time (s)", "Place in the stream (MB)")
		if d == nil {
			w.delivered = s.delivered(flow.Name, dir)
		}
		p.X.Min, p.X.Max = w.from, w.to
		lo, hi := visible(w)
		p.Y.Min, p.Y.Max = lo, lo+(hi-lo)*1.35
		p.Add(shade{h.GapStart, h.GapEnd, "gap " + duration(h.GapMS)})
		b.addCloud(p, &w.cloud, lgd, 1.1, true)
		p.Add(stairs(w.delivered))
		p.Add(events{run.Events})
		// Plotters widen the axes as they are added.
		p.X.Min, p.X.Max = w.from, w.to
		p.Y.Min, p.Y.Max = lo, lo+(hi-lo)*1.35
		f.panels = append(f.panels, p)
	}
	if len(f.panels) == 0 {
		return nil
	}
	f.legend = lgd.entries
	return f
}

// describe says in a line what a panel shows.
func describe(w *window) string {
	h := w.handover
	var s []string
	for _, e := range append([]result.Handover{h}, w.others...) {
		s = append(s, fmt.Sprintf("%s at %.3f s", e.Event, e.At))
	}
	switch {
	case h.Cause != "" && h.Cause != "none" && h.Path != "":
		s = append(s, fmt.Sprintf("ended by %s, on %s", h.Cause, h.Path))
	case h.Cause != "" && h.Cause != "none":
		s = append(s, "ended by "+h.Cause)
	case h.Path != "":
		s = append(s, "continued on "+h.Path)
	}
	if h.RTOMS != nil {
		s = append(s, "RTO "+duration(*h.RTOMS))
	}
	if h.SRTTMS != nil {
		s = append(s, "SRTT "+duration(*h.SRTTMS))
	}
	return strings.Join(s, ", ")
}

// visible returns the range of the stream that a window shows.
func visible(w *window) (lo, hi float64) {
	first := true
	take := func(pts plotter.XYs) {
		for _, p := range pts {
			if p.X < w.from || p.X > w.to {
				continue
			}
			if first {
				lo, hi, first = p.Y, p.Y, false
			}
			lo, hi = min(lo, p.Y), max(hi, p.Y)
		}
	}
	take(w.delivered)
	for _, s := range w.cloud.order {
		if s.kind != observe.Retransmission { // may be of data delivered long ago
			take(w.cloud.points[s])
		}
	}
	if hi-lo < 1e-6 {
		hi = lo + 1e-3
	}
	return lo, hi
}

// stairs draws progress: it stands still between its points.
func stairs(pts plotter.XYs) *plotter.Line {
	l := lineOf(pts, ink, 1.4, nil)
	l.StepStyle = plotter.PostStep
	return l
}

// delivered returns the in-order progress of a flow from the series.
func (s *series) delivered(flow string, d observe.Dir) plotter.XYs {
	if s == nil {
		return nil
	}
	pts := append(plotter.XYs(nil), s.lines[key{flow, "", d.String(), result.MetricDelivered}]...)
	for i := range pts {
		pts[i].Y /= 1e6
	}
	return pts
}

// legend collects entries, each once.
type legend struct {
	book    *book
	seen    map[string]bool
	entries []entry
}

func newLegend(b *book) *legend { return &legend{book: b, seen: make(map[string]bool)} }

func (l *legend) add(e entry) {
	if !l.seen[e.text] {
		l.seen[e.text] = true
		l.entries = append(l.entries, e)
	}
}

// addCloud draws data as it was sent: dots in the colour of the path, and on top
// crosses where old data was sent again. If named, the paths are in the legend.
func (b *book) addCloud(p *plot.Plot, c *cloud, l *legend, radius vg.Length, named bool) {
	for i, path := range b.paths { // smaller one by one: none hides those before it
		s := stroke{path, observe.First}
		if len(c.points[s]) == 0 {
			continue
		}
		color, _ := b.style(path)
		p.Add(dots{points: c.points[s], color: color, radius: radius * narrower(c, b.paths[:i]), shape: dot})
		if named {
			l.add(entry{text: "sent on " + path, color: color, shape: dot})
		}
	}
	for _, s := range c.order {
		switch s.kind {
		case observe.Reinjection:
			p.Add(dots{points: c.points[s], color: vermilion, radius: 2.2, shape: cross})
			l.add(entry{text: "reinjected", color: vermilion, shape: cross})
		case observe.Retransmission:
			p.Add(dots{points: c.points[s], color: ink, radius: 2.2, shape: plus})
			l.add(entry{text: "retransmitted", color: ink, shape: plus})
		}
	}
}

// narrower is how wide a path's dots are, of 1: less for each path drawn before
// it in the same cloud.
func narrower(c *cloud, before []string) vg.Length {
	w := vg.Length(1)
	for _, path := range before {
		if len(c.points[stroke{path, observe.First}]) > 0 {
			w -= 0.4
		}
	}
	return max(0.5, w)
}
