package scenarios

import (
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
)

// snapshot is everything that is measured, as it stood at one instant. All of it
// is cumulative but the gauges.
type snapshot struct {
	at       clock.Instant
	flows    []flowSnapshot
	links    []linkSnapshot
	counters map[string]map[string]uint64 // by host; only at edges
	hits     map[string][]uint64          // by middlebox, and by host with a filter; only at edges
}

type flowSnapshot struct {
	delivered [2]uint64 // bytes read by the receiving application, by observe.Dir
	duplicate uint64    // bytes that came more than once, at connection level
	subflows  int       // established
	paths     []pathSnapshot
}

// pathSnapshot is one direction of one path of a flow.
type pathSnapshot struct {
	name string
	dir  observe.Dir
	observe.Counters
	cwnd      int // bytes, 0: not known
	srtt, rto time.Duration
}

type linkSnapshot struct {
	name  string
	stats [2]linkCounters
}

type linkCounters struct {
	bytes, packets, dropped, marked uint64
	queue                           int
	known                           bool
}

// samples are the snapshots that expectations need: at the edges of their
// windows, at the end, and all of them if a gauge is asked for over a window.
type samples struct {
	at     []snapshot
	grid   []gauges // only if they are asked for
	last   snapshot
	gauges bool
	firsts map[string][]clock.Instant // by flow and path, for each of edges: the first payload from then on
	edges  []clock.Instant
}

// gauges are what a snapshot says of one instant alone, in few bytes: a long run
// has many.
type gauges struct {
	at     clock.Instant
	srtt   []pathRTT
	queues [][2]int // by link and direction, in bytes
}

type pathRTT struct {
	flow int
	path string
	srtt time.Duration
}

func (s *snapshot) gauges() gauges {
	g := gauges{at: s.at, queues: make([][2]int, 0, len(s.links))}
	for i := range s.flows {
		for k := range s.flows[i].paths {
			if p := &s.flows[i].paths[k]; p.srtt > 0 {
				g.srtt = append(g.srtt, pathRTT{i, p.name, p.srtt})
			}
		}
	}
	for i := range s.links {
		st := &s.links[i].stats
		g.queues = append(g.queues, [2]int{st[0].queue, st[1].queue})
	}
	return g
}

// find returns the snapshot at an instant; false: it was not reached.
func (s *samples) find(at clock.Instant) (*snapshot, bool) {
	for i := range s.at {
		if s.at[i].at == at {
			return &s.at[i], true
		}
	}
	return nil, false
}

// sent notes when a path carried its first payload after each edge.
func (s *samples) sent(d observe.Data) {
	key := d.Conn.Flow + "/" + d.Subflow.Path
	list := s.firsts[key]
	for len(list) < len(s.edges) && s.edges[len(list)] <= d.At {
		list = append(list, d.At)
	}
	s.firsts[key] = list
}

func (x *experiment) snapshot(at clock.Instant) snapshot {
	s := snapshot{at: at}
	for _, f := range x.flows {
		s.flows = append(s.flows, x.flowSnapshot(f))
	}
	for i := range x.run.Topology.Links {
		l := linkSnapshot{name: x.run.Topology.Links[i].Name}
		for d := range l.stats {
			st, ok := x.d.linkStats(l.name, d)
			l.stats[d] = linkCounters{st.Bytes, st.Packets, st.Lost + st.QueueDropped + st.Blackholed, st.Marked, st.QueueBytes, ok}
		}
		s.links = append(s.links, l)
	}
	return s
}

// readCounters reads the counters of all hosts. A host that cannot tell has none.
func (x *experiment) readCounters() map[string]map[string]uint64 {
	all := map[string]map[string]uint64{}
	for _, h := range x.run.Hosts {
		m := map[string]uint64{}
		if x.d.counters(h.Name, func(name string, v uint64) { m[name] = v }) == nil {
			all[h.Name] = m
		}
	}
	return all
}

// dumpSockets writes what ss shows of each of our stacks.
func (x *experiment) dumpSockets(now clock.Instant, event string) {
	for _, h := range x.run.Hosts {
		if all := x.d.sockets(h.Name); all != nil {
			x.files.Sockets.Dump(now, h.Name, event, all)
		}
	}
}

