package mptcp

import (
	"io"
	"testing"
	"time"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// putAt sends data at subflow offset ssn (from 0), out of order if it must be.
func (x *side) putAt(ssn int, o wire.Options, payload string) {
	x.seq = peerISS + 1 + wire.Seq(ssn)
	x.put(wire.ACK, o, payload)
}

// DSS-14, DSS-16: 32-bit numbers are widened, in mapping and in DATA_ACK.
func TestShortNumbers(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	o := mapped(key, 0, 0, 0, 3)
	o.DSS.DSN64, o.DSS.DSN = false, wire.DSN(uint32(o.DSS.DSN))
	x.put(wire.ACK, o, "abc")
	if got := p.read(c); got != "abc" {
		t.Fatalf("read %q", got)
	}
	c.Write([]byte("hello"), false)
	p.flush()
	o = dataAck(key, 5)
	o.DSS.Ack64, o.DSS.DataAck = false, wire.DSN(uint32(o.DSS.DataAck))
	x.ack = c.subflows[0].tcp.ISS().Add(6)
	x.put(wire.ACK, o, "")
	if n := c.Info(p.now).BytesAcked; n != 5 {
		t.Fatalf("%d bytes DATA_ACKed, want 5", n)
	}
}

func TestExpand(t *testing.T) {
	for _, v := range []struct{ low, near, want wire.DSN }{
		{5, 0x1_0000_0000, 0x1_0000_0005},
		{0xffff_fff0, 0x1_0000_0000, 0xffff_fff0},
		{0x10, 0xffff_fff0, 0x1_0000_0010},
		{0x10, 0xffff_ffff_ffff_fff0, 0x10}, // the 64-bit space wraps, too
	} {
		if got := expand(v.low, false, v.near); got != v.want {
			t.Errorf("expand(%#x near %#x) = %#x, want %#x", v.low, v.near, got, v.want)
		}
	}
}

// LC-19: one mapping for several segments, repeated, in part, overlapping, and
// segments without DSS that a known mapping covers.
func TestMappingForms(t *testing.T) {
	const text = "abcdefghijklmnopqrst"
	for name, send := range map[string]func(x *side, key uint64){
		"one for all": func(x *side, key uint64) {
			x.putAt(0, mapped(key, 0, 0, 0, 20), text[:5])
			x.putAt(5, wire.Options{}, text[5:12])
			x.putAt(12, wire.Options{}, text[12:])
		},
		"repeated": func(x *side, key uint64) {
			for i := 0; i < 20; i += 5 {
				x.putAt(i, mapped(key, 0, 0, 0, 20), text[i:i+5])
			}
		},
		"overlapping": func(x *side, key uint64) {
			x.putAt(0, mapped(key, 0, 0, 0, 10), text[:5])
			x.putAt(5, mapped(key, 0, 4, 4, 16), text[5:])
		},
		"around a known one": func(x *side, key uint64) {
			x.putAt(8, mapped(key, 0, 8, 8, 4), text[8:12])
			x.putAt(0, mapped(key, 0, 0, 0, 20), text[:8])
			x.putAt(12, wire.Options{}, text[12:])
		},
		"out of order": func(x *side, key uint64) {
			x.putAt(10, mapped(key, 0, 10, 10, 10), text[10:])
			x.putAt(5, mapped(key, 0, 5, 5, 5), text[5:10])
			x.putAt(0, mapped(key, 0, 0, 0, 5), text[:5])
		},
		"duplicate": func(x *side, key uint64) {
			x.putAt(0, mapped(key, 0, 0, 0, 10), text[:10])
			x.putAt(0, mapped(key, 0, 0, 0, 10), text[:10])
			x.putAt(10, mapped(key, 0, 0, 10, 20), text) // the same stream bytes again, mapped anew
		},
		"second half remapped": func(x *side, key uint64) {
			x.putAt(0, mapped(key, 0, 10, 0, 10), text[10:])
			x.putAt(10, mapped(key, 0, 0, 10, 10), text[:10])
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, scriptHost)
			x, c, key := p.accepted(wire.CapSHA256)
			send(x, key)
			if got := p.read(c); got != text {
				t.Fatalf("read %q, want %q", got, text)
			}
			if c.Err() != nil || !c.Info(p.now).MPTCP {
				t.Fatalf("%v %+v", c.Err(), c.Info(p.now))
			}
		})
	}
}

