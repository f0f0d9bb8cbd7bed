package plots

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"mptcplab/scenarios/result"
)

// events draws the timeline's events as dashed lines, their names at the top, in
// room that headroom makes above the data.
type events struct {
	list []result.Event
}

func (e events) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	sty := write(8, ink, text.XLeft, text.YTop)
	var free [3]vg.Length // where the next label of each row may begin
	for _, ev := range e.list {
		at := x(ev.Actual)
		if !ev.Happened || !c.ContainsX(at) {
			continue
		}
		c.StrokeLine2(draw.LineStyle{Color: faint, Width: 0.8, Dashes: []vg.Length{3, 2}}, at, c.Min.Y, at, c.Max.Y)
		label := ev.Name
		if label == "" {
			label = ev.Text
		}
		w := sty.Width(label)
		left := at + 3
		if left+w > c.Max.X {
			left = at - 3 - w
		}
		for row := range free {
			if left >= free[row] {
				y := c.Max.Y - vg.Length(row)*10 - 1
				c.FillPolygon(color.White, rectangle(left-1, y-9, left+w+1, y))
				c.FillText(sty, vg.Point{X: left, Y: y}, label)
				free[row] = left + w + 6
				break
			}
		}
	}
}

// headroom starts the y axis at zero and leaves room for labels above the data.
func headroom(p *plot.Plot, share float64) {
	p.Y.Min = 0
	if p.Y.Max <= 0 || math.IsInf(p.Y.Max, 0) {
		p.Y.Max = 1
	}
	p.Y.Max *= 1 + share
}

// dots draws many small squares, crosses or pluses as one path.
type dots struct {
	points plotter.XYs
	color  color.Color
	radius vg.Length
	shape  shape
}

func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var path vg.Path
	for _, pt := range d.points {
		px, py := x(pt.X), y(pt.Y)
		if !c.Contains(vg.Point{X: px, Y: py}) {
			continue
		}
		r := d.radius
		switch d.shape {
		case plus:
			path.Move(vg.Point{X: px - r, Y: py})
			path.Line(vg.Point{X: px + r, Y: py})
			path.Move(vg.Point{X: px, Y: py - r})
			path.Line(vg.Point{X: px, Y: py + r})
			continue
		case cross:
			path.Move(vg.Point{X: px - r, Y: py - r})
			path.Line(vg.Point{X: px + r, Y: py + r})
			path.Move(vg.Point{X: px - r, Y: py + r})
			path.Line(vg.Point{X: px + r, Y: py - r})
			continue
		}
		path.Move(vg.Point{X: px - r, Y: py - r})
		path.Line(vg.Point{X: px + r, Y: py - r})
		path.Line(vg.Point{X: px + r, Y: py + r})
		path.Line(vg.Point{X: px - r, Y: py + r})
		path.Close()
	}
	if len(path) == 0 {
		return
	}
	c.SetColor(d.color)
	if d.shape != dot {
		c.SetLineStyle(draw.LineStyle{Color: d.color, Width: 0.8})
		c.Stroke(path)
		return
	}
	c.Fill(path)
}

func (d dots) DataRange() (xmin, xmax, ymin, ymax float64) { return plotter.XYRange(d.points) }

// shade marks an interval of time and writes its length above it.
type shade struct {
	from, to float64
	label    string
}

func (s shade) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	l, r := max(x(s.from), c.Min.X), min(x(s.to), c.Max.X)
	if l >= r {
		return
	}
	c.FillPolygon(shadeColor, rectangle(l, c.Min.Y, r, c.Max.Y))
	y := c.Max.Y - 16
	sty := draw.LineStyle{Color: ink, Width: 0.8}
	c.StrokeLine2(sty, l, y, r, y)
	for _, e := range []vg.Length{l, r} {
		c.StrokeLine2(sty, e, y-3, e, y+3)
	}
	t := write(9, ink, text.XCenter, text.YTop)
	t.Font = sans(9, true)
	w := t.Width(s.label)/2 + 2
	mid := min(max((l+r)/2, c.Min.X+w), c.Max.X-w)
	c.FillPolygon(color.White, rectangle(mid-w, y-16, mid+w, y-4))
	c.FillText(t, vg.Point{X: mid, Y: y - 5}, s.label)
}

// lineOf returns a line through points.
func lineOf(pts plotter.XYs, c color.Color, w vg.Length, dash []vg.Length) *plotter.Line {
	return &plotter.Line{XYs: pts, LineStyle: draw.LineStyle{Color: c, Width: w, Dashes: dash}}
}
