package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// README's scenario from scratch: ten lines that run as they are printed.
func TestReadmeScenarioRuns(t *testing.T) {
	readme := get(t, inRepository(t, "README.md"))
	_, rest, ok := strings.Cut(readme, "```yaml\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatal("no YAML in README.md")
	}
	if n := strings.Count(block, "\n"); n > 10 {
		t.Errorf("%d lines", n)
	}
	t.Chdir(t.TempDir())
	put(t, "my.yaml", block)
	stdout, _ := must(t, 0, "run", "my.yaml")
	if !strings.Contains(stdout, "  ok  ") || !strings.Contains(stdout, "handover.lost.gap < 1s") {
		t.Error(stdout)
	}
	stdout, _ = must(t, 0, "validate", "--resolved", "my.yaml")
	for _, want := range []string{"addresses:", "routes:", "endpoints:", "limits:", "congestion_control:", "scheduler:"} { // "writes all of them out"
		if !strings.Contains(stdout, want) {
			t.Errorf("--resolved has no %s", want)
		}
	}
}

// README's table has the commands that there are, and its flags exist.
func TestReadmeNamesTheCommands(t *testing.T) {
	readme := get(t, inRepository(t, "README.md"))
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `mptcplab ([a-z ]+)").FindAllStringSubmatch(readme, -1) {
		documented[strings.TrimSpace(m[1])] = true
	}
	real := map[string]bool{}
	flags := map[string]bool{"fabric": true}
	everyCommand(rootCommand(), func(c *cobra.Command) {
		if !c.HasSubCommands() {
			real[strings.TrimPrefix(c.CommandPath(), "mptcplab ")] = true
		}
		c.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
	})
	if a, b := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(real)); !slices.Equal(a, b) {
		t.Errorf("README has the commands %q; there are %q", a, b)
	}
	for _, m := range regexp.MustCompile(`--([a-z][a-z-]+)`).FindAllStringSubmatch(readme, -1) {
		if !flags[m[1]] {
			t.Errorf("README names --%s, which is no flag", m[1])
		}
	}
}

// Every file and every target of make that README names is there.
func TestReadmeLinks(t *testing.T) {
	name := inRepository(t, "README.md")
	readme := get(t, name)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
			t.Errorf("README links to %s: %v", m[1], err)
		}
	}
	makefile := get(t, inRepository(t, "Makefile"))
	for _, line := range regexp.MustCompile(`(?m)^    make ([a-z -]+)`).FindAllStringSubmatch(readme, -1) {
		for _, target := range strings.Fields(line[1]) {
			if !strings.Contains(makefile, "\n"+target+":") {
				t.Errorf("make %s: no such target", target)
			}
		}
	}
}
