package mptcp

import (
	"slices"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/wire"
)

// putWindow sends a pure ACK with options o and a window field.
func (x *side) putWindow(window uint16, o wire.Options) {
	s := wire.Segment{Src: x.local, Dst: x.remote, Seq: x.seq, Ack: x.ack, Flags: wire.ACK, Window: window, Options: o}
	x.p.s.Input(x.p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	x.p.drain()
}

// ACK-03: "an implementation MUST NOT use the RCV.WND field of a TCP segment at the
// connection level if it does not also carry a DSS option with a Data ACK field"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
// LC-27: only a right edge that moves forward counts.
func TestPeerWindow(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	const first = 65535 // of the third ACK
	if c.send.edge != first {
		t.Fatalf("edge %d", c.send.edge)
	}
	x.putWindow(10, dataAck(key, 0))
	if c.send.edge != first {
		t.Errorf("the edge moved back to %d", c.send.edge)
	}
	c.Write([]byte("abc"), false)
	x.get()
	prio := wire.Options{Has: wire.HasMPPrio} // acknowledges by TCP alone
	x.putWindow(65535, prio)
	if c.send.edge != first || c.send.una != 0 {
		t.Errorf("without DATA_ACK: edge %d, acknowledged %d", c.send.edge, c.send.una)
	}
	x.putWindow(65535, dataAck(key, 3))
	if c.send.edge != 3+65535 || c.send.una != 3 {
		t.Errorf("with DATA_ACK: edge %d, acknowledged %d", c.send.edge, c.send.una)
	}
}

// BUF-03, SEM-04: the connection's window is the largest that a subflow heard of.
// BUF-04, LC-28: a subflow with a smaller one of its own gets no more than that:
// "The allowed window for subflow i is (ack_i, ack_i + rcv_wnd_i)"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.5).
func TestWindowsOfSubflows(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	x.putWindow(0, dataAck(key, 0)) // TCP believes no ACK that shrinks the window and says nothing else
	x.putWindow(2000, dataAck(key, 0))
	y.putWindow(60000, dataAck(key, 0))
	if c.send.edge != 65535 {
		t.Fatalf("edge %d", c.send.edge)
	}
	c.Write(make([]byte, 30_000), false)
	p.wait(150 * time.Millisecond)
	sent := map[string]int{}
	for len(p.out) > 0 {
		s := p.next()
		sent[s.Dst.String()] += len(s.Payload)
	}
	if n := sent[x.local.String()]; n == 0 || n > 2000 {
		t.Errorf("%d bytes through a window of 2000", n)
	}
	if n := sent[y.local.String()]; n < 5000 {
		t.Errorf("%d bytes through a window of 60000", n)
	}
	if p.counter("SndWndShared") == 0 {
		t.Error("SndWndShared not counted")
	}
}

// RcvWndShared: a subflow says the window that another one opened before.
func TestReceiveWindowShared(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	before := p.counter("RcvWndShared")
	x.put(wire.ACK, mapped(key, 0, 0, 0, 500), string(make([]byte, 500)))
	p.read(c)
	x.put(wire.ACK, mapped(key, 0, 500, 500, 500), string(make([]byte, 500)))
	p.read(c)
	x.put(wire.ACK, mapped(key, 0, 1000, 1000, 1), "c") // its ACK opens the window
	p.wait(100 * time.Millisecond)
	p.flush()
	if n := p.counter("RcvWndShared"); n != before {
		t.Fatalf("counted %d on the subflow that opened it", n-before)
	}
	y.put(wire.ACK, mapped(key, 0, 1001, 0, 1), "a")
	p.wait(100 * time.Millisecond)
	s := y.get()
	if s.Options.DSS.DataAck != wire.IDSN(peerKey).Add(1003) {
		t.Fatalf("%s", s.String())
	}
	if n := p.counter("RcvWndShared"); n != before+1 {
		t.Errorf("counted %d, want 1", n-before)
	}
}

// ACK-01: "If data is received with a 64-bit DSN, it MUST be acknowledged with a
// 64-bit Data ACK" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2); one of 32
// bits is by 32 bits.
func TestLengthOfDataAck(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, _, key := p.accepted(wire.CapSHA256)
	for i, long := range []bool{true, false, true} {
		o := mapped(key, 0, 3*i, 3*i, 3)
		o.DSS.DSN64 = long
		if !long {
			o.DSS.DSN = wire.DSN(uint32(o.DSS.DSN))
		}
		p.flush()
		x.put(wire.ACK|wire.PSH, o, "abc")
		p.wait(100 * time.Millisecond)
		d := x.get().Options.DSS
		want := wire.IDSN(peerKey).Add(1 + 3*(i+1))
		if !long {
			want = wire.DSN(uint32(want))
		}
		if d.Ack64 != long || d.DataAck != want {
			t.Errorf("64 bits %v: DATA_ACK %#x of 64 bits %v", long, uint64(d.DataAck), d.Ack64)
		}
	}
}

// ACK-06: a peer that sends a Data ACK only "when the Data ACK value advances": "this
// behavior MUST be treated as valid" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
func TestDataAckOnlyWhenItAdvances(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write([]byte("abc"), false)
	x.get()
	x.put(wire.ACK, dataAck(key, 3), "")
	for i := range 5 { // data with a mapping and no DATA_ACK, acknowledgments without any option
		o := mapped(key, 0, 2*i, 2*i, 2)
		o.DSS.HasAck = false
		x.put(wire.ACK, o, "xy")
		x.put(wire.ACK, wire.Options{}, "")
	}
	if got := p.read(c); got != "xyxyxyxyxy" || !c.Info(p.now).MPTCP || c.Err() != nil {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
	c.Write([]byte("def"), false)
	x.ack = c.subflows[0].tcp.ISS() + c.subflows[0].tcp.SndNxt()
	x.put(wire.ACK, wire.Options{}, "") // by TCP alone
	x.put(wire.ACK, dataAck(key, 6), "")
	if n := c.Info(p.now).BytesAcked; n != 6 {
		t.Errorf("%d bytes acknowledged", n)
	}
}

// ACK-05: "the Data ACK is present in segments only when the Data ACK value advances"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2), for who wants that: in data that
// goes out, not in answers to data, of which one may have been lost.
func TestDataAckOnAdvance(t *testing.T) {
	host := scriptHost
	host.Default.DataAckOnAdvance = true
	p := newPeer(t, host)
	x, c, key := p.accepted(wire.CapSHA256)
	write := func(text string, wanted bool) {
		t.Helper()
		c.Write([]byte(text), false)
		s := x.get()
		if d := s.Options.DSS; string(s.Payload) != text || !d.HasMap || d.HasAck != wanted {
			t.Errorf("wanted a Data ACK: %v; %s", wanted, s.String())
		}
	}
	write("aa", true) // the peer has not shown yet that options pass
	x.put(wire.ACK, dataAck(key, 2), "")
	write("bb", false)
	x.put(wire.ACK, mapped(key, 4, 0, 0, 3), "xyz")
	x.expectAck(3)
	write("cc", false) // that was said
	x.seq = x.seq.Add(-3)
	x.put(wire.ACK, mapped(key, 6, 0, 0, 3), "xyz")
	x.expectAck(3) // the peer repeats: it may have missed ours
	write("dd", false)
	s := wire.Segment{Src: x.local, Dst: x.remote, TTL: 64, Seq: x.seq, Ack: x.ack, Flags: wire.ACK, Window: 65535, Options: mapped(key, 8, 3, 3, 3), Payload: []byte("uvw")}
	p.s.Input(p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	c.Write([]byte("ee"), false)
	if s := x.get(); string(s.Payload) != "ee" || s.Options.DSS.DataAck != wire.IDSN(peerKey).Add(7) {
		t.Errorf("it advances: %s", s.String())
	}
	x.seq = x.seq.Add(3)
	if got := p.read(c); got != "xyzuvw" {
		t.Errorf("read %q", got)
	}
	p.flush()
	write("ff", true) // the window moves
	write("gg", false)
}

// Two such ends transfer in both directions over lossy paths, with fewer Data ACKs than
// segments; what goes one way has none at all, once the other end has shown that options
// pass.
func TestDataAckOnAdvanceTransfer(t *testing.T) {
	cfg := Config{DataAckOnAdvance: true}
	for _, v := range []struct{ up, down int }{{300_000, 300_000}, {500_000, 0}} {
		w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 5)
		var with, without [2]int
		for i, pipe := range w.pipes {
			pipe.loss = 1 << 32 / 50
			pipe.rate, pipe.queue = 1_000_000, 50_000
			pipe.filter = func(s *wire.Segment) bool {
				if len(s.Payload) > 0 && s.Options.DSS.HasMap {
					if s.Options.DSS.HasAck {
						with[i%2]++
					} else {
						without[i%2]++
					}
				}
				return true
			}
		}
		p := w.connect(v.up, v.down, "10.0.1.1:0", "10.0.1.2:80")
		p.finish(5 * time.Minute)
		if v.down == 0 && (with[0] > 40 || without[0] < 300) || without[0] == 0 {
			t.Errorf("up %d, down %d: data of the client with a Data ACK %d, without %d", v.up, v.down, with[0], without[0])
		}
		if v.down > 0 && without[1] == 0 {
			t.Errorf("data of the server: with a Data ACK %d, without %d", with[1], without[1])
		}
	}
}

// DSS-06, DSS-07: "an implementation SHOULD treat the first data that is received at a
// subflow for the data sequence space as the data that should be delivered to the
// application, and any later data for that sequence space SHOULD be ignored"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func TestFirstCopyCounts(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.put(wire.ACK, mapped(key, 0, 3, 0, 6), "DEFGHI")
	x.put(wire.ACK, mapped(key, 0, 0, 0, 12), "abcdefghijkl")
	if got := p.read(c); got != "abcDEFGHIjkl" {
		t.Errorf("read %q", got)
	}
}

// DSS-10: "if Urgent data is received on a subflow, it SHOULD be mapped to the data
// sequence space and delivered to the application"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func TestUrgentData(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	s := wire.Segment{Src: x.local, Dst: x.remote, Seq: x.seq, Ack: x.ack, Flags: wire.ACK | wire.URG, Urgent: 2, Window: 65535,
		Options: mapped(key, 0, 0, 0, 4), Payload: []byte("a!bc")}
	p.s.Input(p.now, machine.Meta{}, wire.AppendPacket(nil, &s))
	if got := p.read(c); got != "a!bc" {
		t.Errorf("read %q", got)
	}
}

