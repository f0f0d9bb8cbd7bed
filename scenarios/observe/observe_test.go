package observe

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
	"mptcplab/scenarios/result"
)

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestHandshakeGivesKeysAndJoin(t *testing.T) {
	s := newScript(Options{FlowName: func(_, _ netip.AddrPort) string { return "get" }})
	c := s.open()
	s.join()
	check(t, "conns", len(s.o.Conns()), 1)
	check(t, "MPTCP", c.MPTCP(), true)
	check(t, "client key", c.Keys[Up], uint64(keyA))
	check(t, "server token", c.Token[Down], wire.Token(keyB))
	check(t, "client IDSN", c.IDSN[Up], wire.IDSN(keyA))
	check(t, "flow", c.Flow, "get")
	check(t, "subflows", c.EstablishedSubflows(), 2)
	check(t, "path 0", c.Subflows[0].Path, "wifi")
	check(t, "path 1", c.Subflows[1].Path, "lte")
	d, ok := c.Setup()
	check(t, "set-up", d, 20*time.Millisecond)
	check(t, "set-up known", ok, true)
	check(t, "ignored", s.o.Ignored+s.o.Malformed, 0)
}

func TestPathNamesTheServersLinkIfItHasSeveral(t *testing.T) {
	s := newScript(Options{Interfaces: []string{"server.lan", "server.s2", "phone.wifi"}})
	check(t, "path", s.open().Subflows[0].Path, "wifi+lan")
}

// A download over both paths, on which Wi-Fi goes silent: what it had under way
// is sent again on LTE after a time-out.
func TestBlackholeAndReinjection(t *testing.T) {
	var data []Data
	s := newScript(Options{
		FlowName: func(_, _ netip.AddrPort) string { return "get" },
		OnData:   func(d Data) { data = append(data, d) },
	})
	c := s.open()
	s.join()
	s.at(100 * time.Millisecond)
	s.seg(lan, wifi, wire.ACK, isnB+1, isnA+1&0xffffffff, 1000, dss(keyB, keyA, 1, 0, 1000, true), false)
	s.seg(wifi, lan, wire.ACK, isnA+1&0xffffffff, isnB+1001, 0, dataAck(keyB, 1000, false), false) // 32 bits
	// One mapping of 2,000 bytes in two segments, both lost; LTE's 500 arrive ahead.
	s.at(200 * time.Millisecond)
	m := dss(keyB, keyA, 1001, 1000, 2000, false)
	s.seg(lan, wifi, wire.ACK, isnB+1001, isnA+1&0xffffffff, 1000, m, true)
	s.seg(lan, wifi, wire.ACK, isnB+2001, isnA+1&0xffffffff, 1000, m, true)
	s.seg(lan, lte, wire.ACK, 6001, 5001, 500, dss(keyB, keyA, 1, 3000, 500, true), false)
	s.seg(lte, lan, wire.ACK, 5001, 6501, 0, dataAck(keyB, 1000, true), false)
	check(t, "delivered", c.Dirs[Down].Delivered, 1000)
	// The time-out: retransmission on Wi-Fi, lost, and reinjection on LTE.
	s.at(600 * time.Millisecond)
	s.seg(lan, wifi, wire.ACK, isnB+1001, isnA+1&0xffffffff, 1000, m, true)
	s.seg(lan, lte, wire.ACK, 6501, 5001, 2000, dss(keyB, keyA, 501, 1000, 2000, true), false)
	s.seg(lte, lan, wire.ACK, 5001, 8501, 0, dataAck(keyB, 3500, true), false)

	w, l := &c.Subflows[0].Dirs[Down], &c.Subflows[1].Dirs[Down]
	check(t, "delivered", c.Dirs[Down].Delivered, 3500)
	check(t, "wifi sent", w.Sent, 4000)
	check(t, "wifi received", w.Received, 1000)
	check(t, "wifi retransmitted", w.Retransmitted, 1000)
	check(t, "lte received", l.Received, 2500)
	check(t, "lte reinjected", l.Reinjected, 2000)
	check(t, "lte retransmitted", l.Retransmitted, 0)
	check(t, "first sent", c.Dirs[Down].FirstSent, 3500)
	check(t, "first received", c.Dirs[Down].FirstReceived, 3500)
	check(t, "wifi RTT", w.SRTT(), 20*time.Millisecond)

	g, ok := c.LongestGap(Down, clock.Instant(300*time.Millisecond), s.now)
	check(t, "gap found", ok, true)
	check(t, "gap start", g.Start, clock.Instant(110*time.Millisecond))
	check(t, "gap end", g.End, clock.Instant(620*time.Millisecond))
	check(t, "gap by", g.By, 1)
	check(t, "gap how", g.How, Reinjection)
	check(t, "timed out", g.TimedOut(), true)

	var f result.Flow
	c.Report(&f)
	check(t, "reported reinjected", f.Reinjected, 2000)
	check(t, "reported path", f.Paths[1].Bytes, 2500)
	kinds := []DataKind{First, First, First, First, Retransmission, Reinjection}
	check(t, "pieces", len(data), len(kinds))
	for i, d := range data {
		check(t, "kind", d.Kind, kinds[i])
	}
	check(t, "offset", data[5].Offset, 1000)
}

