package scenarios

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/spec"
	"mptcplab/workloads"
)

// flow is one connection pair of a workload: its two ends, and what is measured
// beside them.
type flow struct {
	name  string
	w     *spec.Workload
	port  uint16
	start time.Duration // since the start of the run
	// What it moves: sizes are drawn, files read.
	download, upload workloads.Amount
	contents         [2][]byte // of files, up and down; nil: generated
	client           end
	server           end
	// stop ends each end's sending early; it runs in a turn of the end's host.
	stop    [2]func()
	stopped bool // the timeline did so
}

// end is one end of a flow. Everything in it belongs to its host: read and
// changed only in a turn of that host (driver.do).
type end struct {
	host  string
	app   workloads.App
	meter *workloads.Meter
	conn  func() workloads.Conn
	gaps  gapTracker
	// atEvent is what this end's stack said of its subflows when an event came.
	atEvent []eventInfo
}

type eventInfo struct {
	event string
	info  mptcp.Info
}

// ends returns both ends of the flow.
func (f *flow) ends() [2]*end { return [2]*end{&f.client, &f.server} }

// receives reports whether the end gets bytes that the workload counts.
func (f *flow) receives(e *end) bool {
	if f.w.Type == "request-response" {
		return e == &f.client
	}
	if e == &f.client {
		return f.w.Download != spec.Amount{}
	}
	return f.w.Upload != spec.Amount{}
}

// makeFlows makes the flows of a run; contents has the files that they send. Each has its own server port, so that a
// connection on the wire belongs to one flow beyond doubt.
func makeFlows(run *spec.Run, contents map[string][]byte) (flows []*flow) {
	var stagger *workloads.Stream
	start := time.Duration(0)
	for i := range run.Workloads {
		w := &run.Workloads[i]
		first := i == 0 || run.Workloads[i-1].Name != w.Name
		if first {
			stagger, start = workloads.NewStream(run.Seed, w.Name+"/stagger"), w.Start
		} else {
			start += w.Stagger.From(stagger)
		}
		n := max(1, w.Parallel)
		for m := range n {
			f := &flow{name: w.Flow(), w: w, port: w.Port + uint16(m), start: start}
			if n > 1 {
				f.name = fmt.Sprintf("%s.%d", w.Flow(), m+1)
			}
			if m > 0 && w.Member == "" {
				start += w.Stagger.From(stagger)
				f.start = start
			}
			f.client = end{host: w.Client, meter: workloads.NewMeter(), gaps: gapTracker{last: clock.Never}}
			f.server = end{host: w.Server, meter: workloads.NewMeter(), gaps: gapTracker{last: clock.Never}}
			f.contents = [2][]byte{contents[w.Upload.File], contents[w.Download.File]}
			f.upload, f.download = f.amount(run, "upload", w.Upload), f.amount(run, "download", w.Download)
			f.makeApps(run)
			flows = append(flows, f)
		}
	}
	return flows
}

// readFiles reads the files that the flows of a scenario send, by their names in it.
func readFiles(file *spec.File) (map[string][]byte, error) {
	contents := map[string][]byte{}
	for i := range file.Runs {
		for _, w := range file.Runs[i].Workloads {
			for _, a := range []spec.Amount{w.Upload, w.Download} {
				if a.File == "" || contents[a.File] != nil {
					continue
				}
				b, err := os.ReadFile(a.Path)
				if err == nil && uint64(len(b)) != a.Bytes {
					err = fmt.Errorf("%s has changed since the scenario was read", a.File)
				}
				if err != nil {
					return nil, fmt.Errorf("workload %s: %w", w.Name, err)
				}
				contents[a.File] = b
			}
		}
	}
	return contents, nil
}

// amount is how much the flow moves: a size that is drawn is drawn once.
func (f *flow) amount(run *spec.Run, what string, a spec.Amount) workloads.Amount {
	if a.Size.Kind != "" {
		a.Bytes = uint64(a.Size.From(workloads.NewStream(run.Seed, f.name+"/"+what)))
	}
	return workloads.Amount{Bytes: a.Bytes, Time: a.Time}
}

