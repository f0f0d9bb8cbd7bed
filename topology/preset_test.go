package topology

import (
	"os"
	"strings"
	"testing"
	"time"

	"mptcplab/topology/decode"
)

// linkOf builds a link between two hosts from the text of its block.
func linkOf(t *testing.T, text string) *Link {
	t.Helper()
	var r decode.Report
	n := decode.Parse("x.yaml", []byte("hosts: {a, b}\nlinks: {l: {ends: [a, b], "+text+"}}"), &r)
	ApplyPresets(n, nil)
	var d Draft
	decode.Object(&r, n, n.At, "topology", d.Keys)
	top := d.Build(&r)
	if err := r.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return top.Link("l")
}

// A preset is what its keys say, and what is written beside it wins.
func TestPresets(t *testing.T) {
	for _, p := range Presets() {
		a, b := linkOf(t, "preset: "+p.Name), linkOf(t, p.Keys)
		if a.Impair[Uplink].Rate != b.Impair[Uplink].Rate || ImpairWords(a.Impair[Downlink]) != ImpairWords(b.Impair[Downlink]) || a.Impair[Downlink].Rate == 0 || p.Source == "" {
			t.Errorf("%s: %+v, want %+v", p.Name, a.Impair, b.Impair)
		}
	}
	for text, want := range map[string][2]string{
		"preset: wifi":                                         {"rate 8mbit, delay 10ms, queue 80ms", "rate 8mbit, delay 10ms, queue 80ms"},
		"preset: wifi, delay: 5ms":                             {"rate 8mbit, delay 5ms, queue 80ms", "rate 8mbit, delay 5ms, queue 80ms"},
		"preset: wifi, uplink: {rate: 3mbit}":                  {"rate 3mbit, delay 10ms, queue 80ms", "rate 8mbit, delay 10ms, queue 80ms"},
		"preset: wifi, limit: 100":                             {"rate 8mbit, delay 10ms, limit 100p", "rate 8mbit, delay 10ms, limit 100p"},
		"preset: dsl, rate: 4mbit":                             {"rate 4mbit, delay 15ms", "rate 4mbit, delay 15ms"},
		"preset: dsl, uplink: {delay: 1ms, loss: 2%}":          {"rate 1mbit, delay 1ms, loss 2%", "rate 8mbit, delay 15ms"},
		"preset: dsl, uplink: {rate: 2mbit}, mtu: 1492":        {"rate 2mbit, delay 15ms", "rate 8mbit, delay 15ms"},
		"preset: dsl, rate: 4mbit, downlink: {queue: 1s}":      {"rate 4mbit, delay 15ms", "rate 4mbit, delay 15ms, queue 1000ms"},
		"preset: ethernet, uplink: null, downlink: {loss: 5%}": {"rate 1gbit", "rate 1gbit, loss 5%"},
	} {
		l := linkOf(t, text)
		for d, w := range want {
			w = strings.Replace(w, "1000ms", decode.FormatTime(time.Second), 1)
			if got := ImpairWords(l.Impair[d]); got != w {
				t.Errorf("%s, %s: %s, want %s", text, Direction(d), got, w)
			}
		}
	}
}

// The documentation lists every preset with its keys and its source.
func TestPresetsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range presets {
		if row := "| `" + p.Name + "` | `" + p.Keys + "` | " + p.Source + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/scenarios.md has no line %s", row)
		}
	}
}
