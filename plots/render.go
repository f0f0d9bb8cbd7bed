// Package plots makes figures and tables from result directories, and from
// nothing else: plotting needs no run. Figures are SVG and PNG, with the same
// bytes from run to run.
package plots

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/plot/vg"

	"mptcplab/scenarios/result"
)

// Render draws all figures of a result directory into its plots folder and
// returns the files written, in order: an overview of all runs, and for each run
// throughput, handover and scheduler.
func Render(dir string) ([]string, error) {
	r, err := result.Open(dir)
	if err != nil {
		return nil, err
	}
	b := book{result: r, dir: dir}
	b.collectPaths()
	if err := os.RemoveAll(filepath.Join(dir, result.PlotsDir)); err != nil {
		return nil, err
	}
	var files []string
	add := func(f *figure, name string) error {
		if f == nil {
			return nil
		}
		w, err := f.save(filepath.Join(dir, result.PlotsDir, filepath.FromSlash(name)))
		files = append(files, w...)
		return err
	}
	if err := add(b.overview(), "overview"); err != nil {
		return files, err
	}
	series, err := loadSeries(dir)
	if err != nil {
		return files, err
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		s := series[run.ID]
		d, err := b.digest(run)
		if err != nil {
			return files, err
		}
		err = errors.Join(
			add(b.throughput(run, s), run.ID+"/throughput"),
			add(b.handover(run, s, d), run.ID+"/handover"),
			add(b.scheduler(run, s, d), run.ID+"/scheduler"),
		)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// book is what the figures of one result have in common.
type book struct {
	result *result.Result
	dir    string
	paths  []string // in the order of their colours
}

// collectPaths gives every path of the result its colour.
func (b *book) collectPaths() {
	for i := range b.result.Runs {
		for _, f := range b.result.Runs[i].Flows {
			for _, p := range f.Paths {
				if !slices.Contains(b.paths, p.Name) {
					b.paths = append(b.paths, p.Name)
				}
			}
		}
	}
}

func (b *book) style(path string) (color.NRGBA, []vg.Length) {
	i := slices.Index(b.paths, path)
	if i < 0 {
		i = len(b.paths)
	}
	return palette[i%len(palette)], dashes[i%len(dashes)]
}

// subtitle says what the numbers belong to.
func (b *book) subtitle(run *result.Run) string {
	r := b.result
	s := []string{r.Name, "fabric " + r.Fabric}
	if r.Impair != r.Fabric && r.Impair != "" {
		s = append(s, "impairments by "+r.Impair)
	}
	if run == nil {
		return strings.Join(append(s, fmt.Sprintf("seed %d", r.Seed)), " · ")
	}
	s = append(s, fmt.Sprintf("seed %d", run.Seed))
	for _, key := range [][2]string{{"tcp.rto_min", "RTO_min "}, {"mptcp.scheduler", "scheduler "}} {
		if v := common(run.Settings, key[0]); v != "" {
			s = append(s, key[1]+v)
		}
	}
	if v := values(run.CongestionControl); v != "" {
		s = append(s, v)
	}
	return strings.Join(s, " · ")
}

// common returns what a setting is on the hosts that have it: one value, or all
// of them.
func common(settings map[string]map[string]string, key string) string {
	m := map[string]string{}
	for host, s := range settings {
		if s[key] != "" {
			m[host] = s[key]
		}
	}
	return values(m)
}

// values lists the distinct values of a map.
func values(m map[string]string) string {
	var v []string
	for _, s := range m {
		if s != "" && !slices.Contains(v, s) {
			v = append(v, s)
		}
	}
	sort.Strings(v)
	return strings.Join(v, "/")
}

// label calls a run by what it differs in from others.
func label(run *result.Run) string {
	id, _, ok := strings.Cut(run.ID, "/seed=")
	if !ok || id == "" {
		return run.ID
	}
	return strings.ReplaceAll(id, "/", " ")
}
