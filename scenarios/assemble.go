package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/workloads"
)

// assemble makes the result of a run that is over, however it ended.
func (x *experiment) assemble() result.Run {
	r := result.Run{
		ID: x.run.ID, Pairing: x.run.Pairing, Seed: x.run.Seed, Duration: x.d.now().Seconds(),
		Stacks: map[string]string{}, Settings: map[string]map[string]string{}, CongestionControl: map[string]string{},
		Degraded: x.d.degraded(), Events: x.events, Fingerprint: x.d.fingerprint(),
		Handover: []result.Handover{},
	}
	if len(x.run.Point) > 0 {
		r.Point = map[string]string{}
		for _, a := range x.run.Point {
			r.Point[a.Name] = a.Label
		}
	}
	for _, h := range x.run.Hosts {
		r.Stacks[h.Name] = string(h.Stack)
		r.Settings[h.Name] = h.Settings.InForce(h.Stack)
		r.CongestionControl[h.Name] = x.d.congestionControl(h.Name)
		if err := x.d.counters(h.Name, func(string, uint64) {}); err != nil {
			r.Degraded = append(r.Degraded, fmt.Sprintf("counters of %s: %v", h.Name, err))
		}
	}
	r.Counters = x.readCounters()
	for _, f := range x.flows {
		for _, e := range f.ends() {
			x.d.do(e.host, func(now clock.Instant) { e.settle(now, true) })
		}
	}
	x.sampled.last = x.snapshot(x.d.now())
	x.sampled.last.counters, x.sampled.last.hits = r.Counters, x.readHits()
	r.Middleboxes = x.assembleRules()
	for _, f := range x.flows {
		r.Flows = append(r.Flows, x.assembleFlow(f))
	}
	for _, e := range x.events {
		if e.Name != "" {
			r.Handover = append(r.Handover, x.assembleHandover(e))
		}
	}
	for i := range x.run.Topology.Links {
		name := x.run.Topology.Links[i].Name
		for d, direction := range [2]string{"uplink", "downlink"} {
			if st, ok := x.d.linkStats(name, d); ok {
				r.Links = append(r.Links, result.Link{Name: name, Direction: direction, Bytes: st.Bytes, Packets: st.Packets,
					Dropped: st.Lost + st.QueueDropped + st.Blackholed, Marked: st.Marked})
			}
		}
	}
	r.Expect = append(r.Expect, x.verdicts...)
	return r
}

func (x *experiment) assembleFlow(f *flow) result.Flow {
	c, s := f.client.meter, f.server.meter
	r := result.Flow{
		Name: f.name, Client: f.client.host, Server: f.server.host,
		UploadBytes: s.Read, DownloadBytes: c.Read, Bytes: s.Read + c.Read,
		Paths: []result.Path{}, Subflows: []result.Subflow{},
	}
	if c.Start != clock.Never {
		r.Start = c.Start.Seconds()
	}
	if c.Established != clock.Never {
		r.Setup = ms(c.Established.Sub(c.Start))
	}
	r.Finished = f.over(c.Finished != clock.Never, s.Finished != clock.Never) && x.complete(f)
	up, down := c.SHA256Sent() == s.SHA256Received(), s.SHA256Sent() == c.SHA256Received()
	r.Intact = up && down && r.Finished || x.cutIntact(f, r.Finished)
	r.SHA256Sent, r.SHA256Received = s.SHA256Sent(), c.SHA256Received()
	if !f.receives(&f.client) || !up { // the direction that tells more
		r.SHA256Sent, r.SHA256Received = c.SHA256Sent(), s.SHA256Received()
	}
	total := f.duration()
	r.Duration, r.ClientDuration, r.ServerDuration = total.Seconds(), span(c), span(s)
	r.Errors = c.Errors + s.Errors
	for _, e := range f.ends() {
		if e.meter.Err != nil && r.Error == "" {
			r.Error = e.host + ": " + e.meter.Err.Error()
		}
	}
	if q, ok := f.client.app.(*workloads.ExchangeClient); ok {
		r.Responses = responses(q.ResponseTimes())
	}
	var sent uint64
	x.mu.Lock()
	for _, conn := range x.obs.Conns() {
		if conn.Flow == f.name {
			if !conn.MPTCP() && f.asked(x.run) {
				r.Fallback, r.FallbackReason = true, conn.Fallback
			}
			sent += conn.Report(&r)
		}
	}
	x.mu.Unlock()
	if total > 0 {
		r.Goodput = float64(r.Bytes) * 8 / total.Seconds()
		r.Throughput = float64(sent) * 8 / total.Seconds()
	}
	for i, g := range x.flows {
		if g == f {
			r.Duplicate = x.sampled.last.flows[i].duplicate
		}
	}
	return r
}

