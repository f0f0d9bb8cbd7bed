package plots

import (
	"gonum.org/v1/plot/plotter"

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
		q := newPlot("Place in the stream of what was sent, by path", "Time (s)", "Data sequence (MB)")
		b.addCloud(q, &d.whole, l, 0.9, false)
		q.X.Min, q.X.Max = 0, max(p.X.Max, q.X.Max)
		p.X.Max = q.X.Max
		headroom(q, 0.18)
		q.Add(events{run.Events})
		f.panels = append(f.panels, q)
		if len(d.zoom.cloud.order) > 0 {
			z := newPlot("The same, segment by segment", "Time (s)", "Data sequence (MB)")
			b.addCloud(z, &d.zoom.cloud, l, 1.5, false)
			lo, hi := visible(&d.zoom)
			z.X.Min, z.X.Max, z.Y.Min, z.Y.Max = d.zoom.from, d.zoom.to, lo, hi
			f.panels = append(f.panels, z)
		}
	}
	f.legend = l.entries
	return f
}
