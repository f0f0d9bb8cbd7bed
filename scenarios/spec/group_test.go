package spec

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// apFile has three clients at an access point, and two links for each.
const apFile = `
topology:
  hosts:
    sta: {count: 3, mptcp: {limits: {subflows: 2}}}
    server: {}
  switches: {ap}
  routers: {gw}
  links:
    radio: {ends: [sta, ap]}
    modem: {ends: [sta, gw], delay: 20ms}
    air:   {ends: [ap, gw], rate: 50mbit, delay: 3ms}
    lan:   {ends: [gw, server]}
workloads:
  page: {type: request-response, client: sta.radio, server: server, request: 500B, response: 10KB, count: 5, stagger: exp(500ms)}
  get:  {type: bulk, client: sta2.radio, server: server, download: 1MB}
timeline:
  - {at: 1s, name: lost, link: radio, blackhole: true}
  - {at: 2s, name: added, host: sta, add_endpoint: {dev: radio, port: 70, flags: [signal]}}
  - {at: 3s, iface: sta.modem, state: down, notice: true}
  - {at: 4s, workload: page.sta2, stop: true}
expect:
  - p95(flow.page.*.response.p95) < 500ms
  - flow.page.sta3.path.radio.bytes > 0
  - flow.page.path.modem3.bytes == 0
  - flow.page.path.radio.bytes > 0
  - flow.page.sta2.handover.lost.gap < 3s
  - host.sta3.counter.MPTcpExtMPJoinSynTx >= 1
`

func loadAP(t *testing.T, old, new string, o Options) (*File, error) {
	t.Helper()
	if old != "" && !strings.Contains(apFile, old) {
		t.Fatalf("%q is not in the file", old)
	}
	return Load(write(t, "ap.yaml", strings.Replace(apFile, old, new, 1)), o)
}