// LC-45: data outside the connection's window is dropped and not DATA_ACKed. BUF-02:
// nor is data kept that is farther ahead in the subflow than the connection's window
// reaches: SSN - SUBFLOW_ACK never exceeds what DSN - DATA_ACK may be.
func TestOutsideWindow(t *testing.T) {
	host := scriptHost
	host.Default.RecvBuffer = 4000
	p := newPeer(t, host)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.put(wire.ACK, mapped(key, 0, 100_000, 0, 3), "far")
	x.put(wire.ACK, mapped(key, 0, 0, 0, 3), "abc")
	p.wait(100 * time.Millisecond)
	if got := p.read(c); got != "abc" || c.recv.ooo.Len() != 0 {
		t.Errorf("read %q, %d ranges wait", got, c.recv.ooo.Len())
	}
	for len(p.out) > 0 {
		if d := p.next().Options.DSS; d.HasAck && d.DataAck > wire.IDSN(peerKey).Add(4) {
			t.Errorf("DATA_ACK %d", d.DataAck)
		}
	}
	if p.counter("NoDSSInWindow") == 0 {
		t.Error("not counted")
	}
	held := c.subflows[0].rx.ring.End()
	x.putAt(3+50_000, mapped(key, 0, 3, 3+50_000, 3), "def") // near in the stream, far in the subflow
	if c.subflows[0].rx.ring.End() != held {
		t.Error("a byte far ahead in the subflow was kept")
	}
}

