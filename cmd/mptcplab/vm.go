package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mptcplab/topology/vm"
)

func vmCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:     "vm",
		Short:   "Run mptcplab in a small virtual machine whose kernel has netem",
		Example: "  mptcplab vm run -- run scenarios/wifi-lte-handover.yaml --fabric netns --impair netem",
	})
	kernels := []string{"6.12", "6.1"}
	var kernel string
	run := &cobra.Command{
		Use:   "run [--kernel 6.12|6.1] -- ARGS...",
		Short: "Run \"mptcplab ARGS...\" under a distribution's kernel, in QEMU",
		Long: `Run "mptcplab ARGS..." in a virtual machine with one of Debian's cloud kernels,
which have netem. The files that ARGS name are carried in, the directory given by
--out comes back, and the exit status is that of the command inside.`,
		Example: `  mptcplab vm run -- run scenarios/wifi-lte-handover.yaml --fabric netns --impair netem --out results/vm
  mptcplab vm run --kernel 6.1 -- doctor`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(kernels, kernel) {
				return usage("--kernel %s: allowed are %v", kernel, kernels)
			}
			return runInVM(c, kernel, args)
		},
	}
	run.Flags().StringVar(&kernel, "kernel", "6.12", "series of the kernel: 6.12 or 6.1")
	c.AddCommand(run)
	return c
}

func runInVM(c *cobra.Command, kernel string, args []string) error {
	files, out := vm.Named(".", args)
	status, err := vm.Run(c.Context(), vm.Options{
		Kernel: kernel, Args: args, Files: files, Out: out,
		Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr(),
		Booted: func(took time.Duration, release, accel string) {
			fmt.Fprintf(c.ErrOrStderr(), "vm: Linux %s (%s) booted in %.1f s\n", release, accel, took.Seconds())
		},
	})
	return ended(status, err)
}

// ended turns what vm.Run says into an exit status: the guest's own, or why there
// was no such run.
func ended(status int, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return exit(exitInterrupted, errors.New("vm: interrupted"))
	case errors.Is(err, vm.ErrRefused):
		return exit(exitUsage, err)
	case errors.Is(err, vm.ErrMissing):
		return exit(exitEnvironment, err)
	case err != nil:
		return exit(exitBroke, err)
	case status != 0:
		return exit(status, nil)
	}
	return nil
}
