package scenarios

import (
	"fmt"
	"slices"

	"mptcplab/impairments"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
)

func (x *experiment) applyMiddlebox(e *spec.Event) error {
	if e.Rules != nil {
		if err := x.d.setRules(e.Middlebox, *e.Rules); err != nil {
			return err
		}
	}
	if e.Enabled != nil {
		return x.d.setEnabled(e.Middlebox, *e.Enabled)
	}
	return nil
}

// filtered reports whether a host gets a packet filter in the course of the run.
func (x *experiment) filtered(host string) bool {
	return slices.ContainsFunc(x.run.Timeline, func(e spec.Event) bool { return e.Host == host && e.Filter != nil })
}

// readHits reads what the rules of all middleboxes and filters were applied to.
func (x *experiment) readHits() map[string][]uint64 {
	all := map[string][]uint64{}
	for _, b := range x.run.Topology.Middleboxes {
		all[b.Name] = x.d.hits(b.Name)
	}
	for _, h := range x.run.Hosts {
		if hits := x.d.hits(h.Name); hits != nil {
			all[h.Name] = hits
		}
	}
	return all
}

// assembleRules says what the middleboxes, and then the filters of hosts, did. Places
// in the list that only an event filled have no text.
func (x *experiment) assembleRules() (list []result.Middlebox) {
	put := func(name string, rules []impairments.Rule, host bool) {
		m := result.Middlebox{Name: name, Filter: host, Rules: []result.Rule{}}
		for i, n := range x.sampled.last.hits[name] {
			one := result.Rule{Hits: n}
			if i < len(rules) {
				one.Text = topology.RuleWords(&rules[i], host)
			}
			m.Rules = append(m.Rules, one)
		}
		list = append(list, m)
	}
	for i := range x.run.Topology.Middleboxes {
		b := &x.run.Topology.Middleboxes[i]
		put(b.Name, b.Rules, false)
	}
	for _, h := range x.run.Hosts {
		if x.sampled.last.hits[h.Name] != nil {
			put(h.Name, x.run.Topology.Node(h.Name).Filter, true)
		}
	}
	return list
}

// boxedLinks lists the links with middleboxes or with filters of the hosts at their
// ends, which a relay carries out.
func (x *experiment) boxedLinks() []string {
	var names []string
	for _, l := range x.run.Topology.Links {
		boxed := len(l.Through) > 0
		for _, end := range l.Ends {
			boxed = boxed || x.filtered(end) || len(x.run.Topology.Node(end).Filter) > 0
		}
		if boxed {
			names = append(names, l.Name)
		}
	}
	return names
}

func (d *netnsDriver) setRules(name string, rules []impairments.Rule) error {
	return d.onBoxes(name, func(b *topology.Box) { b.SetRules(rules) })
}

func (d *netnsDriver) setEnabled(name string, on bool) error {
	return d.onBoxes(name, func(b *topology.Box) { b.SetEnabled(on) })
}

func (d *netnsDriver) hits(name string) (hits []uint64) {
	_ = d.onBoxes(name, func(b *topology.Box) { hits = topology.AddHits(hits, b.Hits()) }) // none: no hits
	return hits
}

// onBoxes calls f with each middlebox of that name, in a turn of the relay that
// drives it; there must be one.
func (d *netnsDriver) onBoxes(name string, f func(b *topology.Box)) error {
	found := false
	for _, l := range d.x.run.Topology.Links {
		r := d.links[l.Name]
		for i := range r.boxes {
			b := &r.boxes[i]
			if b.Name != name {
				continue
			}
			found = true
			if err := r.relay.Do(func() { f(b) }); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("no link goes through a middlebox %s", name)
	}
	return nil
}
