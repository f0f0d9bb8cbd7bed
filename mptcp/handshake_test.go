package mptcp

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// CAP-08, LC-01, LC-03: third ACK with both keys, then data with MP_CAPABLE, which
// is acknowledged like data with DSS.
func TestServerCapable(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	if in := c.Info(p.now); !in.MPTCP || in.Fallback || in.Checksum {
		t.Fatalf("%+v", in)
	}
	if c.Token() != wire.Token(key) {
		t.Errorf("token %#x, want %#x", c.Token(), wire.Token(key))
	}
	o := capable(wire.CapSHA256, peerKey, key)
	o.MPCapable.HasDataLen, o.MPCapable.DataLen = true, 5
	x.put(wire.ACK|wire.PSH, o, "hello")
	if got := p.read(c); got != "hello" {
		t.Fatalf("read %q", got)
	}
	p.wait(100 * time.Millisecond)
	x.expectAck(5)
	p.expectCounters(map[string]uint64{"MPCapableSYNRX": 1, "MPCapableACKRX": 1, "MPCurrEstab": 1, "MPCapableFallbackACK": 0})
}

// The third ACK is lost: the first data with MP_CAPABLE stands for it.
func TestServerThirdACKLost(t *testing.T) {
	p := newPeer(t, scriptHost)
	ln, _ := p.s.Listen(nil, addrPort("0.0.0.0:80"))
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	key := x.get().Options.MPCapable.SenderKey
	o := capable(wire.CapSHA256, peerKey, key)
	o.MPCapable.HasDataLen, o.MPCapable.DataLen = true, 2
	x.put(wire.ACK, o, "hi")
	c, ok := ln.Accept()
	if !ok || !c.Info(p.now).MPTCP || p.read(c) != "hi" {
		t.Fatal("data with MP_CAPABLE does not establish")
	}
}

// Every entrance of the fallback on the server's side.
func TestServerFallback(t *testing.T) {
	for _, v := range []struct {
		name, reason string
		syn          wire.Options
		third        func(key uint64) wire.Options
		answer       bool // SYN/ACK has MP_CAPABLE
		counter      string
		plain        bool
	}{
		{name: "SYN without", reason: "no MP_CAPABLE in SYN"},
		{name: "flag B", reason: "MP_CAPABLE with version, flags or key that do not fit", syn: capable(wire.CapSHA256 | wire.CapExtend)},
		{name: "no algorithm", reason: "MP_CAPABLE with version, flags or key that do not fit", syn: capable(0)},
		{name: "another algorithm", reason: "MP_CAPABLE with version, flags or key that do not fit", syn: capable(2)},
		{name: "third ACK without", reason: "no MP_CAPABLE in third ACK", syn: capable(wire.CapSHA256), answer: true,
			third: func(uint64) wire.Options { return wire.Options{} }, counter: "MPCapableFallbackACK"},
		{name: "third ACK with wrong key", reason: "MP_CAPABLE with version, flags or key that do not fit", syn: capable(wire.CapSHA256), answer: true,
			third: func(key uint64) wire.Options { return capable(wire.CapSHA256, peerKey, key+1) }},
		{name: "TCP listener", reason: "TCP socket at this end", syn: capable(wire.CapSHA256), plain: true},
	} {
		t.Run(v.name, func(t *testing.T) {
			p := newPeer(t, HostConfig{Default: Config{PlainTCP: v.plain}})
			ln, _ := p.s.Listen(nil, addrPort("10.0.1.1:80"))
			x := p.side("10.0.1.2:5000", "10.0.1.1:80")
			x.put(wire.SYN, v.syn, "")
			sa := x.get()
			if has := sa.Options.Has&wire.HasMPCapable != 0; has != v.answer {
				t.Fatalf("SYN/ACK: %s", sa.String())
			}
			var third wire.Options
			if v.third != nil {
				third = v.third(sa.Options.MPCapable.SenderKey)
			}
			x.put(wire.ACK, third, "")
			c, ok := ln.Accept()
			if !ok {
				t.Fatal("nothing to accept")
			}
			x.put(wire.ACK, wire.Options{}, "abc")
			if p.read(c) != "abc" {
				t.Fatal("the stream is broken")
			}
			c.Write([]byte("defg"), false)
			p.wait(100 * time.Millisecond)
			for len(p.out) > 0 {
				if s := x.get(); s.Options.Has&wire.HasMPTCP != 0 {
					t.Errorf("an MPTCP option after fallback: %s", s.String())
				}
			}
			in := c.Info(p.now)
			if !in.Fallback || in.MPTCP || in.FallbackReason != v.reason {
				t.Errorf("%v %v %q", in.Fallback, in.MPTCP, in.FallbackReason)
			}
			if v.counter != "" && p.counter(v.counter) != 1 {
				t.Errorf("%s not counted", v.counter)
			}
		})
	}
}

