package mptcp

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// cookieHost answers every SYN with a cookie.
func cookieHost() HostConfig {
	h := scriptHost
	h.Sysctl.SYNCookies = alwaysCookies
	return h
}

// synOptions are those of a usual SYN.
func usualSYN(o wire.Options) wire.Options {
	o.Has |= wire.HasMSS | wire.HasSACKPermitted | wire.HasTimestamps | wire.HasWScale
	o.MSS, o.TSVal, o.WScale = 1460, 1000, 7
	return o
}

// stamped adds timestamps that answer s.
func stamped(o wire.Options, s *wire.Segment) wire.Options {
	o.Has |= wire.HasTimestamps
	o.TSVal, o.TSEcr = 1001, s.Options.TSVal
	return o
}

// A SYN that is answered with a cookie leaves nothing behind, and all of it that
// matters comes back with the third ACK.
func TestSYNCookie(t *testing.T) {
	for _, v := range []struct {
		name string
		syn  wire.Options
		opts uint8 // TCPI_OPT_*
		mss  int
	}{
		{"all options", usualSYN(wire.Options{}), 7, 1448},
		{"no timestamps", wire.Options{Has: wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted, MSS: 1400, WScale: 7}, 0, 1300},
		{"no SACK", wire.Options{Has: wire.HasMSS | wire.HasTimestamps | wire.HasWScale, MSS: 1445, WScale: 3, TSVal: 5}, 5, 1428},
		{"no scale", wire.Options{Has: wire.HasTimestamps, TSVal: 5}, 1, 524},
	} {
		t.Run(v.name, func(t *testing.T) {
			h := cookieHost()
			h.Default.PlainTCP = true
			p := newPeer(t, h)
			p.wait(12345 * time.Millisecond)
			ln, _ := p.s.Listen(nil, addrPort("10.0.1.1:80"))
			x := p.side("10.0.1.2:5000", "10.0.1.1:80")
			x.put(wire.SYN, v.syn, "")
			sa := x.get()
			if len(p.s.flows) != 0 || ln.half != 0 || p.s.Deadline() != clock.Never {
				t.Fatal("the SYN was kept")
			}
			var o wire.Options
			if v.syn.Has&wire.HasTimestamps != 0 {
				o = stamped(o, &sa)
			}
			x.put(wire.ACK, o, "abc")
			c, ok := ln.Accept()
			if !ok {
				t.Fatal("nothing to accept")
			}
			in := c.Info(p.now).Subflows[0].TCP
			if got := p.read(c); got != "abc" || in.Options != v.opts || in.SndMSS != v.mss || v.opts&4 != 0 && in.SndWScale != v.syn.WScale {
				t.Errorf("read %q, options %d, MSS %d, scale %d", got, in.Options, in.SndMSS, in.SndWScale)
			}
			n := p.s.counters
			if n.TcpExtSyncookiesSent != 1 || n.TcpExtSyncookiesRecv != 1 || n.TcpExtSyncookiesFailed != 0 {
				t.Errorf("counters %d %d %d", n.TcpExtSyncookiesSent, n.TcpExtSyncookiesRecv, n.TcpExtSyncookiesFailed)
			}
		})
	}
}

// What is no cookie, or an old one, is answered by RST; without a flood none is looked for.
func TestSYNCookieRefused(t *testing.T) {
	p := newPeer(t, cookieHost())
	ln, _ := p.s.Listen(nil, addrPort("10.0.1.1:80"))
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.ACK, wire.Options{}, "")
	if s := x.get(); s.Flags != wire.RST || p.s.counters.TcpExtSyncookiesFailed != 0 {
		t.Errorf("before any flood: %s", s.String())
	}
	x.put(wire.SYN, usualSYN(wire.Options{}), "")
	sa := x.get()
	good := x.ack
	for name, spoil := range map[string]func(){
		"another sequence number": func() { x.ack++ },
		"another port":            func() { x.local = netip.AddrPortFrom(x.local.Addr(), 5001) },
		"too late":                func() { p.wait(3 * time.Minute) },
	} {
		if name == "too late" {
			continue // last: below
		}
		spoil()
		x.put(wire.ACK, stamped(wire.Options{}, &sa), "")
		if s := p.next(); s.Flags != wire.RST {
			t.Errorf("%s: %s", name, s.String())
		}
		x.ack, x.local = good, addrPort("10.0.1.2:5000")
	}
	if n := p.s.counters.TcpExtSyncookiesFailed; n != 2 {
		t.Errorf("%d failures counted", n)
	}
	p.wait(3 * time.Minute)
	x.put(wire.ACK, stamped(wire.Options{}, &sa), "")
	if s := p.next(); s.Flags != wire.RST {
		t.Errorf("an old cookie: %s", s.String())
	}
	if _, ok := ln.Accept(); ok {
		t.Error("a connection from nothing")
	}
}

