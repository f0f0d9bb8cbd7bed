package plots

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
)

// synth writes packets of a download over Wi-Fi and LTE that loses its Wi-Fi at
// 1 s and has it back at 3 s, as a stack would send them: a queue of segments
// per path at the path's rate, a time-out, reinjections. It is no stack, but all
// figures are drawn from what it puts on the wire.
type synth struct {
	w        *result.RunWriter
	o        *observe.Observer
	run      string
	mptcp    bool
	now      clock.Instant
	pending  []arrival // in order of time
	buf      []byte
	payload  [1400]byte
	rcvd     map[int64]bool
	rcvNxt   int64
	ssn, una [2]int64
	inflight [2][]int64 // offsets by path, until acknowledged
}

type arrival struct {
	at   clock.Instant
	path int
	off  int64
}

var (
	client = [2]netip.AddrPort{netip.MustParseAddrPort("10.0.1.1:40000"), netip.MustParseAddrPort("10.0.2.1:40001")}
	server = netip.MustParseAddrPort("10.0.3.2:80")
	ifaces = [2]string{"phone.wifi", "phone.lte"}
	rates0 = [2]float64{20e6, 10e6}
	delay0 = [2]time.Duration{60 * time.Millisecond, 90 * time.Millisecond}
)

const keyA, keyB = 11, 22

func (s *synth) packet(src, dst netip.AddrPort, at clock.Instant, path int, leave, arrive bool, g wire.Segment) {
	g.Src, g.Dst, g.TTL, g.Window = src, dst, 64, 65535
	s.buf = wire.AppendPacket(s.buf[:0], &g)
	iface := "server.lan"
	if (src == server) != leave {
		iface = ifaces[path]
	}
	if leave || arrive {
		s.o.Packet(at, iface, leave, s.buf)
		s.w.Capture.Packet(at, iface, leave, s.buf)
	}
}

func (s *synth) both(src, dst netip.AddrPort, path int, g wire.Segment) {
	s.packet(src, dst, s.now, path, true, false, g)
	s.now += clock.Instant(15 * time.Millisecond)
	s.packet(src, dst, s.now, path, false, true, g)
}

// sample writes the rows of an instant, as the runner does.
func (s *synth) sample() {
	c := s.o.Conns()[0]
	row := result.Sample{Run: s.run, Flow: "get", Direction: "down", Host: "phone", Time: s.now.Seconds()}
	put := func(metric, unit string, v float64) {
		row.Metric, row.Unit, row.Value = metric, unit, v
		s.w.Series.Sample(row)
	}
	put(result.MetricDelivered, "B", float64(c.Dirs[observe.Down].Delivered))
	for _, sub := range c.Subflows {
		n := &sub.Dirs[observe.Down]
		row.Path = sub.Path
		put(result.MetricSent, "B", float64(n.Sent))
		put(result.MetricReceived, "B", float64(n.Received))
		put(result.MetricPackets, "packets", float64(n.PacketsReceived))
		put(result.MetricRetransmitted, "B", float64(n.Retransmitted))
		put(result.MetricReinjected, "B", float64(n.Reinjected))
	}
}

func (s *synth) open() {
	var o wire.Options
	if s.mptcp {
		o.Has = wire.HasMPCapable
		o.MPCapable = wire.MPCapable{Version: 1, Flags: wire.CapSHA256}
	}
	s.both(client[0], server, 0, wire.Segment{Flags: wire.SYN, Options: o})
	o.MPCapable.NumKeys, o.MPCapable.SenderKey = 1, keyB
	s.both(server, client[0], 0, wire.Segment{Flags: wire.SYN | wire.ACK, Ack: 1, Options: o})
	o.MPCapable.NumKeys, o.MPCapable.SenderKey, o.MPCapable.ReceiverKey = 2, keyA, keyB
	s.both(client[0], server, 0, wire.Segment{Flags: wire.ACK, Seq: 1, Ack: 1, Options: o})
	if !s.mptcp {
		return
	}
	o = wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYN, AddrID: 1, Token: wire.Token(keyB)}}
	s.both(client[1], server, 1, wire.Segment{Flags: wire.SYN, Options: o})
	o.MPJoin.Form = wire.JoinSYNACK
	s.both(server, client[1], 1, wire.Segment{Flags: wire.SYN | wire.ACK, Ack: 1, Options: o})
	o.MPJoin.Form = wire.JoinACK
	s.both(client[1], server, 1, wire.Segment{Flags: wire.ACK, Seq: 1, Ack: 1, Options: o})
}

