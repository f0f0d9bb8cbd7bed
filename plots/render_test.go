package plots

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Figures of one result have the same bytes each time, and are where they
// belong.
func TestRenderTwice(t *testing.T) {
	dir := t.TempDir()
	if keep := os.Getenv("PLOTS_KEEP"); keep != "" { // to look at them
		dir = keep
	}
	synthesize(t, dir)
	files, err := Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"overview"}
	for _, run := range []string{"mptcp-mptcp/seed=7", "mptcp-tcp/seed=7"} {
		want = append(want, run+"/throughput", run+"/handover", run+"/scheduler")
	}
	if len(files) != 2*len(want) {
		t.Fatalf("%d files: %v", len(files), files)
	}
	first := map[string][]byte{}
	for i, f := range files {
		if name := filepath.Join(dir, "plots", filepath.FromSlash(want[i/2])); !strings.HasPrefix(f, name+".") {
			t.Errorf("%s, want %s", f, name)
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		first[f] = b
	}
	if _, err := Render(dir); err != nil {
		t.Fatal(err)
	}
	for f, b := range first {
		if again, err := os.ReadFile(f); err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s differs the second time", f)
		}
	}
}
