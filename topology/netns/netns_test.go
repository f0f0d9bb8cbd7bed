package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcplab/topology"
	"mptcplab/topology/netns/labtest"
)

// TestMain runs the tests as root of a user namespace if the user isn't root.
func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		os.Exit(beVictim())
	}
	code, done, err := Enter()
	if done {
		os.Exit(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests that need namespaces will be skipped:", err)
	}
	os.Exit(m.Run())
}

// needNamespaces skips a test, loudly, where labs can't be built.
func needNamespaces(t *testing.T) {
	t.Helper()
	if !Privileged() {
		t.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace")
	}
	if err := Available(); err != nil {
		t.Skip("SKIPPED:", err)
	}
}

var handover = labtest.Handover

func build(t *testing.T, topo *topology.Topology, o Options) *Lab {
	t.Helper()
	needNamespaces(t)
	l, err := Build(context.Background(), topo, o)
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

// listen serves one TCP connection on node: it returns what came and answers with it
// in upper case.
func listen(t *testing.T, n *Node, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	if err := n.Do(func() (err error) {
		ln, err = net.Listen("tcp", addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			fmt.Fprint(c, strings.ToUpper(string(b)), " to ", c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
	return ln
}

// ask sends text from local on node to addr and returns the answer.
func ask(t *testing.T, n *Node, local, addr, text string) (string, error) {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	var c net.Conn
	if err := n.Do(func() (err error) {
		c, err = d.Dial("tcp", addr)
		return err
	}); err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, text)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func TestTCPOverARouter(t *testing.T) {
	for _, tc := range []struct {
		family       int
		wifi, lte    string
		server, name string
	}{
		{4, "10.0.1.1", "10.0.2.1", "10.0.3.1", "IPv4"},
		{6, "fd00:0:0:1::1", "fd00:0:0:2::1", "fd00:0:0:3::1", "IPv6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := build(t, handover(tc.family), Options{})
			target := net.JoinHostPort(tc.server, "80")
			listen(t, l.Node("server"), target)
			for _, src := range []string{tc.wifi, tc.lte} {
				before := rxPackets(t, l, "router")
				got, err := ask(t, l.Node("phone"), src, target, "hello")
				if err != nil || got != "HELLO to "+src {
					t.Fatalf("from %s: %q, %v", src, got, err)
				}
				// The rule for the source address chose the interface. The kernel's
				// own packets (neighbours, multicast groups) go by both.
				after := rxPackets(t, l, "router")
				wifi, lte := after["wifi"]-before["wifi"], after["lte"]-before["lte"]
				if max(wifi, lte) < 4 || wifi > lte != (src == tc.wifi) {
					t.Errorf("from %s: %d packets on wifi, %d on lte", src, wifi, lte)
				}
			}
			if err := l.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func rxPackets(t *testing.T, l *Lab, node string) map[string]uint64 {
	t.Helper()
	count := make(map[string]uint64)
	n := l.Node(node)
	if err := n.Do(func() error {
		for _, i := range n.ifaces {
			dev, err := n.nl.LinkByName(i.name)
			if err != nil {
				return err
			}
			count[i.name] = dev.Attrs().Statistics.RxPackets
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestNothingIsVisibleOutside(t *testing.T) {
	needNamespaces(t)
	names := func() (list []string) {
		devs, err := netlink.LinkList()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range devs {
			list = append(list, d.Attrs().Name)
		}
		return list
	}
	before := names()
	l := build(t, handover(), Options{Relayed: func(string) bool { return true }})
	if now := names(); !slices.Equal(now, before) {
		t.Errorf("interfaces in the machine's own namespace: %v, were %v", now, before)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Node("phone").Do(func() error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	if now := names(); !slices.Equal(now, before) {
		t.Errorf("interfaces after Close: %v, were %v", now, before)
	}
}

func TestSysctlsAndCountersAreTheNodes(t *testing.T) {
	l := build(t, handover(), Options{Userspace: func(n string) bool { return n == "phone" }})
	for node, want := range map[string]string{"phone": "0", "router": "1", "server": "0"} {
		if got, err := l.Node(node).Sysctl("net.ipv4.ip_forward"); err != nil || got != want {
			t.Errorf("%s: ip_forward = %q, %v; want %s", node, got, err, want)
		}
	}
	if err := l.Node("server").SetSysctl("net.ipv4.tcp_rmem", "4096 87380 200000"); err != nil {
		t.Error(err)
	}
	if err := l.Node("server").SetSysctl("net.ipv4.no_such_thing", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unknown sysctl: %v", err)
	}
	if _, err := ask(t, l.Node("server"), "10.0.3.1", "10.0.3.2:9", "x"); err == nil {
		t.Error("nobody listens there, but somebody answered")
	}
	for node, want := range map[string]int64{"server": 1, "router": 0} {
		c, err := l.Counters(node)
		if err != nil {
			t.Fatal(err)
		}
		if got := c["TcpActiveOpens"]; got != want {
			t.Errorf("%s: TcpActiveOpens = %d, want %d", node, got, want)
		}
		if _, ok := c["TcpExtTCPTimeouts"]; !ok {
			t.Errorf("%s: no TcpExtTCPTimeouts", node)
		}
		if _, ok := c["MPTcpExtMPCapableSYNTX"]; !ok && KernelMPTCP() {
			t.Errorf("%s: no MPTcpExtMPCapableSYNTX", node)
		}
	}
}

// TestOneProcessorPerInterface looks where the kernel handles what arrives.
func TestOneProcessorPerInterface(t *testing.T) {
	l := build(t, handover(), Options{})
	if err := l.Unordered(); err != nil {
		if !InUserNamespace() {
			t.Errorf("root is told: %v", err)
		}
		t.Skip("SKIPPED: a user namespace may not choose processors")
	}
	n := l.Node("router")
	if err := n.Do(func() error {
		for _, i := range n.ifaces {
			b, err := os.ReadFile("/sys/class/net/" + i.name + "/queues/rx-0/rps_cpus")
			if err != nil {
				return err
			}
			ones := 0
			for _, c := range strings.TrimSpace(string(b)) {
				if c == ',' {
					continue
				}
				v, err := strconv.ParseUint(string(c), 16, 8)
				if err != nil {
					return err
				}
				ones += bits.OnesCount64(v)
			}
			if ones != 1 {
				t.Errorf("%s: processors %q, want one", i.name, b)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestChildRunsInsideAndDiesWithTheLab(t *testing.T) {
	l := build(t, handover(), Options{})
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("cat", "/proc/self/net/dev", "/dev/zero")
	cmd.Stdout = in
	if err := l.Node("server").Start(cmd); err != nil {
		t.Fatal(err)
	}
	in.Close()
	b := make([]byte, 4096)
	n, err := io.ReadFull(out, b)
	if err != nil || !strings.Contains(string(b[:n]), "lan:") || strings.Contains(string(b[:n]), "wifi:") {
		t.Errorf("the child sees %q, %v", b[:n], err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("child ended with %v", err)
	}
	if s := exit.Sys().(syscall.WaitStatus); s.Signal() != unix.SIGKILL {
		t.Errorf("child ended with %v, want SIGKILL", err)
	}
}

func TestSetLinkUpKeepsRoutes(t *testing.T) {
	l := build(t, handover(4, 6), Options{})
	listen(t, l.Node("server"), "10.0.3.1:80")
	listen(t, l.Node("server"), "[fd00:0:0:3::1]:80")
	if err := l.SetLinkUp("wifi", false); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, l.Node("phone"), "0.0.0.0", "10.0.3.1:80", "other"); err != nil || got != "OTHER to 10.0.2.1" {
		t.Errorf("over the other link: %q, %v", got, err)
	}
	if err := l.SetLinkUp("wifi", true); err != nil {
		t.Fatal(err)
	}
	for src, dst := range map[string]string{"10.0.1.1": "10.0.3.1:80", "fd00:0:0:1::1": "[fd00:0:0:3::1]:80"} {
		if got, err := ask(t, l.Node("phone"), src, dst, "back"); err != nil || got != "BACK to "+src {
			t.Errorf("from %s: %q, %v", src, got, err)
		}
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	l := build(t, handover(), Options{})
	listen(t, l.Node("server"), "10.0.3.1:80")
	p := netip.MustParsePrefix("10.0.2.77/24")
	if err := l.AddrAdd("phone", "lte", p); err != nil {
		t.Fatal(err)
	}
	before := rxPackets(t, l, "router")
	if got, err := ask(t, l.Node("phone"), "10.0.2.77", "10.0.3.1:80", "new"); err != nil || got != "NEW to 10.0.2.77" {
		t.Errorf("%q, %v", got, err)
	}
	if after := rxPackets(t, l, "router"); after["lte"]-before["lte"] < 4 {
		t.Errorf("the new address did not use its own interface")
	}
	if err := l.AddrDel("phone", "lte", p); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, l.Node("phone"), "10.0.2.77", "10.0.3.1:80", "gone"); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("from a removed address: %v", err)
	}
	if err := l.AddrAdd("phone", "nowhere", p); err == nil {
		t.Error("no error for an unknown interface")
	}
}

func TestVanishedInterfaceIsNoticed(t *testing.T) {
	l := build(t, handover(), Options{})
	if err := l.Node("router").Do(func() error {
		dev, err := netlink.LinkByName("lan")
		if err != nil {
			return err
		}
		return netlink.LinkDel(dev)
	}); err != nil {
		t.Fatal(err)
	}
	err := l.Check()
	if err == nil || !strings.Contains(err.Error(), "router.lan") || !strings.Contains(err.Error(), "server.lan") {
		t.Errorf("Check() = %v, want both ends of the link", err)
	}
}
