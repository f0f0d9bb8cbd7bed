package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// A middlebox that adds bytes moves all numbers behind them. The infinite mapping that
// answers MP_FAIL then names numbers that the receiver does not know: it means the
// segment that carries it.
//
// "The sender no longer knows what subflow-level sequence number the receiver is
// genuinely operating at (the middlebox will be faking ACKs in return)"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func TestInfiniteMappingBehindInsertedBytes(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	x.putAt(0, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "abc")
	x.putAt(3, withChecksum(mapped(key, 0, 3, 3, 3), "def"), "dXX")
	x.putAt(6, withChecksum(mapped(key, 0, 3, 3, 3), "def"), "Xef") // three bytes more than the peer sent
	x.putAt(9, withChecksum(mapped(key, 0, 6, 6, 3), "ghi"), "ghi")
	if got := p.read(c); got != "abc" {
		t.Fatalf("read %q", got)
	}
	inf := mapped(key, 0, 3, 9, 0)
	inf.DSS.HasChecksum = true
	x.putAt(12, inf, "def")
	x.putAt(15, wire.Options{}, "ghi")
	if got := p.read(c); got != "defghi" {
		t.Fatalf("read %q", got)
	}
	p.expectCounters(map[string]uint64{"DataCsumErr": 1, "MPFailTx": 1, "InfiniteMapRx": 1, "DssFallback": 1, "DSSNoMatchTCP": 0})
}

// A full segment leaves room for the infinite mapping that it carries; those behind it
// are full without.
func TestInfiniteMappingFitsTheMTU(t *testing.T) {
	w := newWorld(t, 1, HostConfig{Default: Config{ChecksumEnabled: true}}, HostConfig{Default: Config{ChecksumEnabled: true}}, 5)
	longest, broken, full := 0, 0, 0
	w.pipes[0].filter = func(s *wire.Segment) bool {
		if n := len(s.Payload); n > 0 {
			if broken++; broken == 20 {
				s.Payload[n/2] ^= 1
			}
			full = max(full, n)
			longest = max(longest, len(wire.AppendPacket(nil, s)))
		}
		return true
	}
	p := w.connect(500_000, 0, "", "10.0.1.2:80")
	p.finish(20 * time.Second)
	if longest != defaultMTU {
		t.Errorf("the longest packet has %d bytes, want %d", longest, defaultMTU)
	}
	if n := w.hosts[0].counters.MPTcpExtInfiniteMapTx; n != 1 {
		t.Errorf("%d infinite mappings, want 1", n)
	}
	if full != defaultMTU-52 {
		t.Errorf("segments behind it have %d bytes, want %d", full, defaultMTU-52)
	}
}

// Data in mid-life that is acknowledged without MPTCP ends MPTCP on the only subflow,
// or a stream that goes one way would wait for its DATA_ACK for ever; an ACK that
// carries another signal in the place of the DSS does not.
//
// "If, however, an ACK is received for data (not just for the SYN) without a DSS option
// containing a Data ACK, the sender determines that the path is not MPTCP capable."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func TestAcknowledgedWithoutDSS(t *testing.T) {
	for _, signal := range []bool{false, true} {
		p := newPeer(t, scriptHost)
		x, c, key := p.accepted(wire.CapSHA256)
		write := func(text string) wire.Segment {
			t.Helper()
			if _, err := c.Write([]byte(text), false); err != nil {
				t.Fatal(err)
			}
			for p.drain(); len(p.out) > 0; {
				if s := p.next(); string(s.Payload) == text {
					return s
				}
			}
			t.Fatalf("%q was not sent", text)
			return wire.Segment{}
		}
		ack := func(o wire.Options, n int) {
			x.ack = c.subflows[0].tcp.ISS().Add(1 + n)
			x.put(wire.ACK, o, "")
		}
		write("abc")
		ack(dataAck(key, 3), 3)
		write("def")
		o := wire.Options{}
		if signal {
			o.Has = wire.HasMPPrio
		}
		ack(o, 6)
		s := write("ghi")
		if d := s.Options.DSS; !d.HasMap || (d.DataLen == 3) != signal || c.Info(p.now).Fallback == signal {
			t.Errorf("signal %v: %s, %+v", signal, s.String(), c.Info(p.now))
		}
		if !signal {
			p.expectCounters(map[string]uint64{"DssFallback": 1})
		}
	}
}

// Once there was a second subflow nobody can fall back: then the first one is closed. What
// would be sent again on it for want of a DATA_ACK a peer that has become a byte stream
// would take for new.
func TestAcknowledgedWithoutDSSAfterJoin(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	p.joined(c, key, 3).put(wire.RST|wire.ACK, wire.Options{}, "")
	p.flush()
	for n := 3; n <= 6; n += 3 {
		c.Write([]byte("abc"), false)
		p.flush()
		x.ack = c.subflows[0].tcp.ISS().Add(1 + n)
		o := dataAck(key, n)
		if n == 6 {
			o = wire.Options{}
		}
		x.put(wire.ACK, o, "")
	}
	s := p.next()
	if s.Flags&wire.RST == 0 || s.Options.Has&wire.HasMPTCPRst == 0 || s.Options.MPTCPRst.Reason != wire.RstMiddlebox || c.Info(p.now).Fallback {
		t.Errorf("%s, %+v", s.String(), c.Info(p.now))
	}
}

// Bytes that were dropped for lying outside the window leave a hole that only mappings
// can tell of: no fallback any more.
func TestNoFallbackOverDroppedBytes(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256)
	x.put(wire.ACK, mapped(key, 0, 0, 0, 3), "abc")
	x.put(wire.ACK, mapped(key, 0, 1<<30, 3, 3), "xyz")
	x.put(wire.ACK, wire.Options{}, "def")
	if got := p.read(c); got != "abc" || c.Info(p.now).Fallback {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
}

// Linux answers MP_FAIL with plain TCP from where it stands. What was discarded is
// missing then: its ACKs without DSS are no reason to go on behind the hole.
func TestNoFallbackOverDiscardedBytes(t *testing.T) {
	p := newPeer(t, scriptHost)
	x, c, key := p.accepted(wire.CapSHA256 | wire.CapChecksum)
	x.putAt(0, withChecksum(mapped(key, 0, 0, 0, 3), "abc"), "aXc")
	if _, err := c.Write([]byte("uvw"), false); err != nil {
		t.Fatal(err)
	}
	p.drain()
	x.ack = c.subflows[0].tcp.ISS().Add(4)
	x.putAt(3, wire.Options{}, "def")
	if got := p.read(c); got != "" || c.Info(p.now).Fallback {
		t.Errorf("read %q, %+v", got, c.Info(p.now))
	}
	p.expectCounters(map[string]uint64{"DataCsumErr": 1, "DssFallback": 0})
}