// DSS-11: data before its mapping waits where there is no other subflow by which it
// could come.
func TestDataBeforeMapping(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	p.joined(c, key, 3).put(wire.RST|wire.ACK, wire.Options{}, "")
	x.putAt(0, wire.Options{}, "abc")
	if got := p.read(c); got != "" {
		t.Fatalf("read %q without mapping", got)
	}
	if una := c.subflows[0].tcp.RcvNxt(); una != 4 {
		t.Errorf("not acknowledged at subflow level: %d", una)
	}
	x.putAt(3, mapped(key, 0, 0, 0, 6), "def")
	if got := p.read(c); got != "abcdef" {
		t.Fatalf("read %q", got)
	}
}

// DSS-12, FBK-06, FBK-07: no mapping within a window of data breaks the subflow.
func TestMappingNeverComes(t *testing.T) {
	h := scriptHost
	h.Default.RecvBuffer = 20000
	p := newPeer(t, h)
	x, c, key := p.accepted(wire.CapSHA256)
	p.joined(c, key, 3).put(wire.RST|wire.ACK, wire.Options{}, "")
	p.flush()
	rst := false
	for i := 0; i < 20 && !rst; i++ {
		x.putAt(1000*i, wire.Options{}, string(make([]byte, 1000)))
		for len(p.out) > 0 {
			s := p.next()
			rst = rst || s.Flags&wire.RST != 0 && s.Options.MPTCPRst.Reason == wire.RstMiddlebox
		}
	}
	if !rst {
		t.Fatal("the subflow was not reset")
	}
	if c.Done() || c.recv.nxt != 0 {
		t.Error("unmapped data was taken, or the connection ended")
	}
	p.expectCounters(map[string]uint64{"DssReset": 1})
}

// FBK-06: where another subflow works, one that lost its options is reset at once,
// as by Linux, and the connection goes on.
func TestMappingLostBesideAnother(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.put(wire.ACK, wire.Options{}, "abc")
	if s := y.get(); s.Flags&wire.RST == 0 || s.Options.MPTCPRst.Reason != wire.RstMiddlebox || s.Options.MPTCPRst.Transient {
		t.Fatalf("no RST: %s", s.String())
	}
	x.put(wire.ACK, mapped(key, 0, 0, 0, 3), "abc")
	if got := p.read(c); got != "abc" {
		t.Errorf("read %q", got)
	}
	p.expectCounters(map[string]uint64{"DssReset": 1, "NoDSSInWindow": 0})
}

