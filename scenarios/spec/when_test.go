package spec

import (
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	event := "{at: 5s, name: lost, link: wifi, blackhole: true}"
	load := func(new string) (*File, error) {
		return Load(write(t, "w.yaml", strings.Replace(base, event, new, 1)), Options{})
	}
	f, err := load("{when: flow.get.bytes > 500KB, after: 1s, name: lost, link: wifi, loss: 1%}\n  - {at: 2s, check: host.phone.counter.TcpRetransSegs < 5}\n  - {at: 1s, link: wifi, delay: 1ms}")
	if err != nil {
		t.Fatal(err)
	}
	line := f.Runs[0].Timeline
	if len(line) != 3 || line[0].At != 1e9 || line[1].Check.String() != "host.phone.counter.TcpRetransSegs < 5" || line[2].When.String() != "flow.get.bytes > 500KB" || line[2].After != 1e9 {
		t.Errorf("timeline %+v", line)
	}
	if again, err := parse("w.yaml", f.Resolved(), Options{}); err != nil || !sameRuns(f.Runs, again.Runs) {
		t.Errorf("the resolved file gives other runs: %v", err)
	}
	for new, want := range map[string]string{
		"{at: 5s, when: flow.get.bytes > 1MB, mark: x}":               "either at or when",
		"{link: wifi, blackhole: true}":                               `"at" is missing`,
		"{at: 5s, after: 1s, mark: x}":                                "after goes with when",
		"{when: flow.get.bytes, mark: x}":                             "16:12: timeline.0.when: an expectation compares",
		"{when: flow.got.bytes > 1MB, mark: x}":                       `no workload "got"`,
		"{when: flow.get.bytes > 1s, mark: x}":                        "timeline.0.when",
		"{when: flow.get.bytes(1s..2s) > 1MB, mark: x}":               "leave the parentheses out",
		"{when: handover.gap > 1s, mark: x}":                          "known only when the run is over",
		"{when: flow.get.duration > 1s, mark: x}":                     "known only when the run is over",
		"{when: run.duration > 1s, mark: x}":                          "known only when the run is over",
		"{at: 5s, check: flow.get.intact == true}":                    "16:21: timeline.0.check: flow.get.intact: intact is known only when the run is over",
		"{at: 5s, check: flow.get.bytes > 1MB, link: wifi}":           "one subject",
		"{at: 5s, check: flow.get.bytes > 1MB, blackhole: true}":      `"blackhole" does not go with check`,
		"{when: [flow.get.bytes > 1MB], link: wifi, blackhole: true}": "timeline.0.when",
	} {
		if _, err := load(new); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", new, err, want)
		}
	}
}
