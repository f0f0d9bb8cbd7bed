package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mptcplab/scenarios/result"
)

func monitorCommand() *cobra.Command {
	var run, host string
	c := &cobra.Command{
		Use:   "monitor DIR",
		Short: "Print the path managers' events of a result as ip mptcp monitor prints them",
		Long: `Print the events of the hosts' path managers, of the built-in stack and of the kernel's,
as "ip mptcp monitor" prints them: connections, subflows, addresses announced and
removed, priorities, listeners. Before each line stand the time in seconds and the host.`,
		Example: `  mptcplab monitor results/wifi-lte-handover-virtual-seed7
  mptcplab monitor --run mptcp-mptcp/seed=7 --host phone results/wifi-lte-handover-virtual-seed7`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			res, err := result.Open(args[0])
			if err != nil {
				return exit(exitUsage, err)
			}
			ids, err := chosenRuns(res, run)
			if err != nil {
				return err
			}
			printed := 0
			for _, id := range ids {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "# %s\n", id); err != nil {
					return exit(exitBroke, err)
				}
				err := result.ReadEvents(args[0], id, func(e result.EventLine) error {
					if e.Kind != result.KindMonitor || host != "" && e.Host != host {
						return nil
					}
					printed++
					_, err := fmt.Fprintf(c.OutOrStdout(), "%.6f %s %s\n", e.At.Seconds(), e.Host, e.Texts["text"])
					return err
				})
				if err != nil {
					return exit(exitUsage, err)
				}
			}
			if printed == 0 {
				return usage("no events of a path manager were written for this choice of run and host")
			}
			return nil
		},
	}
	c.Flags().StringVar(&run, "run", "", "only this run, by its id")
	c.Flags().StringVar(&host, "host", "", "only this host")
	return c
}
