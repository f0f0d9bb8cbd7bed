package mptcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/wire"
)

const (
	nonceA = 0x0a0b0c0d // the peer's
)

func joinSYN(token uint32, id uint8, backup bool) wire.Options {
	return wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYN, Token: token, AddrID: id, Nonce: nonceA, Backup: backup}}
}

func joinACK(key uint64, nonceB uint32) wire.Options {
	return wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinACK, HMAC: wire.JoinHMAC(peerKey, key, nonceA, nonceB)}}
}

// joined opens a second subflow from the peer.
func (p *peer) joined(c *Conn, key uint64, id uint8) *side {
	p.t.Helper()
	p.flush()
	y := p.side("10.0.2.2:6000", "10.0.1.1:80")
	y.put(wire.SYN, joinSYN(wire.Token(key), id, false), "")
	sa := y.get()
	j := sa.Options.MPJoin
	if sa.Options.Has&wire.HasMPJoin == 0 || j.Form != wire.JoinSYNACK {
		p.t.Fatalf("SYN/ACK: %s", sa.String())
	}
	mac := wire.JoinHMAC(key, peerKey, j.Nonce, nonceA)
	if binary.BigEndian.Uint64(j.HMAC[:8]) != binary.BigEndian.Uint64(mac[:8]) {
		p.t.Fatal("wrong HMAC in SYN/ACK")
	}
	y.put(wire.ACK, joinACK(key, j.Nonce), "")
	fourth := y.get()
	if fourth.Flags&wire.RST != 0 || fourth.Options.Has&wire.HasDSS == 0 {
		p.t.Fatalf("fourth ACK: %s", fourth.String())
	}
	return y
}

// JOI-03, JOI-04, JOI-12: accepted by token, on a port where nobody listens, and
// acknowledged a fourth time.
func TestJoinAccepted(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.put(wire.ACK, mapped(key, 0, 0, 0, 3), "one")
	x.put(wire.ACK, mapped(key, 0, 3, 0, 3), "two")
	if got := p.read(c); got != "onetwo" {
		t.Fatalf("read %q", got)
	}
	in := c.Info(p.now)
	if len(in.Subflows) != 2 || in.Subflows[1].RemoteID != 3 || !in.Subflows[1].Established {
		t.Fatalf("%+v", in.Subflows)
	}
	// The fourth ACK was lost: the third comes again, and is answered again.
	p.wait(time.Second)
	p.flush()
	z := *y
	y.put(wire.ACK, joinACK(key, c.subflows[1].localNonce), "")
	y.get()
	_ = z
	p.expectCounters(map[string]uint64{"MPJoinSynRx": 1, "MPJoinAckRx": 1, "MPJoinRejected": 0})
}

// JOI-07 to JOI-10: refusals are RSTs with MP_TCPRST.
func TestJoinRefused(t *testing.T) {
	expect := func(t *testing.T, s wire.Segment, reason wire.RstReason) {
		t.Helper()
		if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPTCPRst == 0 || s.Options.MPTCPRst.Reason != reason {
			t.Fatalf("no RST for reason %d: %s", reason, s.String())
		}
	}
	t.Run("unknown token", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		_, _, key := p.accepted(wire.CapSHA256)
		y := p.side("10.0.2.2:6000", "10.0.1.1:80")
		y.put(wire.SYN, joinSYN(wire.Token(key)+1, 3, false), "")
		expect(t, y.get(), wire.RstMPTCP)
		p.expectCounters(map[string]uint64{"MPJoinSynRx": 1, "MPJoinNoTokenFound": 1, "MPRstTx": 0})
	})
	t.Run("wrong HMAC", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		_, c, key := p.accepted(wire.CapSHA256)
		y := p.side("10.0.2.2:6000", "10.0.1.1:80")
		y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
		nonce := y.get().Options.MPJoin.Nonce
		y.put(wire.ACK, joinACK(key+1, nonce), "")
		expect(t, y.get(), wire.RstMPTCP)
		p.expectCounters(map[string]uint64{"MPJoinAckHMacFailure": 1, "MPJoinAckRx": 0})
		if c.Err() != nil {
			t.Error("the connection suffered")
		}
	})
	t.Run("third ACK without MP_JOIN", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		_, _, key := p.accepted(wire.CapSHA256)
		y := p.side("10.0.2.2:6000", "10.0.1.1:80")
		y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
		y.get()
		y.put(wire.ACK, wire.Options{}, "")
		expect(t, y.get(), wire.RstMPTCP)
		p.expectCounters(map[string]uint64{"MPJoinAckNoMPJoin": 1, "MPJoinSynAckNoMPJoin": 0})
	})
	t.Run("limit", func(t *testing.T) {
		p := newPeer(t, HostConfig{})
		_, _, key := p.accepted(wire.CapSHA256)
		y := p.side("10.0.2.2:6000", "10.0.1.1:80")
		y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
		nonce := y.get().Options.MPJoin.Nonce
		y.put(wire.ACK, joinACK(key, nonce), "")
		expect(t, y.get(), wire.RstProhibited)
		p.expectCounters(map[string]uint64{"MPJoinSynRx": 1, "MPJoinAckRx": 0, "MPJoinRejected": 1})
	})
}

