package topology

import (
	"math"
	"slices"
	"time"

	"mptcplab/impairments"
	"mptcplab/topology/decode"
)

// Change is a change of some keys of a direction's behaviour; the others stay.
type Change struct {
	set     []func(*impairments.Config)
	inOrder *bool
	ecn     *bool
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return len(c.set) == 0 && c.inOrder == nil && c.ecn == nil }

// Then returns the change that is c and then d.
func (c Change) Then(d Change) Change {
	c.set = append(slices.Clone(c.set), d.set...)
	if d.inOrder != nil {
		c.inOrder = d.inOrder
	}
	if d.ecn != nil {
		c.ecn = d.ecn
	}
	return c
}

// Behaviour is how one direction of a link behaves, with what was said about
// in_order and ecn: without a word, jitter keeps order if there is a rate, as netem's
// does, and fq_codel marks, as tc's does.
type Behaviour struct {
	config  impairments.Config
	inOrder *bool
	ecn     *bool
}

// Apply makes a change.
func (b *Behaviour) Apply(c Change) {
	for _, set := range c.set {
		set(&b.config)
	}
	if c.inOrder != nil {
		b.inOrder = c.inOrder
	}
	if c.ecn != nil {
		b.ecn = c.ecn
	}
}

// Config returns the behaviour with in_order and ecn decided.
func (b *Behaviour) Config() impairments.Config {
	c := b.config
	c.InOrder = c.Jitter > 0 && c.Rate > 0
	if b.inOrder != nil {
		c.InOrder = *b.inOrder
	}
	c.ECN = c.AQM == impairments.FQCoDel
	if b.ecn != nil {
		c.ECN = *b.ecn
	}
	return c
}

// Check returns what is wrong with keys that need or exclude each other, or "".
func (b *Behaviour) Check() string {
	c := &b.config
	queue := c.Queue != impairments.Queue{}
	switch {
	case queue && c.Limit != 0:
		return "queue and limit exclude each other: limit counts the packets in the delay line, too"
	case queue && c.Rate == 0:
		return "a queue waits for the rate; give rate as well"
	case c.AQM != impairments.DropTail && c.Rate == 0:
		return "an aqm manages what waits for the rate; give rate as well"
	case c.AQM != impairments.DropTail && c.Limit != 0:
		return "aqm and limit exclude each other: netem's limit is a plain queue; give queue instead"
	case b.ecn != nil && *b.ecn && c.AQM == impairments.DropTail:
		return "ecn is how an aqm marks; give aqm as well"
	case c.Burst != 0 && c.Rate == 0:
		return "burst is that of a token bucket; give rate as well"
	case c.Reorder.P > 0 && c.Delay == 0:
		return "reorder lets packets skip the delay; give delay as well"
	case c.Distribution != impairments.Uniform && c.Jitter == 0:
		return "distribution is that of the jitter; give jitter as well"
	}
	return ""
}

var disciplines = []string{"droptail", "codel", "fq_codel", "pie", "red"}

// AQMName returns tc's word for a.
func AQMName(a impairments.AQM) string { return disciplines[a] }

var distributions = []string{"uniform", "normal", "pareto", "paretonormal"}

// DistributionName returns tc's word for d.
func DistributionName(d impairments.Distribution) string { return distributions[d] }

