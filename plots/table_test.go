package plots

import (
	"fmt"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
)

func TestTable(t *testing.T) {
	r := &result.Result{
		Runs: []result.Run{
			{ID: "mptcp-mptcp/seed=7", Flows: []result.Flow{{Name: "get", Finished: true, Duration: 15.5, Goodput: 20.02e6,
				SHA256Sent: "a", SHA256Received: "a", Paths: []result.Path{{Name: "wifi", Bytes: 20e6}, {Name: "lte", Bytes: 1500}}}},
				Handover: []result.Handover{
					{Event: "lost", Happened: true, Flow: "get", GapMS: 331, GapStart: 5, Cause: "rto"},
					{Event: "back", Happened: true, Flow: "get", GapMS: 331, GapStart: 5, Cause: "rto"},
					{Event: "never", Flow: "get", GapMS: 9999},
				},
				Expect: []result.Expect{{That: "handover.lost.gap < 1s", Measured: "331 ms", Pass: true},
					{That: "flow.get.path.lte.bytes > 1MB", Measured: "1500 B", Wanted: "> 1 MB"}}},
			{ID: "mptcp-tcp/seed=7", Flows: []result.Flow{{Name: "get", Fallback: true, FallbackReason: "no MP_CAPABLE in SYN/ACK",
				SHA256Sent: "a", SHA256Received: "b"}}, Degraded: []string{"reno for cubic"}},
			{ID: "broken/seed=7", Error: "the link vanished"},
		},
		Skipped: []result.Skipped{{Pairing: "mptcp-linux", Reason: "no stack"}},
	}
	want := `pairing      goodput       completion    handover gap and cause  bytes per path             fallback                       sha256
mptcp-mptcp  20.02 Mbit/s  15.500 s      lost+back 331 ms rto    wifi 20.00 MB, lte 1.5 kB  no                             equal
mptcp-tcp    0 bit/s       not finished  -                       -                          yes: no MP_CAPABLE in SYN/ACK  DIFFER
broken       -             -             -                       -                          -                              -
skipped  mptcp-linux: no stack
degraded mptcp-tcp: reno for cubic
broke    broken/seed=7: the link vanished

expectations: 1 held, 1 failed
  ok    mptcp-mptcp  handover.lost.gap < 1s         measured 331 ms
  FAIL  mptcp-mptcp  flow.get.path.lte.bytes > 1MB  measured 1500 B, wanted > 1 MB
`
	if got := Table(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Several flows: they are named.
	r.Runs[0].Flows = append(r.Runs[0].Flows, result.Flow{Name: "put"})
	if got := Table(r); !strings.Contains(got, "pairing      flow  goodput") {
		t.Error(got)
	}
}

// A run in real time says what it ran on.
func TestTableSaysWhatRealTimeRanOn(t *testing.T) {
	r := &result.Result{Impair: "relay", Environment: &result.Environment{Kernel: "6.12.48", CPUs: 2, StealPercent: 0.25, SchedDelayP99: 1230}}
	want := "real time on Linux 6.12.48, 2 CPUs; impairments by relay; CPU steal 0.2 %, wake-ups late by up to 1230 us in 99 of 100\n"
	if got := Table(r); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
}

// Repetitions are told apart by their seeds, in both parts of the table.
func TestTableNamesRepetitions(t *testing.T) {
	held := []result.Expect{{That: "flow.get.intact == true", Measured: "true", Pass: true}}
	r := &result.Result{Runs: []result.Run{
		{ID: "a/seed=7", Seed: 7, Expect: held},
		{ID: "a/seed=8", Seed: 8, Expect: held},
		{ID: "b/seed=7", Seed: 7, Expect: held},
	}}
	got := Table(r)
	for _, name := range []string{"a seed=7", "a seed=8"} {
		if strings.Count(got, name+"  ") != 2 {
			t.Errorf("%q is not in both parts of\n%s", name, got)
		}
	}
	if strings.Contains(got, "b seed") || strings.Count(got, "b         ") != 2 {
		t.Errorf("b has one run, and needs no seed:\n%s", got)
	}
}

func TestTicks(t *testing.T) {
	for _, r := range [][2]float64{{0, 1}, {4.85, 5.57}, {0, 35}, {17.4, 19.5}, {0, 1e-3}, {0, 4e9}} {
		n := len(ticks(r[0], r[1]))
		if n < 4 || n > 11 {
			t.Errorf("%v: %d ticks", r, n)
		}
	}
	if ticks(1, 1) != nil {
		t.Error("ticks of nothing")
	}
}

// What all runs did without is said once.
func TestDegradedOnce(t *testing.T) {
	r := &result.Result{}
	for i := range 6 {
		run := result.Run{ID: fmt.Sprintf("p%d/seed=1", i), Pairing: fmt.Sprintf("p%d", i), Degraded: []string{"no RPS"}}
		if i < 2 {
			run.Degraded = append(run.Degraded, "reno for cubic", "reno for cubic")
		}
		r.Runs = append(r.Runs, run)
	}
	got := Table(r)
	for _, want := range []string{"degraded all 6 runs: no RPS\n", "degraded p0, p1: reno for cubic\n"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "degraded"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, got)
	}
}
