package decode

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Set puts v at a path such as topology.links.wifi.delay; items of lists go by
// index, from 0. Maps on the way are made where there is nothing yet, but only
// if make allows it for the path so far (nil: always).
func (n *Node) Set(path string, v *Node, make func(parent, key string) bool) error {
	parts := strings.Split(path, ".")
	for i, key := range parts {
		last := i == len(parts)-1
		parent := strings.Join(parts[:i], ".")
		if key == "" {
			return fmt.Errorf("%q is no path; write names with single dots between them, such as topology.links.wifi.delay", path)
		}
		switch n.Kind {
		case List:
			k, err := strconv.Atoi(key)
			if err != nil || k < 0 || k >= len(n.Items) {
				return fmt.Errorf("%s is a list of %d: %q is none of its indexes", parent, len(n.Items), key)
			}
			if last {
				n.Items[k] = v
				return nil
			}
			n = n.Items[k]
		case Scalar:
			return fmt.Errorf("%s is the value %q and has no %q in it", parent, n.Text, key)
		default:
			if last {
				n.Put(key, v.At, v)
				return nil
			}
			next := n.Get(key)
			if next == nil {
				if make != nil && !make(parent, key) {
					return fmt.Errorf("%s has no %q%s", parent, key, Suggest(key, n.Keys()))
				}
				next = &Node{Kind: Dict, At: v.At}
				n.Put(key, v.At, next)
			}
			n = next
		}
	}
	return nil
}

// Encode returns n as YAML: maps of maps as blocks, small things in one line.
func (n *Node) Encode() []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n.yaml()); err != nil {
		// Only values that cannot be represented fail, and a Node has none.
		return []byte("# " + err.Error() + "\n")
	}
	enc.Close()
	return b.Bytes()
}

// depth is the number of levels of lists and maps in n.
func (n *Node) depth() int {
	d := 0
	for _, i := range n.Items {
		d = max(d, i.depth())
	}
	for _, e := range n.Entries {
		d = max(d, e.Value.depth())
	}
	if n.Kind == List || n.Kind == Dict {
		d++
	}
	return d
}

func (n *Node) size() int {
	s := len(n.Text) + 2
	for _, i := range n.Items {
		s += i.size()
	}
	for _, e := range n.Entries {
		s += len(e.Key) + 2 + e.Value.size()
	}
	return s
}

func (n *Node) yaml() *yaml.Node {
	y := &yaml.Node{}
	switch n.Kind {
	case Null:
		y.Kind, y.Tag, y.Value = yaml.ScalarNode, "!!null", "null"
	case Scalar:
		y.Kind, y.Value = yaml.ScalarNode, n.Text
		// What was written plain stays plain: its meaning is ours, not YAML's.
		if n.Quoted || needsQuotes(n.Text) {
			y.Tag, y.Style = "!!str", yaml.DoubleQuotedStyle
		}
	case List:
		y.Kind = yaml.SequenceNode
		for _, i := range n.Items {
			y.Content = append(y.Content, i.yaml())
		}
	case Dict:
		y.Kind = yaml.MappingNode
		for _, e := range n.Entries {
			y.Content = append(y.Content, Word(e.Key, e.At).yaml(), e.Value.yaml())
		}
	}
	if n.depth() <= 2 && n.size() <= 120 {
		y.Style |= yaml.FlowStyle
	}
	return y
}

// needsQuotes reports whether s, written plain, would be read as something else.
func needsQuotes(s string) bool {
	if s == "" || s != strings.TrimSpace(s) || strings.ContainsAny(s, "\n\t,[]{}\"'#:") {
		return true
	}
	if strings.ContainsAny(s[:1], "-?:&*!|>%@`") {
		return !(s[0] == '-' && len(s) > 1 && s[1] != ' ')
	}
	switch s {
	case "null", "~", "Null", "NULL", "<<":
		return true
	}
	return false
}
