// Package scenarios runs scenario files: topology x impairments x stacks x
// workloads x timeline x seeds, on either fabric, and writes result directories.
package scenarios

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// Options say how to run a file.
type Options struct {
	Fabric   string // virtual or netns
	Impair   string // netns: auto, netem or relay
	Jobs     int    // runs at once
	Pcap     string // all, headers, none; "": the file's word
	Out      string
	Strict   bool // degraded and skipped count as failures
	Version  string
	Progress func(Status) // may be called from several goroutines; nil: nobody looks
}

// Status is how far one run is.
type Status struct {
	Run          string
	Index, Total int // of the runs, from 1
	At           time.Duration
	Left         time.Duration // estimated from the bytes so far; 0: not known
	Goodput      float64       // bit/s so far
	Paths        []PathBytes
	Finished     bool  // the last of this run
	Err          error // with Finished: why the run ended early, as it broke, timed out or was cancelled
}

// PathBytes is what a path has carried so far.
type PathBytes struct {
	Name  string
	Bytes uint64
}

// ErrEnvironment is wrapped by errors that say what this machine cannot do.
var ErrEnvironment = errors.New("this machine cannot do it")

// ErrOut is wrapped by errors that say why there can be no result directory where
// it was asked for.
var ErrOut = errors.New("result directory")

// Run runs all runs of a file and judges its expectations. The result is what was
// measured, also if the error says that a run broke or was interrupted; it is nil
// only if nothing was begun.
func Run(ctx context.Context, file *spec.File, o Options) (*result.Result, error) {
	if o.Progress == nil {
		o.Progress = func(Status) {}
	}
	fabric, err := openFabric(ctx, file, o)
	if err != nil {
		return nil, err
	}
	// Before the folder of results is made: what it replaces may have them.
	contents, err := readFiles(file)
	if err != nil {
		return nil, errors.Join(err, fabric.close())
	}
	dir, err := result.Create(o.Out)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrOut, err), fabric.close())
	}
	hash, err := dir.Scenario(file.Resolved(), contents)
	if err != nil {
		return nil, errors.Join(err, fabric.close())
	}
	r := &runner{file: file, o: o, fabric: fabric, dir: dir, hash: hash, contents: contents, runs: make([]result.Run, len(file.Runs)), sampled: make([]samples, len(file.Runs)), errs: make([]error, len(file.Runs))}
	r.all(ctx)
	res := r.result(ctx)
	return res, errors.Join(errors.Join(r.errs...), fabric.close(), dir.Finish(res))
}

// fabric makes drivers for the runs of one file.
type fabric interface {
	// open builds the lab of one run.
	open(x *experiment) (driver, error)
	// impair is the driver of the impairments: virtual, netem or relay.
	impair() string
	// environment is what the runs ran on; nil in virtual time.
	environment() *result.Environment
	close() error
}

func openFabric(ctx context.Context, file *spec.File, o Options) (fabric, error) {
	if o.Fabric == "netns" {
		return openNetns(ctx, file, o)
	}
	return virtualFabric{}, nil
}

// virtualFabric needs nothing of the machine.
type virtualFabric struct{}

func (virtualFabric) open(x *experiment) (driver, error) { return newVirtualDriver(x) }
func (virtualFabric) impair() string                     { return "virtual" }
func (virtualFabric) environment() *result.Environment   { return nil }
func (virtualFabric) close() error                       { return nil }

type runner struct {
	file     *spec.File
	o        Options
	fabric   fabric
	dir      *result.Dir
	hash     string            // of scenario.yaml
	contents map[string][]byte // of the files that flows send, by name in the scenario
	runs     []result.Run      // by index in file.Runs; ID "" : not begun
	sampled  []samples
	errs     []error
}

// all carries out the runs, o.Jobs at a time. A run that breaks does not keep the
// others from running.
func (r *runner) all(ctx context.Context) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(1, r.o.Jobs) {
		workers.Go(func() {
			for i := range next {
				r.one(ctx, i)
			}
		})
	}
	for i := range r.file.Runs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		r.errs = append(r.errs, err)
	}
}

