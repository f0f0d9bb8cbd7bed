package mptcp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// halfway is a transfer over two paths that is under way.
func halfway(t *testing.T) (*world, *pair) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	for i := range 2 {
		w.link(i, func(p *pipe) { p.rate, p.queue, p.delay = 1_250_000, 125_000, 10*time.Millisecond })
	}
	p := w.connect(3_000_000, 3_000_000, "10.0.1.1:0", "10.0.1.2:80")
	w.run(time.Second, func() bool { return false })
	if p.server == nil || len(p.client.c.subflows) != 2 {
		t.Fatalf("no two subflows: %s", p.state())
	}
	return w, p
}

// TestDiag: both ends' dumps agree with each other and with the connection, and
// their text is ss's.
func TestDiag(t *testing.T) {
	w, p := halfway(t)
	c, s := p.client.c.Diag(w.now), p.server.c.Diag(w.now)
	if len(c.Subflows) != 2 || len(s.Subflows) != 2 || c.MPTCP.Subflows != 1 || c.MPTCP.SubflowsTotal != 2 {
		t.Fatalf("subflows: %+v", c)
	}
	for i, want := range [][2]string{{"mec", "Mec"}, {"jec", "Jec"}} {
		a, b := &c.Subflows[i], &s.Subflows[i]
		if strings.TrimSuffix(a.FlagLetters, "v") != want[0] || strings.TrimSuffix(b.FlagLetters, "v") != want[1] {
			t.Errorf("flags %s and %s, want %v", a.FlagLetters, b.FlagLetters, want)
		}
		if a.TokenLoc != b.TokenRem || a.TokenRem != b.TokenLoc || a.TokenLoc == 0 || a.TokenRem == 0 || a.TokenLoc == a.TokenRem {
			t.Errorf("tokens %x %x, %x %x", a.TokenLoc, a.TokenRem, b.TokenLoc, b.TokenRem)
		}
		if a.IDLoc != b.IDRem || a.IDRem != b.IDLoc || a.Local != b.Remote || a.Remote != b.Local {
			t.Errorf("addresses: %+v %+v", a, b)
		}
		if a.State != "ESTAB" || a.Dev != []string{"link1", "link2"}[i] {
			t.Errorf("state %s dev %s", a.State, a.Dev)
		}
	}
	if a, b := c.MPTCP, s.MPTCP; a.BytesAcked > b.BytesReceived || a.BytesSent < b.BytesReceived || b.RcvNxt < a.SndUna || b.RcvNxt > a.WriteSeq ||
		a.BytesReceived == 0 || b.BytesReceived == 0 || a.Flags != InfoRemoteKeyReceived {
		t.Errorf("client %+v\nserver %+v", *a, *b)
	}
	var b strings.Builder
	all := w.hosts[1].Diag(w.now)
	if err := WriteSS(&b, all); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(all) != 2 || all[0].State != "LISTEN" || !strings.HasPrefix(lines[1], "mptcp LISTEN") || !strings.HasPrefix(lines[2], "mptcp ESTAB") {
		t.Errorf("text: %s", b.String())
	}
	for _, want := range []string{" subflows:1", " remote_key token:", " subflows_total:2", "%link2:80 10.0.2.1:", "tcp-ulp-mptcp flags:Jec", " cwnd:"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
	if js, err := json.Marshal(all[1]); err != nil || !strings.Contains(string(js), `"mptcpi_subflows":1`) {
		t.Errorf("JSON %s %v", js, err)
	}
	p.finish(time.Minute)
}

// TestDiagFallback: a connection that fell back says so.
func TestDiagFallback(t *testing.T) {
	w := newWorld(t, 1, HostConfig{}, HostConfig{Default: Config{PlainTCP: true}}, 1)
	p := w.connect(1000, 1000, "", "10.0.1.2:80")
	w.run(time.Second, func() bool { return p.client.got == 1000 })
	d := p.client.c.Diag(w.now)
	if d.MPTCP.Flags != InfoFallback || d.Reason == "" || d.MPTCP.Subflows != 0 {
		t.Errorf("%+v %+v", d, *d.MPTCP)
	}
	if d := p.server.c.Diag(w.now); d.MPTCP != nil || d.Proto != "tcp" {
		t.Errorf("the TCP socket: %+v", d)
	}
}

// TestSubflowOptions: an option of one subflow changes its packets alone; one of the
// connection reaches all.
func TestSubflowOptions(t *testing.T) {
	w, p := halfway(t)
	c := p.client.c
	var seen [2][256]int
	for i := range 2 {
		w.link(i, func(pp *pipe) {
			if pp.to != 1 {
				return
			}
			pp.filter = func(s *wire.Segment) bool { seen[i][s.TOS]++; return true }
		})
	}
	cfg, ok := c.SubflowConfig(1)
	if !ok {
		t.Fatal("no subflow 1")
	}
	cfg.TOS, cfg.Mark = 0x20, 7
	if err := c.RetuneSubflow(1, &cfg); err != nil {
		t.Fatal(err)
	}
	w.run(200*time.Millisecond, func() bool { return false })
	if seen[0][0] == 0 || seen[0][0x20] != 0 || seen[1][0x20] == 0 {
		t.Errorf("TOS of one subflow: path 0 %d with 0, %d with 0x20; path 1 %d with 0x20", seen[0][0], seen[0][0x20], seen[1][0x20])
	}
	if d := c.Diag(w.now); d.Subflows[0].Mark != 0 || d.Subflows[1].Mark != 7 {
		t.Errorf("marks %d %d", d.Subflows[0].Mark, d.Subflows[1].Mark)
	}
	all := *c.cfg
	all.TCP.TOS = 0x40
	c.Retune(&all)
	w.mutated()
	w.run(200*time.Millisecond, func() bool { return false })
	if seen[0][0x40] == 0 || seen[1][0x40] == 0 {
		t.Error("the connection's TOS did not reach both subflows")
	}
	if d := c.Diag(w.now); d.Subflows[1].Mark != 0 {
		t.Error("the connection's word came last and did not count")
	}
	if err := c.RetuneSubflow(5, &tcp.Config{}); err != ErrNotConnected {
		t.Errorf("subflow 5: %v", err)
	}
}

// TestTCPCounters: what the two stacks counted agrees with what the pipes saw.
func TestTCPCounters(t *testing.T) {
	w := newWorld(t, 2, twoPaths(Config{}), acceptor(Config{}), 1)
	lost := 0
	for i := range 2 {
		w.link(i, func(p *pipe) {
			p.rate, p.queue, p.delay = 1_250_000, 125_000, 10*time.Millisecond
			n := 0
			p.filter = func(s *wire.Segment) bool {
				if n++; n%100 == 0 {
					lost++
					return false
				}
				return true
			}
		})
	}
	p := w.connect(1_000_000, 1_000_000, "10.0.1.1:0", "10.0.1.2:80")
	p.finish(time.Minute)
	c, s := w.hosts[0].counters, w.hosts[1].counters
	if c.TcpActiveOpens != 2 || s.TcpPassiveOpens != 2 || c.TcpPassiveOpens+s.TcpActiveOpens != 0 {
		t.Errorf("opens: %d active, %d passive", c.TcpActiveOpens, s.TcpPassiveOpens)
	}
	if int(c.TcpOutSegs+s.TcpOutSegs-c.TcpInSegs-s.TcpInSegs) != lost || lost == 0 {
		t.Errorf("%d + %d out, %d + %d in, %d lost", c.TcpOutSegs, s.TcpOutSegs, c.TcpInSegs, s.TcpInSegs, lost)
	}
	if c.TcpRetransSegs == 0 || s.TcpRetransSegs == 0 || c.TcpRetransSegs+s.TcpRetransSegs > uint64(3*lost) {
		t.Errorf("sent again: %d and %d of %d lost", c.TcpRetransSegs, s.TcpRetransSegs, lost)
	}
	if c.TcpInErrs+s.TcpInErrs+c.TcpOutRsts+s.TcpOutRsts+c.TcpEstabResets+s.TcpEstabResets != 0 {
		t.Errorf("client %+v\nserver %+v", c, s)
	}
	if _, err := w.hosts[0].Dial(w.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:81")); err != nil {
		t.Fatal(err)
	}
	w.onStep = func() {}
	w.mutated()
	w.run(time.Second, func() bool { return false })
	if c, s := w.hosts[0].counters, w.hosts[1].counters; c.TcpAttemptFails != 1 || s.TcpOutRsts != 1 || c.TcpEstabResets != 0 {
		t.Errorf("a connection refused: %d fails, %d RSTs", c.TcpAttemptFails, s.TcpOutRsts)
	}
}
