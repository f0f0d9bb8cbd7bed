package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// readTree reads a file and what it includes: maps merge, lists replace, and the
// file that includes has the last word.
func readTree(path string, r *decode.Report, open []string) *decode.Node {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	if slices.Contains(open, abs) {
		r.Errorf(Position{File: path}, "includes itself: %s", strings.Join(append(open, abs), " -> "))
		return &decode.Node{Kind: decode.Dict}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.Errorf(Position{File: path}, "cannot read: %v", unwrapPath(err))
		return &decode.Node{Kind: decode.Dict}
	}
	root := decode.Parse(path, data, r)
	if root.Kind != decode.Dict {
		r.Errorf(root.At, "a scenario is a map of keys; this is %s", root.Kind)
		return &decode.Node{Kind: decode.Dict}
	}
	return mergeIncludes(root, path, r, append(open, abs))
}

func unwrapPath(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

func mergeIncludes(root *decode.Node, path string, r *decode.Report, open []string) *decode.Node {
	inc := root.Get("include")
	if inc == nil {
		return root
	}
	files := []*decode.Node{inc}
	if inc.Kind == decode.List {
		files = inc.Items
	}
	base := &decode.Node{Kind: decode.Dict, At: root.At}
	for _, f := range files {
		if f.Kind != decode.Scalar || f.Text == "" {
			r.Errorf(f.At, "include takes a file or a list of files, relative to this one")
			continue
		}
		name := f.Text
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		if _, err := os.Stat(name); err != nil {
			r.Errorf(f.At, "cannot include %s: %v", f.Text, unwrapPath(err))
			continue
		}
		base.Merge(readTree(name, r, open))
	}
	root.Delete("include")
	return base.Merge(root)
}

// named are the maps whose keys are names of things: a path must not go into
// a thing that is not there.
var named = []string{"topology.hosts", "topology.routers", "topology.links", "topology.switches", "topology.middleboxes", "workloads", "sweep", "pairings"}

// intoKnown lets a path make maps on its way, but no things that have names.
func intoKnown(parent, _ string) bool { return !slices.Contains(named, parent) }

// assign sets a parameter, if key is the name of one, or the value at a path.
func assign(root *decode.Node, key string, v *decode.Node) error {
	if params := root.Get("params"); params.Get(key) != nil {
		params.Put(key, v.At, v)
		return nil
	}
	first, _, _ := strings.Cut(key, ".")
	if first == "include" {
		return fmt.Errorf("include cannot be set")
	}
	if !slices.Contains(topKeys(), first) {
		words := append(root.Get("params").Keys(), topKeys()...)
		return fmt.Errorf("%q is neither a parameter nor a path%s", key, decode.Suggest(first, words))
	}
	block, members := groupAt(root, key)
	if members == nil {
		return root.Set(key, v, intoKnown)
	}
	for i, m := range members {
		one := v.Clone()
		topology.ReplaceIndex(one, i+1)
		parts := strings.SplitN(key, ".", 4)
		if err := root.Set(block+"."+m+"."+parts[3], one, intoKnown); err != nil {
			return err
		}
	}
	return nil
}

// groupAt returns the members of the group of hosts or links that a path goes
// into, and the block that has them; nil: it goes into no group.
func groupAt(root *decode.Node, key string) (block string, members []string) {
	parts := strings.SplitN(key, ".", 4)
	if len(parts) < 4 || parts[0] != "topology" || parts[1] != "hosts" && parts[1] != "links" {
		return "", nil
	}
	return parts[0] + "." + parts[1], topology.Members(root.Get("topology").Get(parts[1]), parts[2])
}

// change is a value to be set at a path. What goes into a member of a group can
// be set only when the members have been made.
type change struct {
	path  string
	value *decode.Node
	at    Position
	from  string // what it is a part of, for messages
}

// readSets reads --set key=value.
func readSets(root *decode.Node, sets []string, r *decode.Report) (list []change) {
	for _, s := range sets {
		at := Position{File: "--set " + s}
		key, text, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			r.Errorf(at, "wanted is path.to.key=value")
			continue
		}
		if sweep := root.Get("sweep"); sweep.Get(key) != nil {
			r.Errorf(at, "%q is an axis of the sweep; choose among its values with --only %s", key, s)
			continue
		}
		v := decode.Parse(at.File, []byte(text), r)
		if strings.TrimSpace(text) == "" {
			v = &decode.Node{Kind: decode.Null}
		}
		v.MoveTo(at)
		list = append(list, change{key, v, at, ""})
	}
	return list
}

// readBundle reads a map of changes.
func readBundle(bundle *decode.Node, path string, r *decode.Report) (list []change) {
	if bundle == nil {
		return nil
	}
	decode.EachEntry(r, bundle, path, func(e decode.Entry) {
		list = append(list, change{e.Key, e.Value.Clone(), e.At, path + ": "})
	})
	return list
}

