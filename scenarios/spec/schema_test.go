package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write docs/scenario.schema.json anew")

const schemaFile = "../../docs/scenario.schema.json"

// The file that editors use is the one that the code describes.
func TestSchemaFile(t *testing.T) {
	want := Schema()
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code describes; run go test ./scenarios/spec -run TestSchemaFile -update", schemaFile)
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decodeYAML(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// scenarioFiles are the shipped scenarios and, where they are, the reference ones.
func scenarioFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../*.yaml", "../../../shared/scenarios/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	return all
}

func TestScenariosAreValid(t *testing.T) {
	s := compileSchema(t)
	for _, file := range scenarioFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(decodeYAML(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	base := "workloads: {get: {type: bulk, client: a, server: b, download: 1MB}}\ntopology: {hosts: {a, b}, links: {wire: {ends: [a, b]%s}}}\n%s"
	if err := s.Validate(decodeYAML(t, []byte(fill2(base, "", "")))); err != nil {
		t.Fatalf("the base: %v", err)
	}
	for _, c := range []struct{ link, top string }{
		{", dealy: 15ms", ""},
		{", delay: 15", ""},
		{", delay: 15mbit", ""},
		{", rate: 20mbps", ""},
		{", loss: 1", ""},
		{", loss: {gemodel: {q: 1%}}", ""},
		{", uplink: {mtu: 1400}", ""},
		{"", "tpyo: 1"},
		{"", "mptcp: {scheduler: fastest}"},
		{"", "mptcp: {endpoints: [{dev: wire, flags: [bakcup]}]}"},
		{"", "timeline: [{at: 5s, link: wire, blckhole: true}]"},
		{"", "repeat: 0"},
	} {
		if err := s.Validate(decodeYAML(t, []byte(fill2(base, c.link, c.top)))); err == nil {
			t.Errorf("accepted %q %q", c.link, c.top)
		}
	}
}

// Every key is in the users' documentation.
func TestKeysAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if props, ok := v["properties"].(map[string]any); ok {
				for key := range props {
					keys[key] = true
				}
			}
			for _, child := range v {
				visit(child)
			}
		case []any:
			for _, child := range v {
				visit(child)
			}
		}
	}
	visit(schema)
	if len(keys) < 100 {
		t.Fatalf("only %d keys found", len(keys))
	}
	for key := range keys {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(key) + `\b`).Match(doc) {
			t.Errorf("docs/scenarios.md does not mention %q", key)
		}
	}
}
