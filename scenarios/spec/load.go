package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mptcplab/scenarios/expect"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// Options are what the command line says on top of a file.
type Options struct {
	Sets   []string // path.to.key=value
	Only   []string // AXIS=VALUE,VALUE: of a sweep axis or pairing
	Seed   *uint64
	Repeat *int
	// Fabric is virtual or netns. "" checks a file for no fabric in particular:
	// nothing is skipped, no kernel stack refused.
	Fabric string
	Quick  bool
}

// File is a scenario, read and resolved.
type File struct {
	Path                      string
	Name, Description, Source string
	Seed                      uint64
	Repeat                    int
	Axes                      []AxisLabels // of the sweep, after Only
	Pairings                  []string     // after Only, skipped ones included
	Capture                   Capture
	Runs                      []Run
	Skipped                   []Skipped
	Warnings                  []decode.Mistake // what is allowed and hardly meant

	options  Options
	tree     *decode.Node // effective, before sweep point and pairing
	axes     []expect.AxisNames
	resolved []byte
}

// AxisLabels is an axis of the sweep with its values.
type AxisLabels struct {
	Name   string
	Labels []string
}

// Capture says which packets are kept.
type Capture struct {
	Packets    string   // none, headers or all
	Interfaces []string // patterns such as server.lan or phone.*; nil: every interface
	SnapLen    int      // bytes of each packet; 0: all

	at Position
}

// Skipped is a pairing that a fabric has no stack for.
type Skipped struct{ Pairing, Reason string }

// Load reads a scenario file and resolves its runs. The error is of type
// [decode.Errors] and has every mistake.
func Load(path string, o Options) (*File, error) {
	var r decode.Report
	if !slices.Contains([]string{"", "virtual", "netns"}, o.Fabric) {
		r.Errorf(Position{File: "--fabric " + o.Fabric}, "unknown fabric; allowed: virtual netns")
		return nil, r.Err()
	}
	root := readTree(path, &r, nil)
	if r.Failed() && len(root.Entries) == 0 {
		return nil, r.Err() // not read or not YAML: that nothing is in it is no second mistake
	}
	f := &File{Path: path, options: o}
	f.load(root, &r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	resolved, err := f.resolve()
	if err != nil {
		return nil, err
	}
	f.resolved = resolved
	f.Warnings = f.lint()
	return f, nil
}

// parse is Load on bytes, without writing the file out.
func parse(name string, data []byte, o Options) (*File, error) {
	var r decode.Report
	root := decode.Parse(name, data, &r)
	if root.Kind != decode.Dict {
		r.Errorf(root.At, "a scenario is a map of keys; this is %s", root.Kind)
		return nil, r.Err()
	}
	f := &File{Path: name, options: o}
	f.load(root, &r)
	return f, r.Err()
}

// Resolved returns the effective scenario as YAML that runs by itself, with every
// default, address and route written out that is the same in all its runs.
func (f *File) Resolved() []byte { return f.resolved }

// SHA256 returns the hash of Resolved in hexadecimal.
func (f *File) SHA256() string {
	sum := sha256.Sum256(f.resolved)
	return hex.EncodeToString(sum[:])
}

func (f *File) load(root *decode.Node, r *decode.Report) {
	f.edit(root, r)
	f.tree = root
	axes := readSweep(root, r)
	pairings := readPairings(root, f.options.Fabric, r)
	for _, a := range axes {
		f.Axes = append(f.Axes, AxisLabels{a.name, a.labels})
	}
	for _, p := range pairings {
		if p.name != "" {
			f.Pairings = append(f.Pairings, p.name)
		}
		if p.skip != "" {
			f.Skipped = append(f.Skipped, Skipped{p.name, p.skip})
		}
	}
	if r.Failed() {
		// What every point would repeat is looked for once, with the file as it is.
		f.one(root.Clone(), pairing{}, nil, r)
		return
	}
	f.header(root, r)
	sample, points := readSample(root, r), map[string]bool{}
	for _, p := range pairings {
		if p.skip != "" {
			continue
		}
		grid(axes, func(point []Axis, index []int) {
			if sample.n > 0 {
				refuseEqualPoints(points, runID(p.name, point, 0), sample, r)
			}
			tree := root.Clone()
			applyPoint(tree, axes, index, r)
			f.one(tree, p, point, r)
		})
	}
}

// edit makes the changes that hold for all runs.
func (f *File) edit(root *decode.Node, r *decode.Report) {
	for _, e := range slices.Clone(root.Entries) {
		if strings.HasPrefix(e.Key, "x-") {
			root.Delete(e.Key)
		}
	}
	checkParams(root, r)
	var changes []change
	if f.options.Quick {
		changes = readBundle(root.Get("quick"), "quick", r)
	}
	root.Delete("quick")
	changes = append(changes, readSets(root, f.options.Sets, r)...)
	changes = apply(root, changes, nil)
	if s := f.options.Seed; s != nil {
		root.Put("seed", Position{File: "--seed"}, decode.Word(strconv.FormatUint(*s, 10), Position{File: "--seed"}))
	}
	if n := f.options.Repeat; n != nil {
		root.Put("repeat", Position{File: "--repeat"}, decode.Word(strconv.Itoa(*n), Position{File: "--repeat"}))
	}
	expand(root, r)
	apply(root, changes, r)
	checkFilters(root, r)
	all := allAxes(root)
	applyOnly(root, f.options.Only, r)
	f.axes = allAxes(root)
	pruneExpects(root, all, f.axes)
}

// header reads what is said once for all runs.
func (f *File) header(root *decode.Node, r *decode.Report) {
	tree := root.Clone()
	substitute(tree, r)
	var scratch decode.Report // whatever is wrong is reported point by point
	d := newDocument()
	decode.Object(&scratch, tree, tree.At, "", d.keys)
	f.Name, f.Description, f.Source = d.name, d.description, d.source
	if f.Name == "" {
		f.Name = strings.TrimSuffix(filepath.Base(f.Path), filepath.Ext(f.Path))
	}
	f.Seed, f.Repeat, f.Capture = d.seed, d.repeat, d.capture
}

// one resolves the runs of one point and pairing.
func (f *File) one(tree *decode.Node, p pairing, point []Axis, r *decode.Report) {
	p.apply(tree, r)
	substitute(tree, r)
	topology.ApplyPresets(tree.Get("topology"), nil)
	topology.Expand(tree.Get("topology"), nil, r)
	d := newDocument()
	d.file = f.Path
	decode.Object(r, tree, tree.At, "", d.keys)
	run := d.run(f.options.Fabric, p, point, f.axes, r)
	for rep := range d.repeat {
		one := run
		one.Seed = d.seed + uint64(rep)
		one.ID = runID(p.name, point, one.Seed)
		f.Runs = append(f.Runs, one)
	}
}

// runID is "pairing/axis=label,axis=label/seed=N" without the parts that a file
// does not have.
func runID(pairing string, point []Axis, seed uint64) string {
	var parts []string
	if pairing != "" {
		parts = append(parts, pairing)
	}
	if len(point) > 0 {
		words := make([]string, len(point))
		for i, a := range point {
			words[i] = a.Name + "=" + a.Label
		}
		parts = append(parts, strings.Join(words, ","))
	}
	return strings.Join(append(parts, fmt.Sprintf("seed=%d", seed)), "/")
}
