package expect

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// lab is a run with a bit of everything.
func lab() *Names {
	return &Names{
		Flows: []FlowNames{
			{Name: "get", Paths: [][]PathName{paths("wifi", "lte")}},
			{Name: "page", Members: []string{"1", "2", "3"}, Paths: [][]PathName{paths("wifi+s1", "wifi+s2"), paths("wifi+s1", "wifi+s2"), paths("wifi+s1", "wifi+s2")}},
		},
		Hosts:       []string{"phone", "server"},
		Links:       []string{"wifi", "lte", "lan"},
		Middleboxes: []string{"carrier"},
		Events:      []string{"wifi-lost", "wifi-back"},
		Axes:        []AxisNames{{"buffer", []string{"50KB", "100KB", "200KB"}}, {"mode", []string{"full", "backup"}}, {"pairing", []string{"mm", "mt"}}},
		Pairing:     "mm",
		Point:       []Axis{{"buffer", "100KB"}, {"mode", "full"}},
	}
}

func paths(names ...string) (list []PathName) {
	for _, n := range names {
		list = append(list, PathName{n, n})
	}
	return list
}

func TestParseAccepts(t *testing.T) {
	for _, s := range []string{
		"flow.get.fallback == false",
		"handover.wifi-lost.gap <= handover.wifi-lost.rto + handover.wifi-lost.srtt + 100ms",
		"flow.get.path.lte.bytes(5s..12s) > 5MB",
		"flow.get.client.duration <= 16MiB * 10 / 9 / (10mbit + 3mbit) + 450ms",
		"flow.get.goodput(2s..10s)  within 15% of 40mbit",
		"flow.get.goodput >= 0.95 * flow.get.goodput(buffer=prev)",
		"flow.get.throughput / flow.get.goodput > 1.05",
		"flow.get.path.lte.packets(..10s) == 0",
		"flow.get.path.lte.first(12s..) < 2s",
		"flow.get.bytes == 0",
		"0 < flow.get.bytes",
		"p95(flow.page.*.response.p95) < 500ms",
		"jain(flow.page.*.goodput) >= 0.9",
		"count(flow.page.*.intact) == 3",
		"flow.page.2.errors == 0",
		"flow.page.*.handover.wifi-lost.gap < 3s",
		"flow.page.bytes > 1MB",
		"flow.page.intact == true",
		"flow.page.path.wifi+s2.bytes > 5MB",
		"host.phone.counter.MPTcpExtMPJoinSynTx == 2",
		"host.*.counter.TcpRetransSegs(5s..) < 100",
		"link.wifi.uplink.dropped == 0",
		"link.*.*.queue.p95(3s) < 100KB",
		"handover.gap < 1s",
		"handover.*.cause == rto",
		"handover.wifi-lost.cause != 'remove_addr'",
		`flow.get.fallback_reason == "no MP_CAPABLE in SYN"`,
		"flow.get.goodput(mode=backup)(2s..4s) < 5mbit",
		"flow.get.goodput(pairing=mt) < 5mbit",
		"flow.get.subflows(3s) == 2",
		"flow.get.path.*.share > 20%",
		"flow.get.path.*.retransmitted <= flow.get.path.*.bytes",
		"middlebox.carrier.rule.0.hits(2s..10s) >= 1",
		"middlebox.*.rule.12.hits == 0",
		"host.phone.filter.rule.0.hits > 1",
		"run.duration < 60s",
		"flow.get.bytes / flow.get.goodput < 30s",
		"flow.get.bytes - flow.get.duplicate > 1MB",
	} {
		if _, err := Parse(s, lab()); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for s, want := range map[string]string{
		"":                                                                  "wanted",
		"flow.get.goodput":                                                  "an expectation compares",
		"flow.get.goodput > ":                                               "ends where a name or a value is wanted",
		"flow.get.goodput > 5mbit 7":                                        `"7" is left over`,
		"flow.get.goodput > 5MB":                                            "left side is a rate, the right side is a size",
		"flow.get.goodput > 5":                                              "left side is a rate, the right side is a number",
		"flow.get.goodput > 5mbps":                                          "write mbit",
		"flow.get.goodput > 5mbits":                                         `did you mean "mbit"?`,
		"flow.get.goodput + 1s > 5mbit":                                     "a time cannot be added to a rate",
		"flow.get.goodput > true":                                           "true or false",
		"flow.get.intact > true":                                            "only be compared with == and !=",
		"flow.get.intact + 1 == 2":                                          "cannot be calculated with",
		"flow.get.godput > 5mbit":                                           `did you mean "goodput"?`,
		"flow.gte.goodput > 5mbit":                                          `no workload "gte"; did you mean "get"?`,
		"flw.get.goodput > 5mbit":                                           `did you mean "flow"?`,
		"flow.get > 5mbit":                                                  "is incomplete",
		"flow.get.path.lan.bytes > 5MB":                                     `no path "lan"; allowed: wifi lte`,
		"flow.get.path.lte > 5MB":                                           "write flow.get.path.LINK.WHAT",
		"flow.get.*.bytes > 5MB":                                            "has one flow",
		"flow.page.4.bytes > 5MB":                                           `no "4.bytes"`,
		"flow.page.duration > 5s":                                           "is no sum",
		"flow.*.bytes > 5MB":                                                "parallel flows in it",
		"handover.lost.gap < 1s":                                            `no named event "lost"; allowed: wifi-lost wifi-back`,
		"handover.wifi-lost.gaps < 1s":                                      `did you mean "gap"?`,
		"host.fone.counter.TcpInSegs > 1":                                   `did you mean "phone"?`,
		"host.phone.counter.JoinSyn > 1":                                    "is no counter",
		"host.phone.MPTcpExtAddAddr > 1":                                    "write host.HOST.counter.NAME",
		"link.wifi.up.bytes > 1MB":                                          `no direction "up"`,
		"link.wifi.uplink.byte > 1MB":                                       `did you mean "bytes"?`,
		"middlebox.carier.rule.0.hits >= 1":                                 `did you mean "carrier"?`,
		"middlebox.carrier.hits >= 1":                                       "write middlebox.NAME.rule.N.hits",
		"middlebox.carrier.rule.x.hits >= 1":                                "write middlebox.NAME.rule.N.hits",
		"middlebox.carrier.rule.0.hits >= 1MB":                              "left side is a number, the right side is a size",
		"middlebox.carrier.rule.0.hits(3s) > 1":                             "has no value at an instant",
		"host.phone.filter.0.hits > 1":                                      "write host.HOST.filter.rule.N.hits",
		"host.fone.filter.rule.0.hits > 1":                                  `did you mean "phone"?`,
		"flow.get.goodput(3s) > 5mbit":                                      "has no value at an instant",
		"flow.get.duration(1s..3s) > 5s":                                    "has no window",
		"flow.get.goodput(5s..3s) > 5mbit":                                  "ends before it begins",
		"flow.get.goodput(..) > 5mbit":                                      "needs an edge",
		"flow.get.goodput(5..9) > 5mbit":                                    "has no unit",
		"flow.get.goodput(mod=full) > 5mbit":                                `did you mean "mode"?`,
		"flow.get.goodput(mode=ful) > 5mbit":                                `did you mean "full"?`,
		"flow.get.goodput within 5 of 5mbit":                                "a percentage is wanted",
		"flow.get.goodput within 5% 5mbit":                                  `needs an "of"`,
		"avg(flow.page.*.goodput) > 5mbit":                                  `unknown function "avg"`,
		"max(flow.get.goodput) > 5mbit":                                     "takes one name with a star",
		"max(flow.page.*.intact) == true":                                   "is of numbers",
		"(flow.get.goodput > 5mbit":                                         "not closed",
		"flow.get.goodput(2s..10s > 5mbit":                                  "not closed",
		"flow.get.cause == 'x":                                              "quote",
		"flow.get.goodput ~ 5mbit":                                          "no part of an expression",
		"flow.page.*.bytes > flow.get.path.*.bytes":                         "do not stand for the same things",
		strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + " == 1": "too many parentheses",
	} {
		_, err := Parse(s, lab())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}

func TestInstants(t *testing.T) {
	var list []Expectation
	for _, s := range []string{"flow.get.bytes(5s..12s) > 0", "flow.get.subflows(3s) == 2", "flow.get.path.lte.first(12s..) < 2s", "flow.get.bytes > 0", "max(flow.page.*.bytes(1s..5s)) > 0"} {
		tree, err := Parse(s, lab())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Expectation{Expr: s, Tree: tree})
	}
	got := Instants(list[:2], list[2:])
	want := []time.Duration{time.Second, 3 * time.Second, 5 * time.Second, 12 * time.Second}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// FuzzParse: no expression makes the parser panic, and what it accepts can be judged.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"flow.get.goodput(2s..10s)  within 15% of 40mbit", "jain(flow.page.*.goodput) >= 0.9", "handover.wifi-lost.cause == rto",
		"flow.get.goodput(mode=full)(1s..) > 3 * (1mbit - 4kbit)", "16MiB * 10 / 9 / (3mbit + 4mbit) + 450ms > 1s", "link.*.*.dropped == 0",
		"'x' == \"x\"", "flow.*.*.*(", "-.5 < 0", "count(flow.page.*.intact(pairing=mt)) == 3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tree, err := Parse(s, lab())
		if err != nil {
			return
		}
		runs := []RunRef{{Pairing: "mm", Point: lab().Point, Expect: []Expectation{{Expr: s, Over: "each", Need: "all", Tree: tree}}}}
		if v := Judge(runs, constant(3)); len(v) != 1 || v[0].Wanted == "" {
			t.Errorf("%q: %+v", s, v)
		}
	})
}

// constant is a source in which everything has one value.
type constant float64

func (c constant) Value(int, string, Window) (Value, error) {
	return Value{Number: float64(c), Truth: true, Text: "x"}, nil
}
