package mptcp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// side's TCP acknowledges all that subflow i of c has sent.
func (x *side) ackAll(c *Conn, i int) {
	sf := c.subflows[i]
	x.ack = sf.tcp.ISS() + sf.tcp.SndNxt()
}

// LC-29, SEM-01: bytes that a subflow acknowledged are not DATA_ACKed by that: "A timer
// is set when the head of the connection level is ACKed at the subflow level but is not
// DATA_ACKed at the data level. This timer will guard against retransmission failures
// by middleboxes that proactively ACK data."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.6).
func TestProactiveAck(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	c.Write([]byte("abc"), false)
	first := p.next()
	if string(first.Payload) != "abc" {
		t.Fatalf("%s", first.String())
	}
	from, other, i := x, y, 0
	if first.Dst == y.local {
		from, other, i = y, x, 1
	}
	from.ackAll(c, i)
	from.put(wire.ACK, dataAck(key, 0), "") // TCP has it, MPTCP has not
	if in := c.Info(p.now); in.BytesAcked != 0 || c.send.ring.Len() != 3 {
		t.Fatalf("%d bytes DATA_ACKed, %d in the buffer", in.BytesAcked, c.send.ring.Len())
	}
	p.wait(5 * time.Second)
	again := false
	for len(p.out) > 0 {
		s := p.next()
		again = again || s.Dst == other.local && string(s.Payload) == "abc" && s.Options.DSS.DSN == wire.IDSN(key).Add(1)
	}
	if !again {
		t.Error("the bytes were not sent on the other subflow")
	}
	if p.counter("MPTCPRetrans") == 0 {
		t.Error("not counted")
	}
}

// REL-03: with ResetLossCount a subflow on which nothing gets through is reset while another
// works: "A RST for this purpose SHOULD be accompanied by an "Unacceptable performance"
// MP_TCPRST option" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.6). The only one
// that works is never reset.
func TestResetForPerformance(t *testing.T) {
	host := scriptHost
	host.Default.ResetLossCount = 3
	p := newPeer(t, host)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	c.Write([]byte("abc"), false)
	first := p.next()
	silent, other, i := x, y, 1
	if first.Dst == y.local {
		silent, other, i = y, x, 0
	}
	reset := func() (s wire.Segment) {
		for p.drain(); len(p.out) > 0; {
			o := p.next()
			if o.Flags&wire.RST != 0 {
				if o.Dst != silent.local {
					t.Errorf("reset the subflow that works: %s", o.String())
				}
				s = o
			} else if o.Dst == other.local && len(o.Payload) > 0 {
				other.ackAll(c, i)
				other.put(wire.ACK, dataAck(key, 3), "")
			}
		}
		return s
	}
	rtos := 0
	for ; rtos < 2; rtos = c.byOrdinal(1 - i).rtos {
		if p.wait(10 * time.Millisecond); p.now > 1e10 {
			t.Fatal("no timeouts")
		}
		if s := reset(); s.Flags != 0 {
			t.Fatalf("reset after %d timeouts: %s", rtos, s.String())
		}
	}
	p.wait(2 * time.Second)
	s := reset()
	if s.Options.Has&wire.HasMPTCPRst == 0 || s.Options.MPTCPRst.Reason != wire.RstPerformance {
		t.Errorf("RST: %s", s.String())
	}
	c.Write([]byte("def"), false)
	p.wait(30 * time.Second) // it is silent now, too
	if len(c.subflows) != 1 || c.Err() != nil || c.subflows[0].rtos < 3 {
		t.Errorf("%d subflows, %v", len(c.subflows), c.Err())
	}
}

// The same with one subflow: the bytes are mapped again behind what it has sent.
func TestProactiveAckOnePath(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write([]byte("abc"), false)
	x.get()
	x.put(wire.ACK, dataAck(key, 0), "")
	p.wait(5 * time.Second)
	s := x.get()
	if d := s.Options.DSS; string(s.Payload) != "abc" || d.SSN != 4 || d.DSN != wire.IDSN(key).Add(1) {
		t.Errorf("%s", s.String())
	}
}

