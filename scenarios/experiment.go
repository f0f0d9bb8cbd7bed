package scenarios

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
	"mptcplab/workloads"
)

// experiment is one run while it is carried out. It belongs to the runner's
// goroutine, except for what mu guards: taps and tracers, which run in the turns
// of the hosts, feed that.
type experiment struct {
	run       *spec.Run
	d         driver
	flows     []*flow
	impair    map[string][2]impairments.Config // the links as they are now
	behaviour map[string][2]topology.Behaviour // and what was said of those that events change
	verdicts  []result.Expect                  // on checks of the timeline
	captured  map[string]bool                  // interfaces whose packets are kept
	events    []result.Event
	edges     []clock.Instant // at which expectations look, in order
	sampled   samples
	files     *result.RunWriter

	mu       sync.Mutex
	last     clock.Instant // of the packets: taps of two hosts may cross by microseconds
	expiries []expiry
	obs      *observe.Observer
}

// errTimeout says that flows were not finished in time. The run itself did not
// break: its flows fail their expectations.
var errTimeout = errors.New("timeout: not all flows finished")

// linger is how long connections may take to close after the last byte, so that
// captures show the end.
const linger = time.Second

func newExperiment(run *spec.Run, contents map[string][]byte, edges []time.Duration, files *result.RunWriter, captured []string) *experiment {
	x := &experiment{captured: map[string]bool{}, run: run, flows: makeFlows(run, contents), files: files, impair: map[string][2]impairments.Config{}}
	for i := range run.Topology.Links {
		l := &run.Topology.Links[i]
		x.impair[l.Name] = l.Impair
	}
	x.behaviour = maps.Clone(run.Behaviour)
	for _, name := range captured {
		x.captured[name] = true
	}
	for _, e := range edges {
		x.edges = append(x.edges, clock.Instant(e))
	}
	slices.Sort(x.edges)
	x.sampled = samples{gauges: asksGauges(run.Expect), firsts: map[string][]clock.Instant{}, edges: append([]clock.Instant{0}, x.edges...)}
	x.obs = observe.New(observe.Options{Places: observe.Places(run.Topology), FlowName: x.flowName, OnData: x.sampled.sent})
	for _, f := range x.flows {
		for _, e := range f.ends() {
			if f.receives(e) {
				e.meter.Progress = func(now clock.Instant, _ uint64) { e.gaps.progress(now) }
				e.meter.Waiting = e.gaps.waiting
			}
		}
	}
	return x
}

// flowName finds the flow of a connection: each has its own server port.
func (x *experiment) flowName(_, server netip.AddrPort) string {
	for _, f := range x.flows {
		if f.port == server.Port() && f.w.ServerAddr == server.Addr() {
			return f.name
		}
	}
	return ""
}

// tap sees every packet at every host interface.
func (x *experiment) tap(at clock.Instant, iface string, out bool, ip []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last = max(x.last, at)
	at = x.last
	x.obs.Packet(at, iface, out, ip)
	if x.files.Capture != nil && x.captured[iface] {
		x.files.Capture.Packet(at, iface, out, ip)
	}
}

// tracer passes on what one host's stack says, and keeps the expiries of
// retransmission timers.
type tracer struct {
	x     *experiment
	host  string
	write trace.Tracer
}

func (x *experiment) tracer(host string) trace.Tracer {
	return tracer{x, host, x.files.Events.Tracer(host)}
}

// Trace implements trace.Tracer.
func (t tracer) Trace(e trace.Event) {
	if e.Kind == trace.RTOExpired {
		t.x.mu.Lock()
		t.x.expiries = append(t.x.expiries, expiry{t.host, e.Conn, e.At})
		t.x.mu.Unlock()
	}
	t.write.Trace(e)
}