// clientHost joins from its second address.
func clientHost() HostConfig {
	h := scriptHost
	h.Endpoints = []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Subflow, ID: 7}}
	return h
}

// joining is a client connection whose stack has sent the SYN of its join.
func (p *peer) joining() (x, y *side, c *Conn, key uint64, syn wire.Segment) {
	p.t.Helper()
	x, c, key = p.dialed(capable(wire.CapSHA256, peerKey))
	third := x.get()
	p.quiet() // CAP-10: no join before a DSS came
	x.ack = third.Seq
	x.put(wire.ACK, dataAck(key, 0), "")
	syn = p.next()
	if syn.Flags != wire.SYN || syn.Options.Has&wire.HasMPJoin == 0 {
		p.t.Fatalf("no join: %s", syn.String())
	}
	y = p.side("10.0.1.2:80", syn.Src.String())
	y.irs, y.ack = syn.Seq, syn.Seq.Add(1)
	return x, y, c, key, syn
}

func joinSYNACK(key uint64, nonceB uint32) wire.Options {
	o := wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYNACK, AddrID: 0, Nonce: nonceA}}
	mac := wire.JoinHMAC(peerKey, key, nonceA, nonceB)
	copy(o.MPJoin.HMAC[:8], mac[:8])
	return o
}

// JOI-05, LC-12: the third ACK is repeated until the fourth comes, and no data
// goes before.
func TestJoinActive(t *testing.T) {
	p := newPeer(t, clientHost())
	_, y, c, key, syn := p.joining()
	j := syn.Options.MPJoin
	if j.Token != wire.Token(peerKey) || j.AddrID != 7 || syn.Src.Addr() != addr("10.0.2.1") || syn.Dst != addrPort("10.0.1.2:80") {
		t.Fatalf("SYN: %s", syn.String())
	}
	y.put(wire.SYN|wire.ACK, joinSYNACK(key, j.Nonce), "")
	third := y.get()
	if m := third.Options.MPJoin; third.Options.Has&wire.HasMPJoin == 0 || m.Form != wire.JoinACK || m.HMAC != wire.JoinHMAC(key, peerKey, j.Nonce, nonceA) {
		t.Fatalf("third ACK: %s", third.String())
	}
	p.wait(2 * time.Second)
	again := y.get()
	if again.Options.MPJoin.Form != wire.JoinACK || len(again.Payload) > 0 {
		t.Fatalf("no repetition: %s", again.String())
	}
	if c.Info(p.now).Subflows[1].Established {
		t.Fatal("established before the fourth ACK")
	}
	y.ack = y.irs.Add(1)
	y.put(wire.ACK, dataAck(key, 0), "")
	if !c.Info(p.now).Subflows[1].Established {
		t.Fatal("not established by the fourth ACK")
	}
	p.flush()
	p.wait(10 * time.Second)
	p.quiet()
	p.expectCounters(map[string]uint64{"MPJoinSynTx": 1, "MPJoinSynAckRx": 1})
}

