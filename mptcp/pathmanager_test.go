package mptcp

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

// ep is an endpoint; words are flags, "id N" and "port N".
func ep(a string, words ...string) pm.Endpoint {
	e := pm.Endpoint{Addr: addr(a)}
	flags := map[string]pm.EndpointFlags{"signal": pm.Signal, "subflow": pm.Subflow, "backup": pm.Backup, "fullmesh": pm.Fullmesh, "laminar": pm.Laminar}
	for _, w := range words {
		var n int
		switch {
		case flags[w] != 0:
			e.Flags |= flags[w]
		case strings.HasPrefix(w, "id"):
			fmt.Sscanf(w, "id %d", &n)
			e.ID = uint8(n)
		default:
			fmt.Sscanf(w, "port %d", &n)
			e.Port = uint16(n)
		}
	}
	return e
}

// duet is a connection that idles between a client (side 1) and a server (side 2) on
// four links, as in Linux's mptcp_join.sh.
type duet struct {
	*world
	client, server *Conn
}

// play opens the connection to dst; a listener on :: has an IPv6 socket for IPv4, too.
func play(t *testing.T, client, server HostConfig, dst string) *duet {
	t.Helper()
	w := newWorld(t, 4, client, server, 1)
	for _, h := range w.hosts { // every address is reached by every link
		for l := range h.links {
			h.links[l].Routes = []Route{{Prefix: prefix("0.0.0.0/0"), Metric: l}, {Prefix: prefix("::/0"), Metric: l}}
		}
	}
	ln, err := w.hosts[1].Listen(nil, netip.AddrPortFrom(netip.IPv6Unspecified(), 80))
	if err != nil {
		t.Fatal(err)
	}
	d := &duet{world: w}
	raddr := addrPort(dst)
	if d.client, err = w.hosts[0].Dial(0, nil, netip.AddrPort{}, raddr); err != nil {
		t.Fatal(err)
	}
	w.onStep = func() {
		if d.server == nil {
			if c, ok := ln.Accept(); ok {
				d.server = c
				c.Write([]byte("hello"), false)
			}
		}
	}
	d.wait(time.Second)
	if d.server == nil || !d.server.confirmed {
		t.Fatal("no connection")
	}
	return d
}

func (d *duet) wait(t time.Duration) {
	d.mutated()
	d.run(t, func() bool { return false })
}

// counts compares counters, whose names lack their prefix.
func (d *duet) counts(side int, want map[string]uint64) {
	d.t.Helper()
	d.hosts[side].Counters().Each(func(name string, v uint64) {
		if n, ok := want[strings.TrimPrefix(name, "MPTcpExt")]; ok && n != v {
			d.t.Errorf("%s: %s = %d, want %d", [2]string{"client", "server"}[side], name, v, n)
		}
	})
}

// subflows lists the open subflows of a connection as "local>remote", without the
// initial one's ports.
func subflows(c *Conn) (list []string) {
	for _, sf := range c.subflows {
		if sf.stage == open {
			list = append(list, fmt.Sprintf("%v>%v", sf.local.Addr(), sf.remote.Addr()))
		}
	}
	return list
}

func limits(subflows, accepted int, es ...pm.Endpoint) HostConfig {
	return HostConfig{Limits: pm.Limits{Subflows: subflows, AddAddrAccepted: accepted}, Endpoints: es}
}

// joins are MPJoinSynRx, MPJoinSynAckRx and MPJoinAckRx of a selftest, adds are AddAddr
// and EchoAdd.
type joins struct{ syn, synack, ack uint64 }

