package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestListsApply fails when a seeded fault no longer fits the code: the code has
// changed, and the list has to follow.
func TestListsApply(t *testing.T) {
	lists, err := filepath.Glob("*.txt")
	if err != nil || len(lists) == 0 {
		t.Fatal("no lists", err)
	}
	for _, path := range lists {
		list, err := readList(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) < 20 {
			t.Errorf("%s: %d faults, want at least 20", path, len(list))
		}
		names := make(map[string]bool)
		for i := range list {
			m := &list[i]
			if names[m.name] {
				t.Errorf("%s:%d: %s stands there twice", path, m.line, m.name)
			}
			names[m.name] = true
			src, err := m.apply("../../..")
			if err != nil {
				t.Errorf("%s:%d: %s: %v", path, m.line, m.name, err)
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), m.file, src, 0); err != nil {
				t.Errorf("%s:%d: %s: %v", path, m.line, m.name, err)
			}
		}
	}
}

// A fault whose text is there twice, or not at all, is a mistake in the list.
func TestApply(t *testing.T) {
	root := t.TempDir()
	code := "package x\n\nfunc f() {\n\ta()\n}\n\nfunc fg() {\n\ta()\n\tb()\n}\n"
	if err := os.WriteFile(filepath.Join(root, "x.go"), []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		m    mutant
		want string // of the file or of the error
	}{
		{mutant{file: "x.go", within: "func f", old: "a()\n", new: "c()\n"}, "func f() {\nc()\n}"},
		{mutant{file: "x.go", within: "func fg", old: "a()\nb()\n", new: ""}, "func fg() {\n}"},
		{mutant{file: "x.go", old: "a()\n", new: "c()\n"}, "at line 4 and at line 8"},
		{mutant{file: "x.go", within: "func f", old: "b()\n", new: "c()\n"}, "no longer has the text"},
		{mutant{file: "x.go", within: "func h", old: "b()\n", new: "c()\n"}, "no line begins"},
		{mutant{file: "x.go", old: "b()\n", new: "b()\n"}, "changes nothing"},
	} {
		got, err := tt.m.apply(root)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %q, want %q in it", tt.m, got, tt.want)
		}
	}
}

func TestReadListMistakes(t *testing.T) {
	for _, text := range []string{"- a\n", "== x\nfile: y\n? a\n"} {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readList(path); err == nil || !strings.Contains(err.Error(), "list:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
