package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// The trace says which timeout expired, also where RTOMax keeps it from doubling.
func TestTraceOfTimeout(t *testing.T) {
	cfg := Config{TCP: tcp.Config{RTOMax: 700 * time.Millisecond}}
	w := newWorld(t, 1, HostConfig{Default: cfg}, HostConfig{Default: cfg}, 1)
	rec := &recorder{}
	w.hosts[0].env.Trace = rec
	p := w.connect(10_000_000, 0, "10.0.1.1:0", "10.0.1.2:80")
	w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
	w.run(time.Second, func() bool { return false })
	w.link(0, func(p *pipe) { p.dead = true })
	w.run(5*time.Second, func() bool { return false })
	var before trace.Event
	n := 0
	for _, e := range rec.events {
		if e.Kind != trace.RTOExpired {
			continue
		}
		if n++; n > 1 {
			if got := e.At.Sub(before.At); got != time.Duration(e.A) {
				t.Errorf("timeout %d: %v expired %v after the one before", n, time.Duration(e.A), got)
			}
			if e.B != uint64(n) {
				t.Errorf("timeout %d has back-off %d", n, e.B)
			}
		}
		before = e
	}
	if n < 5 {
		t.Errorf("%d timeouts", n)
	}
	_ = p
}

// A path that has been silent for long has a long back-off. Who joins then gets
// what is stuck on it at once.
func TestJoinAfterSilence(t *testing.T) {
	w := newWorld(t, 2, acceptor(Config{}), acceptor(Config{}), 1)
	w.link(0, func(p *pipe) { p.rate, p.queue = 1_250_000, 200_000 })
	w.link(1, func(p *pipe) { p.rate, p.queue = 1_250_000, 200_000 })
	p := w.connect(0, 3_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(time.Second, func() bool { return false })
	w.link(0, func(p *pipe) { p.dead = true; p.flying = nil })
	w.run(20*time.Second, func() bool { return false })
	got := p.client.got
	if _, err := w.hosts[0].AddEndpoint(w.now, pm.Endpoint{Addr: addr("10.0.2.1"), Flags: pm.Subflow}); err != nil {
		t.Fatal(err)
	}
	w.mutated()
	since := w.now
	if !w.run(time.Minute, func() bool { return p.client.got > got }) {
		t.Fatal("nothing arrived any more")
	}
	if d := w.now.Sub(since); d > 100*time.Millisecond {
		t.Errorf("the first byte came %v after the join", d)
	}
	p.finish(time.Minute)
}

// The peer said on one path that its window is shut; that path dies, and the
// update gets lost on the other, where the last that was heard was an open
// window: the connection probes there.
func TestWindowUpdateLost(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	prio := dataAck(key, 0)
	prio.Has |= wire.HasMPPrio
	prio.MPPrio.Backup = true
	y.put(wire.ACK, prio, "")
	const window = 65535
	n, _ := c.Write(make([]byte, 80_000), false)
	if n != 80_000 {
		t.Fatalf("wrote %d", n)
	}
	iss := c.subflows[0].tcp.ISS()
	acked := 0
	for acked < window-1000 {
		p.flush()
		nxt := c.subflows[0].tcp.SndNxt()
		acked = int(nxt) - 1
		if acked >= window-1000 {
			acked = window // and the window is shut: silly window avoidance left a few bytes
		}
		s := wire.Segment{Src: x.local, Dst: x.remote, Seq: x.seq, Ack: iss + nxt, Flags: wire.ACK,
			Window: uint16(window - acked), Options: dataAck(key, int(nxt)-1)}
		p.s.Input(p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
		p.drain()
	}
	p.flush()
	p.wait(5 * time.Second)
	probes := 0
	for len(p.out) > 0 {
		if s := p.next(); s.Dst == y.local {
			probes++
		}
	}
	if probes == 0 || probes > 10 {
		t.Fatalf("%d segments on the other path", probes)
	}
	y.ack = c.subflows[1].tcp.ISS() + c.subflows[1].tcp.SndNxt()
	y.put(wire.ACK, dataAck(key, int(c.send.nxt)), "")
	p.drain()
	if len(p.out) == 0 || p.out[0].Dst != y.local || len(p.out[0].Payload) == 0 {
		t.Error("nothing is sent through the window that opened")
	}
}
