package plots

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colours of Okabe and Ito, which stay apart under colour blindness
// (https://jfly.uni-koeln.de/color/). Yellow is left out: too faint on white.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xB2, 0xFF}, // blue
	{0xE6, 0x9F, 0x00, 0xFF}, // orange
	{0x00, 0x9E, 0x73, 0xFF}, // bluish green
	{0xCC, 0x79, 0xA7, 0xFF}, // reddish purple
	{0x56, 0xB4, 0xE9, 0xFF}, // sky blue
}

var (
	ink        = color.NRGBA{0x20, 0x20, 0x20, 0xFF}
	faint      = color.NRGBA{0x70, 0x70, 0x70, 0xFF}
	gridColor  = color.NRGBA{0xE4, 0xE4, 0xE4, 0xFF}
	vermilion  = color.NRGBA{0xD5, 0x5E, 0x00, 0xFF} // what was sent again
	others     = color.NRGBA{0xC4, 0xC4, 0xC4, 0xFF} // what a panel is not about
	shadeColor = color.NRGBA{0xF0, 0xE4, 0x42, 0x48} // the gap: translucent yellow
)

// The dashes go with the colours, for prints without any.
var dashes = [][]vg.Length{nil, {5, 2}, {2, 1.5}, {7, 2, 1.5, 2}, {1, 1.5}}

func sans(size vg.Length, bold bool) font.Font {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = 3 // golang.org/x/image/font.WeightBold
	}
	return f
}

// write is a style of text that is aligned as given.
func write(size vg.Length, c color.Color, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{Color: c, Font: sans(size, false), XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
}

// newPlot returns a plot with the house's axes and a light grid.
func newPlot(title, x, y string) *plot.Plot {
	p := newAxes(title, x, y)
	p.Add(grid{})
	return p
}

// newAxes returns a plot with readable labels and no box.
func newAxes(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font = sans(9.5, true)
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 4
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = sans(9.5, false)
		a.Label.TextStyle.Color = ink
		a.Label.Padding = 3
		a.Tick.Label.Font = sans(8.5, false)
		a.Tick.Label.Color = ink
		a.Tick.Length = 3
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.6, 0.6
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, ink
		a.Padding = 0
		a.Tick.Marker = plot.TickerFunc(ticks)
	}
	return p
}

// ticks places five to ten labelled ticks at 1, 2 or 5 times a power of ten.
func ticks(lo, hi float64) []plot.Tick {
	if !(hi > lo) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	switch n := (hi - lo) / step; {
	case n > 20:
		step *= 5
	case n > 10:
		step *= 2
	}
	digits := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var t []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9; i++ {
		t = append(t, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step+0, 'f', digits, 64)})
	}
	return t
}

// grid draws horizontal lines at the labelled ticks of the y axis.
type grid struct{}

func (grid) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if t.Label != "" {
			c.StrokeLine2(draw.LineStyle{Color: gridColor, Width: 0.5}, c.Min.X, y(t.Value), c.Max.X, y(t.Value))
		}
	}
}

// bitrate writes a rate in bit/s for a reader.
func bitrate(v float64) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.2f Mbit/s", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1f kbit/s", v/1e3)
	}
	return fmt.Sprintf("%.0f bit/s", v)
}

// size writes a number of bytes for a reader.
func size(n uint64) string {
	switch v := float64(n); {
	case v >= 1e9:
		return fmt.Sprintf("%.2f GB", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.2f MB", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1f kB", v/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// duration writes milliseconds for a reader.
func duration(ms float64) string {
	switch {
	case ms >= 1e3:
		return fmt.Sprintf("%.2f s", ms/1e3)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}
