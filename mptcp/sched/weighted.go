package sched

import (
	"strconv"
	"strings"
)

// weighted shares the bytes among the paths in fixed proportions: the next ones go
// to the path that is behind the most, and wait for it if it has no room.
// "weighted:3:1" gives the first path three parts and every other one; "weighted"
// gives all the same.
type weighted struct {
	late
	regular
	weights []int // by ID; 1 for those beyond
	sent    []share
}

// share is what a path has been given: bytes over weight.
type share struct {
	id int
	n  float64
}

// newWeighted parses what follows the name.
func newWeighted(list string) (Scheduler, bool) {
	s := &weighted{}
	if list == "" {
		return s, true
	}
	list, ok := strings.CutPrefix(list, ":")
	if !ok {
		return nil, false
	}
	for _, w := range strings.Split(list, ":") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 || n > 1000 {
			return nil, false
		}
		s.weights = append(s.weights, n)
	}
	return s, len(s.weights) <= MaxPaths
}

func (s *weighted) weight(id int) int {
	if id < len(s.weights) {
		return s.weights[id]
	}
	return 1
}

// before puts the path first that has been given less for its weight.
func (s *weighted) before(a, b *Path) bool { return s.share(a.ID).n < s.share(b.ID).n }

func (s *weighted) Next(v *View) (Decision, bool) {
	if d, ok := reinject(v, s); ok {
		return d, true
	}
	if v.Queued <= 0 || v.Window <= 0 || len(v.Paths) == 0 {
		return Decision{}, false
	}
	s.join(v)
	set, _ := usable(v, all, s)
	due := -1
	for i := range v.paths() {
		if set.Has(i) && (due < 0 || s.before(&v.Paths[i], &v.Paths[due])) {
			due = i
		}
	}
	return Decision{Paths: Of(due), From: New}, v.Paths[due].Room > 0
}

// join gives a new path the share of the one that is behind the most: it does not
// make up for the past. Paths that are gone are forgotten.
func (s *weighted) join(v *View) {
	kept := s.sent[:0]
	for _, e := range s.sent {
		if v.has(e.id) {
			kept = append(kept, e)
		}
	}
	s.sent = kept
	least := 0.0
	for i, e := range s.sent {
		if i == 0 || e.n < least {
			least = e.n
		}
	}
	for i := range v.paths() {
		if id := v.Paths[i].ID; s.find(id) < 0 {
			s.sent = append(s.sent, share{id, least})
		}
	}
}

func (v *View) has(id int) bool {
	for i := range v.paths() {
		if v.Paths[i].ID == id {
			return true
		}
	}
	return false
}

func (s *weighted) find(id int) int {
	for i := range s.sent {
		if s.sent[i].id == id {
			return i
		}
	}
	return -1
}

func (s *weighted) share(id int) share {
	if i := s.find(id); i >= 0 {
		return s.sent[i]
	}
	return share{id: id}
}

func (s *weighted) Sent(path, n int) {
	if i := s.find(path); i >= 0 {
		s.sent[i].n += float64(n) / float64(s.weight(path))
	}
}
