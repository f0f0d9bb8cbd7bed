package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/wire"
	"mptcplab/topology/decode"
)

// Middlebox is a kind of middlebox: each link that goes through it has one of its
// own.
type Middlebox struct {
	Name  string
	Rules []impairments.Rule
}

// Box is a middlebox on a link, or the filter of a host there.
type Box struct {
	Name string // of the middlebox, or of the host
	Flip bool   // of a host at the second end: what it sends goes down
	*impairments.Middlebox
}

// SetRules replaces the rules, which are written as the middlebox or the host sees
// the directions.
func (b *Box) SetRules(rules []impairments.Rule) { b.Middlebox.SetRules(flipped(rules, b.Flip)) }

// NewLink makes the machine of link l: the wire, what the link goes through at its
// second end, and the filters of the hosts at its ends. impair is how the wire
// behaves, frames says that packets have Ethernet headers. A filter without rules
// is there, too, if filtered says that the host may get some.
func (t *Topology) NewLink(l *Link, seed uint64, impair [2]impairments.Config, frames bool, filtered func(host string) bool) (*impairments.Link, []Box) {
	overhead, header := impairments.Overhead, 0
	if frames {
		overhead, header = 0, impairments.Overhead
	}
	wire := impairments.NewWire(seed, l.Name, impair, overhead)
	wire.SetHalfDuplex(l.HalfDuplex)
	var boxes []Box
	var at [2][]*impairments.Middlebox
	put := func(end int, name string, flip bool, rules []impairments.Rule) {
		m := impairments.NewMiddlebox(seed, l.Name+"/"+name, flipped(rules, flip), header, l.MTU)
		at[end] = append(at[end], m)
		boxes = append(boxes, Box{name, flip, m})
	}
	for _, name := range l.Through {
		put(1, name, false, t.Middlebox(name).Rules)
	}
	for end, name := range l.Ends {
		if n := t.Node(name); len(n.Filter) > 0 || filtered != nil && filtered(name) {
			put(end, name, end == 1, n.Filter)
		}
	}
	return impairments.NewLink(at[0], wire, at[1]), boxes
}

// AddHits adds the hits of one more link to those of others.
func AddHits(sum, more []uint64) []uint64 {
	for len(sum) < len(more) {
		sum = append(sum, 0)
	}
	for i, n := range more {
		sum[i] += n
	}
	return sum
}

// flipped returns the rules with their directions turned round, if flip.
func flipped(rules []impairments.Rule, flip bool) []impairments.Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		if d := &rules[i].Direction; flip && *d != impairments.Both {
			*d = impairments.Up + impairments.Down - *d
		}
	}
	return rules
}

// Middlebox returns the middlebox of that name, or nil.
func (t *Topology) Middlebox(name string) *Middlebox {
	for i := range t.Middleboxes {
		if t.Middleboxes[i].Name == name {
			return &t.Middleboxes[i]
		}
	}
	return nil
}

// The words for directions, by impairments.Way.
var (
	boxWays    = []string{"both", "uplink", "downlink"}
	filterWays = []string{"both", "out", "in"}
)

// RulesKey declares a list of rules under key: those of a host (out, in) or of a
// middlebox (uplink, downlink). It reports whether there was one.
func RulesKey(m *decode.Map, key string, host bool, dst *[]impairments.Rule, doc string) (found bool) {
	ways := boxWays
	if host {
		ways = filterWays
	}
	*dst = nil
	m.List(key, doc, func(i int, m *decode.Map) {
		if r, ok := ruleKeys(m, ways); ok {
			*dst = append(*dst, r)
		}
	})
	if m.Describing() || !m.Has(key) {
		return false
	}
	checkRules(m, key, *dst)
	return true
}

// maxRules is how many rules a middlebox has at most.
const maxRules = 64

// checkRules refuses what rules cannot do together.
func checkRules(m *decode.Map, key string, rules []impairments.Rule) {
	count := map[impairments.Action]int{}
	for _, r := range rules {
		count[r.Do]++
	}
	for _, a := range []impairments.Action{impairments.Coalesce, impairments.Acknowledge} {
		if count[a] > 1 {
			m.Report().Errorf(m.PositionOf(key), "%s.%s: %d rules with %s; one list has at most one", m.Path, key, count[a], a)
		}
	}
	if len(rules) > maxRules {
		m.Report().Errorf(m.PositionOf(key), "%s.%s has %d rules; at most %d are possible", m.Path, key, len(rules), maxRules)
	}
}