// DSS-18: a mapping of bytes that the segment does not hold: on the only subflow the
// stream goes on as TCP, beside others the subflow is reset.
func TestMappingOfOtherBytes(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	x.putAt(0, mapped(key, 0, 3, 3, 3), "abc")
	if got := p.read(c); got != "abc" || !c.Info(p.now).Fallback {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
	p.expectCounters(map[string]uint64{"DSSNoMatchTCP": 1, "DssFallback": 1, "DssReset": 0})

	p = newPeer(t, scriptHost)
	_, c, key = p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.putAt(0, mapped(key, 0, 3, 3, 3), "abc")
	if s := y.get(); s.Flags&wire.RST == 0 || s.Options.MPTCPRst.Reason != wire.RstMPTCP {
		t.Errorf("no RST: %s", s.String())
	}
	p.expectCounters(map[string]uint64{"DSSNoMatchTCP": 1, "DssFallback": 0, "DssReset": 1})
}

// A middlebox made one segment of two and kept the options of the second: on the
// only subflow the stream goes on as TCP.
func TestMappingOfSecondHalf(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	x.putAt(0, mapped(key, 0, 3, 3, 3), "abcdef")
	if got := p.read(c); got != "abcdef" || !c.Info(p.now).Fallback {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
}

// OFO counters, as the kernel's queue counts: each arrival that waits, those behind
// all others, those that continue what waits.
func TestOutOfOrderCounters(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	y := p.joined(c, key, 3)
	y.putAt(0, mapped(key, 0, 10, 0, 2), "kl") // first
	y.putAt(2, mapped(key, 0, 12, 2, 2), "mn") // continues: tail and merge
	y.putAt(4, mapped(key, 0, 20, 4, 2), "uv") // behind a gap: tail
	y.putAt(6, mapped(key, 0, 14, 6, 2), "op") // continues the first range
	y.putAt(8, mapped(key, 0, 12, 8, 2), "mn") // again
	p.expectCounters(map[string]uint64{"OFOQueue": 5, "OFOQueueTail": 2, "OFOMerge": 2, "DuplicateData": 1})
	x.put(wire.ACK, mapped(key, 0, 0, 0, 10), "abcdefghij")
	if got := p.read(c); got != "abcdefghijklmnop" {
		t.Errorf("read %q", got)
	}
	p.expectCounters(map[string]uint64{"OFOQueue": 5})
}

// The peer strips DSS from the first data on: the connection is a byte stream.
func TestDataWithoutMapping(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, _ := p.accepted(wire.CapSHA256)
	x.putAt(0, wire.Options{}, "abc")
	x.putAt(3, wire.Options{}, "def")
	if got := p.read(c); got != "abcdef" {
		t.Fatalf("read %q", got)
	}
	if in := c.Info(p.now); in.FallbackReason != "data without mapping" {
		t.Errorf("%+v", in)
	}
	p.expectCounters(map[string]uint64{"DssFallback": 1})
}

// DSS-05: a mapping that contradicts an earlier one resets the subflow.
func TestMappingChanged(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, _, key := p.accepted(wire.CapSHA256)
	x.putAt(0, mapped(key, 0, 0, 0, 10), "abc")
	p.flush()
	x.putAt(3, mapped(key, 0, 5, 0, 10), "def")
	if s := p.next(); s.Flags&wire.RST == 0 || s.Options.MPTCPRst.Reason != wire.RstMPTCP {
		t.Fatalf("no RST: %s", s.String())
	}
	p.expectCounters(map[string]uint64{"DSSNotMatching": 1})
}

// FIN-01 and appendix D: the peer closes first, with a DATA_FIN of its own, then
// we; subflows follow.
func TestCloseByPeer(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	x.put(wire.ACK, mapped(key, 0, 0, 0, 3), "bye")
	o := mapped(key, 0, 3, -1, 1)
	o.DSS.DataFIN = true
	x.put(wire.ACK, o, "")
	p.read(c)
	p.flush()
	x.put(wire.ACK, o, "") // again: acknowledged again
	x.expectAck(4)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("%v, want EOF", err)
	}
	c.CloseWrite()
	s := x.expectAck(4)
	if d := s.Options.DSS; !d.DataFIN || d.SSN != 0 || d.DataLen != 1 || d.DSN != wire.IDSN(key).Add(1) {
		t.Fatalf("no DATA_FIN: %s", s.String())
	}
	// The DATA_FIN is repeated until it is acknowledged.
	p.wait(5 * time.Second)
	if s := x.expectAck(4); !s.Options.DSS.DataFIN || s.Flags&wire.FIN != 0 {
		t.Fatalf("no repetition: %s", s.String())
	}
	p.flush()
	x.put(wire.ACK, dataAck(key, 1), "")
	fin := x.get()
	if fin.Flags&wire.FIN == 0 {
		t.Fatalf("no FIN: %s", fin.String())
	}
	x.put(wire.FIN|wire.ACK, dataAck(key, 1), "")
	if !c.Done() || c.Err() != nil {
		t.Fatalf("done %v err %v", c.Done(), c.Err())
	}
	p.expectCounters(map[string]uint64{"MPCurrEstab": 0})
}

// LC-22: DATA_FIN behind the data of a mapping.
func TestDataFINWithData(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	o := mapped(key, 0, 0, 0, 4)
	o.DSS.DataFIN = true
	x.put(wire.ACK, o, "end")
	if got := p.read(c); got != "end" {
		t.Fatalf("read %q", got)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("%v, want EOF", err)
	}
	c.Write([]byte("x"), false)
	c.CloseWrite()
	found := false
	for p.drain(); len(p.out) > 0; {
		s := p.next()
		d := s.Options.DSS
		found = found || d.DataFIN && d.DataLen == 2 && string(s.Payload) == "x" && d.DataAck == wire.IDSN(peerKey).Add(5)
	}
	if !found {
		t.Error("DATA_FIN does not ride on the last byte")
	}
}

// withChecksum is mapped with the sum of data.
func withChecksum(o wire.Options, data string) wire.Options {
	var sum wire.PayloadSum
	sum.Add([]byte(data))
	d := &o.DSS
	d.HasChecksum, d.Checksum = true, wire.DSSChecksum(d.DSN, d.SSN, d.DataLen, sum.Sum())
	return o
}

// DSS-02, DSS-03, LC-18, LC-42, LC-43: sums are checked over whole mappings; a
// wrong one answers MP_FAIL, and with a second subflow RST.
func TestChecksum(t *testing.T) {
	t.Run("right, in pieces", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
		o := withChecksum(mapped(key, 0, 0, 0, 9), "abcdefghi")
		x.putAt(0, o, "abc")
		if got := p.read(c); got != "" {
			t.Fatalf("read %q before the sum was checked", got)
		}
		x.putAt(6, o, "ghi")
		x.putAt(3, o, "def")
		if got := p.read(c); got != "abcdefghi" {
			t.Fatalf("read %q", got)
		}
	})
	t.Run("absent", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		x, _, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
		x.put(wire.ACK, mapped(key, 0, 0, 0, 3), "abc")
		if s := p.next(); s.Flags&wire.RST == 0 || s.Options.MPTCPRst.Reason != wire.RstMPTCP {
			t.Fatalf("no RST: %s", s.String())
		}
	})
	t.Run("not agreed", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		x, _, key := p.accepted(wire.CapSHA256)
		x.put(wire.ACK, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "abc")
		if s := p.next(); s.Flags&wire.RST == 0 {
			t.Fatalf("no RST: %s", s.String())
		}
	})
	t.Run("wrong, one subflow", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
		x.putAt(0, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "abc")
		p.read(c)
		p.flush()
		x.putAt(3, withChecksum(mapped(key, 0, 3, 3, 3), "def"), "dXf")
		x.putAt(6, withChecksum(mapped(key, 0, 6, 6, 3), "ghi"), "ghi")
		if got := p.read(c); got != "" {
			t.Fatalf("read %q", got)
		}
		failed := false
		for p.drain(); len(p.out) > 0; {
			s := p.next()
			failed = failed || s.Options.Has&wire.HasMPFail != 0 && s.Options.MPFail == wire.IDSN(peerKey).Add(4)
		}
		if !failed {
			t.Fatal("no MP_FAIL")
		}
		// The peer begins anew from there, with an infinite mapping.
		inf := mapped(key, 0, 3, 9, 0)
		inf.DSS.HasChecksum = true
		x.putAt(9, inf, "def")
		x.putAt(12, wire.Options{}, "ghi")
		if got := p.read(c); got != "defghi" {
			t.Fatalf("read %q", got)
		}
		p.flush() // FBK-14: "The receiver SHOULD stop generating Data ACKs"
		x.putAt(15, wire.Options{}, "jkl")
		p.wait(100 * time.Millisecond)
		if ack := x.get(); ack.Options.Has&wire.HasMPTCP != 0 || p.read(c) != "jkl" {
			t.Errorf("after the infinite mapping: %s", ack.String())
		}
		if in := c.Info(p.now); !in.Fallback {
			t.Errorf("%+v", in)
		}
		p.expectCounters(map[string]uint64{"DataCsumErr": 1, "MPFailTx": 1, "InfiniteMapRx": 1, "DssFallback": 1})
	})
	t.Run("wrong, two subflows", func(t *testing.T) {
		p := newPeer(t, scriptHost)
		x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
		p.joined(c, key, 3)
		p.flush()
		x.putAt(0, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "aXc")
		s := p.next()
		if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPFail == 0 || s.Options.MPFail != wire.IDSN(peerKey).Add(1) {
			t.Fatalf("no RST with MP_FAIL: %s", s.String())
		}
		if c.Err() != nil {
			t.Error("the connection suffered")
		}
	})
}