// FIN-02: "a host MUST NOT close all functioning subflows unless it is safe to do so"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3): no FIN before all data is DATA_ACKed and the DATA_FIN, too; then on all subflows
// (FIN-03), in the order DATA_FIN, DATA_ACK, FIN.
func TestNoFINBeforeDataAck(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	o := mapped(key, 0, 0, -1, 1) // the peer has ended
	o.DSS.DataFIN = true
	x.put(wire.ACK, o, "")
	c.Write([]byte("abc"), false)
	c.Close()
	fins := func() (n int) {
		for p.drain(); len(p.out) > 0; {
			if p.next().Flags&wire.FIN != 0 {
				n++
			}
		}
		return n
	}
	p.wait(time.Second)
	x.ackAll(c, 0)
	y.ackAll(c, 1)
	x.put(wire.ACK, dataAck(key, 0), "")
	y.put(wire.ACK, dataAck(key, 0), "")
	if n := fins(); n != 0 {
		t.Errorf("%d FINs before any DATA_ACK", n)
	}
	x.put(wire.ACK, dataAck(key, 3), "")
	p.wait(time.Second)
	if n := fins(); n != 0 {
		t.Errorf("%d FINs before the DATA_FIN was acknowledged", n)
	}
	x.ackAll(c, 0)
	y.ackAll(c, 1)
	x.put(wire.ACK, dataAck(key, 4), "")
	if n := fins(); n != 2 {
		t.Errorf("%d FINs at the end, want 2", n)
	}
}

// FIN-04: "Both hosts SHOULD send FINs on all subflows, as a courtesy, to allow
// middleboxes to clean up state even if an individual subflow has failed."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3): also where the path is silent.
func TestFINOnSilentSubflow(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	p := w.connect(200_000, 200_000, "10.0.1.1:0", "10.0.1.2:80")
	fins := 0
	w.pipes[2].filter = func(s *wire.Segment) bool { // client, second path: into the void
		if s.Flags&wire.FIN != 0 {
			fins++
		}
		return len(s.Payload) == 0 && s.Options.Has&wire.HasMPJoin != 0
	}
	p.finish(time.Minute)
	w.run(10*time.Second, func() bool { return false })
	if fins == 0 {
		t.Error("no FIN on the silent subflow")
	}
}

// The DATA_FIN gets lost with its path; it is repeated on every subflow, and so on the
// other one.
func TestDataFINOnAnotherSubflow(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	p := w.connect(100_000, 50_000, "10.0.1.1:0", "10.0.1.2:80")
	w.pipes[0].filter = func(s *wire.Segment) bool { // client, first path: dies with the DATA_FIN
		if s.Options.Has&wire.HasDSS != 0 && s.Options.DSS.DataFIN {
			w.pipes[0].dead = true
			return false
		}
		return true
	}
	p.finish(time.Minute)
	if !w.pipes[0].dead {
		t.Fatal("no DATA_FIN on the first path")
	}
}

// LC-56, appendix D: both sides end at once. The DATA_FINs cross, and each is
// acknowledged (M_CLOSING).
func TestSimultaneousDataFIN(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Close()
	s := x.get()
	if !s.Options.DSS.DataFIN {
		t.Fatalf("no DATA_FIN: %s", s.String())
	}
	o := mapped(key, 0, 0, -1, 1) // sent before ours came
	o.DSS.DataFIN = true
	x.put(wire.ACK, o, "")
	if d := x.get().Options.DSS; uint32(d.DataAck) != uint32(wire.IDSN(peerKey).Add(2)) || !d.DataFIN {
		t.Fatalf("not acknowledged, or ours not repeated: %+v", d)
	}
	if c.Done() {
		t.Fatal("done before our DATA_FIN is acknowledged")
	}
	x.put(wire.ACK, dataAck(key, 1), "")
	if s := x.get(); s.Flags&wire.FIN == 0 {
		t.Fatalf("no FIN: %s", s.String())
	}
	x.put(wire.FIN|wire.ACK, dataAck(key, 1), "")
	if !c.Done() || c.Err() != nil {
		t.Errorf("done %v, %v", c.Done(), c.Err())
	}
}

