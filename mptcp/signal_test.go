package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

// GEN-03, ADD-01, REM-06: "standard TCP validity checks (such as ensuring that the
// sequence number and acknowledgment number are within the window) MUST be undertaken
// before processing any MPTCP signals"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3): segments outside the window, or that acknowledge what was
// not sent (RFC 5961), announce, remove, prioritise, close and acknowledge nothing.
func TestOptionsOutOfWindow(t *testing.T) {
	for name, options := range map[string]func(key uint64) wire.Options{
		"ADD_ADDR":    func(key uint64) wire.Options { return addAddr(9, "10.0.2.9", 0, key) },
		"REMOVE_ADDR": func(uint64) wire.Options { return removeAddr(3) },
		"MP_PRIO": func(uint64) wire.Options {
			return wire.Options{Has: wire.HasMPPrio, MPPrio: wire.MPPrio{Backup: true}}
		},
		"MP_FASTCLOSE": func(key uint64) wire.Options { return wire.Options{Has: wire.HasFastClose, FastClose: key} },
		"MP_FAIL": func(key uint64) wire.Options {
			return wire.Options{Has: wire.HasMPFail, MPFail: wire.IDSN(key).Add(1)}
		},
		"DSS": func(key uint64) wire.Options { return dataAck(key, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, scriptHost)
			x, c, key := p.accepted(wire.CapSHA256)
			p.joined(c, key, 3)
			c.Write([]byte("abc"), false)
			p.flush()
			for _, wrong := range []struct{ seq, ack wire.Seq }{
				{x.seq.Add(1 << 28), x.ack}, {x.seq.Add(-1 << 28), x.ack}, {x.seq, x.ack.Add(1 << 28)}, {x.seq, x.ack.Add(-1 << 28)},
			} {
				s := wire.Segment{Src: x.local, Dst: x.remote, Seq: wrong.seq, Ack: wrong.ack, Flags: wire.ACK, Window: 65535, Options: options(key)}
				p.s.Input(p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
				p.drain()
			}
			for len(p.out) > 0 {
				if s := p.next(); s.Flags&(wire.RST|wire.FIN|wire.SYN) != 0 || s.Options.Has&(wire.HasAddAddr|wire.HasMPFail) != 0 {
					t.Errorf("acted on it: %s", s.String())
				}
			}
			in := c.Info(p.now)
			if c.Done() || in.BytesAcked != 0 || len(in.Subflows) != 2 || in.Subflows[1].Closed || in.Subflows[0].Backup || !in.MPTCP {
				t.Errorf("%+v", in)
			}
			p.expectCounters(map[string]uint64{"AddAddr": 0, "RmAddr": 0, "MPPrioRx": 0, "MPFastcloseRx": 0, "MPFailRx": 0})
		})
	}
}

func removeAddr(ids ...uint8) wire.Options {
	o := wire.Options{Has: wire.HasRemoveAddr, RemoveAddr: wire.RemoveAddr{Num: len(ids)}}
	copy(o.RemoveAddr.IDs[:], ids)
	return o
}

// JOI-12: "Demultiplexing subflow SYNs MUST be done using the token": nobody listens at
// the port any more, or somebody else does, and the join is taken.
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func TestJoinByToken(t *testing.T) {
	p := newPeer(t, scriptHost)
	_, c, key := p.accepted(wire.CapSHA256)
	p.s.listeners[addrPort("10.0.1.1:80")].Close()
	p.joined(c, key, 3)
	if n := len(c.Info(p.now).Subflows); n != 2 {
		t.Errorf("%d subflows", n)
	}
}

// ADD-10, ADD-11, ADD-12: an id that was announced goes on to name its address: the same
// with another port is joined there, too; another address under the id is not, before
// the id was removed.
func TestAddressIDs(t *testing.T) {
	p := newPeer(t, HostConfig{Limits: pm.Limits{Subflows: 8, AddAddrAccepted: 8}})
	x, _, key := p.dialed(capable(wire.CapSHA256, peerKey))
	third := x.get()
	x.ack = third.Seq
	x.put(wire.ACK, dataAck(key, 0), "")
	syns := func() (to []string) {
		for p.drain(); len(p.out) > 0; {
			if s := p.next(); s.Flags&wire.SYN != 0 {
				to = append(to, s.Dst.String())
			}
		}
		return to
	}
	for _, step := range []struct {
		o    wire.Options
		want string
	}{
		{addAddr(4, "10.0.2.2", 0, key), "10.0.2.2:80"},
		{addAddr(4, "10.0.2.2", 0, key), ""},                  // again
		{addAddr(4, "10.0.2.2", 99, key), "10.0.2.2:99"},      // another port
		{addAddr(4, "10.0.1.9", 0, key), ""},                  // another address
		{removeAddr(4), ""},                                   //
		{addAddr(4, "10.0.1.9", 0, key), "10.0.1.9:80"},       // the id is free
		{addAddr(5, "192.168.7.7", 0, key), "192.168.7.7:80"}, // LC-34: a private address is tried
	} {
		x.put(wire.ACK, step.o, "")
		got := syns()
		if step.want == "" && len(got) != 0 || step.want != "" && (len(got) != 1 || got[0] != step.want) {
			t.Errorf("%+v: joined %v, want %s", step.o.AddAddr, got, step.want)
		}
	}
}

