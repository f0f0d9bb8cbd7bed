package decode

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Scalar
	List
	Dict // a map
)

// String names the kind as a reader of YAML would.
func (k Kind) String() string {
	return [...]string{"nothing", "a value", "a list", "a map"}[k]
}

// Node is a YAML value with its place. Aliases and merge keys are resolved, and
// maps keep the order of the file, for addresses and ids are assigned in it.
type Node struct {
	Kind    Kind
	Text    string // of a scalar, as written
	Quoted  bool
	Items   []*Node // of a list
	Entries []Entry // of a map
	At      Position
}

// Entry is a key of a map with its value.
type Entry struct {
	Key   string
	At    Position // of the key
	Value *Node
}

// maxNodes bounds what aliases can blow a file up to.
const maxNodes = 200_000

// Parse reads one YAML document. Mistakes, duplicate keys among them, go to r;
// what is usable is returned (an empty map if nothing is).
func Parse(file string, data []byte, r *Report) *Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	empty := &Node{Kind: Dict, At: Position{file, 1, 1}}
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			reportSyntax(file, data, err, r)
		}
		return empty
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		r.Errorf(Position{file, second.Line, max(second.Column, 1)}, "a second document begins here; one file is one scenario")
	} else if !errors.Is(err, io.EOF) {
		reportSyntax(file, data, err, r)
	}
	if len(doc.Content) == 0 {
		return empty
	}
	p := parser{file: file, r: r}
	n := p.node(doc.Content[0])
	if n.Kind == Null {
		return empty
	}
	return n
}

var syntaxLine = regexp.MustCompile(`line (\d+): `)

func reportSyntax(file string, data []byte, err error, r *Report) {
	at := Position{file, 1, 1}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = strings.Replace(text, m[0], "", 1)
	}
	if k := bytes.Index(data, []byte("${")); k >= 0 {
		at.Line = 1 + bytes.Count(data[:k], []byte("\n"))
		at.Column = k - bytes.LastIndexByte(data[:k], '\n')
		text += "; ${name} is a syntax error inside { }: write $name"
	}
	r.Errorf(at, "not YAML: %s", text)
}

type parser struct {
	file  string
	r     *Report
	count int
	open  []*yaml.Node // aliases being resolved
}

func (p *parser) at(y *yaml.Node) Position { return Position{p.file, y.Line, y.Column} }

func (p *parser) node(y *yaml.Node) *Node {
	n := &Node{At: p.at(y)}
	if p.count++; p.count > maxNodes {
		if p.count == maxNodes+1 {
			p.r.Errorf(n.At, "more than %d values; an alias repeats too much", maxNodes)
		}
		return n
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.Kind, n.Text = Scalar, y.Value
		n.Quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
		if y.ShortTag() == "!!null" && !n.Quoted {
			n.Kind, n.Text = Null, ""
		}
	case yaml.SequenceNode:
		n.Kind = List
		for _, c := range y.Content {
			n.Items = append(n.Items, p.node(c))
		}
	case yaml.MappingNode:
		n.Kind = Dict
		p.entries(n, y)
	case yaml.AliasNode:
		return p.alias(y)
	}
	return n
}

func (p *parser) alias(y *yaml.Node) *Node {
	for _, a := range p.open {
		if a == y.Alias {
			p.r.Errorf(p.at(y), "alias *%s contains itself", y.Value)
			return &Node{At: p.at(y)}
		}
	}
	p.open = append(p.open, y.Alias)
	n := p.node(y.Alias)
	p.open = p.open[:len(p.open)-1]
	return n
}

func (p *parser) entries(n *Node, y *yaml.Node) {
	seen := make(map[string]Position)
	var merged []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.ShortTag() == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			p.r.Errorf(p.at(k), "a key must be a word (${name} inside { } reads as a map: write $name)")
			continue
		}
		if first, dup := seen[k.Value]; dup {
			p.r.Errorf(p.at(k), "key %q is given twice; first at line %d", k.Value, first.Line)
			continue
		}
		seen[k.Value] = p.at(k)
		n.Entries = append(n.Entries, Entry{k.Value, p.at(k), p.node(v)})
	}
	for _, v := range merged {
		p.merge(n, v)
	}
}

// merge adds the keys of a merge key (<<) that the map does not have itself.
func (p *parser) merge(n *Node, v *yaml.Node) {
	from := p.node(v)
	sources := []*Node{from}
	if from.Kind == List {
		sources = from.Items
	}
	for _, s := range sources {
		if s.Kind != Dict {
			p.r.Errorf(p.at(v), "<< takes a map or a list of maps")
			continue
		}
		for _, e := range s.Entries {
			if n.Get(e.Key) == nil {
				n.Entries = append(n.Entries, e)
			}
		}
	}
}

// Get returns the value of a key of a map, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return n.Entries[i].Value
		}
	}
	return nil
}

// Keys returns the keys of a map in order.
func (n *Node) Keys() []string {
	if n == nil {
		return nil
	}
	keys := make([]string, len(n.Entries))
	for i, e := range n.Entries {
		keys[i] = e.Key
	}
	return keys
}

// Clone returns a deep copy.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Items, c.Entries = nil, nil
	for _, i := range n.Items {
		c.Items = append(c.Items, i.Clone())
	}
	for _, e := range n.Entries {
		c.Entries = append(c.Entries, Entry{e.Key, e.At, e.Value.Clone()})
	}
	return &c
}

// Put sets a key of a map; a new one comes last. A null node becomes a map.
func (n *Node) Put(key string, at Position, v *Node) {
	if n.Kind == Null {
		n.Kind = Dict
	}
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			n.Entries[i].Value = v
			return
		}
	}
	n.Entries = append(n.Entries, Entry{key, at, v})
}

// Delete removes a key of a map.
func (n *Node) Delete(key string) {
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			n.Entries = append(n.Entries[:i], n.Entries[i+1:]...)
			return
		}
	}
}

// Merge lays over onto n: maps merge key by key, anything else replaces.
func (n *Node) Merge(over *Node) *Node {
	if n == nil || n.Kind != Dict || over.Kind != Dict {
		return over
	}
	for _, e := range over.Entries {
		n.Put(e.Key, e.At, n.Get(e.Key).Merge(e.Value))
	}
	return n
}

// Word returns a scalar node.
func Word(text string, at Position) *Node { return &Node{Kind: Scalar, Text: text, At: at} }

// MoveTo sets the place of n and of all in it: for values that come from
// elsewhere than a file.
func (n *Node) MoveTo(at Position) {
	n.At = at
	for _, i := range n.Items {
		i.MoveTo(at)
	}
	for i := range n.Entries {
		n.Entries[i].At = at
		n.Entries[i].Value.MoveTo(at)
	}
}