// Linux's mptcp_join.sh, the groups subflows, signal_address, v4mapped, mixed, backup,
// add_addr_ports, deny_join_id0, fullmesh and laminar, without what happens later.
func TestJoinSelftests(t *testing.T) {
	deny := func(h HostConfig) HostConfig {
		h.Default.DenyJoinInitial = true
		return h
	}
	const dst, dst6 = "10.0.1.2:80", "[fd00:1::2]:80"
	for _, v := range []struct {
		name           string
		server, client HostConfig
		dst            string
		j              joins
		add, echo      uint64
	}{
		{"single subflow, limited by client", limits(0, 0), limits(0, 0, ep("10.0.3.1", "subflow")), dst, joins{}, 0, 0},
		{"single subflow, limited by server", limits(0, 0), limits(1, 0, ep("10.0.3.1", "subflow")), dst, joins{1, 1, 0}, 0, 0},
		{"single subflow", limits(1, 0), limits(1, 0, ep("10.0.3.1", "subflow")), dst, joins{1, 1, 1}, 0, 0},
		{"multiple subflows", limits(2, 0), limits(2, 0, ep("10.0.3.1", "subflow"), ep("10.0.2.1", "subflow")), dst, joins{2, 2, 2}, 0, 0},
		{"multiple subflows, limited by server", limits(1, 0), limits(2, 0, ep("10.0.3.1", "subflow"), ep("10.0.2.1", "subflow")), dst, joins{2, 2, 1}, 0, 0},
		{"unused signal address", limits(2, 0, ep("10.0.2.2", "signal")), limits(2, 0), dst, joins{}, 1, 1},
		{"signal address", limits(1, 0, ep("10.0.2.2", "signal")), limits(1, 1), dst, joins{1, 1, 1}, 1, 1},
		{"subflow and signal", limits(2, 0, ep("10.0.2.2", "signal")), limits(2, 1, ep("10.0.3.1", "subflow")), dst, joins{2, 2, 2}, 1, 1},
		{"subflow and signal together", limits(2, 0), limits(2, 0, ep("10.0.3.1", "subflow", "signal")), dst, joins{1, 1, 1}, 0, 0},
		{"multiple subflows and signal", limits(3, 0, ep("10.0.2.2", "signal")), limits(3, 1, ep("10.0.3.1", "subflow"), ep("10.0.4.1", "subflow")), dst, joins{3, 3, 3}, 1, 1},
		{"signal addresses", limits(3, 3, ep("10.0.2.2", "signal"), ep("10.0.3.2", "signal"), ep("10.0.4.2", "signal")), limits(3, 3), dst, joins{3, 3, 3}, 3, 3},
		{"signal invalid addresses", limits(3, 3, ep("10.0.12.2", "signal"), ep("10.0.3.2", "signal"), ep("10.0.14.2", "signal")), limits(3, 3), dst, joins{1, 1, 1}, 3, 3},
		{"single subflow IPv6", limits(1, 0), limits(1, 0, ep("fd00:3::1", "subflow")), dst6, joins{1, 1, 1}, 0, 0},
		{"single address IPv6", limits(1, 0, ep("fd00:2::2", "signal")), limits(1, 1), dst6, joins{1, 1, 1}, 1, 1},
		{"single subflow IPv4-mapped", limits(1, 0), limits(1, 0, ep("::ffff:10.0.3.1", "subflow")), "[::ffff:10.0.1.2]:80", joins{1, 1, 1}, 0, 0},
		{"signal address v6-map-v4", limits(1, 0, ep("::ffff:10.0.2.2", "signal")), limits(1, 1), dst, joins{1, 1, 1}, 1, 1},
		{"no JOIN with diff families v4-v6", limits(1, 0), limits(1, 0, ep("fd00:2::1", "subflow")), dst, joins{}, 0, 0},
		{"no JOIN with diff families v6-v4", limits(1, 0), limits(1, 0, ep("10.0.3.1", "subflow")), dst6, joins{}, 0, 0},
		{"IPv4 sockets do not use IPv6 addresses", limits(1, 0, ep("fd00:2::2", "signal")), limits(1, 1), dst, joins{}, 1, 1},
		{"IPv6 sockets do, also if they began with IPv4", limits(1, 0, ep("fd00:2::2", "signal")), limits(1, 1), "[::ffff:10.0.1.2]:80", joins{1, 1, 1}, 1, 1},
		{"simult IPv4 and IPv6 subflows", limits(1, 0, ep("10.0.1.2", "signal")), limits(1, 1), dst6, joins{1, 1, 1}, 1, 1},
		{"simult IPv4 and IPv6 subflows, fullmesh 1x1", limits(4, 0, ep("10.0.1.2", "signal")), limits(4, 1, ep("fd00:2::1", "subflow", "fullmesh")), dst6, joins{1, 1, 1}, 1, 1},
		{"signal address with port", limits(1, 0, ep("10.0.2.2", "signal", "port 10100")), limits(1, 1), dst, joins{1, 1, 1}, 1, 1},
		{"multiple addresses with port", limits(2, 2, ep("10.0.2.2", "signal", "port 10100"), ep("10.0.3.2", "signal", "port 10100")), limits(2, 2), dst, joins{2, 2, 2}, 2, 2},
		{"single subflow allow join id0 ns1", limits(1, 1), deny(limits(1, 1, ep("10.0.3.1", "subflow"))), dst, joins{1, 1, 1}, 0, 0},
		{"single subflow allow join id0 ns2", deny(limits(1, 1)), limits(1, 1, ep("10.0.3.1", "subflow")), dst, joins{}, 0, 0},
		{"signal address allow join id0 ns2", deny(limits(1, 1, ep("10.0.2.2", "signal"))), limits(1, 1), dst, joins{1, 1, 1}, 1, 1},
		{"subflow and address allow join id0 1", limits(2, 2, ep("10.0.2.2", "signal")), deny(limits(2, 2, ep("10.0.3.1", "subflow"))), dst, joins{2, 2, 2}, 1, 1},
		{"subflow and address allow join id0 2", deny(limits(2, 2, ep("10.0.2.2", "signal"))), limits(2, 2, ep("10.0.3.1", "subflow")), dst, joins{1, 1, 1}, 1, 1},
		{"default limits, server deny join id 0", deny(limits(2, 0, ep("10.0.2.2", "signal"))), limits(2, 0, ep("10.0.3.1", "subflow"), ep("10.0.4.1", "subflow")), dst, joins{2, 2, 2}, 1, 1},
		{"fullmesh test 2x1", limits(4, 0, ep("10.0.2.2", "signal")), limits(4, 1, ep("10.0.2.1", "subflow", "fullmesh"), ep("10.0.3.1", "subflow", "fullmesh")), dst, joins{4, 4, 4}, 1, 1},
		{"fullmesh, limited", limits(3, 2, ep("10.0.2.2", "signal")), limits(3, 1, ep("10.0.2.1", "subflow", "fullmesh"), ep("10.0.3.1", "subflow", "fullmesh")), dst, joins{3, 3, 3}, 1, 1},
		{"with a laminar endpoint", limits(2, 0, ep("10.0.2.2", "signal")), limits(2, 2, ep("10.0.3.1", "laminar")), dst, joins{1, 1, 1}, 1, 1},
		{"with multiple laminar endpoints", limits(2, 0, ep("10.0.2.2", "signal"), ep("10.0.3.2", "signal")),
			limits(2, 2, ep("fd00:3::1", "laminar"), ep("10.0.3.1", "laminar"), ep("10.0.4.1", "laminar")), dst, joins{2, 2, 2}, 2, 2},
		{"single laminar endpoint", limits(2, 0, ep("10.0.2.2", "signal"), ep("10.0.3.2", "signal")), limits(2, 2, ep("10.0.3.1", "laminar")), dst, joins{1, 1, 1}, 2, 2},
		{"subflow and laminar endpoints", limits(4, 0, ep("10.0.2.2", "signal")), limits(4, 2, ep("10.0.1.1", "subflow", "laminar"), ep("10.0.3.1", "subflow", "laminar")), dst, joins{1, 1, 1}, 1, 1},
		{"bad source, and the initial address", limits(1, 0), limits(1, 0, ep("10.0.1.1", "subflow"), ep("10.0.12.1", "subflow")), dst, joins{}, 0, 0},
	} {
		t.Run(v.name, func(t *testing.T) {
			d := play(t, v.client, v.server, v.dst)
			d.wait(5 * time.Second)
			d.counts(1, map[string]uint64{"MPJoinSynRx": v.j.syn, "MPJoinAckRx": v.j.ack, "MPJoinRejected": v.j.synack - v.j.ack,
				"EchoAdd": v.echo, "MPJoinPortSynRx": d.hosts[0].counters.MPTcpExtPortAdd, "MismatchPortSynRx": 0, "MismatchPortAckRx": 0})
			d.counts(0, map[string]uint64{"MPJoinSynAckRx": v.j.synack, "AddAddr": v.add})
			if n := len(subflows(d.client)); n != int(v.j.ack)+1 {
				t.Errorf("subflows %v", subflows(d.client))
			}
			if got, want := d.client.MPTCPInfo(d.now).SubflowsTotal, d.server.MPTCPInfo(d.now).SubflowsTotal; v.name != "signal invalid addresses" && got != want {
				t.Errorf("client has %d subflows, server %d", got, want)
			}
			c, s := newApp(d.client, 1<<20, 1, 2), newApp(d.server, 1<<20, 2, 1)
			c.garbled = true // of the greeting
			d.onStep = func() { c.poll(d.world); s.poll(d.world) }
			d.onStep()
			d.mutated()
			if !d.run(time.Minute, func() bool { return d.client.Done() && d.server.Done() }) {
				t.Fatal("the transfer does not end")
			}
		})
	}
}

