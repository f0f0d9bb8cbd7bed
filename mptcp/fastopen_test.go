package mptcp

import (
	"fmt"
	"testing"

	"mptcplab/mptcp/internal/kit"
	"mptcplab/mptcp/wire"
)

// fastOpenHost sends and takes Fast Open.
func fastOpenHost(cfg Config) HostConfig {
	h := scriptHost
	h.Default = cfg
	h.Sysctl.FastOpen = FastOpenClient | FastOpenServer | FastOpenServerAnySockets
	return h
}

// LC-54: "The sum of the MPTCP and TFO options" and all others fits into 40 octets, in
// each combination: "the listener can reduce the amount of space used by other TCP options
// by omitting the TCP timestamps" (https://www.rfc-editor.org/rfc/rfc8684#appendix-B.1).
func TestFastOpenOptionSpace(t *testing.T) {
	const most = 40
	for _, n := range []int{0, 4, 6, 8, 10, 12, 14, 16} { // of the cookie
		for bits := range 32 {
			exp, noTS, noSACK, noScale, plain := bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0, bits&16 != 0
			var cfg Config
			cfg.PlainTCP = plain
			cfg.TCP.NoTimestamps, cfg.TCP.NoSACK, cfg.TCP.NoWindowScaling = noTS, noSACK, noScale
			name := fmt.Sprintf("cookie %d exp %v, without TS %v SACK %v scale %v, plain %v", n, exp, noTS, noSACK, noScale, plain)

			// The client's SYN, with the cookie from the cache.
			p := newPeer(t, fastOpenHost(cfg))
			d := p.s.peers.make(hostPair{addr("10.0.1.1"), addr("10.0.1.2")})
			d.cookie.Len, d.cookie.Exp = n, exp
			if n == 0 && exp {
				d.tryExp, d.cookie.Exp = 1, false
			}
			if _, _, err := p.s.DialFastOpen(p.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"), []byte("data")); err != nil {
				t.Fatal(err)
			}
			s := p.next()
			o := &s.Options
			if o.Len() > most || o.Has&wire.HasFastOpen == 0 || o.FastOpen.Len != n || o.FastOpen.Exp != exp ||
				o.Has&wire.HasMPCapable == 0 != plain || o.Has&wire.HasMSS == 0 || o.Has&wire.HasSACKPermitted == 0 != noSACK {
				t.Errorf("%s: SYN %s", name, s.String())
			}
			if room := o.Len() + wire.TimestampsLen - 4; o.Has&wire.HasTimestamps == 0 && !noTS && !noSACK && room <= most {
				t.Errorf("%s: timestamps would fit: %s", name, s.String())
			}
			if want := 4; (n == 0) == (len(s.Payload) == want) {
				t.Errorf("%s: %d bytes in the SYN", name, len(s.Payload))
			}

			// The server's SYN/ACK, which gives a cookie of 8 octets.
			p = newPeer(t, fastOpenHost(cfg))
			if _, err := p.s.Listen(nil, addrPort("10.0.1.1:80")); err != nil {
				t.Fatal(err)
			}
			x := p.side("10.0.1.2:5000", "10.0.1.1:80")
			syn := usualSYN(wire.Options{})
			if !plain {
				syn = usualSYN(capable(wire.CapSHA256))
			}
			syn.Has |= wire.HasFastOpen
			syn.FastOpen.Exp = exp
			x.put(wire.SYN, syn, "")
			sa := x.get()
			o = &sa.Options
			if o.Len() > most || o.Has&wire.HasFastOpen == 0 || o.FastOpen.Len != 8 || o.FastOpen.Exp != exp || o.Has&wire.HasMPCapable == 0 != plain {
				t.Errorf("%s: SYN/ACK %s", name, sa.String())
			}
		}
	}
}

