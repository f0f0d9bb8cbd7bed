package spec

import (
	"encoding/json"

	"mptcplab/topology/decode"
)

// Schema returns the JSON Schema (draft 7) of scenario files. It comes from the
// same declarations that decode them; what refers to names, dimensions and paths
// is left to Load.
func Schema() []byte {
	s := decode.Describe(newDocument().keys)
	s.Draft = "http://json-schema.org/draft-07/schema#"
	s.Title = "mptcplab scenario"
	s.Description = "One experiment: a network, the stacks of its hosts, applications, a timeline, and what is expected. See docs/scenarios.md."
	s.Type = "object"
	s.PatternProperties = map[string]*decode.Schema{"^x-": {Description: "ignored; a home for YAML anchors"}}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		// A Schema holds strings, numbers and maps of them.
		return []byte("{}\n")
	}
	return append(out, '\n')
}
