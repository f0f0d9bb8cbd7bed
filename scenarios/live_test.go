package scenarios

import (
	"fmt"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// An event with a condition comes at the first instant at which that holds, and
// later by after; it changes the keys that it names, whatever came before.
func TestWhen(t *testing.T) {
	run := runText(t, fmt.Sprintf(twoPaths, "download: 12MB", `
  - {when: flow.get.bytes >= 2MB, name: quiet, link: wifi, blackhole: true}
  - {when: flow.get.bytes >= 2MB, after: 700ms, name: back, link: wifi, blackhole: false}
  - {at: 100ms, link: wifi, delay: 20ms}
  - {when: host.phone.counter.MPTcpExtMPJoinSynTx >= 1, mark: joined}
expect:
  - handover.quiet.gap < 2s
  - flow.get.path.wifi.bytes > 2MB
`))
	events := map[string]result.Event{}
	for _, e := range run.Events {
		if !e.Happened {
			t.Errorf("%s did not happen", e.Text)
		}
		events[e.Name+e.When] = e
	}
	quiet, back := events["quietflow.get.bytes >= 2MB"], events["backflow.get.bytes >= 2MB"]
	if d := back.Actual - quiet.Actual; d < 0.6999 || d > 0.7001 || back.At != back.Actual || quiet.Actual < 0.5 || quiet.Actual > 1.5 {
		t.Errorf("quiet at %v, back at %v", quiet.Actual, back.Actual)
	}
	if j := events["host.phone.counter.MPTcpExtMPJoinSynTx >= 1"]; j.Actual <= 0.02 || j.Actual > 0.1 {
		t.Errorf("joined at %v", j.Actual)
	}
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
	// The gap is that of the hole: the path is back, with the delay that it got at
	// 100 ms, and the flow ends after.
	if h := run.Handover[0]; h.Event != "quiet" || h.GapMS < 100 || h.Path != "lte" {
		t.Errorf("handover %+v", h)
	}
}

// A condition that never holds, and a check that does not or that was not reached,
// fail the run.
func TestConditionsFail(t *testing.T) {
	f := loadText(t, fmt.Sprintf(twoPaths, "download: 1MB", `
  - {when: flow.get.retransmitted > 1GB, link: wifi, blackhole: true}
  - {at: 200ms, check: flow.get.subflows == 2}
  - {at: 200ms, check: flow.get.path.wifi.bytes > 1MB}
  - {at: 1h, check: flow.get.bytes == 1MB}
  - {when: flow.get.bytes == 1MB, check: flow.get.bytes == 1MB}
  - {when: flow.get.bytes > 100KB, check: flow.get.path.lte.srtt < 10s}
`))
	res := runFile(t, f, Options{Pcap: "none"})
	verdicts := map[string]string{}
	for _, e := range res.Runs[0].Expect {
		verdicts[e.That] = fmt.Sprintf("%v: %s", e.Pass, e.Measured)
	}
	for that, want := range map[string]string{
		"when flow.get.retransmitted > 1GB: wifi goes silent": "false: never; at the end 0B",
		"check flow.get.subflows == 2":                        "true: 2",
		"check flow.get.path.wifi.bytes > 1MB":                "false: ",
		"check flow.get.bytes == 1MB":                         "",
		"check flow.get.path.lte.srtt < 10s":                  "true: ",
		"flow.get.intact == true":                             "true: true",
	} {
		if !strings.HasPrefix(verdicts[that], want) {
			t.Errorf("%s: %q, want %q", that, verdicts[that], want)
		}
	}
	over := 0
	for _, e := range res.Runs[0].Expect {
		if e.That == "check flow.get.bytes == 1MB" && e.Pass {
			over++
		}
		if e.That == "check flow.get.bytes == 1MB" && e.Measured == "the run was over before" && !e.Pass {
			over += 10
		}
	}
	if res.Pass || over != 11 {
		t.Errorf("the result passes: %v; checks of bytes: %d", res.Pass, over)
	}
}

// On namespaces, too, and with a group.
func TestWhenNetns(t *testing.T) {
	needNamespaces(t)
	f, err := spec.Load(writeText(t, `
topology:
  hosts: {a: {count: 2}, b: {}}
  switches: {sw}
  links:
    l: {ends: [a, sw], rate: 20mbit, delay: 5ms}
    m: {ends: [sw, b]}
workloads: {get: {type: bulk, client: a, server: b, download: 2MB, proto: tcp}}
timeline:
  - {when: flow.get.bytes > 500KB, name: lost, link: l, blackhole: true}
  - {when: flow.get.bytes > 500KB, after: 300ms, link: l, blackhole: false}
  - {when: flow.get.bytes > 900KB, check: flow.get.*.subflows == 1}
expect: [handover.lost.gap > 200ms]
`), spec.Options{Fabric: "netns"})
	if err != nil {
		t.Fatal(err)
	}
	run := runFile(t, f, Options{Fabric: "netns", Impair: "auto"}).Runs[0]
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
	for _, e := range run.Events {
		if !e.Happened {
			t.Errorf("%s did not happen", e.Text)
		}
	}
}