// What a monitor sees of a join, and when, is what "ip mptcp monitor" sees on Linux: who
// opened it shows SF_ESTABLISHED with the SYN/ACK, who took it with the third ACK; an
// address is announced with the port that a subflow would go to.
func TestJoinMonitored(t *testing.T) {
	p := newPeer(t, clientHost())
	var seen []pm.Event
	p.s.Monitor(func(_ clock.Instant, e pm.Event) { seen = append(seen, e) })
	see := func(want string) {
		t.Helper()
		var got []string
		for _, e := range seen {
			if e.Kind != pm.Created && e.Kind != pm.Established {
				_, text, _ := strings.Cut(e.String(), "] token=")
				got = append(got, text[9:])
			}
		}
		if seen = nil; strings.Join(got, "; ") != want {
			t.Errorf("monitored %q, want %q", got, want)
		}
	}
	x, y, _, key, syn := p.joining()
	see("")
	y.put(wire.SYN|wire.ACK, joinSYNACK(key, syn.Options.MPJoin.Nonce), "")
	see(fmt.Sprintf("remid=0 locid=7 saddr4=10.0.2.1 daddr4=10.0.1.2 sport=%d dport=80 backup=0", syn.Src.Port()))
	y.ack = y.irs.Add(1)
	y.put(wire.ACK, dataAck(key, 0), "")
	see("")
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "")
	see("remid=4 daddr4=10.0.2.2 dport=80")
	x.put(wire.ACK, addAddr(5, "10.0.2.3", 81, key), "")
	see("remid=5 daddr4=10.0.2.3 dport=81")

	q := newPeer(t, scriptHost)
	_, c, key := q.accepted(wire.CapSHA256)
	q.s.Monitor(func(_ clock.Instant, e pm.Event) { seen = append(seen, e) })
	q.joined(c, key, 3)
	if len(seen) != 1 || seen[0].Kind != pm.SubEstablished || seen[0].RemoteID != 3 {
		t.Errorf("monitored %v", seen)
	}
}

// JOI-08, JOI-11: a wrong SYN/ACK is answered by RST, the connection lives on.
func TestJoinActiveRefused(t *testing.T) {
	for name, wrong := range map[string]func(key uint64, nonce uint32) wire.Options{
		"no MP_JOIN": func(uint64, uint32) wire.Options { return wire.Options{} },
		"wrong HMAC": func(key uint64, nonce uint32) wire.Options { return joinSYNACK(key, nonce+1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, clientHost())
			x, y, c, key, syn := p.joining()
			y.put(wire.SYN|wire.ACK, wrong(key, syn.Options.MPJoin.Nonce), "")
			s := y.get()
			if s.Flags&wire.RST == 0 || s.Options.MPTCPRst.Reason != wire.RstMPTCP {
				t.Fatalf("no RST: %s", s.String())
			}
			x.put(wire.ACK, mapped(key, 0, 0, 0, 2), "ok")
			if p.read(c) != "ok" || c.Err() != nil {
				t.Fatal("the connection suffered")
			}
			p.expectCounters(map[string]uint64{"MPJoinSynTx": 1, "MPJoinSynAckRx": 0, "MPRstTx": 1})
		})
	}
}

// CAP-14: after C=1 no subflow to the initial address.
func TestDenyJoin(t *testing.T) {
	p := newPeer(t, clientHost())
	x, _, key := p.dialed(capable(wire.CapSHA256|wire.CapNoJoin, peerKey))
	x.get()
	x.put(wire.ACK, dataAck(key, 0), "")
	p.quiet()
}

func addAddr(id uint8, a string, port uint16, key uint64) wire.Options {
	return wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{ID: id, Addr: addr(a), Port: port,
		HMAC: wire.AddAddrHMAC(peerKey, key, id, addr(a), port)}}
}

// ADD-05, ADD-06, LC-33: a good ADD_ADDR is echoed and joined at the port in use,
// one with a wrong HMAC is ignored.
func TestAddAddrReceived(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, _, key := p.dialed(capable(wire.CapSHA256, peerKey))
	third := x.get()
	x.ack = third.Seq
	x.put(wire.ACK, dataAck(key, 0), "")
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key+1), "")
	p.quiet()
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "")
	var echo, syn *wire.Segment
	for range 2 {
		s := p.next()
		if s.Flags&wire.SYN != 0 {
			syn = &s
		} else {
			echo = &s
		}
	}
	if echo == nil || echo.Options.Has&wire.HasAddAddr == 0 || !echo.Options.AddAddr.Echo || echo.Options.AddAddr.ID != 4 {
		t.Fatalf("no echo: %v", echo)
	}
	if syn == nil || syn.Dst != addrPort("10.0.2.2:80") || syn.Options.Has&wire.HasMPJoin == 0 {
		t.Fatalf("no join: %v", syn)
	}
	x.put(wire.ACK, addAddr(4, "10.0.2.2", 0, key), "") // a repetition: echoed, not joined again
	if s := p.next(); !s.Options.AddAddr.Echo {
		t.Fatalf("no second echo: %s", s.String())
	}
	p.quiet()
	p.expectCounters(map[string]uint64{"AddAddr": 2, "EchoAddTx": 2, "AddAddrDrop": 0, "MPJoinSynTx": 1})
}

