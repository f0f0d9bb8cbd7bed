package result

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The names inside a result directory.
const (
	File         = "result.json"
	ScenarioFile = "scenario.yaml"
	SeriesFile   = "series.csv"
	EventsFile   = "events.ndjson"
	SocketsFile  = "sockets.ndjson"
	CaptureFile  = "packets.pcapng"
	RunsDir      = "runs"
	PlotsDir     = "plots"

	unfinished = ".mptcplab-unfinished" // there from Create to Finish
	seriesPart = "series.part"          // a run's rows, until Finish joins them
)

// ErrForeign says that a directory is not empty and not a result directory.
var ErrForeign = errors.New("is not empty and holds no mptcplab result")

// Dir is a result directory that is being written. Its methods may be called
// from several goroutines; each Run belongs to one.
type Dir struct{ path string }

// Create makes the result directory at path, or empties the one that is there:
// only what this package and the plots write is removed. A directory that is not
// empty and none of ours is refused with ErrForeign.
func Create(path string) (*Dir, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 && !ours(path) {
		return nil, fmt.Errorf("%s %w", path, ErrForeign)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	// The marker stands before anything goes: what is left of an interrupted
	// replacement is still known as ours.
	if err := os.WriteFile(filepath.Join(path, unfinished), nil, 0o644); err != nil {
		return nil, err
	}
	for _, name := range []string{File, ScenarioFile, SeriesFile, RunsDir, PlotsDir} {
		if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
			return nil, err
		}
	}
	return &Dir{path}, nil
}

// ours reports whether a directory was written by this package.
func ours(path string) bool {
	if _, err := os.Lstat(filepath.Join(path, unfinished)); err == nil {
		return true
	}
	b, err := os.ReadFile(filepath.Join(path, File))
	if err != nil {
		return false
	}
	var r struct {
		SchemaVersion int     `json:"schema_version"`
		Version       *string `json:"mptcplab_version"`
	}
	return json.Unmarshal(b, &r) == nil && r.SchemaVersion > 0 && r.Version != nil
}

// Path returns where the directory is.
func (d *Dir) Path() string { return d.path }

// Scenario writes scenario.yaml and, so that it runs by itself, the files that it
// speaks of, by their names in it. It returns the SHA-256 of the former in hex.
func (d *Dir) Scenario(yaml []byte, files map[string][]byte) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(d.path, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(yaml)
	return hex.EncodeToString(sum[:]), os.WriteFile(filepath.Join(d.path, ScenarioFile), yaml, 0o644)
}

// Finish joins the series of the runs in the order of r.Runs, and writes
// result.json last, by rename. All Runs must have been closed.
func (d *Dir) Finish(r *Result) error {
	r.SchemaVersion = SchemaVersion
	if err := d.joinSeries(r); err != nil {
		return err
	}
	b, err := Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(d.path, File+".tmp")
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(d.path, File)); err != nil {
		return err
	}
	return os.Remove(filepath.Join(d.path, unfinished))
}

// joinSeries concatenates what the runs wrote: runs may go on in parallel, the
// file has them in order all the same.
func (d *Dir) joinSeries(r *Result) (err error) {
	f, err := os.Create(filepath.Join(d.path, SeriesFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.WriteString(f, seriesHeader); err != nil {
		return err
	}
	for i := range r.Runs {
		dir, err := RunDir(d.path, r.Runs[i].ID)
		if err != nil {
			return err
		}
		if err := appendFile(f, filepath.Join(dir, seriesPart)); err != nil {
			return err
		}
	}
	return nil
}

// appendFile moves the content of a file, if there is one, to the end of w.
func appendFile(w io.Writer, name string) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close(), os.Remove(name))
}

// Marshal returns result.json. Lists that are empty are [], not null.
func Marshal(r *Result) ([]byte, error) {
	c := *r
	c.Runs = list(slices.Clone(c.Runs))
	c.Skipped = list(c.Skipped)
	for i := range c.Runs {
		run := &c.Runs[i]
		run.Flows, run.Handover = list(slices.Clone(run.Flows)), list(run.Handover)
		run.Events, run.Links, run.Expect = list(run.Events), list(run.Links), list(run.Expect)
		for j := range run.Flows {
			f := &run.Flows[j]
			f.Paths, f.Subflows = list(f.Paths), list(f.Subflows)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // expectations hold "<"
	e.SetIndent("", "  ")
	err := e.Encode(&c)
	return b.Bytes(), err
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Open reads result.json of a directory.
func Open(path string) (*Result, error) {
	b, err := os.ReadFile(filepath.Join(path, File))
	if errors.Is(err, os.ErrNotExist) {
		if _, e := os.Lstat(filepath.Join(path, unfinished)); e == nil {
			return nil, fmt.Errorf("%s: the run has not finished: no %s", path, File)
		}
		return nil, fmt.Errorf("%s is no result directory: no %s", path, File)
	}
	if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, File), err)
	}
	if r.SchemaVersion != SchemaVersion {
		return nil, fmt.Errorf("%s: schema_version %d, this program reads %d", filepath.Join(path, File), r.SchemaVersion, SchemaVersion)
	}
	return r, nil
}

// RunDir returns the directory of a run's files: slashes of the id separate
// directories, so an id must not lead out.
func RunDir(dir, id string) (string, error) {
	for part := range strings.SplitSeq(id, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\x00\\") {
			return "", fmt.Errorf("%q is no run id", id)
		}
	}
	return filepath.Join(dir, RunsDir, filepath.FromSlash(id)), nil
}