// Bytes of the SYN that the peer took have no data sequence number, also with checksums:
// they are in nobody's sum (RFC 8684, B.2). Both ends are ours.
func TestFastOpenTransfer(t *testing.T) {
	for _, v := range []struct {
		name            string
		checksum, plain bool
		refuse          bool // the server does not take data in SYNs
	}{{name: "MPTCP"}, {name: "checksums", checksum: true}, {name: "TCP", plain: true},
		{name: "refused", refuse: true}, {name: "refused, checksums", refuse: true, checksum: true}} {
		t.Run(v.name, func(t *testing.T) {
			h := fastOpenHost(Config{PlainTCP: v.plain, ChecksumEnabled: v.checksum})
			w := newTwins(t, Config{PlainTCP: v.plain, ChecksumEnabled: v.checksum})
			*w.hosts[0].Sysctl(), *w.hosts[1].Sysctl() = h.Sysctl, h.Sysctl
			w.ln.SetFastOpen(10)
			for i := range 2 { // the first asks for a cookie
				if v.refuse && i == 1 {
					w.ln.SetFastOpen(0)
				}
				text := make([]byte, 3000)
				kit.Fill(text, 7)
				c, n, err := w.hosts[0].DialFastOpen(w.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"), text)
				if err != nil || (n > 0) != (i == 1) {
					t.Fatalf("connection %d: %d bytes, %v", i, n, err)
				}
				w.exchange()
				s, ok := w.ln.Accept()
				if !ok {
					t.Fatal("nothing to accept")
				}
				if _, err := c.Write(text[n:], false); err != nil {
					t.Fatal(err)
				}
				w.exchange()
				got := make([]byte, 4000)
				if k, _ := s.Read(got); string(got[:k]) != string(text) {
					t.Fatalf("connection %d: %d bytes arrive, or others", i, k)
				}
				if _, err := s.Write(text, false); err != nil {
					t.Fatal(err)
				}
				w.exchange()
				if k, _ := c.Read(got); string(got[:k]) != string(text) {
					t.Fatalf("connection %d: %d bytes come back, or others", i, k)
				}
				in := c.Info(w.now)
				if in.MPTCP == v.plain || in.Checksum != v.checksum || in.BytesAcked != 3000 {
					t.Errorf("connection %d: %+v", i, in)
				}
				c.Close()
				s.Close()
				w.exchange()
				if !c.Done() || !s.Done() || c.Err() != nil {
					t.Errorf("connection %d: done %v and %v, %v", i, c.Done(), s.Done(), c.Err())
				}
			}
			a, b := w.hosts[0].counters, w.hosts[1].counters
			taken := uint64(1)
			if v.refuse {
				taken = 0
			}
			if a.TcpExtTCPFastOpenActive != taken || a.TcpExtTCPFastOpenActiveFail != 1-taken || b.TcpExtTCPFastOpenPassive != taken || b.TcpExtTCPFastOpenCookieReqd != 1 {
				t.Errorf("%d %d %d %d", a.TcpExtTCPFastOpenActive, a.TcpExtTCPFastOpenActiveFail, b.TcpExtTCPFastOpenPassive, b.TcpExtTCPFastOpenCookieReqd)
			}
		})
	}
}

// PendingFastOpenRequests: "If this variable goes over a preset system limit, the server
// MUST disable TFO for all new connection requests"
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.1.2); one that was accepted and reset
// counts for a minute more.
func TestFastOpenPending(t *testing.T) {
	p := newPeer(t, fastOpenHost(Config{PlainTCP: true}))
	ln, _ := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	ln.SetFastOpen(2)
	o := usualSYN(wire.Options{})
	o.Has |= wire.HasFastOpen
	o.FastOpen = cookie(ln.fastOpenKeys().Keys[0], addr("10.0.1.2"), addr("10.0.1.1"))
	open := func(i int) (*side, bool) {
		x := p.client(i)
		x.put(wire.SYN, o, "abc")
		s := x.get()
		return x, s.Ack == peerISS+4
	}
	a, first := open(0)
	_, second := open(1)
	if _, third := open(2); !first || !second || third {
		t.Fatalf("%v %v %v", first, second, third)
	}
	if n := p.s.counters.TcpExtTCPFastOpenListenOverflow; n != 1 {
		t.Errorf("%d overflows", n)
	}
	ln.Accept()
	a.put(wire.RST, wire.Options{}, "")
	if _, ok := open(3); ok {
		t.Error("a connection that was reset makes room at once")
	}
	p.wait(resetMemory + 1)
	p.flush()
	if _, ok := open(4); !ok {
		t.Error("it makes none after a minute")
	}
}

// The destination cache is bounded; the oldest goes first.
func TestDestinationsAreBounded(t *testing.T) {
	var d destinations
	at := addr("10.0.0.0")
	for i := range maxDestinations + 10 {
		d.make(hostPair{addr("10.1.1.1"), at}).mss = i
		at = at.Next()
	}
	if len(d.known) != maxDestinations || d.get(hostPair{addr("10.1.1.1"), addr("10.0.0.9")}) != nil {
		t.Errorf("%d peers", len(d.known))
	}
	if e := d.get(hostPair{addr("10.1.1.1"), addr("10.0.0.10")}); e == nil || e.mss != 10 {
		t.Error("a peer is lost")
	}
}

// SipHash-2-4: the vector of its authors, with a key and a message of 00 01 02 ...
func TestSipHash(t *testing.T) {
	var key [16]byte
	msg := make([]byte, 15)
	for i := range key {
		key[i] = byte(i)
	}
	for i := range msg {
		msg[i] = byte(i)
	}
	if h := wire.SipHash(key, msg); h != 0xa129ca6149be45e5 {
		t.Errorf("%#x", h)
	}
}