// FBK-11: the only subflow that is left carries data that is not contiguous, for there
// was another one: "the receiver MUST close the subflow with a RST with MP_FAIL".
// FBK-09: what failed is not DATA_ACKed.
func TestChecksumNotContiguous(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	p.joined(c, key, 3).put(wire.RST|wire.ACK, wire.Options{}, "")
	p.flush()
	x.put(wire.ACK, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "aXc")
	s := x.get()
	if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPFail == 0 || s.Options.MPFail != wire.IDSN(peerKey).Add(1) ||
		s.Options.MPTCPRst.Reason != wire.RstMiddlebox {
		t.Fatalf("no RST with MP_FAIL: %s", s.String())
	}
	if c.Done() || c.recv.nxt != 0 {
		t.Errorf("done %v, %d bytes taken", c.Done(), c.recv.nxt)
	}
	// What the peer sends again by a new subflow is taken.
	z := p.joined(c, key, 3)
	z.put(wire.ACK, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "abc")
	if got := p.read(c); got != "abc" {
		t.Errorf("read %q", got)
	}
}

// MP_FAIL on the RST of one of several subflows: its data goes over the others.
func TestFailOnReset(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	y := p.joined(c, key, 3)
	c.Write([]byte("abc"), false)
	first := p.next()
	from, other, i := x, y, 0
	if first.Dst == y.local {
		from, other, i = y, x, 1
	}
	from.ackAll(c, i)
	o := wire.Options{Has: wire.HasMPFail | wire.HasMPTCPRst, MPFail: wire.IDSN(key).Add(1), MPTCPRst: wire.MPTCPRst{Reason: wire.RstMiddlebox}}
	from.put(wire.RST|wire.ACK, o, "")
	s := p.next()
	if s.Dst != other.local || string(s.Payload) != "abc" || s.Options.DSS.DSN != wire.IDSN(key).Add(1) {
		t.Errorf("%s", s.String())
	}
	p.expectCounters(map[string]uint64{"MPFailRx": 1, "MPRstRx": 1, "MPFailTx": 0})
}

// Break-before-make: the only path goes, and another comes up a while later. Within
// CloseTimeout the transfer goes on by MP_JOIN, at the latest two round trips and
// 100 ms after the new interface is up; afterwards it has ended.
func TestBreakBeforeMake(t *testing.T) {
	for _, gap := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 59 * time.Second, 61 * time.Second} {
		t.Run(fmt.Sprint(gap), func(t *testing.T) {
			w := newWorld(t, 2, acceptor(Config{}), acceptor(Config{}), 1)
			w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
			w.link(1, func(p *pipe) { p.rate, p.queue, p.delay = 1_250_000, 100_000, 40*time.Millisecond })
			p := w.connect(500_000, 4_000_000, "10.0.1.1:0", "10.0.1.2:80")
			w.run(time.Second, func() bool { return false })
			broken := w.now
			for i, c := range []*Conn{p.client.c, p.server.c} { // both notice
				c.subflows[0].abort(wire.RstUnspecified, "link gone")
				w.hosts[i].touch(c)
			}
			w.link(0, func(p *pipe) { p.dead, p.flying = true, nil })
			w.run(gap, func() bool { return false })
			got := p.client.got
			if d := w.now.Sub(broken); d < gap {
				t.Fatalf("%v have passed", d)
			}
			if _, err := w.hosts[0].AddEndpoint(w.now, pm.Endpoint{Addr: addr("10.0.2.1"), Flags: pm.Subflow}); err != nil {
				t.Fatal(err)
			}
			w.mutated()
			if gap > time.Minute {
				if err := p.client.err; !errors.Is(err, ErrTimedOut) || !p.client.c.Done() || !p.server.c.Done() {
					t.Fatalf("client %v, done %v and %v", err, p.client.c.Done(), p.server.c.Done())
				}
				return
			}
			since := w.now
			if !w.run(5*time.Second, func() bool { return p.client.got > got }) {
				t.Fatalf("nothing arrived any more: %s", p.state())
			}
			if d, most := w.now.Sub(since), 2*80*time.Millisecond+100*time.Millisecond; d > most {
				t.Errorf("the first byte came %v after the path, want %v at most", d, most)
			}
			p.finish(2 * time.Minute)
			if l, r := p.client.c.LocalAddr().Addr(), p.client.c.RemoteAddr(); l != addr("10.0.1.1") || r != addrPort("10.0.1.2:80") {
				t.Errorf("LC-48: %v and %v are not the first subflow's", l, r)
			}
		})
	}
}

