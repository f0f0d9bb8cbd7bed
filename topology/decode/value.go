package decode

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

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