// one carries out one run and writes its files.
func (r *runner) one(ctx context.Context, i int) {
	run := &r.file.Runs[i]
	status := Status{Run: run.ID, Index: i + 1, Total: len(r.file.Runs)}
	fail := func(err error) {
		r.runs[i].ID, r.runs[i].Pairing, r.runs[i].Seed = run.ID, run.Pairing, run.Seed
		r.runs[i].Error = err.Error()
		r.errs[i] = fmt.Errorf("run %s: %w", run.ID, err)
		status.Err = err
	}
	defer func() {
		status.Finished = true
		r.o.Progress(status)
	}()
	captured := r.captured(run)
	files, err := r.dir.Run(run.ID, r.snapLen(), captured)
	if err != nil {
		fail(err)
		return
	}
	x := newExperiment(run, r.contents, r.instants(), files, captured)
	d, err := r.fabric.open(x)
	if err != nil {
		fail(errors.Join(err, files.Close()))
		return
	}
	x.d = d
	err = x.carryOut(ctx, func(x *experiment) { r.o.Progress(r.status(x, i)) })
	x.freeze()
	r.runs[i] = x.assemble()
	r.sampled[i] = x.sampled
	status = r.status(x, i)
	if len(r.runs[i].Flows) == 1 {
		status.Goodput = r.runs[i].Flows[0].Goodput // its own duration, not the run's
	}
	status.Err = err
	err = errors.Join(ignore(err, errTimeout, context.Canceled), d.close(), files.Close())
	if err != nil {
		fail(err)
	}
}

// ignore drops errors that do not mean that a run broke.
func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

// snapLen is how much of each packet is kept, in bytes: the command line's word,
// else the file's.
func (r *runner) snapLen() int {
	word := r.o.Pcap
	if word == "" {
		word = r.file.Capture.Packets
	}
	switch {
	case word == "none":
		return result.CaptureNone
	case word == "all", r.o.Pcap == "" && r.file.Capture.SnapLen == 0:
		return result.CaptureAll
	case r.o.Pcap == "headers":
		return result.CaptureHeaders
	}
	return r.file.Capture.SnapLen
}

// captured lists the host interfaces whose packets are kept, HOST.LINK, in the
// order of the topology.
func (r *runner) captured(run *spec.Run) []string {
	var names []string
	for _, h := range run.Hosts {
		n := run.Topology.Node(h.Name)
		for i := range n.Interfaces {
			if all := spec.InterfaceNames(n, &n.Interfaces[i]); matches(r.file.Capture.Interfaces, all) {
				names = append(names, all[0])
			}
		}
	}
	return names
}

// matches reports whether one of an interface's names fits a list of patterns;
// none fits all.
func matches(patterns, names []string) bool {
	for _, p := range patterns {
		for _, name := range names {
			if ok, err := path.Match(p, name); ok && err == nil { // the file's reader refused bad patterns
				return true
			}
		}
	}
	return patterns == nil
}

// status is how far run i is.
func (r *runner) status(x *experiment, i int) Status {
	s := Status{Run: x.run.ID, Index: i + 1, Total: len(r.file.Runs), At: time.Duration(x.d.now())}
	var bytes, wanted uint64
	for _, f := range x.flows {
		snap := x.flowSnapshot(f)
		bytes += snap.delivered[observe.Up] + snap.delivered[observe.Down]
		wanted += f.download.Bytes + f.upload.Bytes
		for _, p := range snap.paths {
			s.addPath(p.name, p.Received)
		}
	}
	if s.At > 0 {
		s.Goodput = float64(bytes) * 8 / s.At.Seconds()
	}
	if wanted > bytes && bytes > 0 {
		s.Left = time.Duration(float64(s.At) * float64(wanted-bytes) / float64(bytes))
	}
	if x.run.Duration > 0 {
		s.Left = max(0, x.run.Duration-s.At)
	}
	return s
}

func (s *Status) addPath(name string, bytes uint64) {
	for i := range s.Paths {
		if s.Paths[i].Name == name {
			s.Paths[i].Bytes += bytes
			return
		}
	}
	s.Paths = append(s.Paths, PathBytes{name, bytes})
}

// result puts the runs together and judges them.
func (r *runner) result(ctx context.Context) *result.Result {
	res := &result.Result{
		SchemaVersion: result.SchemaVersion, Name: r.file.Name, Description: r.file.Description, Source: r.file.Source,
		ScenarioHash: r.hash, Seed: r.file.Seed, Fabric: r.o.Fabric, Impair: r.fabric.impair(), Version: r.o.Version,
		Environment: r.fabric.environment(), Skipped: []result.Skipped{}, Runs: []result.Run{},
		Interrupted: ctx.Err() != nil, Pass: true,
	}
	for _, s := range r.file.Skipped {
		res.Skipped = append(res.Skipped, result.Skipped{Pairing: s.Pairing, Reason: s.Reason})
	}
	r.judge()
	for _, run := range r.runs {
		if run.ID == "" {
			continue // not begun
		}
		res.Runs = append(res.Runs, run)
		for _, e := range run.Expect {
			res.Pass = res.Pass && e.Pass
		}
		res.Pass = res.Pass && run.Error == "" && (!r.o.Strict || len(run.Degraded) == 0)
	}
	if res.Interrupted || r.o.Strict && len(res.Skipped) > 0 {
		res.Pass = false
	}
	return res
}
