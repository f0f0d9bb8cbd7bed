package plots

import (
	"fmt"
	"image/color"
	"math"
	"sort"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bar is a row of the overview: a pairing at a point, over its repetitions.
type bar struct {
	label    string
	goodputs []float64 // bit/s, one a run
	gaps     []float64 // ms
	shares   map[string]float64
	fallback bool
}

// overview compares the runs: goodput, coloured by the paths that carried it,
// and the longest handover gap.
func (b *book) overview() *figure {
	bars := b.bars()
	if len(bars) == 0 {
		return nil
	}
	f := &figure{
		title: "Goodput and handover gap", subtitle: b.subtitle(nil), columns: 1,
		height: vg.Length(60 + 22*len(bars)),
	}
	for _, name := range b.paths {
		c, _ := b.style(name)
		f.legend = append(f.legend, entry{text: name, color: c, shape: box})
	}
	goodput := newAxes("", "Goodput (Mbit/s)", "")
	gap := newAxes("", "Longest handover gap (s)", "")
	rows := make([]string, len(bars))
	var most, longest, room float64
	for i, r := range bars {
		rows[len(bars)-1-i] = r.label
		for _, v := range r.goodputs {
			most = max(most, v/1e6)
		}
		for _, v := range r.gaps {
			longest = max(longest, v/1e3)
		}
		if room = max(room, 1.25); r.fallback {
			room = 1.6 // the word stands behind the bar
		}
	}
	panels := []*plot.Plot{goodput}
	if longest > 0 {
		f.columns = 2
		panels = append(panels, gap)
	}
	for k, p := range panels {
		p.X.Min, p.X.Max = 0, room*[]float64{most, longest}[k]
		p.Y.Min, p.Y.Max = -0.6, float64(len(bars))-0.4
		names := make([]plot.Tick, len(bars))
		for i := range rows {
			names[i] = plot.Tick{Value: float64(i)}
			if k == 0 {
				names[i].Label = rows[i]
			}
		}
		p.Y.Tick.Marker = plot.ConstantTicks(names)
		p.Y.Tick.LineStyle.Width = 0
	}
	goodput.Add(goodputBars{bars, b})
	gap.Add(gapBars{bars})
	f.panels = panels
	return f
}

// bars groups runs that differ only in their seed.
func (b *book) bars() []bar {
	var bars []bar
	index := map[string]int{}
	for i := range b.result.Runs {
		run := &b.result.Runs[i]
		if run.Error != "" && len(run.Flows) == 0 {
			continue
		}
		name := label(run)
		k, ok := index[name]
		if !ok {
			k = len(bars)
			index[name] = k
			bars = append(bars, bar{label: name, shares: map[string]float64{}})
		}
		r := &bars[k]
		goodput, longest, any := 0.0, 0.0, false
		for _, f := range run.Flows {
			goodput += f.Goodput
			r.fallback = r.fallback || f.Fallback
			for _, p := range f.Paths {
				r.shares[p.Name] += float64(p.Bytes)
			}
		}
		for _, h := range run.Handover {
			if h.Happened {
				longest, any = max(longest, h.GapMS), true
			}
		}
		r.goodputs = append(r.goodputs, goodput)
		if any {
			r.gaps = append(r.gaps, longest)
		}
	}
	if len(bars) > 0 {
		dropPairing(bars)
	}
	return bars
}

// dropPairing shortens the labels if all runs have the same pairing.
func dropPairing(bars []bar) {
	pairing, _, ok := strings.Cut(bars[0].label, " ")
	for _, r := range bars {
		ok = ok && strings.HasPrefix(r.label, pairing+" ")
	}
	for i := range bars {
		if ok {
			bars[i].label = bars[i].label[len(pairing)+1:]
		}
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := append([]float64(nil), v...)
	sort.Float64s(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

const barHeight vg.Length = 12

// goodputBars draws the medians, cut by the paths' shares of the bytes.
type goodputBars struct {
	bars []bar
	book *book
}

func (g goodputBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, r := range g.bars {
		mid := y(float64(len(g.bars) - 1 - i))
		total, at := 0.0, 0.0
		for _, path := range g.book.paths {
			total += r.shares[path]
		}
		m := median(r.goodputs) / 1e6
		for _, path := range g.book.paths {
			if r.shares[path] == 0 {
				continue
			}
			w := m * r.shares[path] / total
			col, _ := g.book.style(path)
			c.FillPolygon(col, rectangle(x(at), mid-barHeight/2, x(at+w), mid+barHeight/2))
			at += w
		}
		note := fmt.Sprintf("%.2f", m)
		if r.fallback {
			note += ", fallback"
		}
		annotate(&c, x, mid, m, r.goodputs, 1e6, note)
	}
}

// gapBars draws the medians of the longest gaps.
type gapBars struct{ bars []bar }

func (g gapBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, r := range g.bars {
		mid := y(float64(len(g.bars) - 1 - i))
		note := "no event"
		m := median(r.gaps) / 1e3
		if len(r.gaps) > 0 {
			note = duration(m * 1e3)
		}
		c.FillPolygon(color.NRGBA{0x8A, 0x8A, 0x8A, 0xFF}, rectangle(x(0), mid-barHeight/2, x(m), mid+barHeight/2))
		annotate(&c, x, mid, m, r.gaps, 1e3, note)
	}
}

// annotate writes the value behind a bar, and the range over repetitions as a
// whisker.
func annotate(c *draw.Canvas, x func(float64) vg.Length, mid vg.Length, m float64, all []float64, unit float64, note string) {
	end := m
	if len(all) > 1 {
		lo, hi := math.Inf(1), 0.0
		for _, v := range all {
			lo, hi = min(lo, v/unit), max(hi, v/unit)
		}
		sty := draw.LineStyle{Color: ink, Width: 0.9}
		c.StrokeLine2(sty, x(lo), mid, x(hi), mid)
		for _, e := range []float64{lo, hi} {
			c.StrokeLine2(sty, x(e), mid-3, x(e), mid+3)
		}
		end = max(end, hi)
	}
	c.FillText(write(8.5, ink, text.XLeft, text.YCenter), vg.Point{X: x(end) + 4, Y: mid + 1}, note)
}