// send puts a segment of the stream on a path; lost segments arrive nowhere.
func (s *synth) send(path int, off int64, lost bool) {
	var o wire.Options
	ssn := s.ssn[path] + 1
	if s.mptcp {
		o.Has = wire.HasDSS
		o.DSS = wire.DSS{HasAck: true, Ack64: true, DataAck: wire.IDSN(keyA) + 1, HasMap: true, DSN64: true,
			DSN: wire.IDSN(keyB).Add(int(off) + 1), SSN: wire.Seq(ssn), DataLen: 1400}
	}
	g := wire.Segment{Flags: wire.ACK, Seq: wire.Seq(ssn), Ack: 1, Options: o, Payload: s.payload[:]}
	s.packet(server, client[path], s.now, path, true, false, g)
	s.ssn[path] += 1400
	if lost {
		s.inflight[path] = append(s.inflight[path], off)
		return
	}
	at := s.now + clock.Instant(delay0[path])
	i := len(s.pending)
	for i > 0 && s.pending[i-1].at > at {
		i--
	}
	s.pending = append(s.pending[:i], append([]arrival{{at, path, off}}, s.pending[i:]...)...)
}

// arrive lets time pass to now: segments arrive and are acknowledged.
func (s *synth) arrive(now clock.Instant) {
	for len(s.pending) > 0 && s.pending[0].at <= now {
		a := s.pending[0]
		s.pending = s.pending[1:]
		s.una[a.path] += 1400
		ssn := s.una[a.path] - 1400 + 1
		var o wire.Options
		if s.mptcp {
			o.Has = wire.HasDSS
			o.DSS = wire.DSS{HasMap: true, DSN64: true, DSN: wire.IDSN(keyB).Add(int(a.off) + 1), SSN: wire.Seq(ssn), DataLen: 1400}
		}
		s.packet(server, client[a.path], a.at, a.path, false, true, wire.Segment{Flags: wire.ACK, Seq: wire.Seq(ssn), Ack: 1, Options: o, Payload: s.payload[:]})
		s.rcvd[a.off] = true
		for s.rcvd[s.rcvNxt] {
			delete(s.rcvd, s.rcvNxt)
			s.rcvNxt += 1400
		}
		if s.mptcp {
			o.DSS = wire.DSS{HasAck: true, Ack64: true, DataAck: wire.IDSN(keyB).Add(int(s.rcvNxt) + 1)}
		}
		s.packet(client[a.path], server, a.at, a.path, true, false, wire.Segment{Flags: wire.ACK, Seq: 1, Ack: wire.Seq(s.una[a.path] + 1), Options: o})
	}
}

// download moves total bytes in slots of 1 ms.
func (s *synth) download(total int64, lost, back clock.Instant) {
	var credit [2]float64
	next := int64(0)
	var again []int64
	sample := clock.Instant(0)
	for s.rcvNxt < total {
		s.now += clock.Instant(time.Millisecond)
		s.arrive(s.now)
		if s.now >= sample {
			s.sample()
			sample = s.now + clock.Instant(100*time.Millisecond)
		}
		dead := s.now >= lost && s.now < back
		timedOut := s.now >= lost+clock.Instant(330*time.Millisecond)
		if timedOut && len(s.inflight[0]) > 0 && (s.mptcp || !dead) {
			again = append(again, s.inflight[0]...)
			s.inflight[0] = nil
			if !s.mptcp {
				s.ssn[0] = s.una[0]
				next, again = s.rcvNxt, nil
			} else {
				s.ssn[0] = s.una[0] // the dead subflow starts over once it is back
			}
		}
		for p := range credit {
			if p == 1 && !s.mptcp {
				continue
			}
			credit[p] = min(credit[p]+rates0[p]/8e3, 20*1400)
			for credit[p] >= 1400 && next < total {
				if p == 0 && dead && (timedOut || len(s.inflight[0]) > 60) {
					break
				}
				credit[p] -= 1400
				off := next
				if p == 1 && len(again) > 0 {
					off, again = again[0], again[1:]
				} else {
					next += 1400
				}
				s.send(p, off, p == 0 && dead)
			}
		}
	}
	s.sample()
}