// A window of a few hundred bytes, two paths, losses, and data in both directions:
// nothing waits for ever on the other path's bytes.
func TestTinyBuffers(t *testing.T) {
	for _, size := range []int{300, 1500, 4000} {
		for seed := byte(1); seed <= 4; seed++ {
			cfg := Config{RecvBuffer: size, SendBuffer: size}
			w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), seed)
			for i := range 2 {
				w.link(i, func(p *pipe) {
					p.rate, p.queue, p.delay = 1_250_000, 60_000, time.Duration(2+8*i)*time.Millisecond
					p.loss = 1 << 27 // 3 %
				})
			}
			p := w.connect(60_000, 60_000, "10.0.1.1:0", "10.0.1.2:80")
			p.finish(10 * time.Minute)
		}
	}
}

// The peer shuts its window without anything under way, and its update gets lost: the
// connection's timer probes, which WinProbe counts, and the window opens.
func TestWindowProbed(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	acknowledge := func(window, acked int) { // on both
		for i, side := range []*side{x, y} {
			side.ack = c.subflows[i].tcp.ISS() + c.subflows[i].tcp.SndNxt()
			side.putWindow(uint16(window), dataAck(key, acked))
		}
	}
	c.Write(make([]byte, 100_000), false)
	for c.send.nxt < 65535 {
		p.wait(time.Second) // the last bytes of the window are no full segment
		p.flush()
		n := int(c.send.nxt)
		acknowledge(65535-n, n)
	}
	acknowledge(0, 65535)
	p.flush()
	p.wait(10 * time.Second)
	if p.counter("WinProbe") == 0 {
		t.Error("WinProbe not counted")
	}
	if len(p.out) == 0 {
		t.Fatal("no probe")
	}
	p.flush()
	x.putWindow(65535, dataAck(key, 65535))
	if len(p.out) == 0 || len(p.out[0].Payload) == 0 {
		t.Error("nothing is sent through the window that opened")
	}
	if c.deadline() == clock.Never {
		t.Error("no timer")
	}
}

