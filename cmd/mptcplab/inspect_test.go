package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcplab/scenarios/spec"
)

// validate says of every file what is wrong with it, or how many runs it has.
func TestValidate(t *testing.T) {
	inFolder(t, twoPaths)
	stdout, stderr := must(t, 0, "validate", "s.yaml")
	if stdout != "s.yaml: ok, 3 runs\n" || stderr != "" {
		t.Errorf("%q %q", stdout, stderr)
	}
	put(t, "bad.yaml", edited(t, "delay: 5ms", "delay: -5ms", "delay: 10ms", "dealy: 10ms"))
	put(t, "none.yaml", "x: [\n")
	stdout, stderr = must(t, exitUsage, "validate", "bad.yaml", "s.yaml", "none.yaml")
	if stdout != "s.yaml: ok, 3 runs\n" {
		t.Errorf("stdout %q", stdout)
	}
	var places []string
	for line := range strings.Lines(stderr) {
		place, _, _ := strings.Cut(line, ": ")
		places = append(places, place)
	}
	if got := strings.Join(places, " "); !strings.HasPrefix(got, "bad.yaml:7:53 bad.yaml:8:46 none.yaml:") || len(places) != 3 {
		t.Errorf("places %q in\n%s", got, stderr)
	}
}

// What --resolved prints loads again and gives the same runs, packet by packet;
// resolved once more it stays as it is.
func TestResolvedRunsAlike(t *testing.T) {
	inFolder(t, twoPaths)
	stdout, _ := must(t, 0, "validate", "--resolved", "s.yaml")
	put(t, "r.yaml", stdout)
	if !strings.Contains(stdout, "10.0.1.1") || !strings.Contains(stdout, "cubic") {
		t.Errorf("addresses or defaults are not written out:\n%s", stdout)
	}
	again, _ := must(t, 0, "validate", "--resolved", "r.yaml")
	if again != stdout {
		t.Errorf("resolved twice it changes:\n%s\n%s", stdout, again)
	}
	must(t, 0, "run", "s.yaml", "--no-plots", "--out", "one")
	must(t, 0, "run", "r.yaml", "--no-plots", "--out", "two")
	must(t, 0, "run", "one/scenario.yaml", "--no-plots", "--out", "three")
	one := tree(t, "one")
	delete(one, "result.json") // skipped pairings are not in a scenario that was run
	for _, other := range []string{"two", "three"} {
		files := tree(t, other)
		delete(files, "result.json")
		sameTrees(t, one, files)
		for i, run := range results(t, "one").Runs {
			if got := results(t, other).Runs[i]; got.Fingerprint != run.Fingerprint || got.ID != run.ID || run.Fingerprint == "" {
				t.Errorf("%s: run %s has other packets than %s", other, got.ID, run.ID)
			}
		}
	}
}

// plot makes the same plots from result files only: the directory was moved, the
// scenario is gone.
func TestPlotAgain(t *testing.T) {
	inFolder(t, twoPaths)
	must(t, 0, "run", "s.yaml", "--only", "pairing=ours", "--out", "out")
	before := tree(t, "out")
	if err := os.Remove("s.yaml"); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename("out", moved); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(moved, "plots")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	stdout, stderr := must(t, 0, "plot", moved)
	after := tree(t, moved)
	sameTrees(t, before, after)
	n := 0
	for name := range after {
		if strings.HasPrefix(name, "plots/") {
			n++
			if !strings.Contains(stdout, filepath.Join(moved, name)+"\n") {
				t.Errorf("%s is not named in\n%s", name, stdout)
			}
		}
	}
	if n != 8 || stderr != "" {
		t.Errorf("%d plots, want 8: overview, throughput, handover and scheduler, as SVG and PNG; stderr %q", n, stderr)
	}
	// A capture that is none is bad input.
	if err := os.WriteFile(filepath.Join(moved, "runs/ours/seed=3/packets.pcapng"), []byte("this is no capture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := must(t, exitUsage, "plot", moved); !strings.Contains(stderr, "malformed packets.pcapng") {
		t.Error(stderr)
	}
}

func TestTopologyShow(t *testing.T) {
	inFolder(t, twoPaths)
	text, _ := must(t, 0, "topology", "show", "s.yaml")
	for _, want := range []string{"host phone\n", "phone.wifi", "10.0.1.1/24", "router net\n", "link wifi: phone -- net", "rate 20mbit, delay 5ms", "routes of phone\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	dot, _ := must(t, 0, "topology", "show", "--format", "dot", "s.yaml")
	for _, want := range []string{"graph topology {\n", `"phone" -- "net" [label="wifi`, `"net" -- "server"`, "\n}\n"} {
		if !strings.Contains(dot, want) {
			t.Errorf("no %q in\n%s", want, dot)
		}
	}
}

// inRepository returns a file of the repository, which the tests have around them
// except where they were carried elsewhere.
func inRepository(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("../../go.mod"); err != nil {
		t.Skipf("SKIPPED: not in the repository: %v", err)
	}
	return path
}

func TestSchemaIsTheOneInDocs(t *testing.T) {
	want := get(t, inRepository(t, "docs/scenario.schema.json"))
	stdout, _ := must(t, 0, "schema")
	if stdout != want || stdout != string(spec.Schema()) {
		t.Error("docs/scenario.schema.json is not what mptcplab schema prints: make schema")
	}
}
