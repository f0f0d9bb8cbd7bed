package spec

import (
	"strings"
	"testing"
)

const presetFile = `
params: {radio: wifi}
topology:
  hosts: {phone, server}
  routers: {net}
  links:
    wifi: {ends: [phone, net], preset: wifi, delay: 5ms}
    dsl:  {ends: [phone, net], preset: dsl}
    lan:  {ends: [net, server]}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, download: 1MB}
`

// The resolved file has the numbers, and no preset any more.
func TestPresetResolved(t *testing.T) {
	f, err := Load(write(t, "p.yaml", presetFile), Options{Sets: []string{"topology.links.dsl.rate=4mbit"}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(f.Resolved())
	for _, want := range []string{"delay: 5ms", "rate: 8mbit", "queue: 80ms", "rate: 4mbit", "delay: 15ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "preset") || strings.Contains(text, "rate: 1mbit") {
		t.Errorf("a preset is left in\n%s", text)
	}
	if l := f.Runs[0].Topology.Link("dsl"); l.Impair[0].Rate != 4e6 || l.Impair[1].Rate != 4e6 {
		t.Errorf("dsl %+v", l.Impair)
	}
}

// What the sweep changes of a link, the preset itself too, comes before the preset.
func TestPresetSwept(t *testing.T) {
	text := strings.Replace(presetFile, "preset: wifi, delay", "preset: $radio, delay", 1) + `
sweep:
  radio: [wifi, 3g]
  dsl: {as: {}, fast: {topology.links.dsl.rate: 16mbit}, sat: {topology.links.dsl.preset: satellite}}
`
	f, err := Load(write(t, "p.yaml", text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][2]uint64{"radio=wifi,dsl=as": {8e6, 1e6}, "radio=3g,dsl=fast": {2e6, 16e6}, "radio=wifi,dsl=sat": {8e6, 5e6}} {
		found := false
		for _, r := range f.Runs {
			if strings.HasPrefix(r.ID, id+"/") {
				found = true
				if a, b := r.Topology.Link("wifi").Impair[0].Rate, r.Topology.Link("dsl").Impair[0].Rate; a != want[0] || b != want[1] {
					t.Errorf("%s: %d and %d, want %v", id, a, b, want)
				}
			}
		}
		if !found {
			t.Errorf("no run %s", id)
		}
	}
}

func TestPresetMistake(t *testing.T) {
	_, err := Load(write(t, "p.yaml", strings.Replace(presetFile, "preset: dsl", "preset: dls", 1)), Options{})
	if err == nil || !strings.Contains(err.Error(), "p.yaml:8:40") || !strings.Contains(err.Error(), `did you mean "dsl"?`) {
		t.Errorf("%v", err)
	}
}
