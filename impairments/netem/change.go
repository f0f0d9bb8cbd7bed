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
		// instant with all that it holds. The first step is for kernels that
		// refuse a second netem beside one that duplicates.
		tree = move(to, free(installed))
		first := step{Qdisc{Root, installed[0].Handle, to[0].Options}, true}
		return append([]step{first}, rebuild(tree)...), tree
	}
	parent := Root
	for i, q := range extend(to, installed) {
		if i >= max(len(to), len(installed)) {
			break // it stood below a qdisc that was replaced
		}
		inPlace := i < len(installed) && installed[i].Options.Kind() == q.Options.Kind()
		if inPlace {
			q.Handle = installed[i].Handle
			q.Options = successor(installed[i].Options, q.Options)
		} else {
			q.Handle = (free(installed[min(i, len(installed)):]) + Handle(i)) << 16
			installed = installed[:min(i, len(installed))] // what stood below goes with it
		}
		q.Parent = parent
		parent = q.Handle | 1
		steps = append(steps, step{q, inPlace})
		tree = append(tree, q)
	}
	if duplicates(tree) {
		// Only when no other netem is left may the root begin to duplicate.
		steps = append(steps[1:], steps[0])
	}
	return steps, tree
}

// extend adds to a plan what is installed beyond it, opened wide.
func extend(plan, installed []Qdisc) []Qdisc {
	whole := append([]Qdisc(nil), plan...)
	for i := len(plan); i < len(installed); i++ {
		o := open(installed[i].Options)
		if _, ok := o.(*Netem); ok && duplicates(plan) {
			o = open(&TBF{})
		}
		whole = append(whole, Qdisc{Options: o})
	}
	return whole
}

// duplicates reports whether the root duplicates packets. Some kernels then allow no
// other netem in the tree (check_netem_in_tree in net/sched/sch_netem.c).
func duplicates(tree []Qdisc) bool {
	if len(tree) == 0 {
		return false
	}
	n, ok := tree[0].Options.(*Netem)
	return ok && n.Duplicate.P > 0
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
