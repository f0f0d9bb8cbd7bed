package scenarios

import (
	"fmt"
	"slices"
	"testing"

	"mptcplab/scenarios/spec"
)

// Twelve clients at an access point that dies: every flow goes on, and each event,
// flow and path is called as the member's own.
func TestAccessPointVirtual(t *testing.T) {
	f := loadFile(t, "access-point.yaml", spec.Options{})
	res := runFile(t, f, Options{})
	run := res.Runs[0]
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
	if len(run.Flows) != 12 || len(run.Handover) != 1 || len(run.Handover[0].Flows) != 12 {
		t.Fatalf("%d flows, %d handovers", len(run.Flows), len(run.Handover))
	}
	var starts []float64
	for i, f := range run.Flows {
		if want := fmt.Sprintf("page.sta%d", i+1); f.Name != want || f.Client != want[5:] || f.Server != "server" {
			t.Errorf("flow %d is %s from %s", i, f.Name, f.Client)
		}
		if !f.Intact || f.Bytes == 0 || f.Fallback || len(f.Subflows) != 2 {
			t.Errorf("%s: intact %v, %d bytes, fallback %v, %d subflows", f.Name, f.Intact, f.Bytes, f.Fallback, len(f.Subflows))
		}
		starts = append(starts, f.Start)
	}
	if !slices.IsSorted(starts) || starts[0] != 0 || starts[11] < 0.2 || starts[11] > 5 {
		t.Errorf("the clients start at %v; want them exp(100ms) after one another", starts)
	}
	again := runFile(t, loadFile(t, "access-point.yaml", spec.Options{}), Options{}).Runs[0]
	if again.Fingerprint != run.Fingerprint {
		t.Errorf("the same seed gave fingerprints %s and %s", run.Fingerprint, again.Fingerprint)
	}
}

// thinker asks rarely: the pauses in between are no gaps.
const thinker = `
topology:
  hosts: {a, b}
  links: {l: {ends: [a, b], rate: 10mbit, delay: 10ms}}
workloads:
  ask: {type: request-response, client: a, server: b, request: 100B, response: 20KB, count: 6, think: 2s}
timeline:
  - {at: 3s, name: cut, link: l, blackhole: true}
  - {at: 5s, name: back, link: l, blackhole: false}
`

// The client asks at 0, 2.06 and 4.1 s, and in the hole: it gets its answer after
// the hole, so the gap is what it waited and not the two seconds that it thought.
func TestThinkingIsNoGap(t *testing.T) {
	run := runText(t, thinker)
	cut, back := run.Handover[0], run.Handover[1]
	if cut.GapMS < 800 || cut.GapMS > 1900 || cut.GapStart < 4 || cut.GapEnd < 5 {
		t.Errorf("gap %.0f ms from %.2f s to %.2f s", cut.GapMS, cut.GapStart, cut.GapEnd)
	}
	if back.Event != "back" || back.GapMS > 2000 {
		t.Errorf("after %s a gap of %.0f ms", back.Event, back.GapMS)
	}
}

// Where duration ends the run a flow need not be finished; what came must be right.
func TestDurationCutsFlows(t *testing.T) {
	run := runText(t, fmt.Sprintf(twoPaths, "download: 50MB, upload: 3MB", "  - {at: 1s, mark: here}")+"\nduration: 3s\n")
	f := run.Flows[0]
	if f.Finished || !f.Intact || f.DownloadBytes == 0 || f.DownloadBytes >= 50e6 {
		t.Errorf("finished %v, intact %v, %d bytes", f.Finished, f.Intact, f.DownloadBytes)
	}
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
}

const bridged = `
topology:
  hosts: {sta: {count: 3}, server: {}}
  switches: {ap}
  routers: {gw}
  links:
    radio: {ends: [sta, ap]}
    modem: {ends: [sta, gw], rate: 20mbit, delay: 5ms}
    air:   {ends: [ap, gw], rate: 20mbit, delay: 2ms}
    lan:   {ends: [gw, server]}
pairings:
  ours:  {sta: mptcp, server: mptcp}
  mixed: {sta: {netns: kernel-mptcp}, sta2: mptcp, server: mptcp}
workloads:
  get: {type: bulk, client: sta.radio, server: server, download: 2MB, stagger: 50ms}
expect:
  - flow.get.*.subflows == 2
  - flow.get.*.path.radio.bytes > 0
  - flow.get.*.path.modem.bytes > 0
  - flow.get.fallback == false
`

// Clients at a bridge of the kernel, with our stack and with Linux's.
func TestSwitchNetns(t *testing.T) {
	needKernelMPTCP(t)
	f, err := spec.Load(writeText(t, bridged), spec.Options{Fabric: "netns"})
	if err != nil {
		t.Fatal(err)
	}
	res := runFile(t, f, Options{Fabric: "netns", Impair: "auto"})
	if len(res.Runs) != 2 {
		t.Fatalf("%d runs, skipped %v", len(res.Runs), res.Skipped)
	}
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
	}
}

// Settings of a whole host reach the stack: with syncookies: 2 each SYN is answered
// by a cookie, also that of an MPTCP connection.
func TestHostSettingsReachTheStack(t *testing.T) {
	run := runText(t, `
topology:
  hosts: {a, b: {tcp: {syncookies: 2}}}
  links: {l: {ends: [a, b], delay: 5ms}}
workloads: {get: {type: bulk, client: a, server: b, download: 100KB}}
expect: [host.b.counter.TcpExtSyncookiesSent == 1, host.b.counter.TcpExtSyncookiesRecv == 1]
`)
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
}
