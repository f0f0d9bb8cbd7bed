package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mptcplab/mptcp"
	"mptcplab/scenarios/result"
)

func ssCommand() *cobra.Command {
	var run, host string
	var at time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "ss DIR",
		Short: "Print the sockets of a result's hosts as ss -Mai prints them",
		Long: `Print the sockets that the hosts with the built-in stack had in a run: connections
with what MPTCP_INFO tells, and their subflows with tcp_info. They are written each
second and before each event of the timeline; of the hosts with the kernel's stack
there are none.`,
		Example: `  mptcplab ss results/wifi-lte-handover-virtual-seed7              # at the end of each run
  mptcplab ss --at 5s --host phone results/wifi-lte-handover-virtual-seed7
  mptcplab ss --run mptcp-mptcp/seed=7 --at 5s --json results/wifi-lte-handover-virtual-seed7 | jq .sockets`,
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
				dumps, err := lastDumps(args[0], id, host, at)
				if err != nil {
					return exit(exitUsage, err)
				}
				printed += len(dumps)
				if err := printDumps(c.OutOrStdout(), id, dumps, asJSON); err != nil {
					return exit(exitBroke, err)
				}
			}
			if printed == 0 {
				return usage("no sockets of the built-in stack were written for this choice of run, host and time")
			}
			return nil
		},
	}
	c.Flags().StringVar(&run, "run", "", "only this run, by its id")
	c.Flags().StringVar(&host, "host", "", "only this host")
	c.Flags().DurationVar(&at, "at", 0, "the last state up to this time; default: the last in which a connection lives")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line, as in sockets.ndjson")
	return c
}

// chosenRuns lists the runs of a result, or the one that is asked for.
func chosenRuns(res *result.Result, run string) ([]string, error) {
	var ids []string
	for _, r := range res.Runs {
		ids = append(ids, r.ID)
	}
	if run == "" {
		return ids, nil
	}
	if !slices.Contains(ids, run) {
		return nil, usage("--run %s: the runs are %v", run, ids)
	}
	return []string{run}, nil
}

// lastDumps returns the last dump of each host up to a time; with 0 the last that
// has a connection, for at the end of a run there is none.
func lastDumps(dir, run, host string, at time.Duration) ([]result.Dump, error) {
	var last []result.Dump
	err := result.ReadSockets(dir, run, func(d result.Dump) error {
		if host != "" && d.Host != host || at > 0 && d.At > at.Seconds() || at == 0 && !connected(d.Sockets) {
			return nil
		}
		if i := slices.IndexFunc(last, func(o result.Dump) bool { return o.Host == d.Host }); i >= 0 {
			last[i] = d
		} else {
			last = append(last, d)
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the run broke before it began
	}
	return last, err
}

func connected(sockets []mptcp.SockDiag) bool {
	return slices.ContainsFunc(sockets, func(s mptcp.SockDiag) bool { return s.Remote.IsValid() })
}

func printDumps(w io.Writer, run string, dumps []result.Dump, asJSON bool) error {
	for _, d := range dumps {
		if asJSON {
			b, err := json.Marshal(struct {
				Run string `json:"run"`
				result.Dump
			}{run, d})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s\n", b); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "# %s  %s  %.3f s  %s\n", run, d.Host, d.At, d.Event); err != nil {
			return err
		}
		if err := mptcp.WriteSS(w, d.Sockets); err != nil {
			return err
		}
	}
	return nil
}