// CAP-06: the key of a stateless server is made "in a verifiable fashion": the third ACK
// must bring back one that it gave.
func TestSYNCookieMPTCP(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		p := newPeer(t, cookieHost())
		ln, _ := p.s.Listen(nil, addrPort("10.0.1.1:80"))
		x := p.side("10.0.1.2:5000", "10.0.1.1:80")
		x.put(wire.SYN, usualSYN(capable(wire.CapSHA256)), "")
		sa := x.get()
		key := sa.Options.MPCapable.SenderKey
		if sa.Options.Has&wire.HasMPCapable == 0 || len(p.s.tokens) != 0 || len(p.s.flows) != 0 {
			t.Fatalf("SYN/ACK: %s; %d tokens", sa.String(), len(p.s.tokens))
		}
		if wrong {
			key++
		}
		x.put(wire.ACK, stamped(capable(wire.CapSHA256, peerKey, key), &sa), "")
		c, ok := ln.Accept()
		if !ok {
			t.Fatal("nothing to accept")
		}
		if in := c.Info(p.now); in.MPTCP == wrong || in.Fallback != wrong {
			t.Fatalf("wrong key %v: %+v", wrong, in)
		}
		if wrong {
			continue
		}
		x.put(wire.ACK, stamped(mapped(key, 0, 0, 0, 3), &sa), "abc")
		if got := p.read(c); got != "abc" {
			t.Errorf("read %q", got)
		}
		// A join needs state and has it, in bounds.
		p.flush()
		y := p.side("10.0.2.2:6000", "10.0.1.1:80")
		y.put(wire.SYN, joinSYN(wire.Token(key), 3, false), "")
		j := y.get().Options.MPJoin
		y.put(wire.ACK, joinACK(key, j.Nonce), "")
		if n := len(c.Info(p.now).Subflows); n != 2 {
			t.Errorf("%d subflows", n)
		}
	}
}

// CAP-07: "if uniqueness is not met and there is no way to generate an alternative
// verifiable key, then the connection MUST fall back to using regular TCP by not sending
// an MP_CAPABLE in the SYN/ACK" (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func TestSYNCookieTokenTaken(t *testing.T) {
	p := newPeer(t, cookieHost())
	p.s.Listen(nil, addrPort("10.0.1.1:80"))
	r := &request{local: addrPort("10.0.1.1:80"), remote: addrPort("10.0.1.2:5000"), syn: synRecord{seq: peerISS}}
	for try := range keyTries {
		if try == keyTries-1 {
			x := p.side("10.0.1.2:5000", "10.0.1.1:80")
			x.put(wire.SYN, capable(wire.CapSHA256), "")
			if sa := x.get(); sa.Options.MPCapable.SenderKey != p.s.verifiableKey(r, try) {
				t.Fatalf("the last free key is not taken: %s", sa.String())
			}
		}
		p.s.tokens[wire.Token(p.s.verifiableKey(r, try))] = nil
	}
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	if sa := x.get(); sa.Options.Has&wire.HasMPCapable != 0 || sa.Flags != wire.SYN|wire.ACK {
		t.Errorf("%s", sa.String())
	}
	p.expectCounters(map[string]uint64{"MPFallbackTokenInit": 1})
}

// CAP-05: a stateful server draws again until the token is free.
func TestTokenCollision(t *testing.T) {
	p := newPeer(t, scriptHost)
	p.s.Listen(nil, addrPort("10.0.1.1:80"))
	taken := wire.Token(p.s.draw("key", 1, 0))
	p.s.tokens[taken] = nil
	x := p.side("10.0.1.2:5000", "10.0.1.1:80")
	x.put(wire.SYN, capable(wire.CapSHA256), "")
	if sa := x.get(); sa.Options.MPCapable.SenderKey != p.s.draw("key", 1, 1) {
		t.Errorf("%s", sa.String())
	}
}
