package scenarios

import (
	"reflect"
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

func holds(t *testing.T, res *result.Result) {
	t.Helper()
	if !res.Pass {
		t.Error("the file does not hold")
	}
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
	}
}

func TestMiddleboxesVirtual(t *testing.T) {
	res := runFile(t, loadFile(t, "middleboxes.yaml", spec.Options{}), Options{})
	holds(t, res)
	if len(res.Runs) != 7 {
		t.Fatalf("%d runs, want 7", len(res.Runs))
	}
	box := res.Runs[1].Middleboxes
	if len(box) != 1 || box[0].Name != "carrier" || box[0].Filter || len(box[0].Rules) != 1 || box[0].Rules[0] != (result.Rule{Text: "strip mp_join, syn", Hits: 1}) {
		t.Errorf("result of %s: %+v", res.Runs[1].ID, box)
	}
	// Numbers that were rewritten are measured as if they had not been.
	plain, isn := res.Runs[0].Flows[0], res.Runs[3].Flows[0]
	if plain.Retransmitted != isn.Retransmitted || !reflect.DeepEqual(plain.Paths, isn.Paths) || len(isn.Subflows) != 2 {
		t.Errorf("none: %+v\nisn: %+v", plain, isn)
	}
}

// A REMOVE_ADDR that does not get there is no cause of anything.
func TestLostRemoveAddrVirtual(t *testing.T) {
	holds(t, runFile(t, loadFile(t, "lost-remove-addr.yaml", spec.Options{}), Options{}))
}

// A filter and its change, as the kernel's selftest "delete and re-add" uses
// iptables, and hits in a window.
const filterScenario = `
topology:
  hosts:
    phone: {mptcp: {limits: {subflows: 2}, endpoints: [{dev: lte, flags: [subflow]}]}, filter: [{match: {src: 10.0.2.1}, do: reject, direction: out}]}
    server: {mptcp: {limits: {subflows: 2}, endpoints: []}}
  links:
    wifi: {ends: [phone, server], rate: 10mbit, delay: 5ms}
    lte:  {ends: [phone, server], rate: 10mbit, delay: 5ms}
workloads:
  get: {type: bulk, client: phone.wifi, server: server.wifi, download: 2s}
timeline:
  - {at: 0.7s, host: phone, filter: []}
  - {at: 0.8s, host: phone, delete_endpoint: {dev: lte}}
  - {at: 0.9s, host: phone, add_endpoint: {dev: lte, flags: [subflow]}}
expect:
  - flow.get.path.lte+wifi.bytes(..0.7s) == 0
  - flow.get.path.lte+wifi.bytes(1s..) > 100KB
  - host.phone.filter.rule.0.hits == 1
  - host.phone.filter.rule.0.hits(0.7s..) == 0
  - {counters: {phone: {MPTcpExtMPJoinSynTx: 2, MPTcpExtMPJoinSynAckRx: 1}, server: {MPTcpExtMPJoinSynRx: 1}}}
`

func TestFilterVirtual(t *testing.T) {
	res := runFile(t, loadText(t, filterScenario), Options{})
	holds(t, res)
	if m := res.Runs[0].Middleboxes; len(m) != 1 || m[0].Name != "phone" || !m[0].Filter || m[0].Rules[0].Text != "reject, src 10.0.2.1/32, out" {
		t.Errorf("result: %+v", m)
	}
}

// On namespaces a relay carries the rules out, here against the kernel's MPTCP on
// both ends: it must not join either, and its SYNs are answered with ICMP.
func TestMiddleboxesNetns(t *testing.T) {
	needKernelMPTCP(t)
	for _, o := range []spec.Options{
		{Only: []string{"box=strip-join,isn,split,edit"}, Sets: []string{"workloads.get.download=3MB", "expect.1.for.box=[isn, split]"}},
		{Only: []string{"box=strip-join,isn,edit"}, Sets: []string{"workloads.get.download=3MB", "topology.hosts.server.stack=kernel-mptcp",
			"topology.hosts.phone.stack=kernel-mptcp", "tcp.congestion_control=cubic", "expect.1.for.box=[isn]"}},
	} {
		res, _ := runNetns(t, "middleboxes.yaml", o)
		holds(t, res)
	}
}