func TestFallback(t *testing.T) {
	none := wire.Options{}
	a1 := wire.Seq(isnA + 1&0xffffffff)
	open := func(s *script, syn, ans, ack wire.Options) {
		s.seg(wifi, lan, wire.SYN, isnA, 0, 0, syn, false)
		s.seg(lan, wifi, wire.SYN|wire.ACK, isnB, a1, 0, ans, false)
		s.seg(wifi, lan, wire.ACK, a1, isnB+1, 0, ack, false)
	}
	infinite := dss(keyB, keyA, 1001, 1000, 0, true)
	for _, tt := range []struct {
		name, want string
		play       func(s *script)
	}{
		{"TCP client", "no MP_CAPABLE in SYN", func(s *script) { open(s, none, none, none) }},
		{"TCP server", "no MP_CAPABLE in SYN/ACK", func(s *script) { open(s, capable(), none, none) }},
		{"third ACK", "no MP_CAPABLE in third ACK or first data", func(s *script) { open(s, capable(), capable(keyB), none) }},
		{"no DSS", "no DSS in first data", func(s *script) {
			open(s, capable(), capable(keyB), capable(keyA, keyB))
		}},
		{"infinite mapping", "infinite mapping", func(s *script) {
			open(s, capable(), capable(keyB), capable(keyA, keyB))
			s.seg(lan, wifi, wire.ACK, isnB+1, a1, 1000, dss(keyB, keyA, 1, 0, 1000, true), false)
			s.seg(wifi, lan, wire.ACK, a1, isnB+1001, 0, dataAck(keyB, 1000, true), false)
			s.seg(lan, wifi, wire.ACK, isnB+1001, a1, 1000, infinite, false)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(Options{})
			tt.play(s)
			c := s.o.Conns()[0]
			base := wire.Seq(isnB + 1)
			if tt.name == "infinite mapping" {
				base += 2000
			}
			// Then plain data and plain ACKs carry the stream on.
			s.seg(lan, wifi, wire.ACK|wire.FIN, base, a1, 700, none, false)
			s.seg(wifi, lan, wire.ACK, a1, base+701, 0, none, false)
			check(t, "reason", c.Fallback, tt.want)
			check(t, "MPTCP", c.MPTCP(), false)
			check(t, "delivered", c.Dirs[Down].Delivered, int64(base)-isnB-1+700)
			check(t, "finished", c.Dirs[Down].Finished, true)
			check(t, "first received", c.Dirs[Down].FirstReceived, uint64(base)-isnB-1+700)
		})
	}
}

func TestStrippedOption(t *testing.T) {
	s := newScript(Options{})
	g := func(src, dst netip.AddrPort, f wire.Flags, seq, ack wire.Seq, out, in wire.Options) {
		for i, o := range []wire.Options{out, in} {
			p := wire.AppendPacket(nil, &wire.Segment{Src: src, Dst: dst, TTL: 9, Flags: f, Seq: seq, Ack: ack, Options: o})
			iface := []string{ifaceOf(src), ifaceOf(dst)}[i]
			s.o.Packet(s.now, iface, i == 0, p)
		}
	}
	g(wifi, lan, wire.SYN, 1, 0, capable(), wire.Options{})
	g(lan, wifi, wire.SYN|wire.ACK, 9, 2, wire.Options{}, wire.Options{})
	g(wifi, lan, wire.ACK, 2, 10, wire.Options{}, wire.Options{})
	check(t, "reason", s.o.Conns()[0].Fallback, "MP_CAPABLE stripped from SYN")
}

