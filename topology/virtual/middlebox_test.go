package virtual

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
	"mptcplab/topology"
)

// insert is a rule that puts a text in front of the payload.
func insert(text string, way impairments.Way) impairments.Rule {
	return impairments.Rule{Match: impairments.Match{Data: true}, Do: impairments.RewriteData, Direction: way, Rewrite: impairments.Edit{Insert: text}}
}

// Packets meet the filter of the host that sends, the wire, what the link goes
// through and the filter of the host that receives, and the same back; each counts
// what it did.
func TestMiddleboxesInARow(t *testing.T) {
	for name, ends := range map[string][2]string{"phone first": {"phone", "server"}, "server first": {"server", "phone"}} {
		t.Run(name, func(t *testing.T) {
			const ms = clock.Instant(time.Millisecond)
			topo := handover(topology.Link{Name: "cable", Ends: ends, MTU: 1500, Through: []string{"a", "b"}})
			topo.Middleboxes = []topology.Middlebox{
				{Name: "a", Rules: []impairments.Rule{insert("a", impairments.Both)}},
				{Name: "b", Rules: []impairments.Rule{insert("b", impairments.Up), insert("B", impairments.Down)}},
			}
			topo.Node("phone").Filter = []impairments.Rule{insert(">", impairments.Up), insert("<", impairments.Down)}
			topo.Node("server").Filter = []impairments.Rule{{Match: impairments.Match{Src: prefixOf(topo, "server")}, Do: impairments.Reject, Direction: impairments.Down}}
			p := build(t, topo, 1, nil)
			src, dst := prefixOf(topo, "phone").Addr().String(), prefixOf(topo, "server").Addr().String()
			p.send(0, packet(src, dst, 100, 1))
			p.run(t, time.Second)
			up := map[string]string{"phone first": "ba>\x00", "server first": "aB>\x00"}[name]
			if got := payload(t, p.server.got[0].pkt); got != up {
				t.Errorf("the server got %q, want %q", got, up)
			}
			down := map[string]string{"phone first": "<aB" + up, "server first": "<ba" + up}[name]
			if got := payload(t, p.phone.got[0].pkt); got != down {
				t.Errorf("the phone got %q, want %q", got, down)
			}
			hits := func(name string, want ...uint64) {
				t.Helper()
				if got := p.Hits(name); !slices.Equal(got, want) {
					t.Errorf("hits of %s: %v, want %v", name, got, want)
				}
			}
			hits("a", 2)
			hits("b", 1, 1)
			hits("phone", 1, 1)
			hits("server", 0)
			// The second packet meets other rules; hits go on.
			p.At(2000*ms, func() {
				for _, err := range []error{
					p.SetRules("phone", []impairments.Rule{{Do: impairments.Drop, Direction: impairments.Down}}), p.SetRules("a", nil), p.SetEnabled("b", false),
				} {
					if err != nil {
						t.Error(err)
					}
				}
				p.send(0, packet(src, dst, 200, 1))
			})
			p.run(t, 3*time.Second)
			if got := payload(t, p.server.got[1].pkt); got != "\x00" || len(p.phone.got) != 1 {
				t.Errorf("then the server got %q, the phone %d packets", got, len(p.phone.got))
			}
			hits("phone", 2, 1)
			hits("a", 2)
			if err := p.SetRules("c", nil); !errors.Is(err, ErrNoBox) {
				t.Errorf("unknown middlebox: %v", err)
			}
		})
	}
}

func prefixOf(topo *topology.Topology, node string) netip.Prefix {
	a := topo.Node(node).Interfaces[0].Prefixes[0].Addr()
	return netip.PrefixFrom(a, 32)
}

func payload(t *testing.T, pkt []byte) string {
	t.Helper()
	var s wire.Segment
	if err := s.Parse(pkt, false); err != nil {
		t.Fatal(err)
	}
	return string(s.Payload)
}

// A host that gets a filter in the course of the run has an empty one before.
func TestFilterLater(t *testing.T) {
	topo := handover(topology.Link{Name: "cable", Ends: [2]string{"phone", "server"}, MTU: 1500})
	p := pair{phone: &endpoint{}, server: &endpoint{}}
	lab, err := Build(topo, Options{Seed: 1, Check: true, Filtered: func(host string) bool { return host == "phone" },
		Host: func(n *topology.Node) machine.Machine {
			return map[string]machine.Machine{"phone": p.phone, "server": p.server}[n.Name]
		}})
	if err != nil {
		t.Fatal(err)
	}
	p.Lab = lab
	for i := range 2 {
		p.send(0, packet("10.0.1.1", "10.0.1.2", i, 10))
		p.run(t, time.Duration(i+1)*time.Second)
		if err := p.SetRules("phone", []impairments.Rule{{Do: impairments.Drop, Direction: impairments.Up}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.server.got) != 1 || fmt.Sprint(p.Hits("phone")) != "[1]" || p.Hits("server") != nil {
		t.Errorf("%d packets arrived, hits %v; want 1 and [1]", len(p.server.got), p.Hits("phone"))
	}
}
