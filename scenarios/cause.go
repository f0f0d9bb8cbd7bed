package scenarios

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
)

// expiry is one expiry of a retransmission timer, as our stacks tell.
type expiry struct {
	host string
	conn uint32
	at   clock.Instant
}

// explain says by which path a gap ended and why, and what the sender knew when
// the event came: the RTO of the path lost and the smoothed RTT of the path that
// took over.
func (x *experiment) explain(h *result.Handover, f *flow, c *observe.Conn, d observe.Dir, w *gapWindow, g observe.Gap) {
	lost := x.pathLost(h.Event, f)
	var took *observe.Subflow
	if g.By >= 0 && g.By < len(c.Subflows) {
		took = c.Subflows[g.By]
		h.Path = took.Path
	}
	var longest time.Duration // of the round trips at the event
	for _, known := range f.ends()[d].atEvent {
		if known.event != h.Event {
			continue
		}
		for _, sub := range c.Subflows {
			info := subflowInfo(known.info, sub, d)
			if info == nil || info.Closed || !info.Established {
				continue
			}
			if lost != "" && onLink(sub.Path, lost) {
				h.RTOMS = milliseconds(info.TCP.RTO)
			}
			longest = max(longest, info.TCP.RTT)
			if sub == took {
				h.SRTTMS = milliseconds(info.TCP.RTT)
			}
		}
	}
	h.Cause = x.cause(f, c, d, w, g, took, longest)
}

func milliseconds(d time.Duration) *float64 {
	v := ms(d)
	return &v
}

// onLink reports whether a path ("wifi", "wifi+s2") uses the client's link.
func onLink(path, link string) bool { return path == link || strings.HasPrefix(path, link+"+") }

// pathLost is the link that an event concerns, for a flow: of the events of a
// group's members the client's own; "": none.
func (x *experiment) pathLost(name string, f *flow) string {
	client := x.run.Topology.Node(f.client.host)
	lost := ""
	for i := range x.run.Timeline {
		e := &x.run.Timeline[i]
		if e.Name != name && e.Part != name {
			continue
		}
		link := subject(e)
		if lost == "" || slices.ContainsFunc(client.Interfaces, func(i topology.Interface) bool { return i.Link == link }) {
			lost = link
		}
	}
	return lost
}

// subject is the link that an event is about; "": none.
func subject(e *spec.Event) string {
	switch {
	case e.Link != "":
		return e.Link
	case e.Iface != "":
		_, link, _ := strings.Cut(e.Iface, ".")
		return link
	case e.DeleteEndpoint != nil:
		return e.DeleteEndpoint.Dev
	case e.ChangeEndpoint != nil:
		return e.ChangeEndpoint.Dev
	}
	return ""
}

// restored reports whether, between two instants, an event brought a link of the
// path back that had been dead.
func (x *experiment) restored(path string, from, to clock.Instant) bool {
	type state struct{ silent, down bool }
	links := map[string]state{}
	for i := range x.run.Topology.Links {
		l := &x.run.Topology.Links[i]
		links[l.Name] = state{silent: silent(l.Impair)}
	}
	for _, i := range x.inOrder() {
		e := &x.run.Timeline[i]
		name := subject(e)
		before := links[name]
		after := before
		if e.Impair != nil {
			after.silent = silent(*e.Impair)
		}
		if up := cmp.Or(e.LinkUp, e.IfaceUp); up != nil {
			after.down = !*up
		}
		links[name] = after
		t := x.due(i)
		if onLink(path, name) && before != (state{}) && after == (state{}) && t >= from && t <= to {
			return true
		}
	}
	return false
}

// due is when an event of the timeline came or was to come.
func (x *experiment) due(i int) clock.Instant {
	if x.run.Timeline[i].When != nil {
		return clock.Instant(math.Round(x.events[i].At * 1e9))
	}
	return clock.Instant(x.run.Timeline[i].At)
}

// inOrder returns the numbers of the events that were not waited for in vain, in
// order of time.
func (x *experiment) inOrder() (list []int) {
	for i := range x.run.Timeline {
		if x.run.Timeline[i].When == nil || x.events[i].Happened {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(x.due(a), x.due(b)) })
	return list
}

// silent reports whether a link lets nothing through, at least one way.
func silent(c [2]impairments.Config) bool {
	return slices.ContainsFunc(c[:], func(d impairments.Config) bool { return d.Blackhole || d.Loss.Random.P >= 1 })
}

// signalCauses are the signals on the wire that end a gap.
var signalCauses = map[observe.EventKind]string{
	observe.EventRemoveAddr: "remove_addr",
	observe.EventPrio:       "mp_prio",
	observe.EventRst:        "rst",
	observe.EventFin:        "fin",
	observe.EventFail:       "mp_fail",
}

// cause says why a gap ended: the first signal on the wire after the event, else
// the return of the very link, else an expiry of the sender's retransmission
// timer. A gap without any of them has no cause: it is how packets fell. Nor has
// one that did not end.
//
// What was under way when a signal came still arrives, for up to a round trip and
// what queues have grown by since it was measured: the gap begins only then, and
// the signal lies before it. An RTO without its variance is as far as that goes.
func (x *experiment) cause(f *flow, c *observe.Conn, d observe.Dir, w *gapWindow, g observe.Gap, took *observe.Subflow, rtt time.Duration) string {
	if w.open {
		return "none"
	}
	signal := ""
	for _, e := range c.Events {
		if e.At < max(w.from, w.start.Add(-rtt-rtoMin)) || e.At > w.end || !heard(c.Events, e) {
			continue
		}
		switch name := signalCauses[e.Kind]; {
		case e.Kind == observe.EventRemoveAddr || e.Kind == observe.EventPrio:
			// What a path manager says explains the FIN or RST that goes with it.
			return name
		case signal == "":
			signal = name
		}
	}
	if signal != "" {
		return signal
	}
	if took != nil && x.restored(took.Path, w.start, w.end) {
		return "link_up"
	}
	if x.expired(f.ends()[d], w.start, w.end) {
		return "rto"
	}
	// A kernel stack tells nobody of its timers, but a fast retransmission follows
	// on an ACK, a time-out on silence.
	if x.kernel(f.ends()[d].host) && g.TimedOut() {
		return "rto"
	}
	return "none"
}

// heard reports whether a signal reached the other end: links lose it, middleboxes take
// it away. If no arrivals were seen at all nobody can tell, and it counts.
func heard(all []observe.Event, e observe.Event) bool {
	blind := !slices.ContainsFunc(all, func(a observe.Event) bool { return a.Arrived })
	return blind || slices.ContainsFunc(all, func(a observe.Event) bool {
		return a.Arrived && a.Kind == e.Kind && a.Dir == e.Dir && a.Subflow == e.Subflow && a.ID == e.ID && a.At >= e.At
	})
}

// rtoMin is Linux's TCP_RTO_MIN.
const rtoMin = 200 * time.Millisecond

func (x *experiment) kernel(host string) bool {
	for _, h := range x.run.Hosts {
		if h.Name == host {
			return h.Stack.Kernel()
		}
	}
	return false
}

// expired reports whether a retransmission timer of the end's connection expired
// between two instants.
func (x *experiment) expired(e *end, from, to clock.Instant) bool {
	var ordinal uint32
	if c, ok := e.conn().(interface{ Ordinal() uint32 }); ok {
		ordinal = c.Ordinal()
	}
	for _, r := range x.expiries {
		if r.host == e.host && r.conn == ordinal && r.at >= from && r.at <= to {
			return true
		}
	}
	return false
}
