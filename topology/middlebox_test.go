package topology

import (
	"net/netip"
	"strings"
	"testing"

	"mptcplab/impairments"
	"mptcplab/mptcp/wire"
)

func TestShowMiddleboxes(t *testing.T) {
	topo := &Topology{
		Nodes: []Node{{Name: "phone", Kind: Host, Filter: []impairments.Rule{{Match: impairments.Match{Dst: netip.MustParsePrefix("10.0.9.0/24")}, Do: impairments.Reject, Direction: impairments.Up}},
			Interfaces: []Interface{{Link: "lte"}}}, {Name: "server", Kind: Host, Interfaces: []Interface{{Link: "lte", End: 1}}}},
		Links: []Link{{Name: "lte", Ends: [2]string{"phone", "server"}, MTU: 1500, Through: []string{"carrier"}}},
		Middleboxes: []Middlebox{{Name: "carrier", Rules: []impairments.Rule{
			{Match: impairments.Match{Options: 1<<1 | 1<<2, Flags: wire.SYN, NoFlags: wire.ACK}, Do: impairments.Strip, Direction: impairments.Down},
			{Match: impairments.Match{Data: true, First: 2, Last: 3, Idle: 2e9, Hole: true}, Do: impairments.Drop}}}},
	}
	text := Show(topo)
	for _, want := range []string{
		"  filter 0: reject, dst 10.0.9.0/24, out\n", "middlebox carrier\n", "  rule 0: strip mp_join dss, syn, noack, downlink\n",
		"  rule 1: drop, data, nth 2..3, idle 2s, hole\n", "link lte: phone -- server, mtu 1500, through carrier\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if dot := Dot(topo); !strings.Contains(dot, `"phone" -- "server" [label="lte\ncarrier"`) {
		t.Errorf("Graphviz: %s", dot)
	}
}
