package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func fill2(format, a, b string) string { return fmt.Sprintf(format, a, b) }

// write puts a file into a folder of the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
