package plots

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
)

// scheduler draws how data was spread over paths: bytes per path over time, and
// place in the stream against time, coloured by path.
func (b *book) scheduler(run *result.Run, s *series, d *digest) *figure {
	flow, dir := mainFlow(run)
	if flow == nil || s == nil {
		return nil
	}
	f := &figure{title: "Scheduler: " + label(run), subtitle: b.subtitle(run), height: 185}
	l := newLegend(b)
	t := track{flow: flow.Name, dir: dir.String()}
	grid := s.grid(t)
	if len(grid) < 2 {
		return nil
	}
	p := newPlot("Bytes received per path, stacked ("+t.title()+")", "Time (s)", "Received (MB)")
	below := make([]float64, len(grid))
	for _, path := range s.paths(t) {
		c, _ := b.style(path)
		top := s.sum(t, path, result.MetricReceived, grid)
		area := make(plotter.XYs, 0, 2*len(grid))
		for i := range grid {
			area = append(area, plotter.XY{X: grid[i], Y: below[i] / 1e6})
		}
		for i := len(grid) - 1; i >= 0; i-- {
			area = append(area, plotter.XY{X: grid[i], Y: (below[i] + top[i]) / 1e6})
		}
		for i := range below {
			below[i] += top[i]
		}
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{area}, Color: c})
		l.add(entry{text: path, color: c, shape: box})
	}
	p.X.Min = 0
	headroom(p, 0.18)
	p.Add(events{run.Events})
	f.panels = append(f.panels, p)

	if d != nil && len(d.whole.order) > 0 {
		for _, q := range b.strips(&d.whole, l) {
			q.X.Min, q.X.Max = 0, max(p.X.Max, q.X.Max)
			p.X.Max = q.X.Max
			headroom(q, 0.18)
			q.Add(events{run.Events})
			f.panels = append(f.panels, q)
		}
		if len(d.zoom.cloud.order) > 0 {
			z := newPlot("All paths, segment by segment", "Time (s)", "Data sequence (MB)")
			b.addCloud(z, &d.zoom.cloud, l, 1.5, false)
			lo, hi := visible(&d.zoom)
			z.X.Min, z.X.Max, z.Y.Min, z.Y.Max = d.zoom.from, d.zoom.to, lo, hi
			f.panels = append(f.panels, z)
		}
	}
	f.legend = l.entries
	return f
}

// maxStrips is up to how many paths get a panel each.
const maxStrips = 4

// strips draws place in the stream against time, a panel for each path with what
// went by the others in grey: on one panel the path that is drawn last would cover
// those with which it takes turns.
func (b *book) strips(c *cloud, l *legend) []*plot.Plot {
	var paths []string
	for _, path := range b.paths {
		if len(c.points[stroke{path, observe.First}]) > 0 {
			paths = append(paths, path)
		}
	}
	strip := func(title string) *plot.Plot { return newPlot(title, "Time (s)", "Data sequence (MB)") }
	if len(paths) < 2 || len(paths) > maxStrips {
		q := strip("Place in the stream of what was sent, by path")
		b.addCloud(q, c, l, 0.9, false)
		return []*plot.Plot{q}
	}
	var list []*plot.Plot
	for _, path := range paths {
		q := strip("Place in the stream of what was sent on " + path + " (in grey: on other paths)")
		own := cloud{points: map[stroke]plotter.XYs{}}
		for _, s := range c.order {
			if s.path == path {
				own.order = append(own.order, s)
				own.points[s] = c.points[s]
			} else if s.kind == observe.First {
				q.Add(dots{points: c.points[s], color: others, radius: 0.9, shape: dot})
			}
		}
		b.addCloud(q, &own, l, 0.9, false)
		list = append(list, q)
	}
	return list
}
