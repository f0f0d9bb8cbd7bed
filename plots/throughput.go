package plots

import (
	"gonum.org/v1/plot/plotter"

	"mptcplab/scenarios/result"
)

// throughput draws payload arriving per path, and in total, over time.
func (b *book) throughput(run *result.Run, s *series) *figure {
	tracks := s.tracks()
	if len(tracks) == 0 {
		return nil
	}
	f := &figure{title: "Throughput per path: " + label(run), subtitle: b.subtitle(run), height: 210}
	if len(tracks) > 1 {
		f.height = 165
	}
	seen := map[string]bool{}
	for _, t := range tracks {
		p := newPlot(t.title(), "Time (s)", "Throughput (Mbit/s)")
		if len(tracks) == 1 {
			p.Title.Text = ""
		}
		g := s.grid(t)
		names := s.paths(t)
		if len(names) > 1 {
			p.Add(lineOf(rates(g, s.sum(t, "", result.MetricReceived, g)), ink, 0.9, nil))
			if !seen[""] {
				seen[""] = true
				f.legend = append(f.legend, entry{text: "total", color: ink})
			}
		}
		for _, name := range names {
			c, dash := b.style(name)
			p.Add(lineOf(rates(g, s.sum(t, name, result.MetricReceived, g)), c, 1.6, dash))
			if !seen[name] {
				seen[name] = true
				f.legend = append(f.legend, entry{text: name, color: c, dash: dash})
			}
		}
		p.X.Min = 0
		headroom(p, 0.18)
		p.Add(events{run.Events})
		f.panels = append(f.panels, p)
	}
	return f
}

func (t track) title() string {
	way := "upload"
	if t.dir == "down" {
		way = "download"
	}
	if t.flow == "" {
		return "all flows, " + way
	}
	return t.flow + ", " + way
}

// rates turns cumulative bytes into Mbit/s, each at the middle of its step.
func rates(grid, bytes []float64) plotter.XYs {
	var pts plotter.XYs
	for i := 1; i < len(grid); i++ {
		dt := grid[i] - grid[i-1]
		pts = append(pts, plotter.XY{X: grid[i-1] + dt/2, Y: (bytes[i] - bytes[i-1]) * 8 / dt / 1e6})
	}
	return pts
}
