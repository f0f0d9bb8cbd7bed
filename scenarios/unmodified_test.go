package scenarios

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/pm"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
	"mptcplab/workloads"
)

// program is an ordinary program on sockets: it knows nothing of this project. It
// exchanges bytes with its peer and says how it saw them. Arguments: client or
// server, address, port, protocol (0 or 262), bytes to send.
const program = `
import hashlib, socket, sys, threading
role, addr, port, proto, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)
if role == "server":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.listen()
    print("listening", flush=True)
    listener = s # stays open: without it Linux resets joins
    s, _ = listener.accept()
else:
    s.connect((addr, port))
sent, received, total = hashlib.sha256(), hashlib.sha256(), 0
def send():
    for i in range(0, n, 65536):
        b = hashlib.shake_128(i.to_bytes(8, "big")).digest(min(65536, n - i))
        sent.update(b)
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send)
sender.start()
while b := s.recv(1 << 18):
    received.update(b)
    total += len(b)
sender.join()
print("sent", sent.hexdigest(), "received", received.hexdigest(), total, flush=True)
`

// What each side sends.
const (
	programBytes = 3_000_000
	ourBytes     = 5_000_000
)

// interpreter finds a program, or skips the test, loudly.
func interpreter(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" && netns.Privileged() && !netns.InUserNamespace() { // .ci/run installs it
			t.Fatalf("no %s", name)
		}
		t.Skipf("SKIPPED: no %s here, so no program but our own has talked to the stack", name)
	}
	return path
}

// bench is the handover's network with our stack on the phone, whose second link is
// an endpoint, and the kernel's on the server.
type bench struct {
	lab   *netns.Lab
	phone *host.Monitor
	node  *workloads.Node
}

func newBench(t *testing.T) *bench {
	t.Helper()
	needKernelMPTCP(t)
	lab, err := netns.Build(context.Background(), labtest.Handover(), netns.Options{Userspace: func(n string) bool { return n == "phone" }})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{lab: lab}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := lab.SetLimits("server", pm.Limits{Subflows: 2, AddAddrAccepted: 2}); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs an application on the phone.
func (b *bench) start(t *testing.T, app workloads.App) {
	t.Helper()
	topo := labtest.Handover()
	phone := topo.Node("phone")
	env := mptcp.Env{
		Host: mptcp.HostConfig{
			Limits:    pm.Limits{Subflows: 2, AddAddrAccepted: 2},
			Endpoints: []pm.Endpoint{{Addr: labtest.PhoneLTE, Flags: pm.Subflow}},
		},
		Seed: seedOf(1, "phone"),
	}
	var devices []link.Device
	for i := range phone.Interfaces {
		dev, err := b.lab.Device("phone", phone.Interfaces[i].Link)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, dev)
		env.Links = append(env.Links, stackLink(topo, phone, i))
	}
	b.node = workloads.NewNode(mptcp.New(env), app)
	m, err := host.Start(host.Config{Machine: b.node, Devices: devices, Clock: b.lab.Clock()})
	if err != nil {
		t.Fatal(err)
	}
	b.phone = m
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// ended waits until both directions of a transfer on the phone have ended.
func (b *bench) ended(t *testing.T, meter *workloads.Meter) {
	t.Helper()
	for give := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		over := false
		if err := b.phone.Do(func(clock.Instant) { over = meter.Finished != clock.Never }); err != nil {
			t.Fatal(err)
		}
		if over {
			return
		}
		if time.Now().After(give) {
			t.Fatal("not over after 30 s")
		}
	}
}

// said is what the program prints in the end.
type said struct {
	sent, received string
	total          uint64
}

