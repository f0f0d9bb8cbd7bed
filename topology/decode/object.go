package decode

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
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

// Type is a kind of value that is written as one word.
type Type[T any] struct {
	What   string // "a time, such as 15ms"
	Parse  func(string) (T, error)
	Schema *Schema
}

// Read parses the value of a node and reports a mistake at its place.
func (t Type[T]) Read(r *Report, n *Node, path string) (v T, ok bool) {
	if n.Kind != Scalar {
		r.Errorf(n.At, "%s is %s; wanted is %s", path, n.describe(), t.What)
		return v, false
	}
	v, err := t.Parse(n.Text)
	if err != nil {
		r.Errorf(n.At, "%s: %s", path, err)
	}
	return v, err == nil
}

// Get declares a key of type t and stores its value in dst. It reports whether
// there was one.
func Get[T any](m *Map, key string, t Type[T], dst *T, doc string) (found bool) {
	m.Key(key, doc, func() *Schema { return t.Schema }, func(n *Node, path string) {
		if v, ok := t.Read(m.r, n, path); ok {
			*dst, found = v, true
		}
	})
	return found
}

// GetList declares a key whose value is a list of t.
func GetList[T any](m *Map, key string, t Type[T], dst *[]T, doc string) (found bool) {
	s := func() *Schema { return &Schema{Type: "array", Items: t.Schema} }
	m.Key(key, doc, s, func(n *Node, path string) {
		*dst, found = ReadList(m.r, n, path, t)
	})
	return found
}

// ReadList parses a list of t.
func ReadList[T any](r *Report, n *Node, path string, t Type[T]) (list []T, ok bool) {
	if n.Kind != List {
		r.Errorf(n.At, "%s is %s; wanted is a list, each %s", path, n.describe(), t.What)
		return nil, false
	}
	list, ok = make([]T, 0, len(n.Items)), true
	for i, item := range n.Items {
		v, good := t.Read(r, item, fmt.Sprintf("%s.%d", path, i))
		list, ok = append(list, v), ok && good
	}
	return list, ok
}

const namePattern = `^[a-z][a-z0-9_-]{0,14}$`

var nameRegexp = regexp.MustCompile(namePattern)

// ParseName checks a name: a link's name is an interface name, 15 bytes in Linux.
func ParseName(s string) (string, error) {
	if nameRegexp.MatchString(s) {
		return s, nil
	}
	if len(s) > 15 {
		return "", fmt.Errorf("name %q has %d characters; a name has at most 15, as an interface name in Linux", s, len(s))
	}
	return "", fmt.Errorf("%q is no name; a name is a small letter, then small letters, digits, _ or -", s)
}

func dimType[T any](d Dim, parse func(string) (T, error)) Type[T] {
	pattern := `^\+?[0-9]*\.?[0-9]+ *(` + strings.Join(unitWords(d), "|") + `)$`
	return Type[T]{fmt.Sprintf("%s, such as %s", d, examples[d]), parse, OneOf(Pattern(pattern), Zero, Parameter)}
}

// The types of values.
var (
	TimeType        = dimType[time.Duration](Time, ParseTime)
	RateType        = dimType(Rate, ParseRate)
	SizeType        = dimType(Size, ParseSize)
	PacketsType     = dimType(Packets, ParsePackets)
	ProbabilityType = Type[float64]{"a probability, such as 0.1%", ParseProbability, OneOf(Pattern(`^[0-9]*\.?[0-9]+ *%$`), Zero, Parameter)}
	BoolType        = Type[bool]{"true or false", parseBool, OneOf(&Schema{Type: "boolean"}, Parameter)}
	NameType        = Type[string]{"a name", ParseName, OneOf(Pattern(namePattern), Parameter)}
	TextType        = Type[string]{"a text", func(s string) (string, error) { return s, nil }, &Schema{Type: []string{"string", "number", "boolean"}}}
	AddrType        = Type[netip.Addr]{"an address, such as 10.0.1.1", parseAddr, &Schema{Type: "string"}}
	PrefixType      = Type[netip.Prefix]{"an address with its prefix length, such as 10.0.1.1/24", parsePrefix, &Schema{Type: "string"}}
)

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return a, fmt.Errorf("%q is not an address, such as 10.0.1.1 or fd00::1", s)
	}
	return a.Unmap(), nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.Prefix{}, fmt.Errorf("%q has no prefix length; write %s/%d", s, s, map[bool]int{true: 24, false: 64}[a.Is4()])
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not an address with its prefix length, such as 10.0.1.1/24", s)
	}
	return p, nil
}

// IntType is an integer from low to high.
func IntType(low, high int) Type[int] {
	what := fmt.Sprintf("an integer from %d to %d", low, high)
	parse := func(s string) (int, error) {
		v, err := strconv.Atoi(s)
		if err != nil || v < low || v > high {
			return 0, fmt.Errorf("%q is not %s", s, what)
		}
		return v, nil
	}
	lo, hi := float64(low), float64(high)
	return Type[int]{what, parse, OneOf(&Schema{Type: "integer", Minimum: &lo, Maximum: &hi}, Parameter)}
}

// EnumType is one of some words. Words from later on are known, not built yet.
func EnumType(words []string, later ...string) Type[string] {
	all := append(append([]string(nil), words...), later...)
	parse := func(s string) (string, error) {
		for _, w := range words {
			if w == s {
				return s, nil
			}
		}
		for _, w := range later {
			if w == s {
				return "", fmt.Errorf("%q is known, not built yet%s", s, Allowed(words))
			}
		}
		return "", fmt.Errorf("%q is unknown%s", s, Suggest(s, words))
	}
	return Type[string]{"one of " + strings.Join(words, " "), parse, OneOf(Enum(all...), Parameter)}
}

// Present returns the keys that are there, in the order of the file.
func (m *Map) Present() []string { return m.n.Keys() }