func (x *experiment) flowSnapshot(f *flow) flowSnapshot {
	var s flowSnapshot
	var infos [2]mptcp.Info // of the sender, by direction
	for i, e := range f.ends() {
		x.d.do(e.host, func(now clock.Instant) {
			s.delivered[1-i] = e.meter.Read // what the client reads came down
			infos[i], _ = e.info(now)
			s.duplicate += infos[i].Duplicate
		})
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.obs.Conns() {
		if c.Flow != f.name {
			continue
		}
		s.subflows += c.EstablishedSubflows()
		for _, sub := range c.Subflows {
			for d := range sub.Dirs {
				s.add(sub, observe.Dir(d), infos[d])
			}
		}
	}
	return s
}

// add adds one direction of a subflow to its path.
func (s *flowSnapshot) add(sub *observe.Subflow, d observe.Dir, sender mptcp.Info) {
	c := &sub.Dirs[d]
	if c.Sent == 0 && c.Received == 0 {
		return
	}
	i := 0
	for i < len(s.paths) && (s.paths[i].name != sub.Path || s.paths[i].dir != d) {
		i++
	}
	if i == len(s.paths) {
		s.paths = append(s.paths, pathSnapshot{name: sub.Path, dir: d})
	}
	p := &s.paths[i]
	p.PacketsSent += c.PacketsSent
	p.PacketsReceived += c.PacketsReceived
	p.Sent += c.Sent
	p.Received += c.Received
	p.Retransmitted += c.Retransmitted
	p.Reinjected += c.Reinjected
	p.FirstReceived += c.FirstReceived
	p.srtt = c.SRTT()
	if t := subflowInfo(sender, sub, d); t != nil && !t.Closed {
		p.cwnd = t.TCP.SndCwnd * t.TCP.SndMSS
		p.srtt, p.rto = t.TCP.RTT, t.TCP.RTO
	}
}

// subflowInfo finds what the sender's stack says of a subflow of the wire.
func subflowInfo(info mptcp.Info, sub *observe.Subflow, d observe.Dir) *mptcp.SubflowInfo {
	local, remote := sub.Ends(d)
	for i := range info.Subflows {
		if t := &info.Subflows[i]; t.Local == local && t.Remote == remote {
			return t
		}
	}
	return nil
}

// writeSeries adds the rows of one instant to series.csv.
func (x *experiment) writeSeries(s snapshot) {
	row := result.Sample{Run: x.run.ID, Time: s.at.Seconds()}
	put := func(metric, unit string, v float64) {
		row.Metric, row.Unit, row.Value = metric, unit, v
		x.files.Series.Sample(row)
	}
	for i, f := range x.flows {
		row.Flow = f.name
		hosts := [2]string{f.client.host, f.server.host}
		for d := range s.flows[i].delivered {
			sender := f.ends()[d]
			if f.receives(f.ends()[1-d]) {
				row.Path, row.Direction, row.Host = "", observe.Dir(d).String(), hosts[1-d]
				put(result.MetricDelivered, "B", float64(s.flows[i].delivered[d]))
			}
			for _, p := range s.flows[i].paths {
				if p.dir != observe.Dir(d) {
					continue
				}
				row.Path, row.Direction, row.Host = p.name, p.dir.String(), hosts[1-d]
				put(result.MetricReceived, "B", float64(p.Received))
				put(result.MetricPackets, "packets", float64(p.PacketsReceived))
				row.Host = sender.host
				put(result.MetricSent, "B", float64(p.Sent))
				put(result.MetricRetransmitted, "B", float64(p.Retransmitted))
				put(result.MetricReinjected, "B", float64(p.Reinjected))
				if p.cwnd > 0 {
					put("cwnd", "B", float64(p.cwnd))
					put("rto", "ms", ms(p.rto))
				}
				if p.srtt > 0 {
					put(result.MetricSRTT, "ms", ms(p.srtt))
				}
			}
		}
	}
	row.Flow, row.Host = "", ""
	for _, l := range s.links {
		for d, c := range l.stats {
			if c.known {
				row.Path, row.Direction = l.name, [2]string{"uplink", "downlink"}[d]
				put("queue", "B", float64(c.queue))
				put("dropped", "packets", float64(c.dropped))
			}
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
