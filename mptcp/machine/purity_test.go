package machine

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "mptcplab"
	root   = "../.."
)

// pure are the packages that hold machines.
var pure = []string{
	"mptcp", "mptcp/tcp", "mptcp/wire", "mptcp/window", "mptcp/cc", "mptcp/sched", "mptcp/pm",
	"mptcp/trace", "mptcp/machine", "mptcp/clock", "impairments",
}

// allowed are the packages of the standard library that machines may import: none
// of them reads a clock, does I/O, starts goroutines or draws random numbers. (Of
// time only the durations: see TestMachinesArePure. maps is missing because it
// iterates in random order.)
var allowed = []string{
	"bytes", "cmp", "container/heap", "crypto/aes", "crypto/hmac", "crypto/sha1", "crypto/sha256", "crypto/subtle",
	"encoding/binary", "encoding/hex", "errors", "fmt", "hash", "hash/crc32", "hash/fnv", "io", "math", "math/bits",
	"net/netip", "slices", "sort", "strconv", "strings", "time", "unicode/utf8",
}

// clockReaders are the functions of package time that a machine must not use.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// sources parses the files of a package, without its tests.
func sources(t *testing.T, fset *token.FileSet, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// A checker of types for the module's own packages. Packages of the standard
// library are left empty: whether something is a map is seen without them.
type checker struct {
	t    *testing.T
	fset *token.FileSet
	done map[string]*types.Package
	info *types.Info
}

func (c *checker) Import(path string) (*types.Package, error) {
	if p := c.done[path]; p != nil {
		return p, nil
	}
	dir, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		p := types.NewPackage(path, filepath.Base(path))
		p.MarkComplete()
		c.done[path] = p
		return p, nil
	}
	conf := types.Config{Importer: c, Error: func(error) {}} // names of the standard library are unknown
	p, _ := conf.Check(path, c.fset, sources(c.t, c.fset, dir), c.info)
	if p == nil {
		return nil, errors.New("no package " + path)
	}
	c.done[path] = p
	return p, nil
}

var _ types.Importer = (*checker)(nil)

// impurities returns what a machine must not have in a file.
func impurities(fset *token.FileSet, f *ast.File, info *types.Info) []string {
	var found []string
	report := func(n ast.Node, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
	}
	for _, imp := range f.Imports {
		path, _ := strconv.Unquote(imp.Path.Value)
		dir, ours := strings.CutPrefix(path, module+"/")
		if ours && !slices.Contains(pure, dir) || !ours && !slices.Contains(allowed, path) {
			report(imp, "imports %s", path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if t := info.TypeOf(n.X); t != nil {
				if _, isMap := t.Underlying().(*types.Map); isMap {
					report(n, "ranges over a map")
				}
			}
		case *ast.GoStmt:
			report(n, "starts a goroutine")
		case *ast.SelectStmt:
			report(n, "selects")
		case *ast.ChanType:
			report(n, "has a channel")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockReaders, n.Sel.Name) {
				report(n, "uses time.%s", n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestMachinesArePure(t *testing.T) {
	c := &checker{t: t, fset: token.NewFileSet(), done: make(map[string]*types.Package),
		info: &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}}
	for _, dir := range pure {
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			continue // a room that is not built yet
		}
		fset := token.NewFileSet()
		files := sources(t, fset, dir)
		conf := types.Config{Importer: c, Error: func(error) {}}
		info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
		conf.Check(module+"/"+dir, fset, files, info)
		for _, f := range files {
			for _, what := range impurities(fset, f, info) {
				t.Error(what)
			}
		}
	}
}

// The test finds what it is there to find.
func TestImpuritiesAreFound(t *testing.T) {
	const src = `package p
import ("os"; "time"; "mptcplab/mptcp/sim"; "net/netip")
type table map[netip.Addr]int
type s struct{ t table }
func f(x s) {
	for range x.t {}
	for range []int{1} {}
	go f(x)
	_ = time.Now()
	var _ chan int
	select {}
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, fset: fset, done: make(map[string]*types.Package)}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	conf := types.Config{Importer: c, Error: func(error) {}}
	conf.Check("p", fset, []*ast.File{f}, info)
	var got []string
	for _, what := range impurities(fset, f, info) {
		_, what, _ = strings.Cut(what, ": ")
		got = append(got, what)
	}
	want := []string{"imports os", "imports mptcplab/mptcp/sim", "ranges over a map", "starts a goroutine",
		"uses time.Now", "has a channel", "selects"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