// An endpoint to signal is announced when the connection is established, three
// times more without echo, and not any more after it.
func TestAddAddrSent(t *testing.T) {
	h := scriptHost
	h.Endpoints = []pm.Endpoint{{Addr: addr("10.0.2.1"), Flags: pm.Signal, ID: 5}}
	for _, echoed := range []bool{false, true} {
		p := newPeer(t, h)
		x, _, key := p.accepted(wire.CapSHA256)
		s := p.next()
		a := s.Options.AddAddr
		if s.Options.Has&wire.HasAddAddr == 0 || a.ID != 5 || a.Addr != addr("10.0.2.1") || a.HMAC != wire.AddAddrHMAC(key, peerKey, 5, a.Addr, 0) {
			t.Fatalf("no ADD_ADDR: %s", s.String())
		}
		want := 3
		if echoed {
			want = 0
			x.put(wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{Echo: true, ID: 5, Addr: a.Addr}}, "")
		}
		p.wait(time.Minute)
		n := 0
		for len(p.out) > 0 {
			if s := p.next(); s.Options.Has&wire.HasAddAddr != 0 {
				n++
			}
		}
		if n != want {
			t.Errorf("echoed %v: repeated %d times, want %d", echoed, n, want)
		}
	}
}

// A deleted endpoint is withdrawn, its subflow closed.
func TestEndpointDeleted(t *testing.T) {
	p := newPeer(t, clientHost())
	x, y, c, key, syn := p.joining()
	y.put(wire.SYN|wire.ACK, joinSYNACK(key, syn.Options.MPJoin.Nonce), "")
	y.put(wire.ACK, dataAck(key, 0), "")
	p.flush()
	if err := p.s.DeleteEndpoint(p.now, 7); err != nil {
		t.Fatal(err)
	}
	var removed, fin bool
	for p.drain(); len(p.out) > 0; {
		s := p.next()
		if s.Options.Has&wire.HasRemoveAddr != 0 && s.Options.RemoveAddr.IDs[0] == 7 && s.Dst == x.local {
			removed = true
		}
		fin = fin || s.Flags&wire.FIN != 0 && s.Src == y.remote
	}
	if !removed || !fin {
		t.Errorf("REMOVE_ADDR %v, FIN %v", removed, fin)
	}
	if in := c.Info(p.now); !in.Subflows[1].Closed || in.Subflows[0].Closed {
		t.Errorf("%+v", in.Subflows)
	}
	p.expectCounters(map[string]uint64{"RmAddrTx": 1, "RmSubflow": 1})
}

// REMOVE_ADDR closes the subflows of the id.
func TestRemoveAddrReceived(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	o := dataAck(key, 0)
	o.Has |= wire.HasRemoveAddr
	o.RemoveAddr.Num, o.RemoveAddr.IDs[0], o.RemoveAddr.IDs[1] = 2, 3, 99
	x.put(wire.ACK, o, "")
	for _, fin := range []wire.Flags{0, wire.FIN} { // an ACK first, as Linux
		if s := y.get(); s.Flags&wire.FIN != fin {
			t.Fatalf("want FIN %v: %s", fin, s.String())
		}
	}
	p.expectCounters(map[string]uint64{"RmAddr": 2, "RmSubflow": 0})
	if in := c.Info(p.now); in.Subflows[1].CloseReason != "remove_addr" {
		t.Errorf("%+v", in.Subflows[1])
	}
}

// MP_PRIO both ways.
func TestPrio(t *testing.T) {
	p := newPeer(t, clientHost())
	_, y, c, key, syn := p.joining()
	y.put(wire.SYN|wire.ACK, joinSYNACK(key, syn.Options.MPJoin.Nonce), "")
	y.put(wire.ACK, dataAck(key, 0), "")
	p.flush()
	if err := p.s.ChangeEndpoint(p.now, 7, pm.Subflow|pm.Backup); err != nil {
		t.Fatal(err)
	}
	if s := y.get(); s.Options.Has&wire.HasMPPrio == 0 || !s.Options.MPPrio.Backup {
		t.Fatalf("no MP_PRIO: %s", s.String())
	}
	o := dataAck(key, 0)
	o.Has |= wire.HasMPPrio
	o.MPPrio.Backup = true
	y.put(wire.ACK, o, "")
	p.expectCounters(map[string]uint64{"MPPrioTx": 1, "MPPrioRx": 1})
	if !c.subflows[1].peerBackup {
		t.Error("the peer's request was not heard")
	}
	// PRI-01: no data on the backup while the other works.
	c.Write([]byte("data"), false)
	if s := p.next(); s.Src.Addr() != netip.MustParseAddr("10.0.1.1") {
		t.Errorf("data on the backup: %s", s.String())
	}
}

