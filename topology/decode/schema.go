package decode

// Schema is a JSON Schema of draft 7, as far as scenario files need it: editors'
// YAML servers know that draft and no later one.
type Schema struct {
	Draft                string             `json:"$schema,omitempty"`
	ID                   string             `json:"$id,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"` // string or []string
	Enum                 []any              `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Minimum              *float64           `json:"minimum,omitempty"`
	Maximum              *float64           `json:"maximum,omitempty"`
	AnyOf                []*Schema          `json:"anyOf,omitempty"`
	Required             []string           `json:"required,omitempty"`
	PropertyNames        *Schema            `json:"propertyNames,omitempty"`
	Properties           map[string]*Schema `json:"properties,omitempty"`
	PatternProperties    map[string]*Schema `json:"patternProperties,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // *Schema or bool
	Items                *Schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
	MaxItems             int                `json:"maxItems,omitempty"`
}

// Describe returns the schema of the block whose keys f declares.
func Describe(f func(*Map)) *Schema {
	m := &Map{s: &Schema{Type: []string{"object", "null"}, Properties: map[string]*Schema{}, AdditionalProperties: false}}
	f(m)
	return m.s
}

// OneOf is a value of any of the forms.
func OneOf(forms ...*Schema) *Schema {
	var flat []*Schema
	for _, f := range forms {
		if f.Type == nil && f.Pattern == "" && f.Enum == nil && len(f.AnyOf) > 0 {
			flat = append(flat, f.AnyOf...)
		} else {
			flat = append(flat, f)
		}
	}
	return &Schema{AnyOf: flat}
}

// Pattern is a text that matches.
func Pattern(p string) *Schema { return &Schema{Type: "string", Pattern: p} }

// Enum is one of some words; true and false as YAML reads them.
func Enum(words ...string) *Schema {
	s := &Schema{}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	return s
}

// ListOf is a list of items.
func ListOf(item *Schema) *Schema { return &Schema{Type: "array", Items: item} }

// Anything is any value.
var Anything = &Schema{}

// Zero is 0, which needs no unit.
var Zero = &Schema{Type: "integer", Enum: []any{0}}

// Parameter is a value that comes, in whole or in part, from a parameter.
var Parameter = Pattern(`\$[a-z]`)
