package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// check refuses combinations that cannot mean anything.
func (f *runFlags) check(c *cobra.Command) error {
	oneOf := func(flag, value string, allowed ...string) error {
		for _, a := range allowed {
			if value == a {
				return nil
			}
		}
		return usage("--%s %s: allowed are %v", flag, value, allowed)
	}
	changed := c.Flags().Changed
	return errors.Join(
		oneOf("fabric", f.fabric, "virtual", "netns"),
		oneOf("impair", f.impair, "auto", "netem", "relay"),
		oneOf("pcap", f.pcap, "", "all", "headers", "none"),
		unless(f.fabric == "virtual" && changed("impair"), "--impair is for --fabric netns: virtual time has its own wires"),
		unless(f.fabric == "netns" && f.jobs != 1, "--jobs is for the virtual fabric: runs in real time would disturb each other"),
		unless(f.jobs < 1, "--jobs %d: at least 1", f.jobs),
		unless(changed("repeat") && f.repeat < 1, "--repeat %d: at least 1", f.repeat),
		unless(changed("out") && f.out == "", "--out: a directory is expected"),
	)
}

func unless(bad bool, format string, args ...any) error {
	if bad {
		return usage(format, args...)
	}
	return nil
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
		w, plotErr := plots.Render(f.out)
		written = w
		if plotErr != nil {
			err = errors.Join(err, fmt.Errorf("plots: %w", plotErr))
		}
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
	case errors.Is(err, result.ErrForeign):
		return exit(exitUsage, err)
	case errors.Is(err, scenarios.ErrEnvironment):
		return exit(exitEnvironment, err)
	case errors.Is(err, context.Canceled):
		return exit(exitInterrupted, errors.New("interrupted; what was measured so far is written"))
	}
	return exit(exitBroke, err)
}

func (f *runFlags) print(w io.Writer, res *result.Result, written []string) error {
	if f.asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(res)
	}
	if _, err := fmt.Fprintln(w, plots.Table(res)); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nwritten: %s\n", filepath.Join(f.out, "result.json"))
	for _, name := range []string{"scenario.yaml", "series.csv", "runs"} {
		if _, err := os.Stat(filepath.Join(f.out, name)); err == nil {
			fmt.Fprintf(w, "         %s\n", filepath.Join(f.out, name))
		}
	}
	if len(written) > 0 {
		fmt.Fprintf(w, "         %s (%d files)\n", filepath.Join(f.out, "plots"), len(written))
	}
	return nil
}
