package virtual

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// record runs a download and returns what arrived at each host, as a script.
func record(t *testing.T, size int, config mptcp.Config) map[string][]machine.Step {
	t.Helper()
	scripts := make(map[string][]machine.Step)
	links := map[string]machine.LinkID{"phone.wifi": 0, "phone.lte": 1, "server.lan": 0}
	tap := func(at clock.Instant, iface string, out bool, pkt []byte) {
		if !out {
			host := map[bool]string{true: "server", false: "phone"}[iface == "server.lan"]
			scripts[host] = append(scripts[host], machine.Step{At: at, Link: links[iface], Data: bytes.Clone(pkt)})
		}
	}
	x := download(t, demo(), Options{Seed: 7, Tap: tap}, size, config, config)
	x.run(t, 5*time.Second)
	x.intact(t)
	return scripts
}

// The stack keeps the contract, in both roles: the packets of a download that was
// recorded are played to new stacks of the same seed, on time, with early calls,
// late, and with links that stop being writable.
func TestStackContract(t *testing.T) {
	for name, config := range map[string]mptcp.Config{"mptcp": {}, "checksums": {ChecksumEnabled: true}, "tcp": {PlainTCP: true}} {
		scripts := record(t, 400_000, config)
		topo := demo()
		server := netip.MustParseAddrPort("10.0.3.2:8080")
		newHost := func(name string) *host {
			return &host{Stack: mptcp.New(env(topo, topo.Node(name), 7, config))}
		}
		var drives []*transfer
		dial := machine.Step{Do: func(m machine.Machine, now clock.Instant) {
			h := m.(*host)
			x := newTransfer(400_000)
			h.step = x.receive
			drives = append(drives, x)
			var err error
			if x.down, err = h.Dial(now, nil, netip.MustParseAddrPort("10.0.1.1:0"), server); err != nil {
				t.Fatal(err)
			}
		}}
		phone := append([]machine.Step{dial}, scripts["phone"]...)
		if err := machine.Check(func() machine.Machine { return newHost("phone") }, phone, clock.Instant(5*time.Second)); err != nil {
			t.Errorf("%s, phone: %v", name, err)
		}
		// The first three drives are on time: they repeat the whole download.
		for i := range min(3, len(drives)) {
			if x := drives[i]; x.read != x.size || x.finished == 0 {
				t.Errorf("%s: drive %d read %d of %d bytes", name, i, x.read, x.size)
			}
		}
		build := func() machine.Machine {
			h, x := newHost("server"), newTransfer(400_000)
			l, err := h.Listen(nil, server)
			if err != nil {
				t.Fatal(err)
			}
			h.step = func(clock.Instant) { x.serve(l) }
			return h
		}
		if err := machine.Check(build, scripts["server"], clock.Instant(5*time.Second)); err != nil {
			t.Errorf("%s, server: %v", name, err)
		}
	}
}
