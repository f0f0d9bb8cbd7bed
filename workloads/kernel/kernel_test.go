package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
	"mptcplab/workloads"
)

// TestMain runs the tests as root of a user namespace if the user isn't root.
func TestMain(m *testing.M) {
	code, done, err := netns.Enter()
	if done {
		os.Exit(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests that need namespaces will be skipped:", err)
	}
	os.Exit(m.Run())
}

// build builds the lab of the tests, or skips the test, loudly.
func build(t *testing.T, families ...int) *netns.Lab {
	t.Helper()
	if !netns.Privileged() {
		t.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace")
	}
	l, err := netns.Build(context.Background(), labtest.Handover(families...), netns.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func start(t testing.TB, l *netns.Lab, node string, apps ...workloads.App) *Pump {
	t.Helper()
	p, err := Start(Config{Open: l.Node(node).Do, Apps: apps, Clock: l.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// finish waits for pumps to be done.
func finish(t testing.TB, pumps ...*Pump) {
	t.Helper()
	for _, p := range pumps {
		select {
		case <-p.Done():
			if err := p.Err(); err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("not done after 30 s")
		}
	}
}

func bulkPair(proto [2]string, remote netip.Addr, bytes uint64, c *mptcp.Config) (*workloads.BulkClient, *workloads.BulkServer) {
	at := netip.AddrPortFrom(remote, 5001)
	client := &workloads.BulkClient{
		BulkEnd: workloads.BulkEnd{Send: workloads.Amount{Bytes: bytes / 4}, Data: workloads.NewStream(1, "up"), Meter: workloads.NewMeter()},
		Socket:  workloads.Socket{Remote: at, Proto: proto[0], Config: c},
	}
	server := &workloads.BulkServer{
		BulkEnd: workloads.BulkEnd{Send: workloads.Amount{Bytes: bytes}, Data: workloads.NewStream(1, "down"), Meter: workloads.NewMeter()},
		Socket:  workloads.Socket{Local: at, Proto: proto[1], Config: c},
	}
	return client, server
}

// intact fails the test unless both directions arrived whole.
func intact(t *testing.T, c *workloads.BulkClient, s *workloads.BulkServer) {
	t.Helper()
	if c.Meter.Err != nil || s.Meter.Err != nil {
		t.Fatalf("client: %v; server: %v", c.Meter.Err, s.Meter.Err)
	}
	if c.Meter.SHA256Sent() != s.Meter.SHA256Received() || s.Meter.SHA256Sent() != c.Meter.SHA256Received() {
		t.Errorf("what arrived is not what was sent: up %d of %d bytes, down %d of %d",
			s.Meter.Read, c.Meter.Written, c.Meter.Read, s.Meter.Written)
	}
	if c.Meter.Written == 0 || s.Meter.Written == 0 {
		t.Error("nothing was sent")
	}
}

// infos returns the last Info of both ends.
func infos(t *testing.T, pc, ps *Pump, c *workloads.BulkClient, s *workloads.BulkServer) (ci, si mptcp.Info) {
	t.Helper()
	var err error
	if e := pc.Do(func(now clock.Instant) { ci, err = c.Conn().Info(now) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if e := ps.Do(func(now clock.Instant) { si, err = s.Conn().Info(now) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return ci, si
}

func TestBulkAndItsInfo(t *testing.T) {
	const bytes = 4_000_000
	for _, tc := range []struct {
		name           string
		proto          [2]string
		remote         netip.Addr
		fallback       [2]bool
		clientFallback string
		serverFallback string
	}{
		{name: "tcp", proto: [2]string{"tcp", "tcp"}, remote: labtest.Server},
		{name: "tcp over IPv6", proto: [2]string{"tcp", "tcp"}, remote: labtest.Server6},
		{name: "mptcp", proto: [2]string{"mptcp", "mptcp"}, remote: labtest.Server},
		{name: "mptcp over IPv6", proto: [2]string{"mptcp", "mptcp"}, remote: labtest.Server6},
		{name: "mptcp to tcp", proto: [2]string{"mptcp", "tcp"}, remote: labtest.Server,
			fallback: [2]bool{true, false}, clientFallback: "no MP_CAPABLE in SYN/ACK"},
		{name: "tcp to mptcp", proto: [2]string{"tcp", "mptcp"}, remote: labtest.Server,
			fallback: [2]bool{false, true}, serverFallback: "no MP_CAPABLE in SYN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !netns.KernelMPTCP() && tc.proto != [2]string{"tcp", "tcp"} {
				t.Skip("SKIPPED: this kernel has no MPTCP")
			}
			l := build(t, 4, 6)
			c, s := bulkPair(tc.proto, tc.remote, bytes, &mptcp.Config{
				TCP: tcp.Config{CongestionControl: "cubic", NoDelay: true}, SendBuffer: 100_000, RecvBuffer: 100_000})
			ps := start(t, l, "server", s)
			pc := start(t, l, "phone", c)
			finish(t, pc, ps)
			intact(t, c, s)
			ci, si := infos(t, pc, ps, c, s)
			for i, in := range []mptcp.Info{ci, si} {
				want := []string{tc.clientFallback, tc.serverFallback}[i]
				if in.Fallback != tc.fallback[i] || in.FallbackReason != want {
					t.Errorf("end %d: fallback %v %q, want %v %q", i, in.Fallback, in.FallbackReason, tc.fallback[i], want)
				}
				if speaks := tc.proto == [2]string{"mptcp", "mptcp"}; in.MPTCP != speaks || (in.Token != 0) != speaks {
					t.Errorf("end %d: MPTCP %v, token %#x", i, in.MPTCP, in.Token)
				}
				if in.SndBuf != 200_000 || in.RcvBuf != 200_000 {
					t.Errorf("end %d: buffers %d and %d, want twice what was asked", i, in.SndBuf, in.RcvBuf)
				}
				if len(in.Subflows) != 1 {
					t.Errorf("end %d: %d subflows", i, len(in.Subflows))
					continue
				}
				sf := in.Subflows[0]
				if sf.Remote.Addr().Is4() != tc.remote.Is4() || !sf.Local.IsValid() || !sf.Established || !sf.Closed {
					t.Errorf("end %d: subflow %v to %v, established %v, closed %v", i, sf.Local, sf.Remote, sf.Established, sf.Closed)
				}
				if sf.TCP.BytesSent == 0 || sf.TCP.RTT == 0 || sf.TCP.SndCwnd == 0 || sf.TCP.RTO < 200*time.Millisecond {
					t.Errorf("end %d: TCP info %+v", i, sf.TCP)
				}
			}
			if tc.proto[1] == "mptcp" && tc.proto[0] == "mptcp" && si.BytesSent != bytes {
				t.Errorf("server sent %d stream bytes, want %d", si.BytesSent, bytes)
			}
		})
	}
}

func TestTwoSubflowsByPolicyRouting(t *testing.T) {
	if !netns.KernelMPTCP() {
		t.Skip("SKIPPED: this kernel has no MPTCP")
	}
	l := build(t)
	for _, node := range []string{"phone", "server"} {
		if err := l.SetLimits(node, pm.Limits{Subflows: 8, AddAddrAccepted: 8}); err != nil {
			t.Fatal(err)
		}
	}
	for addr, dev := range map[netip.Addr]string{labtest.PhoneWiFi: "wifi", labtest.PhoneLTE: "lte"} {
		if _, err := l.AddEndpoint("phone", pm.Endpoint{Addr: addr, Dev: dev, Flags: pm.Subflow}); err != nil {
			t.Fatal(err)
		}
	}
	c, s := bulkPair([2]string{"mptcp", "mptcp"}, labtest.Server, 50_000_000, &mptcp.Config{TCP: tcp.Config{CongestionControl: "cubic"}})
	var seen [2]uint64 // TCP bytes by link
	for i, iface := range []string{"phone.wifi", "phone.lte"} {
		capture, err := l.Capture(iface, func(_ clock.Instant, out bool, p []byte) {
			if !out {
				seen[i] += uint64(len(p))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer capture.Close()
	}
	ps := start(t, l, "server", s)
	pc := start(t, l, "phone", c)
	finish(t, pc, ps)
	intact(t, c, s)
	_, si := infos(t, pc, ps, c, s)
	counters, err := l.Counters("server")
	if err != nil {
		t.Fatal(err)
	}
	if got := counters["MPTcpExtMPJoinAckRx"]; got != 1 {
		t.Errorf("MPTcpExtMPJoinAckRx = %d, want 1", got)
	}
	if si.Fallback || !si.MPTCP {
		t.Errorf("fallback %v", si.Fallback)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if seen[0] < 1e6 || seen[1] < 1e6 {
		t.Errorf("bytes by link: %d, want both used", seen)
	}
}

func TestErrorsReachTheApplication(t *testing.T) {
	l := build(t)
	c, _ := bulkPair([2]string{"tcp", "tcp"}, labtest.Server, 1000, nil)
	finish(t, start(t, l, "phone", c))
	if !errors.Is(c.Meter.Err, unix.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", c.Meter.Err)
	}
	c, _ = bulkPair([2]string{"tcp", "tcp"}, labtest.Server, 1000, &mptcp.Config{TCP: tcp.Config{CongestionControl: "nonesuch"}})
	finish(t, start(t, l, "phone", c))
	if !errors.Is(c.Meter.Err, unix.ENOENT) {
		t.Errorf("unknown congestion control: %v", c.Meter.Err)
	}
}

func TestPumpRunsAtTheAppsTime(t *testing.T) {
	l := build(t)
	c, s := bulkPair([2]string{"tcp", "tcp"}, labtest.Server, 1000, nil)
	c.Start = 50 * time.Millisecond
	begun := l.Now()
	c.Start += time.Duration(begun)
	ps := start(t, l, "server", s)
	pc := start(t, l, "phone", c)
	finish(t, pc, ps)
	intact(t, c, s)
	if c.Meter.Start < clock.Instant(c.Start) {
		t.Errorf("connected at %v, asked for %v", c.Meter.Start, c.Start)
	}
}
