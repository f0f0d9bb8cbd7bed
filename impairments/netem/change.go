package netem

import (
	"math"

	"mptcplab/impairments"
)

// A step is one request to the kernel.
type step struct {
	q      Qdisc
	change bool // in place: what is queued stays. Otherwise a new qdisc takes the place
}

// transition returns the steps from the installed tree to the one of plan to, and the
// tree that is installed then: it may have other handles than the plan, and qdiscs
// that the plan has not, opened so wide that they do nothing.
//
// Nothing that waits is lost, except where it must be: at the beginning of a black
// hole, and in a queue whose kind changes.
func transition(installed, to []Qdisc) (steps []step, tree []Qdisc) {
	if len(installed) == 0 {
		return rebuild(to), to
	}
	if begins(installed, to) {
		// Another handle makes a new qdisc; the old one is destroyed in the same
		// instant with all that it holds.
		tree = move(to, free(installed))
		return rebuild(tree), tree
	}
	parent := Root
	for i := 0; i < max(len(installed), len(to)); i++ {
		var q Qdisc
		inPlace := false
		switch {
		case i >= len(to):
			q, inPlace = installed[i], true
			q.Options = open(q.Options)
		case i < len(installed) && installed[i].Options.Kind() == to[i].Options.Kind():
			q, inPlace = installed[i], true
			q.Options = successor(installed[i].Options, to[i].Options)
		default:
			q = to[i]
			q.Handle = (free(installed[min(i, len(installed)):]) + Handle(i)) << 16
		}
		q.Parent = parent
		if !inPlace && i < len(installed) {
			installed = installed[:i] // what stood below went with it
		}
		parent = q.Handle | 1
		steps = append(steps, step{q, inPlace})
		tree = append(tree, q)
	}
	return steps, tree
}

// rebuild makes every qdisc anew, from the root downwards.
func rebuild(tree []Qdisc) []step {
	steps := make([]step, len(tree))
	for i, q := range tree {
		steps[i] = step{q: q}
	}
	return steps
}

// begins reports whether the change is the beginning of a black hole.
func begins(from, to []Qdisc) bool {
	isHole := func(tree []Qdisc) bool {
		n, ok := tree[0].Options.(*Netem)
		return ok && n.hole
	}
	return len(to) > 0 && isHole(to) && !isHole(from)
}

// free returns which of the two places for a tree its outermost qdisc does not use.
func free(tree []Qdisc) Handle {
	if len(tree) > 0 && tree[0].Handle>>16 < otherMajor {
		return otherMajor
	}
	return rootMajor
}

// move returns a tree with majors from base upwards.
func move(tree []Qdisc, base Handle) []Qdisc {
	moved := make([]Qdisc, len(tree))
	parent := Root
	for i, q := range tree {
		q.Parent, q.Handle = parent, (base+Handle(i))<<16
		parent = q.Handle | 1
		moved[i] = q
	}
	return moved
}

// open returns options that let everything pass at once, in the order in which it came.
func open(o Options) Options {
	switch o := o.(type) {
	case *Netem:
		// With a rate, packets do not overtake those that wait from before.
		return &Netem{Limit: unbounded, Rate: dummyRate, Seed: o.Seed}
	case *TBF:
		return &TBF{Rate: dummyRate, Burst: dummyRate / 8 / 1000, Limit: math.MaxInt32}
	case *FIFO:
		return &FIFO{Bytes: o.Bytes, Limit: math.MaxInt32}
	}
	return o
}

// successor returns the options of the plan for a qdisc that has some already.
func successor(old, plan Options) Options {
	was, ok := old.(*Netem)
	if !ok {
		return plan
	}
	n := *plan.(*Netem)
	// The kernel keeps a table until another one comes.
	n.resetTable = n.Distribution == impairments.Uniform && (was.Distribution != impairments.Uniform || was.resetTable)
	return &n
}