// FCL: MP_FASTCLOSE on an ACK and on a RST, with right and wrong key, and ours.
func TestFastClose(t *testing.T) {
	for _, flags := range []wire.Flags{wire.ACK, wire.RST | wire.ACK} {
		p := newPeer(t, scriptHost)
		x, c, key := p.accepted(wire.CapSHA256)
		y := p.joined(c, key, 3)
		if flags == wire.ACK {
			x.put(flags, wire.Options{Has: wire.HasFastClose, FastClose: key + 1}, "")
			if c.Done() {
				t.Fatal("a wrong key closes")
			}
		}
		x.put(flags, wire.Options{Has: wire.HasFastClose, FastClose: key}, "")
		if !c.Done() || c.Err() != ErrReset {
			t.Fatalf("done %v err %v", c.Done(), c.Err())
		}
		rst := map[netip.AddrPort]bool{}
		for p.drain(); len(p.out) > 0; {
			s := p.next()
			rst[s.Dst] = rst[s.Dst] || s.Flags&wire.RST != 0
		}
		if !rst[y.local] || rst[x.local] != (flags == wire.ACK) {
			t.Errorf("RST on %v", rst)
		}
		p.expectCounters(map[string]uint64{"MPFastcloseRx": 1, "MPCurrEstab": 0})
	}
	p := newPeer(t, scriptHost)
	_, c, key := p.accepted(wire.CapSHA256)
	p.joined(c, key, 3)
	c.Abort()
	for range 2 {
		s := p.next()
		const both = wire.HasFastClose | wire.HasMPTCPRst // as Linux
		if s.Flags&wire.RST == 0 || s.Options.Has&both != both || s.Options.FastClose != peerKey {
			t.Errorf("no fast close: %s", s.String())
		}
	}
	p.quiet()
	p.expectCounters(map[string]uint64{"MPFastcloseTx": 2, "MPRstTx": 2, "MPCurrEstab": 0})
}

// FBK-03, FBK-04: data on a joined subflow is acknowledged by a segment without
// options: the path is not MPTCP capable.
func TestJoinOptionsStripped(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	prio := dataAck(key, 0)
	prio.Has |= wire.HasMPPrio
	prio.MPPrio.Backup = true
	x.put(wire.ACK, prio, "")
	c.Write([]byte("data"), false)
	if s := y.get(); string(s.Payload) != "data" {
		t.Fatalf("no data on the joined subflow: %s", s.String())
	}
	y.put(wire.ACK, wire.Options{}, "")
	s := y.get()
	if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPTCPRst == 0 || s.Options.MPTCPRst.Reason != wire.RstMiddlebox {
		t.Fatalf("no RST: %s", s.String())
	}
	p.wait(time.Second)
	if s := x.get(); string(s.Payload) != "data" {
		t.Errorf("the data does not go to the other subflow: %s", s.String())
	}
}

// A FIN is no data: Linux acknowledges ours without options once it has forgotten
// the connection. A subflow that carried nothing is not reset for that.
func TestJoinFINAcknowledgedWithoutOptions(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	fin := dataAck(key, 0)
	fin.DSS.HasMap, fin.DSS.DSN64, fin.DSS.DSN, fin.DSS.DataLen, fin.DSS.DataFIN = true, true, wire.IDSN(peerKey)+1, 1, true
	x.put(wire.ACK, fin, "")
	c.Close()
	p.drain()
	x.put(wire.ACK, dataAck(key, 1), "") // of our DATA_FIN
	for s := p.next(); s.Dst != y.local || s.Flags&wire.FIN == 0; s = p.next() {
		if s.Flags&wire.RST != 0 {
			t.Fatalf("reset before the FIN: %s", s.String())
		}
	}
	y.ack = y.ack.Add(1)
	y.put(wire.ACK|wire.FIN, wire.Options{}, "")
	p.wait(time.Second)
	p.expectCounters(map[string]uint64{"MPRstTx": 0})
}