// remove_tests, add_tests, backup_tests and endpoint_tests: what changes on a live
// connection, on the side that changes it and at the peer.
func TestLiveSelftests(t *testing.T) {
	t.Run("remove subflow and signal", func(t *testing.T) {
		d := play(t, limits(2, 1, ep("10.0.3.1", "subflow", "backup")), limits(2, 0, ep("10.0.2.2", "signal", "backup")), "10.0.1.2:80")
		d.del(1, "10.0.2.2")
		d.del(0, "10.0.3.1")
		d.counts(0, map[string]uint64{"RmAddr": 1, "RmSubflow": 1, "RmAddrTx": 1, "MPRstRx": 0})
		d.counts(1, map[string]uint64{"RmAddr": 1, "RmSubflow": 1, "RmAddrTx": 1, "MPRstTx": 0})
		d.expect(t, "10.0.1.1>10.0.1.2")
	})
	t.Run("remove signal+subflow with limits", func(t *testing.T) {
		d := play(t, limits(0, 0), limits(0, 0, ep("10.0.2.2", "signal", "subflow")), "10.0.1.2:80")
		d.del(1, "10.0.2.2")
		d.counts(0, map[string]uint64{"AddAddr": 1, "RmAddr": 1})
		d.counts(1, map[string]uint64{"EchoAdd": 1, "RmSubflow": 0})
	})
	t.Run("remove invalid addresses", func(t *testing.T) {
		d := play(t, limits(2, 2), limits(3, 3, ep("10.0.12.2", "signal"), ep("224.0.0.1", "signal"), ep("10.0.3.2", "signal")), "10.0.1.2:80")
		for _, a := range []string{"10.0.12.2", "224.0.0.1", "10.0.3.2"} {
			d.del(1, a)
		}
		d.counts(0, map[string]uint64{"MPJoinSynTx": 2, "MPJoinSynTxConnectErr": 1, "AddAddr": 3, "RmAddr": 3, "RmSubflow": 0})
		d.counts(1, map[string]uint64{"MPJoinAckRx": 1, "RmSubflow": 1})
	})
	t.Run("flush subflows and signal", func(t *testing.T) {
		d := play(t, limits(3, 1, ep("10.0.3.1", "subflow"), ep("10.0.4.1", "subflow")), limits(3, 0, ep("10.0.2.2", "signal")), "10.0.1.2:80")
		d.hosts[1].FlushEndpoints(d.now)
		d.wait(time.Second)
		d.hosts[0].FlushEndpoints(d.now)
		d.wait(time.Second)
		d.counts(0, map[string]uint64{"RmAddr": 1, "RmAddrTx": 0})
		if n := d.hosts[0].counters.MPTcpExtRmSubflow + d.hosts[1].counters.MPTcpExtRmSubflow; n < 3 || n > 6 {
			t.Errorf("RmSubflow %d", n)
		}
		d.expect(t, "10.0.1.1>10.0.1.2")
	})
	t.Run("remove id 0", func(t *testing.T) {
		d := play(t, limits(1, 0, ep("10.0.3.1", "subflow")), limits(1, 0), "10.0.1.2:80")
		d.hosts[0].RemoveID0(d.now, addr("10.0.1.1"))
		d.wait(time.Second)
		d.counts(0, map[string]uint64{"RmSubflow": 1})
		d.counts(1, map[string]uint64{"RmAddr": 1})
		d.expect(t, "10.0.3.1>10.0.1.2")
	})
	t.Run("set backup and back", func(t *testing.T) {
		d := play(t, limits(1, 1), limits(1, 0, ep("10.0.2.2", "signal")), "10.0.1.2:80")
		d.change(1, "10.0.2.2", pm.Signal|pm.Backup)
		d.counts(0, map[string]uint64{"MPPrioRx": 1})
		d.counts(1, map[string]uint64{"MPPrioTx": 1})
		d.change(1, "10.0.2.2", pm.Signal)
		d.counts(0, map[string]uint64{"MPPrioRx": 2})
		if d.client.subflows[1].peerBackup || d.server.subflows[1].backup {
			t.Error("still for backup")
		}
	})
	t.Run("implicit endpoint", func(t *testing.T) {
		d := play(t, limits(2, 2), limits(2, 2), "10.0.1.2:80")
		if _, err := d.hosts[1].AddEndpoint(d.now, ep("10.0.2.2", "signal")); err != nil {
			t.Fatal(err)
		}
		d.wait(time.Second)
		want := []pm.Endpoint{{ID: 1, Addr: addr("10.0.2.1"), Flags: pm.Implicit}}
		if got := d.hosts[0].Endpoints(); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		d.change(0, "10.0.2.1", pm.Backup)
		d.counts(1, map[string]uint64{"MPPrioRx": 1})
	})
	t.Run("mpc backup", func(t *testing.T) {
		d := play(t, limits(0, 0, ep("10.0.1.1", "subflow", "backup")), limits(0, 0), "10.0.1.2:80")
		d.counts(0, map[string]uint64{"MPPrioTx": 1})
		d.counts(1, map[string]uint64{"MPPrioRx": 1})
	})
	t.Run("delete and re-add", func(t *testing.T) {
		d := play(t, limits(3, 0, ep("10.0.1.1", "id 1", "subflow"), ep("10.0.2.1", "id 2", "subflow")), limits(3, 0), "10.0.1.2:80")
		d.expect(t, "10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2")
		for range 3 {
			d.del(0, "10.0.2.1")
			d.expect(t, "10.0.1.1>10.0.1.2")
			d.add(0, ep("10.0.2.1", "id 2", "subflow"))
			d.expect(t, "10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2")
		}
		for range 3 {
			d.del(0, "10.0.1.1")
			d.expect(t, "10.0.2.1>10.0.1.2")
			d.add(0, ep("10.0.1.1", "id 1", "subflow"))
			d.expect(t, "10.0.2.1>10.0.1.2", "10.0.1.1>10.0.1.2")
		}
		d.counts(0, map[string]uint64{"MPJoinSynTx": 7, "RmSubflow": 6})
		d.counts(1, map[string]uint64{"RmAddr": 6})
	})
}

