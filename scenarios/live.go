package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/expect"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// wait is an event whose condition has not held yet.
type wait struct {
	event  *spec.Event
	record int // in x.events
}

// awaited looks at the conditions: it returns the actions of those that hold, and
// those that go on waiting.
func (x *experiment) awaited(now clock.Instant, waits []wait) (actions []action, still []wait) {
	if len(waits) == 0 {
		return nil, nil
	}
	values := x.live()
	for _, w := range waits {
		if _, _, holds := w.event.When.Now(values); !holds {
			still = append(still, w)
			continue
		}
		at := now.Add(w.event.After)
		x.events[w.record].At = at.Seconds()
		actions = append(actions, x.actions(w.event, w.record, at)...)
	}
	return actions, still
}

// missed are the verdicts on events that never came: their condition did not hold,
// or the run was over before a check.
func (x *experiment) missed(waits []wait) (list []result.Expect) {
	var values live
	if len(waits) > 0 {
		values = x.live()
	}
	for _, w := range waits {
		if w.event.Part != "" {
			continue // one of a group tells
		}
		measured, wanted, _ := w.event.When.Now(values)
		list = append(list, result.Expect{That: fmt.Sprintf("when %s: %s", w.event.When, describe(w.event)),
			Measured: "never; at the end " + measured, Wanted: wanted})
	}
	for i := range x.run.Timeline {
		e := &x.run.Timeline[i]
		if e.Check != nil && !x.events[i].Happened && !slices.ContainsFunc(waits, func(w wait) bool { return w.record == i }) {
			list = append(list, result.Expect{That: describe(e), Measured: "the run was over before", Wanted: "at " + e.At.String()})
		}
	}
	return list
}

// live says what names are in a run that goes on, at one instant: what was counted
// so far, and what is.
type live struct {
	x *experiment
	measured
	at clock.Instant
}

func (x *experiment) live() live {
	l := live{x: x, at: x.d.now()}
	s := x.snapshot(l.at)
	s.counters, s.hits = x.readCounters(), x.readHits()
	l.measured = measured{run: &result.Run{}, spec: x.run, sampled: &samples{at: []snapshot{s}, last: s}}
	for _, f := range x.flows {
		l.run.Flows = append(l.run.Flows, result.Flow{Name: f.name})
	}
	return l
}

// Value implements expect.Source.
func (l live) Value(_ int, name string, _ expect.Window) (expect.Value, error) {
	w := expect.Window{Kind: expect.Span, To: time.Duration(l.at)}
	parts := strings.Split(name, ".")
	switch parts[0] {
	case "host":
		return l.counter(parts[1], parts[3], w)
	case "middlebox":
		return l.hits(parts[1], parts[3], w)
	case "link":
		word := strings.Join(parts[3:], ".")
		if word == "queue.p95" {
			w = expect.Window{Kind: expect.Instant, From: time.Duration(l.at)}
		}
		return l.link(parts[1], parts[2], word, w)
	}
	i, rest := l.flowAt(parts[1:])
	if i < 0 {
		return expect.Value{}, errNeverRan
	}
	if rest[0] != "path" {
		return l.flowNow(i, strings.Join(rest, "."), w)
	}
	if rest[2] == "srtt" {
		w = expect.Window{Kind: expect.Instant, From: time.Duration(l.at)}
	}
	if rest[2] == "first" {
		return expect.Value{}, errors.New("it is known only when the run is over")
	}
	return l.path(i, rest[1], rest[2], w)
}

// flowNow is what a flow did so far.
func (l live) flowNow(i int, word string, w expect.Window) (expect.Value, error) {
	f := l.x.flows[i]
	switch word {
	case "finished":
		var over [2]bool
		for k, e := range f.ends() {
			l.x.d.do(e.host, func(clock.Instant) { over[k] = e.meter.Finished != clock.Never && e.meter.Err == nil })
		}
		return expect.Truth(over[0] && over[1]), nil
	case "errors":
		errs := 0
		for _, e := range f.ends() {
			l.x.d.do(e.host, func(clock.Instant) { errs += e.meter.Errors })
		}
		return expect.Num(float64(errs)), nil
	case "fallback":
		l.x.mu.Lock()
		defer l.x.mu.Unlock()
		for _, c := range l.x.obs.Conns() {
			if c.Flow == f.name {
				return expect.Truth(c.Fallback != "" && f.asked(l.x.run)), nil
			}
		}
		return expect.Value{}, errNeverRan
	}
	return l.flowWindow(i, word, w)
}
