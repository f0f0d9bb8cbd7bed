package plots

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a page: a title, what the numbers belong to, a legend in a row above
// the data, and panels below each other or side by side.
type figure struct {
	title, subtitle string
	legend          []entry
	panels          []*plot.Plot
	columns         int       // 0: one
	height          vg.Length // of a panel
}

// entry is a line of the legend.
type entry struct {
	text  string
	color color.Color
	dash  []vg.Length
	shape shape
}

// shape is what the legend shows before the text.
type shape uint8

const (
	line shape = iota
	dot
	cross
	plus
	box
)

const (
	width  vg.Length = 510 // 18 cm: two columns of a paper
	margin vg.Length = 8
	dpi              = 160
)

// draw puts the figure onto a canvas.
func (f *figure) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	head := write(12, ink, text.XLeft, text.YTop)
	head.Font = sans(12, true)
	c.FillText(head, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.title)
	c.FillText(write(8.5, faint, text.XLeft, text.YTop), vg.Point{X: c.Min.X, Y: c.Max.Y - 17}, f.subtitle)
	f.drawLegend(draw.Crop(c, 0, 0, 0, -31))
	rows, cols := f.grid()
	tiles := draw.Tiles{Rows: rows, Cols: cols, PadX: 14, PadY: 12}
	table := make([][]*plot.Plot, rows)
	for i := range table {
		table[i] = make([]*plot.Plot, cols)
		for j := range table[i] {
			if k := i*cols + j; k < len(f.panels) {
				table[i][j] = f.panels[k]
			}
		}
	}
	canvases := plot.Align(table, tiles, draw.Crop(c, 0, -4, 0, -headRoom))
	for i := range table {
		for j, p := range table[i] {
			if p != nil {
				p.Draw(canvases[i][j])
			}
		}
	}
}

// headRoom is the height of titles and legend.
const headRoom = 52

func (f *figure) grid() (rows, cols int) {
	cols = max(1, f.columns)
	return (len(f.panels) + cols - 1) / cols, cols
}

// drawLegend writes the entries in a row.
func (f *figure) drawLegend(c draw.Canvas) {
	sty := write(9, ink, text.XLeft, text.YCenter)
	x, y := c.Min.X, c.Max.Y-7
	for _, e := range f.legend {
		switch e.shape {
		case line:
			c.StrokeLine2(draw.LineStyle{Color: e.color, Width: 1.8, Dashes: e.dash}, x, y, x+20, y)
		case dot:
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: e.color, Radius: 3, Shape: draw.CircleGlyph{}}, vg.Point{X: x + 10, Y: y})
		case cross:
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: e.color, Radius: 3.5, Shape: draw.CrossGlyph{}}, vg.Point{X: x + 10, Y: y})
		case plus:
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: e.color, Radius: 4, Shape: draw.PlusGlyph{}}, vg.Point{X: x + 10, Y: y})
		case box:
			c.FillPolygon(e.color, rectangle(x+3, y-4, x+17, y+4))
		}
		c.FillText(sty, vg.Point{X: x + 24, Y: y + 1}, e.text)
		x += 24 + sty.Width(e.text) + 16
	}
}

func rectangle(x0, y0, x1, y1 vg.Length) []vg.Point {
	return []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

// save writes the figure as NAME.svg and NAME.png and returns their paths.
func (f *figure) save(name string) ([]string, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	rows, _ := f.grid()
	h := f.height*vg.Length(rows) + headRoom + 2*margin
	svg := vgsvg.New(width, h)
	f.draw(draw.New(svg))
	img := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, h), vgimg.UseDPI(dpi))}
	f.draw(draw.New(img))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return nil, err
	}
	// Liberation Sans has the widths of Arial and Helvetica.
	out := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	if err := os.WriteFile(name+".svg", out, 0o644); err != nil {
		return nil, err
	}
	b.Reset()
	if _, err := img.WriteTo(&b); err != nil {
		return nil, err
	}
	return []string{name + ".svg", name + ".png"}, os.WriteFile(name+".png", b.Bytes(), 0o644)
}
