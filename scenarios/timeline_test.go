package scenarios

import (
	"os"
	"path/filepath"
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