// An address that does not fit beside a DSS goes without; what the DSS would have
// said is said by the next ACK. One that never fits makes no noise.
func TestAddAddrIPv6(t *testing.T) {
	p := newPeer(t, scriptHost)
	ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	ts := func(o wire.Options, n uint32) wire.Options {
		o.Has |= wire.HasTimestamps
		o.TSVal = n
		return o
	}
	x.put(wire.SYN, ts(capable(wire.CapSHA256), 1), "")
	sa := x.get()
	key := sa.Options.MPCapable.SenderKey
	x.put(wire.ACK, ts(capable(wire.CapSHA256, peerKey, key), 2), "")
	c, ok := ln.Accept()
	if !ok {
		t.Fatal("nothing to accept")
	}
	p.flush()
	if _, err := p.s.AddEndpoint(p.now, pm.Endpoint{Addr: addr("fd00:2::1"), Flags: pm.Signal}); err != nil {
		t.Fatal(err)
	}
	x.put(wire.ACK, ts(mapped(key, 0, 0, 0, 3), 3), "abc")
	var announced, acked bool
	for len(p.out) > 0 {
		s := p.next()
		announced = announced || s.Options.Has&wire.HasAddAddr != 0
		acked = acked || s.Options.Has&wire.HasDSS != 0 && s.Options.DSS.DataAck == wire.IDSN(peerKey).Add(4)
	}
	if !announced || !acked {
		t.Errorf("ADD_ADDR %v, DATA_ACK %v", announced, acked)
	}
	if _, err := p.s.AddEndpoint(p.now, pm.Endpoint{Addr: addr("fd00:2::1"), Port: 99, Flags: pm.Signal}); err != nil {
		t.Fatal(err)
	}
	p.flush()
	c.CloseWrite()
	p.flush()
	if n := c.signals.waiting(); n {
		t.Error("what never fits waits for ever")
	}
}

// many is a connection of a host that announces seven addresses.
func many(t *testing.T) (p *peer, x *side, key uint64) {
	host := scriptHost
	for i := range 7 {
		host.Endpoints = append(host.Endpoints, pm.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, 9, byte(i)}), Flags: pm.Signal})
	}
	p = newPeer(t, host)
	x, _, key = p.accepted(wire.CapSHA256)
	return p, x, key
}

// announced takes what was sent and returns the ids of the ADD_ADDRs.
func (p *peer) announced() (ids []uint8) {
	for p.drain(); len(p.out) > 0; {
		if s := p.next(); s.Options.Has&wire.HasAddAddr != 0 {
			ids = append(ids, s.Options.AddAddr.ID)
		}
	}
	return ids
}

// Addresses are announced one at a time: the next one follows the echo, or the third
// repetition, after one, two and four times the timeout.
func TestOneAddressAtATime(t *testing.T) {
	p, x, key := many(t)
	expect := func(when string, want ...uint8) {
		t.Helper()
		if got := p.announced(); !slices.Equal(got, want) {
			t.Errorf("%s: announced %v, want %v", when, got, want)
		}
	}
	expect("established", 1)
	x.put(wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{Echo: true, ID: 1, Addr: addr("10.0.9.0")}}, "")
	expect("echoed", 2)
	rto := p.s.Conns()[0].subflows[0].tcp.RTO()
	for n, after := range []time.Duration{rto, 2 * rto, 4 * rto} {
		p.wait(after - time.Millisecond)
		expect("early")
		p.wait(time.Millisecond)
		if n < 2 {
			expect("repeated", 2)
			x.put(wire.ACK, dataAck(key, 0), "") // else GEN-02 holds it back
		}
	}
	expect("repeated three times", 2, 3)
	p.expectCounters(map[string]uint64{"AddAddrTx": 6, "EchoAdd": 1})
}