// BUF-05: "The send buffer MUST, at a minimum, be as big as the receive buffer"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.5).
func TestDefaultBuffers(t *testing.T) {
	for _, cfg := range []Config{{}, {RecvBufferMax: 20 << 20}, {RecvBuffer: 30 << 20}} {
		c := newPeer(t, HostConfig{}).s.resolve(&cfg)
		if c.SendBufferMax < c.RecvBufferMax || c.SendBufferMax < c.RecvBuffer {
			t.Errorf("%d bytes to send, %d and %d to receive", c.SendBufferMax, c.RecvBuffer, c.RecvBufferMax)
		}
	}
}

// Who has read tells of the window that opens, at once and without being asked, if it
// was all but shut (RFC 9293, 3.8.6.2.2).
func TestReadTellsWindow(t *testing.T) {
	host := scriptHost
	host.Default.RecvBuffer = 20_000
	p := newPeer(t, host)
	x, c, key := p.accepted(wire.CapSHA256)
	for at := 0; at < 20_000; at += 1000 {
		x.put(wire.ACK, mapped(key, 0, at, at, 1000), string(make([]byte, 1000)))
	}
	p.wait(time.Second)
	p.flush()
	c.Discard(20_000)
	p.drain()
	if len(p.out) == 0 {
		t.Fatal("the window opened, and the peer was not told")
	}
	if s := &p.out[0]; s.Flags != wire.ACK || len(s.Payload) != 0 || s.Window == 0 {
		t.Errorf("told by %s", s.String())
	}
}

// Silly window avoidance where the window is the connection's: what is left of it goes
// out in whole segments, and as it is only when the connection's timer has expired (RFC
// 9293, 3.8.6.2.1). The last bytes of the stream are no crumb.
func TestNoCrumbs(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	mss := c.mss()
	sent := func() (sizes []int) {
		for p.drain(); len(p.out) > 0; {
			if s := p.next(); len(s.Payload) > 0 && s.Seq == x.ack { // else TCP repeats itself
				x.ack = s.Seq.Add(s.Len())
				sizes = append(sizes, len(s.Payload))
			}
		}
		return sizes
	}
	c.send.edge = uint64(2*mss + 40)
	c.Write(make([]byte, 4*mss), false)
	if got := sent(); !slices.Equal(got, []int{mss, mss}) {
		t.Errorf("window of two segments and 40 bytes: sent %v", got)
	}
	x.putWindow(uint16(mss+40), dataAck(key, mss)) // the edge stays
	if got := sent(); len(got) > 0 {
		t.Errorf("sent %v with a segment not DATA_ACKed", got)
	}
	x.putWindow(40, dataAck(key, 2*mss))
	if got := sent(); len(got) > 0 {
		t.Errorf("all DATA_ACKed, 40 bytes left: sent %v at once", got)
	}
	p.wait(2 * time.Second)
	if got := sent(); !slices.Equal(got, []int{40}) {
		t.Errorf("all DATA_ACKed, 40 bytes left: sent %v in the end", got)
	}
	if p.counter("WinProbe") != 0 {
		t.Error("a window that is not shut was probed")
	}
	x.putWindow(uint16(mss+60), dataAck(key, 2*mss+40)) // of mss+20 that follow the first whole one
	if got := sent(); !slices.Equal(got, []int{mss}) {
		t.Errorf("a segment and 60 bytes: sent %v", got)
	}
	x.putWindow(uint16(mss), dataAck(key, 3*mss+40))
	if got := sent(); !slices.Equal(got, []int{mss - 40}) {
		t.Errorf("the rest of the stream fits: sent %v", got)
	}
}
