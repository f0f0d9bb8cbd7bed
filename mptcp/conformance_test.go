package mptcp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is that of the repository.
const root = ".."

// a row of docs/conformance.md
type conformanceRow struct{ id, level, proof string }

var (
	rowOfPage = regexp.MustCompile(`^\| ([A-Z]{2,3}-\d\d) \| [^|]+ \| (\w+) \| .+ \| (.+) \|$`)
	proofTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9_]+)`")
	proofFile = regexp.MustCompile("`([A-Za-z0-9_/.-]+\\.pkt)`")
)

// conformancePage reads the rows of the page.
func conformancePage(t *testing.T) (rows []conformanceRow) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs/conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		l = strings.TrimSpace(strings.ReplaceAll(l, `\|`, "/"))
		if m := rowOfPage.FindStringSubmatch(l); m != nil {
			rows = append(rows, conformanceRow{m[1], m[2], m[3]})
		}
	}
	return rows
}

// conformanceList reads the requirements that the page has to have: level by id.
func conformanceList(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/rfc8684-rows")
	if err != nil {
		t.Fatal(err)
	}
	levels := make(map[string]string)
	for l := range strings.Lines(string(b)) {
		if id, level, ok := strings.Cut(strings.TrimSpace(l), " "); ok && !strings.HasPrefix(l, "#") {
			levels[id] = level
		}
	}
	if len(levels) != 198 {
		t.Fatalf("the list has %d rows", len(levels))
	}
	return levels
}

// declaredTests returns the tests that the sources declare, as FOLDER.NAME.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				tests[filepath.ToSlash(dir)+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// docs/conformance.md has a row for every requirement of the list and no other; each
// names tests and scripts that exist, or says why it has none; all MUST and MUST NOT
// are proven or do not apply, and nine in ten of the SHOULDs are proven.
func TestConformance(t *testing.T) {
	levels, tests := conformanceList(t), declaredTests(t)
	if !tests["mptcp.TestConformance"] {
		t.Fatal("the sources were not found")
	}
	seen := make(map[string]bool)
	should, proven := 0, 0
	for _, r := range conformancePage(t) {
		if seen[r.id] || levels[r.id] != r.level {
			t.Errorf("%s: twice, or its level is %q in the list and %q on the page", r.id, levels[r.id], r.level)
		}
		seen[r.id] = true
		ok := provenBy(t, r, tests)
		reason := strings.HasPrefix(r.proof, "Does not apply: ") || strings.HasPrefix(r.proof, "Not done: ") || strings.HasPrefix(r.proof, "Not exercised")
		if ok == reason {
			t.Errorf("%s: neither a proof nor a reason, or both: %s", r.id, r.proof)
		}
		switch r.level {
		case "M", "MN":
			if !ok && !strings.HasPrefix(r.proof, "Does not apply: ") {
				t.Errorf("%s: a MUST that is not proven: %s", r.id, r.proof)
			}
		case "S", "SN", "R":
			should++
			if ok {
				proven++
			}
		}
	}
	for id := range levels {
		if !seen[id] {
			t.Errorf("%s has no row", id)
		}
	}
	if 10*proven < 9*should {
		t.Errorf("%d of %d SHOULDs are proven", proven, should)
	}
}

// provenBy reports whether a row names tests or scripts, all of which exist.
func provenBy(t *testing.T, r conformanceRow, tests map[string]bool) bool {
	if strings.HasPrefix(r.proof, "Not ") || strings.HasPrefix(r.proof, "Does ") {
		return false
	}
	n := 0
	for _, m := range proofTest.FindAllStringSubmatch(r.proof, -1) {
		if n++; !tests[m[1]+"."+m[2]] {
			t.Errorf("%s: there is no test %s.%s", r.id, m[1], m[2])
		}
	}
	for _, m := range proofFile.FindAllStringSubmatch(r.proof, -1) {
		n++
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("%s: %v", r.id, err)
		}
	}
	return n > 0
}
