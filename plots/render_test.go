package plots

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
)

// Figures of one result have the same bytes each time, and are where they
// belong.
func TestRenderTwice(t *testing.T) {
	dir := t.TempDir()
	if keep := os.Getenv("PLOTS_KEEP"); keep != "" { // to look at them
		dir = keep
	}
	synthesize(t, dir, "mptcp-mptcp", "mptcp-tcp")
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

// Without a capture the figures are drawn from the series.
func TestRenderWithoutCapture(t *testing.T) {
	dir := t.TempDir()
	synthesize(t, dir, "mptcp-mptcp")
	with, err := Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	caps, err := filepath.Glob(filepath.Join(dir, "runs", "*", "*", "packets.pcapng"))
	if err != nil || len(caps) != 1 {
		t.Fatal(caps, err)
	}
	for _, c := range caps {
		if err := os.Remove(c); err != nil {
			t.Fatal(err)
		}
	}
	without, err := Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(with) != len(without) {
		t.Errorf("%d figures with a capture, %d without", len(with), len(without))
	}
	// A capture that is none is an error, not an empty figure.
	if err := os.WriteFile(caps[0], []byte("no capture at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Render(dir); !errors.Is(err, result.ErrCapture) {
		t.Errorf("error is %v", err)
	}
}

// A sweep with repetitions is one bar a point; flows beyond four are summed.
func TestOverviewOfASweep(t *testing.T) {
	dir := t.TempDir()
	if keep := os.Getenv("PLOTS_KEEP"); keep != "" {
		dir = filepath.Join(keep, "sweep")
	}
	d, err := result.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := &result.Result{Name: "sweep", Seed: 1, Fabric: "netns", Impair: "relay", Version: "test"}
	for i, mode := range []string{"full", "backup", "single"} {
		for seed := range 3 {
			id := fmt.Sprintf("mptcp-mptcp/mode=%s,event=silent/seed=%d", mode, seed+1)
			run := result.Run{ID: id, Pairing: "mptcp-mptcp", Seed: uint64(seed + 1), Duration: 3}
			w, err := d.Run(id, result.CaptureNone, nil)
			if err != nil {
				t.Fatal(err)
			}
			for f := range 6 {
				name := fmt.Sprintf("page.sta%d", f)
				run.Flows = append(run.Flows, result.Flow{Name: name, Finished: true, Goodput: float64(1+f+seed) * 1e6, Bytes: 1e6, DownloadBytes: 1e6,
					Paths: []result.Path{{Name: "radio", Bytes: 7e5}, {Name: "lte", Bytes: uint64(i) * 1e5}}})
				for s := range 31 {
					w.Series.Sample(result.Sample{Run: id, Flow: name, Path: "radio", Host: "h", Direction: "down",
						Metric: result.MetricReceived, Unit: "bytes", Time: float64(s) / 10, Value: float64(s) * 1e5})
				}
			}
			run.Handover = []result.Handover{{Event: "lost", Happened: true, Flow: "page.sta0", GapMS: float64(200 * (1 + i + seed))}}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r.Runs = append(r.Runs, run)
		}
	}
	b := book{result: r}
	b.collectPaths()
	bars := b.bars()
	if len(bars) != 3 || len(bars[0].goodputs) != 3 || bars[0].label != "mode=full,event=silent" {
		t.Fatalf("%+v", bars)
	}
	if m := median(bars[2].gaps); m != 800 {
		t.Errorf("median gap of the last is %v", m)
	}
	if err := d.Finish(r); err != nil {
		t.Fatal(err)
	}
	series, err := loadSeries(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := series[r.Runs[0].ID]
	tracks := s.tracks()
	if len(tracks) != 1 || tracks[0].title() != "all flows, download" {
		t.Fatalf("%+v", tracks)
	}
	pts := rates(s.grid(tracks[0]), s.sum(tracks[0], "", result.MetricReceived, s.grid(tracks[0])))
	if n := len(pts); n != 30 || math.Abs(pts[n/2].Y-48) > 1e-6 { // 6 x 1 MB/s
		t.Errorf("%d points, %v in the middle", n, pts[n/2])
	}
	if _, err := b.overview().save(filepath.Join(dir, "overview")); err != nil {
		t.Fatal(err)
	}
}