func (d *duet) id(side int, a string) uint8 {
	for _, e := range d.hosts[side].Endpoints() {
		if e.Addr == addr(a) {
			return e.ID
		}
	}
	d.t.Fatalf("no endpoint %s", a)
	return 0
}

func (d *duet) del(side int, a string) {
	d.t.Helper()
	if err := d.hosts[side].DeleteEndpoint(d.now, d.id(side, a)); err != nil {
		d.t.Fatal(err)
	}
	d.wait(time.Second)
}

func (d *duet) add(side int, e pm.Endpoint) {
	d.t.Helper()
	if _, err := d.hosts[side].AddEndpoint(d.now, e); err != nil {
		d.t.Fatal(err)
	}
	d.wait(time.Second)
}

func (d *duet) change(side int, a string, f pm.EndpointFlags) {
	d.t.Helper()
	if err := d.hosts[side].ChangeEndpoint(d.now, d.id(side, a), f); err != nil {
		d.t.Fatal(err)
	}
	d.wait(time.Second)
}

func (d *duet) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := subflows(d.client); !reflect.DeepEqual(got, want) {
		t.Errorf("subflows %v, want %v", got, want)
	}
}

// A signalled port takes joins of its connection alone (add_addr_ports_tests): no
// connection, no join after the endpoint is gone, none at a port not announced.
func TestSignalledPort(t *testing.T) {
	h := scriptHost
	h.Endpoints = []pm.Endpoint{ep("10.0.1.1", "signal", "port 10100")}
	p := newPeer(t, h)
	refused := func(s wire.Segment, reason wire.RstReason) {
		t.Helper()
		if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPTCPRst == 0 || s.Options.MPTCPRst.Reason != reason {
			t.Errorf("not refused: %s", s.String())
		}
	}
	x := p.side("10.0.1.2:4000", "10.0.1.1:10100")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	refused(x.get(), wire.RstProhibited)
	x = p.side("10.0.1.2:4001", "10.0.1.1:10100")
	x.put(wire.SYN, wire.Options{}, "")
	refused(x.get(), wire.RstProhibited)
	p.expectCounters(map[string]uint64{"MPCapableEndpAttempt": 2, "MPCapableSYNRX": 1})

	_, c, key := p.accepted(wire.CapSHA256)
	if a := p.next().Options.AddAddr; a.Port != 10100 || a.Addr != addr("10.0.1.1") {
		t.Fatalf("announced %+v", a)
	}
	join := func(port string) *side {
		y := p.side("10.0.2.2:600"+port[:1], "10.0.1.1:"+port)
		y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
		return y
	}
	refused(join("10101").get(), wire.RstProhibited)
	y := join("10100")
	sa := y.get()
	y.put(wire.ACK, joinACK(key, sa.Options.MPJoin.Nonce), "")
	p.flush()
	if n := len(subflows(c)); n != 2 {
		t.Fatal(subflows(c))
	}
	p.expectCounters(map[string]uint64{"MismatchPortSynRx": 1, "MPJoinPortSynRx": 1, "MPJoinPortAckRx": 1})
	y = p.side("10.0.2.2:7000", "10.0.1.1:10100")
	y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
	sa = y.get()
	if err := p.s.DeleteEndpoint(p.now, 1); err != nil {
		t.Fatal(err)
	}
	p.flush()
	y.put(wire.ACK, joinACK(key, sa.Options.MPJoin.Nonce), "")
	refused(y.get(), wire.RstProhibited)
	p.expectCounters(map[string]uint64{"MismatchPortAckRx": 1})
	x = p.side("10.0.1.2:4002", "10.0.1.1:10100")
	x.put(wire.SYN, wire.Options{}, "")
	if s := x.get(); s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPTCPRst != 0 {
		t.Errorf("the port is still listened on: %s", s.String())
	}
	if _, err := p.s.AddEndpoint(p.now, ep("10.0.1.1", "signal", "port 80")); err != ErrAddrInUse {
		t.Errorf("an endpoint at the port of a server: %v", err)
	}
}

