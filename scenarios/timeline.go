package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/workloads"
)

// rampStep is how often a ramp changes the link.
const rampStep = 100 * time.Millisecond

// action is something the runner does at an instant.
type action struct {
	at clock.Instant
	do func(now clock.Instant) error
}

// timeline turns the events of the run into actions, in order of time; events of
// one instant keep the order of the file. Those with a condition wait.
func (x *experiment) timeline() (actions []action, waits []wait) {
	for i := range x.run.Timeline {
		e := &x.run.Timeline[i]
		record := len(x.events)
		x.events = append(x.events, result.Event{Name: e.Name, Text: describe(e), At: e.At.Seconds()})
		if e.When != nil {
			x.events[record].When = e.When.String()
			waits = append(waits, wait{e, record})
			continue
		}
		actions = append(actions, x.actions(e, record, clock.Instant(e.At))...)
	}
	slices.SortStableFunc(actions, func(a, b action) int { return int(a.at.Sub(b.at)) })
	return actions, waits
}

// actions are what an event does at an instant.
func (x *experiment) actions(e *spec.Event, record int, at clock.Instant) []action {
	happen := func(now clock.Instant) error {
		if x.flowsOver() && e.Check == nil {
			return nil // reported as not happened
		}
		x.events[record].Happened = true
		x.events[record].Actual = x.d.now().Seconds()
		x.files.Events.Timeline(x.events[record])
		x.dumpSockets(now, x.events[record].Text)
		if e.Name != "" {
			x.markEvent(e.Name)
		}
		if err := x.apply(e); err != nil {
			return fmt.Errorf("event %s at %v: %w", x.events[record].Text, at, err)
		}
		return nil
	}
	list := []action{{at, happen}}
	if e.Impair != nil && e.Ramp > 0 {
		list = append(list, x.ramp(e, at)...)
	}
	return list
}

// apply does what an event says.
func (x *experiment) apply(e *spec.Event) error {
	switch {
	case e.Link != "":
		return x.applyLink(e)
	case e.Iface != "":
		return x.setIface(e)
	case e.Workload != "":
		for _, f := range x.flows {
			if f.w.Name != e.Workload && f.w.Flow() != e.Workload {
				continue
			}
			if e.Scheduler != "" {
				x.setScheduler(f, e.Scheduler)
			}
			if e.Stop {
				x.stop(f)
			}
		}
		return nil
	case e.Host != "":
		return x.applyHost(e)
	case e.Middlebox != "":
		return x.applyMiddlebox(e)
	case e.Check != nil:
		measured, wanted, holds := e.Check.Now(x.live())
		x.verdicts = append(x.verdicts, result.Expect{That: describe(e), Measured: measured, Wanted: wanted, Pass: holds})
	}
	return nil // or a mark
}

func (x *experiment) applyLink(e *spec.Event) error {
	if e.Impair != nil && e.Ramp == 0 { // a ramp's own actions do it
		if err := x.setImpair(e.Link, x.changed(e)); err != nil {
			return err
		}
	}
	if e.LinkUp != nil {
		return x.d.setLinkUp(e.Link, *e.LinkUp)
	}
	return nil
}

// changed is how a link behaves after an event: the keys that it names have changed,
// whatever came before.
func (x *experiment) changed(e *spec.Event) (c [2]impairments.Config) {
	b := x.behaviour[e.Link]
	for d := range b {
		b[d].Apply(e.Change[d])
		c[d] = b[d].Config()
		c[d].PathRTT = e.Impair[d].PathRTT
	}
	x.behaviour[e.Link] = b
	return c
}

func (x *experiment) setImpair(link string, c [2]impairments.Config) error {
	x.impair[link] = c
	return x.d.setImpairments(link, c)
}

// applyHost makes all changes of an event, in the order in which the file's reader
// made them.
func (x *experiment) applyHost(e *spec.Event) error {
	var errs []error
	if e.AddEndpoint != nil {
		errs = append(errs, x.d.addEndpoint(e.Host, *e.AddEndpoint))
	}
	if e.ChangeEndpoint != nil {
		errs = append(errs, x.d.changeEndpoint(e.Host, *e.ChangeEndpoint))
	}
	if e.DeleteEndpoint != nil {
		errs = append(errs, x.d.deleteEndpoint(e.Host, *e.DeleteEndpoint))
	}
	if e.FlushEndpoints {
		errs = append(errs, x.d.flushEndpoints(e.Host))
	}
	if e.RemoveID0.IsValid() {
		errs = append(errs, x.d.removeID0(e.Host, e.RemoveID0))
	}
	if e.SetLimits != nil {
		errs = append(errs, x.d.setLimits(e.Host, *e.SetLimits))
	}
	if e.Filter != nil {
		errs = append(errs, x.d.setRules(e.Host, *e.Filter))
	}
	for i := range e.Commands {
		errs = append(errs, x.command(e.Host, &e.Commands[i]))
	}
	return errors.Join(errs...)
}

