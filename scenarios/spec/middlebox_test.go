package spec

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/wire"
)

// boxed is base with a middlebox on lte and a filter on the phone.
var boxed = strings.NewReplacer(
	"{phone, server", "{phone: {filter: [{do: drop, direction: in}]}, server",
	"  links:", "  middleboxes:\n    carrier: {rules: [{match: {option: mp_join}, do: strip}]}\n  links:",
	"delay: 30ms", "delay: 30ms, through: [carrier]",
).Replace(base)

func TestRules(t *testing.T) {
	for text, want := range map[string]impairments.Rule{
		"{match: {option: mp_join, flags: [syn, noack]}, do: strip, direction: uplink}": {
			Match: impairments.Match{Options: 1 << 1, Flags: wire.SYN, NoFlags: wire.ACK}, Do: impairments.Strip, Direction: impairments.Up},
		"{match: {option: [mptcp, timestamps]}, do: nop}": {Match: impairments.Match{Options: 1<<10 | 1<<15}, Do: impairments.Nop},
		"{match: {data: false, src: 10.0.1.1, dst: 10.0.3.7/24, nth: 5..}, do: drop}": {
			Match: impairments.Match{NoData: true, Src: netip.MustParsePrefix("10.0.1.1/32"), Dst: netip.MustParsePrefix("10.0.3.0/24"), First: 5}, Do: impairments.Drop},
		"{match: {nth: 2}, do: reject, direction: downlink}":    {Match: impairments.Match{First: 2, Last: 2}, Do: impairments.Reject, Direction: impairments.Down},
		"{match: {nth: 2..3}, do: {reject: {with: tcp-reset}}}": {Match: impairments.Match{First: 2, Last: 3}, Do: impairments.Reject, WithReset: true},
		"{match: {idle: 30s, unseen: true, hole: true}, do: {reset: {reason: middlebox, transient: true}}}": {
			Match: impairments.Match{Idle: 30 * time.Second, Unseen: true, Hole: true}, Do: impairments.Reset, TCPRst: &wire.MPTCPRst{Transient: true, Reason: wire.RstMiddlebox}},
		"{do: reset}": {Do: impairments.Reset},
		"{do: split}": {Do: impairments.Split, Size: 536},
		"{do: {split: {size: 200B, options: first}}}":              {Do: impairments.Split, Size: 200, Once: true},
		"{do: {coalesce: {size: 4KB, wait: 5ms, options: first}}}": {Do: impairments.Coalesce, Size: 4000, Wait: 5 * time.Millisecond, Once: true},
		"{do: coalesce}":               {Do: impairments.Coalesce, Size: 9000, Wait: 2 * time.Millisecond},
		"{do: {rewrite: {isn: true}}}": {Do: impairments.RewriteData, Rewrite: impairments.Edit{ISN: true}},
		"{do: {rewrite: {at: 10B, invert: 1B, remove: 2B, insert: x}}}": {Do: impairments.RewriteData, Rewrite: impairments.Edit{At: 10, Invert: 1, Remove: 2, Insert: "x"}},
		"{do: ack}": {Do: impairments.Acknowledge},
	} {
		f, err := Load(write(t, "rules.yaml", strings.Replace(boxed, "{match: {option: mp_join}, do: strip}", text, 1)), Options{Fabric: "virtual"})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		topo := f.Runs[0].Topology
		if got := topo.Middlebox("carrier").Rules; !reflect.DeepEqual(got, []impairments.Rule{want}) {
			t.Errorf("%s: %+v", text, got)
		}
		if got := topo.Node("phone").Filter; !reflect.DeepEqual(got, []impairments.Rule{{Do: impairments.Drop, Direction: impairments.Down}}) {
			t.Errorf("filter: %+v", got)
		}
		if l := topo.Link("lte"); len(l.Through) != 1 || l.Through[0] != "carrier" {
			t.Errorf("lte goes through %v", l.Through)
		}
	}
}

