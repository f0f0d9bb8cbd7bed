package drill

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/STATUS anew")

// TestStatus compares testdata/STATUS with what the visible scripts say: which
// pass, and the first line that fails of those that do not.
func TestStatus(t *testing.T) {
	files := visible(t)
	if len(files) == 0 {
		t.Skip("the scripts are not there")
	}
	var b bytes.Buffer
	passed := make(map[string]int)
	total := make(map[string]int)
	for _, f := range files {
		_, name, _ := strings.Cut(filepath.ToSlash(f), "/packetdrill/")
		set, _, _ := strings.Cut(name, "/")
		total[set]++
		o := RunModes(f, Options{})
		if o.Err == nil {
			passed[set]++
			fmt.Fprintf(&b, "pass %s\n", name)
			continue
		}
		line, text := place(o.Err)
		fmt.Fprintf(&b, "fail %s:%d [%s] %s\n", name, line, o.Mode, text)
	}
	head := fmt.Sprintf("# Written by go test ./mptcp/drill -run TestStatus -update: the visible scripts.\n"+
		"# mptcp: %d of %d pass. tcp: %d of %d pass.\n", passed["mptcp"], total["mptcp"], passed["tcp"], total["tcp"])
	got := head + b.String()
	const path = "testdata/STATUS"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(wantLines), len(gotLines)) {
		var w, g string
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if w != g {
			t.Fatalf("STATUS has drifted at line %d: is %q, was %q; if that is right, run with -update", i+1, g, w)
		}
	}
}

// place returns line and first line of text of an error of a run.
func place(err error) (int, string) {
	line, text := 0, err.Error()
	var f *Failure
	var s *SyntaxError
	switch {
	case errors.As(err, &f):
		line, text = f.Line, f.Text
	case errors.As(err, &s):
		line, text = s.Line, s.Text
	}
	text, _, _ = strings.Cut(text, "\n")
	return line, text
}

// TestScripts runs the project's own scripts.
func TestScripts(t *testing.T) {
	files, err := Find("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d scripts", len(files))
	}
	for _, f := range files {
		t.Run(short(f), func(t *testing.T) {
			if o := RunModes(f, Options{}); o.Err != nil {
				t.Errorf("[%s] %v", o.Mode, o.Err)
			}
		})
	}
}

// TestTCPPage holds docs/tcp.md to its word: the scripts that it names are there, and
// it names the folder of each that is.
func TestTCPPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/tcp.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z_]+/[a-z0-9_]+\\.pkt)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("the page names %d scripts", len(named))
	}
	folders := make(map[string]bool)
	for _, m := range named {
		folders[filepath.Dir(m[1])] = true
		if _, err := os.Stat(filepath.Join("testdata/tcp", m[1])); err != nil {
			t.Errorf("docs/tcp.md: %v", err)
		}
	}
	dirs, err := os.ReadDir("testdata/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.Name() != "calls" && d.Name() != "fastopen" && !folders[d.Name()] {
			t.Errorf("docs/tcp.md says nothing of %s", d.Name())
		}
	}
}