// ImpairKeys declares the impairment keys of section 3 of the schema, the same
// in a link, in a direction and in an event.
func ImpairKeys(m *decode.Map) Change {
	var c Change
	add := func(f func(*impairments.Config)) { c.set = append(c.set, f) }
	var d time.Duration
	var n int
	var rate, size uint64
	lossKey(m, &c)
	chanceKey(m, "duplicate", "packets that arrive twice", &c, func(i *impairments.Config) *impairments.Chance { return &i.Duplicate })
	chanceKey(m, "corrupt", "packets in which one bit is flipped", &c, func(i *impairments.Config) *impairments.Chance { return &i.Corrupt })
	chanceKey(m, "reorder", "packets that skip the delay, as netem's reorder", &c, func(i *impairments.Config) *impairments.Chance { return &i.Reorder })
	if decode.Get(m, "delay", decode.TimeType, &d, "delay one way") {
		v := d
		add(func(i *impairments.Config) { i.Delay = v })
	}
	if decode.Get(m, "jitter", decode.TimeType, &d, "variation of the delay, one way") {
		v := d
		add(func(i *impairments.Config) { i.Jitter = v })
	}
	var word string
	if decode.Get(m, "distribution", decode.EnumType(distributions), &word, "distribution of the jitter; default uniform") {
		for k, w := range distributions {
			if w == word {
				add(func(i *impairments.Config) { i.Distribution = impairments.Distribution(k) })
			}
		}
	}
	var order bool
	if decode.Get(m, "in_order", decode.BoolType, &order, "jitter keeps the order; default: true if there is a rate, as in netem") {
		c.inOrder = &order
	}
	if decode.Get(m, "rate", positiveRate, &rate, "bandwidth in tc's words: bit kbit mbit gbit, decimal; absent: unlimited") {
		v := rate
		add(func(i *impairments.Config) { i.Rate = v })
	}
	if decode.Get(m, "burst", decode.SizeType, &size, "size of the token bucket; absent: the rate is exact for each packet") {
		v := int(min(size, math.MaxInt32))
		add(func(i *impairments.Config) { i.Burst = v })
	}
	queueKey(m, &c)
	if decode.Get(m, "limit", limitType, &n, "netem's limit: packets in the queue and in the delay line; not with queue") {
		v := n
		add(func(i *impairments.Config) { i.Limit = v })
	}
	var hole bool
	if decode.Get(m, "blackhole", decode.BoolType, &hole, "nothing comes out, what is under way is lost, nobody is told") {
		v := hole
		add(func(i *impairments.Config) { i.Blackhole = v })
	}
	if decode.Get(m, "aqm", decode.EnumType(disciplines), &word, "how packets wait for the rate, with tc's parameters; default droptail") {
		for k, w := range disciplines {
			if w == word {
				add(func(i *impairments.Config) { i.AQM = impairments.AQM(k) })
			}
		}
	}
	var ecn bool
	if decode.Get(m, "ecn", decode.BoolType, &ecn, "the aqm marks what is ECN-capable instead of dropping it; default: fq_codel does, as tc's") {
		c.ecn = &ecn
	}
	m.Reserved("slot", "netem's slots", decode.Anything)
	m.Reserved("trace", "a rate that follows a file", decode.Anything)
	return c
}

var positiveRate = decode.Type[uint64]{
	What: decode.RateType.What, Schema: decode.RateType.Schema,
	Parse: func(s string) (uint64, error) {
		v, err := decode.ParseRate(s)
		if err == nil && v == 0 {
			return 0, errZeroRate
		}
		return v, err
	},
}

var limitType = decode.Type[int]{
	What:   "a number of packets, such as 1000 or 1000p",
	Schema: decode.OneOf(decode.IntType(1, math.MaxInt32).Schema, decode.PacketsType.Schema),
	Parse: func(s string) (int, error) {
		if v, err := decode.ParsePackets(s); err == nil && v > 0 {
			return v, nil
		}
		return decode.IntType(1, math.MaxInt32).Parse(s)
	},
}

func queueKey(m *decode.Map, c *Change) {
	var q impairments.Queue
	if decode.Get(m, "queue", queueType, &q, "what waits for the rate: a time, packets or a size; default one bandwidth-delay product of the link's round trip, at least 20p") {
		c.set = append(c.set, func(i *impairments.Config) { i.Queue = q })
	}
}

var queueType = decode.Type[impairments.Queue]{
	What:   "a queue: a time (100ms), packets (64p) or a size (250KB)",
	Schema: decode.OneOf(decode.TimeType.Schema, decode.PacketsType.Schema, decode.SizeType.Schema),
	Parse: func(s string) (impairments.Queue, error) {
		var q impairments.Queue
		v, err := decode.ParseQuantity(s)
		if err != nil || v.Dim != decode.Time && v.Dim != decode.Packets && v.Dim != decode.Size {
			return q, badQueue(s)
		}
		switch v.Dim {
		case decode.Time:
			q.Time, err = decode.ParseTime(s)
		case decode.Packets:
			q.Packets, err = decode.ParsePackets(s)
		case decode.Size:
			q.Bytes = int(min(v.Value, math.MaxInt32))
			_, err = decode.ParseSize(s)
		}
		if err == nil && q == (impairments.Queue{}) {
			err = errZeroQueue
		}
		return q, err
	},
}

