package decode

import (
	"strings"
	"testing"
	"time"
)

func parseOK(t *testing.T, text string) *Node {
	t.Helper()
	var r Report
	n := Parse("x.yaml", []byte(text), &r)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestParseKeepsOrderAndPlaces(t *testing.T) {
	n := parseOK(t, "z: 1\na: {c: 5, b: [x, 'y']}\nx-base: &b {k: 1}\nuse: {<<: *b, m: 2}\n")
	if got := strings.Join(n.Keys(), " "); got != "z a x-base use" {
		t.Errorf("keys %s", got)
	}
	c := n.Get("a").Get("c")
	if c.Text != "5" || c.At != (Position{"x.yaml", 2, 8}) || c.At.String() != "x.yaml:2:8" {
		t.Errorf("%+v", c)
	}
	if !n.Get("a").Get("b").Items[1].Quoted || n.Get("use").Get("k").Text != "1" {
		t.Error("quotes or merge keys")
	}
}

func TestParseMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: 2\na: 3\n":         `x.yaml:3:1: key "a" is given twice; first at line 1`,
		"a: {b: 1, c: {b: 1, b: 2}}": `x.yaml:1:21: key "b" is given twice`,
		"a: &a [*a]":                 "contains itself",
		"a: [1":                      "not YAML",
		"a: {b: ${c}}":               "write $name",
		"[1, 2]: 3":                  "a key must be a word",
		"a: 1\n---\nb: 2":            "second document",
	} {
		var r Report
		Parse("x.yaml", []byte(text), &r)
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Aliases that grow without bound are refused, not followed.
func TestParseBomb(t *testing.T) {
	text := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for _, i := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		prev := string(i[0] - 1)
		text += "a" + i + ": &a" + i + " [" + strings.Repeat("*a"+prev+",", 9) + "]\n"
	}
	var r Report
	Parse("x.yaml", []byte(text), &r)
	if err := r.Err(); err == nil {
		t.Error("accepted")
	}
}

func TestSet(t *testing.T) {
	n := parseOK(t, "a: {b: {c: 1}, list: [{x: 1}, {x: 2}]}\nhosts: {p, q}\n")
	for path, want := range map[string]string{"a.b.c": "", "a.b.new": "", "a.list.1.x": "", "hosts.p.stack": "", "a.list.2.x": "none of its indexes", "a.b.c.d": "is the value", "a..b": "is no path"} {
		err := n.Set(path, Word("9", Position{}), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n.Get("a").Get("list").Items[1].Get("x").Text != "9" || n.Get("hosts").Get("p").Get("stack").Text != "9" {
		t.Errorf("not set: %s", n.Encode())
	}
}

type wire struct {
	Delay time.Duration
	Tags  []string
	Sub   map[string]bool
}

func (w *wire) keys(m *Map) {
	Get(m, "delay", TimeType, &w.Delay, "a delay")
	m.Require("delay")
	GetList(m, "tags", NameType, &w.Tags, "tags")
	m.Each("subs", "named things", func(name string, m *Map) {
		on := false
		Get(m, "on", BoolType, &on, "on or off")
		if w.Sub == nil {
			w.Sub = map[string]bool{}
		}
		w.Sub[name] = on
	})
	m.Reserved("color", "a colour", Anything)
}

func TestObject(t *testing.T) {
	var w wire
	var r Report
	n := parseOK(t, "delay: 5ms\ntags: [a, b]\nsubs: {x: {on: true}, y}\n")
	Object(&r, n, n.At, "", w.keys)
	if r.Failed() || w.Delay != 5*time.Millisecond || len(w.Tags) != 2 || !w.Sub["x"] || w.Sub["y"] {
		t.Errorf("%+v %v", w, r.Err())
	}
	r = Report{}
	n = parseOK(t, "dely: 5ms\ntags: {a}\ncolor: red\nsubs: {X: {of: true}, y: 3}\n")
	Object(&r, n, n.At, "", w.keys)
	want := []string{
		`x.yaml:1:1: the file: "delay" is missing`, `x.yaml:1:1: unknown key "dely" in the file; did you mean "delay"?`,
		"x.yaml:2:7: tags is a map; wanted is a list, each a name", "x.yaml:3:8: color is known, not built yet",
		`x.yaml:4:8: subs: "X" is no name`, `x.yaml:4:12: unknown key "of" in subs.X; did you mean "on"?`, `x.yaml:4:26: subs.y is "3"; wanted is a map of keys`,
	}
	got := strings.Split(r.Err().Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got\n%s", r.Err())
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// The schema has what the same function decodes.
func TestDescribe(t *testing.T) {
	s := Describe(new(wire).keys)
	if len(s.Properties) != 4 || s.AdditionalProperties != false || len(s.Required) != 1 || s.Properties["delay"].Description != "a delay" {
		t.Errorf("%+v", s)
	}
}

// same compares what is meant, not how it is quoted.
func same(a, b *Node) bool {
	if a.Kind != b.Kind || a.Text != b.Text || len(a.Items) != len(b.Items) || len(a.Entries) != len(b.Entries) {
		return false
	}
	for i := range a.Items {
		if !same(a.Items[i], b.Items[i]) {
			return false
		}
	}
	for i := range a.Entries {
		if a.Entries[i].Key != b.Entries[i].Key || !same(a.Entries[i].Value, b.Entries[i].Value) {
			return false
		}
	}
	return true
}

// FuzzParse: nothing panics, and what is written out reads as the same tree.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: 1\nb: {c: [x, 'y: z', \"\"]}\n", "a: &a {b: 1}\nc: {<<: *a}\n", "- 1\n- {a: -, b: '*x'}\n", "a: |\n  text\n  more\n", "? [a]\n: b", "{a, b}", "a: ~\nb: 'null'\n", "a: 'x # y'"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Report
		n := Parse("x", data, &r)
		if r.Failed() || n.Kind != Dict {
			return
		}
		again := Parse("x", n.Encode(), &r)
		if r.Failed() || !same(n, again) {
			t.Errorf("%q\nwritten %q\nagain   %q\n%v", data, n.Encode(), again.Encode(), r.Err())
		}
	})
}
