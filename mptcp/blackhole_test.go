package mptcp

import (
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// dial sends a SYN to the peer and says whether it asks for MPTCP.
func (p *peer) asks() (x *side, c *Conn, asks bool) {
	p.t.Helper()
	c, err := p.s.Dial(p.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		p.t.Fatal(err)
	}
	s := p.next()
	x = p.side("10.0.1.2:80", s.Src.String())
	x.irs, x.ack = s.Seq, s.Seq.Add(1)
	return x, c, s.Options.Has&wire.HasMPCapable != 0
}

// A path that swallows SYNs with MP_CAPABLE but not those without stops MPTCP for an hour,
// each time in a row twice as long up to 64 hours, until MPTCP works (Linux,
// net.mptcp.blackhole_timeout).
func TestBlackholeGrows(t *testing.T) {
	h := scriptHost
	h.Default.TCP.TimeWait = time.Second
	p := newPeer(t, h)
	// hole loses the SYNs that ask, and answers the first that does not.
	hole := func() {
		t.Helper()
		x, c, asks := p.asks()
		if !asks {
			t.Fatal("not even tried")
		}
		for asks {
			p.wait(p.s.Deadline().Sub(p.now))
			s := p.next()
			asks = s.Options.Has&wire.HasMPCapable != 0
		}
		x.put(wire.SYN|wire.ACK, wire.Options{}, "")
		if in := c.Info(p.now); !in.Fallback || in.FallbackReason != reasonSYNUnanswered.String() {
			t.Fatalf("%+v", in)
		}
		c.Abort()
		p.flush()
	}
	refused := func() bool {
		x, _, asks := p.asks()
		x.put(wire.RST|wire.ACK, wire.Options{}, "")
		p.flush()
		return !asks
	}
	for i := range 9 {
		hole()
		pause := time.Hour << min(i, 6)
		p.wait(pause - time.Minute)
		if !refused() {
			t.Errorf("time %d: MPTCP is tried after less than %v", i+1, pause)
		}
		p.wait(time.Minute)
	}
	p.expectCounters(map[string]uint64{"Blackhole": 9, "MPCapableSYNTXDrop": 9, "MPCapableSYNTXDisabled": 9})

	x, c, asks := p.asks()
	if !asks {
		t.Fatal("MPTCP is not tried when the time is over")
	}
	x.put(wire.SYN|wire.ACK, capable(wire.CapSHA256, peerKey), "")
	if !c.Info(p.now).MPTCP {
		t.Fatal("no MPTCP")
	}
	c.Abort()
	p.flush()
	hole()
	p.wait(time.Hour)
	if refused() {
		t.Error("after MPTCP worked the pause begins with an hour again")
	}
}

// Whoever is refused or never answered does not count, and a timeout of 0 is none.
func TestBlackholeIsNotRefusal(t *testing.T) {
	h := scriptHost
	h.Default.TCP.SYNRetries = 1
	p := newPeer(t, h)
	p.asks() // no answer at all
	p.wait(time.Minute)
	p.flush()
	p.expectCounters(map[string]uint64{"Blackhole": 0, "MPCapableSYNTXDrop": 1})
	if x, _, asks := p.asks(); !asks {
		t.Error("a host that is down is no black hole")
	} else {
		x.put(wire.RST|wire.ACK, wire.Options{}, "")
	}

	h = scriptHost
	h.Sysctl.BlackholeTimeout = -1
	p = newPeer(t, h)
	x, _, _ := p.asks()
	p.wait(10 * time.Second)
	p.flush()
	x.put(wire.SYN|wire.ACK, wire.Options{}, "")
	p.flush()
	if _, _, asks := p.asks(); !asks {
		t.Error("blackhole_timeout=0")
	}
	p.expectCounters(map[string]uint64{"Blackhole": 0, "MPCapableSYNTXDrop": 1})
}