// chanceKey declares a probability, alone or as a map with correlation and gap.
func chanceKey(m *decode.Map, key, doc string, c *Change, field func(*impairments.Config) *impairments.Chance) {
	var ch impairments.Chance
	gap := -1
	block := func(m *decode.Map) {
		decode.Get(m, "random", decode.ProbabilityType, &ch.P, "probability")
		m.Require("random")
		decode.Get(m, "correlation", decode.ProbabilityType, &ch.Correlation, "with the draw before, as netem's")
		if key == "reorder" {
			decode.Get(m, "gap", decode.IntType(1, math.MaxInt32), &gap, "only every gap-th packet may skip")
		}
	}
	schema := func() *decode.Schema {
		return decode.OneOf(append(decode.ProbabilityType.Schema.AnyOf[:3:3], decode.Describe(block))...)
	}
	m.Key(key, doc+": 1%, or {random: 1%, correlation: 25%}", schema, func(n *decode.Node, path string) {
		if n.Kind == decode.Dict {
			decode.Object(m.Report(), n, n.At, path, block)
		} else if p, ok := decode.ProbabilityType.Read(m.Report(), n, path); ok {
			ch.P = p
		}
		c.set = append(c.set, func(i *impairments.Config) {
			*field(i) = ch
			if key == "reorder" {
				i.Gap = max(gap, 0)
			}
		})
	})
}

// lossKey declares loss with its models; a new model replaces the old one.
func lossKey(m *decode.Map, c *Change) {
	var l impairments.Loss
	block := func(m *decode.Map) {
		decode.Get(m, "random", decode.ProbabilityType, &l.Random.P, "probability")
		decode.Get(m, "correlation", decode.ProbabilityType, &l.Random.Correlation, "with the draw before, as netem's")
		m.Object("gemodel", "Gilbert-Elliott, with tc-netem's words and defaults", func(m *decode.Map) { l.GE = gilbertElliott(m) })
		m.Object("state", "four-state Markov model, with tc-netem's words and defaults", func(m *decode.Map) { l.State = fourState(m) })
		decode.GetList(m, "packets", decode.IntType(1, math.MaxInt32), &l.Packets, "these packets of the direction, counted from 1")
		decode.GetList(m, "segments", decode.IntType(1, math.MaxInt32), &l.Segments, "these TCP segments with payload, counted from 1")
		if m.Describing() {
			return
		}
		models := 0
		for _, key := range []string{"random", "gemodel", "state", "packets", "segments"} {
			if m.Has(key) {
				models++
			}
		}
		if models != 1 {
			m.Errorf("takes exactly one of random, gemodel, state, packets, segments")
		} else if m.Has("correlation") && !m.Has("random") {
			m.Errorf("correlation goes with random")
		}
	}
	schema := func() *decode.Schema {
		return decode.OneOf(append(decode.ProbabilityType.Schema.AnyOf[:3:3], decode.Describe(block))...)
	}
	m.Key("loss", "packets lost: 0.1%, or {random: 1%, correlation: 25%}, {gemodel: {...}}, {state: {...}}, {packets: [3, 7]}, {segments: [3]}", schema, func(n *decode.Node, path string) {
		if n.Kind == decode.Dict {
			decode.Object(m.Report(), n, n.At, path, block)
		} else if p, ok := decode.ProbabilityType.Read(m.Report(), n, path); ok {
			l.Random.P = p
		}
		c.set = append(c.set, func(i *impairments.Config) { i.Loss = l })
	})
}

// fourState reads "loss state p13 [ p31 [ p32 [ p23 [ p14 ]]]]" with the defaults of
// tc-netem(8): p31 = 1-p13, p32 = 0, p23 = 1, p14 = 0.
func fourState(m *decode.Map) *impairments.FourState {
	f := &impairments.FourState{P23: 1}
	decode.Get(m, "p13", decode.ProbabilityType, &f.P13, "from good reception to losses in a burst")
	m.Require("p13")
	f.P31 = 1 - f.P13
	decode.Get(m, "p31", decode.ProbabilityType, &f.P31, "from the losses of a burst to good reception; default 100% - p13")
	decode.Get(m, "p32", decode.ProbabilityType, &f.P32, "from the losses of a burst to good reception in the burst; default 0%")
	decode.Get(m, "p23", decode.ProbabilityType, &f.P23, "and back; default 100%")
	decode.Get(m, "p14", decode.ProbabilityType, &f.P14, "from good reception to a lone loss; default 0%")
	return f
}

// gilbertElliott reads "gemodel p [ r [ 1-h [ 1-k ]]]" with the defaults of
// tc-netem(8): r = 1-p, 1-h = 100%, 1-k = 0%.
func gilbertElliott(m *decode.Map) *impairments.GilbertElliott {
	g := &impairments.GilbertElliott{LossBad: 1}
	decode.Get(m, "p", decode.ProbabilityType, &g.P, "from good to bad")
	m.Require("p")
	g.R = 1 - g.P
	decode.Get(m, "r", decode.ProbabilityType, &g.R, "from bad to good; default 100% - p")
	decode.Get(m, "1-h", decode.ProbabilityType, &g.LossBad, "loss in the bad state; default 100%")
	decode.Get(m, "1-k", decode.ProbabilityType, &g.LossGood, "loss in the good state; default 0%")
	return g
}