// synthesize writes a result directory with a run for each pairing.
func synthesize(t *testing.T, dir string, pairings ...string) {
	t.Helper()
	d, err := result.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := &result.Result{Name: "wifi-lte-handover", Seed: 7, Fabric: "virtual", Impair: "virtual", Version: "test",
		Skipped: []result.Skipped{{Pairing: "mptcp-linux", Reason: "no stack for phone or server on the virtual fabric"}}}
	for _, pairing := range pairings {
		r.Runs = append(r.Runs, synthesizeRun(t, d, pairing))
	}
	if r.ScenarioHash, err = d.Scenario([]byte("name: x\n"), nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Finish(r); err != nil {
		t.Fatal(err)
	}
}

func synthesizeRun(t *testing.T, d *result.Dir, pairing string) result.Run {
	t.Helper()
	id := pairing + "/seed=7"
	w, err := d.Run(id, result.CaptureHeaders, []string{"phone.wifi", "phone.lte", "server.lan"})
	if err != nil {
		t.Fatal(err)
	}
	s := &synth{w: w, run: id, mptcp: pairing == "mptcp-mptcp", rcvd: map[int64]bool{},
		o: observe.New(observe.Options{FlowName: func(_, _ netip.AddrPort) string { return "get" }})}
	lost, back := clock.Instant(1e9), clock.Instant(3e9)
	s.open()
	total := int64(1400 * 5000)
	s.download(total, lost, back)
	c := s.o.Conns()[0]
	f := result.Flow{Name: "get", Client: "phone", Server: "server", Finished: true, Intact: true, Bytes: uint64(total),
		DownloadBytes: uint64(total), SHA256Sent: "ab", SHA256Received: "ab", Duration: s.now.Seconds(),
		Goodput: float64(total) * 8 / s.now.Seconds(), Fallback: !s.mptcp}
	f.FallbackReason = c.Fallback
	f.Throughput = float64(c.Report(&f)) * 8 / f.Duration
	run := result.Run{ID: id, Pairing: pairing, Seed: 7, Stacks: map[string]string{"phone": "mptcp"},
		CongestionControl: map[string]string{"phone": "cubic", "server": "cubic"},
		Settings:          map[string]map[string]string{"server": {"tcp.rto_min": "200ms", "mptcp.scheduler": "default"}},
		Duration:          s.now.Seconds(), Flows: []result.Flow{f}}
	marks := []clock.Instant{lost, back, s.now}
	for i, name := range []string{"wifi-lost", "wifi-back"} {
		at := marks[i]
		g, ok := c.LongestGap(observe.Down, at, marks[i+1])
		if !ok {
			t.Fatalf("%s: no gap", name)
		}
		h := result.Handover{Event: name, At: at.Seconds(), Happened: true, Flow: "get", GapMS: g.Duration().Seconds() * 1e3,
			GapStart: g.Start.Seconds(), GapEnd: g.End.Seconds(), Cause: "none"}
		if g.TimedOut() {
			h.Cause = "rto"
		}
		if g.By >= 0 {
			h.Path = c.Subflows[g.By].Path
		}
		if i == 0 {
			rto := 330.0
			h.RTOMS = &rto
		}
		run.Handover = append(run.Handover, h)
		e := result.Event{Name: name, Text: "link wifi: blackhole", At: at.Seconds(), Actual: at.Seconds(), Happened: true}
		run.Events = append(run.Events, e)
		w.Events.Timeline(e)
	}
	run.Expect = []result.Expect{{That: "handover.wifi-lost.gap < 1s", Measured: duration(run.Handover[0].GapMS), Wanted: "1s",
		Pass: run.Handover[0].GapMS < 1000}}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return run
}
