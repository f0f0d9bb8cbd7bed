package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/scenarios/expect"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// source says what the names of section 9 of the schema were in the runs.
type source struct {
	r     *runner
	index []int // of the judged runs in r.runs
}

// measured is one run with everything that names can ask for.
type measured struct {
	run     *result.Run
	spec    *spec.Run
	sampled *samples
}

// Why a name has no value.
var (
	errNotReached = errors.New("the run ended before")
	errNeverRan   = errors.New("the flow never ran")
	errNoValue    = errors.New("was not measured")
)

// Value implements expect.Source.
func (s source) Value(run int, name string, w expect.Window) (expect.Value, error) {
	i := s.index[run]
	m := measured{&s.r.runs[i], &s.r.file.Runs[i], &s.r.sampled[i]}
	if m.run.Error != "" {
		return expect.Value{}, fmt.Errorf("the run broke: %s", m.run.Error)
	}
	parts := strings.Split(name, ".")
	switch parts[0] {
	case "flow":
		return m.flow(parts[1:], w)
	case "handover":
		return m.handover(m.run.Handover, parts[1:])
	case "middlebox":
		return m.hits(parts[1], parts[3], w)
	case "host":
		if parts[2] == "filter" {
			return m.hits(parts[1], parts[4], w)
		}
		return m.counter(parts[1], parts[3], w)
	case "link":
		return m.link(parts[1], parts[2], strings.Join(parts[3:], "."), w)
	case "run":
		if parts[1] == "duration" {
			return expect.Num(m.run.Duration), nil
		}
	}
	return expect.Value{}, errNoValue
}

// span returns the snapshots at the ends of a window. At the beginning of a run
// everything is zero: from is nil then.
func (m measured) span(w expect.Window) (from, to *snapshot, length time.Duration, err error) {
	to = &m.sampled.last
	if w.Kind == expect.Whole {
		return nil, to, time.Duration(to.at), nil
	}
	begin, end := clock.Instant(w.From), clock.Instant(w.To)
	if w.Kind == expect.Instant {
		begin, end = 0, clock.Instant(w.From)
	}
	var ok bool
	if end > 0 {
		if to, ok = m.sampled.find(end); !ok {
			return nil, nil, 0, fmt.Errorf("%w %v", errNotReached, time.Duration(end))
		}
	}
	if begin > 0 {
		if from, ok = m.sampled.find(begin); !ok {
			return nil, nil, 0, fmt.Errorf("%w %v", errNotReached, time.Duration(begin))
		}
	}
	return from, to, to.at.Sub(begin), nil
}

// flowAt returns the result and the index of a flow: the name may have dots
// (get.1, page.sta7.1), so the rest is what follows it.
func (m measured) flowAt(parts []string) (i int, rest []string) {
	for n := min(3, len(parts)-1); n >= 1; n-- {
		name := strings.Join(parts[:n], ".")
		if i := slices.IndexFunc(m.run.Flows, func(f result.Flow) bool { return f.Name == name }); i >= 0 {
			return i, parts[n:]
		}
	}
	return -1, nil
}

