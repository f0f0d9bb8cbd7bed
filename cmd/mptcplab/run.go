package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mptcplab/plots"
	"mptcplab/scenarios"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology/netns"
)

type runFlags struct {
	fabric, impair, pcap, out      string
	seed                           uint64
	repeat, jobs                   int
	set, only                      []string
	quick, noPlots, strict, asJSON bool
	quiet                          bool
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a scenario and judge its expectations",
		Long: `Run all pairings, sweep points and repetitions of a scenario file, write a result
directory and judge the expectations.

Exit status: 0 all expectations hold, 1 an expectation failed, 2 bad usage or
input, 3 the environment cannot do it, 4 a run broke, 130 interrupted, 143 terminated.`,
		Example: `  mptcplab run scenarios/wifi-lte-handover.yaml
  mptcplab run scenarios/wifi-lte-handover.yaml --fabric netns --impair relay --only pairing=mptcp-linux
  mptcplab run my.yaml --set topology.links.wifi.delay=30ms --seed 42 --repeat 10 --jobs 2`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	fl := c.Flags()
	fl.StringVar(&f.fabric, "fabric", "virtual", "virtual (deterministic time) or netns (network namespaces, real time)")
	fl.StringVar(&f.impair, "impair", "auto", "netns: netem, relay, or auto (netem where the kernel has it)")
	fl.Uint64Var(&f.seed, "seed", 0, "seed instead of the file's")
	fl.IntVar(&f.repeat, "repeat", 0, "repetitions instead of the file's, with seeds seed, seed+1, ...")
	fl.StringArrayVar(&f.set, "set", nil, "change the file: path.to.key=value (may be repeated)")
	fl.StringArrayVar(&f.only, "only", nil, "run only these: AXIS=VALUE[,VALUE...], pairing=NAME (may be repeated)")
	fl.IntVar(&f.jobs, "jobs", 1, "runs at the same time (virtual fabric only)")
	fl.StringVar(&f.pcap, "pcap", "", "packets.pcapng: all (whole packets), headers (128 bytes), none (default: the file's word, else headers)")
	fl.BoolVar(&f.quick, "quick", false, "apply the file's quick: overrides")
	fl.BoolVar(&f.noPlots, "no-plots", false, "make no plots")
	fl.BoolVar(&f.strict, "strict", false, "a degraded or skipped run counts as a failed expectation")
	fl.BoolVar(&f.asJSON, "json", false, "print result.json instead of the table")
	fl.BoolVar(&f.quiet, "quiet", false, "print no progress")
	fl.StringVar(&f.out, "out", "", "result directory (default results/NAME-FABRIC-seedN)")
	return c
}

// check refuses combinations that cannot mean anything, all at once.
func (f *runFlags) check(c *cobra.Command) error {
	var wrong []error
	unless := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	oneOf := func(flag, value string, allowed ...string) {
		unless(!slices.Contains(allowed, value), "--%s %s: allowed are %s", flag, value, strings.Join(allowed, ", "))
	}
	changed := c.Flags().Changed
	oneOf("fabric", f.fabric, "virtual", "netns")
	oneOf("impair", f.impair, "auto", "netem", "relay")
	if changed("pcap") {
		oneOf("pcap", f.pcap, "all", "headers", "none")
	}
	unless(f.fabric == "virtual" && changed("impair"), "--impair is for --fabric netns: virtual time has its own wires")
	unless(f.fabric == "netns" && changed("jobs") && f.jobs != 1, "--jobs is for the virtual fabric: runs in real time would disturb each other")
	unless(f.jobs < 1, "--jobs %d: at least 1", f.jobs)
	unless(changed("repeat") && f.repeat < 1, "--repeat %d: at least 1", f.repeat)
	unless(changed("out") && f.out == "", "--out: a directory is expected")
	if wrong == nil {
		return nil
	}
	return exit(exitUsage, errors.Join(wrong...))
}