// runProgram starts the program in the server's namespace, calls ready when it
// listens (a client: at once), and returns what it said.
func (b *bench) runProgram(t *testing.T, ready func(), argv ...string) said {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.lab.Node("server").Start(cmd); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var s said
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "listening" {
			ready()
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "sent %s received %s %d", &s.sent, &s.received, &s.total); err != nil {
			t.Errorf("the program said %q", lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", argv[0], err, stderr.String())
	}
	return s
}

// check compares both ends' views of the bytes.
func (s said) check(t *testing.T, m *workloads.Meter) {
	t.Helper()
	if m.Err != nil || !m.EOF || m.Read != programBytes || m.Written != ourBytes || s.total != ourBytes {
		t.Errorf("error %v, EOF %v, we read %d and wrote %d, the program read %d", m.Err, m.EOF, m.Read, m.Written, s.total)
	}
	if m.SHA256Received() != s.sent || m.SHA256Sent() != s.received {
		t.Errorf("the program sent %s, we received %s; we sent %s, it received %s", s.sent, m.SHA256Received(), m.SHA256Sent(), s.received)
	}
}

// counters reads the counters of both ends.
func (b *bench) counters(t *testing.T) (kernel map[string]int64, ours mptcp.Counters) {
	t.Helper()
	kernel, err := b.lab.Counters("server")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.phone.Do(func(clock.Instant) { ours = *b.node.Stack.Counters() }); err != nil {
		t.Fatal(err)
	}
	return kernel, ours
}

const benchPort = 5001

func (b *bench) server() *workloads.BulkServer {
	s := &workloads.BulkServer{Socket: workloads.Socket{Proto: "mptcp", Local: netip.AddrPortFrom(netip.IPv4Unspecified(), benchPort)}}
	s.BulkEnd = workloads.BulkEnd{Send: workloads.Amount{Bytes: ourBytes}, Data: workloads.NewStream(1, "ours"), Meter: workloads.NewMeter()}
	return s
}

func (b *bench) client() *workloads.BulkClient {
	c := &workloads.BulkClient{Socket: workloads.Socket{Proto: "mptcp",
		Local: netip.AddrPortFrom(labtest.PhoneWiFi, 0), Remote: netip.AddrPortFrom(labtest.Server, benchPort)}}
	c.BulkEnd = workloads.BulkEnd{Send: workloads.Amount{Bytes: ourBytes}, Data: workloads.NewStream(1, "ours"), Meter: workloads.NewMeter()}
	return c
}

// argv is the program's command line behind the interpreter.
func argv(role string, addr netip.Addr, proto int) []string {
	return []string{"-c", program, role, addr.String(), fmt.Sprint(benchPort), fmt.Sprint(proto), fmt.Sprint(programBytes)}
}

// An MPTCP socket of Python connects to our stack.
func TestPythonClient(t *testing.T) {
	python := interpreter(t, "python3")
	b := newBench(t)
	s := b.server()
	b.start(t, s)
	said := b.runProgram(t, nil, append([]string{python}, argv("client", labtest.PhoneWiFi, 262)...)...)
	b.ended(t, s.Meter)
	said.check(t, s.Meter)
	kernel, ours := b.counters(t)
	if kernel["MPTcpExtMPCapableSYNTX"] != 1 || kernel["MPTcpExtMPCapableSYNACKRX"] != 1 || ours.MPTcpExtMPCapableSYNRX != 1 || ours.MPTcpExtMPCapableACKRX != 1 {
		t.Errorf("no MPTCP: kernel %v, ours %+v", nonZero(kernel), ours)
	}
}

// Our stack connects to an MPTCP socket of Python, and joins on the second link.
func TestPythonServer(t *testing.T) {
	python := interpreter(t, "python3")
	b := newBench(t)
	c := b.client()
	said := b.runProgram(t, func() { b.start(t, c) }, append([]string{python}, argv("server", labtest.Server, 262)...)...)
	b.ended(t, c.Meter)
	said.check(t, c.Meter)
	kernel, ours := b.counters(t)
	if kernel["MPTcpExtMPCapableSYNRX"] != 1 || kernel["MPTcpExtMPCapableACKRX"] != 1 || ours.MPTcpExtMPCapableSYNACKRX != 1 {
		t.Errorf("no MPTCP: kernel %v, ours %+v", nonZero(kernel), ours)
	}
	if kernel["MPTcpExtMPJoinSynRx"] != 1 || kernel["MPTcpExtMPJoinAckRx"] != 1 || ours.MPTcpExtMPJoinSynTx != 1 || ours.MPTcpExtMPJoinSynAckRx != 1 {
		t.Errorf("no second subflow: kernel %v, ours %+v", nonZero(kernel), ours)
	}
}

// mptcpize turns a program that knows only TCP into a peer of ours; without it the
// same program is a TCP peer, to which we fall back.
func TestMptcpize(t *testing.T) {
	mptcpize, python := interpreter(t, "mptcpize"), interpreter(t, "python3")
	for _, c := range []struct {
		name  string
		with  []string
		mptcp bool
	}{{"mptcpize", []string{mptcpize, "run", python}, true}, {"plain", []string{python}, false}} {
		want := int64(0)
		if c.mptcp {
			want = 1
		}
		t.Run(c.name+"/client", func(t *testing.T) {
			b := newBench(t)
			s := b.server()
			b.start(t, s)
			said := b.runProgram(t, nil, append(c.with, argv("client", labtest.PhoneWiFi, 0)...)...)
			b.ended(t, s.Meter)
			said.check(t, s.Meter)
			kernel, ours := b.counters(t)
			if kernel["MPTcpExtMPCapableSYNACKRX"] != want || ours.MPTcpExtMPCapableACKRX != uint64(want) {
				t.Errorf("kernel %v, ours %+v", nonZero(kernel), ours)
			}
		})
		t.Run(c.name+"/server", func(t *testing.T) {
			b := newBench(t)
			cl := b.client()
			said := b.runProgram(t, func() { b.start(t, cl) }, append(c.with, argv("server", labtest.Server, 0)...)...)
			b.ended(t, cl.Meter)
			said.check(t, cl.Meter)
			kernel, ours := b.counters(t)
			if kernel["MPTcpExtMPCapableACKRX"] != want || ours.MPTcpExtMPCapableSYNACKRX != uint64(want) ||
				ours.MPTcpExtMPCapableFallbackSYNACK != uint64(1-want) {
				t.Errorf("kernel %v, ours %+v", nonZero(kernel), ours)
			}
		})
	}
}

// nonZero keeps the MPTCP counters that counted.
func nonZero(all map[string]int64) map[string]int64 {
	m := map[string]int64{}
	for k, v := range all {
		if v != 0 && strings.HasPrefix(k, "MPTcpExt") {
			m[k] = v
		}
	}
	return m
}