func (m measured) flow(parts []string, w expect.Window) (expect.Value, error) {
	i, rest := m.flowAt(parts)
	if i < 0 || m.run.Flows[i].Start == 0 && m.run.Flows[i].Bytes == 0 && len(m.run.Flows[i].Subflows) == 0 && !m.run.Flows[i].Finished && len(rest) > 0 && rest[0] != "finished" && rest[0] != "intact" {
		return expect.Value{}, errNeverRan
	}
	f := &m.run.Flows[i]
	switch rest[0] {
	case "path":
		return m.path(i, rest[1], rest[2], w)
	case "handover":
		return m.flowHandover(f.Name, rest[1:])
	}
	word := strings.Join(rest, ".")
	if w.Kind != expect.Whole {
		return m.flowWindow(i, word, w)
	}
	seconds := func(v float64) (expect.Value, error) {
		if !f.Finished {
			return expect.Value{}, errors.New("the flow did not finish")
		}
		return expect.Num(v), nil
	}
	switch word {
	case "bytes":
		return expect.Num(float64(f.Bytes)), nil
	case "goodput":
		return expect.Num(f.Goodput), nil
	case "throughput":
		return expect.Num(f.Throughput), nil
	case "duration":
		return seconds(f.Duration)
	case "client.duration":
		return seconds(f.ClientDuration)
	case "server.duration":
		return seconds(f.ServerDuration)
	case "setup":
		return expect.Num(f.Setup / 1e3), nil
	case "intact":
		return expect.Truth(f.Intact), nil
	case "finished":
		return expect.Truth(f.Finished), nil
	case "fallback":
		return expect.Truth(f.Fallback), nil
	case "fallback_reason":
		return expect.Word(f.FallbackReason), nil
	case "subflows":
		return expect.Num(float64(len(f.Subflows))), nil
	case "retransmitted":
		return expect.Num(float64(f.Retransmitted)), nil
	case "reinjected":
		return expect.Num(float64(f.Reinjected)), nil
	case "duplicate":
		return expect.Num(float64(f.Duplicate)), nil
	case "errors":
		return expect.Num(float64(f.Errors)), nil
	}
	if f.Responses == nil || f.Responses.Count == 0 {
		return expect.Value{}, errors.New("there was no response")
	}
	switch word {
	case "response.min":
		return expect.Num(f.Responses.Min / 1e3), nil
	case "response.median":
		return expect.Num(f.Responses.Median / 1e3), nil
	case "response.p95":
		return expect.Num(f.Responses.P95 / 1e3), nil
	case "response.p99":
		return expect.Num(f.Responses.P99 / 1e3), nil
	case "response.max":
		return expect.Num(f.Responses.Max / 1e3), nil
	}
	return expect.Value{}, errNoValue
}

// flowWindow is what a flow did in a window.
func (m measured) flowWindow(i int, word string, w expect.Window) (expect.Value, error) {
	from, to, length, err := m.span(w)
	if err != nil {
		return expect.Value{}, err
	}
	b := &to.flows[i]
	a := &flowSnapshot{}
	if from != nil {
		a = &from.flows[i]
	}
	app := float64(b.delivered[0] + b.delivered[1] - a.delivered[0] - a.delivered[1])
	sum := func(what func(*observe.Counters) uint64) float64 {
		return float64(b.total("", what) - a.total("", what))
	}
	switch word {
	case "bytes":
		return expect.Num(app), nil
	case "goodput":
		return perSecond(app*8, length)
	case "throughput":
		return perSecond(8*sum(func(c *observe.Counters) uint64 { return c.Sent }), length)
	case "retransmitted":
		return expect.Num(sum(func(c *observe.Counters) uint64 { return c.Retransmitted })), nil
	case "reinjected":
		return expect.Num(sum(func(c *observe.Counters) uint64 { return c.Reinjected })), nil
	case "duplicate":
		return expect.Num(float64(b.duplicate - a.duplicate)), nil
	case "subflows":
		return expect.Num(float64(b.subflows)), nil
	}
	return expect.Value{}, errNoValue
}

// total adds a counter over the paths of that name, or all with "".
func (s *flowSnapshot) total(path string, what func(*observe.Counters) uint64) (sum uint64) {
	for i := range s.paths {
		if path == "" || s.paths[i].name == path {
			sum += what(&s.paths[i].Counters)
		}
	}
	return sum
}

func perSecond(v float64, d time.Duration) (expect.Value, error) {
	if d <= 0 {
		return expect.Value{}, errors.New("the window is empty")
	}
	return expect.Num(v / d.Seconds()), nil
}

