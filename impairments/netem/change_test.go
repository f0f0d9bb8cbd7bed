package netem

import (
	"fmt"
	"strings"
	"testing"

	"mptcplab/impairments"
)

func mustPlan(t *testing.T, cfg impairments.Config) []Qdisc {
	t.Helper()
	plan, err := Plan(cfg, 1500, 0)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// summary prints steps as the commands of tc, without the interface.
func summary(steps []step) string {
	var lines []string
	for _, s := range steps {
		verb := "replace"
		if s.change {
			verb = "change"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s", verb, s.q.Parent, s.q.Handle, s.q.Options.Kind(), s.q.Options.Tc()))
	}
	return strings.Join(lines, "\n")
}

func TestTransitions(t *testing.T) {
	plain := impairments.Config{Rate: 20e6, Delay: 15 * ms, Queue: impairments.Queue{Packets: 100}}
	hole := plain
	hole.Blackhole = true
	slower := plain
	slower.Rate = 5e6
	burst := plain
	burst.Burst = 9000
	fixed := impairments.Config{Delay: 15 * ms}
	normal := impairments.Config{Delay: 15 * ms, Jitter: ms, Distribution: impairments.Normal}
	uniform := impairments.Config{Delay: 15 * ms, Jitter: ms}

	for _, tt := range []struct {
		name string
		cfgs []impairments.Config // each after the other; the steps of the last are compared
		want []string
	}{
		{"nothing was there", []impairments.Config{{}, fixed}, []string{"replace root 10: netem limit 1000000 delay 15ms"}},
		{"a new rate in place", []impairments.Config{plain, slower},
			[]string{"change root 10: netem limit 1000000 delay 15ms", "change 10:1 11: netem limit 100 rate 5mbit"}},
		{"a rate comes", []impairments.Config{fixed, plain},
			[]string{"change root 10: netem limit 1000000 delay 15ms", "replace 10:1 11: netem limit 100 rate 20mbit"}},
		{"the rate goes, those who wait stay", []impairments.Config{plain, fixed},
			[]string{"change root 10: netem limit 1000000 delay 15ms", "change 10:1 11: netem limit 1000000 rate 100gbit"}},
		{"everything goes, those who wait stay", []impairments.Config{burst, {}},
			[]string{"change root 10: netem limit 1000000 rate 100gbit", "change 10:1 11: tbf rate 100gbit burst 12500000 limit 2147483647",
				"change 11:1 12: pfifo limit 2147483647"}},
		{"another kind of queue", []impairments.Config{plain, burst},
			[]string{"change root 10: netem limit 1000000 delay 15ms", "replace 10:1 21: tbf rate 20mbit burst 9000 limit 151400",
				"replace 21:1 12: pfifo limit 100"}},
		{"and back", []impairments.Config{plain, burst, plain},
			[]string{"change root 10: netem limit 1000000 delay 15ms", "replace 10:1 11: netem limit 100 rate 20mbit"}},
		{"a black hole takes what waits", []impairments.Config{plain, hole},
			[]string{"change root 10: netem limit 1000000 loss random 100%", "replace root 20: netem limit 1000000 loss random 100%", "replace 20:1 21: netem limit 100 rate 20mbit"}},
		{"a black hole that goes on", []impairments.Config{plain, hole, hole},
			[]string{"change root 20: netem limit 1000000 loss random 100%", "change 20:1 21: netem limit 100 rate 20mbit"}},
		{"its end", []impairments.Config{plain, hole, plain},
			[]string{"change root 20: netem limit 1000000 delay 15ms", "change 20:1 21: netem limit 100 rate 20mbit"}},
		{"the second black hole", []impairments.Config{plain, hole, plain, hole},
			[]string{"change root 20: netem limit 1000000 loss random 100%", "replace root 10: netem limit 1000000 loss random 100%", "replace 10:1 11: netem limit 100 rate 20mbit"}},
		{"duplication comes last and turns netems out", []impairments.Config{plain, {Duplicate: impairments.Chance{P: 0.5}}},
			[]string{"replace 10:1 21: tbf rate 100gbit burst 12500000 limit 2147483647", "change root 10: netem limit 1000000 duplicate 50%"}},
		{"a black hole on a perfect wire", []impairments.Config{{}, {Blackhole: true}},
			[]string{"replace root 10: netem limit 1000000 loss random 100%"}},
	} {
		var tree []Qdisc
		var steps []step
		for _, cfg := range tt.cfgs {
			steps, tree = transition(tree, mustPlan(t, cfg))
		}
		if got, want := summary(steps), strings.Join(tt.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, want)
		}
	}

	// The kernel would keep the table of the normal distribution.
	_, tree := transition(mustPlan(t, normal), mustPlan(t, uniform))
	if n := tree[0].Options.(*Netem); n.table() == nil {
		t.Error("from normal to uniform jitter no table is sent")
	}
	if n := mustPlan(t, uniform)[0].Options.(*Netem); n.table() != nil {
		t.Error("uniform jitter at the start sends a table")
	}
}

// Handles stay unique and children below their parents, whatever follows what.
func TestTransitionsKeepTheTreeSound(t *testing.T) {
	cfgs := []impairments.Config{
		{}, {Delay: ms}, {Rate: 1e6}, {Duplicate: impairments.Chance{P: 1}}, {Rate: 1e6, Burst: 5000}, {Rate: 1e6, Burst: 5000, Queue: impairments.Queue{Packets: 5}},
		{Rate: 1e6, Blackhole: true}, {Delay: ms, Limit: 9}, {Blackhole: true},
	}
	visit := func(order []int) {
		var tree []Qdisc
		for _, i := range order {
			before := make(map[Handle]string)
			for _, q := range tree {
				before[q.Handle] = q.Options.Kind()
			}
			steps, next := transition(tree, mustPlan(t, cfgs[i]))
			parent := Root
			seen := make(map[Handle]bool)
			for _, q := range next {
				if q.Parent != parent || seen[q.Handle] {
					t.Fatalf("%v: %s under %s twice or not under %s", order, q.Handle, q.Parent, parent)
				}
				seen[q.Handle], parent = true, q.Handle|1
			}
			for _, s := range steps {
				kind, was := before[s.q.Handle]
				if s.change && (!was || kind != s.q.Options.Kind()) {
					t.Fatalf("%v: %s is changed in place to %s but was %q", order, s.q.Handle, s.q.Options.Kind(), kind)
				}
			}
			tree = next
		}
	}
	for a := range cfgs {
		for b := range cfgs {
			for c := range cfgs {
				visit([]int{a, b, c})
			}
		}
	}
}

func TestCompareNamesEveryDifference(t *testing.T) {
	want := mustPlan(t, impairments.Config{Rate: 20e6, Burst: 5000, Delay: 15 * ms, Queue: impairments.Queue{Bytes: 9000}})
	if err := Compare(want, want); err != nil {
		t.Errorf("the same differs: %v", err)
	}
	if err := Compare(want, move(want, otherMajor)); err != nil {
		t.Errorf("the same under other numbers differs: %v", err)
	}
	got := []Qdisc{
		{Root, want[0].Handle, &Netem{Limit: unbounded, Latency: 14 * ms, ECN: true}},
		{want[1].Parent, want[1].Handle, &TBF{Rate: 10e6, Burst: 5000, Limit: 9000}},
		{want[2].Parent, 0x98_0000, &FIFO{Limit: 3}},
		{0x99_0000, 0x99_0000, &FIFO{Limit: 3}},
	}
	err := Compare(want, got)
	if err == nil {
		t.Fatal("no difference found")
	}
	for _, part := range []string{"delay 14ms, asked 15ms", "ecn true", "rate 10000000, asked 20000000", "98:: pfifo, asked bfifo", "pfifo 99: was not asked"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}