// CAP-22, CAP-23: checksums if either side asks, in both directions, and the third ACK
// of a client that did not ask says so.
func TestChecksumAgreed(t *testing.T) {
	p := newPeer(t, scriptHost)
	_, c, _ := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	if !c.Info(p.now).Checksum {
		t.Error("the client asked for checksums")
	}
	host := scriptHost
	host.Default.ChecksumEnabled = true
	p = newPeer(t, host)
	_, c, _ = p.accepted(wire.CapSHA256)
	if !c.Info(p.now).Checksum {
		t.Error("the server asked for checksums")
	}
	p = newPeer(t, scriptHost)
	x, c, key := p.dialed(capable(wire.CapSHA256|wire.CapChecksum, peerKey))
	if third := x.get(); third.Options.MPCapable.Flags&wire.CapChecksum == 0 {
		t.Errorf("no A in the third ACK: %s", third.String())
	}
	c.Write([]byte("hello"), false)
	m := x.get().Options.MPCapable
	var sum wire.PayloadSum
	sum.Add([]byte("hello"))
	if want := wire.DSSChecksum(wire.IDSN(key).Add(1), 1, 5, sum.Sum()); !m.HasChecksum || m.Checksum != want {
		t.Errorf("checksum %v %#x, want %#x", m.HasChecksum, m.Checksum, want)
	}
	x.put(wire.ACK, withChecksum(mapped(key, 5, 0, 0, 2), "ok"), "ok")
	if got := p.read(c); got != "ok" {
		t.Errorf("read %q", got)
	}
}

// CAP-01, CAP-02: version 1 is the highest there is; who offers more gets 1, who
// offers less gets TCP.
func TestServerVersions(t *testing.T) {
	for version, want := range map[uint8]bool{0: false, 1: true, 2: true, 15: true} {
		p := newPeer(t, scriptHost)
		if _, err := p.s.Listen(nil, addrPort("10.0.1.1:80")); err != nil {
			t.Fatal(err)
		}
		x := p.side("10.0.1.2:5000", "10.0.1.1:80")
		o := capable(wire.CapSHA256)
		o.MPCapable.Version = version
		x.put(wire.SYN, o, "")
		sa := x.get()
		if has := sa.Options.Has&wire.HasMPCapable != 0; has != want || has && sa.Options.MPCapable.Version != 1 {
			t.Errorf("version %d: %s", version, sa.String())
		}
	}
}

// CAP-11, CAP-12, CAP-15, CAP-16, LC-07: our flags are A if checksums are on, C if the
// initial address takes no joins, and H; nothing else, B least of all.
func TestCapableFlags(t *testing.T) {
	for _, v := range []struct {
		cfg  Config
		want wire.CapableFlags
	}{
		{Config{}, wire.CapSHA256},
		{Config{ChecksumEnabled: true}, wire.CapSHA256 | wire.CapChecksum},
		{Config{DenyJoinInitial: true}, wire.CapSHA256 | wire.CapNoJoin},
	} {
		p := newPeer(t, HostConfig{Default: v.cfg})
		if _, err := p.s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80")); err != nil {
			t.Fatal(err)
		}
		if s := p.next(); s.Options.MPCapable.Flags != v.want {
			t.Errorf("SYN: %s", s.String())
		}
		if _, err := p.s.Listen(nil, addrPort("10.0.1.1:80")); err != nil {
			t.Fatal(err)
		}
		x := p.side("10.0.1.2:5000", "10.0.1.1:80")
		x.put(wire.SYN, capable(wire.CapSHA256|2|4), "") // and two more algorithms
		if s := x.get(); s.Options.MPCapable.Flags != v.want {
			t.Errorf("SYN/ACK: %s", s.String())
		}
	}
}

