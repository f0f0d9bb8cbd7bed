// Command mptcplab is a laboratory for Multipath TCP: it builds the network of a
// scenario file in virtual time or on network namespaces, runs stacks and
// applications on it, and answers with verdicts, numbers and plots.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

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
	os.Exit(run(os.Args[1:]))
}

// run runs the command line and returns the exit status.
func run(args []string) int {
	ctx, caught, stop := signalContext()
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{exitUsage, err} // cobra's own: unknown command, flag or argument
	}
	if e.err != nil {
		fmt.Fprintf(os.Stderr, "mptcplab: %v\n", e.err)
	}
	if s := caught.Load(); s != 0 {
		return int(s)
	}
	return e.status
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
	go func() {
		s := <-signals
		status := exitInterrupted
		if s == syscall.SIGTERM {
			status = exitTerminated
		}
		caught.Store(int32(status))
		cancel()
		for first := time.Now(); ; {
			<-signals
			if time.Since(first) > patience {
				os.Exit(status)
			}
		}
	}()
	return ctx, caught, func() { signal.Stop(signals); cancel() }
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "mptcplab",
		Short:         "A laboratory for Multipath TCP",
		Long:          "mptcplab builds the network of a scenario file in virtual time or on network\nnamespaces, runs MPTCP and TCP stacks on it, and answers with verdicts, numbers\nand plots.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(runCommand(), validateCommand(), schemaCommand(), topologyCommand(),
		plotCommand(), vmCommand(), doctorCommand(), versionCommand())
	return root
}