func ruleKeys(m *decode.Map, ways []string) (r impairments.Rule, ok bool) {
	option := false
	m.Object("match", "which packets; all conditions must hold. Without one: all packets", func(m *decode.Map) {
		matchKeys(m, &r.Match)
		option = !m.Describing() && m.Has("option")
	})
	ok = doKey(m, &r)
	m.Require("do")
	way := ways[0]
	decode.Get(m, "direction", decode.EnumType(ways), &way, "of the packets; default both")
	r.Direction = impairments.Way(slices.Index(ways, way))
	if !m.Describing() && ok && (r.Do == impairments.Strip || r.Do == impairments.Nop) && !option {
		m.Errorf("%s needs match.option: which options", r.Do)
	}
	return r, ok
}

var flagWords = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"}

func matchKeys(m *decode.Map, c *impairments.Match) {
	optionKey(m, &c.Options)
	var flags []string
	var all []string
	for _, w := range flagWords {
		all = append(all, w, "no"+w)
	}
	decode.GetList(m, "flags", decode.EnumType(all), &flags, "of the TCP header: syn is set, noack is not set; SYN and SYN/ACK both match [syn]")
	for _, w := range flags {
		bit := slices.Index(flagWords, strings.TrimPrefix(w, "no"))
		switch {
		case bit < 0: // reported
		case strings.HasPrefix(w, "no"):
			c.NoFlags |= 1 << bit
		default:
			c.Flags |= 1 << bit
		}
	}
	if c.Flags&c.NoFlags != 0 {
		m.Errorf("flags: one is wanted set and not set")
	}
	var data bool
	if decode.Get(m, "data", decode.BoolType, &data, "with payload, or without") {
		c.Data, c.NoData = data, !data
	}
	decode.Get(m, "src", subnetType, &c.Src, "source: an address or a subnet")
	decode.Get(m, "dst", subnetType, &c.Dst, "destination: an address or a subnet")
	var nth [2]int
	if decode.Get(m, "nth", nthType, &nth, "of the packets that match otherwise, counted from 1, only this one: 3; or these: 1..2, 5..") {
		c.First, c.Last = nth[0], nth[1]
	}
	if decode.Get(m, "idle", decode.TimeType, &c.Idle, "packets of connections that were silent for that long, until their next SYN: as if their state had timed out") && c.Idle == 0 {
		m.Errorf("idle: 0 would match everything")
	}
	trueOnly(m, "unseen", &c.Unseen, "acknowledges data that did not pass here")
	trueOnly(m, "hole", &c.Hole, "does not follow on what passed here: there is a hole in the sequence")
}

// trueOnly declares a condition that there is or is not.
func trueOnly(m *decode.Map, key string, dst *bool, doc string) {
	if decode.Get(m, key, decode.BoolType, dst, doc) && !*dst {
		m.Report().Errorf(m.PositionOf(key), "%s.%s: only true makes sense; leave it out", m.Path, key)
	}
}

// optionKey declares option: one word or a list, one of which must be there.
func optionKey(m *decode.Map, dst *impairments.OptionKinds) {
	t := decode.EnumType(impairments.OptionWords)
	schema := func() *decode.Schema { return decode.OneOf(t.Schema, decode.ListOf(t.Schema)) }
	m.Key("option", "a TCP option that the packet has, or a list of which it has one; mptcp is any of MPTCP", schema, func(n *decode.Node, path string) {
		words, ok := []string{""}, true
		if n.Kind == decode.List {
			words, ok = decode.ReadList(m.Report(), n, path, t)
		} else {
			words[0], ok = t.Read(m.Report(), n, path)
		}
		for _, w := range words {
			if i := slices.Index(impairments.OptionWords, w); ok && i >= 0 {
				*dst |= 1 << i
			}
		}
	})
}

