package kernel

import (
	"bytes"
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/topology/netns"
	"mptcplab/topology/netns/labtest"
	"mptcplab/workloads"
)

// download is a program that knows nothing of MPTCP: it reads all and says its digest.
const download = `
import socket, hashlib
s = socket.create_connection(("10.0.3.1", 5001))
h = hashlib.sha256()
while b := s.recv(1 << 20):
    h.update(b)
s.close()
print(h.hexdigest())
`

// TestUnmodifiedProgramsAgainstOurStack has a Python program download from a host with
// our stack over kernel TCP, and, started by mptcpize(8), over kernel MPTCP.
func TestUnmodifiedProgramsAgainstOurStack(t *testing.T) {
	const bytesToSend = 10_000_000
	for _, tc := range []struct {
		name     string
		command  []string
		fallback bool
	}{
		{"tcp", []string{"python3", "-c", download}, true},
		{"mptcpize", []string{"mptcpize", "run", "python3", "-c", download}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, program := range []string{"python3", tc.command[0]} {
				if _, err := exec.LookPath(program); err != nil {
					t.Skip("SKIPPED:", err)
				}
			}
			if !netns.Privileged() || !netns.KernelMPTCP() {
				t.Skip("SKIPPED: no privileges for network namespaces here, nor a user namespace, or no kernel MPTCP")
			}
			topo := labtest.Handover()
			l, err := netns.Build(context.Background(), topo, netns.Options{Userspace: func(n string) bool { return n == "server" }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			limits := pm.Limits{Subflows: 8, AddAddrAccepted: 8}
			if err := l.SetLimits("phone", limits); err != nil {
				t.Fatal(err)
			}
			if _, err := l.AddEndpoint("phone", pm.Endpoint{Addr: labtest.PhoneLTE, Dev: "lte", Flags: pm.Subflow}); err != nil {
				t.Fatal(err)
			}
			s := &workloads.BulkServer{
				BulkEnd: workloads.BulkEnd{Send: workloads.Amount{Bytes: bytesToSend}, Data: workloads.NewStream(1, "down"), Meter: workloads.NewMeter()},
				Socket:  workloads.Socket{Local: netip.AddrPortFrom(labtest.Server, 5001), Proto: "mptcp"},
			}
			o := startOurs(t, l, topo, "server", mptcp.HostConfig{Limits: limits}, s)
			cmd := exec.Command(tc.command[0], tc.command[1:]...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := l.Node("phone").Start(cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			o.finish(t, 20*time.Second)
			if err := o.monitor.Do(func(now clock.Instant) {
				if got, want := strings.TrimSpace(out.String()), s.Meter.SHA256Sent(); got != want || s.Meter.Written != bytesToSend {
					t.Errorf("the program read %s, we sent %s (%d bytes)", got, want, s.Meter.Written)
				}
				in, err := s.Conn().Info(now)
				if err != nil || in.Fallback != tc.fallback {
					t.Errorf("fallback %v %q, %v", in.Fallback, in.FallbackReason, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
