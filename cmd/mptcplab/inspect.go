package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mptcplab/plots"
	"mptcplab/scenarios"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
	"mptcplab/topology"
	"mptcplab/topology/doctor"
	"mptcplab/topology/netns"
)

func validateCommand() *cobra.Command {
	var resolved, tc bool
	c := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check scenario files and list every mistake",
		Long:  "Check scenario files and list every mistake as FILE:LINE:COL: what is wrong, what\nis allowed.",
		Example: `  mptcplab validate scenarios/*.yaml
  mptcplab validate --resolved my.yaml     # every default, address and route written out
  mptcplab validate --tc my.yaml           # the links as tc commands, as on netem`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if resolved && len(args) > 1 {
				return usage("--resolved prints one file")
			}
			if resolved && tc {
				return usage("--resolved and --tc exclude each other")
			}
			bad := false
			for _, path := range args {
				file, err := spec.Load(path, spec.Options{})
				if err != nil {
					fmt.Fprintln(c.ErrOrStderr(), err)
					bad = true
					continue
				}
				if resolved {
					if _, err := c.OutOrStdout().Write(file.Resolved()); err != nil {
						return exit(exitBroke, err)
					}
					continue
				}
				if tc {
					fmt.Fprint(c.OutOrStdout(), scenarios.Tc(file))
					continue
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: ok, %d runs\n", path, len(file.Runs))
			}
			if bad {
				return exit(exitUsage, nil)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&resolved, "resolved", false, "print the file with every default, address and route written out")
	c.Flags().BoolVar(&tc, "tc", false, "print the links and their changes as the tc commands that --impair netem stands for")
	return c
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of scenario files",
		Example: "  mptcplab schema > scenario.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(spec.Schema())
			return err
		},
	}
}

func topologyCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:     "topology",
		Short:   "Look at the network of a scenario",
		Example: "  mptcplab topology show scenarios/wifi-lte-handover.yaml",
	})
	var format string
	show := &cobra.Command{
		Use:   "show FILE",
		Short: "Print the network: hosts, interfaces, addresses, links and how they behave",
		Example: `  mptcplab topology show scenarios/wifi-lte-handover.yaml
  mptcplab topology show --format dot my.yaml | dot -Tsvg > my.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "dot" {
				return usage("--format %s: allowed are text and dot", format)
			}
			file, err := spec.Load(args[0], spec.Options{})
			if err != nil {
				return exit(exitUsage, err)
			}
			text := topology.Show(file.Runs[0].Topology)
			if format == "dot" {
				text = topology.Dot(file.Runs[0].Topology)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	show.Flags().StringVar(&format, "format", "text", "text, or dot for Graphviz")
	c.AddCommand(show)
	return c
}

func plotCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "plot DIR...",
		Short:   "Make the plots of result directories again, from their files only",
		Example: "  mptcplab plot results/wifi-lte-handover-virtual-seed7",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, dirs []string) error {
			var bad []error
			for _, dir := range dirs {
				_, err := result.Open(dir)
				bad = append(bad, err)
			}
			if err := errors.Join(bad...); err != nil {
				return exit(exitUsage, err)
			}
			for _, dir := range dirs {
				written, err := render(c.Context(), dir)
				for _, name := range written {
					fmt.Fprintln(c.OutOrStdout(), name)
				}
				switch {
				case errors.Is(err, result.ErrCapture):
					return exit(exitUsage, err)
				case err != nil:
					return exit(exitBroke, err)
				}
			}
			return nil
		},
	}
}

// render makes the plots of a result directory, or gives up when the context ends:
// the process ends soon then, so what is being drawn is left to itself.
func render(ctx context.Context, dir string) ([]string, error) {
	var written []string
	done := make(chan error, 1)
	go func() {
		w, err := plots.Render(dir)
		written = w
		done <- err
	}()
	select {
	case err := <-done:
		return written, err
	case <-ctx.Done():
		return nil, fmt.Errorf("plots of %s: %w; make them with mptcplab plot", dir, ctx.Err())
	}
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "Say what this machine offers, and what stands in for what is missing",
		Example: "  mptcplab doctor",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// In a user namespace more can be tried; where there is none, that is
			// one of the findings.
			if status, done, err := netns.Enter(); err == nil && done {
				if status != 0 {
					return exit(status, nil)
				}
				return nil
			}
			_, err := fmt.Fprint(c.OutOrStdout(), doctor.Table(doctor.Examine()))
			return err
		},
	}
}