var subnetType = decode.Type[netip.Prefix]{What: "an address or a subnet, such as 10.0.1.2 or 10.0.1.0/24", Schema: decode.OneOf(&decode.Schema{Type: "string"}),
	Parse: func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q is neither an address nor a subnet, such as 10.0.1.2 or 10.0.1.0/24", s)
		}
		return p.Masked(), nil
	}}

// nthType is which packets: the last is 0 if there is no end.
var nthType = decode.Type[[2]int]{What: "a number from 1, or a range such as 1..2 or 5..", Schema: decode.OneOf(decode.IntType(1, 1<<30).Schema, decode.Pattern(`^[0-9]+\.\.[0-9]*$`)),
	Parse: func(s string) (nth [2]int, err error) {
		from, to, ranged := strings.Cut(s, "..")
		nth[0], err = strconv.Atoi(from)
		if nth[1] = nth[0]; err == nil && ranged {
			if nth[1] = 0; to != "" {
				nth[1], err = strconv.Atoi(to)
			}
		}
		if err != nil || nth[0] < 1 || to != "" && nth[1] < nth[0] {
			return nth, fmt.Errorf("%q is neither a number from 1 nor a range such as 1..2 and 5.. without an end", s)
		}
		return nth, nil
	}}

// doKey declares do: a word, or a map of the word to what it needs.
func doKey(m *decode.Map, r *impairments.Rule) (ok bool) {
	words := impairments.ActionWords[1:]
	block := func(m *decode.Map) { actionKeys(m, r) }
	schema := func() *decode.Schema { return decode.OneOf(decode.Enum(words...), decode.Describe(block)) }
	m.Key("do", "what happens to the packet: a word, or the word with what it needs, such as {split: {size: 500B}}", schema, func(n *decode.Node, path string) {
		word := n.Text
		if n.Kind == decode.Dict {
			if len(n.Entries) != 1 {
				m.Report().Errorf(n.At, "%s has %d actions; a rule has one", path, len(n.Entries))
				return
			}
			word = n.Entries[0].Key
		} else if n.Kind != decode.Scalar {
			m.Report().Errorf(n.At, "%s is %s; wanted is a word%s", path, n.Kind, decode.Allowed(words))
			return
		}
		i := slices.Index(words, word)
		if r.Do = impairments.Action(i + 1); i < 0 {
			m.Report().Errorf(n.At, "%s: %q is unknown%s", path, word, decode.Suggest(word, words))
			return
		}
		ok = true
		r.Size, r.Wait = map[impairments.Action]int{impairments.Split: 536, impairments.Coalesce: 9000}[r.Do], 0
		if r.Do == impairments.Coalesce {
			r.Wait = 2 * time.Millisecond
		}
		if n.Kind == decode.Dict {
			decode.Object(m.Report(), n, n.At, path, block)
		}
		if r.Do == impairments.RewriteData && r.Rewrite.Empty() && !r.Rewrite.ISN {
			m.Report().Errorf(n.At, "%s: rewrite needs to know what: {rewrite: {isn: true}} or {rewrite: {at: 10B, invert: 1B}}", path)
		}
	})
	return ok
}

var rstReasons = []string{"unspecified", "mptcp", "resources", "prohibited", "too_much_data", "performance", "middlebox"}