// CAP-29: SYNs with and without MP_CAPABLE are reordered; that the third packet is
// without decides.
func TestSYNsReordered(t *testing.T) {
	with, without := capable(wire.CapSHA256), wire.Options{}
	for _, order := range [][2]wire.Options{{with, without}, {without, with}} {
		p := newPeer(t, scriptHost)
		ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
		if err != nil {
			t.Fatal(err)
		}
		x := p.side("10.0.1.2:5000", "10.0.1.1:80")
		x.put(wire.SYN, order[0], "")
		x.get()
		x.seq--
		x.put(wire.SYN, order[1], "")
		x.get()
		x.put(wire.ACK, wire.Options{}, "")
		x.put(wire.ACK, wire.Options{}, "abc")
		c, ok := ln.Accept()
		if !ok || p.read(c) != "abc" || !c.Info(p.now).Fallback {
			t.Fatalf("accepted %v, %+v", ok, c.Info(p.now))
		}
	}
}

// CAP-03, CAP-04, CAP-05: keys come from a PRF of a secret; a token that another
// connection has, or 0, is not taken.
func TestKeys(t *testing.T) {
	first := func(seed byte) *Conn {
		s := New(Env{Links: hostLinks(1, 1), Seed: [32]byte{seed}})
		c, err := s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if a, again, b := first(1), first(1), first(2); a.localKey == b.localKey || a.localKey != again.localKey {
		t.Error("the seed does not decide")
	}
	taken := first(1).token // what the first connection would get
	s := New(Env{Links: hostLinks(1, 1), Seed: [32]byte{1}})
	other := &Conn{}
	s.tokens[taken] = other
	seen := make(map[uint64]bool)
	for range 1000 {
		c, err := s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
		if err != nil {
			t.Fatal(err)
		}
		if c.token == taken || s.tokens[c.token] != c || seen[c.localKey] {
			t.Fatalf("token %#x, key %#x are not new", c.token, c.localKey)
		}
		seen[c.localKey] = true
	}
	if s.tokens[taken] != other {
		t.Error("a token changed hands")
	}
}

// Both ends open at once: no end has the other's key, and the connection is TCP, as by
// Linux.
func TestSimultaneousOpen(t *testing.T) {
	p := newPeer(t, scriptHost)
	c, err := p.s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	syn := p.next()
	x := p.side("10.0.1.2:80", syn.Src.String())
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	sa := x.get()
	if sa.Flags != wire.SYN|wire.ACK || sa.Ack != x.seq {
		t.Fatalf("SYN/ACK: %s", sa.String())
	}
	x.put(wire.ACK, wire.Options{}, "")
	x.put(wire.ACK, wire.Options{}, "abc")
	if got := p.read(c); got != "abc" || c.Info(p.now).FallbackReason != "simultaneous open" {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
	p.flush()
	c.Write([]byte("def"), false)
	if s := x.get(); string(s.Payload) != "def" || s.Options.Has&wire.HasMPTCP != 0 {
		t.Errorf("%s", s.String())
	}
	p.expectCounters(map[string]uint64{"SimultConnectFallback": 1})
}

// FBK-05: what a server sent is acknowledged without DATA_ACK, before there was any
// other subflow: the path drops options, the connection is TCP from there, and stays
// so whatever comes (FBK-15).
func TestServerDataWithoutDataAck(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write([]byte("hello"), false)
	x.get()
	x.put(wire.ACK, wire.Options{}, "")
	in := c.Info(p.now)
	if !in.Fallback || in.FallbackReason != "no DSS in acknowledgment of data" || in.BytesAcked != 5 {
		t.Errorf("%+v", in)
	}
	x.put(wire.ACK, mapped(key, 5, 7, 0, 3), "abc")
	if got := p.read(c); got != "abc" || c.Info(p.now).MPTCP {
		t.Errorf("read %q", got)
	}
	y := p.side("10.0.2.2:6000", "10.0.1.1:80")
	p.flush()
	y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
	if s := y.get(); s.Flags&wire.RST == 0 {
		t.Errorf("a join was taken: %s", s.String())
	}
	p.expectCounters(map[string]uint64{"DssFallback": 1})
}

// LC-41: after that fallback "The sender will send one final Data Sequence Mapping, with the
// Data-Level Length value of 0 indicating an infinite mapping [...], and then revert to
// sending data on the single subflow without any MPTCP options."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7). It is repeated with the segment that
// carries it, and with no other.
func TestInfiniteMappingAtFallback(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	c.Write([]byte("hello"), false)
	x.get()
	x.put(wire.ACK, wire.Options{}, "")
	for _, text := range []string{"more", "and", "more"} {
		c.Write([]byte(text), false)
	}
	p.wait(1500 * time.Millisecond) // and retransmissions
	if len(p.out) < 4 {
		t.Fatalf("%d segments", len(p.out))
	}
	again := 0
	for len(p.out) > 0 {
		s := p.next()
		d := s.Options.DSS
		if s.Seq != x.irs.Add(6) {
			if s.Options.Has&wire.HasMPTCP != 0 {
				t.Errorf("an MPTCP option behind the last mapping: %s", s.String())
			}
			continue
		}
		if again++; s.Options.Has&wire.HasMPTCP != wire.HasDSS || !d.HasMap || d.HasAck || d.DataLen != 0 ||
			d.DSN != wire.IDSN(key).Add(6) || d.SSN != 6 || len(s.Payload) < 4 {
			t.Errorf("no infinite mapping: %s", s.String())
		}
	}
	if again < 2 {
		t.Errorf("it was sent %d times", again)
	}
	p.expectCounters(map[string]uint64{"InfiniteMapTx": 1})
}

// The other end understands it: options get lost in one direction only, from the client to
// the server, after the handshake. Both ends fall back, and no byte is lost.
func TestOptionsLostInOneDirection(t *testing.T) {
	w := newWorld(t, 1, acceptor(Config{}), acceptor(Config{}), 3)
	w.pipes[0].filter = func(s *wire.Segment) bool {
		if s.Flags&wire.SYN == 0 && s.Options.Has&wire.HasMPCapable == 0 {
			s.Options.Has &^= wire.HasMPTCP
		}
		return true
	}
	p := w.connect(0, 200_000, "", "10.0.1.2:80")
	p.finish(time.Minute)
	for i, c := range []*Conn{p.client.c, p.server.c} {
		if in := c.Info(w.now); !in.Fallback {
			t.Errorf("host %d did not fall back: %+v", i, in)
		}
	}
	if n := w.hosts[1].counters.MPTcpExtInfiniteMapTx; n != 1 {
		t.Errorf("InfiniteMapTx = %d at the server", n)
	}
	if n := w.hosts[0].counters.MPTcpExtInfiniteMapRx; n != 1 {
		t.Errorf("InfiniteMapRx = %d at the client", n)
	}
	if r := p.client.c.Info(w.now).FallbackReason; r != "infinite mapping from peer" {
		t.Errorf("the client fell back for %q", r)
	}
}

// dialed is a client connection with a SYN/ACK answered by syn.
func (p *peer) dialed(syn wire.Options) (x *side, c *Conn, key uint64) {
	p.t.Helper()
	c, err := p.s.Dial(p.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		p.t.Fatal(err)
	}
	s := p.next()
	x = p.side("10.0.1.2:80", s.Src.String())
	x.irs, x.ack = s.Seq, s.Seq.Add(1)
	if s.Flags != wire.SYN || s.Options.Has&wire.HasMPCapable == 0 || s.Options.MPCapable.NumKeys != 0 || s.Options.MPCapable.Version != 1 {
		p.t.Fatalf("SYN: %s", s.String())
	}
	x.put(wire.SYN|wire.ACK, syn, "")
	return x, c, c.localKey
}

// The client repeats MP_CAPABLE with both keys on what begins at the first octet,
// until a DSS shows that it got through.
func TestClientCapable(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.dialed(capable(wire.CapSHA256, peerKey))
	third := x.get()
	m := third.Options.MPCapable
	if third.Options.Has&wire.HasMPCapable == 0 || m.NumKeys != 2 || m.SenderKey != key || m.ReceiverKey != peerKey || m.HasDataLen {
		t.Fatalf("third ACK: %s", third.String())
	}
	c.Write([]byte("hello"), false)
	data := x.get()
	m = data.Options.MPCapable
	if m.NumKeys != 2 || !m.HasDataLen || m.DataLen != 5 || string(data.Payload) != "hello" || data.Options.Has&wire.HasDSS != 0 {
		t.Fatalf("first data: %s", data.String())
	}
	c.Write([]byte("again"), false)
	p.wait(300 * time.Millisecond)
	second := x.get()
	if d := second.Options.DSS; !d.HasMap || d.DSN != wire.IDSN(key).Add(6) || d.SSN != 6 || d.DataLen != 5 {
		t.Fatalf("second data: %s", second.String())
	}
	for len(p.out) > 0 { // retransmissions say the same
		s := x.get()
		if s.Seq == x.irs.Add(1) && (s.Options.MPCapable.DataLen != 5 || s.Options.MPCapable.NumKeys != 2) {
			t.Fatalf("retransmission: %s", s.String())
		}
	}
	if c.confirmed {
		t.Fatal("established without DSS")
	}
	x.ack = x.irs.Add(11)
	x.put(wire.ACK, dataAck(key, 10), "")
	if !c.confirmed || c.Info(p.now).BytesAcked != 10 {
		t.Fatalf("%+v", c.Info(p.now))
	}
	p.expectCounters(map[string]uint64{"MPCapableSYNTX": 1, "MPCapableSYNACKRX": 1})
}

// LC-04: the server sends first; its DSS confirms the keys.
func TestClientServerSendsFirst(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.dialed(capable(wire.CapSHA256, peerKey))
	p.flush()
	x.put(wire.ACK, mapped(key, 0, 0, 0, 5), "first")
	if p.read(c) != "first" || !c.confirmed {
		t.Fatal("data from the server does not confirm")
	}
	p.wait(100 * time.Millisecond)
	x.expectAck(5)
}

func TestClientFallback(t *testing.T) {
	for _, v := range []struct {
		name, reason, counter string
		synack                wire.Options
		first                 bool
	}{
		{"SYN/ACK without", "no MP_CAPABLE in SYN/ACK", "MPCapableFallbackSYNACK", wire.Options{}, false},
		{"SYN/ACK with flag B", "MP_CAPABLE in SYN/ACK with version or flags that do not fit", "MPCapableFallbackSYNACK", capable(wire.CapSHA256|wire.CapExtend, peerKey), false},
		{"data without DSS", "no DSS in first segment from peer", "MPCapableDataFallback", capable(wire.CapSHA256, peerKey), true},
	} {
		t.Run(v.name, func(t *testing.T) {
			p := newPeer(t, scriptHost)
			x, c, _ := p.dialed(v.synack)
			if third := x.get(); (third.Options.Has&wire.HasMPCapable != 0) != v.first {
				t.Fatalf("third ACK: %s", third.String())
			}
			x.put(wire.ACK, wire.Options{}, "abc")
			if p.read(c) != "abc" {
				t.Fatal("the stream is broken")
			}
			c.Write([]byte("def"), false)
			p.wait(50 * time.Millisecond)
			got := ""
			for len(p.out) > 0 {
				s := x.get()
				got += string(s.Payload)
				if s.Options.Has&wire.HasMPTCP != 0 {
					t.Errorf("an MPTCP option after fallback: %s", s.String())
				}
			}
			if got != "def" {
				t.Errorf("sent %q", got)
			}
			if in := c.Info(p.now); !in.Fallback || in.FallbackReason != v.reason {
				t.Errorf("%+v", in)
			}
			if p.counter(v.counter) != 1 {
				t.Errorf("%s not counted", v.counter)
			}
		})
	}
}

// MBX-01: after two retransmissions of the SYN the third goes without MP_CAPABLE.
func TestClientSYNUnanswered(t *testing.T) {
	p := newPeer(t, scriptHost)
	c, _ := p.s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	p.wait(8 * time.Second)
	for i, want := range []bool{true, true, true, false} {
		s := p.next()
		if has := s.Options.Has&wire.HasMPCapable != 0; has != want {
			t.Errorf("SYN %d: %s", i, s.String())
		}
	}
	if in := c.Info(p.now); !in.Fallback || in.FallbackReason != "no answer to SYN with MP_CAPABLE" {
		t.Errorf("%+v", in)
	}
}

// syn_retrans_before_tcp_fallback: 0 means that the first retransmission has no
// MPTCP option, 128 and more that all have.
func TestClientSYNRetries(t *testing.T) {
	for limit, with := range map[int]int{-1: 1, 1: 2, 0: 3, 128: 7} {
		host := scriptHost
		host.Default.SYNRetriesBeforeTCPFallback = limit
		p := newPeer(t, host)
		if _, err := p.s.Dial(0, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80")); err != nil {
			t.Fatal(err)
		}
		p.wait(3 * time.Minute)
		n := 0
		for len(p.out) > 0 {
			if s := p.next(); s.Options.Has&wire.HasMPCapable != 0 {
				n++
			}
		}
		if n != with {
			t.Errorf("limit %d: %d SYNs with MP_CAPABLE, want %d", limit, n, with)
		}
	}
}

// The third ACK is lost and the second segment of data overtakes the first: no
// reason to fall back.
func TestServerDataOvertakes(t *testing.T) {
	p := newPeer(t, scriptHost)
	ln, err := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	sa := x.get()
	key := sa.Options.MPCapable.SenderKey
	x.putAt(3, mapped(key, 0, 3, 3, 3), "def")
	first := capable(wire.CapSHA256, peerKey, key)
	first.MPCapable.HasDataLen, first.MPCapable.DataLen = true, 3
	x.putAt(0, first, "abc")
	x.putAt(3, mapped(key, 0, 3, 3, 3), "def")
	c, ok := ln.Accept()
	if !ok {
		t.Fatal("nothing to accept")
	}
	if got := p.read(c); got != "abcdef" || c.Info(p.now).Fallback {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
}

// A flood of SYNs costs bounded memory, and is over with its last timeout.
func TestSYNFlood(t *testing.T) {
	p := newPeer(t, scriptHost)
	cfg := scriptHost.Default
	cfg.Backlog = 100
	ln, err := p.s.Listen(&cfg, addrPort("10.0.1.1:80"))
	if err != nil {
		t.Fatal(err)
	}
	flood := func(n int) {
		for i := range n {
			x := p.side("10.0.1.2:5000", "10.0.1.1:80")
			x.local = netip.AddrPortFrom(x.local.Addr(), uint16(10_000+i))
			x.put(wire.SYN, capable(wire.CapSHA256), "")
			p.out = p.out[:0]
		}
	}
	flood(300)
	if n := len(p.s.flows); n != 101 {
		t.Errorf("%d connections", n) // one more than the backlog, as in Linux
	}
	if n := p.s.counters.TcpExtSyncookiesSent; n != 199 {
		t.Errorf("%d cookies", n)
	}
	p.wait(2 * time.Minute)
	if n := len(p.s.flows); n != 0 || ln.half != 0 {
		t.Errorf("%d connections, %d handshakes", n, ln.half)
	}
	p.flush()
	flood(1)
	if len(p.s.flows) != 1 {
		t.Error("no SYN is taken any more")
	}
}

// A segment for nobody is answered by RST, a RST by nothing.
func TestNoListener(t *testing.T) {
	p := newPeer(t, scriptHost)
	x := p.side("10.0.1.2:5000", "10.0.1.1:81")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	if s := x.get(); s.Flags&wire.RST == 0 || s.Ack != peerISS+1 {
		t.Errorf("no RST: %s", s.String())
	}
	x.put(wire.RST, wire.Options{}, "")
	p.quiet()
}

// CAP-08: the third ACK is lost, and the client, which has nothing to send, has
// ended its direction already: its DATA_FIN proves no key, and the repeated SYN/ACK
// is answered with the keys again.
func TestThirdACKLostBeforeDATAFIN(t *testing.T) {
	w := newWorld(t, 1, acceptor(Config{}), acceptor(Config{}), 1)
	dropped := false
	w.pipes[0].filter = func(s *wire.Segment) bool {
		if s.Flags&wire.SYN == 0 && !dropped {
			dropped = true
			return false
		}
		return true
	}
	p := w.connect(0, 100_000, "10.0.1.1:0", "10.0.1.2:80")
	p.finish(time.Minute)
	for _, a := range []*app{p.client, p.server} {
		if in := a.c.Info(w.now); in.Fallback {
			t.Errorf("fell back: %s", in.FallbackReason)
		}
	}
}