// GEN-02: no more than two ACKs in a row that only carry addresses, until the peer
// speaks or a retransmission timeout has passed.
func TestManyRemovals(t *testing.T) {
	p, x, key := many(t)
	for id := range uint8(7) {
		p.announced()
		x.put(wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{Echo: true, ID: id + 1, Addr: netip.AddrFrom4([4]byte{10, 0, 9, id})}}, "")
	}
	p.flush()
	removed := func() (ids []int) {
		for p.drain(); len(p.out) > 0; {
			if s := p.next(); s.Options.Has&wire.HasRemoveAddr != 0 {
				ids = append(ids, s.Options.RemoveAddr.Num)
			}
		}
		return ids
	}
	for id := range uint8(4) {
		if err := p.s.DeleteEndpoint(p.now, id+1); err != nil {
			t.Fatal(err)
		}
		p.drain()
	}
	if n := removed(); !slices.Equal(n, []int{1, 1}) {
		t.Errorf("%v in a row", n)
	}
	x.put(wire.ACK, dataAck(key, 0), "")
	if n := removed(); !slices.Equal(n, []int{2}) {
		t.Errorf("%v after the peer spoke", n)
	}
	for id := range uint8(3) {
		if err := p.s.DeleteEndpoint(p.now, id+5); err != nil {
			t.Fatal(err)
		}
		p.drain()
	}
	if n := removed(); !slices.Equal(n, []int{1}) {
		t.Errorf("%v more in a row", n)
	}
	p.wait(900 * time.Millisecond)
	if n := removed(); !slices.Equal(n, []int{2}) {
		t.Errorf("%v after a timeout", n)
	}
}

// FCL-01 to FCL-04: with FastCloseACK the peer's RST is awaited; MP_FASTCLOSE is
// repeated three times, a RTO apart, and ends as RST.
func TestFastCloseACK(t *testing.T) {
	host := scriptHost
	host.Default.FastCloseACK = true
	host.Default.TCP.RTOMin = time.Second
	begin := func() (p *peer, x *side, c *Conn, key uint64) {
		p = newPeer(t, host)
		x, c, key = p.accepted(wire.CapSHA256)
		y := p.joined(c, key, 3)
		c.Abort()
		if !c.Done() || c.Err() != ErrAborted {
			t.Errorf("done %v err %v", c.Done(), c.Err())
		}
		for range 2 {
			s := p.next()
			fc := s.Options.Has&wire.HasFastClose != 0
			if rst := s.Flags&wire.RST != 0; rst != (s.Dst == y.local) || rst == fc || fc && s.Options.FastClose != peerKey {
				t.Errorf("%s", s.String())
			}
		}
		p.quiet()
		return p, x, c, key
	}
	t.Run("answered", func(t *testing.T) {
		p, x, _, _ := begin()
		x.put(wire.ACK, wire.Options{}, "data that nobody reads")
		p.flush()
		x.put(wire.RST|wire.ACK, wire.Options{}, "")
		p.wait(time.Minute)
		p.quiet()
		if p.s.Deadline() != clock.Never {
			t.Error("something is still awaited")
		}
	})
	t.Run("crossing", func(t *testing.T) {
		p, x, _, key := begin()
		x.put(wire.ACK, wire.Options{Has: wire.HasFastClose, FastClose: key}, "")
		if s := x.get(); s.Flags&wire.RST == 0 {
			t.Errorf("no RST: %s", s.String())
		}
		p.wait(time.Minute)
		p.quiet()
	})
	t.Run("unanswered", func(t *testing.T) {
		p, x, _, _ := begin()
		for range 3 {
			p.wait(1001 * time.Millisecond)
			if s := x.get(); s.Flags != wire.ACK || s.Options.Has&wire.HasFastClose == 0 {
				t.Errorf("no MP_FASTCLOSE again: %s", s.String())
			}
			p.quiet()
		}
		p.wait(1001 * time.Millisecond)
		if s := x.get(); s.Flags&wire.RST == 0 || s.Options.Has&wire.HasFastClose == 0 {
			t.Errorf("no RST with MP_FASTCLOSE: %s", s.String())
		}
		p.wait(time.Minute)
		p.quiet()
		p.expectCounters(map[string]uint64{"MPFastcloseTx": 5})
	})
}

// The backup flag of the SYN/ACK of a join is the peer's wish (RFC 8684, 3.2).
func TestJoinSYNACKBackup(t *testing.T) {
	for _, backup := range []bool{false, true} {
		p := newPeer(t, clientHost())
		_, y, c, key, syn := p.joining()
		o := joinSYNACK(key, syn.Options.MPJoin.Nonce)
		o.MPJoin.Backup = backup
		y.put(wire.SYN|wire.ACK, o, "")
		if got := c.subflows[1].peerBackup; got != backup {
			t.Errorf("backup %v: the peer's wish is %v", backup, got)
		}
	}
}
