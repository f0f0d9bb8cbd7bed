// Command mptcplab is a laboratory for Multipath TCP: it builds the network of a
// scenario file in virtual time or on network namespaces, runs stacks and
// applications on it, and answers with verdicts, numbers and plots.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mptcplab/topology/decode"
	"mptcplab/topology/vm"
)

// The exit statuses.
const (
	exitFailed      = 1   // an expectation failed
	exitUsage       = 2   // bad usage or input
	exitEnvironment = 3   // the environment cannot do it
	exitBroke       = 4   // the run broke
	exitInterrupted = 130 // SIGINT
	exitTerminated  = 143 // SIGTERM
)

// exitError carries the status with which the command ends.
type exitError struct {
	status int
	err    error // nil: said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exit(status int, err error) error { return &exitError{status, err} }

func usage(format string, args ...any) error {
	return exit(exitUsage, fmt.Errorf(format, args...))
}

func main() {
	if vm.IsInit() {
		vm.Init()
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, caught, stop := signalContext()
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var e *exitError
	if !errors.As(err, &e) { // cobra's own: unknown flag, wrong number of arguments
		e = &exitError{exitUsage, fmt.Errorf("%w\nsee %s --help", err, c.CommandPath())}
	}
	complain(stderr, e.err)
	if s := caught.Load(); s != 0 {
		return int(s)
	}
	return e.status
}

// complain prints an error, a line for each that it joins. Mistakes in files begin
// with their place, as editors want it, and not with the name of the command.
func complain(w io.Writer, err error) {
	var mistakes decode.Errors
	switch {
	case err == nil:
	case errors.As(err, &mistakes):
		fmt.Fprintln(w, mistakes)
	default:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(w, "mptcplab: %s\n", line)
		}
	}
}

// patience is how long the command may take to end after a signal. Within it a
// second signal is the same one seen twice: a terminal's Ctrl-C reaches a child
// in a user namespace both directly and through its parent.
const patience = time.Second

// signalContext ends the context at the first SIGINT or SIGTERM and remembers
// which; a later one ends the process at once.
func signalContext() (context.Context, *atomic.Int32, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	caught := new(atomic.Int32)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var s os.Signal
		select {
		case s = <-signals:
		case <-done:
			return
		}
		status := exitInterrupted
		if s == syscall.SIGTERM {
			status = exitTerminated
		}
		caught.Store(int32(status))
		cancel()
		for first := time.Now(); ; {
			select {
			case <-signals:
				if time.Since(first) > patience {
					os.Exit(status)
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, caught, func() { signal.Stop(signals); close(done); cancel() }
}

func rootCommand() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "mptcplab",
		Short: "A laboratory for Multipath TCP",
		Long: `mptcplab builds the network of a scenario file in virtual time or on network
namespaces, runs MPTCP and TCP stacks on it, and answers with verdicts, numbers
and plots.`,
		Example: `  mptcplab run scenarios/wifi-lte-handover.yaml
  mptcplab validate my.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.AddCommand(runCommand(), drillCommand(), ssCommand(), monitorCommand(), validateCommand(), schemaCommand(), topologyCommand(),
		plotCommand(), vmCommand(), doctorCommand(), versionCommand())
	return root
}

// group makes a command that only has others: without one of them it is bad usage.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			c.SetOut(c.ErrOrStderr())
			return exit(exitUsage, c.Help())
		}
		hint := "see " + c.CommandPath() + " --help"
		c.SuggestionsMinimumDistance = 2 // cobra sets its default only where it suggests by itself
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return usage("unknown command %q for %q; %s", args[0], c.CommandPath(), hint)
	}
	return c
}