// MP_CAPABLE with data maps from IDSN+1; DATA_FIN ends the stream.
func TestCapableWithDataAndDataFIN(t *testing.T) {
	s := newScript(Options{})
	a1 := wire.Seq(isnA + 1&0xffffffff)
	s.seg(wifi, lan, wire.SYN, isnA, 0, 0, capable(), false)
	s.seg(lan, wifi, wire.SYN|wire.ACK, isnB, a1, 0, capable(keyB), false)
	o := capable(keyA, keyB)
	o.MPCapable.HasDataLen, o.MPCapable.DataLen = true, 500
	s.seg(wifi, lan, wire.ACK|wire.PSH, a1, isnB+1, 500, o, false)
	c := s.o.Conns()[0]
	s.seg(lan, wifi, wire.ACK, isnB+1, a1+500, 0, dataAck(keyA, 500, true), false)
	// 300 bytes and the DATA_FIN in one mapping.
	m := dss(keyA, keyB, 501, 500, 301, true)
	m.DSS.DataFIN = true
	s.seg(wifi, lan, wire.ACK, a1+500, isnB+1, 300, m, false)
	s.seg(lan, wifi, wire.ACK, isnB+1, a1+800, 0, dataAck(keyA, 801, true), false)
	check(t, "MPTCP", c.MPTCP(), true)
	check(t, "delivered", c.Dirs[Up].Delivered, 800)
	check(t, "finished", c.Dirs[Up].Finished, true)
	check(t, "first received", c.Dirs[Up].FirstReceived, 800)
	check(t, "unmapped", c.Subflows[0].Dirs[Up].Unmapped, 0)
}

func TestSignalsNameTheCause(t *testing.T) {
	a1 := wire.Seq(isnA + 1&0xffffffff)
	sig := dataAck(keyB, 0, true)
	for _, tt := range []struct {
		want string
		fl   wire.Flags
		opt  func(o *wire.Options)
	}{
		{"remove_addr", wire.ACK, func(o *wire.Options) {
			o.Has |= wire.HasRemoveAddr
			o.RemoveAddr.Num, o.RemoveAddr.IDs[0] = 1, 1
		}},
		{"mp_prio", wire.ACK, func(o *wire.Options) { o.Has |= wire.HasMPPrio; o.MPPrio.Backup = true }},
		{"rst", wire.ACK | wire.RST, func(o *wire.Options) {
			o.Has = wire.HasMPTCPRst
			o.MPTCPRst.Reason = wire.RstPerformance
		}},
		{"mp_fail", wire.ACK, func(o *wire.Options) { o.Has |= wire.HasMPFail }},
		{"fin", wire.ACK | wire.FIN, func(*wire.Options) {}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			s := newScript(Options{})
			c := s.open()
			s.join()
			s.at(time.Second)
			o := sig
			tt.opt(&o)
			s.seg(wifi, lan, tt.fl, a1, isnB+1, 0, o, false)
			s.seg(lan, lte, wire.ACK, 6001, 5001, 500, dss(keyB, keyA, 1, 0, 500, true), false)
			s.seg(lte, lan, wire.ACK, 5001, 6501, 0, dataAck(keyB, 500, true), false)
			g, _ := c.LongestGap(Down, clock.Instant(time.Second), s.now)
			check(t, "timed out", g.TimedOut(), false)
			kinds := map[string]bool{}
			for _, e := range c.Events {
				if e.At >= clock.Instant(time.Second) && e.At <= g.End {
					kinds[e.Kind.String()] = true
				}
			}
			check(t, "seen "+tt.want, kinds[tt.want], true)
			check(t, "took over", g.By, 1)
			if tt.want == "rst" {
				last := c.Events[len(c.Events)-1]
				check(t, "reason", last.Text, "unacceptable performance")
			}
		})
	}
}

// A capture of one end only must speak for both.
func TestOneEndObserved(t *testing.T) {
	s := newScript(Options{})
	s.tap = func(at clock.Instant, iface string, out bool, ip []byte) {
		if iface != "server.lan" {
			s.o.Packet(at, iface, out, ip)
		}
	}
	c := s.open()
	s.seg(lan, wifi, wire.ACK, isnB+1, isnA+1&0xffffffff, 1000, dss(keyB, keyA, 1, 0, 1000, true), false)
	s.seg(wifi, lan, wire.ACK, isnA+1&0xffffffff, isnB+1001, 0, dataAck(keyB, 1000, true), false)
	check(t, "MPTCP", c.MPTCP(), true)
	check(t, "sent", c.Subflows[0].Dirs[Down].Sent, 1000)
	check(t, "received", c.Dirs[Down].FirstReceived, 1000)
	check(t, "delivered", c.Dirs[Down].Delivered, 1000)
}

