package plots

import (
	"errors"
	"io/fs"
	"net/netip"

	"gonum.org/v1/plot/plotter"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
)

// digest is what the figures need of a run's capture: it is read once, through
// the same observer that judged the run, so that kernel stacks are drawn as own
// ones are.
type digest struct {
	flow    string // the flow that is drawn: the one that carried most
	dir     observe.Dir
	whole   cloud  // of the whole run, thinned to what a page can show
	zoom    window // some segments, one by one
	windows []window
}

// window is the neighbourhood of a named event.
type window struct {
	handover  result.Handover
	others    []result.Handover // events with the same gap
	from, to  float64
	cloud     cloud
	delivered plotter.XYs // in-order progress at the receiver, in MB
	latest    plotter.XY  // progress that delivered need not show, unless a gap follows
}

// cloud is data as it was sent: time in seconds against place in the stream in
// MB, by path and kind.
type cloud struct {
	points map[stroke]plotter.XYs
	order  []stroke
	cells  map[cell]bool // that have a point
	apart  bool          // each path has cells of its own
}

// stroke is how a point is drawn.
type stroke struct {
	path string
	kind observe.DataKind
}

// cell is a place that shows one point of a kind at most: the first. So paths
// that take turns in one place show as a mixture.
type cell struct {
	x, y int64
	kind observe.DataKind
	path string // of a cloud that keeps paths apart
}

// add adds a point unless one stands in its cell; there are 1,000 x 600 of them
// on a page of that width and height.
func (c *cloud) add(s stroke, x, y, width, height float64) {
	k := cell{x: int64(x / width * 1000), y: int64(y / height * 600), kind: s.kind}
	if c.apart {
		k.path = s.path
	}
	if c.cells[k] {
		return
	}
	if c.cells == nil {
		c.cells, c.points = make(map[cell]bool), make(map[stroke]plotter.XYs)
	}
	c.cells[k] = true
	if c.points[s] == nil {
		c.order = append(c.order, s)
	}
	c.points[s] = append(c.points[s], plotter.XY{X: x, Y: y})
}

// mainFlow returns the flow that carried most, and in which direction.
func mainFlow(run *result.Run) (flow *result.Flow, dir observe.Dir) {
	for i := range run.Flows {
		if f := &run.Flows[i]; flow == nil || f.Bytes > flow.Bytes {
			flow = f
		}
	}
	if flow != nil && flow.DownloadBytes >= flow.UploadBytes {
		dir = observe.Down
	}
	return flow, dir
}

// digest reads the capture of a run; nil without one.
func (b *book) digest(run *result.Run) (*digest, error) {
	flow, dir := mainFlow(run)
	if flow == nil {
		return nil, nil
	}
	d := &digest{flow: flow.Name, dir: dir, windows: windows(run, flow), zoom: zoom(run, flow), whole: cloud{apart: true}}
	height := max(1, float64(flow.DownloadBytes)/1e6)
	if dir == observe.Up {
		height = max(1, float64(flow.UploadBytes)/1e6)
	}
	width := max(0.1, run.Duration)
	var target *observe.Conn
	match := func(c *observe.Conn) bool {
		if target == nil && isFlow(c, flow) {
			target = c
		}
		return c == target
	}
	opt := observe.Options{
		OnData: func(p observe.Data) {
			if p.Dir == dir && match(p.Conn) {
				d.data(p, width, height)
			}
		},
		OnProgress: func(c *observe.Conn, way observe.Dir, at clock.Instant, off int64) {
			if way == dir && match(c) {
				d.progress(at.Seconds(), float64(off)/1e6)
			}
		},
	}
	o := observe.New(opt)
	err := result.ReadCapture(b.dir, run.ID, o.Packet)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case target == nil:
		return nil, nil
	}
	return d, nil
}

// isFlow reports whether a connection of the wire is a flow of the result: one
// of its subflows has the addresses of the first subflow.
func isFlow(c *observe.Conn, f *result.Flow) bool {
	if len(f.Subflows) == 0 {
		return false
	}
	client, err1 := netip.ParseAddrPort(f.Subflows[0].Client)
	server, err2 := netip.ParseAddrPort(f.Subflows[0].Server)
	return err1 == nil && err2 == nil && c.Client == client && c.Server == server
}

// data takes a piece of data that leaves its sender.
func (d *digest) data(p observe.Data, width, height float64) {
	s := stroke{p.Subflow.Path, p.Kind}
	x, y := p.At.Seconds(), float64(p.Offset)/1e6
	d.whole.add(s, x, y, width, height)
	for i := range d.windows {
		d.windows[i].data(s, x, y, width, height)
	}
	d.zoom.data(s, x, y, width, height)
}

// data takes a piece of data; width and height are those of the whole run.
func (w *window) data(s stroke, x, y, width, height float64) {
	if span := w.to - w.from; x >= w.from && x <= w.to {
		w.cloud.add(s, x, y, span, height*span/width)
	}
}

func (d *digest) progress(x, y float64) {
	for i := range d.windows {
		d.windows[i].progress(x, y)
	}
}

// progress keeps what can be told apart on the page: gaps keep their ends.
func (w *window) progress(x, y float64) {
	if x > w.to {
		return
	}
	pt, n := plotter.XY{X: x, Y: y}, len(w.delivered)
	if n > 0 && x < w.from {
		w.delivered[0], w.latest = pt, pt // the last before the window
		return
	}
	if step := (w.to - w.from) / 2000; n == 0 || x-w.delivered[n-1].X >= step {
		if n > 0 && w.latest.X > w.delivered[n-1].X {
			w.delivered = append(w.delivered, w.latest)
		}
		w.delivered = append(w.delivered, pt)
	}
	w.latest = pt
}

// zoom returns the time of about 100 segments at which the scheduler was
// undisturbed: half a second before the first event, or in the middle.
func zoom(run *result.Run, flow *result.Flow) window {
	mid := flow.Start + flow.Duration/2
	for _, e := range run.Events {
		if e.Happened && e.Actual > flow.Start+1 {
			mid = min(mid, e.Actual-0.5)
		}
	}
	half := 50 * 1448 * 8 / max(flow.Goodput, 1e5)
	return window{from: max(0, mid-half), to: mid + half}
}

// windows returns the neighbourhoods of the events that touched a flow.
func windows(run *result.Run, flow *result.Flow) []window {
	var list []window
	for _, h := range run.Handover {
		for _, f := range h.Flows {
			if f.Flow == flow.Name {
				h = f
				break
			}
		}
		if !h.Happened || h.GapEnd <= h.GapStart {
			continue
		}
		if n := len(list); n > 0 && list[n-1].handover.GapStart == h.GapStart {
			w := &list[n-1]
			w.others = append(w.others, h)
			w.to = max(w.to, h.At+0.15)
			continue
		}
		if len(list) == maxTracks {
			break
		}
		gap := h.GapEnd - h.GapStart
		pad := min(max(0.4*gap, 0.15), 2)
		list = append(list, window{
			handover: h,
			from:     max(0, min(h.At, h.GapStart)-pad),
			to:       max(h.At, h.GapEnd) + pad,
		})
	}
	return list
}
