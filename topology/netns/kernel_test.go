package netns

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mptcplab/mptcp/pm"
)

func needKernelMPTCP(t *testing.T) {
	t.Helper()
	if !KernelMPTCP() {
		t.Skip("SKIPPED: this kernel has no MPTCP")
	}
}

func TestEndpointsAndLimits(t *testing.T) {
	needKernelMPTCP(t)
	l := build(t, handover(4, 6), Options{Userspace: func(n string) bool { return n == "server" }})
	want := []pm.Endpoint{
		{ID: 1, Addr: netip.MustParseAddr("10.0.1.1"), Dev: "wifi", Flags: pm.Subflow},
		{ID: 9, Addr: netip.MustParseAddr("10.0.2.1"), Flags: pm.Subflow | pm.Backup},
		{ID: 10, Addr: netip.MustParseAddr("fd00:0:0:2::1"), Port: 8080, Dev: "lte", Flags: pm.Signal},
	}
	for i, e := range want {
		if i != 1 {
			e.ID = 0 // the kernel chooses
		}
		id, err := l.AddEndpoint("phone", e)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			want[i].ID = id
		} else if id != want[i].ID {
			t.Errorf("endpoint %d got identifier %d", i, id)
		}
	}
	check := func() {
		t.Helper()
		got, err := l.Endpoints("phone")
		if err != nil {
			t.Fatal(err)
		}
		order := func(a, b pm.Endpoint) int { return a.Addr.Compare(b.Addr) }
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if !slices.Equal(got, want) {
			t.Errorf("endpoints %+v, want %+v", got, want)
		}
	}
	check()
	if err := l.ChangeEndpoint("phone", pm.Endpoint{ID: 9, Flags: pm.Subflow}); err != nil {
		t.Error(err)
	}
	want[1].Flags = pm.Subflow
	check()
	if err := l.DelEndpoint("phone", pm.Endpoint{Addr: want[0].Addr}); err != nil {
		t.Error(err)
	}
	want = want[1:]
	check()
	if err := l.DelEndpoint("phone", pm.Endpoint{ID: 77}); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		t.Errorf("deleting an unknown endpoint: %v", err)
	}
	if err := l.FlushEndpoints("phone"); err != nil {
		t.Error(err)
	}
	want = nil
	check()

	limits := pm.Limits{Subflows: 5, AddAddrAccepted: 3}
	if err := l.SetLimits("phone", limits); err != nil {
		t.Error(err)
	}
	if got, err := l.Limits("phone"); err != nil || got != limits {
		t.Errorf("limits %+v, %v; want %+v", got, err, limits)
	}
	if err := l.SetLimits("phone", pm.Limits{Subflows: 1000}); err == nil {
		t.Error("the kernel took 1000 subflows")
	}
	if _, err := l.AddEndpoint("server", want0); err == nil {
		t.Error("an endpoint on a userspace host went to the kernel")
	}
}

var want0 = pm.Endpoint{Addr: netip.MustParseAddr("10.0.3.1"), Flags: pm.Signal}

func TestCongestionControlIsSetAndReadBack(t *testing.T) {
	l := build(t, handover(), Options{})
	before, err := readSysctl(allowedCongestionControl)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reno", "cubic"} {
		got, err := l.SetCongestionControl("phone", name)
		if InUserNamespace() && name == "cubic" && err != nil {
			t.Logf("not permitted in a user namespace, in force is %s: %v", got, err)
			if got != "reno" {
				t.Errorf("in force is %s, want what was set before", got)
			}
			continue
		}
		if err != nil || got != name {
			t.Errorf("asked for %s, got %s, %v", name, got, err)
		}
	}
	if after, err := readSysctl(allowedCongestionControl); err != nil || after != before {
		t.Errorf("the machine's list is %q, %v; was %q", after, err, before)
	}
	if _, err := l.SetCongestionControl("phone", "nonesuch"); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("unknown controller: %v", err)
	}
}
