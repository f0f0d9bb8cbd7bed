package topology

import (
	"testing"
	"time"

	"mptcplab/impairments"
)

// A phone with two paths through a router to a server, and a host behind a
// further router: the LAN is used by paths of different length.
func TestComputeRTTs(t *testing.T) {
	link := func(name, a, b string, up, down time.Duration) Link {
		return Link{Name: name, Ends: [2]string{a, b}, Impair: [2]impairments.Config{
			{Delay: up * time.Millisecond, Rate: 1e9}, {Delay: down * time.Millisecond, Rate: 1e9}}}
	}
	top := &Topology{
		Nodes: []Node{{Name: "phone", Kind: Host}, {Name: "server", Kind: Host}, {Name: "far", Kind: Host}, {Name: "r", Kind: Router}, {Name: "s", Kind: Router}},
		Links: []Link{
			link("wifi", "phone", "r", 15, 15),
			link("lte", "phone", "r", 30, 40),
			link("lan", "r", "server", 0, 0),
			link("trunk", "r", "s", 50, 50),
			link("last", "s", "far", 1, 1),
		},
	}
	top.computeRTTs()
	for name, want := range map[string]time.Duration{
		"wifi":  132, // phone to far
		"lte":   172,
		"lan":   102, // server to far; to the phone the short way is 30
		"trunk": 132, // phone by wifi to far
		"last":  132,
	} {
		l := top.Link(name)
		if l.RTT != want*time.Millisecond || l.Impair[0].PathRTT != l.RTT || l.Impair[1].PathRTT != l.RTT {
			t.Errorf("%s: %v (%v, %v), want %v", name, l.RTT, l.Impair[0].PathRTT, l.Impair[1].PathRTT, want*time.Millisecond)
		}
	}
	packets, bytes := top.Link("lan").Impair[0].Bound()
	if packets != 0 || bytes != 12_750_000 { // 1 Gbit/s for 102 ms
		t.Errorf("default queue of the LAN: %d packets, %d bytes", packets, bytes)
	}
}
