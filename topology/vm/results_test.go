package vm

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tarOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range files {
		h := &tar.Header{Name: name, Mode: 0o644, Size: 4, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") {
			h.Mode, h.Size, h.Typeflag = 0o755, 0, tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, "data"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What the guest would write elsewhere is refused.
func TestExtractStaysInside(t *testing.T) {
	for _, tt := range []struct {
		files []string
		ok    bool
	}{
		{[]string{"/out/", "/out/a", "/out/sub/", "/out/sub/b"}, false}, // /out/ itself is never sent
		{[]string{"/out/a", "/out/sub/", "/out/sub/b"}, true},
		{[]string{"/out/deep/er/c"}, true},
		{[]string{"/out/../evil"}, false},
		{[]string{"/evil"}, false},
		{[]string{"/outside/evil"}, false},
		{[]string{"evil"}, false},
	} {
		dir := t.TempDir()
		target := filepath.Join(dir, "t")
		if err := os.Mkdir(target, 0o755); err != nil {
			t.Fatal(err)
		}
		err := extract(bytes.NewReader(tarOf(t, tt.files...)), target, "/out")
		if (err == nil) != tt.ok {
			t.Errorf("%v: %v", tt.files, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%v: escaped: %v", tt.files, entries)
		}
		if !tt.ok {
			continue
		}
		last := strings.TrimPrefix(tt.files[len(tt.files)-1], "/out/")
		if data, err := os.ReadFile(filepath.Join(target, last)); err != nil || string(data) != "data" {
			t.Errorf("%v: %q, %v", tt.files, data, err)
		}
	}
}

// The frames of a whole run, as the guest sends them.
func transcript(t *testing.T, kinds string, payloads ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	s := &sender{w: &b}
	for i := range kinds {
		if err := s.send(kinds[i], payloads[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestFollow(t *testing.T) {
	out := filepath.Join(t.TempDir(), "r", "out")
	results := tarOf(t, out+"/result.json", out+"/runs/x")
	whole := transcript(t, "hottx", []byte("6.12 3000"), []byte("hi"), results[:700], results[700:], []byte("3"))
	var stdout bytes.Buffer
	g := guest{o: &Options{Out: out, Stdout: &stdout}, stopWatch: func() {}}
	exit, err := g.follow(bytes.NewReader(whole))
	if err != nil || exit != 3 || stdout.String() != "hi" || g.release != "6.12" {
		t.Errorf("exit %d, %v, stdout %q, release %q", exit, err, &stdout, g.release)
	}
	if data, err := os.ReadFile(filepath.Join(out, "runs", "x")); err != nil || string(data) != "data" {
		t.Errorf("result: %q, %v", data, err)
	}

	// A machine that dies on the way leaves the old result and nothing half-done.
	cut := transcript(t, "htt", []byte("6.12 3000"), results[:700], results[700:1000])
	g = guest{o: &Options{Out: out}, stopWatch: func() {}}
	if _, err := g.follow(bytes.NewReader(cut)); err == nil {
		t.Error("a machine that died is no error")
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 || entries[0].Name() != "out" {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(out, "runs", "x")); err != nil {
		t.Errorf("the old result is gone: %v", err)
	}
}

func TestOutIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	if err := checkOut(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	if err := checkOut(dir); err != nil { // empty
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkOut(dir); !errors.Is(err, ErrRefused) {
		t.Errorf("a directory of another kind: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkOut(dir); err != nil {
		t.Error(err)
	}
}