// freeze fixes what the ends measured: on namespaces the hosts of flows that duration
// has cut go on while the result is made.
func (x *experiment) freeze() {
	for _, f := range x.flows {
		for _, e := range f.ends() {
			x.d.do(e.host, func(clock.Instant) { e.meter = e.meter.Clone() })
		}
	}
}

// cutIntact reports whether a flow that was still running when duration ended the
// run had received, as far as it went, what was to be sent.
func (x *experiment) cutIntact(f *flow, finished bool) bool {
	c, s := f.client.meter, f.server.meter
	if x.run.Duration == 0 || finished || c.Start == clock.Never || c.Errors > 0 || s.Errors > 0 {
		return false
	}
	return workloads.SHA256(f.data(x.run, 0), s.Read) == s.SHA256Received() && workloads.SHA256(f.data(x.run, 1), c.Read) == c.SHA256Received()
}

// complete reports whether the flow moved what it was to move.
func (x *experiment) complete(f *flow) bool {
	c, s := f.client.meter, f.server.meter
	if q, ok := f.client.app.(*workloads.ExchangeClient); ok {
		return len(q.ResponseTimes()) >= q.Count // which a stop lowers
	}
	whole := func(a workloads.Amount, m uint64) bool { return a.Bytes == 0 || m == a.Bytes || f.stopped }
	return c.EOF && s.EOF && whole(f.upload, s.Read) && whole(f.download, c.Read)
}

func responses(times []time.Duration) *result.Responses {
	if len(times) == 0 {
		return &result.Responses{}
	}
	t := slices.Clone(times)
	slices.Sort(t)
	// nearest rank: the least value with at least p of all at or below it
	rank := func(p float64) float64 { return ms(t[max(0, min(len(t)-1, int(p*float64(len(t))+0.999999)-1))]) }
	return &result.Responses{Count: len(t), Min: ms(t[0]), Median: rank(0.5), P95: rank(0.95), P99: rank(0.99), Max: ms(t[len(t)-1])}
}

// assembleHandover finds what a named event did to each flow, and the worst.
func (x *experiment) assembleHandover(e result.Event) result.Handover {
	h := result.Handover{Event: e.Name, At: e.Actual, Happened: e.Happened, Cause: "none"}
	for _, f := range x.flows {
		if one, ok := x.flowHandover(f, e); ok {
			h.Flows = append(h.Flows, one)
		}
	}
	if len(h.Flows) == 0 {
		h.Happened = false
		return h
	}
	worst := slices.MaxFunc(h.Flows, func(a, b result.Handover) int { return cmp.Compare(a.GapMS, b.GapMS) })
	worst.Flows = h.Flows
	return worst
}

// flowHandover finds the longest gap of a flow after an event, on the wire and at
// the application, what ended it and by which path.
func (x *experiment) flowHandover(f *flow, e result.Event) (result.Handover, bool) {
	var w *gapWindow
	var d observe.Dir
	for i, end := range f.ends() {
		if !f.receives(end) {
			continue
		}
		for j := range end.gaps.windows {
			c := &end.gaps.windows[j]
			if c.event == e.Name && c.met && (w == nil || c.gap() > w.gap()) {
				w, d = c, observe.Dir(1-i) // what the client misses was to come down
			}
		}
	}
	if w == nil {
		return result.Handover{}, false
	}
	h := result.Handover{Event: e.Name, At: e.Actual, Happened: true, Flow: f.name, GapMS: ms(w.gap()),
		GapStart: w.start.Seconds(), GapEnd: w.end.Seconds(), Cause: "none"}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.obs.Conns() {
		if c.Flow != f.name {
			continue
		}
		until := min(w.to, c.LastProgress(d))
		if w.open {
			until = w.end
		}
		from := w.from
		if f.w.Type == "request-response" { // between them the client thinks, and nothing comes
			from, until = w.start, w.end
		}
		g, ok := c.LongestGap(d, from, until)
		if !ok { // nothing longer than what the observer remembers
			g = observe.Gap{End: clock.Instant(c.GapResolution(d)), Ending: observe.Ending{By: -1}}
		}
		if ms(g.Duration()) < h.CaptureGapMS {
			continue
		}
		h.CaptureGapMS = ms(g.Duration())
		x.explain(&h, f, c, d, w, g)
	}
	return h, true
}

// span is how long one end took, in seconds; 0: it is not over.
func span(m *workloads.Meter) float64 {
	d, _ := m.Span()
	return d.Seconds()
}
