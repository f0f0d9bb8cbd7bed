package scenarios

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// load reads a scenario of this folder for the virtual fabric.
func loadFile(t testing.TB, name string, o spec.Options) *spec.File {
	t.Helper()
	if dir := os.Getenv("MPTCPLAB_SCENARIOS"); dir != "" {
		name = filepath.Join(dir, name)
	}
	if o.Fabric == "" {
		o.Fabric = "virtual"
	}
	f, err := spec.Load(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func runFile(t testing.TB, f *spec.File, o Options) *result.Result {
	t.Helper()
	if o.Fabric == "" {
		o.Fabric = "virtual"
	}
	if o.Out == "" {
		o.Out = filepath.Join(t.TempDir(), "out")
	}
	o.Version = "test"
	res, err := Run(context.Background(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func seed(n uint64) *uint64 { return &n }

// The main job in virtual time: criterion by criterion.
func TestHandoverVirtual(t *testing.T) {
	res := runFile(t, loadFile(t, "wifi-lte-handover.yaml", spec.Options{}), Options{})
	if !res.Pass {
		t.Error("an expectation of the file does not hold")
	}
	if len(res.Runs) != 3 || len(res.Skipped) != 1 || res.Skipped[0].Pairing != "mptcp-linux" {
		t.Fatalf("%d runs, skipped %v; want 3 runs and mptcp-linux skipped", len(res.Runs), res.Skipped)
	}
	for _, run := range res.Runs {
		for _, e := range run.Expect {
			if !e.Pass {
				t.Errorf("%s: %s: measured %s", run.ID, e.That, e.Measured)
			}
		}
		f := run.Flows[0]
		if !f.Intact || f.SHA256Sent != f.SHA256Received || f.DownloadBytes != 40e6 {
			t.Errorf("%s: intact %v, %d bytes, sent %s received %s", run.ID, f.Intact, f.DownloadBytes, f.SHA256Sent, f.SHA256Received)
		}
		h := run.Handover[0]
		switch run.Pairing {
		case "mptcp-mptcp":
			if f.Fallback || h.Path != "lte" || h.Cause != "rto" || h.RTOMS == nil || h.SRTTMS == nil {
				t.Fatalf("%s: fallback %v, handover %+v", run.ID, f.Fallback, h)
			}
			if limit := *h.RTOMS + *h.SRTTMS + 100; h.GapMS > limit {
				t.Errorf("%s: gap %.1f ms, limit %.1f ms", run.ID, h.GapMS, limit)
			}
			if diff := h.GapMS - h.CaptureGapMS; diff < -250 || diff > 250 {
				t.Errorf("%s: gap %.1f ms at the application, %.1f ms in the capture", run.ID, h.GapMS, h.CaptureGapMS)
			}
		default:
			if !f.Fallback || f.FallbackReason == "" {
				t.Errorf("%s: fallback %v (%s), want true with a reason", run.ID, f.Fallback, f.FallbackReason)
			}
			if h.GapMS < 7000 {
				t.Errorf("%s: gap %.1f ms while the only path is dead for 7 s", run.ID, h.GapMS)
			}
		}
	}
}

// hashTree returns one digest for each file under dir.
func hashTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sum := sha256.Sum256(b)
		rel, _ := filepath.Rel(dir, path)
		m[rel] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Two virtual runs with one seed give byte-identical directories, whatever they
// are called and however many run at once; another seed gives others.
func TestVirtualRunsAreIdentical(t *testing.T) {
	run := func(s uint64, jobs int, out string) map[string]string {
		f := loadFile(t, "wifi-lte-handover.yaml", spec.Options{Seed: seed(s), Sets: []string{"workloads.get.download=4MB"}})
		runFile(t, f, Options{Out: out, Jobs: jobs})
		noTrace(t, out)
		return hashTree(t, out)
	}
	a := run(3, 1, filepath.Join(t.TempDir(), "somewhere", "first"))
	b := run(3, 3, filepath.Join(t.TempDir(), "elsewhere", "another-name"))
	c := run(4, 1, filepath.Join(t.TempDir(), "somewhere", "first"))
	if len(a) < 8 {
		t.Errorf("only %d files", len(a))
	}
	for name, sum := range a {
		if b[name] != sum {
			t.Errorf("%s differs between two runs with one seed", name)
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d files and %d files", len(a), len(b))
	}
	for _, name := range []string{"result.json", "series.csv"} {
		if a[name] == c[name] {
			t.Errorf("%s is the same with another seed", name)
		}
	}
}

// noTrace fails if a file says where, when or on what the run was made.
func noTrace(t *testing.T, dir string) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{dir, filepath.Base(filepath.Dir(dir)), wd, os.TempDir() + "/", runtime.GOOS + "/", "cpus"}
	if len(host) > 2 { // "vm" would be found by chance
		words = append(words, host)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range words {
			if i := bytes.Index(b, []byte(w)); i >= 0 {
				t.Errorf("%s holds %q: ...%q...", path, w, b[max(0, i-20):min(len(b), i+40)])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An interrupted run writes what it measured so far.
func TestInterruptedVirtualRun(t *testing.T) {
	f := loadFile(t, "wifi-lte-handover.yaml", spec.Options{Only: []string{"pairing=mptcp-mptcp"}})
	ctx, cancel := context.WithCancel(context.Background())
	out := filepath.Join(t.TempDir(), "out")
	res, err := Run(ctx, f, Options{Fabric: "virtual", Out: out, Version: "test", Progress: func(s Status) {
		if s.At.Seconds() >= 3 {
			cancel()
		}
	}})
	if err == nil || res == nil || !res.Interrupted || res.Pass {
		t.Fatalf("result %+v, error %v", res, err)
	}
	back, err := result.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Runs) != 1 || back.Runs[0].Flows[0].DownloadBytes == 0 || back.Runs[0].Flows[0].Finished {
		t.Errorf("what was written: %+v", back.Runs)
	}
	csv, err := os.ReadFile(filepath.Join(out, "series.csv"))
	if err != nil || strings.Count(string(csv), "\n") < 100 {
		t.Errorf("series.csv: %d lines, %v", strings.Count(string(csv), "\n"), err)
	}
}

// BenchmarkHandoverVirtual runs the demo's virtual part with all result files and
// prints how much faster than real time that is.
func BenchmarkHandoverVirtual(b *testing.B) {
	f := loadFile(b, "wifi-lte-handover.yaml", spec.Options{})
	var virtual float64
	for b.Loop() {
		res := runFile(b, f, Options{Out: filepath.Join(b.TempDir(), "out")})
		for _, r := range res.Runs {
			virtual += r.Duration
		}
	}
	b.ReportMetric(virtual/b.Elapsed().Seconds(), "virtual-s/s")
}