// RST-02, HEU-08, ADD-09: a join that was refused, and a subflow that was reset for
// good, are not tried again; ADD_ADDR of the address refreshes it.
func TestNoJoinAfterReset(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.dialed(capable(wire.CapSHA256, peerKey))
	third := x.get()
	x.ack = third.Seq
	x.put(wire.ACK, dataAck(key, 0), "")
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "")
	var syn wire.Segment
	for p.drain(); len(p.out) > 0; {
		if s := p.next(); s.Flags&wire.SYN != 0 {
			syn = s
		}
	}
	y := p.side(syn.Dst.String(), syn.Src.String())
	y.seq, y.ack = 0, syn.Seq.Add(1)
	y.put(wire.RST|wire.ACK, wire.Options{Has: wire.HasMPTCPRst, MPTCPRst: wire.MPTCPRst{Reason: wire.RstProhibited}}, "")
	p.wait(10 * time.Minute)
	for len(p.out) > 0 {
		if s := p.next(); s.Flags&wire.SYN != 0 {
			t.Fatalf("joins again: %s", s.String())
		}
	}
	if c.Done() {
		t.Error("the connection ended")
	}
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "") // as before: nothing new
	x.put(wire.ACK, removeAddr(4), "")
	p.flush()
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "")
	again := false
	for p.drain(); len(p.out) > 0; {
		again = again || p.next().Flags&wire.SYN != 0
	}
	if !again {
		t.Error("a refreshed address is not joined")
	}
}

// REM-01, REM-02: an address that was announced and goes is removed, also if no
// subflow ever used it.
func TestUnusedAddressRemoved(t *testing.T) {
	h := scriptHost
	h.Endpoints = []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Signal, ID: 5}}
	p := newPeer(t, h)
	x, _, _ := p.accepted(wire.CapSHA256)
	x.put(wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{Echo: true, ID: 5, Addr: addr("10.0.2.1")}}, "")
	p.flush()
	if err := p.s.DeleteEndpoint(p.now, 5); err != nil {
		t.Fatal(err)
	}
	s := x.get()
	if r := s.Options.RemoveAddr; s.Options.Has&wire.HasRemoveAddr == 0 || r.Num != 1 || r.IDs[0] != 5 {
		t.Errorf("no REMOVE_ADDR: %s", s.String())
	}
}

// HEU-03, HEU-04: "The local port for such SYNs SHOULD also be the same as the port for
// the first subflow" (https://www.rfc-editor.org/rfc/rfc8684#section-3.9.1), which no
// other connection to there has on any address; but not where the path manager says
// another, nor for a second subflow between the same addresses.
func TestPortOfJoin(t *testing.T) {
	p := newPeer(t, clientHost())
	x, y, c, key, syn := p.joining()
	if syn.Src.Port() != x.remote.Port() {
		t.Errorf("first from %v, joined from %v", x.remote, syn.Src)
	}
	y.put(wire.SYN|wire.ACK, joinSYNACK(key, syn.Options.MPJoin.Nonce), "")
	y.put(wire.ACK, dataAck(key, 0), "")
	p.flush()
	if err := p.s.DeleteEndpoint(p.now, 7); err != nil {
		t.Fatal(err)
	}
	p.flush()
	if _, err := p.s.AddEndpoint(p.now, pm.Endpoint{Addr: addr("10.0.2.1"), Flags: pm.Subflow, ID: 7}); err != nil {
		t.Fatal(err)
	}
	var again wire.Segment
	for p.drain(); len(p.out) > 0; {
		if s := p.next(); s.Flags&wire.SYN != 0 {
			again = s
		}
	}
	if again.Src.Addr() != addr("10.0.2.1") || again.Src.Port() == syn.Src.Port() {
		t.Errorf("joined again from %v", again.Src)
	}
	if p.s.portFree(c.laddr.Port(), c.raddr) {
		t.Error("the port of the first subflow is free on another address")
	}
}

