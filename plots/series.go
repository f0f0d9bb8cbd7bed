package plots

import (
	"errors"
	"io/fs"
	"math"

	"gonum.org/v1/plot/plotter"

	"mptcplab/scenarios/result"
)

// key is a line of a run's series.
type key struct{ flow, path, dir, metric string }

// series are the cumulative byte counts of one run over time.
type series struct {
	lines map[key]plotter.XYs
	keys  []key // in the order of their first sample
}

// loadSeries reads what the figures need of series.csv. A result without one has
// no series.
func loadSeries(dir string) (map[string]*series, error) {
	runs := make(map[string]*series)
	err := result.ReadSeries(dir, func(s result.Sample) error {
		if s.Metric != result.MetricReceived && s.Metric != result.MetricDelivered {
			return nil
		}
		r := runs[s.Run]
		if r == nil {
			r = &series{lines: make(map[key]plotter.XYs)}
			runs[s.Run] = r
		}
		k := key{s.Flow, s.Path, s.Direction, s.Metric}
		if _, ok := r.lines[k]; !ok {
			r.keys = append(r.keys, k)
		}
		r.lines[k] = append(r.lines[k], plotter.XY{X: s.Time, Y: s.Value})
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return runs, err
}

// track is what one panel shows: one direction of one flow, or of all of them.
type track struct {
	flow, dir string // flow "": all
	bytes     float64
}

// maxTracks is how many panels a figure has at most.
const maxTracks = 4

// tracks lists the directions of flows that carried a worthwhile share of the
// bytes; if they are too many, all flows together.
func (s *series) tracks() []track {
	if s == nil {
		return nil
	}
	var all []track
	most := 0.0
	for _, k := range s.keys {
		if k.metric != result.MetricReceived {
			continue
		}
		l := s.lines[k]
		n := l[len(l)-1].Y
		i := 0
		for i < len(all) && (all[i].flow != k.flow || all[i].dir != k.dir) {
			i++
		}
		if i == len(all) {
			all = append(all, track{flow: k.flow, dir: k.dir})
		}
		all[i].bytes += n
		most = max(most, all[i].bytes)
	}
	var worth []track
	for _, t := range all {
		if t.bytes > 0 && t.bytes >= most/20 {
			worth = append(worth, t)
		}
	}
	if len(worth) <= maxTracks {
		return worth
	}
	var sum []track
	for _, dir := range []string{"up", "down"} {
		t := track{dir: dir}
		for _, w := range worth {
			if w.dir == dir {
				t.bytes += w.bytes
			}
		}
		if t.bytes > 0 {
			sum = append(sum, t)
		}
	}
	return sum
}

// paths lists the paths of a track.
func (s *series) paths(t track) []string {
	var names []string
	seen := map[string]bool{}
	for _, k := range s.keys {
		if t.has(k) && k.metric == result.MetricReceived && k.path != "" && !seen[k.path] {
			seen[k.path] = true
			names = append(names, k.path)
		}
	}
	return names
}

func (t track) has(k key) bool { return k.dir == t.dir && (t.flow == "" || t.flow == k.flow) }

// sum returns a metric of a track on a grid of time steps, path "" for all
// paths; cumulative.
func (s *series) sum(t track, path, metric string, grid []float64) []float64 {
	total := make([]float64, len(grid))
	for _, k := range s.keys {
		if !t.has(k) || k.metric != metric || (path != "" && k.path != path) {
			continue
		}
		l, j, v := s.lines[k], 0, 0.0
		for i, at := range grid {
			for j < len(l) && l[j].X <= at+1e-9 {
				v = l[j].Y
				j++
			}
			total[i] += v
		}
	}
	return total
}

// grid returns instants from 0 to the last sample of a track, in steps of
// 100 ms or, in long runs, so that there are at most 400.
func (s *series) grid(t track) []float64 {
	end := 0.0
	for _, k := range s.keys {
		if t.has(k) {
			l := s.lines[k]
			end = max(end, l[len(l)-1].X)
		}
	}
	step := 0.1 * max(1, math.Ceil(end/400/0.1))
	var g []float64
	for i := 0; float64(i)*step < end-step/2; i++ { // the last step is half to one and a half long
		g = append(g, float64(i)*step)
	}
	return append(g, end)
}
