package scenarios

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// TestInteropMatrix is the matrix against Linux: the lane "make test-interop". It
// prints a table with a line for each way in which subflows come about.
func TestInteropMatrix(t *testing.T) {
	res, out := runInterop(t, "interop-matrix.yaml")
	table := matrix{cells: map[string]map[string]string{}}
	for i := range res.Runs {
		run := &res.Runs[i]
		ok := t.Run(run.ID, func(t *testing.T) { checkCell(t, out, run) })
		table.add(run, ok)
	}
	table.print(res)
}

// runInterop runs a file of the lane. Nothing in it depends on what a run has of the
// machine, so that three runs may share it; they wait for most of their time.
func runInterop(t *testing.T, name string) (res *result.Result, out string) {
	t.Helper()
	if os.Getenv("MPTCPLAB_INTEROP") == "" {
		t.Skip("SKIPPED: the matrix against Linux takes minutes: make test-interop")
	}
	needKernelMPTCP(t)
	f := loadFile(t, name, spec.Options{Fabric: "netns", Only: strings.Fields(os.Getenv("MPTCPLAB_INTEROP_ONLY"))})
	out = t.TempDir() + "/out"
	return runFile(t, f, Options{Fabric: "netns", Impair: "auto", Out: out, Jobs: 3}), out
}

// TestInteropLive is what happens in the middle of a transfer, from either side: the
// second half of the lane.
func TestInteropLive(t *testing.T) {
	res, _ := runInterop(t, "interop-live.yaml")
	for _, run := range res.Runs {
		t.Run(run.ID, func(t *testing.T) {
			for _, e := range run.Expect {
				if !e.Pass {
					t.Errorf("%s: measured %s", e.That, e.Measured)
				}
			}
			for _, host := range []string{"client", "server"} {
				for name, v := range run.Counters[host] {
					if v != 0 && strings.HasPrefix(name, "MPTcpExt") && strings.HasSuffix(name, "Err") {
						t.Errorf("%s (%s): %s %d", host, run.Stacks[host], name, v)
					}
				}
			}
		})
	}
	fmt.Printf("%d runs with changes in mid-transfer against Linux\n", len(res.Runs))
}

// checkCell judges one cell: the flow, the number of subflows on both sides, the
// counters of both and the packets.
func checkCell(t *testing.T, out string, run *result.Run) {
	t.Helper()
	f := run.Flows[0]
	if !f.Intact || f.Bytes != 40e6 || f.Fallback {
		t.Errorf("intact %v, %d bytes, fallback %v %s, error %q", f.Intact, f.Bytes, f.Fallback, f.FallbackReason, f.Error)
	}
	set := run.Point["set"]
	subflows := int(set[len(set)-1] - '0')
	if len(f.Subflows) != subflows {
		t.Errorf("%d subflows on the wire, want %d: %+v", len(f.Subflows), subflows, f.Subflows)
	}
	joins, announced := uint64(subflows-1), uint64(0)
	switch {
	case strings.HasPrefix(set, "address"), strings.HasPrefix(set, "port"):
		announced = max(joins, 1) // one that nobody uses
	case set == "fullmesh-4":
		announced = 1
	}
	checkAgreement(t, out, run, run.Point["lossy"] == "none", joins, announced)
	if strings.HasPrefix(set, "port") {
		checkPorts(t, run, joins, announced)
	}
	for _, s := range f.Subflows {
		if v6 := strings.HasPrefix(s.Client, "["); v6 != (run.Point["family"] == "six") {
			t.Errorf("client %s", s.Client)
		}
	}
}

// checkPorts compares what both sides counted of signalled ports.
func checkPorts(t *testing.T, run *result.Run, joins, announced uint64) {
	t.Helper()
	for _, c := range []struct {
		host, name string
		want       uint64
	}{
		{"client", "PortAdd", announced}, {"server", "MPJoinPortSynRx", joins}, {"client", "MPJoinPortSynAckRx", joins},
		{"server", "MPJoinPortAckRx", joins},
	} {
		if got := run.Counters[c.host]["MPTcpExt"+c.name]; got < c.want || got > c.want && run.Point["lossy"] == "none" && c.name != "PortAdd" {
			t.Errorf("%s (%s): %s %d, want %d", c.host, run.Stacks[c.host], c.name, got, c.want)
		}
	}
}

// matrix collects cells for printing.
type matrix struct {
	rows, columns []string
	cells         map[string]map[string]string
	failed        int
}

func (m *matrix) add(run *result.Run, ok bool) {
	row := fmt.Sprintf("%s IPv%s", run.Point["set"], map[string]string{"four": "4", "six": "6"}[run.Point["family"]])
	column := fmt.Sprintf("%s csum %s loss %s", run.Pairing, run.Point["checksum"], run.Point["lossy"])
	if !slices.Contains(m.rows, row) {
		m.rows = append(m.rows, row)
		m.cells[row] = map[string]string{}
	}
	if !slices.Contains(m.columns, column) {
		m.columns = append(m.columns, column)
	}
	f := run.Flows[0]
	m.cells[row][column] = fmt.Sprintf("%d: %.0f Mbit/s", len(f.Subflows), f.Goodput/1e6)
	if !ok {
		m.failed++
		m.cells[row][column] = "FAIL " + m.cells[row][column]
	}
}

// print writes the table to the standard output, where a lane's log has it also if
// all went well.
func (m *matrix) print(res *result.Result) {
	fmt.Printf("\nAgainst Linux, 20 MB each way at once: subflows on the wire and goodput of both directions\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\t"+strings.Join(m.columns, "\t"))
	for _, r := range m.rows {
		fmt.Fprint(w, r)
		for _, c := range m.columns {
			fmt.Fprint(w, "\t", m.cells[r][c])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Printf("%d cells, %d failed; %s\n", len(res.Runs), m.failed, res.Environment.Kernel)
}