// REM-03 to REM-05, REM-07, LC-36: with RemoveAddrKeepalive, REMOVE_ADDR asks the path
// whether it lives. If it answers it stays, and closing it is left to the peer; nothing
// new goes to the address. If it does not, it is reset.
func TestRemoveAddrKeepalive(t *testing.T) {
	host := scriptHost
	host.Default.RemoveAddrKeepalive = true
	host.Default.TCP.RTOMin = 200 * time.Millisecond
	for _, alive := range []bool{true, false} {
		p := newPeer(t, host)
		x, c, key := p.accepted(wire.CapSHA256)
		y := p.joined(c, key, 3)
		p.wait(time.Second)
		p.flush()
		x.put(wire.ACK, removeAddr(3), "")
		probe := y.get()
		if probe.Flags != wire.ACK || len(probe.Payload) != 0 || probe.Seq != c.subflows[1].tcp.ISS()+c.subflows[1].tcp.SndNxt()-1 {
			t.Fatalf("no keepalive: %s", probe.String())
		}
		if alive {
			p.wait(10 * time.Millisecond)
			y.ackAll(c, 1)
			y.put(wire.ACK, dataAck(key, 0), "")
		}
		p.wait(time.Minute)
		probes, rst := 1, false
		for len(p.out) > 0 {
			s := p.next()
			if s.Dst != y.local || s.Flags&(wire.FIN|wire.SYN) != 0 {
				t.Errorf("%s", s.String())
			}
			if s.Flags&wire.RST != 0 {
				rst = true
			} else {
				probes++
			}
		}
		if want := map[bool]int{true: 1, false: 3}[alive]; probes != want || rst == alive {
			t.Errorf("alive %v: %d probes, RST %v", alive, probes, rst)
		}
		in := c.Info(p.now)
		if closed := in.Subflows[1].Closed; closed == alive || c.Done() {
			t.Errorf("alive %v: closed %v, done %v", alive, closed, c.Done())
		}
		p.expectCounters(map[string]uint64{"RmAddr": 1})
	}
}

// LC-31: MP_PRIO changes the subflow that carries it and no other; LC-13, PRI-02: the
// flag B of a join binds who hears it.
func TestBackupOfOneSubflow(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	p.flush()
	y := p.side("10.0.2.2:6000", "10.0.1.1:80")
	y.put(wire.SYN, joinSYN(wire.Token(key), 3, true), "")
	nonce := y.get().Options.MPJoin.Nonce
	y.put(wire.ACK, joinACK(key, nonce), "")
	p.flush()
	send := func(want *side) {
		t.Helper()
		c.Write([]byte("data"), false)
		s := p.next()
		if s.Dst != want.local || len(s.Payload) == 0 {
			t.Fatalf("data to %v: %s", want.local, s.String())
		}
		x.ackAll(c, 0)
		y.ackAll(c, 1)
		want.put(wire.ACK, dataAck(key, int(c.send.nxt)), "")
		p.flush()
	}
	send(x)
	prio := func(s *side, backup bool) {
		s.put(wire.ACK, wire.Options{Has: wire.HasMPPrio, MPPrio: wire.MPPrio{Backup: backup}}, "")
	}
	prio(y, false)
	prio(x, true)
	send(y)
	if in := c.Info(p.now); !in.Subflows[0].Backup || in.Subflows[1].Backup {
		t.Errorf("%+v", in.Subflows)
	}
	prio(y, true) // both are backups: one of them is used
	send(x)
}

// MP_FAIL and MP_PRIO go out although a DATA_FIN with checksum, beside timestamps, leaves
// no room for them: it has an ACK of its own then.
func TestSignalsBesideDATAFIN(t *testing.T) {
	for name, want := range map[string]func(sf *subflow){
		"MP_FAIL": func(sf *subflow) { sf.fail.want() },
		"MP_PRIO": func(sf *subflow) { sf.prio.want() },
	} {
		host := acceptor(Config{ChecksumEnabled: true})
		w := newWorld(t, 1, host, host, 3)
		p := w.connect(1000, 1000, "10.0.1.1:0", "10.0.1.2:80")
		c := p.client.c
		if !w.run(time.Second, func() bool { return c.send.finSent }) {
			t.Fatal("no DATA_FIN")
		}
		fins, signals := 0, 0
		w.pipes[0].filter = func(s *wire.Segment) bool {
			if s.Options.Has&wire.HasDSS != 0 && s.Options.DSS.DataFIN {
				fins++
			}
			if s.Options.Has&(wire.HasMPFail|wire.HasMPPrio) != 0 {
				signals++
			}
			return true
		}
		want(c.subflows[0])
		c.subflows[0].ackOwed, c.again = true, true
		w.hosts[0].touch(c)
		w.mutated()
		if fins != 1 || signals != 1 {
			t.Errorf("%s: %d DATA_FINs, %d signals", name, fins, signals)
		}
	}
}
