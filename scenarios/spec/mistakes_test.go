package spec

import (
	"errors"
	"strings"
	"testing"

	"mptcplab/topology/decode"
)

// base is a scenario without mistakes; each case changes a line of it.
const base = `name: base
seed: 3
params: {rate: 20mbit}
topology:
  hosts: {phone, server: {stack: mptcp}}
  routers: {router}
  links:
    wifi: {ends: [phone, router], rate: $rate, delay: 15ms}
    lte:  {ends: [phone, router], delay: 30ms}
    lan:  {ends: [router, server]}
mptcp: {scheduler: minrtt}
tcp: {congestion_control: cubic}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, download: 1MB}
timeline:
  - {at: 5s, name: lost, link: wifi, blackhole: true}
expect:
  - flow.get.goodput > 1mbit
`

func TestBase(t *testing.T) {
	f, err := Load(write(t, "base.yaml", base), Options{Fabric: "virtual"})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Runs) != 1 || f.Runs[0].ID != "seed=3" {
		t.Errorf("runs: %+v", f.Runs)
	}
}

// Every mistake is found, with its place, what is wrong and what is allowed.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		at             string // LINE:COLUMN
		want           []string
	}{
		{"unknown key", "delay: 15ms", "dealy: 15ms", "8:48", []string{`unknown key "dealy" in topology.links.wifi`, `did you mean "delay"?`}},
		{"unknown top key", "seed: 3", "sede: 3", "2:1", []string{`unknown key "sede" in the file`, `"seed"`}},
		{"key twice", "seed: 3", "seed: 3\nseed: 4", "3:1", []string{`key "seed" is given twice`, "line 2"}},
		{"key twice in flow", "delay: 30ms", "delay: 30ms, delay: 31ms", "9:48", []string{"twice"}},
		{"no such end", "[router, server]", "[router, sever]", "10:18", []string{`no host, router or switch "sever"`, `"server"`}},
		{"three ends", "[router, server]", "[router, server, phone]", "10:18", []string{"3 nodes", "two ends"}},
		{"same ends", "[router, server]", "[server, server]", "10:18", []string{"both ends"}},
		{"ends missing", "lan:  {ends: [router, server]}", "lan:  {mtu: 1400}", "10:5", []string{`"ends" is missing`}},
		{"negative delay", "delay: 15ms", "delay: -15ms", "8:55", []string{"negative"}},
		{"no unit", "delay: 15ms", "delay: 15", "8:55", []string{"has no unit", "15ms"}},
		{"wrong unit", "delay: 15ms", "delay: 15mbit", "8:55", []string{"is a rate", "a time"}},
		{"port of a parallel connection", "download: 1MB}", "download: 1MB, parallel: 3}\n  put: {type: bulk, client: phone, server: server, upload: 1MB, port: 5003}", "15:3", []string{"workloads.put listens on port 5003 of server, as workloads.get does"}},
		{"ports beyond", "download: 1MB}", "download: 1MB, port: 65534, parallel: 3}", "14:78", []string{"port 65534 and those that follow, one for each of 3 connections, go beyond 65535"}},
		{"mbps", "rate: 20mbit", "rate: 20mbps", "3:16", []string{"tc reads it as megabytes per second; write mbit"}},
		{"more than 100 %", "delay: 30ms", "loss: 101%", "9:41", []string{"outside 0%..100%"}},
		{"no percent sign", "delay: 30ms", "loss: 0.1", "9:41", []string{"percent sign"}},
		{"queue without rate", "delay: 30ms", "queue: 100ms", "9:5", []string{"give rate as well"}},
		{"queue and limit", "delay: 15ms", "queue: 100ms, limit: 20", "8:5", []string{"exclude each other"}},
		{"not built", "delay: 30ms", "slot: 5ms", "9:41", []string{"known, not built yet"}},
		{"name too long", "lte:  {ends", "longer-than-fifteen: {ends", "9:5", []string{"19 characters", "at most 15"}},
		{"name", "lte:  {ends", "LTE: {ends", "9:5", []string{`"LTE" is no name`}},
		{"reserved name", "lte:  {ends", "lo: {ends", "9:5", []string{"no name for an interface"}},
		{"same address", "delay: 30ms", "addresses: [10.0.1.1/24, 10.0.1.7/24]", "9:46", []string{"phone.lte has the address 10.0.1.1 of phone.wifi"}},
		{"same subnet", "delay: 30ms", "addresses: [10.0.1.5/24, 10.0.1.6/24]", "9:46", []string{"subnet 10.0.1.0/24 of link wifi"}},
		{"no prefix length", "delay: 30ms", "addresses: [10.9.1.5, 10.9.1.6/24]", "9:47", []string{"write 10.9.1.5/24"}},
		{"other subnet", "delay: 30ms", "addresses: [10.9.1.5/24, 10.9.2.6/24]", "9:46", []string{"not in a subnet of the other end"}},
		{"no such parameter", "$rate", "$rat", "8:41", []string{"no parameter $rat", `"rate"`}},
		{"braces", "$rate", "${rate}", "8:41", []string{"write $name"}},
		{"no such client", "client: phone.wifi", "client: fone.wifi", "14:29", []string{`no host "fone"`, `"phone"`}},
		{"router as client", "client: phone.wifi", "client: router", "14:29", []string{`no host "router"`}},
		{"no such interface", "client: phone.wifi", "client: phone.wlan", "14:29", []string{`no interface "wlan"`, "wifi lte"}},
		{"no workload type", "type: bulk, ", "", "14:3", []string{`"type" is missing`}},
		{"unknown type", "type: bulk", "type: blk", "14:15", []string{`"bulk"`}},
		{"type not built", "type: bulk", "type: video", "14:15", []string{"known, not built yet"}},
		{"nothing to move", ", download: 1MB", "", "14:3", []string{"needs download or upload"}},
		{"foreign key", "download: 1MB", "download: 1MB, think: 1s", "14:79", []string{"a bulk workload has no think"}},
		{"same host", "server: server, download", "server: phone, download", "14:49", []string{"same host"}},
		{"family", "download: 1MB", "download: 1MB, family: 5", "14:80", []string{"allowed: 4 6"}},
		{"scheduler", "scheduler: minrtt", "scheduler: minrt", "11:20", []string{`"minrt" is unknown`, `"minrtt"`}},
		{"scheduler's weights", "scheduler: minrtt", "scheduler: weighted:3:0", "11:20", []string{`"weighted:3:0" is unknown`, `stale weighted, weighted:3:1`}},
		{"unknown setting", "scheduler: minrtt", "chekcsum_enabled: true", "11:9", []string{`"checksum_enabled"`}},
		{"endpoint", "scheduler: minrtt", "endpoints: [{dev: wlan, flags: [subflow]}]", "11:21", []string{`no interface "wlan"`}},
		{"endpoint flag", "scheduler: minrtt", "endpoints: [{dev: wifi, flags: [subfow]}]", "11:41", []string{`"subflow"`}},
		{"endpoint of nothing", "scheduler: minrtt", "endpoints: [{flags: [subflow]}]", "11:21", []string{"dev, address or id"}},
		{"kernel stack", "stack: mptcp", "stack: kernel-mptcp", "5:34", []string{"cannot run in virtual time"}},
		{"no subject", "link: wifi, blackhole: true", "blackhole: true", "16:5", []string{"one subject, this one has 0"}},
		{"two subjects", "link: wifi, blackhole", "link: wifi, host: phone, blackhole", "16:5", []string{"this one has 2"}},
		{"no such link", "link: wifi, blackhole", "link: wfi, blackhole", "16:32", []string{`"wifi"`}},
		{"no time", "at: 5s, ", "", "16:5", []string{`"at" is missing`}},
		{"nothing changes", ", blackhole: true", "", "16:5", []string{"nothing changes"}},
		{"wrong change", "blackhole: true", "notice: true", "16:46", []string{`"notice" does not go with link`}},
		{"iface without state", "link: wifi, blackhole: true", "iface: phone.wifi, notice: true", "16:5", []string{"needs state"}},
		{"bad state", "blackhole: true", "state: donw", "16:45", []string{`"down"`}},
		{"delete unknown endpoint", "link: wifi, blackhole: true", "host: server, delete_endpoint: {dev: lan}", "16:57", []string{"no endpoint of server"}},
		{"delete id 0 of nothing", "link: wifi, blackhole: true", "host: phone, delete_endpoint: {id: 0}", "16:56", []string{"id 0 is the initial address", "dev or address"}},
		{"endpoint with id 0", "link: wifi, blackhole: true", "host: phone, add_endpoint: {dev: lte, id: 0}", "16:68", []string{"1 to 255"}},
		{"command of another path manager", "link: wifi, blackhole: true", "host: phone, announce: {dev: lte, id: 2}", "16:49", []string{"timeline.0.announce", "a command of path_manager userspace; phone has kernel"}},
		{"command of a link", "blackhole: true", "announce: {dev: lte, id: 2}", "16:48", []string{`"announce" does not go with link`}},
		{"expect name", "flow.get.goodput", "flow.get.goodputs", "18:5", []string{`"goodput"`}},
		{"expect flow", "flow.get.goodput", "flow.gte.goodput", "18:5", []string{`no workload "gte"`, `"get"`}},
		{"expect dimension", "> 1mbit", "> 1MB", "18:5", []string{"left side is a rate", "right side is a size"}},
		{"expect event", "flow.get.goodput > 1mbit", "handover.lots.gap < 1s", "18:5", []string{`"lost"`}},
		{"expect axis", "- flow.get.goodput > 1mbit", "- {that: flow.get.goodput > 1mbit, for: {mode: full}}", "18:44", []string{`no axis "mode"`}},
		{"expect not a list", "  - flow.get.goodput > 1mbit", "  that: x", "18:3", []string{"expect is a list"}},
		{"capture", "seed: 3", "capture: {packets: [phone.wlan]}", "2:20", []string{`no interface fits "phone.wlan"`}},
		{"seed", "seed: 3", "seed: -3", "2:7", []string{"integer from 0"}},
		{"sweep without parameter", "seed: 3", "sweep: {rat: [1, 2]}", "2:9", []string{"none of that name", `"rate"`}},
		{"sweep path", "seed: 3", "sweep: {m: {a: {topology.links.wfi.delay: 1s}}}", "2:17", []string{`no "wfi"`, `"wifi"`}},
		{"sweep top path", "seed: 3", "sweep: {m: {a: {topolgy.links: 1}}}", "2:17", []string{"neither a parameter nor a path", `"topology"`}},
		{"pairing host", "seed: 3", "pairings: {a: {fone: tcp}}", "2:16", []string{`"phone"`}},
		{"pairing stack", "seed: 3", "pairings: {a: {phone: tpc}}", "2:23", []string{`"tcp"`}},
		{"pairing fabric", "seed: 3", "pairings: {a: {phone: {vrtual: tcp, netns: tcp}}}", "2:24", []string{"no fabric"}},
		{"pairing kernel", "seed: 3", "pairings: {a: {phone: {virtual: kernel-tcp}}}", "2:33", []string{"cannot run in virtual time"}},
		{"param called as a key", "params: {rate: 20mbit}", "params: {rate: 20mbit, seed: 1}", "3:24", []string{"that name is taken"}},
		{"duration", "seed: 3", "duration: 1h", "2:11", []string{"after the timeout"}},
		{"not YAML", "seed: 3", "seed: {", "", []string{"not YAML"}},
		{"two documents", "seed: 3", "seed: 3\n---\na: 1", "3:1", []string{"second document"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(base, c.old) {
				t.Fatalf("the base has no %q", c.old)
			}
			path := write(t, "x.yaml", strings.Replace(base, c.old, c.new, 1))
			_, err := Load(path, Options{Fabric: "virtual"})
			var list decode.Errors
			if !errors.As(err, &list) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			first := list[0].Error()
			if c.at != "" && !strings.HasPrefix(first, path+":"+c.at+": ") {
				t.Errorf("not at %s: %s", c.at, strings.TrimPrefix(first, path))
			}
			for _, w := range c.want {
				if !strings.Contains(first, w) {
					t.Errorf("no %q in %s", w, strings.TrimPrefix(first, path))
				}
			}
		})
	}
}