// setIface is "ip link set"; with notice it also deletes or adds the interface's
// endpoints, as a network manager does, so that the peer gets a REMOVE_ADDR.
func (x *experiment) setIface(e *spec.Event) error {
	host, link, _ := strings.Cut(e.Iface, ".")
	up := *e.IfaceUp
	change := x.d.deleteEndpoint
	if up {
		change = x.d.addEndpoint
		if err := x.d.setIfaceUp(host, link, true); err != nil {
			return err
		}
	}
	for _, ep := range e.Noticed {
		if err := change(host, ep); err != nil {
			return err
		}
	}
	if up {
		return nil
	}
	return x.d.setIfaceUp(host, link, false)
}

// stop ends a flow: neither end begins anything new, what is under way arrives.
func (x *experiment) stop(f *flow) {
	f.stopped = true
	for i, e := range f.ends() {
		if f.stop[i] != nil {
			x.d.change(e.host, func(clock.Instant) { f.stop[i]() })
		}
	}
}

// setScheduler changes the scheduler of the flow's connection at both ends.
func (x *experiment) setScheduler(f *flow, name string) {
	for _, e := range f.ends() {
		x.d.change(e.host, func(clock.Instant) {
			if c, ok := e.conn().(workloads.StackConn); ok {
				if err := c.SetScheduler(name); err != nil {
					panic("BUG: " + err.Error()) // the scenario was checked
				}
			}
		})
	}
}

// ramp changes the link in steps, linearly from what it is when the event comes
// to what the event says.
func (x *experiment) ramp(e *spec.Event, at clock.Instant) []action {
	var actions []action
	var from, to [2]impairments.Config
	steps := max(1, int(e.Ramp/rampStep))
	for i := range steps + 1 {
		actions = append(actions, action{at.Add(e.Ramp * time.Duration(i) / time.Duration(steps)), func(clock.Instant) error {
			if i == 0 {
				from, to = x.impair[e.Link], x.changed(e)
				return nil
			}
			var c [2]impairments.Config
			for d := range c {
				c[d] = impairments.Between(from[d], to[d], i, steps)
			}
			return x.setImpair(e.Link, c)
		}})
	}
	return actions
}

// describe says in one line what an event does, for tables and plots.
func describe(e *spec.Event) string {
	updown := func(up bool) string {
		if up {
			return "up"
		}
		return "down"
	}
	switch {
	case e.Check != nil:
		return "check " + e.Check.String()
	case e.Link != "" && e.Impair != nil:
		s := e.Link + " changes"
		if e.Impair[0].Blackhole && e.Impair[1].Blackhole {
			s = e.Link + " goes silent"
		}
		if e.LinkUp != nil {
			s += ", " + updown(*e.LinkUp)
		}
		if e.Ramp > 0 {
			s += fmt.Sprintf(" over %v", e.Ramp)
		}
		return s
	case e.Link != "" && e.LinkUp != nil:
		return e.Link + " " + updown(*e.LinkUp)
	case e.Iface != "":
		s := e.Iface + " " + updown(*e.IfaceUp)
		if e.Notice {
			s += ", with notice"
		}
		return s
	case e.Workload != "":
		return e.Workload + " stops"
	case e.AddEndpoint != nil:
		return e.Host + " adds endpoint " + e.AddEndpoint.Addr.String()
	case e.DeleteEndpoint != nil:
		return fmt.Sprintf("%s deletes endpoint %s", e.Host, endpointName(e.DeleteEndpoint.Addr.IsValid(), e.DeleteEndpoint.Addr.String(), e.DeleteEndpoint.ID))
	case e.ChangeEndpoint != nil:
		return fmt.Sprintf("%s changes endpoint %s", e.Host, endpointName(e.ChangeEndpoint.Addr.IsValid(), e.ChangeEndpoint.Addr.String(), e.ChangeEndpoint.ID))
	case e.RemoveID0.IsValid():
		return fmt.Sprintf("%s deletes id 0, %s", e.Host, e.RemoveID0)
	case e.FlushEndpoints:
		return e.Host + " flushes its endpoints"
	case len(e.Commands) > 0:
		var all []string
		for i := range e.Commands {
			all = append(all, describeCommand(e.Host, &e.Commands[i]))
		}
		return strings.Join(all, ", ")
	case e.Filter != nil:
		return fmt.Sprintf("%s filters by %d rules", e.Host, len(*e.Filter))
	case e.Middlebox != "" && e.Rules != nil:
		return fmt.Sprintf("middlebox %s has %d other rules", e.Middlebox, len(*e.Rules))
	case e.Middlebox != "" && !*e.Enabled:
		return "middlebox " + e.Middlebox + " lets everything pass"
	case e.Middlebox != "":
		return "middlebox " + e.Middlebox + " works"
	case e.SetLimits != nil:
		return fmt.Sprintf("%s sets limits %d/%d", e.Host, e.SetLimits.Subflows, e.SetLimits.AddAddrAccepted)
	}
	return e.Mark
}

func endpointName(byAddr bool, addr string, id uint8) string {
	if byAddr {
		return addr
	}
	return fmt.Sprintf("id %d", id)
}
