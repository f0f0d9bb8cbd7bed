package spec

import (
	"os"
	"path/filepath"
	"testing"
)

// duplex: half reaches the link, full is the default, anything else is refused.
func TestDuplex(t *testing.T) {
	for _, c := range []struct {
		word       string
		half, fail bool
	}{{"", false, false}, {", duplex: full", false, false}, {", duplex: half", true, false}, {", duplex: simplex", false, true}} {
		file := filepath.Join(t.TempDir(), "s.yaml")
		text := "topology:\n  hosts: {a, b}\n  links: {air: {ends: [a, b], rate: 10mbit" + c.word + "}}\n" +
			"workloads: {get: {type: bulk, client: a, server: b, download: 1MB}}\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Load(file, Options{})
		if (err != nil) != c.fail {
			t.Fatalf("%q: %v", c.word, err)
		}
		if err == nil && f.Runs[0].Topology.Link("air").HalfDuplex != c.half {
			t.Errorf("%q: half duplex %v", c.word, !c.half)
		}
	}
}
