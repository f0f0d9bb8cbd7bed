package main

import (
	"strings"
	"testing"
)

// monitor shows what the path managers of both hosts went through, in ip's words.
func TestMonitor(t *testing.T) {
	inFolder(t, twoPaths)
	must(t, 0, "run", "--no-plots", "--quiet", "s.yaml")
	const out = "results/two-paths-virtual-seed3"
	stdout, _ := must(t, 0, "monitor", "--run", "ours/seed=3", out)
	at := 0
	for _, want := range []string{"# ours/seed=3\n", " server [LISTENER_CREATED] saddr4=", " phone [       CREATED] token=", " phone [   ESTABLISHED] token=",
		" phone [SF_ESTABLISHED] token=", "[        CLOSED] token="} {
		i := strings.Index(stdout[at:], want)
		if i < 0 {
			t.Fatalf("no %q from %d on in\n%s", want, at, stdout)
		}
		at += i
	}
	if strings.Contains(stdout, "plain/seed=3") {
		t.Error("another run is shown")
	}
	if stdout, _ := must(t, 0, "monitor", "--host", "server", "--run", "ours/seed=3", out); strings.Contains(stdout, " phone ") {
		t.Error("another host is shown")
	}
	for _, args := range [][]string{{"monitor", "."}, {"monitor", "--run", "none", out}, {"monitor", "--host", "nobody", out}} {
		if _, stderr := must(t, 2, args...); stderr == "" {
			t.Errorf("%v says nothing", args)
		}
	}
}