// MP_FAIL rides on an ACK, which may get lost: it is repeated, and if the infinite
// mapping does not come the subflow is reset. Nothing is DATA_ACKed meanwhile, and what
// the peer has taken without a DATA_ACK is not sent again: to a byte stream it were new.
func TestFailRepeated(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	p.flush()
	if _, err := c.Write([]byte("taken"), false); err != nil {
		t.Fatal(err)
	}
	first := x.get()
	x.putAt(0, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "aXc")
	x.putAt(3, withChecksum(mapped(key, 0, 3, 3, 3), "def"), "def")
	p.wait(time.Minute)
	fails, rst := 0, false
	for len(p.out) > 0 {
		s := p.next()
		if len(s.Payload) > 0 && s.Seq != first.Seq {
			t.Errorf("sent again: %s", s.String())
		}
		if s.Options.Has&wire.HasMPFail != 0 && s.Flags&wire.RST == 0 {
			fails++
		}
		if s.Options.Has&wire.HasDSS != 0 && s.Options.DSS.DataAck != wire.IDSN(peerKey).Add(1) {
			t.Errorf("DATA_ACK for data that failed: %s", s.String())
		}
		rst = rst || s.Flags&wire.RST != 0 && s.Options.MPTCPRst.Reason == wire.RstMiddlebox
	}
	if fails != 4 || !rst {
		t.Errorf("%d MP_FAIL, RST %v", fails, rst)
	}
	if got := p.read(c); got != "" {
		t.Errorf("read %q", got)
	}
}

