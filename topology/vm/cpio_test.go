package vm

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestArchiveBytes(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	a.file("/d/f", 0o644, []byte("hello"))
	if a.file("/d/f", 0o644, nil) {
		t.Error("the same file twice")
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000002" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "d\x00" +
		"070701" + "00000002" + "000081a4" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000004" + "00000000" + "d/f\x00" + "\x00\x00" + "hello" + "\x00\x00\x00" +
		"070701" + "00000001" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" +
		"00000000" + "00000000" + "00000000" + "00000000" + "0000000b" + "00000000" + "TRAILER!!!\x00" + "\x00\x00\x00"
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The cpio program unpacks what we pack.
func TestArchiveWithCpio(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio to ask")
	}
	var b bytes.Buffer
	a := newArchive(&b)
	contents := map[string][]byte{}
	for n, name := range []string{"/bin/x", "/a/b/c/d", "/a/b/e", "/empty"} {
		contents[name] = bytes.Repeat([]byte{byte(n)}, n*7)
		a.file(name, 0o755, contents[name])
	}
	a.link("/init", "/bin/x")
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "-id", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = dir, &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range contents {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "init")); err != nil || strings.TrimPrefix(to, "/") != "bin/x" {
		t.Errorf("init leads to %q, %v", to, err)
	}
}

// A failing writer is told at the end.
func TestArchiveKeepsTheError(t *testing.T) {
	a := newArchive(failing{})
	a.file("/x", 0o644, []byte("y"))
	if err := a.close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }
