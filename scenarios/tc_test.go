package scenarios

import (
	"strings"
	"testing"

	"mptcplab/scenarios/spec"
)

// The links of a file as tc commands: at the start, by direction, and what the
// timeline changes.
func TestTc(t *testing.T) {
	got := Tc(loadFile(t, "wifi-lte-handover.yaml", spec.Options{}))
	for _, want := range []string{
		"# wifi uplink, in phone\ntc qdisc replace dev wifi root handle 10: netem limit 1000000 delay 15ms loss random 0.1%\n",
		"# lte downlink, in router\ntc qdisc replace dev lte root handle 10: netem limit 1000000 delay 30ms 5ms rate 100gbit\ntc qdisc replace dev lte parent 10:1 handle 11: netem limit 247 rate 10mbit\n",
		"# wifi uplink, in phone at 5s\ntc qdisc replace dev wifi root handle 10: netem limit 1000000 loss random 100%\n",
		"# wifi downlink, in router at 12s\ntc qdisc replace dev wifi root handle 10: netem limit 1000000 delay 15ms loss random 0.1%\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("no\n%s\nonce in\n%s", want, got)
		}
	}
	if strings.Contains(got, "# runs") {
		t.Error("pairings of one network are told apart")
	}
}

// Points of a sweep that differ have parts of their own, what qdiscs cannot do is
// said, and so is that nothing is to be done.
func TestTcOfSweeps(t *testing.T) {
	f := loadText(t, `
params: {loss: {packets: [3]}}
topology: {hosts: {a, b}, links: {wire: {ends: [a, b], uplink: {loss: $loss}}}}
workloads: {get: {type: bulk, client: a, server: b, download: 1MB}}
sweep:
  case:
    third: {}
    none: {topology.links.wire.uplink: {}}
`)
	got := Tc(f)
	for _, want := range []string{"# runs case=third/seed=1\n# wire uplink, in a: ", "; the relay can\n", "# runs case=none/seed=1\n# no link is impaired\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