// userspace_tests and userspace_pm.sh: commands and what both sides' monitors show.
func TestUserspaceManager(t *testing.T) {
	user := HostConfig{PathManager: "userspace"}
	d := play(t, limits(2, 2), user, "10.0.1.2:80") // without daemon
	d.counts(1, map[string]uint64{"AddAddrTx": 0})
	d.add(0, ep("10.0.3.1", "subflow"))
	d.counts(1, map[string]uint64{"MPJoinSynRx": 1, "MPJoinAckRx": 0, "MPJoinRejected": 1})

	var lines [2][]string
	watch := func(d *duet) {
		for i := range d.hosts {
			lines[i] = nil
			d.hosts[i].Monitor(func(_ clock.Instant, e pm.Event) {
				f := strings.Fields(strings.TrimPrefix(e.String(), "["))
				words := f[:1]
				for _, w := range f[1:] {
					if !strings.HasPrefix(w, "token=") && !strings.HasPrefix(w, "sport=") && !strings.HasPrefix(w, "dport=") {
						words = append(words, w)
					}
				}
				lines[i] = append(lines[i], strings.Join(words, " "))
			})
		}
	}
	said := func(side int, want ...string) {
		t.Helper()
		if !reflect.DeepEqual(lines[side], want) {
			t.Errorf("side %d:\n got %q\nwant %q", side, lines[side], want)
		}
		lines[side] = nil
	}
	d = play(t, limits(2, 2), user, "10.0.1.2:80")
	watch(d)
	s, token := d.hosts[1], d.server.Token()
	if err := s.Announce(d.now, token, ep("10.0.2.2", "id 10", "signal")); err != nil {
		t.Fatal(err)
	}
	d.wait(time.Second)
	d.counts(0, map[string]uint64{"AddAddr": 1, "MPJoinSynAckRx": 1})
	said(0, "ANNOUNCED] remid=10 daddr4=10.0.2.2", "SF_ESTABLISHED] remid=10 locid=1 saddr4=10.0.2.1 daddr4=10.0.2.2 backup=0")
	said(1, "SF_ESTABLISHED] remid=1 locid=10 saddr4=10.0.2.2 daddr4=10.0.2.1 backup=0")
	if in := d.server.MPTCPInfo(d.now); in.Subflows != 1 || in.AddAddrSignal != 1 {
		t.Errorf("%+v", in)
	}
	if err := s.SetFlags(d.now, token, addrPort("10.0.2.2:0"), addrPort("10.0.2.1:0"), pm.Backup); err != nil {
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(0, "SF_PRIO] remid=10 locid=1 saddr4=10.0.2.1 daddr4=10.0.2.2 backup=1")
	if err := s.SetFlags(d.now, token, addrPort("10.0.2.2:0"), addrPort("10.0.2.1:0"), pm.Backup); err != nil { // said again
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(0, "SF_PRIO] remid=10 locid=1 saddr4=10.0.2.1 daddr4=10.0.2.2 backup=1")
	if err := s.Announce(d.now, token, ep("10.0.2.2", "id 10", "signal")); err != nil { // likewise
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(0, "ANNOUNCED] remid=10 daddr4=10.0.2.2")
	d.counts(0, map[string]uint64{"AddAddr": 2, "EchoAddTx": 2, "MPJoinSynTx": 1})
	d.counts(1, map[string]uint64{"AddAddrTx": 2, "EchoAdd": 2})
	if err := s.Remove(d.now, token, 10); err != nil {
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(0, "REMOVED] remid=10", "SF_CLOSED] remid=10 locid=1 saddr4=10.0.2.1 daddr4=10.0.2.2 backup=1")
	said(1, "SF_CLOSED] remid=1 locid=10 saddr4=10.0.2.2 daddr4=10.0.2.1 backup=0") // what the peer asked for
	if err := s.CreateSubflow(d.now, token, ep("10.0.3.2", "id 23"), d.client.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(1, "SF_ESTABLISHED] remid=0 locid=23 saddr4=10.0.3.2 daddr4=10.0.1.1 backup=0")
	sf := d.server.subflows[len(d.server.subflows)-1]
	if err := s.DestroySubflow(d.now, token, sf.local, sf.remote); err != nil {
		t.Fatal(err)
	}
	d.wait(time.Second)
	said(1, "SF_CLOSED] remid=0 locid=23 saddr4=10.0.3.2 daddr4=10.0.1.1 backup=0")
	if err := s.CreateSubflow(d.now, token, ep("10.0.12.2", "id 24"), d.client.LocalAddr()); err != ErrAddrNotAvail {
		t.Errorf("from an address that is not ours: %v", err)
	}
	if list, err := s.Addrs(token); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if err := d.hosts[0].Remove(d.now, d.client.Token(), 0); err != pm.EINVAL {
		t.Errorf("a command for a connection of the in-kernel manager: %v", err)
	}
	d.counts(1, map[string]uint64{"RmSubflow": 1, "MPPrioTx": 2})
	d.client.Close()
	d.server.Close()
	d.wait(time.Second)
	said(1, "CLOSED]")
	l, err := s.Listen(nil, addrPort("10.0.2.2:9"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	said(1, "LISTENER_CREATED] saddr4=10.0.2.2", "LISTENER_CLOSED] saddr4=10.0.2.2")
}

// Break-before-make: a connection whose only path dies goes on by another one.
func TestSinglePathGoesOn(t *testing.T) {
	c := HostConfig{PathManager: "single-path", BringUp: 500 * time.Millisecond, Limits: pm.Limits{Subflows: 2},
		Endpoints: []pm.Endpoint{ep("10.0.1.1", "subflow"), ep("10.0.2.1", "subflow")}}
	for _, kind := range []string{"upload, silent", "download, silent", "download, link down"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 2, c, acceptor(Config{}), 1)
			for i := range 2 {
				w.link(i, func(p *pipe) { p.rate, p.queue = 1e6, 1e5 })
			}
			up, down := 8<<20, 0
			if kind != "upload, silent" {
				up, down = down, up
			}
			p := w.connect(up, down, "10.0.1.1:5000", "10.0.1.2:80")
			w.run(2*time.Second, func() bool { return false })
			if w.pipes[2].packets+w.pipes[3].packets != 0 {
				t.Error("the second path was used")
			}
			w.link(0, func(p *pipe) { p.dead = true })
			if kind == "download, link down" {
				l := w.hosts[0].links[0].Link
				l.Up = false
				if err := w.hosts[0].SetLink(w.now, machine.LinkID(0), l); err != nil {
					t.Fatal(err)
				}
			}
			died := w.now
			p.finish(time.Minute)
			if took := w.now.Sub(died); kind == "download, link down" && took > 9*time.Second || took > 16*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// HEU-05: both hosts want a subflow between the same two addresses, the client because it
// has the one, the server because it hears of it. With JoinDelay there is one: "it is
// RECOMMENDED that some element of randomization be applied to the time to wait before
// opening new subflows, so that only one subflow is created between a given address pair"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.9.2); without there are two.
func TestJoinDelay(t *testing.T) {
	subflows := func(delay time.Duration, seed byte) (n int, first time.Duration) {
		limits := pm.Limits{Subflows: 2, AddAddrAccepted: 2}
		client := HostConfig{JoinDelay: delay, Limits: limits, Endpoints: []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Signal | pm.Subflow}}}
		server := HostConfig{JoinDelay: delay, Limits: limits, Endpoints: []pm.Endpoint{{Addr: addr("10.0.1.2"), Flags: pm.Subflow | pm.Fullmesh}}}
		w := newWorld(t, 2, client, server, seed)
		if _, err := w.hosts[1].Listen(nil, addrPort("10.0.1.2:80")); err != nil {
			t.Fatal(err)
		}
		c, err := w.hosts[0].Dial(w.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("hello"), false)
		w.run(10*time.Second, func() bool {
			if len(c.subflows) > 1 && first == 0 {
				first = w.now.Sub(0)
			}
			return false
		})
		for _, sf := range c.subflows {
			if sf.isEstablished && sf.local.Addr() == addr("10.0.2.1") && sf.remote.Addr() == addr("10.0.1.2") {
				n++
			}
		}
		return n, first
	}
	one := 0
	firsts := map[time.Duration]bool{}
	for seed := byte(1); seed <= 20; seed++ {
		if n, _ := subflows(0, seed); n != 2 {
			t.Errorf("seed %d: %d subflows without a delay; the case tells nothing", seed, n)
		}
		n, first := subflows(time.Second, seed)
		firsts[first] = true
		switch n {
		case 1:
			one++
		case 2: // both drew the same within the time that a handshake takes
		default:
			t.Errorf("seed %d: %d subflows with a delay", seed, n)
		}
	}
	// The chance that two draws from a second are less than 30 ms apart is 6%.
	if one < 17 || len(firsts) < 15 {
		t.Errorf("one subflow in %d of 20 runs, begun at %d different times", one, len(firsts))
	}
}
