package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcplab/scenarios/spec"
)

// An interface that flaps with notice takes along the endpoints that it has then,
// and brings them back: no more, no fewer. An event makes all its changes.
func TestNoticeFollowsTheEndpoints(t *testing.T) {
	const text = `
topology:
  hosts: {phone, server}
  routers: {net}
  links:
    wifi: {ends: [phone, net], rate: 20mbit, delay: 15ms}
    lte:  {ends: [phone, net], rate: 10mbit, delay: 30ms}
    lan:  {ends: [net, server], rate: 1gbit}
workloads: {get: {type: bulk, client: phone.wifi, server: server, download: 10MB}}
timeline:
  - {at: 200ms, iface: phone.lte, state: down, notice: true}
  - {at: 300ms, iface: phone.lte, state: up, notice: true}
  - {at: 400ms, iface: phone.lte, state: up, notice: true}
  - {at: 600ms, host: phone, set_limits: {subflows: 0}, delete_endpoint: {dev: lte}}
  - {at: 700ms, iface: phone.lte, state: down, notice: true}
  - {at: 800ms, iface: phone.lte, state: up, notice: true}
  - {at: 900ms, host: phone, add_endpoint: {dev: lte, flags: [subflow]}}
expect:
  - flow.get.subflows == 3
  - host.phone.counter.MPTcpExtMPJoinSynTx == 2 # the limit of 0 stops a third
  - host.phone.counter.MPTcpExtRmAddr == 0
  - host.server.counter.MPTcpExtRmAddr == 2
`
	name := filepath.Join(t.TempDir(), "flap.yaml")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := spec.Load(name, spec.Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runFile(t, f, Options{}).Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: measured %s", e.That, e.Measured)
			}
		}
	}
}

// The scheduler of a connection changes while it lives, at both ends.
func TestSchedulerEvent(t *testing.T) {
	text := `
topology:
  hosts: {phone, server}
  routers: {net}
  links:
    wifi: {ends: [phone, net], rate: 20mbit, delay: 15ms}
    lte:  {ends: [phone, net], rate: 10mbit, delay: 30ms}
    lan:  {ends: [net, server], rate: 1gbit}
workloads: {get: {type: bulk, client: phone.wifi, server: server, download: 10s}}
timeline:
  - {at: 3s, workload: get, mptcp: {scheduler: first}}
  - {at: 6s, workload: get, mptcp: {scheduler: default}}
expect:
  - flow.get.path.lte.bytes(1s..3s) > 1MB
  - flow.get.path.lte.bytes(4s..6s) == 0B
  - flow.get.path.wifi.bytes(4s..6s) > 4MB
  - flow.get.path.lte.bytes(7s..10s) > 2MB
`
	name := filepath.Join(t.TempDir(), "switch.yaml")
	load := func(from, to string) (*spec.File, error) {
		if err := os.WriteFile(name, []byte(strings.Replace(text, from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return spec.Load(name, spec.Options{Fabric: "netns"})
	}
	for _, c := range []struct{ from, to, want string }{
		{"scheduler: first", "scheduler: furst", `"furst" is unknown`},
		{"workload: get, mptcp: {scheduler: first}", "workload: get", "stop: true or mptcp: {scheduler: ...}"},
		{"{phone, server}", "{phone, server: {stack: kernel-mptcp}}", "get on server is kernel-mptcp"},
		{"download: 10s", "download: 10s, proto: tcp", "get on phone is proto: tcp"},
		{"download: 10s", "download: 10s, start: 4s", "get begins at 4s"},
	} {
		if _, err := load(c.from, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
	if _, err := load("", ""); err != nil {
		t.Fatal(err)
	}
	f, err := spec.Load(name, spec.Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	judged(t, runFile(t, f, Options{}))
}