// FBK-08, FBK-10: the peer found a sum wrong: we answer MP_FAIL and begin anew
// with an infinite mapping, then without options.
func TestFailReceived(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	c.Write([]byte("abcdef"), false)
	p.flush()
	o := dataAck(key, 3)
	o.Has |= wire.HasMPFail
	o.MPFail = wire.IDSN(key).Add(4)
	x.ack = c.subflows[0].tcp.ISS().Add(7)
	x.put(wire.ACK, o, "")
	var fail, infinite bool
	for p.drain(); len(p.out) > 0; {
		s := p.next()
		fail = fail || s.Options.Has&wire.HasMPFail != 0
		if d := s.Options.DSS; d.HasMap {
			infinite = d.DataLen == 0 && d.DSN == wire.IDSN(key).Add(4) && d.SSN == 7 && string(s.Payload) == "def"
		}
	}
	if !fail || !infinite {
		t.Errorf("MP_FAIL %v, infinite mapping %v", fail, infinite)
	}
	p.expectCounters(map[string]uint64{"MPFailRx": 1, "InfiniteMapTx": 1})
}

// A subflow that is reset in mid-transfer: its bytes go over the other.
func TestSubflowKilled(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 3)
	w.link(0, func(p *pipe) { p.rate, p.queue = 2_500_000, 100_000 })
	w.link(1, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
	p := w.connect(100_000, 5_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(time.Second, func() bool { return false })
	p.server.c.subflows[0].abort(wire.RstPerformance, "test")
	w.hosts[1].touch(p.server.c)
	p.finish(time.Minute)
	in := p.client.c.Info(w.now)
	if !in.Subflows[0].Closed || in.Subflows[0].CloseReason != "rst" {
		t.Errorf("%+v", in.Subflows[0])
	}
	if n := w.hosts[0].counters.MPTcpExtMPRstRx; n != 1 {
		t.Errorf("MPRstRx = %d", n)
	}
}

// A link goes down for good: the subflow times out, the connection goes on.
func TestLinkDown(t *testing.T) {
	cfg := Config{TCP: tcp.Config{Retries2: 3}}
	w := newWorld(t, 2, twoPaths(cfg), acceptor(cfg), 4)
	w.link(0, func(p *pipe) { p.rate, p.queue = 2_500_000, 100_000 })
	w.link(1, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
	p := w.connect(100_000, 15_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(time.Second, func() bool { return false })
	down := hostLinks(1, 1)[0]
	down.Up = false
	if err := w.hosts[0].SetLink(w.now, 0, down); err != nil {
		t.Fatal(err)
	}
	p.finish(time.Minute)
	if in := p.server.c.Info(w.now); in.Subflows[0].CloseReason != "timeout" {
		t.Errorf("%+v", in.Subflows[0])
	}
}

// All subflows die: the connection ends after CloseTimeout.
func TestCloseTimeout(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, _ := p.accepted(wire.CapSHA256)
	x.put(wire.RST|wire.ACK, wire.Options{}, "")
	p.wait(59 * time.Second)
	if c.Done() {
		t.Fatal("ended before CloseTimeout")
	}
	p.wait(2 * time.Second)
	if !c.Done() || c.Err() != ErrTimedOut {
		t.Fatalf("done %v err %v", c.Done(), c.Err())
	}
}

func TestEcho(t *testing.T) {
	s := New(Env{Links: hostLinks(1, 1)})
	for _, req := range [][]byte{echo4()} {
		s.Input(0, machine.Meta{}, req)
		buf := make([]byte, machine.BufferSize)
		_, n, ok := s.Output(0, buf)
		if !ok {
			t.Fatal("no answer")
		}
		var m wire.ICMP
		if err := m.Parse(buf[:n]); err != nil || m.Kind != wire.ICMPEchoReply || m.Dst != addr("10.0.1.2") {
			t.Fatalf("%+v %v", m, err)
		}
	}
}

// echo4 is an echo request from 10.0.1.2 to 10.0.1.1.
func echo4() []byte {
	b := []byte{0x45, 0, 0, 32, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 1, 2, 10, 0, 1, 1,
		8, 0, 0, 0, 0, 7, 0, 1, 'p', 'i', 'n', 'g'}
	put := func(at int, v uint16) { b[at], b[at+1] = byte(v>>8), byte(v) }
	put(10, wire.Checksum(b[:20], 0))
	put(22, wire.Checksum(b[20:], 0))
	return b
}

// GEN-03: a SYN in mid-life is answered by a challenge ACK (RFC 5961, 4.2) and
// changes nothing, the scale of the peer's windows included.
func TestStraySYN(t *testing.T) {
	p := newPeer(t, scriptHost)
	ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	o := capable(wire.CapSHA256)
	o.Has |= wire.HasWScale
	o.WScale = 7
	x.put(wire.SYN, o, "")
	sa := x.get()
	key := sa.Options.MPCapable.SenderKey
	x.put(wire.ACK, capable(wire.CapSHA256, peerKey, key), "")
	c, ok := ln.Accept()
	if !ok {
		t.Fatal("nothing to accept")
	}
	seq := x.seq
	x.put(wire.SYN, wire.Options{}, "")
	x.seq = seq
	if s := x.get(); s.Flags != wire.ACK {
		t.Fatalf("no challenge ACK: %s", s.String())
	}
	c.Write([]byte("abc"), false)
	x.get()
	x.put(wire.ACK, dataAck(key, 3), "")
	if got := c.send.edge; got != 3+(65535<<7) {
		t.Errorf("the peer's window ends at %d, want %d", got, 3+(65535<<7))
	}
}

// FBK-08: what was under way behind the mapping that failed is acknowledged by
// TCP and discarded by MPTCP: it goes out again, all of it.
func TestFailWithDataUnderWay(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	c.Write([]byte("abc"), false)
	p.flush()
	c.Write([]byte("def"), false)
	p.flush()
	c.Write([]byte("ghi"), false)
	p.flush()
	iss := c.subflows[0].tcp.ISS()
	o := dataAck(key, 3)
	o.Has |= wire.HasMPFail
	o.MPFail = wire.IDSN(key).Add(4)
	x.ack = iss.Add(7)
	x.put(wire.ACK, o, "") // the second failed, the third is under way
	x.ack = iss.Add(10)
	x.put(wire.ACK, dataAck(key, 3), "")
	if n := c.Info(p.now).BytesAcked; n != 3 {
		t.Errorf("%d bytes acknowledged, want 3", n)
	}
	got := ""
	for p.drain(); len(p.out) > 0; {
		s := p.next()
		if s.Seq == iss.Add(10+len(got)) {
			got += string(s.Payload)
		}
	}
	if got != "defghi" {
		t.Errorf("sent again: %q, want %q", got, "defghi")
	}
	x.ack = iss.Add(16)
	x.put(wire.ACK, wire.Options{}, "")
	if n := c.Info(p.now).BytesAcked; n != 9 {
		t.Errorf("%d bytes acknowledged, want 9", n)
	}
}

// Nothing comes behind a DATA_FIN.
func TestDataBehindDATAFIN(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	o := mapped(key, 0, 0, 0, 4)
	o.DSS.DataFIN = true
	x.putAt(0, o, "abc")
	p.flush()
	x.putAt(3, mapped(key, 0, 3, 3, 3), "def")
	if got := p.read(c); got != "abc" {
		t.Errorf("read %q", got)
	}
	if s := p.next(); s.Flags&wire.RST == 0 {
		t.Errorf("no RST: %s", s.String())
	}
}

// Close, and the peer acknowledges but never ends its direction: the connection
// ends after FinTimeout with a fast close.
func TestFinTimeout(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Close()
	p.flush()
	x.put(wire.ACK, dataAck(key, 1), "")
	p.flush()
	p.wait(59 * time.Second)
	p.quiet()
	if c.Done() {
		t.Fatal("ended before FinTimeout")
	}
	p.wait(2 * time.Second)
	if s := p.next(); s.Flags&wire.RST == 0 || s.Options.Has&wire.HasFastClose == 0 {
		t.Errorf("no fast close: %s", s.String())
	}
	if !c.Done() || len(p.s.flows) != 0 {
		t.Errorf("done %v, %d flows", c.Done(), len(p.s.flows))
	}
	// CloseWrite alone does not: the application may read for ever.
	p = newPeer(t, scriptHost)
	x, c, key = p.accepted(wire.CapSHA256)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.flush()
	x.put(wire.ACK, dataAck(key, 1), "")
	p.wait(time.Hour)
	if c.Done() {
		t.Error("a direction that is open ended")
	}
}

// LC-24: the peer closes the only subflow without DATA_FIN and opens no other: the
// connection ends after CloseTimeout.
func TestSubflowClosedWithoutDATAFIN(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	x.put(wire.FIN|wire.ACK, dataAck(key, 0), "")
	p.flush()
	p.wait(59 * time.Second)
	if c.Done() {
		t.Fatal("ended before CloseTimeout")
	}
	p.wait(2 * time.Second)
	if !c.Done() || c.Err() != ErrTimedOut || len(p.s.flows) != 0 {
		t.Errorf("done %v, err %v, %d flows", c.Done(), c.Err(), len(p.s.flows))
	}
}

// BUF-01: on no subflow does DATA_ACK + window ever move back, not even by what
// the scale of the window field cuts off.
func TestRightEdge(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	for i := range 2 {
		w.link(i, func(p *pipe) { p.rate, p.queue = 1_250_000, 100_000 })
	}
	p := w.connect(3_000_000, 0, "10.0.1.1:0", "10.0.1.2:80")
	var edge wire.DSN
	seen := 0
	for i := range 2 {
		w.pipes[2*i+1].filter = func(s *wire.Segment) bool {
			d := &s.Options.DSS
			if s.Options.Has&wire.HasDSS != 0 && d.HasAck && p.server != nil {
				e := d.DataAck.Add(int(s.Window) << p.client.c.subflows[0].wscale)
				if int64(e-edge) < 0 && edge != 0 {
					t.Fatalf("segment %d: the right edge moved back by %d bytes", seen, edge-e)
				}
				edge = e
				seen++
			}
			return true
		}
	}
	for i := range 20 {
		p.paused = i%4 != 3
		w.run(150*time.Millisecond, func() bool { return false })
	}
	p.paused = false
	p.finish(time.Minute)
	if seen < 500 {
		t.Errorf("%d segments", seen)
	}
}