// carryOut runs the experiment on its driver to the end.
func (x *experiment) carryOut(ctx context.Context, progress func(*experiment)) error {
	actions, waits := x.timeline()
	defer func() { x.verdicts = append(x.verdicts, x.missed(waits)...) }()
	limit := clock.Instant(x.run.Timeout)
	if x.run.Duration > 0 {
		limit = clock.Instant(x.run.Duration)
	}
	tick, over := clock.Instant(0), clock.Never
	for {
		next := min(tick, limit)
		if len(actions) > 0 {
			next = min(next, actions[0].at)
		}
		if len(x.edges) > 0 {
			next = min(next, x.edges[0])
		}
		if len(waits) > 0 {
			next = min(next, x.d.now().Add(x.d.every()))
		}
		if err := x.d.run(ctx, next); err != nil {
			return err
		}
		now := x.d.now()
		x.look(next, next == tick)
		var more []action
		if more, waits = x.awaited(now, waits); more != nil {
			actions = append(actions, more...)
			slices.SortStableFunc(actions, func(a, b action) int { return int(a.at.Sub(b.at)) })
		}
		for len(actions) > 0 && actions[0].at <= now {
			a := actions[0]
			actions = actions[1:]
			if err := a.do(now); err != nil {
				return err
			}
		}
		if next == tick {
			if tick%clock.Instant(time.Second) == 0 {
				x.dumpSockets(now, "")
			}
			progress(x)
			tick = tick.Add(sampleEvery)
		}
		if over == clock.Never && x.flowsOver() {
			over = now
		}
		switch {
		case x.run.Duration > 0 && now >= limit:
			return nil
		case over != clock.Never && x.run.Duration == 0 && (x.d.idle() || now >= over.Add(linger)):
			return nil
		case now >= limit:
			return errTimeout
		}
	}
}

// look samples what stands at an edge of an expectation's window or on the grid
// of series.csv.
func (x *experiment) look(at clock.Instant, onGrid bool) {
	edge := false
	for len(x.edges) > 0 && x.edges[0] <= at {
		x.edges = x.edges[1:]
		edge = true
	}
	if !edge && !onGrid {
		return
	}
	s := x.snapshot(at)
	if edge {
		s.counters, s.hits = x.readCounters(), x.readHits()
		x.sampled.at = append(x.sampled.at, s)
	}
	if onGrid {
		x.writeSeries(s)
		if x.sampled.gauges {
			x.sampled.grid = append(x.sampled.grid, s.gauges())
		}
	}
}

// flowsOver reports whether every flow is finished at both ends, or has failed at
// the client before the server saw anything of it: nothing will come any more.
func (x *experiment) flowsOver() bool {
	for _, f := range x.flows {
		var over, failed, begun [2]bool
		for i, e := range f.ends() {
			x.d.do(e.host, func(clock.Instant) {
				over[i] = e.meter.Finished != clock.Never
				failed[i] = e.meter.Err != nil
				begun[i] = e.meter.Start != clock.Never
			})
		}
		if !f.over(over[0], over[1] || failed[0] && !begun[1]) {
			return false
		}
	}
	return true
}

// markEvent opens the window of a named event for every flow, and keeps what the
// stacks say of their subflows now: "at the sender when the event came".
func (x *experiment) markEvent(name string) {
	for _, f := range x.flows {
		for _, e := range f.ends() {
			x.d.do(e.host, func(now clock.Instant) {
				if e.meter.Start != clock.Never && e.gaps.last == clock.Never {
					e.gaps.begin(e.meter.Start)
				}
				e.settle(now, false)
				e.gaps.mark(now, name)
				if info, ok := e.info(now); ok {
					e.atEvent = append(e.atEvent, eventInfo{name, info})
				}
			})
		}
	}
}

// settle ends what the gap tracker follows if the end is over, or the run is. A
// gap that only the end of a broken connection ended counts, what comes after an
// orderly end does not.
func (e *end) settle(now clock.Instant, runOver bool) {
	switch over := e.meter.Finished; {
	case over == clock.Never && !runOver:
	case over == clock.Never:
		e.gaps.cut(now)
	case e.broken():
		e.gaps.cut(over)
	default:
		e.gaps.finish()
	}
}

// broken reports whether the end's connection failed before it had all bytes.
func (e *end) broken() bool {
	if q, ok := e.app.(*workloads.ExchangeClient); ok {
		return len(q.Times) < q.Count
	}
	return e.meter.Err != nil && !e.meter.EOF
}

// info asks the end's stack about its connection; false: it has none.
func (e *end) info(now clock.Instant) (mptcp.Info, bool) {
	c := e.conn()
	if c == nil {
		return mptcp.Info{}, false
	}
	info, err := c.Info(now)
	return info, err == nil
}
