package scenarios

import (
	"context"
	"os"
	"strings"
	"testing"

	"mptcplab/scenarios/spec"
)

// Break-before-make, up to close_timeout and beyond.
func TestBreakBeforeMake(t *testing.T) { allHeld(t, "break-before-make.yaml") }

// mptcp_join.sh, "remove subflow and signal", as the schema's example has it.
func TestRemoveSubflowAndSignal(t *testing.T) {
	const file = "../../shared/scenarios/c-join-remove.yaml"
	if _, err := os.Stat(file); err != nil {
		t.Skip("SKIPPED: the example is not here")
	}
	allHeld(t, file)
}

// The commands of the userspace path manager, each of which the expectations see: none
// of them holds without the commands.
func TestUserspaceCommands(t *testing.T) {
	allHeld(t, "userspace-pm.yaml")
	res := runFile(t, loadFile(t, "userspace-pm.yaml", spec.Options{Sets: []string{"timeline=[]"}}), Options{Pcap: "none"})
	failed := 0
	for _, e := range res.Runs[0].Expect {
		if !e.Pass {
			failed++
		}
	}
	if failed < 15 {
		t.Errorf("%d expectations fail without commands", failed)
	}
}

// The same on namespaces, between our stack and Linux's.
func TestUserspaceCommandsNetns(t *testing.T) {
	needKernelMPTCP(t)
	holds(t, runFile(t, loadFile(t, "userspace-pm.yaml", spec.Options{Fabric: "netns"}), Options{Fabric: "netns", Impair: "auto"}))
}

// A command that cannot be given ends the run, and says why.
func TestCommandFails(t *testing.T) {
	for event, want := range map[string]string{
		"subflow_destroy: {dev: lte}":                  "subflow_destroy: 0 subflows of the connection are from 10.0.2.1 then",
		"remove: {id: 9}":                              "EINVAL",
		"listener: {dev: lte, port: 77, close: true}":  "no listener was opened at 10.0.2.1:77",
		"subflow_create: {dev: wifi, id: 9, port: 99}": "",
	} {
		f := loadText(t, `
topology:
  hosts: {phone, server}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: 8mbit, delay: 10ms}
    lte:  {ends: [phone, router], rate: 8mbit, delay: 10ms}
    lan:  {ends: [router, server]}
mptcp: {path_manager: userspace}
workloads: {get: {type: bulk, client: phone.wifi, server: server, download: 2MB}}
timeline: [{at: 1s, host: phone, `+event+`}]
expect: [flow.get.fallback == false]
`)
		_, err := Run(context.Background(), f, Options{Fabric: "virtual", Out: t.TempDir() + "/out", Pcap: "none", Version: "test"})
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", event, err, want)
		}
	}
}

// "ip mptcp endpoint delete id 0 ADDRESS": the initial subflow is closed, and the
// connection goes on over the other.
func TestRemoveID0InTimeline(t *testing.T) {
	run := runText(t, `
topology:
  hosts: {phone, server}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: 8mbit, delay: 10ms}
    lte:  {ends: [phone, router], rate: 8mbit, delay: 25ms}
    lan:  {ends: [router, server]}
workloads: {get: {type: bulk, client: phone.wifi, server: server, download: 8MB}}
timeline: [{at: 2s, host: phone, delete_endpoint: {id: 0, dev: wifi}}]
expect:
  - flow.get.path.wifi.bytes(0s..2s) > 1MB
  - flow.get.path.wifi.bytes(2500ms..) == 0
  - flow.get.path.lte.bytes(3s..) > 1MB
  - host.phone.counter.MPTcpExtRmAddrTx == 1
  - host.phone.counter.MPTcpExtRmSubflow == 1
  - host.server.counter.MPTcpExtRmAddr == 1
`)
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: measured %s", e.That, e.Measured)
		}
	}
}

// reset_loss_cnt: the sender gives a silent path up by a RST that says why; else it stays.
func TestResetLossCount(t *testing.T) {
	for reset, rsts := range map[string]string{"0": "0", "2": "1"} {
		run := runText(t, `
topology:
  hosts: {phone, server}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: 8mbit, delay: 10ms}
    lte:  {ends: [phone, router], rate: 8mbit, delay: 25ms}
    lan:  {ends: [router, server]}
mptcp: {reset_loss_cnt: `+reset+`}
workloads: {get: {type: bulk, client: phone.wifi, server: server, download: 8MB}}
timeline: [{at: 1s, link: wifi, blackhole: true}]
expect:
  - host.server.counter.MPTcpExtMPRstTx == `+rsts+`
  - flow.get.fallback == false
`)
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("reset_loss_cnt %s: %s: measured %s", reset, e.That, e.Measured)
			}
		}
	}
}

// allHeld runs a file in virtual time; every expectation is to hold.
func allHeld(t *testing.T, file string) {
	t.Helper()
	res := runFile(t, loadFile(t, file, spec.Options{}), Options{Fabric: "virtual", Out: t.TempDir() + "/out", Jobs: 2, Pcap: "none"})
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
	}
}
