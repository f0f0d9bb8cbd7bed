package topology

import (
	"slices"

	"mptcplab/topology/decode"
)

// Preset is a ready-made link, in the words of the link block. Its first end is
// the user's: uplink goes to the network.
type Preset struct {
	Name, Keys string
	Source     string // where the numbers come from
}

// Presets are the ready-made links, in the order in which the documentation has
// them.
func Presets() []Preset { return slices.Clone(presets) }

var presets = []Preset{
	{"wifi", "rate: 8mbit, delay: 10ms, queue: 80ms", "NSDI'12 (Raiciu et al.), fig. 4: 8 Mbit/s, RTT 20 ms, buffer 80 ms"},
	{"3g", "rate: 2mbit, delay: 75ms, queue: 2s", "NSDI'12, fig. 4: 2 Mbit/s, RTT 150 ms, buffer 2 s"},
	{"lte", "rate: 20mbit, delay: 25ms, queue: 200ms", "20 Mbit/s, RTT 50 ms, queue 200 ms: the LTE profile that goes with the handover of CellNet'12"},
	{"wlan", "rate: 25mbit, delay: 12500us, loss: 1%, queue: 100p", "BLEST (Ferlin et al., 2016): 25 Mbit/s, RTT 25 ms, 1 % loss, queue of 100 packets"},
	{"umts", "rate: 5mbit, delay: 32500us, queue: 3750p", "BLEST: its 3G of 5 Mbit/s, RTT 65 ms, queue of 3750 packets"},
	{"dsl", "delay: 15ms, downlink: {rate: 8mbit}, uplink: {rate: 1mbit}", "hybrid access (TR-348): 8 Mbit/s down, RTT 30 ms, lines below 1 Mbit/s up"},
	{"satellite", "delay: 250ms, downlink: {rate: 50mbit}, uplink: {rate: 5mbit}", "RFC 2488, 2: 239.6 to 279.0 ms one way over a geostationary satellite; the rates are a consumer's and of no source"},
	{"ethernet", "rate: 1gbit", "1000BASE-T, IEEE 802.3ab"},
}

// presetType is the value of preset.
var presetType = func() decode.Type[string] {
	var names []string
	for _, p := range presets {
		names = append(names, p.Name)
	}
	return decode.EnumType(names)
}()

// ApplyPresets writes the keys of presets into the links of the topology block.
// Keys that a link has itself win: over all of the preset if they stand in the
// link, in a direction there alone. early, if not nil, says whether the link is
// final; one that is not is left for a later call.
func ApplyPresets(topo *decode.Node, early func(link string) bool) {
	links := topo.Get("links")
	if links == nil {
		return
	}
	for _, e := range links.Entries {
		name := e.Value.Get("preset")
		if name == nil || early != nil && !early(e.Key) {
			continue
		}
		k := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name.Text })
		if k < 0 {
			continue // reported when the link is read
		}
		var scratch decode.Report // the tests read all presets
		base := decode.Parse("", []byte("{"+presets[k].Keys+"}"), &scratch)
		base.MoveTo(name.At)
		e.Value.Delete("preset")
		for _, own := range e.Value.Keys() {
			without(base, own)
		}
		for _, b := range base.Entries {
			v := b.Value
			if own := e.Value.Get(b.Key); own != nil {
				v = v.Merge(own) // a direction
			}
			e.Value.Put(b.Key, b.At, v)
		}
	}
}

// without takes a key that the link has itself from a preset, and what does not
// go with it.
func without(base *decode.Node, key string) {
	if key == "uplink" || key == "downlink" {
		return
	}
	for _, n := range []*decode.Node{base, base.Get("uplink"), base.Get("downlink")} {
		if n == nil {
			continue
		}
		n.Delete(key)
		if key == "limit" {
			n.Delete("queue")
		}
	}
}
