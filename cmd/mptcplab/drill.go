package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mptcplab/mptcp/drill"
)

func drillCommand() *cobra.Command {
	var defines []string
	var version string
	var tap bool
	c := &cobra.Command{
		Use:   "drill [--ip-version VERSION] [--define NAME=VALUE] [--tap] FILE|DIR...",
		Short: "Run packetdrill scripts on the stack in virtual time",
		Long: `Run packetdrill scripts, with their MPTCP options, on the stack in virtual time.

A script runs over IPv4, over IPv4 with IPv6 sockets, and over IPv6; if its name
ends in v4 or v6, over that alone. --ip-version picks one of these, and skips the
scripts that are not for it. A folder stands for all *.pkt files below it.
The exit status is 1 if a script fails.`,
		Example: `  mptcplab drill mptcp/drill/testdata
  mptcplab drill --ip-version ipv6 mptcp/drill/testdata/mptcp
  mptcplab drill --tap --define N=1 mptcp/drill/testdata/tcp/nagle/nagle.pkt`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			words := make(map[string]string)
			for _, d := range defines {
				name, value, ok := strings.Cut(d, "=")
				if !ok || name == "" {
					return usage("--define %s: not NAME=VALUE", d)
				}
				words[name] = value
			}
			mode, err := drill.ParseMode(version)
			if err != nil {
				return usage("--ip-version: %v", err)
			}
			files, err := drill.Find(args...)
			if err != nil {
				return exit(exitUsage, err)
			}
			if len(files) == 0 {
				return exit(exitUsage, fmt.Errorf("no scripts (*.pkt) in %s", strings.Join(args, ", ")))
			}
			failed, err := drill.Suite(cmd.OutOrStdout(), files, drill.Options{Defines: words, Mode: mode, TAP: tap})
			switch {
			case err != nil:
				return exit(exitBroke, fmt.Errorf("writing the report: %w", err))
			case failed > 0:
				return exit(exitFailed, nil)
			}
			return nil
		},
	}
	c.Flags().StringArrayVarP(&defines, "define", "D", nil, "replace a word of the scripts")
	c.Flags().StringVar(&version, "ip-version", "", "run over this alone: ipv4, ipv6 or ipv4-mapped-ipv6")
	c.Flags().BoolVar(&tap, "tap", false, "write the results as a TAP stream")
	return c
}