// The mechanisms of NSDI'12: the window is full behind a slow path, and a faster one
// sends the head again, once, and halves the slow one's window, once a round trip.
func TestOpportunisticRetransmission(t *testing.T) {
	host := scriptHost
	host.Default.OpportunisticRetransmission, host.Default.Penalization = true, true
	p := newPeer(t, host)
	x, c, key := p.accepted(wire.CapSHA256)
	c.send.edge = 4000
	slow := c.subflows[0].tcp.Flow()
	c.Write(bytes.Repeat([]byte{'s'}, 500), false) // on the only path there is
	if s := x.get(); len(s.Payload) != 500 {
		t.Fatalf("%s", s.String())
	}
	x.ack -= 500
	y := p.joined(c, key, 3)
	x.put(wire.ACK, wire.Options{Has: wire.HasMPPrio, MPPrio: wire.MPPrio{Backup: true}}, "") // and then it is not used
	slow.SRTT, slow.Cwnd = 10*c.subflows[1].tcp.Flow().SRTT, 8
	p.wait(time.Millisecond)
	c.Write(bytes.Repeat([]byte{'f'}, 8000), false)
	p.wait(10 * time.Millisecond)
	again, n := 0, 0
	for len(p.out) > 0 {
		s := p.next()
		n += len(s.Payload)
		if s.Dst == y.local && bytes.HasPrefix(s.Payload, []byte("s")) {
			again += len(s.Payload)
			if s.Options.DSS.DSN != wire.IDSN(key).Add(1) {
				t.Errorf("not the head: %s", s.String())
			}
		}
	}
	mss := c.subflows[1].tcp.MSS()
	if whole := 3500 / mss * mss; again != 500 || n != whole+500 {
		t.Errorf("the head was sent again with %d bytes, of %d, want 500 of %d", again, n, whole+500)
	}
	if slow.Cwnd != 4 || slow.SSThresh != 4 {
		t.Errorf("cwnd %d, ssthresh %d, want half of 8", slow.Cwnd, slow.SSThresh)
	}
}

// F-RTO (RFC 5682) on a subflow: after a timeout the first ACK that advances lets new data
// out in place of repairs (step 2.b), and if the next one is for data that was never
// repeated, the timeout was spurious (3.b): cwnd is as before.
func TestFRTO(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write(make([]byte, 20_000), false)
	var ends []wire.Seq
	for p.drain(); len(p.out) > 0; {
		s := p.next()
		ends = append(ends, s.Seq.Add(len(s.Payload)))
	}
	if len(ends) != 10 {
		t.Fatalf("%d segments", len(ends))
	}
	for p.wait(time.Millisecond); c.subflows[0].rtos == 0; p.wait(time.Millisecond) {
		p.flush() // a tail loss probe may come first
	}
	if s := x.get(); s.Seq != x.irs.Add(1) {
		t.Fatalf("no retransmission: %s", s.String())
	}
	p.flush()
	acked := 0
	ack := func(n int) {
		acked += ends[n-1].Sub(x.ack)
		x.ack = ends[n-1]
		x.put(wire.ACK, dataAck(key, x.ack.Sub(x.irs.Add(1))), "")
	}
	x.ack = x.irs.Add(1)
	last := ends[len(ends)-1]
	ack(2)
	fresh := 0
	for len(p.out) > 0 {
		s := p.next()
		if len(s.Payload) > 0 && s.Seq.Less(last) {
			t.Errorf("a repair before the next ACK: %s", s.String())
		}
		if len(s.Payload) > 0 {
			fresh++
		}
	}
	if fresh != 3 { // what cwnd allows: 1, and one for each segment acknowledged
		t.Errorf("%d new segments, want 3", fresh)
	}
	ack(3)
	if f := c.subflows[0].tcp.Flow(); f.State != cc.Open || f.Cwnd < 10 {
		t.Errorf("state %v, cwnd %d", f.State, f.Cwnd)
	}
	for len(p.out) > 0 {
		if s := p.next(); len(s.Payload) > 0 && s.Seq.Less(last) {
			t.Errorf("a repair of what was not lost: %s", s.String())
		}
	}
}

