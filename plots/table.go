package plots

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mptcplab/scenarios/result"
)

// Table writes what a run gave for a terminal: a line a flow, what was skipped,
// what a real-time run ran on, and the expectations with what was measured. It is
// plain text.
func Table(r *result.Result) string {
	var b strings.Builder
	writeFlows(&b, r)
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "skipped  %s: %s\n", s.Pairing, s.Reason)
	}
	writeDegraded(&b, r)
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Error != "" {
			fmt.Fprintf(&b, "broke    %s: %s\n", run.ID, run.Error)
		}
	}
	if e := r.Environment; e != nil {
		fmt.Fprintf(&b, "real time on Linux %s, %d CPUs; impairments by %s; CPU steal %.1f %%, wake-ups late by up to %.0f us in 99 of 100\n",
			e.Kernel, e.CPUs, r.Impair, e.StealPercent, e.SchedDelayP99)
		if e.PacketOrder != "" && e.PacketOrder != "kept" {
			fmt.Fprintf(&b, "packet order on links without impairments: %s\n", e.PacketOrder)
		}
	}
	writeExpectations(&b, r)
	return b.String()
}

// writeDegraded says once what several runs did without.
func writeDegraded(b *strings.Builder, r *result.Result) {
	runs := map[string][]string{}
	var order []string
	names := names(r)
	for i := range r.Runs {
		for _, d := range r.Runs[i].Degraded {
			if runs[d] == nil {
				order = append(order, d)
			}
			if !slices.Contains(runs[d], names[i]) {
				runs[d] = append(runs[d], names[i])
			}
		}
	}
	for _, d := range order {
		who := strings.Join(runs[d], ", ")
		switch n := len(runs[d]); {
		case n == len(r.Runs) && n > 1:
			who = fmt.Sprintf("all %d runs", n)
		case n > 4:
			who = fmt.Sprintf("%d runs from %s on", n, runs[d][0])
		}
		fmt.Fprintf(b, "degraded %s: %s\n", who, d)
	}
}

// writeFlows aligns one line a flow.
func writeFlows(b *strings.Builder, r *result.Result) {
	several := false
	for i := range r.Runs {
		several = several || len(r.Runs[i].Flows) > 1
	}
	rows := [][]string{{"pairing", "flow", "goodput", "completion", "handover gap and cause", "bytes per path", "fallback", "sha256"}}
	names := names(r)
	for i := range r.Runs {
		run := &r.Runs[i]
		for j := range run.Flows {
			f := &run.Flows[j]
			rows = append(rows, []string{names[i], f.Name, bitrate(f.Goodput), completion(f), gaps(run, f.Name),
				pathBytes(f), fallback(f), hashes(f)})
		}
		if len(run.Flows) == 0 {
			rows = append(rows, []string{names[i], "-", "-", "-", "-", "-", "-", "-"})
		}
	}
	if !several {
		for i := range rows { // one workload: its name says nothing
			rows[i] = append(rows[i][:1:1], rows[i][2:]...)
		}
	}
	align(b, rows)
}

// names calls each run by its label, and by its seed too where the label alone
// does not tell it from its repetitions.
func names(r *result.Result) []string {
	count := map[string]int{}
	for i := range r.Runs {
		count[label(&r.Runs[i])]++
	}
	list := make([]string, len(r.Runs))
	for i := range r.Runs {
		list[i] = label(&r.Runs[i])
		if count[list[i]] > 1 {
			list[i] += fmt.Sprintf(" seed=%d", r.Runs[i].Seed)
		}
	}
	return list
}

func completion(f *result.Flow) string {
	switch {
	case f.Finished && f.Errors > 0: // and it connected again
		return fmt.Sprintf("%.3f s, %d errors", f.Duration, f.Errors)
	case !f.Finished && f.Error != "":
		return "failed: " + f.Error
	case !f.Finished:
		return "not finished"
	}
	return fmt.Sprintf("%.3f s", f.Duration)
}

// gaps lists the gap of each event in a flow, and what ended it. Events that share
// a gap share its place.
func gaps(run *result.Run, flow string) string {
	var s []string
	last := -1.0
	for i := range run.Handover {
		h := &run.Handover[i]
		for j := range h.Flows {
			if h.Flows[j].Flow == flow {
				h = &h.Flows[j]
				break
			}
		}
		if !h.Happened || (h.Flow != flow && h.Flow != "") {
			continue
		}
		if n := len(s); n > 0 && h.GapStart == last {
			name, rest, _ := strings.Cut(s[n-1], " ")
			s[n-1] = name + "+" + run.Handover[i].Event + " " + rest
			continue
		}
		last = h.GapStart
		s = append(s, fmt.Sprintf("%s %s %s", run.Handover[i].Event, duration(h.GapMS), h.Cause))
	}
	if len(s) == 0 {
		return "-"
	}
	return strings.Join(s, ", ")
}

func pathBytes(f *result.Flow) string {
	var s []string
	for _, p := range f.Paths {
		s = append(s, p.Name+" "+size(p.Bytes))
	}
	if len(s) == 0 {
		return "-"
	}
	return strings.Join(s, ", ")
}

func fallback(f *result.Flow) string {
	switch {
	case !f.Fallback:
		return "no"
	case f.FallbackReason == "":
		return "yes"
	}
	return "yes: " + f.FallbackReason
}

// hashes says whether what arrived is what was sent.
func hashes(f *result.Flow) string {
	switch {
	case f.SHA256Sent == "" || f.SHA256Received == "":
		return "-"
	case f.SHA256Sent == f.SHA256Received:
		return "equal"
	case f.Intact: // the run ended in its midst
		return "equal so far"
	}
	return "DIFFER"
}

// writeExpectations lists what was judged, with what was measured.
func writeExpectations(b *strings.Builder, r *result.Result) {
	rows := [][]string{}
	names := names(r)
	passed, failed := 0, 0
	for i := range r.Runs {
		run := &r.Runs[i]
		for _, e := range run.Expect {
			verdict := "ok"
			if e.Pass {
				passed++
			} else {
				failed++
				verdict = "FAIL"
			}
			measured := "measured " + e.Measured
			if e.Wanted != "" && !strings.HasSuffix(e.That, " "+e.Wanted) {
				measured += ", wanted " + e.Wanted
			}
			rows = append(rows, []string{"  " + verdict, names[i], e.That, measured})
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\nexpectations: %d held, %d failed\n", passed, failed)
	align(b, rows)
}

// align writes rows in columns of equal width.
func align(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, s := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	for _, row := range rows {
		for i, s := range row {
			b.WriteString(s)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s)+2))
			}
		}
		b.WriteByte('\n')
	}
}
