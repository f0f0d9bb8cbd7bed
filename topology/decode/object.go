package decode

import (
	"fmt"
)

// Map is a block being decoded or described: a function declares its keys on it,
// in the order in which they are documented.
type Map struct {
	At   Position // of the key that the block belongs to, or of the block
	Path string   // for messages: topology.links.wifi
	r    *Report
	n    *Node    // nil: describing
	keys []string // declared so far
	s    *Schema  // describing
}

// Object decodes n with f and reports unknown keys. A null node is an empty map.
func Object(r *Report, n *Node, at Position, path string, f func(*Map)) {
	if n.Kind != Dict && n.Kind != Null {
		r.Errorf(n.At, "%s is %s; wanted is a map of keys", path, n.describe())
		return
	}
	m := &Map{At: at, Path: path, r: r, n: n}
	f(m)
	for _, e := range n.Entries {
		if !m.declared(e.Key) {
			r.Errorf(e.At, "unknown key %q in %s%s", e.Key, m.title(), Suggest(e.Key, m.keys))
		}
	}
}

func (n *Node) describe() string {
	if n.Kind == Scalar {
		return fmt.Sprintf("%q", n.Text)
	}
	return n.Kind.String()
}

func (m *Map) title() string {
	if m.Path == "" {
		return "the file"
	}
	return m.Path
}

func (m *Map) sub(key string) string {
	if m.Path == "" {
		return key
	}
	return m.Path + "." + key
}

func (m *Map) declared(key string) bool {
	for _, k := range m.keys {
		if k == key {
			return true
		}
	}
	return false
}

// Describing reports whether the block is only being described: there are no
// values, and nothing is to be checked.
func (m *Map) Describing() bool { return m.n == nil }

// Errorf reports a mistake of the block as a whole.
func (m *Map) Errorf(format string, args ...any) {
	if m.r != nil {
		m.r.Errorf(m.At, "%s: %s", m.title(), fmt.Sprintf(format, args...))
	}
}

// Report returns where mistakes go; nil if the block is only being described.
func (m *Map) Report() *Report { return m.r }

// Has reports whether the key is there, with or without a value.
func (m *Map) Has(key string) bool { return m.n.Get(key) != nil }

// PositionOf returns the place of a key's value, or of the block.
func (m *Map) PositionOf(key string) Position {
	if n := m.n.Get(key); n != nil {
		return n.At
	}
	return m.At
}

// Require reports a mistake if the key is absent.
func (m *Map) Require(key string) {
	if m.Describing() {
		m.s.Required = append(m.s.Required, key)
	} else if !m.Has(key) {
		m.Errorf("%q is missing", key)
	}
}

// Key declares a key of any form. f gets its value and its path, and is not
// called if the key is absent.
func (m *Map) Key(key, doc string, s func() *Schema, f func(n *Node, path string)) {
	m.keys = append(m.keys, key)
	if m.Describing() {
		c := *s()
		c.Description = doc
		m.s.Properties[key] = &c
		return
	}
	if n := m.n.Get(key); n != nil {
		f(n, m.sub(key))
	}
}

// Reserved declares a key of the schema that is not built yet: using it is a
// mistake of its own, never ignored.
func (m *Map) Reserved(key, doc string, s *Schema) {
	m.Key(key, doc+" (not built yet)", func() *Schema { return s }, func(n *Node, path string) {
		m.r.Errorf(n.At, "%s is known, not built yet", path)
	})
}

// Object declares a key whose value is a block.
func (m *Map) Object(key, doc string, f func(*Map)) {
	m.Key(key, doc, func() *Schema { return Describe(f) }, func(n *Node, path string) {
		Object(m.r, n, n.At, path, f)
	})
}

// Each declares a key whose value maps names to blocks.
func (m *Map) Each(key, doc string, f func(name string, m *Map)) {
	s := func() *Schema {
		item := Describe(func(m *Map) { f("name", m) })
		return &Schema{Type: []string{"object", "null"}, PropertyNames: &Schema{Pattern: namePattern}, AdditionalProperties: item}
	}
	m.Key(key, doc, s, func(n *Node, path string) {
		EachEntry(m.r, n, path, func(e Entry) {
			if _, err := ParseName(e.Key); err != nil {
				m.r.Errorf(e.At, "%s: %s", path, err)
			}
			Object(m.r, e.Value, e.At, path+"."+e.Key, func(m *Map) { f(e.Key, m) })
		})
	})
}

// EachEntry calls f for each entry of n, which must be a map or null.
func EachEntry(r *Report, n *Node, path string, f func(Entry)) {
	if n.Kind != Dict && n.Kind != Null {
		r.Errorf(n.At, "%s is %s; wanted is a map from names, or a set such as {a, b}", path, n.describe())
		return
	}
	for _, e := range n.Entries {
		f(e)
	}
}

// List declares a key whose value is a list of blocks.
func (m *Map) List(key, doc string, f func(i int, m *Map)) {
	s := func() *Schema {
		return &Schema{Type: "array", Items: Describe(func(m *Map) { f(0, m) })}
	}
	m.Key(key, doc, s, func(n *Node, path string) {
		if n.Kind != List {
			m.r.Errorf(n.At, "%s is %s; wanted is a list", path, n.describe())
			return
		}
		for i, item := range n.Items {
			Object(m.r, item, item.At, fmt.Sprintf("%s.%d", path, i), func(m *Map) { f(i, m) })
		}
	})
}

// Present returns the keys that are there, in the order of the file.
func (m *Map) Present() []string { return m.n.Keys() }