func TestRuleMistakes(t *testing.T) {
	const rule = "{match: {option: mp_join}, do: strip}"
	for _, c := range []struct {
		old, new, at, want string
	}{
		{"[carrier]", "[carier]", "11:57", `topology.links.lte.through: there is no middlebox "carier"; did you mean "carrier"?`},
		{"[carrier]", "[carrier, carrier]", "11:57", `"carrier" is there twice`},
		{"carrier: {", "phone: {", "8:5", `"phone" is a middlebox and a node`},
		{rule, "{match: {option: mp_jion}, do: strip}", "8:40", `rules.0.match.option: "mp_jion" is unknown; did you mean "mp_join"?`},
		{rule, "{match: {option: mp_join}, do: stripp}", "8:54", `rules.0.do: "stripp" is unknown; did you mean "strip"?`},
		{rule, "{match: {option: mp_join}}", "8:23", `"do" is missing`},
		{rule, "{match: {flags: [syn]}, do: strip}", "8:23", "strip needs match.option"},
		{rule, "{match: {flags: [syn, nosyn]}, do: drop}", "8:31", "one is wanted set and not set"},
		{rule, "{match: {flags: [sync]}, do: drop}", "8:40", `did you mean "syn"?`},
		{rule, "{match: {nth: 0}, do: drop}", "8:37", `"0" is neither a number from 1 nor a range`},
		{rule, "{match: {nth: 3..2}, do: drop}", "8:37", "neither a number from 1 nor a range"},
		{rule, "{match: {src: phone}, do: drop}", "8:37", `"phone" is neither an address nor a subnet`},
		{rule, "{match: {idle: 0s}, do: drop}", "8:31", "idle: 0 would match everything"},
		{rule, "{match: {hole: false}, do: drop}", "8:38", "only true makes sense"},
		{rule, "{do: rewrite}", "8:28", "rewrite needs to know what"},
		{rule, "{do: {rewrite: {at: 4B}}}", "8:28", "rewrite needs to know what"},
		{rule, "{do: {split: {size: 0B}}}", "8:43", "from 1B to 65535B are possible"},
		{rule, "{do: {split: {sise: 1B}}}", "8:37", `did you mean "size"?`},
		{rule, "{do: {drop: {}, nop: {}}}", "8:28", "2 actions; a rule has one"},
		{rule, "{do: {reset: {transient: true}}}", "8:36", "give reason as well"},
		{rule, "{do: [drop]}", "8:28", "wanted is a word; allowed: strip nop drop"},
		{rule, "{do: drop, direction: out}", "8:45", `"out" is unknown; allowed: both uplink downlink`},
		{rule, "{do: coalesce}, {do: coalesce}", "8:22", "2 rules with coalesce; one list has at most one"},
		{"direction: in", "direction: uplink", "5:50", `"uplink" is unknown; allowed: both out in`},
		{"link: wifi, blackhole: true", "middlebox: carier, enabled: false", "18:37", `there is no middlebox "carier"; did you mean "carrier"?`},
		{"link: wifi, blackhole: true", "middlebox: carrier", "18:5", "nothing changes; give enabled, rules"},
		{"link: wifi, blackhole: true", "middlebox: carrier, filter: []", "18:54", `"filter" does not go with middlebox`},
		{"link: wifi, blackhole: true", "host: phone, rules: []", "18:46", `"rules" does not go with host`},
	} {
		text := strings.Replace(boxed, c.old, c.new, 1)
		_, err := Load(write(t, "box.yaml", text), Options{Fabric: "virtual"})
		if err == nil || !strings.Contains(err.Error(), c.at+":") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n%v\nwant %s: %s", c.new, err, c.at, c.want)
		}
	}
}

func TestUnusedMiddlebox(t *testing.T) {
	f, err := Load(write(t, "box.yaml", strings.Replace(boxed, ", through: [carrier]", "", 1)), Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0].Text, "no link goes through the middlebox carrier") {
		t.Errorf("warnings %v", f.Warnings)
	}
}