// A workload of a group is one for each member, with ports in a row; an event of
// a group is one for each member, and the first has the name.
func TestGroupWorkloads(t *testing.T) {
	f, err := loadAP(t, "", "", Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	run := &f.Runs[0]
	var work, events []string
	for _, w := range run.Workloads {
		work = append(work, fmt.Sprintf("%s %s.%s %d %v", w.Flow(), w.Client, w.ClientLink, w.Port, w.ClientAddr))
	}
	want := "page.sta1 sta1.radio1 5001 10.0.1.1, page.sta2 sta2.radio2 5002 10.0.1.2, page.sta3 sta3.radio3 5003 10.0.1.3, get sta2.radio2 5004 10.0.1.2"
	if got := strings.Join(work, ", "); got != want {
		t.Errorf("workloads %s\nwant      %s", got, want)
	}
	for _, e := range run.Timeline {
		events = append(events, fmt.Sprintf("%s|%s %s%s%s%s", e.Name, e.Part, e.Link, e.Iface, e.Host, e.Workload))
	}
	want = "lost| radio1, |lost radio2, |lost radio3, added| sta1, |added sta2, |added sta3, | sta1.modem1, | sta2.modem2, | sta3.modem3, | page.sta2"
	if got := strings.Join(events, ", "); got != want {
		t.Errorf("events %s\nwant   %s", got, want)
	}
	for _, h := range run.Hosts[:3] {
		if h.Limits.Subflows != 2 || len(h.Endpoints) != 2 {
			t.Errorf("%s: limits %+v, endpoints %v", h.Name, h.Limits, h.Endpoints)
		}
	}
	if e := run.Timeline[4]; e.AddEndpoint.Dev != "radio2" || e.AddEndpoint.Addr != run.Workloads[1].ClientAddr {
		t.Errorf("sta2 adds %+v", e.AddEndpoint)
	}
	if e := run.Timeline[8]; len(e.Noticed) != 1 || e.Noticed[0].Dev != "modem3" {
		t.Errorf("sta3.modem goes with %+v", e.Noticed)
	}
}

// The resolved file has the members one by one, runs by itself and does not change
// when it is resolved again.
func TestGroupsResolved(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""},
		{"timeline:", "params: {n: 3}\ntimeline:"}, // not used
		{"count: 3", "count: $n"},                  // with the params below
	} {
		text := strings.Replace(apFile, c[0], c[1], 1)
		if strings.Contains(c[1], "$n") {
			text = "params: {n: 3}\n" + text
		}
		f, err := Load(write(t, "ap.yaml", text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"sta3:", "group: sta", "radio3:", "group: radio", "10.0.1.3/24"} {
			if !bytes.Contains(f.Resolved(), []byte(word)) {
				t.Errorf("%v: no %q in the resolved file:\n%s", c, word, f.Resolved())
			}
		}
		again, err := Load(write(t, "ap.yaml", string(f.Resolved())), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !sameRuns(f.Runs, again.Runs) || !bytes.Equal(f.Resolved(), again.Resolved()) {
			t.Errorf("%v: resolved twice it is another file", c)
		}
	}
}

// Paths on the command line and in the sweep reach groups and members alike.
func TestGroupPaths(t *testing.T) {
	f, err := loadAP(t, "expect:", `params: {n: 3}
pairings:
  plain: {sta: mptcp, sta2: tcp}
sweep:
  who: {all: {topology.hosts.sta.tcp.congestion_control: reno}, one: {topology.hosts.sta3.tcp.congestion_control: lia}}
x-expect:`, Options{Sets: []string{"topology.hosts.sta.count=4", "topology.hosts.sta4.mptcp.checksum_enabled=true", "topology.links.modem.delay=7ms", "topology.links.radio2.delay=1ms"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"[reno reno reno reno cubic]", "[cubic cubic lia cubic cubic]"} {
		var stacks, cc []string
		for _, h := range f.Runs[i].Hosts {
			stacks = append(stacks, string(h.Stack))
			cc = append(cc, h.Settings.TCP["congestion_control"])
		}
		if got := fmt.Sprint(stacks); got != "[mptcp tcp mptcp mptcp mptcp]" {
			t.Errorf("%s: stacks %s", f.Runs[i].ID, got)
		}
		if got := fmt.Sprint(cc); got != want {
			t.Errorf("%s: congestion control %s, want %s", f.Runs[i].ID, got, want)
		}
	}
	run := &f.Runs[0]
	if v := run.Hosts[3].Settings.MPTCP["checksum_enabled"]; v != "true" || run.Hosts[2].Settings.MPTCP["checksum_enabled"] != "false" {
		t.Errorf("sta4 has checksum_enabled %s", v)
	}
	if d := run.Topology.Link("modem4").Impair[0].Delay; d != 7e6 {
		t.Errorf("modem4 has delay %v", d)
	}
	if d := run.Topology.Link("radio2").Impair[0].Delay; d != 1e6 || run.Topology.Link("radio1").Impair[0].Delay != 0 {
		t.Errorf("radio2 has delay %v", d)
	}
}

// The size of a group may be an axis; then the members are made run by run.
func TestSweptCount(t *testing.T) {
	f, err := loadAP(t, "expect:", "params: {n: 2}\nsweep: {n: [2, 3]}\nexpect:", Options{Sets: []string{"topology.hosts.sta.count=$n", "expect=[]",
		"timeline=[]", "workloads.get.client=sta1.radio"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Runs) != 2 || len(f.Runs[0].Hosts) != 3 || len(f.Runs[1].Hosts) != 4 || len(f.Runs[1].Workloads) != 4 {
		t.Fatalf("runs %d, hosts %d", len(f.Runs), len(f.Runs[0].Hosts))
	}
	again, err := parse("x.yaml", f.Resolved(), Options{})
	if err != nil || !sameRuns(f.Runs, again.Runs) {
		t.Errorf("the resolved file gives other runs: %v", err)
	}
}

// Parallel connections of members are flows with three words.
func TestGroupParallel(t *testing.T) {
	f, err := loadAP(t, "count: 5,", "count: 5, parallel: 2,", Options{Sets: []string{"expect=[]"}})
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Runs[0].Workloads[1].Port; p != 5003 {
		t.Errorf("page.sta2 has port %d", p)
	}
	n := flowNames(&f.Runs[0])[0]
	if got := fmt.Sprint(n.Members); got != "[sta1.1 sta1.2 sta2.1 sta2.2 sta3.1 sta3.2]" {
		t.Errorf("flows %s", got)
	}
	for _, expr := range []string{"flow.page.sta2.bytes > 1MB", "flow.page.sta2.2.goodput > 1mbit", "flow.page.bytes > 0", "flow.page.*.goodput > 0",
		"flow.page.sta1.*.path.radio.bytes > 0", "median(flow.page.*.*.setup) < 1s", "flow.page.sta1.path.radio1.bytes > 0"} {
		if _, err := loadAP(t, "count: 5,", "count: 5, parallel: 2,", Options{Sets: []string{"expect=['" + expr + "']"}}); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestGroupMistakes(t *testing.T) {
	for name, c := range map[string][3]string{
		"no such member":     {"client: sta2.radio", "client: sta4.radio", `no host "sta4"`},
		"no such link":       {"client: sta2.radio", "client: sta.wifi", `sta1 has no interface "wifi"`},
		"event of nobody":    {"host: sta,", "host: st,", `no host "st"; did you mean "sta"?`},
		"link of nobody":     {"link: radio,", "link: radio9,", `no link "radio9"`},
		"workload of nobody": {"workload: page.sta2", "workload: page.sta9", `no workload "page.sta9"`},
		"iface without link": {"iface: sta.modem", "iface: sta", "wanted is HOST.LINK"},
		"flow of nobody":     {"flow.page.sta3.path.radio.bytes > 0", "flow.page.sta9.bytes > 0", `a flow has no "sta9.bytes"`},
		"no sum":             {"flow.page.path.radio.bytes > 0", "flow.page.duration > 0s", "several flows"},
		"ports":              {"download: 1MB}", "download: 1MB, port: 5003}", "listens on port 5003"},
		"nothing to stagger": {"download: 1MB}", "download: 1MB, stagger: 1s}", "this is one connection"},
		"group with itself":  {"server: server, download", "server: sta2, download", "the same host"},
	} {
		if _, err := loadAP(t, c[0], c[1], Options{}); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v\nwant %s", name, err, c[2])
		}
	}
}
