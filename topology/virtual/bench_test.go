package virtual

import (
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/topology"
)

// A source sends one packet each interval, without allocating; a sink (interval
// 0) counts.
type source struct {
	interval, next clock.Instant
	pkt            []byte
	owed, got      int
}

func (s *source) Input(clock.Instant, machine.Meta, []byte) { s.got++ }
func (s *source) Advance(now clock.Instant) {
	for s.next <= now {
		s.owed++
		s.next += s.interval
	}
}
func (s *source) Deadline() clock.Instant              { return s.next }
func (s *source) SetWritable(_ machine.LinkID, _ bool) {}
func (s *source) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	if s.owed == 0 {
		return machine.Meta{}, 0, false
	}
	s.owed--
	return machine.Meta{}, copy(buf, s.pkt), true
}

func flood(t testing.TB) (*Lab, *source) {
	topo := handover()
	cfg := impairments.Config{Rate: 1_000_000_000, Delay: 5 * time.Millisecond, Loss: impairments.Loss{Random: impairments.Chance{P: 0.001}}}
	impair(topo, "wifi", cfg, cfg)
	phone := &source{interval: 13_000, pkt: packet("10.0.1.1", "10.0.3.2", 1, 1448)}
	server := &source{next: clock.Never}
	lab, err := Build(topo, Options{Seed: 1, Host: func(n *topology.Node) machine.Machine {
		if n.Name == "phone" {
			return phone
		}
		return server
	}})
	if err != nil {
		t.Fatal(err)
	}
	return lab, server
}

// The simulator allocates nothing for a packet.
func TestLabAllocates(t *testing.T) {
	lab, server := flood(t)
	step := func() {
		if err := lab.Run(lab.Now() + 13_000); err != nil {
			t.Fatal(err)
		}
	}
	for range 3000 {
		step()
	}
	if n := testing.AllocsPerRun(2000, step); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if server.got < 4000 {
		t.Errorf("%d packets arrived", server.got)
	}
}

// BenchmarkLab sends full packets from a host over a wire, a router and another
// wire to a host.
func BenchmarkLab(b *testing.B) {
	lab, server := flood(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := lab.Run(lab.Now() + 13_000); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(server.got)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(lab.Now().Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
}
