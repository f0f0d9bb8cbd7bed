package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
	"mptcplab/topology/decode"
)

func build(text string) (*Topology, error) {
	var r decode.Report
	n := decode.Parse("x.yaml", []byte(text), &r)
	Expand(n, nil, &r)
	var d Draft
	decode.Object(&r, n, n.At, "topology", d.Keys)
	t := d.Build(&r)
	return t, r.Err()
}

func mustBuild(t *testing.T, text string) *Topology {
	t.Helper()
	top, err := build(text)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

const demo = `
hosts: {phone, server}
routers: {router}
links:
  wifi: {ends: [phone, router], rate: 20mbit, delay: 15ms, loss: 0.1%, queue: 100ms}
  lte:  {ends: [phone, router], rate: 10mbit, delay: 30ms, jitter: 5ms, uplink: {rate: 2mbit}}
  lan:  {ends: [router, server]}
`

func TestDefaults(t *testing.T) {
	top := mustBuild(t, demo)
	a, ok := top.Node("router").Interface("lte").Addr(6)
	if !ok || a != netip.MustParseAddr("fd00:0:0:2::2") {
		t.Errorf("router.lte is %v", a)
	}
	n, i := top.Owner(netip.MustParseAddr("10.0.3.2"))
	if n == nil || n.Name != "server" || i.Link != "lan" || i.End != 1 {
		t.Errorf("owner %v %v", n, i)
	}
	lte := top.Link("lte")
	if lte.MTU != 1500 || lte.Impair[Uplink].Rate != 2e6 || lte.Impair[Downlink].Rate != 10e6 || !lte.Impair[Uplink].InOrder {
		t.Errorf("%+v", lte)
	}
}

// Routes as "prefix via gateway dev link metric", by node.
func routes(top *Topology, node string) string {
	var w []string
	for _, r := range top.Node(node).Routes {
		w = append(w, fmt.Sprintf("%s via %s dev %s metric %d", r.Prefix, r.Gateway, r.Link, r.Metric))
	}
	return strings.Join(w, "\n")
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct{ name, text, node, want string }{
		{"multi-homed host", "ip: [4]" + demo, "phone", `10.0.1.0/24 via 10.0.2.2 dev lte metric 2
10.0.2.0/24 via 10.0.1.2 dev wifi metric 1
10.0.3.0/24 via 10.0.1.2 dev wifi metric 1
10.0.3.0/24 via 10.0.2.2 dev lte metric 2`},
		{"single-homed host", "ip: [6]" + demo, "server", `fd00:0:0:1::/64 via fd00:0:0:3::1 dev lan metric 1
fd00:0:0:2::/64 via fd00:0:0:3::1 dev lan metric 1`},
		{"all attached", "ip: [4]" + demo, "router", ""},
		{"shortest path", `
ip: [4]
hosts: {a, b}
routers: {r1, r2, r3, r4}
links: {a1: {ends: [a, r1]}, r12: {ends: [r1, r2]}, r23: {ends: [r2, r3]}, r14: {ends: [r1, r4]}, r43: {ends: [r4, r3]}, b3: {ends: [r3, b]}}`, "r1", `10.0.3.0/24 via 10.0.2.2 dev r12 metric 0
10.0.5.0/24 via 10.0.4.2 dev r14 metric 0
10.0.6.0/24 via 10.0.2.2 dev r12 metric 0`},
		{"equal cost", `
ip: [4]
hosts: {a, b}
routers: {r1: {ecmp: flow-hash}, r2, r3, r4}
links: {a1: {ends: [a, r1]}, r12: {ends: [r1, r2]}, r23: {ends: [r2, r3]}, r14: {ends: [r1, r4]}, r43: {ends: [r4, r3]}, b3: {ends: [r3, b]}}`, "r1", `10.0.3.0/24 via 10.0.2.2 dev r12 metric 0
10.0.5.0/24 via 10.0.4.2 dev r14 metric 0
10.0.6.0/24 via 10.0.2.2 dev r12 metric 0
10.0.6.0/24 via 10.0.4.2 dev r14 metric 0`},
		{"hosts do not forward", "ip: [4]\nhosts: {a, b, c}\nlinks: {ab: {ends: [a, b]}, bc: {ends: [b, c]}}", "a", "10.0.2.0/24 via 10.0.1.2 dev ab metric 1"},
		{"not beyond a host", "ip: [4]\nhosts: {a, b, c}\nrouters: {r}\nlinks: {ab: {ends: [a, b]}, br: {ends: [b, r]}, rc: {ends: [r, c]}}", "a", "10.0.2.0/24 via 10.0.1.2 dev ab metric 1"},
		{"parallel links of two hosts", "ip: [4]\nhosts: {a, b}\nlinks: {l: {count: 2, ends: [a, b], addresses: [10.0.$i.1/24, 10.0.$i.2/24]}}", "b", "10.0.1.0/24 via 10.0.2.1 dev l2 metric 2\n10.0.2.0/24 via 10.0.1.1 dev l1 metric 1"},
		{"given ones", "ip: [4]\nhosts: {a: {routes: [{to: 10.9.0.0/16, via: 10.0.1.2, link: ab, metric: 7}, {to: 10.0.2.0/24, via: 10.0.1.2, link: ab, metric: 1}]}, b, c}\nlinks: {ab: {ends: [a, b]}, bc: {ends: [b, c]}}", "a", "10.0.2.0/24 via 10.0.1.2 dev ab metric 1\n10.9.0.0/16 via 10.0.1.2 dev ab metric 7"},
	} {
		top, err := build(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := routes(top, c.node); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestReaches(t *testing.T) {
	top := mustBuild(t, "ip: [4]\nhosts: {a, b, c}\nrouters: {r}\nlinks: {ar: {ends: [a, r]}, rb: {ends: [r, b]}, ac: {ends: [a, c]}}")
	b := netip.MustParseAddr("10.0.2.2")
	for _, c := range []struct {
		from, link string
		want       bool
	}{{"a", "", true}, {"a", "ar", true}, {"a", "ac", false}, {"c", "", false}, {"r", "", true}, {"x", "", false}} {
		if got := top.Reaches(c.from, c.link, b); got != c.want {
			t.Errorf("%s over %q: %v", c.from, c.link, got)
		}
	}
}

func TestRouteMistakes(t *testing.T) {
	for route, want := range map[string]string{
		"{to: 10.9.0.0/16, via: 10.0.1.2, link: xx}":        `no interface "xx"`,
		"{to: 10.9.0.0/16, via: 10.0.7.2, link: ab}":        "not in a subnet of a.ab",
		"{to: 10.9.0.0/16, via: 'fd00:0:0:1::2', link: ab}": "mixes IP versions",
		"{via: 10.0.1.2, link: ab}":                         `"to" is missing`,
	} {
		_, err := build("hosts: {a: {routes: [" + route + "]}, b}\nlinks: {ab: {ends: [a, b]}}")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", route, err)
		}
	}
	_, err := build("hosts: {a, b}\nrouters: {a}\nlinks: {ab: {ends: [a, b]}}")
	if err == nil || !strings.Contains(err.Error(), `"a" is a host and a router`) {
		t.Errorf("two kinds: %v", err)
	}
}

// impair decodes one direction.
func impair(text string) (impairments.Config, string, error) {
	var r decode.Report
	n := decode.Parse("x.yaml", []byte(text), &r)
	var b Behaviour
	decode.Object(&r, n, n.At, "link", func(m *decode.Map) { b.Apply(ImpairKeys(m)) })
	return b.Config(), b.Check(), r.Err()
}

func TestImpairments(t *testing.T) {

	for text, want := range map[string]string{
		"rate: 20mbit\ndelay: 15ms\nloss: 0.1%\nqueue: 100ms":                              "rate 20mbit, delay 15ms, loss 0.1%, queue 100ms",
		"delay: 15ms\njitter: 5ms":                                                         "delay 15ms, jitter 5ms uniform (reordering)",
		"delay: 15ms\njitter: 5ms\nin_order: true\ndistribution: pareto":                   "delay 15ms, jitter 5ms pareto (in order)",
		"rate: 1mbit\ndelay: 15ms\njitter: 5ms\nin_order: false":                           "rate 1mbit, delay 15ms, jitter 5ms uniform (reordering)",
		"loss: {random: 1%, correlation: 25%}":                                             "loss 1% (correlation 25%)",
		"loss: {gemodel: {p: 1%, r: 10%, 1-h: 70%, 1-k: 0.1%}}":                            "loss gemodel p 1% r 10% 1-h 70% 1-k 0.1%",
		"loss: {gemodel: {p: 1%}}":                                                         "loss gemodel p 1% r 99% 1-h 100% 1-k 0%",
		"loss: {state: {p13: 1%}}":                                                         "loss state p13 1% p31 99% p32 0% p23 100% p14 0%",
		"rate: 1mbit\naqm: fq_codel":                                                       "rate 1mbit, fq_codel, ecn",
		"rate: 1mbit\naqm: fq_codel\necn: false\nqueue: 64p":                               "rate 1mbit, queue 64p, fq_codel",
		"rate: 1mbit\naqm: pie\necn: true":                                                 "rate 1mbit, pie, ecn",
		"loss: {packets: [3, 7]}":                                                          "loss packets 3 7",
		"loss: {segments: [3]}":                                                            "loss segments 3",
		"duplicate: 1%\ncorrupt: {random: 2%}\ndelay: 5ms\nreorder: {random: 25%, gap: 5}": "delay 5ms, duplicate 1%, corrupt 2%, reorder 25%, gap 5",
		"rate: 1mbit\nburst: 15KB\nqueue: 64p":                                             "rate 1mbit, burst 15kB, queue 64p",
		"rate: 1mbit\nqueue: 250KB":                                                        "rate 1mbit, queue 250kB",
		"rate: 1mbit\nlimit: 20":                                                           "rate 1mbit, limit 20p",
		"limit: 20p":                                                                       "limit 20p",
		"blackhole: true":                                                                  "blackhole",
	} {
		c, wrong, err := impair(text)
		if got := ImpairWords(c); got != want || wrong != "" || err != nil {
			t.Errorf("%s: %q, want %q (%s, %v)", text, got, want, wrong, err)
		}
	}
	for text, want := range map[string]string{
		"rate: 0":                          "would never send",
		"rate: 1mbit\nqueue: 0ms":          "smallest is 1p",
		"rate: 1mbit\nqueue: 5mbit":        "is not a queue",
		"queue: 5ms":                       "give rate",
		"burst: 5KB":                       "give rate",
		"reorder: 5%":                      "give delay",
		"distribution: normal":             "give jitter",
		"distribution: gauss":              "uniform normal pareto",
		"loss: {random: 1%, packets: [1]}": "exactly one of",
		"loss: {correlation: 1%}":          "exactly one of",
		"loss: {state: {p31: 1%}}":         `"p13" is missing`,
		"loss: {packets: [0]}":             "integer from 1",
		"loss: {gemodel: {r: 1%}}":         `"p" is missing`,
		"duplicate: {random: 1%, gap: 3}":  `unknown key "gap"`,
		"limit: 0":                         "is not an integer from 1",
		"aqm: codel":                       "give rate",
		"rate: 1mbit\naqm: cake":           "droptail codel fq_codel pie red",
		"rate: 1mbit\naqm: red\nlimit: 9":  "exclude each other",
		"rate: 1mbit\necn: true":           "give aqm",
		"slot: 5ms":                        "not built yet",
	} {
		_, wrong, err := impair(text)
		if (err == nil || !strings.Contains(err.Error(), want)) && !strings.Contains(wrong, want) {
			t.Errorf("%s: %q, %v; want %s", text, wrong, err, want)
		}
	}
	if c, _, _ := impair("delay: 15ms"); c.Delay != 15*time.Millisecond || c.InOrder {
		t.Errorf("%+v", c)
	}
}

func TestShow(t *testing.T) {
	top := mustBuild(t, "ip: [4]"+demo)
	text := Show(top)
	for _, want := range []string{
		"host phone\n", "  phone.wifi  10.0.1.1/24  to router\n", "link wifi: phone -- router, mtu 1500\n",
		"  downlink  router -> phone  rate 20mbit, delay 15ms, loss 0.1%, queue 100ms\n", "  uplink    router -> server  perfect\n",
		"  10.0.3.0/24  via 10.0.2.2  dev lte   metric 2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	dot := Dot(top)
	for _, want := range []string{"graph topology {", `"phone" [shape=box]`, `"router" [shape=ellipse]`, `"phone" -- "router" [label="wifi\nrate 20mbit`, `up: rate 2mbit`, `taillabel="10.0.1.1/24"`} {
		if !strings.Contains(dot, want) {
			t.Errorf("no %q in\n%s", want, dot)
		}
	}
}

// A switch joins links into one segment: its stations share a subnet, which is
// that of the segment's first link, and see one another without a router. Link 1
// is radio1, so the segment is 10.0.1.0/24; link 5, behind it, keeps its number.
func TestSwitch(t *testing.T) {
	top := mustBuild(t, `
hosts: {sta: {count: 3}, server: {}}
routers: {gw}
switches: {ap, trunk}
links:
  radio: {ends: [sta, ap]}
  up:    {ends: [ap, trunk]}
  air:   {ends: [trunk, gw], delay: 3ms}
  lan:   {ends: [gw, server]}
`)
	for name, want := range map[string]string{
		"sta1.radio1": "[10.0.1.1/24 fd00:0:0:1::1/64]", "sta3.radio3": "[10.0.1.3/24 fd00:0:0:1::3/64]", "gw.air": "[10.0.1.4/24 fd00:0:0:1::4/64]",
		"ap.radio2": "[]", "trunk.up": "[]", "gw.lan": "[10.0.6.1/24 fd00:0:0:6::1/64]",
	} {
		node, link, _ := strings.Cut(name, ".")
		if got := fmt.Sprint(top.Node(node).Interface(link).Prefixes); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	if got := routes(top, "sta2"); !strings.Contains(got, "10.0.6.0/24 via 10.0.1.4 dev radio2") {
		t.Errorf("routes of sta2:\n%s", got)
	}
	if got := routes(top, "server"); !strings.Contains(got, "10.0.1.0/24 via 10.0.6.1 dev lan") {
		t.Errorf("routes of server:\n%s", got)
	}
	if i := top.Node("sta2").Interface("radio"); i == nil || i.Link != "radio2" {
		t.Errorf("sta2.radio is %v, want its own: radio2", i)
	}
	if i := top.Node("ap").Interface("radio"); i != nil {
		t.Errorf("ap.radio is %v; it has three", i)
	}
	if text := Show(top); !strings.Contains(text, "switch ap\n") || !strings.Contains(text, "sta2.radio2") {
		t.Errorf("show:\n%s", text)
	}
}

// Where some stations of a segment have addresses, the others take free ones of
// the same subnet.
func TestSwitchWithGivenAddresses(t *testing.T) {
	top := mustBuild(t, `
ip: [4]
hosts: {a, b, c}
switches: {sw}
links:
  one:   {ends: [a, sw], addresses: [192.168.7.2/28, []]}
  two:   {ends: [sw, b]}
  three: {ends: [c, sw]}
`)
	for node, want := range map[string]string{"a": "192.168.7.2/28", "b": "192.168.7.1/28", "c": "192.168.7.3/28"} {
		if got := top.Node(node).Interfaces[0].Prefixes; len(got) != 1 || got[0].String() != want {
			t.Errorf("%s has %v, want %s", node, got, want)
		}
	}
}

// More stations than a /24 has room for.
func TestLargeSwitch(t *testing.T) {
	top := mustBuild(t, "hosts: {sta: {count: 300}, server: {}}\nswitches: {ap}\nlinks: {radio: {ends: [sta, ap]}, lan: {ends: [server, ap]}}")
	last := top.Node("server").Interface("lan").Prefixes
	if got := fmt.Sprint(last); got != "[10.128.1.45/16 fd00:0:0:1::12d/64]" {
		t.Errorf("the 301st station has %s", got)
	}
}

// A link with an end that is a group is one link for each member.
func TestGroups(t *testing.T) {
	top := mustBuild(t, `
ip: [4]
hosts:
  sta: {count: 2, routes: [{to: 10.9.$i.0/24, link: radio}]}
  srv: {count: 2}
routers: {gw}
links:
  radio: {ends: [sta, gw], addresses: [10.7.$i.1/24, 10.7.$i.2/24]}
  pair:  {ends: [srv, sta]}
  up:    {ends: [gw, srv1]}
`)
	var names []string
	for _, l := range top.Links {
		names = append(names, fmt.Sprintf("%s(%s) %s-%s", l.Name, l.Group, l.Ends[0], l.Ends[1]))
	}
	if got, want := strings.Join(names, ", "), "radio1(radio) sta1-gw, radio2(radio) sta2-gw, pair1(pair) srv1-sta1, pair2(pair) srv2-sta2, up() gw-srv1"; got != want {
		t.Errorf("links %s\nwant  %s", got, want)
	}
	if got := top.Node("sta2").Interface("radio").Prefixes[0].String(); got != "10.7.2.1/24" {
		t.Errorf("sta2.radio has %s", got)
	}
	if got := routes(top, "sta2"); !strings.Contains(got, "10.9.2.0/24") {
		t.Errorf("routes of sta2:\n%s", got)
	}
	if m := top.Members("sta"); len(m) != 2 || m[1].Name != "sta2" {
		t.Errorf("members %v", m)
	}
	if l := top.LinkMembers("pair"); len(l) != 2 || l[0].Name != "pair1" {
		t.Errorf("links of pair %v", l)
	}
}

func TestGroupMistakes(t *testing.T) {
	for name, c := range map[string][2]string{
		"two kinds":          {"hosts: {a, sw}\nswitches: {sw}\nlinks: {l: {ends: [a, sw]}}", `"sw" is a host and a switch`},
		"a member is there":  {"hosts: {a: {count: 2}, a1: {}, b: {}}\nlinks: {l: {ends: [a, b]}}", `host "a1" is there twice`},
		"count and group":    {"hosts: {a: {count: 2}, b: {}}\nlinks: {l: {ends: [a, b], count: 3}}", "leave count out"},
		"unequal groups":     {"hosts: {a: {count: 2}, b: {count: 3}}\nlinks: {l: {ends: [a, b]}}", "groups of 2 and 3"},
		"group like a node":  {"hosts: {a: {group: b}, b: {}}\nlinks: {l: {ends: [a, b]}}", "a node has that name"},
		"group like a link":  {"hosts: {a, b}\nlinks: {l: {ends: [a, b], group: k}, k: {ends: [a, b]}}", "a link has that name"},
		"too many":           {"hosts: {a: {count: 2000}, b: {}}\nlinks: {l: {ends: [b, a]}}", "1000"},
		"address of switch":  {"hosts: {a, b}\nswitches: {s}\nlinks: {l: {ends: [a, s], addresses: [10.1.0.1/24, 10.1.0.2/24]}, k: {ends: [b, s]}}", "s is a switch and has no address"},
		"no address":         {"hosts: {a, b}\nlinks: {l: {ends: [a, b], addresses: [10.1.0.1/24, []]}}", "b.l has no address"},
		"two subnets":        {"hosts: {a, b}\nswitches: {s}\nlinks: {l: {ends: [a, s], addresses: [10.1.0.1/24, []]}, k: {ends: [b, s], addresses: [10.2.0.1/24, []]}}", "not in a subnet of the other"},
		"key of a switch":    {"hosts: {a, b}\nswitches: {s: {ecmp: none}}\nlinks: {l: {ends: [a, s]}, k: {ends: [b, s]}}", `unknown key "ecmp"`},
		"name gets too long": {"hosts: {abcdefghijklmno: {count: 2}, b: {}}\nlinks: {l: {ends: [abcdefghijklmno, b]}}", "abcdefghijklmno1"},
	} {
		if _, err := build("\n" + c[0]); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %s", name, err, c[1])
		}
	}
}
