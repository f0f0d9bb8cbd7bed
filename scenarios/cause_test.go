package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/workloads"
)

// twoPaths is a download over two paths, with a timeline to be filled in.
const twoPaths = `
name: two
seed: 7
topology:
  hosts: {phone, server}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: 20mbit, delay: 15ms, queue: 100ms}
    lte:  {ends: [phone, router], rate: 10mbit, delay: 30ms, queue: 200ms}
    lan:  {ends: [router, server], rate: 1gbit}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, %s}
timeline:
%s`

// runText runs a scenario given as text.
func runText(t *testing.T, text string) result.Run {
	t.Helper()
	return runFile(t, loadText(t, text), Options{Pcap: "none"}).Runs[0]
}

// writeText puts a scenario into a file.
func writeText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// loadText reads a scenario given as text.
func loadText(t *testing.T, text string) *spec.File {
	t.Helper()
	f, err := spec.Load(writeText(t, text), spec.Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Each cause of a gap is recognised for what it is.
func TestCauses(t *testing.T) {
	for _, c := range []struct {
		name, work, timeline string
		cause, path          string
		gap                  [2]float64 // ms, least and most
	}{
		{"rto", "download: 15MB", `
  - {at: 3s, name: ev, link: wifi, blackhole: true}
  - {at: 4s, mark: over, name: over}`, "rto", "lte", [2]float64{200, 600}},
		{"interface goes with notice", "download: 15MB", `
  - {at: 3s, name: ev, iface: phone.wifi, state: down, notice: true}
  - {at: 4s, mark: over, name: over}`, "remove_addr", "lte", [2]float64{50, 300}},
		{"endpoint is deleted", "download: 15MB", `
  - {at: 3s, name: ev, host: phone, delete_endpoint: {dev: wifi}}
  - {at: 4s, mark: over, name: over}`, "remove_addr", "lte", [2]float64{50, 300}},
		{"what is gone already goes with notice", "download: 15MB", `
  - {at: 1s, host: phone, delete_endpoint: {dev: wifi}}
  - {at: 3s, name: ev, iface: phone.wifi, state: down, notice: true}
  - {at: 4s, mark: over, name: over}`, "none", "", [2]float64{0, 300}},
		{"backup", "download: 15MB", `
  - {at: 3s, name: ev, host: phone, change_endpoint: {dev: lte, flags: [backup]}}
  - {at: 3200ms, mark: over, name: over}`, "mp_prio", "lte", [2]float64{0, 100}},
		{"the link comes back", "download: 15MB, proto: tcp", `
  - {at: 3s, name: ev, link: wifi, blackhole: true}
  - {at: 5s, link: wifi, blackhole: false}`, "link_up", "wifi", [2]float64{2000, 4000}},
		{"a change that restores nothing", "download: 15MB", `
  - {at: 3s, name: ev, link: wifi, delay: 16ms}
  - {at: 3100ms, mark: over, name: over}`, "none", "", [2]float64{0, 100}},
		{"events of one instant", "download: 15MB, proto: tcp", `
  - {at: 3s, name: ev, link: wifi, blackhole: true}
  - {at: 3s, name: same, link: lte, blackhole: true}
  - {at: 5s, link: wifi, blackhole: false}`, "link_up", "wifi", [2]float64{2000, 4000}},
		{"all paths are closed", "download: 15MB, may_fail: true", `
  - {at: 3s, name: ev, host: phone, flush_endpoints: true}`, "none", "", [2]float64{59000, 61000}},
		{"nothing comes back", "download: 15MB, proto: tcp, may_fail: true", `
  - {at: 3s, name: ev, link: wifi, blackhole: true}
duration: 10s`, "none", "", [2]float64{6900, 7100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := runText(t, fmt.Sprintf(twoPaths, c.work, c.timeline)).Handover[0]
			if !h.Happened || h.Cause != c.cause || c.path != "" && h.Path != c.path {
				t.Errorf("happened %v, cause %s, path %s; want %s, %s", h.Happened, h.Cause, h.Path, c.cause, c.path)
			}
			if h.GapMS < c.gap[0] || h.GapMS > c.gap[1] {
				t.Errorf("gap %.1f ms, want %v", h.GapMS, c.gap)
			}
			if diff := h.GapMS - h.CaptureGapMS; diff < -50 || diff > 50 {
				t.Errorf("gap %.1f ms at the application, %.1f ms in the capture", h.GapMS, h.CaptureGapMS)
			}
		})
	}
}

// A workload that the timeline stops ends both ways, and intact.
func TestStop(t *testing.T) {
	for _, work := range []string{"download: 50MB", "upload: 50MB", "download: 60s, upload: 60s", "download: 50MB, bitrate: 1mbit"} {
		r := runText(t, fmt.Sprintf(twoPaths, work, "  - {at: 2s, workload: get, stop: true}\n"))
		if f := r.Flows[0]; !f.Finished || !f.Intact || f.Bytes == 0 || f.Duration > 3.5 {
			t.Errorf("%s: finished %v, intact %v, %d bytes, %.2f s", work, f.Finished, f.Intact, f.Bytes, f.Duration)
		}
	}
}

// An event that says several things does them all.
func TestEventDoesAll(t *testing.T) {
	r := runText(t, fmt.Sprintf(twoPaths, "download: 10MB", `
  - {at: 1s, host: phone, set_limits: {subflows: 0}, delete_endpoint: {dev: lte}}
  - {at: 2s, name: off, link: wifi, delay: 50ms, state: down}
  - {at: 4s, name: on, link: wifi, state: up}`))
	if h := r.Handover[0]; h.GapMS < 1900 || h.Path != "wifi" {
		t.Errorf("gap %.0f ms, path %s: lte was deleted, so nothing comes while wifi is down", h.GapMS, h.Path)
	}
}

// Parallel connections and the workloads after them have ports of their own.
func TestPortsOfParallelConnections(t *testing.T) {
	r := runText(t, fmt.Sprintf(twoPaths, "download: 1MB, parallel: 3}\n  put: {type: bulk, client: phone, server: server, proto: tcp, upload: 1MB", "  - {at: 1s, mark: x}"))
	if len(r.Flows) != 4 {
		t.Fatalf("%d flows", len(r.Flows))
	}
	for i, f := range r.Flows {
		if plain := i == 3; !f.Intact || (len(f.Subflows) == 1) != plain {
			t.Errorf("%s: intact %v (%s), %d subflows", f.Name, f.Intact, f.Error, len(f.Subflows))
		}
	}
}

// Signals explain a gap if they came after its event and within reach of its
// beginning; what a path manager says outranks the FIN or RST that goes with it.
func TestCauseOfSignals(t *testing.T) {
	window := gapWindow{event: "ev", from: at(1000), to: clock.Never, met: true, start: at(1100), end: at(1400)}
	for _, c := range []struct {
		name   string
		events []observe.Event
		open   bool
		want   string
	}{
		{"rst", []observe.Event{{At: at(1200), Kind: observe.EventRst}}, false, "rst"},
		{"fin", []observe.Event{{At: at(1200), Kind: observe.EventFin}}, false, "fin"},
		{"mp_fail", []observe.Event{{At: at(1200), Kind: observe.EventFail}}, false, "mp_fail"},
		{"first of two", []observe.Event{{At: at(1150), Kind: observe.EventFin}, {At: at(1200), Kind: observe.EventRst}}, false, "fin"},
		{"prio", []observe.Event{{At: at(1010), Kind: observe.EventPrio}}, false, "mp_prio"},
		{"fin, and why", []observe.Event{{At: at(1000), Kind: observe.EventFin}, {At: at(1001), Kind: observe.EventRemoveAddr}}, false, "remove_addr"},
		{"said in vain", []observe.Event{{At: at(1000), Kind: observe.EventRemoveAddr}, {At: at(1001), Kind: observe.EventFin}, {At: at(1040), Kind: observe.EventFin, Arrived: true}}, false, "fin"},
		{"before the event", []observe.Event{{At: at(990), Kind: observe.EventRst}}, false, "none"},
		{"after the gap", []observe.Event{{At: at(1401), Kind: observe.EventRst}}, false, "none"},
		{"no signal that ends gaps", []observe.Event{{At: at(1200), Kind: observe.EventAddAddr}}, false, "none"},
		{"not ended", []observe.Event{{At: at(1200), Kind: observe.EventRst}}, true, "none"},
	} {
		w := window
		w.open = c.open
		x := &experiment{run: &spec.Run{}}
		f := &flow{}
		for _, e := range f.ends() {
			e.conn = func() workloads.Conn { return nil }
		}
		if got := x.cause(f, &observe.Conn{Events: c.events}, observe.Down, &w, observe.Gap{}, nil, 100*time.Millisecond); got != c.want {
			t.Errorf("%s: cause %s, want %s", c.name, got, c.want)
		}
	}
	late := gapWindow{from: at(1000), to: clock.Never, met: true, start: at(3000), end: at(3400)}
	x := &experiment{run: &spec.Run{}}
	f := &flow{client: end{conn: func() workloads.Conn { return nil }}, server: end{conn: func() workloads.Conn { return nil }}}
	conn := &observe.Conn{Events: []observe.Event{{At: at(1000), Kind: observe.EventRemoveAddr}}}
	if got := x.cause(f, conn, observe.Down, &late, observe.Gap{}, nil, 100*time.Millisecond); got != "none" {
		t.Errorf("a signal two seconds before the gap is its cause: %s", got)
	}
}
