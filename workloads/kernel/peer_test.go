package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/impairments/relay"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/topology"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
	"mptcplab/workloads"
)

// ours runs apps on our stack on a userspace host of the lab.
type ours struct {
	node    *workloads.Node
	monitor *host.Monitor
	links   []string
	seen    []uint64 // bytes in, by link
}

func startOurs(t testing.TB, l *netns.Lab, topo *topology.Topology, name string, h mptcp.HostConfig, apps ...workloads.App) *ours {
	t.Helper()
	env := mptcp.Env{Host: h, Seed: [32]byte{1, 2, 3}}
	o := &ours{}
	var devices []link.Device
	spec := topo.Node(name)
	for _, i := range spec.Interfaces {
		sl := mptcp.Link{Name: i.Link, Prefixes: i.Prefixes, MTU: topo.Link(i.Link).MTU, Up: true}
		for _, p := range i.Prefixes {
			sl.Routes = append(sl.Routes, mptcp.Route{Prefix: p.Masked()})
		}
		for _, r := range spec.Routes {
			if r.Link == i.Link {
				sl.Routes = append(sl.Routes, mptcp.Route{Prefix: r.Prefix, Gateway: r.Gateway, Metric: r.Metric})
			}
		}
		env.Links = append(env.Links, sl)
		dev, err := l.Device(name, i.Link)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, dev)
		o.links = append(o.links, i.Link)
	}
	o.seen = make([]uint64, len(devices))
	o.node = workloads.NewNode(mptcp.New(env), apps...)
	m, err := host.Start(host.Config{Machine: o.node, Devices: devices, Clock: l.Clock(),
		Tap: func(_ clock.Instant, id machine.LinkID, out bool, p []byte) { o.seen[id] += uint64(len(p)) }})
	if err != nil {
		t.Fatal(err)
	}
	o.monitor = m
	t.Cleanup(func() { m.Close() })
	return o
}

