package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mptcplab/topology/decode"
)

const sampleFile = `
seed: 4
params: {rate: 1mbit, delay: 1ms, subflows: 1}
topology:
  hosts: {a, b}
  links: {l: {ends: [a, b], rate: $rate, delay: $delay}}
mptcp: {limits: {subflows: $subflows}}
workloads: {get: {type: bulk, client: a, server: b, download: 1MB}}
sweep:
  sample: 20
  rate: 1mbit..100mbit
  cc: {reno: {tcp.congestion_control: reno}, cubic: {}}
  delay: 0ms..200ms
  subflows: 1..4
expect:
  - {that: flow.get.goodput > 1mbit, for: {rate: 50mbit..}}
`

// Each of 20 strata of each range has one value, the ranges do not go together in
// order, and other axes are a grid with the samples.
func TestSample(t *testing.T) {
	f, err := Load(write(t, "s.yaml", sampleFile), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Runs) != 40 {
		t.Fatalf("%d runs, want 20 samples for each of 2 controllers", len(f.Runs))
	}
	var rates, delays, subflows []int
	with := 0
	for _, r := range f.Runs {
		l := r.Topology.Link("l").Impair[0]
		if r.Hosts[0].Settings.TCP["congestion_control"] == "cubic" {
			rates = append(rates, int(float64(l.Rate-1e6)/99e6*20))
			delays = append(delays, int(l.Delay/10e6))
			subflows = append(subflows, r.Hosts[0].Limits.Subflows)
		}
		if over := l.Rate >= 50e6; over == (len(r.Expect) == 3) && over {
			with++
		} else if over != (len(r.Expect) == 3) {
			t.Errorf("%s: %d expectations", r.ID, len(r.Expect))
		}
	}
	if slices.IsSorted(rates) || slices.Equal(rates, delays) {
		t.Errorf("strata of the rates %v, of the delays %v: no random order", rates, delays)
	}
	for _, s := range [][]int{rates, delays} {
		if slices.Sort(s); fmt.Sprint(s) != "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]" {
			t.Errorf("strata %v", s)
		}
	}
	for n := 1; n <= 4; n++ {
		if k := len(slices.DeleteFunc(slices.Clone(subflows), func(s int) bool { return s != n })); k != 5 {
			t.Errorf("%d subflows in %d of 20 samples", n, k)
		}
	}
	again, err := parse("s.yaml", f.Resolved(), Options{})
	if err != nil || !sameRuns(f.Runs, again.Runs) {
		t.Errorf("the resolved file gives other runs: %v", err)
	}
	seed := uint64(5)
	if other, err := Load(write(t, "s.yaml", sampleFile), Options{Seed: &seed}); err != nil || other.Runs[0].ID == f.Runs[0].ID {
		t.Errorf("another seed gives the same point %s (%v)", f.Runs[0].ID, err)
	}
}

func TestSampleMistakes(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"sample: 20", "sample: 0", "0"},
		{"sample: 20", "sample: many", "sweep.sample"},
		{"  sample: 20\n", "", "or sample: N beside it"},
		{"rate: 1mbit..100mbit\n  cc: {reno: {tcp.congestion_control: reno}, cubic: {}}\n  delay: 0ms..200ms\n  subflows: 1..4", "cc: {a: {}}", "no range to take samples of"},
		{"  rate: 1mbit..100mbit\n  cc: {reno: {tcp.congestion_control: reno}, cubic: {}}\n  delay: 0ms..200ms\n", "", "two samples are the same, subflows="},
		{"delay: 0ms..200ms", "delay: 5ms..", "needs a step"},
	} {
		text := strings.Replace(strings.Replace(sampleFile, c.old, c.new, 1), "expect:\n  - {that: flow.get.goodput > 1mbit, for: {rate: 50mbit..}}", "", 1)
		if _, err := Load(write(t, "s.yaml", text), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.new, err, c.want)
		}
	}
	for _, only := range []string{"sample=3", "rate=10mbit"} {
		if _, err := Load(write(t, "s.yaml", sampleFile), Options{Only: []string{only}}); err == nil || !strings.Contains(err.Error(), "is sampled") {
			t.Errorf("--only %s: %v", only, err)
		}
	}
	if f, err := Load(write(t, "s.yaml", sampleFile), Options{Only: []string{"cc=reno"}}); err != nil || len(f.Runs) != 20 {
		t.Errorf("--only cc=reno: %v", err)
	}
}

// Sizes, times and files of a workload, and what is wrong with them.
func TestAmounts(t *testing.T) {
	path := write(t, "s.yaml", "")
	load := func(work string) (*File, error) {
		var r decode.Report
		text := "topology:\n  hosts: {a, b}\n  links: {l: {ends: [a, b]}}\nworkloads: {w: {client: a, server: b, " + work + "}}\n"
		root := decode.Parse(path, []byte(text), &r)
		f := &File{Path: path}
		f.load(root, &r)
		return f, r.Err()
	}
	bulk, asks := "type: bulk, ", "type: request-response, "
	_, err := load(bulk + "download: {file: s.yaml}, upload: uniform(8MiB..24MiB)")
	if err == nil || !strings.Contains(err.Error(), "no file of 1B") {
		t.Errorf("an empty file: %v", err)
	}
	f, err := load(bulk + "upload: uniform(8MiB..24MiB), download: exp(1MB)")
	if err != nil {
		t.Fatal(err)
	}
	w := f.Runs[0].Workloads[0]
	if w.Upload.Size != (SizeDraw{Kind: "uniform", A: 8 << 20, B: 24 << 20}) || w.Download.Size != (SizeDraw{Kind: "exp", A: 1e6}) {
		t.Errorf("%+v", w)
	}
	if f, err = load(asks + "request: uniform(100B..1kB), response: exp(50KB)"); err != nil || f.Runs[0].Workloads[0].Response.Kind != "exp" {
		t.Errorf("%v", err)
	}
	for work, want := range map[string]string{
		bulk + "download: {file: ../x}":                              "beside or below",
		bulk + "download: {file: /etc/hostname}":                     "beside or below",
		bulk + "download: {file: result.json}":                       "as a result is",
		bulk + "download: {file: nothing.bin}":                       "cannot read nothing.bin",
		bulk + "download: {fil: x}":                                  `unknown key "fil"`,
		bulk + "download: {file: .}":                                 "beside or below",
		bulk + "download: uniform(24MiB..8MiB)":                      "ends before it begins",
		bulk + "download: exp(1s)":                                   "is a time",
		bulk + "download: normal(1MB)":                               "no distribution",
		asks + "request: uniform(1KB), response: 1KB":                "uniform(FROM..TO)",
		asks + "request: 0, response: 1KB":                           "at least one byte",
		asks + "request: 1KB, response: exp(9KB), reconnect: 1s":     "which request is repeated",
		asks + "request: exp(3GiB), response: 1KB":                   "more than 2GiB",
		asks + "request: exp(3KB, response: 1KB":                     "no closing parenthesis",
		asks + "request: 3KB, response: 1KB, stagger: uniform(1s..)": "",
	} {
		if _, err := load(work); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", work, err, want)
		}
	}
}