// apply makes the changes. Those that cannot be made go to r, or are returned if
// it is nil.
func apply(root *decode.Node, list []change, r *decode.Report) (undone []change) {
	for _, c := range list {
		switch err := assign(root, c.path, c.value); {
		case err != nil && r == nil:
			undone = append(undone, c)
		case err != nil:
			r.Errorf(c.at, "%s%v", c.from, err)
		}
	}
	return undone
}

var parameter = regexp.MustCompile(`\$[a-zA-Z_{][a-zA-Z0-9_]*`)

// substitute replaces $name in the blocks that describe runs.
func substitute(root *decode.Node, r *decode.Report) {
	params := root.Get("params")
	for i, e := range root.Entries {
		switch e.Key {
		case "name", "description", "source", "params", "sweep", "quick", "pairings":
		default:
			root.Entries[i].Value = substituteIn(e.Value, params, r)
		}
	}
}

func substituteIn(n, params *decode.Node, r *decode.Report) *decode.Node {
	for i, c := range n.Items {
		n.Items[i] = substituteIn(c, params, r)
	}
	for i, e := range n.Entries {
		n.Entries[i].Value = substituteIn(e.Value, params, r)
	}
	if n.Kind != decode.Scalar || !strings.Contains(n.Text, "$") {
		return n
	}
	lookup := func(word string) *decode.Node {
		v := params.Get(word[1:])
		if v == nil {
			r.Errorf(n.At, "there is no parameter %s%s", word, decode.Suggest(word[1:], params.Keys()))
		}
		return v
	}
	if parameter.FindString(n.Text) == n.Text {
		if v := lookup(n.Text); v != nil {
			return v.Clone()
		}
		return n
	}
	n.Text = parameter.ReplaceAllStringFunc(n.Text, func(word string) string {
		v := lookup(word)
		if v == nil {
			return word
		}
		if v.Kind != decode.Scalar {
			r.Errorf(n.At, "%s is %s and cannot be part of a text", word, v.Kind)
		}
		return v.Text
	})
	return n
}

func checkParams(root *decode.Node, r *decode.Report) {
	params := root.Get("params")
	if params == nil {
		return
	}
	decode.EachEntry(r, params, "params", func(e decode.Entry) {
		if parameter.FindString("$"+e.Key) != "$"+e.Key || strings.HasPrefix(e.Key, "{") {
			r.Errorf(e.At, "%q is no name of a parameter: a letter, then letters, digits and _", e.Key)
		}
		if slices.Contains(topKeys(), e.Key) || e.Key == "i" {
			r.Errorf(e.At, "a parameter cannot be called %q, that name is taken", e.Key)
		}
		if e.Value.Kind == decode.Scalar && parameter.MatchString(e.Value.Text) {
			r.Errorf(e.Value.At, "params.%s: a parameter cannot be made of others", e.Key)
		}
	})
}

// expand makes the members of groups of hosts and links whose number is the same
// in all runs.
func expand(root *decode.Node, r *decode.Report) {
	final := func(path string, n *decode.Node) bool {
		if varies(root, path) {
			return false
		}
		name, isParameter := strings.CutPrefix(n.Text, "$")
		if !isParameter {
			return true
		}
		v := root.Get("params").Get(name)
		if v == nil || varies(root, name) {
			return false
		}
		*n = *v.Clone()
		return true
	}
	topology.ApplyPresets(root.Get("topology"), func(link string) bool { return !touched(root, link) })
	topology.Expand(root.Get("topology"), final, r)
}

// touched reports whether the sweep changes something of a link, or of a member of
// the links that it will become.
func touched(root *decode.Node, link string) bool {
	path := "topology.links." + link
	if varies(root, path) {
		return true
	}
	for _, key := range sweptPaths(root) {
		if rest, ok := strings.CutPrefix(key, path); ok {
			if rest = strings.TrimLeft(rest, "0123456789"); rest == "" || rest[0] == '.' {
				return true
			}
		}
	}
	return false
}

// sweptPaths are the parameters and paths that bundles of the sweep set.
func sweptPaths(root *decode.Node) (list []string) {
	sweep := root.Get("sweep")
	if sweep == nil {
		return nil
	}
	for _, axis := range sweep.Entries {
		for _, bundle := range axis.Value.Entries {
			list = append(list, bundle.Value.Keys()...)
		}
	}
	return list
}

// varies reports whether the sweep changes a parameter, or what is at a path.
func varies(root *decode.Node, path string) bool {
	if axis := root.Get("sweep").Get(path); axis != nil && axis.Kind != decode.Dict {
		return true
	}
	return slices.ContainsFunc(sweptPaths(root), func(key string) bool { return key == path || strings.HasPrefix(path, key+".") })
}