// actionKeys declares what the actions need.
func actionKeys(m *decode.Map, r *impairments.Rule) {
	nothing := func(*decode.Map) {}
	m.Object("strip", "takes the matched options out of the header", nothing)
	m.Object("nop", "overwrites the matched options with NOP", nothing)
	m.Object("drop", "loses the packet", nothing)
	m.Object("reject", "loses the packet and tells the sender, as iptables' REJECT", func(m *decode.Map) {
		var with string
		decode.Get(m, "with", decode.EnumType([]string{"icmp", "tcp-reset"}), &with, "default icmp: port unreachable")
		r.WithReset = with == "tcp-reset"
	})
	m.Object("reset", "loses the packet and sends a RST to both ends in the name of the other", func(m *decode.Map) {
		var reason string
		var transient bool
		given := decode.Get(m, "reason", decode.EnumType(rstReasons), &reason, "with MP_TCPRST and this reason; absent: a RST without")
		decode.Get(m, "transient", decode.BoolType, &transient, "T of MP_TCPRST")
		if given {
			r.TCPRst = &wire.MPTCPRst{Transient: transient, Reason: wire.RstReason(slices.Index(rstReasons, reason))}
		} else if !m.Describing() && m.Has("transient") {
			m.Errorf("transient stands in MP_TCPRST; give reason as well")
		}
	})
	m.Object("split", "cuts a segment into pieces", func(m *decode.Map) {
		sizeKey(m, "size", &r.Size, 1, "payload of a piece; default 536B")
		var where string
		decode.Get(m, "options", decode.EnumType([]string{"copy", "first"}), &where, "all on each piece, or on the first alone, but for timestamps; default copy")
		r.Once = where == "first"
	})
	m.Object("coalesce", "makes one segment of several that follow each other", func(m *decode.Map) {
		sizeKey(m, "size", &r.Size, 1, "most payload; default 9000B")
		decode.Get(m, "wait", decode.TimeType, &r.Wait, "how long a segment waits for the next; default 2ms")
		var where string
		decode.Get(m, "options", decode.EnumType([]string{"last", "first"}), &where, "those of the last segment stay, or those of the first; default last")
		r.Once = where == "first"
	})
	m.Object("rewrite", "changes sequence numbers or payload, in retransmissions likewise", func(m *decode.Map) {
		e := &r.Rewrite
		decode.Get(m, "isn", decode.BoolType, &e.ISN, "the initial sequence number is drawn anew; all that follow change with it")
		sizeKey(m, "at", &e.At, 0, "place in the payload of the packet; default 0B")
		sizeKey(m, "invert", &e.Invert, 0, "that many bytes are inverted")
		sizeKey(m, "remove", &e.Remove, 0, "that many bytes, behind those inverted, go")
		decode.Get(m, "insert", decode.TextType, &e.Insert, "a text that comes there")
	})
	m.Object("ack", "acknowledges data at once, without MPTCP options, and repeats them itself if they get lost: a split connection", nothing)
}

func sizeKey(m *decode.Map, key string, dst *int, least int, doc string) {
	var n uint64
	if !decode.Get(m, key, decode.SizeType, &n, doc) {
		return
	}
	if n < uint64(least) || n > 65535 {
		m.Report().Errorf(m.PositionOf(key), "%s.%s: from %dB to 65535B are possible", m.Path, key, least)
		return
	}
	*dst = int(n)
}

// RuleWords writes a rule in a line, such as "strip mp_join, syn, uplink".
func RuleWords(r *impairments.Rule, host bool) string {
	w := []string{r.Do.String()}
	for i, o := range impairments.OptionWords {
		if r.Match.Options&(1<<i) != 0 {
			w[0] += " " + o
		}
	}
	for i, f := range flagWords {
		if r.Match.Flags&(1<<i) != 0 {
			w = append(w, f)
		}
		if r.Match.NoFlags&(1<<i) != 0 {
			w = append(w, "no"+f)
		}
	}
	c := &r.Match
	for _, e := range []struct {
		holds bool
		word  string
	}{
		{c.Data, "data"}, {c.NoData, "no data"}, {c.Src.IsValid(), "src " + c.Src.String()}, {c.Dst.IsValid(), "dst " + c.Dst.String()},
		{c.First > 0 && c.First == c.Last, fmt.Sprintf("nth %d", c.First)}, {c.First > 0 && c.Last == 0, fmt.Sprintf("nth %d..", c.First)},
		{c.First > 0 && c.Last > c.First, fmt.Sprintf("nth %d..%d", c.First, c.Last)},
		{c.Idle > 0, "idle " + decode.FormatTime(c.Idle)}, {c.Unseen, "unseen"}, {c.Hole, "hole"},
	} {
		if e.holds {
			w = append(w, e.word)
		}
	}
	if r.Direction != impairments.Both && host {
		w = append(w, filterWays[r.Direction])
	} else if r.Direction != impairments.Both {
		w = append(w, boxWays[r.Direction])
	}
	return strings.Join(w, ", ")
}
