package scenarios

import (
	"strings"
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// behindNAT checks that both subflows carried data although the ends know
// different addresses of one of them.
func behindNAT(t *testing.T, run *result.Run) {
	t.Helper()
	for _, e := range run.Expect {
		if !e.Pass {
			t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
		}
	}
	for _, f := range run.Flows {
		if len(f.Subflows) != 2 || !f.Intact {
			t.Fatalf("%s: %+v", run.ID, f)
		}
		for _, s := range f.Subflows {
			if s.BytesSent < 100e3 || (s.Path == "wifi") != strings.HasPrefix(s.Client, "10.0.1.1:") {
				t.Errorf("%s %s: subflow %+v", run.ID, f.Name, s)
			}
		}
	}
	h := run.Handover[0]
	if h.RTOMS == nil || h.SRTTMS == nil {
		t.Errorf("%s: the sender's RTO of the translated path is not known: %+v", run.ID, h)
	}
}

// A phone behind address translation on one of its paths: joins get through, both
// subflows carry data, and what is measured of a subflow is one subflow's,
// although the server sees another address.
func TestBehindNATVirtual(t *testing.T) {
	res := runFile(t, loadFile(t, "behind-nat.yaml", spec.Options{}), Options{})
	behindNAT(t, &res.Runs[0])
}

// The same with the translation of Linux, for our stack and for the kernel's.
func TestBehindNATNetns(t *testing.T) {
	needKernelMPTCP(t)
	f := loadFile(t, "behind-nat.yaml", spec.Options{Fabric: "netns"})
	res := runFile(t, f, Options{Fabric: "netns", Impair: "auto"})
	behindNAT(t, &res.Runs[0])
	f = loadFile(t, "behind-nat.yaml", spec.Options{Fabric: "netns", Sets: []string{"topology.hosts.phone.stack=kernel-mptcp", "timeline=[]",
		"expect=['flow.*.subflows == 2', 'flow.*.fallback == false', 'flow.*.path.wifi.bytes > 100KB']"}})
	for _, e := range runFile(t, f, Options{Fabric: "netns", Impair: "auto"}).Runs[0].Expect {
		if !e.Pass {
			t.Errorf("kernel: %s: measured %s", e.That, e.Measured)
		}
	}
}

// Nobody reaches a server behind address translation.
func TestServerBehindNAT(t *testing.T) {
	_, err := spec.Load(writeText(t, strings.ReplaceAll(`
topology:
  hosts: {inside, outside}
  routers: {home: {nat: LINK}, core: {}}
  links:
    lan: {ends: [inside, home]}
    dsl: {ends: [home, core]}
    net: {ends: [core, outside]}
workloads:
  get: {type: bulk, client: outside.net, server: inside, download: 1MB, family: 4}
`, "LINK", "dsl")), spec.Options{})
	if err == nil || !strings.Contains(err.Error(), "inside cannot be reached from outside.net over IPv4") {
		t.Errorf("%v", err)
	}
}
