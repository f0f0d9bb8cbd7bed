package spec

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/pm"
	"mptcplab/topology"
)

func load(t *testing.T, text string, o Options) *File {
	t.Helper()
	f, err := Load(write(t, "x.yaml", text), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// The demo, as a fabric gets it.
func TestHandover(t *testing.T) {
	f, err := Load("../wifi-lte-handover.yaml", Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range f.Runs {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, []string{"mptcp-mptcp/seed=7", "mptcp-tcp/seed=7", "tcp-mptcp/seed=7"}) {
		t.Errorf("runs %v", ids)
	}
	if len(f.Skipped) != 1 || f.Skipped[0].Pairing != "mptcp-linux" || !strings.Contains(f.Skipped[0].Reason, "no stack of server") {
		t.Errorf("skipped %+v", f.Skipped)
	}
	r := f.Runs[1]
	if r.Hosts[0].Stack != StackMPTCP || r.Hosts[1].Stack != StackTCP {
		t.Errorf("stacks %v %v", r.Hosts[0].Stack, r.Hosts[1].Stack)
	}
	w := r.Workloads[0]
	if w.ClientAddr != addr("10.0.1.1") || w.ClientLink != "wifi" || w.ServerAddr != addr("10.0.3.2") || w.Port != 5001 || w.Download.Bytes != 40e6 || w.Parallel != 1 {
		t.Errorf("workload %+v", w)
	}
	lte := r.Topology.Link("lte").Impair[topology.Downlink]
	want := impairments.Config{Delay: 30 * time.Millisecond, Jitter: 5 * time.Millisecond, InOrder: true, Rate: 10e6, Queue: impairments.Queue{Time: 300 * time.Millisecond}}
	if lte.Delay != want.Delay || lte.Jitter != want.Jitter || !lte.InOrder || lte.Rate != want.Rate || lte.Queue != want.Queue {
		t.Errorf("lte %+v", lte)
	}
	e := r.Timeline[0]
	if e.At != 5*time.Second || e.Name != "wifi-lost" || !e.Impair[0].Blackhole || !e.Impair[1].Blackhole || e.Impair[0].Rate != 20e6 || e.Impair[0].Loss.Random.P != 0.001 {
		t.Errorf("event %+v %+v", e, e.Impair)
	}
	if back := r.Timeline[1].Impair; !reflect.DeepEqual(back[0], r.Topology.Link("wifi").Impair[0]) {
		t.Errorf("event %+v", r.Timeline[1].Impair)
	}
	wantEndpoints := []pm.Endpoint{{ID: 1, Addr: addr("10.0.1.1"), Dev: "wifi", Flags: pm.Subflow}, {ID: 2, Addr: addr("10.0.2.1"), Dev: "lte", Flags: pm.Subflow}}
	if !slices.Equal(r.Hosts[0].Endpoints, wantEndpoints) || r.Hosts[0].Limits != autoLimits || r.Hosts[1].Limits != autoLimits || r.Hosts[1].Endpoints != nil {
		t.Errorf("endpoints %+v %+v", r.Hosts[0], r.Hosts[1])
	}
	if got := len(f.Runs[0].Expect); got != 6 {
		t.Errorf("%d expectations for the first pairing, want 2 unsaid and 4", got)
	}
}

// The file that is stored gives the same runs, for every scenario that loads, and
// does not depend on the fabric.
func TestResolvedGivesTheSameRuns(t *testing.T) {
	s := compileSchema(t)
	for _, file := range scenarioFiles(t) {
		f, err := Load(file, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := parse(file, f.Resolved(), Options{})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !sameRuns(f.Runs, again.Runs) {
			t.Errorf("%s: other runs", file)
		}
		if !bytes.Equal(again.write(again.commonFills()), f.Resolved()) {
			t.Errorf("%s: resolving twice gives another file", file)
		}
		if err := s.Validate(decodeYAML(t, f.Resolved())); err != nil {
			t.Errorf("%s: the resolved file is not valid: %v", file, err)
		}
		words := []string{"assumed:", "limits:"}
		if oneFamily(f.Runs) { // what differs between sweep points can't be written out once for all
			words = append(words, "addresses:", "routes:")
		}
		for _, word := range words {
			if !bytes.Contains(f.Resolved(), []byte(word)) {
				t.Errorf("%s: no %s in the resolved file", file, word)
			}
		}
		if n, err := Load(file, Options{Fabric: "netns"}); err != nil || n.SHA256() != f.SHA256() {
			t.Errorf("%s: another file for netns (%v)", file, err)
		}
	}
}

// oneFamily reports whether no sweep changes the families of addresses.
func oneFamily(runs []Run) bool {
	for _, r := range runs {
		if !slices.Equal(r.Topology.Families, runs[0].Topology.Families) {
			return false
		}
	}
	return true
}

// The reference scenarios load.
func TestReference(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/scenarios/*.yaml")
	if len(files) == 0 {
		t.Skip("the reference scenarios are not here")
	}
	for _, file := range files {
		if _, err := Load(file, Options{Fabric: "virtual"}); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

const sweepFile = `
seed: 10
repeat: 2
params: {buffer: 100KB, d: 10ms}
topology:
  hosts: {a, b}
  links:
    l1: {ends: [a, b], delay: $d}
    l2: {ends: [a, b]}
tcp: {rmem: $buffer}
workloads: {get: {type: bulk, client: a.l1, server: b, download: 1MB}}
sweep:
  mode:
    plain: {workloads.get.proto: tcp}
    slow, very: {d: 90ms, topology.links.l2.delay: 5ms}
  buffer: [50KB, 100KB]
expect:
  - {that: flow.get.goodput > flow.get.goodput(buffer=prev), for: {buffer: 100KB..}}
  - {that: flow.get.goodput < flow.get.goodput(mode=plain), for: {mode: "slow, very"}}
  - {that: flow.get.fallback == false, for: {mode: [plain, "slow, very"]}}
`

func TestSweep(t *testing.T) {
	f := load(t, sweepFile, Options{})
	if len(f.Runs) != 8 {
		t.Fatalf("%d runs", len(f.Runs))
	}
	r := f.Runs[6]
	if r.ID != "mode=slow, very,buffer=100KB/seed=10" || f.Runs[7].Seed != 11 {
		t.Errorf("%s %d", r.ID, f.Runs[7].Seed)
	}
	if d := r.Topology.Link("l1").Impair[0].Delay; d != 90*time.Millisecond {
		t.Errorf("l1 has %v", d)
	}
	if d := r.Topology.Link("l2").Impair[0].Delay; d != 5*time.Millisecond {
		t.Errorf("l2 has %v", d)
	}
	if c := MPTCPConfig(r.Workloads[0].ClientSettings, false); c.RecvBuffer != 100_000 {
		t.Errorf("receive buffer %d", c.RecvBuffer)
	}
	if f.Runs[0].Workloads[0].Proto != "tcp" || r.Workloads[0].Proto != "" {
		t.Errorf("proto %q %q", f.Runs[0].Workloads[0].Proto, r.Workloads[0].Proto)
	}
	if n := len(f.Runs[0].Expect); n != 3 { // 50KB of plain: two unsaid, fallback
		t.Errorf("%d expectations in the first run", n)
	}
}

// --only leaves a smaller file, which is also what is stored.
func TestOnly(t *testing.T) {
	f := load(t, sweepFile, Options{Only: []string{"mode=slow, very", "buffer=100KB"}})
	if len(f.Runs) != 2 || f.Runs[0].ID != "mode=slow, very,buffer=100KB/seed=10" {
		t.Fatalf("%d runs", len(f.Runs))
	}
	for _, e := range f.Runs[0].Expect {
		if strings.Contains(e.Expr, "mode=plain") {
			t.Errorf("kept %q, whose other run is not made", e.Expr)
		}
	}
	again, err := parse("x.yaml", f.Resolved(), Options{})
	if err != nil || !sameRuns(f.Runs, again.Runs) {
		t.Errorf("the stored file gives other runs (%v)", err)
	}
}

func TestOptions(t *testing.T) {
	seed, repeat := uint64(77), 3
	f := load(t, base+"quick: {workloads.get.download: 10KB, rate: 1mbit}\n", Options{
		Seed: &seed, Repeat: &repeat, Quick: true, Sets: []string{"topology.links.lte.delay=3ms", "rate=2mbit", "timeline.0.at=9s"},
	})
	if len(f.Runs) != 3 || f.Runs[2].Seed != 79 || f.Seed != 77 || f.Repeat != 3 {
		t.Errorf("%d runs, seed %d", len(f.Runs), f.Seed)
	}
	r := f.Runs[0]
	if r.Workloads[0].Download.Bytes != 10_000 || r.Topology.Link("wifi").Impair[0].Rate != 2e6 || r.Topology.Link("lte").Impair[0].Delay != 3*time.Millisecond || r.Timeline[0].At != 9*time.Second {
		t.Errorf("not set: %+v", r)
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("base.yaml", base)
	f, err := Load(put("over.yaml", "include: base.yaml\nname: over\ntopology: {links: {lte: {delay: 99ms}}}\nexpect: [flow.get.bytes == 1MB]\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "over" || f.Runs[0].Topology.Link("lte").Impair[0].Delay != 99*time.Millisecond || len(f.Runs[0].Expect) != 3 {
		t.Errorf("%s %+v", f.Name, f.Runs[0].Expect)
	}
	_, err = Load(put("self.yaml", "include: [other.yaml]\n"), Options{})
	if err == nil || !strings.Contains(err.Error(), "self.yaml:1:11: cannot include other.yaml") {
		t.Errorf("missing include: %v", err)
	}
	put("other.yaml", "include: self.yaml\n")
	if _, err = Load(filepath.Join(dir, "self.yaml"), Options{}); err == nil || !strings.Contains(err.Error(), "includes itself") {
		t.Errorf("cycle: %v", err)
	}
}

// The last word wins key by key: file, host, workload.
func TestLayers(t *testing.T) {
	f := load(t, `
topology:
  hosts:
    a: {tcp: {rto_min: 300ms, sack: false}, mptcp: {limits: {subflows: 5}}}
    b: {}
  links: {l1: {ends: [a, b]}, l2: {ends: [a, b]}}
mptcp: {limits: {subflows: 3, add_addr_accepted: 2}}
tcp: {rto_min: 400ms, congestion_control: reno, rmem: [4KB, 16KB, 64KB]}
workloads:
  get: {type: bulk, client: a.l2, server: b, upload: 10s, tcp: {congestion_control: lia}, mptcp: {scheduler: redundant}}
`, Options{})
	r := f.Runs[0]
	a, b := r.Hosts[0], r.Hosts[1]
	if a.Settings.TCP["rto_min"] != "300ms" || a.Settings.TCP["sack"] != "false" || a.Settings.TCP["congestion_control"] != "reno" || b.Settings.TCP["rto_min"] != "400ms" {
		t.Errorf("%v %v", a.Settings.TCP, b.Settings.TCP)
	}
	for _, s := range Sysctls(Settings{MPTCP: map[string]string{"scheduler": "minrtt", "path_manager": "userspace", "checksum_enabled": "true"}, TCP: map[string]string{"congestion_control": "cubic"},
		Given: map[string]bool{"mptcp.scheduler": true, "mptcp.path_manager": true, "mptcp.checksum_enabled": true}}) {
		if s.Name == "net.mptcp.scheduler" || s.Name == "net.mptcp.path_manager" && s.Value != "userspace" || s.Name == "net.mptcp.checksum_enabled" && s.Value != "1" {
			t.Errorf("sysctl %+v", s)
		}
	}
	w := r.Workloads[0]
	if w.ClientSettings.TCP["congestion_control"] != "lia" || w.ServerSettings.MPTCP["scheduler"] != "redundant" || w.Upload.Time != 10*time.Second {
		t.Errorf("%+v", w)
	}
	if !w.ClientSettings.Given["tcp.sack"] || w.ServerSettings.Given["tcp.sack"] || w.ServerSettings.Given["tcp.wmem"] {
		t.Errorf("given %v", w.ServerSettings.Given)
	}
	if a.Limits != (pm.Limits{Subflows: 5, AddAddrAccepted: 2}) || b.Limits != (pm.Limits{Subflows: 3, AddAddrAccepted: 2}) {
		t.Errorf("limits %v %v", a.Limits, b.Limits)
	}
	// Both ends are multi-homed: a has subflows, b announces; joins go by the first link's server address.
	if a.Endpoints[0].Flags != pm.Subflow || b.Endpoints[1].Flags != pm.Signal || w.ServerAddr != addr("10.0.2.2") {
		t.Errorf("%v %v %v", a.Endpoints, b.Endpoints, w.ServerAddr)
	}
	c := MPTCPConfig(w.ClientSettings, false)
	if c.TCP.RTOMin != 300*time.Millisecond || !c.TCP.NoSACK || c.TCP.CongestionControl != "lia" || c.Scheduler != "redundant" || c.RecvBuffer != 0 || c.RecvBufferMax != 64_000 {
		t.Errorf("config %+v", c)
	}
	var sys []string
	for _, s := range Sysctls(a.Settings) {
		sys = append(sys, s.Name+"="+s.Value)
	}
	want := []string{"net.ipv4.tcp_congestion_control=reno", "net.ipv4.tcp_rmem=4000 16000 64000", "net.ipv4.tcp_sack=0", "net.ipv4.tcp_rto_min_us=300000"}
	if !slices.Equal(sys, want) {
		t.Errorf("sysctls %v", sys)
	}
}

// An event changes the named keys only, on top of the events before it, whatever
// their order in the file.
func TestTimelineAddsUp(t *testing.T) {
	f := load(t, `
topology:
  hosts: {a, b}
  links:
    l: {ends: [a, b], rate: 8mbit, delay: 10ms, uplink: {loss: 1%}}
    m: {ends: [a, b]}
workloads: {get: {type: bulk, client: a.l, server: b, download: 1MB}}
timeline:
  - {at: 9s, link: l, downlink: {loss: 50%}, ramp: 2s}
  - {at: 5s, link: l, delay: 20ms, jitter: 3ms}
  - {at: 6s, name: gone, iface: a.m, state: down, notice: true}
  - {at: 6500ms, iface: a.m, state: up, notice: true}
  - {at: 7s, host: a, delete_endpoint: {dev: m}}
  - {at: 7500ms, iface: a.m, state: up, notice: true}
  - {at: 8s, host: a, add_endpoint: {dev: m, flags: [subflow, backup]}}
  - {at: 8500ms, host: a, change_endpoint: {id: 2, flags: [nobackup]}, set_limits: {subflows: 4}}
  - {at: 10s, link: m, state: down}
  - {at: 11s, workload: get, stop: true}
  - {at: 12s, mark: "the end"}
`, Options{})
	tl := f.Runs[0].Timeline
	if tl[0].At != 5*time.Second || tl[0].Impair[0].Delay != 20*time.Millisecond || !tl[0].Impair[0].InOrder || tl[0].Impair[0].Loss.Random.P != 0.01 || tl[0].Impair[1].Loss.Random.P != 0 {
		t.Errorf("first: %+v", tl[0].Impair)
	}
	if !tl[1].Notice || *tl[1].IfaceUp {
		t.Errorf("second: %+v", tl[1])
	}
	// What goes with an interface is what it has then, and that comes back, once.
	if len(tl[1].Noticed) != 1 || tl[1].Noticed[0].ID != 2 || !slices.Equal(tl[2].Noticed, tl[1].Noticed) || tl[4].Noticed != nil {
		t.Errorf("noticed: %+v, %+v, %+v", tl[1].Noticed, tl[2].Noticed, tl[4].Noticed)
	}
	if d := tl[3].DeleteEndpoint; d == nil || d.ID != 2 || d.Addr != addr("10.0.2.1") {
		t.Errorf("delete: %+v", d)
	}
	if a := tl[5].AddEndpoint; a == nil || a.ID != 2 || a.Flags != pm.Subflow|pm.Backup || a.Dev != "m" {
		t.Errorf("add: %+v", a)
	}
	if c := tl[6].ChangeEndpoint; c == nil || c.Flags != pm.Subflow || *tl[6].SetLimits != (pm.Limits{Subflows: 4, AddAddrAccepted: 8}) {
		t.Errorf("change: %+v %+v", c, tl[6].SetLimits)
	}
	if e := tl[7]; e.Ramp != 2*time.Second || e.Impair[1].Loss.Random.P != 0.5 || e.Impair[0].Loss.Random.P != 0.01 || e.Impair[1].Delay != 20*time.Millisecond {
		t.Errorf("ramp: %+v", e.Impair)
	}
	if *tl[8].LinkUp || tl[8].Impair != nil || !tl[9].Stop || tl[10].Mark != "the end" {
		t.Errorf("rest: %+v", tl[6:])
	}
}

// Settings that a kernel lacks are refused by name, where they were given.
func TestKernelStacks(t *testing.T) {
	text := strings.Replace(base, "stack: mptcp", "stack: kernel-mptcp", 1)
	if _, err := Load(write(t, "x.yaml", text), Options{Fabric: "netns"}); err != nil {
		t.Errorf("minrtt is the kernel's default: %v", err)
	}
	for setting, want := range map[string]string{
		"scheduler: redundant":  `mptcp.scheduler: Linux has no "redundant"; server runs kernel-mptcp`,
		"penalization: true":    "mptcp.penalization is of the built-in stack alone; server runs kernel-mptcp",
		"path_manager: kernel ": "",
	} {
		_, err := Load(write(t, "x.yaml", strings.Replace(text, "scheduler: minrtt", setting, 1)), Options{Fabric: "netns"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestLint(t *testing.T) {
	text := `
topology:
  hosts:
    a: {mptcp: {endpoints: [{dev: l2, flags: [subflow]}], limits: {subflows: 0}}}
    b: {mptcp: {endpoints: [{dev: l2, flags: [signal]}]}}
  links: {l1: {ends: [a, b]}, l2: {ends: [a, b]}}
workloads: {get: {type: bulk, client: a.l1, server: b, download: 1MB}}
`
	f := load(t, text, Options{})
	if len(f.Warnings) != 2 || !strings.Contains(f.Warnings[0].Text, "a has endpoints for subflows") || !strings.Contains(f.Warnings[1].Text, "b announces addresses") {
		t.Errorf("%v", f.Warnings)
	}
	if f = load(t, strings.Replace(text, "subflows: 0", "add_addr_accepted: 1", 1), Options{}); len(f.Warnings) != 0 {
		t.Errorf("%v", f.Warnings)
	}
}

func TestCounters(t *testing.T) {
	f := load(t, strings.Replace(base, "- flow.get.goodput > 1mbit", "- {counters: {phone: {MPTcpExtMPJoinSynTx: 2, MPTcpExtAddAddr: 1..4}, server: {MPTcpExtMPJoinAckRx: 1..}}}", 1), Options{})
	var got []string
	for _, e := range f.Runs[0].Expect[2:] {
		got = append(got, e.Expr)
	}
	want := []string{"host.phone.counter.MPTcpExtMPJoinSynTx == 2", "host.phone.counter.MPTcpExtAddAddr >= 1", "host.phone.counter.MPTcpExtAddAddr <= 4", "host.server.counter.MPTcpExtMPJoinAckRx >= 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// FuzzLoad: no input makes reading a file panic, and what loads resolves.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(base))
	f.Add([]byte(sweepFile))
	files, _ := filepath.Glob("../*.yaml")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Add([]byte("a: &a [*a]\nx-b: {<<: *a}\n"))
	f.Add([]byte("sweep: {a: 1..3 step 1}\nparams: {a: 1}\ntopology: {hosts: [], links: {l: {count: 3}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse("fuzz.yaml", data, Options{Fabric: "virtual"})
		if err != nil || len(file.Runs) > 50 {
			return
		}
		if _, err := file.resolve(); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func FuzzParseDraw(f *testing.F) {
	for _, s := range []string{"1s", "exp(1s)", "uniform(1s..2s)", "exp(", "uniform(2s..1s)", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDraw(s)
		if err != nil {
			return
		}
		if again, err := ParseDraw(FormatDraw(d)); err != nil || again != d {
			t.Errorf("%q reads as %+v, written %q reads as %+v, %v", s, d, d, again, err)
		}
	})
}