// finish waits until the applications are done; the report says where they hang.
func (o *ours) finish(t testing.TB, wait time.Duration) {
	t.Helper()
	until := time.Now().Add(wait)
	for {
		var done bool
		var report string
		if err := o.monitor.Do(func(now clock.Instant) {
			done = o.node.Done()
			if !done && time.Now().After(until) {
				for _, c := range o.node.Stack.Conns() {
					report += fmt.Sprintf("%+v\n", c.Info(now))
				}
			}
		}); err != nil {
			t.Fatal(err, o.monitor.Err())
		}
		if done {
			return
		}
		if report != "" || time.Now().After(until) {
			t.Fatalf("our stack isn't done after %v:\n%s", wait, report)
		}
		select {
		case <-o.monitor.Failed():
			t.Fatal(o.monitor.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// keepCapture writes what passes an interface to a file if the environment says where:
// for tshark, when a test fails.
func keepCapture(t *testing.T, l *netns.Lab, iface string) {
	t.Helper()
	dir := os.Getenv("KEEP_CAPTURES")
	if dir == "" {
		return
	}
	savePcap(t, l, iface, dir+"/"+iface+".pcap")
}

// TestOurStackAgainstLinux moves 50 MB each way between our stack and the kernel's, in
// both roles and over two subflows, without loss.
func TestOurStackAgainstLinux(t *testing.T) {
	const bytes = 15_000_000 // 50 MB are the interoperation scenarios' affair
	limits := pm.Limits{Subflows: 8, AddAddrAccepted: 8}
	endpoints := []pm.Endpoint{
		{ID: 1, Addr: labtest.PhoneWiFi, Dev: "wifi", Flags: pm.Subflow},
		{ID: 2, Addr: labtest.PhoneLTE, Dev: "lte", Flags: pm.Subflow},
	}
	config := mptcp.Config{TCP: tcp.Config{CongestionControl: "cubic"}}
	for _, tc := range []struct {
		name       string
		client     bool // our stack is the client
		proto      [2]string
		down, up   uint64
		oursPlain  bool
		family     int
		fallback   bool
		wantJoined bool
		loss       float64 // on both of the phone's links, both ways
	}{
		{name: "our client, down", client: true, proto: [2]string{"mptcp", "mptcp"}, down: bytes, wantJoined: true},
		{name: "our client, up", client: true, proto: [2]string{"mptcp", "mptcp"}, up: bytes, wantJoined: true},
		{name: "our client, both", client: true, proto: [2]string{"mptcp", "mptcp"}, up: bytes, down: bytes, wantJoined: true},
		{name: "our server, down", proto: [2]string{"mptcp", "mptcp"}, down: bytes, wantJoined: true},
		{name: "our server, up", proto: [2]string{"mptcp", "mptcp"}, up: bytes, wantJoined: true},
		{name: "our client, 1 % loss", client: true, proto: [2]string{"mptcp", "mptcp"}, up: bytes, down: bytes, wantJoined: true, loss: 0.01},
		{name: "our server, 1 % loss", proto: [2]string{"mptcp", "mptcp"}, up: bytes, down: bytes, wantJoined: true, loss: 0.01},
		{name: "our client, kernel tcp", client: true, proto: [2]string{"mptcp", "tcp"}, down: bytes, up: 1000, fallback: true},
		{name: "our server, kernel tcp", proto: [2]string{"tcp", "mptcp"}, down: bytes, up: 1000, fallback: true},
		{name: "our tcp client, kernel mptcp", client: true, proto: [2]string{"tcp", "mptcp"}, down: bytes, up: 1000, oursPlain: true, fallback: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !netns.KernelMPTCP() {
				t.Skip("SKIPPED: this kernel has no MPTCP")
			}
			if !netns.Privileged() {
				t.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace")
			}
			topo := labtest.Handover(4)
			userspace := map[bool]string{true: "phone", false: "server"}[tc.client]
			l, err := netns.Build(context.Background(), topo, netns.Options{
				Userspace: func(n string) bool { return n == userspace },
				Relayed:   func(link string) bool { return tc.loss > 0 && link != "lan" },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			if tc.loss > 0 {
				lose(t, l, tc.loss, "wifi", "lte")
			}
			at := netip.AddrPortFrom(labtest.Server, 5001)
			c := &workloads.BulkClient{
				BulkEnd: workloads.BulkEnd{Send: workloads.Amount{Bytes: tc.up}, Data: workloads.NewStream(1, "up"), Meter: workloads.NewMeter()},
				Socket:  workloads.Socket{Remote: at, Proto: tc.proto[0], Config: &config},
				Start:   time.Duration(l.Now()) + 20*time.Millisecond,
			}
			s := &workloads.BulkServer{
				BulkEnd: workloads.BulkEnd{Send: workloads.Amount{Bytes: tc.down}, Data: workloads.NewStream(1, "down"), Meter: workloads.NewMeter()},
				Socket:  workloads.Socket{Local: at, Proto: tc.proto[1], Config: &config},
			}
			hc := mptcp.HostConfig{Default: config, Limits: limits}
			hc.Default.PlainTCP = tc.oursPlain
			plain := config
			plain.PlainTCP = tc.oursPlain
			var o *ours
			var p *Pump
			kernelHost := "server"
			if tc.client {
				keepCapture(t, l, "server.lan")
				c.Socket.Config = &plain
				hc.Endpoints = endpoints
				if err := l.SetLimits("server", limits); err != nil {
					t.Fatal(err)
				}
				p = start(t, l, "server", s)
				o = startOurs(t, l, topo, "phone", hc, c)
			} else {
				kernelHost = "phone"
				keepCapture(t, l, "phone.wifi")
				keepCapture(t, l, "phone.lte")
				if err := l.SetLimits("phone", limits); err != nil {
					t.Fatal(err)
				}
				for _, e := range endpoints {
					if _, err := l.AddEndpoint("phone", e); err != nil {
						t.Fatal(err)
					}
				}
				o = startOurs(t, l, topo, "server", hc, s)
				p = start(t, l, "phone", c)
			}
			begin := time.Now()
			o.finish(t, 25*time.Second)
			finish(t, p)
			t.Logf("%.2f s", time.Since(begin).Seconds())
			intactOneWay(t, c, s, tc.up, tc.down)
			theirs, err := l.Counters(kernelHost)
			if err != nil {
				t.Fatal(err)
			}
			mine := make(map[string]uint64)
			if err := o.monitor.Do(func(clock.Instant) {
				o.node.Stack.Counters().Each(func(name string, v uint64) {
					if v != 0 {
						mine[name] = v
					}
				})
			}); err != nil {
				t.Fatal(err)
			}
			kernels := make(map[string]int64)
			for k, v := range theirs {
				if v != 0 && len(k) > 8 && k[:8] == "MPTcpExt" {
					kernels[k] = v
				}
			}
			t.Logf("ours %v", mine)
			t.Logf("theirs %v; retransmitted %d", kernels, theirs["TcpRetransSegs"])
			if tc.wantJoined {
				if err := o.monitor.Do(func(clock.Instant) { t.Logf("bytes by our links %v: %d", o.links, o.seen) }); err != nil {
					t.Fatal(err)
				}
				for name, sent := range map[string]uint64{
					"MPTcpExtMPJoinSynRx":    mine["MPTcpExtMPJoinSynTx"],
					"MPTcpExtMPJoinSynAckRx": mine["MPTcpExtMPJoinSynRx"],
					"MPTcpExtMPJoinAckRx":    mine["MPTcpExtMPJoinSynAckRx"],
				} {
					if got := uint64(theirs[name]); got != sent && tc.loss == 0 {
						t.Errorf("the kernel counts %s = %d, our counters say %d", name, got, sent)
					}
				}
				if got := mine["MPTcpExtMPJoinSynAckRx"] + mine["MPTcpExtMPJoinAckRx"]; got != 1 {
					t.Errorf("our stack counts %d joins, want 1", got)
				}
			}
			var info mptcp.Info
			if err := o.monitor.Do(func(now clock.Instant) {
				if tc.client {
					info, _ = c.Conn().Info(now)
				} else {
					info, _ = s.Conn().Info(now)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if info.Fallback != tc.fallback && !tc.oursPlain {
				t.Errorf("our end: fallback %v %q", info.Fallback, info.FallbackReason)
			}
			for _, sf := range info.Subflows {
				t.Logf("subflow %d %v-%v sent %d received %d retrans %d srtt %v %s", sf.ID, sf.Local, sf.Remote,
					sf.TCP.BytesSent, sf.TCP.BytesReceived, sf.TCP.BytesRetrans, sf.TCP.RTT, sf.CloseReason)
			}
		})
	}
}

// lose runs relays that lose packets at random.
func lose(t *testing.T, l *netns.Lab, p float64, links ...string) {
	t.Helper()
	for _, name := range links {
		a, b, err := l.RelayPorts(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := impairments.Config{Loss: impairments.Loss{Random: impairments.Chance{P: p}}, Delay: time.Millisecond}
		wire := impairments.NewWire(1, name, [2]impairments.Config{cfg, cfg}, 0)
		r, err := relay.New(a, b, impairments.NewLink(nil, wire, nil), l.Clock())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
	}
}

func intactOneWay(t testing.TB, c *workloads.BulkClient, s *workloads.BulkServer, up, down uint64) {
	t.Helper()
	if c.Meter.Err != nil || s.Meter.Err != nil {
		t.Fatalf("client: %v; server: %v", c.Meter.Err, s.Meter.Err)
	}
	if c.Meter.SHA256Sent() != s.Meter.SHA256Received() || s.Meter.SHA256Sent() != c.Meter.SHA256Received() ||
		s.Meter.Read != up || c.Meter.Read != down {
		t.Errorf("what arrived is not what was sent: up %d of %d bytes, down %d of %d",
			s.Meter.Read, up, c.Meter.Read, down)
	}
}