// Where the scheduler gives the subflow nothing new, because it is for backup and another
// works, repairs do not wait for it.
func TestFRTOWithoutNewData(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write(make([]byte, 1500), false)
	for p.drain(); len(p.out) > 0; {
		x.get()
	}
	sent := x.ack
	p.joined(c, key, 3)
	p.wait(150 * time.Millisecond)
	x.ack = x.irs.Add(1)
	x.put(wire.ACK, wire.Options{Has: wire.HasMPPrio, MPPrio: wire.MPPrio{Backup: true}}, "")
	c.Write(make([]byte, 20_000), false)
	p.drain()
	rtos := c.subflows[0].rtos
	for ; c.subflows[0].rtos == rtos; p.wait(time.Millisecond) {
		if p.now > 1e10 {
			t.Fatal("no timeout")
		}
	}
	p.flush()
	if n, _, _ := c.subflows[0].Unsent(); n == 0 || c.subflows[1].tcp.Room(p.now) > 0 {
		t.Fatalf("%d bytes wait, room for %d on the other", n, c.subflows[1].tcp.Room(p.now))
	}
	x.ack = x.irs.Add(1 + 508)
	x.put(wire.ACK, dataAck(key, 508), "")
	repaired := false
	for len(p.out) > 0 {
		s := p.next()
		if s.Dst == x.local && len(s.Payload) > 0 {
			repaired = repaired || s.Seq == x.ack
			if !s.Seq.Less(sent) {
				t.Errorf("new data on the backup: %s", s.String())
			}
		}
	}
	if !repaired {
		t.Error("no repair")
	}
}

// Probes of the path's MTU (RFC 4821) on a subflow: larger segments than the MSS, each with
// one mapping, raise it where the path lets them pass; where it drops them without a word,
// they cost a repair and no congestion, and the MSS stays below.
func TestMTUProbing(t *testing.T) {
	for _, v := range []struct {
		name    string
		limit   int // larger packets are dropped in silence
		checks  bool
		atLeast int
		atMost  int
	}{
		{"passes", 1500, false, 1480, 1500},
		{"passes, with checksums", 1500, true, 1480, 1500},
		{"1300", 1300, false, 1280, 1300},
	} {
		t.Run(v.name, func(t *testing.T) {
			cfg := Config{ChecksumEnabled: v.checks, TCP: tcp.Config{MTUProbing: tcp.MTUProbingAlways}}
			w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 4)
			largest, probes, dropped := 0, 0, 0
			for i, pipe := range w.pipes {
				pipe.rate, pipe.queue = 2_000_000, 1<<20
				pipe.filter = func(s *wire.Segment) bool {
					n := len(wire.AppendPacket(nil, s))
					if len(s.Payload) > 0 && i%2 == 0 && s.Options.DSS.HasMap && int(s.Options.DSS.DataLen) > largest {
						largest = int(s.Options.DSS.DataLen)
						probes++
					}
					if n > v.limit {
						dropped++
						return false
					}
					return true
				}
			}
			p := w.connect(3_000_000, 0, "10.0.1.1:0", "10.0.1.2:80")
			joined := w.run(time.Minute, func() bool {
				return len(p.client.c.subflows) == 2 && p.server != nil && p.server.got > 2_800_000
			})
			if !joined {
				t.Fatal(p.state())
			}
			for _, sf := range p.client.c.subflows {
				in := sf.tcp.Info(w.now)
				if size := in.SndMSS + dssReserve + 52; size < v.atLeast || size > v.atMost {
					t.Errorf("subflow %d: packets of %d bytes, want %d to %d", sf.id, size, v.atLeast, v.atMost)
				}
				if v.limit < 1500 && (in.TotalRTO > 0 || in.CAState != 0 && in.CAState != 1) {
					t.Errorf("subflow %d: %d timeouts, state %d", sf.id, in.TotalRTO, in.CAState)
				}
			}
			if dropped == 0 && v.limit < 1500 || probes < 3 {
				t.Errorf("%d probes grew, %d were dropped", probes, dropped)
			}
			p.finish(time.Minute)
		})
	}
}