func (f *runFlags) run(c *cobra.Command, path string) error {
	if err := f.check(c); err != nil {
		return err
	}
	o := spec.Options{Sets: f.set, Only: f.only, Fabric: f.fabric, Quick: f.quick}
	if c.Flags().Changed("seed") {
		o.Seed = &f.seed
	}
	if f.repeat > 0 {
		o.Repeat = &f.repeat
	}
	file, err := spec.Load(path, o)
	if err != nil {
		return exit(exitUsage, err)
	}
	if len(file.Runs) == 0 {
		nothing := []error{fmt.Errorf("%s: nothing to run with --fabric %s", path, f.fabric)}
		for _, s := range file.Skipped {
			nothing = append(nothing, fmt.Errorf("skipped %s: %s", s.Pairing, s.Reason))
		}
		return exit(exitUsage, errors.Join(nothing...))
	}
	if f.fabric == "netns" {
		// As an ordinary user this starts the command once more inside a user
		// namespace, and ends with its status.
		status, done, err := netns.Enter()
		if err != nil {
			return exit(exitEnvironment, fmt.Errorf("network namespaces: %w", err))
		}
		if done && status != 0 {
			return exit(status, nil)
		}
		if done {
			return nil
		}
	}
	if f.out == "" {
		f.out = filepath.Join("results", fmt.Sprintf("%s-%s-seed%d", fileName(file.Name), f.fabric, file.Seed))
	}
	return f.runFile(c, file)
}

// fileName makes a scenario's name fit for a directory.
func fileName(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
		default:
			b[i] = '-'
		}
	}
	return string(b)
}

func (f *runFlags) runFile(c *cobra.Command, file *spec.File) error {
	p := newProgress(c.ErrOrStderr(), f.quiet)
	res, err := scenarios.Run(c.Context(), file, scenarios.Options{
		Fabric: f.fabric, Impair: f.impair, Jobs: f.jobs, Pcap: f.pcap, Out: f.out,
		Strict: f.strict, Version: version, Progress: p.show,
	})
	p.done()
	if res == nil {
		return f.failed(err)
	}
	var written []string
	if !f.noPlots && c.Context().Err() == nil {
		w, plotErr := render(c.Context(), f.out)
		written = w
		err = errors.Join(err, plotErr)
	}
	if printErr := f.print(c.OutOrStdout(), res, written); printErr != nil {
		return exit(exitBroke, printErr)
	}
	switch {
	case err != nil:
		return f.failed(err)
	case !res.Pass:
		return exit(exitFailed, nil)
	}
	return nil
}

// failed turns what Run says into an exit status.
func (f *runFlags) failed(err error) error {
	switch {
	case errors.Is(err, scenarios.ErrOut):
		return exit(exitUsage, err)
	case errors.Is(err, context.Canceled):
		return exit(exitInterrupted, errors.New("interrupted; what was measured so far is written"))
	case errors.Is(err, scenarios.ErrEnvironment):
		return exit(exitEnvironment, err)
	}
	return exit(exitBroke, err)
}

func (f *runFlags) print(w io.Writer, res *result.Result, written []string) error {
	if f.asJSON {
		b, err := result.Marshal(res)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	table := plots.Table(res)
	if coloured(w) {
		table = colour(table)
	}
	if _, err := io.WriteString(w, table); err != nil {
		return err
	}
	if f.strict && strictFailure(res) {
		fmt.Fprintln(w, "\n--strict: what was skipped or degraded counts as failed")
	}
	fmt.Fprintf(w, "\nwritten: %s\n", filepath.Join(f.out, result.File))
	for _, name := range []string{result.ScenarioFile, result.SeriesFile, result.RunsDir} {
		if _, err := os.Stat(filepath.Join(f.out, name)); err == nil {
			fmt.Fprintf(w, "         %s\n", filepath.Join(f.out, name))
		}
	}
	if len(written) > 0 {
		fmt.Fprintf(w, "         %s (%d files)\n", filepath.Join(f.out, result.PlotsDir), len(written))
	}
	return nil
}

// strictFailure reports whether there is anything that only --strict minds.
func strictFailure(res *result.Result) bool {
	return len(res.Skipped) > 0 || slices.ContainsFunc(res.Runs, func(r result.Run) bool { return len(r.Degraded) > 0 })
}