func (f *flow) makeApps(run *spec.Run) {
	dial := f.socket(run, f.w.Client, f.w.ClientSettings)
	dial.Local = netip.AddrPortFrom(f.w.ClientAddr, 0)
	dial.Remote = netip.AddrPortFrom(f.w.ServerAddr, f.port)
	listen := f.socket(run, f.w.Server, f.w.ServerSettings)
	listen.Local = netip.AddrPortFrom(unspecified(f.w.ServerAddr), f.port)

	switch f.w.Type {
	case "request-response":
		x := workloads.Exchange{
			Request: f.w.Request, Response: f.w.Response, Count: f.w.Count,
			Think: f.w.Think, Reconnect: f.w.Reconnect,
		}
		c := &workloads.ExchangeClient{Exchange: x, Socket: dial, Start: f.start, Data: f.stream(run, "up"), Meter: f.client.meter,
			Draws: f.stream(run, "draws"), Sizes: workloads.NewSizes(run.Seed, f.name)}
		s := &workloads.ExchangeServer{Exchange: x, Socket: listen, Data: f.stream(run, "down"), Meter: f.server.meter,
			Sizes: workloads.NewSizes(run.Seed, f.name)}
		f.client.app, f.client.conn, f.stop[0] = c, c.Conn, c.Stop
		f.server.app, f.server.conn = s, s.Conn
	default:
		p := workloads.Pattern{First: f.w.Write.First, Max: f.w.Write.Max, Pause: f.w.Write.Pause, Bitrate: f.w.Bitrate}
		c := &workloads.BulkClient{Socket: dial, Start: f.start}
		c.BulkEnd = workloads.BulkEnd{Send: f.upload, Pattern: p, Data: f.data(run, 0), Meter: f.client.meter}
		s := &workloads.BulkServer{Socket: listen}
		s.BulkEnd = workloads.BulkEnd{Send: f.download, Pattern: p, Data: f.data(run, 1), Meter: f.server.meter}
		f.client.app, f.client.conn = c, c.Conn
		f.server.app, f.server.conn = s, s.Conn
		f.stop = [2]func(){func() { c.Stopped = true }, func() { s.Stopped = true }}
	}
}

// data is what the flow sends up (0) or down (1): a file, or a stream of its own.
func (f *flow) data(run *spec.Run, i int) workloads.Source {
	if f.contents[i] != nil {
		return workloads.NewContent(f.contents[i])
	}
	return f.stream(run, [2]string{"up", "down"}[i])
}

func (f *flow) stream(run *spec.Run, name string) *workloads.Stream {
	return workloads.NewStream(run.Seed, f.name+"/"+name)
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// socket is what the workload asks of a host: its protocol is its own word or
// what the host's stack is.
func (f *flow) socket(run *spec.Run, host string, s spec.Settings) workloads.Socket {
	proto := f.w.Proto
	for i := range run.Hosts {
		h := &run.Hosts[i]
		if h.Name != host {
			continue
		}
		plain := h.Stack == spec.StackTCP || h.Stack == spec.StackKernelTCP
		if plain || proto == "" {
			proto = "mptcp"
			if plain {
				proto = "tcp"
			}
		}
	}
	cfg := spec.MPTCPConfig(s, proto == "tcp")
	return workloads.Socket{Proto: proto, Config: &cfg}
}

// asked reports whether an end asked for MPTCP.
func (f *flow) asked(run *spec.Run) bool {
	return f.socket(run, f.w.Client, f.w.ClientSettings).Proto == "mptcp" ||
		f.socket(run, f.w.Server, f.w.ServerSettings).Proto == "mptcp"
}

// over reports whether the flow is over, if its ends are or are not. The client
// alone says so where it may connect again: what it left behind at the server may
// wait for ever.
func (f *flow) over(client, server bool) bool { return client && (server || f.w.Reconnect > 0) }

// duration is from connect to the last byte that either end was to get.
func (f *flow) duration() time.Duration {
	c, s := f.client.meter, f.server.meter
	if c.Start == clock.Never {
		return 0
	}
	last := c.Start
	for _, m := range []*workloads.Meter{c, s} {
		if m.LastRead != clock.Never {
			last = max(last, m.LastRead)
		}
	}
	return last.Sub(c.Start)
}
