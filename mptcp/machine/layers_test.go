package machine

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the rooms of the house, from the ground up. A package may import
// those of lower layers. A folder stands for what is in it, if that is not named
// itself.
var layers = [][]string{
	{"mptcp/clock"},
	{"mptcp/machine"},
	{"mptcp/wire", "mptcp/trace"},
	{"mptcp/cc", "mptcp/window"},
	{"mptcp/tcp", "mptcp/pm", "mptcp/sched"},
	{"mptcp"},
	{"mptcp/socket"},
	{"mptcp/link"},
	{"mptcp/drill", "mptcp/sim", "mptcp/host"},
	{"impairments"},
	{"topology"},
	{"workloads", "topology/netns", "topology/virtual", "impairments/relay", "impairments/netem"},
	{"workloads/kernel", "topology/doctor", "topology/vm"},
	{"scenarios/result"},
	{"scenarios/observe"},
	{"scenarios"},
	{"plots"},
	{"cmd"},
}

// plotsReads are what plots may import: the shape of result files, the reader of
// captures, and time as a number. It knows neither runner nor stack.
var plotsReads = []string{"plots", "scenarios/result", "scenarios/observe", "mptcp/clock"}

// layer returns the layer of a package and the room that it belongs to.
func layer(dir string) (int, string) {
	for {
		for i, rooms := range layers {
			if slices.Contains(rooms, dir) {
				return i, dir
			}
		}
		up := filepath.Dir(dir)
		if up == "." {
			return -1, dir
		}
		dir = up
	}
}

// refused says what is wrong with an import, or "".
func refused(from, to string) string {
	fl, fromRoom := layer(from)
	tl, toRoom := layer(to)
	switch {
	case fl < 0:
		return "is imported by a package that stands in no layer"
	case tl < 0:
		return "stands in no layer"
	case strings.HasPrefix(from, "mptcp") && !strings.HasPrefix(to, "mptcp"):
		return "belongs to another house: mptcp imports nothing from outside"
	case fromRoom == "plots" && !slices.Contains(plotsReads, toRoom):
		return "is not for plots, which reads result files only"
	case fromRoom == toRoom || tl < fl:
		return ""
	}
	return "does not stand lower"
}

func TestDependenciesGoDownwards(t *testing.T) {
	imports := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "results") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		from, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if strings.HasPrefix(from, "mptcp/internal/") || f.Name.Name == "main" && !strings.HasPrefix(from, "cmd/") {
			return nil // test kits; programs that generate
		}
		for _, imp := range f.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			to, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			imports++
			if why := refused(filepath.ToSlash(from), to); why != "" {
				t.Errorf("%s imports %s, which %s", from, to, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if imports == 0 {
		t.Error("no imports were seen")
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"mptcp", "mptcp/tcp", true}, {"mptcp/tcp", "mptcp", false}, {"mptcp/tcp", "mptcp/sched", false},
		{"mptcp/sim", "topology", false}, {"impairments", "mptcp/wire", true}, {"impairments", "topology", false},
		{"topology/virtual", "mptcp/sim", true}, {"topology", "topology/virtual", false},
		{"scenarios", "scenarios/spec", true}, {"scenarios/spec", "scenarios/result", true}, {"scenarios", "plots", false},
		{"plots", "scenarios/result", true}, {"plots", "mptcp/trace", false}, {"plots", "scenarios/spec", false}, {"plots", "scenarios/observe", true}, {"cmd/mptcplab", "plots", true},
		{"mptcp/host", "mptcp/link", true}, {"workloads/kernel", "workloads", true}, {"workloads", "workloads/kernel", false},
		{"surprise", "mptcp", false},
	} {
		if got := refused(tt.from, tt.to) == ""; got != tt.ok {
			t.Errorf("%s imports %s: accepted %v, want %v", tt.from, tt.to, got, tt.ok)
		}
	}
}