func (m measured) path(i int, path, word string, w expect.Window) (expect.Value, error) {
	from, to, length, err := m.span(w)
	if err != nil {
		return expect.Value{}, err
	}
	b := &to.flows[i]
	a := &flowSnapshot{}
	if from != nil {
		a = &from.flows[i]
	}
	received := func(c *observe.Counters) uint64 { return c.Received }
	diff := func(what func(*observe.Counters) uint64) float64 {
		return float64(b.total(path, what) - a.total(path, what))
	}
	switch word {
	case "bytes":
		return expect.Num(diff(received)), nil
	case "packets":
		return expect.Num(diff(func(c *observe.Counters) uint64 { return c.PacketsReceived })), nil
	case "goodput":
		if w.Kind == expect.Whole {
			length = time.Duration(m.run.Flows[i].Duration * 1e9)
		}
		return perSecond(8*diff(func(c *observe.Counters) uint64 { return c.FirstReceived }), length)
	case "share":
		all := float64(b.total("", received) - a.total("", received))
		if all == 0 {
			return expect.Value{}, errors.New("no bytes to have a share of")
		}
		return expect.Num(diff(received) / all), nil
	case "retransmitted":
		return expect.Num(diff(func(c *observe.Counters) uint64 { return c.Retransmitted })), nil
	case "reinjected":
		return expect.Num(diff(func(c *observe.Counters) uint64 { return c.Reinjected })), nil
	case "first":
		return m.first(i, path, w)
	case "srtt":
		return m.srtt(i, path, w)
	}
	return expect.Value{}, errNoValue
}

// first is the time from the start of the window to the first payload on a path.
func (m measured) first(i int, path string, w expect.Window) (expect.Value, error) {
	k := slices.Index(m.sampled.edges, clock.Instant(w.From))
	list := m.sampled.firsts[m.run.Flows[i].Name+"/"+path]
	if k < 0 || k >= len(list) || w.To > 0 && list[k] >= clock.Instant(w.To) {
		return expect.Value{}, fmt.Errorf("no payload on %s in the window", path)
	}
	return expect.Num(list[k].Sub(clock.Instant(w.From)).Seconds()), nil
}

// srtt is the sender's smoothed RTT at an instant, the median of the samples in a
// window, or the median of all.
func (m measured) srtt(i int, path string, w expect.Window) (expect.Value, error) {
	none := fmt.Errorf("no RTT was measured on %s", path)
	if w.Kind == expect.Whole {
		for _, p := range m.run.Flows[i].Paths {
			if p.Name == path && p.SRTT > 0 {
				return expect.Num(p.SRTT / 1e3), nil
			}
		}
		return expect.Value{}, none
	}
	var list []float64
	for _, g := range m.gaugesIn(w) {
		for _, p := range g.srtt {
			if p.flow == i && p.path == path {
				list = append(list, p.srtt.Seconds())
			}
		}
	}
	if len(list) == 0 {
		return expect.Value{}, none
	}
	return expect.Num(percentile(list, 0.5)), nil
}

// gaugesIn returns the samples of a window; of an instant, the one.
func (m measured) gaugesIn(w expect.Window) []gauges {
	if w.Kind == expect.Instant {
		if s, ok := m.sampled.find(clock.Instant(w.From)); ok {
			return []gauges{s.gauges()}
		}
		return nil
	}
	var in []gauges
	for _, s := range m.sampled.grid {
		if s.at >= clock.Instant(w.From) && (w.To == 0 || s.at < clock.Instant(w.To)) {
			in = append(in, s)
		}
	}
	return in
}

// percentile returns the p quantile of a list by nearest rank; it sorts the list.
func percentile(list []float64, p float64) float64 {
	slices.Sort(list)
	return list[max(0, min(len(list)-1, int(p*float64(len(list))+0.999999)-1))]
}

// asksGauges reports whether an expectation needs gauges over a window.
func asksGauges(list []expect.Expectation) bool {
	return slices.ContainsFunc(list, func(e expect.Expectation) bool {
		return strings.Contains(e.Expr, "srtt(") || strings.Contains(e.Expr, "queue.p95")
	})
}

