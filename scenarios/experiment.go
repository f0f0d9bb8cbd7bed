package scenarios

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// experiment is one run while it is carried out. Its own fields belong to the
// runner's goroutine, except for the observer and the path hints, which the taps
// feed under mu.
type experiment struct {
	run    *spec.Run
	d      driver
	flows  []*flow
	impair map[string][2]impairments.Config // as they are now
	events []result.Event
	edges  map[clock.Instant]bool // instants at which expectations look
	samples samples
	out    *runFiles

	mu  sync.Mutex
	obs *observe.Observer
}

// errTimeout says that flows were not finished in time. It is no failure of the
// run: the flows' expectations fail.
var errTimeout = errors.New("timeout: not all flows finished")

// linger is how long connections may take to close after the last byte, so that
// captures show the end.
const linger = time.Second

func newExperiment(run *spec.Run, edges []time.Duration, out *runFiles) *experiment {
	x := &experiment{run: run, flows: makeFlows(run), impair: map[string][2]impairments.Config{}, edges: map[clock.Instant]bool{}, out: out}
	for i := range run.Topology.Links {
		l := &run.Topology.Links[i]
		x.impair[l.Name] = l.Impair
	}
	for _, e := range edges {
		x.edges[clock.Instant(e)] = true
	}
	x.obs = observe.New(observe.Options{Locate: x.locate})
	for _, f := range x.flows {
		x.hookProgress(f)
	}
	return x
}

// hookProgress lets the gap trackers of a flow see each read.
func (x *experiment) hookProgress(f *flow) {
	for _, e := range []*end{&f.client, &f.server} {
		if !f.receives(e) {
			continue
		}
		e.meter.Progress = func(now clock.Instant, _ uint64) { e.gaps.progress(now, x.lastPath(f, e)) }
	}
}

// carryOut runs the experiment on its driver to the end and reports by progress.
func (x *experiment) carryOut(ctx context.Context, progress func(Status)) error {
	actions := x.timeline()
	slices.SortStableFunc(actions, func(a, b action) int { return int(a.at.Sub(b.at)) })
	timeout := clock.Instant(x.run.Timeout)
	if x.run.Duration > 0 {
		timeout = min(timeout, clock.Instant(x.run.Duration))
	}
	tick := clock.Instant(0)
	var over clock.Instant = clock.Never
	for {
		next := min(tick, timeout)
		if len(actions) > 0 {
			next = min(next, actions[0].at)
		}
		for e := range x.edges {
			if e >= x.d.now() && e < next {
				next = e
			}
		}
		if err := x.d.run(ctx, next); err != nil {
			x.sample(x.d.now())
			return err
		}
		now := x.d.now()
		if x.edges[next] || next == tick {
			x.sample(next)
			delete(x.edges, next)
		}
		for len(actions) > 0 && actions[0].at <= now {
			a := actions[0]
			actions = actions[1:]
			if err := a.do(now); err != nil {
				return err
			}
		}
		if next == tick {
			progress(x.status())
			tick = tick.Add(sampleEvery)
		}
		if over == clock.Never && x.flowsOver() {
			over = now
		}
		switch {
		case over != clock.Never && x.run.Duration == 0 && (x.d.idle() || now >= over.Add(linger)):
			return nil
		case now >= timeout && x.run.Duration > 0:
			return nil
		case now >= timeout:
			return errTimeout
		}
	}
}

// flowsOver reports whether every flow is finished at both ends.
func (x *experiment) flowsOver() bool {
	for _, f := range x.flows {
		for _, e := range []*end{&f.client, &f.server} {
			over := false
			x.d.do(e.host, func(clock.Instant) { over = e.finished() })
			if !over {
				return false
			}
		}
	}
	return true
}

// markEvent opens the window of a named event for every flow, and keeps what the
// stacks say of their subflows now: "at the sender when the event came".
func (x *experiment) markEvent(name string) {
	for _, f := range x.flows {
		for _, e := range []*end{&f.client, &f.server} {
			x.d.do(e.host, func(now clock.Instant) {
				if e.meter.Start != clock.Never && e.gaps.last == clock.Never {
					e.gaps.begin(e.meter.Start)
				}
				if e.meter.Finished != clock.Never {
					e.gaps.finish()
				}
				e.gaps.mark(now, name)
				if c := e.conn(); c != nil {
					if info, err := c.Info(now); err == nil {
						e.atEvent = append(e.atEvent, eventInfo{name, info})
					}
				}
			})
		}
	}
}