// A capture of 128 octets a packet says the same as a whole one.
func TestCutPackets(t *testing.T) {
	s := newScript(Options{})
	s.tap = func(at clock.Instant, iface string, out bool, ip []byte) {
		s.o.Packet(at, iface, out, ip[:min(len(ip), 128)])
	}
	c := s.open()
	s.seg(lan, wifi, wire.ACK, isnB+1, isnA+1&0xffffffff, 1400, dss(keyB, keyA, 1, 0, 1400, true), false)
	check(t, "received", c.Dirs[Down].FirstReceived, 1400)
	check(t, "malformed", s.o.Malformed, 0)
}

// A SYN with another ISN on the same addresses is another connection.
func TestReusedAddresses(t *testing.T) {
	s := newScript(Options{})
	s.open()
	s.seg(wifi, lan, wire.SYN, isnA, 0, 0, capable(), false) // repeated
	check(t, "conns", len(s.o.Conns()), 1)
	s.seg(wifi, lan, wire.SYN, 77, 0, 0, capable(), false)
	check(t, "conns", len(s.o.Conns()), 2)
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := newScript(Options{OnData: func(Data) {}, OnProgress: func(*Conn, Dir, clock.Instant, int64) {}})
	s.open()
	var off int64
	buf := wire.AppendPacket(nil, &wire.Segment{})
	step := func() {
		o := dss(keyB, keyA, wire.Seq(1+off), off, 1000, true)
		buf = wire.AppendPacket(buf[:0], &wire.Segment{Src: lan, Dst: wifi, TTL: 9, Flags: wire.ACK,
			Seq: isnB + 1 + wire.Seq(off), Ack: isnA + 1&0xffffffff, Options: o, Payload: s.body[:1000]})
		s.o.Packet(s.now, "server.lan", true, buf)
		s.o.Packet(s.now+10, "phone.wifi", false, buf)
		off += 1000
		buf = wire.AppendPacket(buf[:0], &wire.Segment{Src: wifi, Dst: lan, TTL: 9, Flags: wire.ACK,
			Seq: isnA + 1&0xffffffff, Ack: isnB + 1 + wire.Seq(off), Options: dataAck(keyB, off, true)})
		s.o.Packet(s.now+10, "phone.wifi", true, buf)
		s.o.Packet(s.now+20, "server.lan", false, buf)
		s.now += 1000
	}
	for range 10000 { // until the gap tracker has been full
		step()
	}
	if n := testing.AllocsPerRun(5000, step); n != 0 {
		t.Errorf("%v allocations per four packets", n)
	}
	c := s.o.Conns()[0]
	check(t, "delivered", c.Dirs[Down].Delivered, off)
	if n := len(c.Dirs[Down].sent.spans) + len(c.Subflows[0].Dirs[Down].maps); n > 4 {
		t.Errorf("%d spans and mappings kept of data that is acknowledged", n)
	}
}

// Numbers of 32 bits go on where they wrap.
func TestNumbersWrap(t *testing.T) {
	c := &Conn{IDSN: [2]wire.DSN{Up: 0xffff_ffff_ffff_fff0}}
	for _, off := range []int64{0, 14, 15, 16, 1<<32 - 1, 1 << 32, 1<<33 + 5} {
		dsn := c.IDSN[Up].Add(int(off) + 1)
		for _, near := range []int64{max(0, off-70000), off, off + 70000} {
			check(t, "32-bit DSN", c.offset(Up, dsn&0xffff_ffff, false, near), off)
			check(t, "64-bit DSN", c.offset(Up, dsn, true, near), off)
		}
	}
	n := Counters{isn: 0xffff_fff0}
	for _, ssn := range []int64{1, 15, 16, 17, 1<<32 + 7} {
		n.next = ssn + 3000
		check(t, "sequence number", n.unwrap(n.isn+wire.Seq(ssn)), ssn)
	}
}

func FuzzPacket(f *testing.F) {
	s := newScript(Options{})
	s.tap = func(at clock.Instant, iface string, out bool, ip []byte) { f.Add(append([]byte(nil), ip...)) }
	s.seg(wifi, lan, wire.SYN, isnA, 0, 0, capable(), false)
	s.seg(lan, wifi, wire.SYN|wire.ACK, isnB, isnA+1&0xffffffff, 0, capable(keyB), false)
	s.seg(lan, wifi, wire.ACK, isnB+1, isnA+1&0xffffffff, 100, dss(keyB, keyA, 1, 0, 100, true), false)
	f.Fuzz(func(t *testing.T, ip []byte) {
		s := newScript(Options{OnData: func(d Data) {
			if d.Len <= 0 {
				t.Fatalf("piece of %d bytes", d.Len)
			}
		}})
		s.open()
		s.join()
		s.o.Packet(s.now, "server.lan", true, ip)
		s.o.Packet(s.now, "phone.wifi", false, ip)
	})
}