func (m measured) handover(list []result.Handover, parts []string) (expect.Value, error) {
	if len(parts) == 1 { // gap: the largest of all events
		v := expect.Value{}
		err := errors.New("no named event happened")
		for _, h := range list {
			if h.Happened {
				v, err = expect.Num(max(v.Number, h.GapMS/1e3)), nil
			}
		}
		return v, err
	}
	i := slices.IndexFunc(list, func(h result.Handover) bool { return h.Event == parts[0] })
	if i < 0 || !list[i].Happened {
		return expect.Value{}, fmt.Errorf("event %s did not happen while the flow ran", parts[0])
	}
	h := &list[i]
	number := func(v *float64) (expect.Value, error) {
		if v == nil {
			return expect.Value{}, errNoValue
		}
		return expect.Num(*v / 1e3), nil
	}
	switch parts[1] {
	case "gap":
		return number(&h.GapMS)
	case "rto":
		return number(h.RTOMS)
	case "srtt":
		return number(h.SRTTMS)
	case "cause":
		return expect.Word(h.Cause), nil
	case "path":
		return expect.Word(h.Path), nil
	}
	return expect.Value{}, errNoValue
}

// flowHandover is what events did to one flow.
func (m measured) flowHandover(flow string, parts []string) (expect.Value, error) {
	var own []result.Handover
	for _, h := range m.run.Handover {
		for _, f := range h.Flows {
			if f.Flow == flow {
				own = append(own, f)
			}
		}
	}
	return m.handover(own, parts)
}

func (m measured) counter(host, name string, w expect.Window) (expect.Value, error) {
	from, to, _, err := m.span(w)
	if err != nil {
		return expect.Value{}, err
	}
	v, ok := to.counters[host][name]
	if !ok {
		return expect.Value{}, fmt.Errorf("%s has no counter %s", host, name)
	}
	if from != nil {
		v -= from.counters[host][name]
	}
	return expect.Num(float64(v)), nil
}

// hits is how many packets rule number n of a middlebox or filter was applied to.
func (m measured) hits(name, n string, w expect.Window) (expect.Value, error) {
	from, to, _, err := m.span(w)
	if err != nil {
		return expect.Value{}, err
	}
	i, err := strconv.Atoi(n)
	if list := to.hits[name]; err != nil || i >= len(list) {
		return expect.Value{}, fmt.Errorf("%s has %d rules on links, and none with number %s", name, len(list), n)
	}
	v := to.hits[name][i]
	if from != nil && i < len(from.hits[name]) {
		v -= from.hits[name][i]
	}
	return expect.Num(float64(v)), nil
}

func (m measured) link(name, direction, word string, w expect.Window) (expect.Value, error) {
	from, to, length, err := m.span(w)
	if err != nil {
		return expect.Value{}, err
	}
	i := slices.IndexFunc(to.links, func(l linkSnapshot) bool { return l.name == name })
	d := 0
	if direction == "downlink" {
		d = 1
	}
	if i < 0 || !to.links[i].stats[d].known {
		return expect.Value{}, fmt.Errorf("link %s is not measured by this fabric", name)
	}
	b := to.links[i].stats[d]
	var a linkCounters
	if from != nil {
		a = from.links[i].stats[d]
	}
	switch word {
	case "bytes":
		return expect.Num(float64(b.bytes - a.bytes)), nil
	case "packets":
		return expect.Num(float64(b.packets - a.packets)), nil
	case "dropped":
		return expect.Num(float64(b.dropped - a.dropped)), nil
	case "marked":
		return expect.Num(float64(b.marked - a.marked)), nil
	case "rate":
		return perSecond(8*float64(b.bytes-a.bytes), length)
	case "queue.p95":
		var list []float64
		for _, g := range m.gaugesIn(w) {
			list = append(list, float64(g.queues[i][d]))
		}
		if len(list) == 0 {
			return expect.Value{}, errNoValue
		}
		return expect.Num(percentile(list, 0.95)), nil
	}
	return expect.Value{}, errNoValue
}
