package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/impairments/relay"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
	"mptcplab/workloads"
)

// crossing is one plain TCP connection between phone and server over a relay.
type crossing struct {
	ours     string // which host has our stack; "": both are the kernel's
	up, down workloads.Amount
	mtu      int // of the link; 0 is 1500
	impair   impairments.Config
	seed     uint64
}

// outcome is what a crossing measured.
type outcome struct {
	client, server *workloads.Meter
	info           tcp.Info // of our end
}

// goodput returns what the server read in bit/s, from accept to its last byte.
func (o *outcome) goodput() float64 {
	m := o.server
	return float64(m.Read) * 8 / m.LastRead.Sub(m.Start).Seconds()
}

// run moves the bytes; within wait or the test fails.
func (x *crossing) run(t testing.TB, wait time.Duration) outcome {
	topo := labtest.Handover(4)
	if x.mtu != 0 {
		topo.Link("wifi").MTU = x.mtu
	}
	l, err := netns.Build(context.Background(), topo, netns.Options{
		Userspace: func(n string) bool { return n == x.ours },
		Relayed:   func(link string) bool { return link == "wifi" },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, b, err := l.RelayPorts("wifi")
	if err != nil {
		t.Fatal(err)
	}
	r, err := relay.New(a, b, impairments.NewLink(nil, impairments.NewWire(x.seed, "wifi", [2]impairments.Config{x.impair, x.impair}, 0), nil), l.Clock())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	config := mptcp.Config{PlainTCP: true, TCP: tcp.Config{CongestionControl: "cubic"}}
	at := netip.AddrPortFrom(labtest.Server, 5001)
	c := &workloads.BulkClient{
		BulkEnd: workloads.BulkEnd{Send: x.up, Data: workloads.NewStream(1, "up"), Meter: workloads.NewMeter()},
		Socket:  workloads.Socket{Local: netip.AddrPortFrom(labtest.PhoneWiFi, 0), Remote: at, Proto: "tcp", Config: &config},
		Start:   time.Duration(l.Now()) + 20*time.Millisecond,
	}
	s := &workloads.BulkServer{
		BulkEnd: workloads.BulkEnd{Send: x.down, Data: workloads.NewStream(1, "down"), Meter: workloads.NewMeter()},
		Socket:  workloads.Socket{Local: at, Proto: "tcp", Config: &config},
	}
	o := outcome{client: c.Meter, server: s.Meter}
	var mine *ours
	var pumps []*Pump
	for _, end := range []struct {
		name string
		app  workloads.App
	}{{"server", s}, {"phone", c}} {
		if end.name == x.ours {
			mine = startOurs(t, l, topo, end.name, mptcp.HostConfig{Default: config}, end.app)
		} else {
			pumps = append(pumps, start(t, l, end.name, end.app))
		}
	}
	if mine != nil {
		mine.finish(t, wait)
		err := mine.monitor.Do(func(now clock.Instant) {
			conn := s.Conn()
			if x.ours == "phone" {
				conn = c.Conn()
			}
			if info, err := conn.Info(now); err == nil && len(info.Subflows) > 0 {
				o.info = info.Subflows[0].TCP
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	finish(t, pumps...)
	return o
}

// TestTCPAgainstLinux moves bytes both ways between our TCP and the kernel's, each
// in both roles, over links that misbehave. Everything arrives intact.
func TestTCPAgainstLinux(t *testing.T) {
	if !netns.Privileged() {
		t.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace")
	}
	link := func(change func(*impairments.Config)) impairments.Config {
		c := impairments.Config{Rate: 100e6, Delay: 5 * time.Millisecond}
		change(&c)
		return c
	}
	loss := func(p float64) impairments.Config {
		return link(func(c *impairments.Config) { c.Loss.Random.P = p })
	}
	for _, tc := range []struct {
		name   string
		impair impairments.Config
		mtu    int
		bytes  uint64
	}{
		{name: "no loss", impair: loss(0), bytes: 4e6},
		{name: "0.1 % loss", impair: loss(0.001), bytes: 4e6},
		{name: "1 % loss", impair: loss(0.01), bytes: 2e6},
		{name: "5 % loss", impair: loss(0.05), bytes: 500e3},
		{name: "10 % reordered", impair: link(func(c *impairments.Config) { c.Reorder.P = 0.1 }), bytes: 2e6},
		{name: "5 % twice", impair: link(func(c *impairments.Config) { c.Duplicate.P = 0.05 }), bytes: 2e6},
		{name: "20 ms", impair: link(func(c *impairments.Config) { c.Delay = 10 * time.Millisecond }), bytes: 4e6},
		{name: "200 ms", impair: link(func(c *impairments.Config) { c.Delay = 100 * time.Millisecond }), bytes: 2e6},
		{name: "MTU 1280", impair: loss(0), mtu: 1280, bytes: 2e6},
	} {
		for _, ours := range []string{"phone", "server"} {
			t.Run(tc.name+", ours on the "+ours, func(t *testing.T) {
				t.Parallel()
				x := crossing{ours: ours, up: workloads.Amount{Bytes: tc.bytes}, down: workloads.Amount{Bytes: tc.bytes},
					mtu: tc.mtu, impair: tc.impair, seed: 1}
				o := x.run(t, 60*time.Second)
				if o.client.Err != nil || o.server.Err != nil {
					t.Fatalf("client: %v; server: %v", o.client.Err, o.server.Err)
				}
				if o.server.Read != tc.bytes || o.client.Read != tc.bytes ||
					o.client.SHA256Sent() != o.server.SHA256Received() || o.server.SHA256Sent() != o.client.SHA256Received() {
					t.Errorf("what arrived is not what was sent: up %d, down %d of %d bytes", o.server.Read, o.client.Read, tc.bytes)
				}
				if p := tc.impair.Loss.Random.P; p >= 0.01 && o.info.BytesRetrans == 0 {
					t.Errorf("with a loss of %g nothing was retransmitted: %+v", p, o.info)
				}
			})
		}
	}
}

// BenchmarkCubicAgainstKernel compares the goodput of our CUBIC sender with that of
// the kernel's on the same seeded link of 20 Mbit/s and 40 ms to a kernel receiver:
// medians over ten seeds. It prints a table and asserts nothing.
func BenchmarkCubicAgainstKernel(b *testing.B) {
	if !netns.Privileged() {
		b.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace")
	}
	const seeds, length = 10, 10 * time.Second
	var table strings.Builder
	fmt.Fprintf(&table, "20 Mbit/s, 40 ms, %v of sending, median of %d seeds, Mbit/s\n%-8s %8s %8s %7s   ratio by seed\n", length, seeds, "loss", "ours", "kernel", "ratio")
	for range b.N {
		for _, loss := range []float64{0, 0.001, 0.01} {
			var got [2][seeds]float64
			var wg sync.WaitGroup
			slots := make(chan struct{}, 4) // at the same time: each is all but idle
			for i := range seeds {
				for k, ours := range []string{"phone", ""} {
					slots <- struct{}{}
					wg.Go(func() {
						x := crossing{ours: ours, up: workloads.Amount{Time: length}, seed: uint64(i + 1), impair: impairments.Config{
							Rate: 20e6, Delay: 20 * time.Millisecond, PathRTT: 40 * time.Millisecond,
							Loss: impairments.Loss{Random: impairments.Chance{P: loss}}}}
						o := x.run(b, 60*time.Second)
						got[k][i] = o.goodput() / 1e6
						<-slots
					})
				}
			}
			wg.Wait()
			ratios := ""
			for i := range seeds {
				ratios += fmt.Sprintf(" %.2f", got[0][i]/got[1][i])
			}
			ours, theirs := median(got[0][:]), median(got[1][:])
			fmt.Fprintf(&table, "%-8s %8.2f %8.2f %7.3f  %s\n", fmt.Sprintf("%g %%", loss*100), ours, theirs, ours/theirs, ratios)
			b.ReportMetric(ours/theirs, fmt.Sprintf("ratio-at-%g%%", loss*100))
		}
	}
	b.Log("\n" + table.String())
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
