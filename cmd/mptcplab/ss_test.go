package main

import (
	"encoding/json"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
)

// ss shows both hosts' sockets of a run: at the end, at a time, as JSON.
func TestSS(t *testing.T) {
	inFolder(t, twoPaths)
	must(t, 0, "run", "--no-plots", "--quiet", "s.yaml")
	const out = "results/two-paths-virtual-seed3"
	stdout, _ := must(t, 0, "ss", out)
	for _, want := range []string{"# ours/seed=3  phone  ", "# ours/seed=3  server  ", "# plain/seed=3  phone  ", "\nmptcp LISTEN ",
		" remote_key token:", "tcp-ulp-mptcp flags:jec", "%lte:"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	stdout, _ = must(t, 0, "ss", "--at", "100ms", "--host", "server", "--run", "ours/seed=3", "--json", out)
	var d struct {
		Run string
		result.Dump
	}
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if d.Run != "ours/seed=3" || d.Host != "server" || d.At != 0.1 || d.Event == "" ||
		len(d.Sockets) != 2 || d.Sockets[1].MPTCP == nil || d.Sockets[1].MPTCP.BytesSent == 0 {
		t.Errorf("%+v", d)
	}
	for _, args := range [][]string{{"ss", "."}, {"ss", "--run", "none", out}, {"ss", "--host", "nobody", out}} {
		if _, stderr := must(t, 2, args...); stderr == "" {
			t.Errorf("%v says nothing", args)
		}
	}
}