// One reading finds all mistakes.
func TestEveryMistakeAtOnce(t *testing.T) {
	bad := strings.NewReplacer("delay: 15ms", "delay: 15", "download: 1MB", "download: 1mb, prot: tcp",
		"at: 5s", "at: -5s", "cubic", "qbic", "phone.wifi", "fone.wifi", "link: wifi", "link: wfi", "> 1mbit", "> 1MB").Replace(base)
	_, err := Load(write(t, "x.yaml", bad), Options{})
	var list decode.Errors
	if !errors.As(err, &list) {
		t.Fatalf("no list: %v", err)
	}
	var lines []int
	for _, m := range list {
		lines = append(lines, m.At.Line)
	}
	want := []int{8, 12, 14, 14, 14, 16, 16, 18}
	if len(lines) != len(want) {
		t.Fatalf("lines %v, want %v:\n%v", lines, want, err)
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("lines %v, want %v:\n%v", lines, want, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	text := strings.Replace(base, "lan:  {ends: [router, server]}", "lan:  {ends: [island, server]}", 1)
	text = strings.Replace(text, "routers: {router}", "routers: {router, island}", 1)
	_, err := Load(write(t, "x.yaml", text), Options{})
	if err == nil || !strings.Contains(err.Error(), "server cannot be reached from phone.wifi") {
		t.Errorf("got %v", err)
	}
}

func TestOptionMistakes(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Sets: []string{"topology.links.wfi.delay=3ms"}}, `--set topology.links.wfi.delay=3ms: topology.links has no "wfi"; did you mean "wifi"?`},
		{Options{Sets: []string{"topology.links.wifi.delay=3"}}, "--set topology.links.wifi.delay=3: topology.links.wifi.delay: \"3\" has no unit"},
		{Options{Sets: []string{"topology.links.wifi.dealy=3ms"}}, `unknown key "dealy"`},
		{Options{Sets: []string{"delay=3ms"}}, `"delay" is neither a parameter nor a path`},
		{Options{Sets: []string{"delay"}}, "wanted is path.to.key=value"},
		{Options{Sets: []string{"timeline.1.at=3s"}}, "timeline is a list of 1"},
		{Options{Sets: []string{"seed.x=3"}}, `seed is the value "3"`},
		{Options{Sets: []string{"topology..x=3"}}, "is no path"},
		{Options{Only: []string{"mode=full"}}, `there is no axis "mode"`},
		{Options{Only: []string{"pairing"}}, "wanted is AXIS=VALUE"},
		{Options{Fabric: "moon"}, "allowed: virtual netns"},
	} {
		_, err := Load(write(t, "x.yaml", base), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.o, err, c.want)
		}
	}
	if _, err := Load("no-such-file.yaml", Options{}); err == nil || !strings.Contains(err.Error(), "no-such-file.yaml: cannot read") {
		t.Errorf("missing file: %v", err)
	}
}
