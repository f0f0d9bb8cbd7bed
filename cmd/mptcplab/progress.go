package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"mptcplab/scenarios"
)

// How often a run's line is shown: rewritten on a terminal, one more elsewhere.
const (
	rewriteEvery = 100 * time.Millisecond
	lineEvery    = 10 * time.Second
)

// progress shows one line per run: on a terminal the lines of the runs under way
// are rewritten in place, below those of the runs that are over; else a plain line
// is printed every ten seconds, and one at the end of each run.
type progress struct {
	w     io.Writer
	quiet bool
	now   func() time.Time
	size  func() (width, height int) // of the terminal; nil: it is none

	mu    sync.Mutex
	runs  []lineOf  // under way, by index
	drawn int       // lines on the terminal that are to be overwritten
	last  time.Time // they were drawn
}

// lineOf is what a run's line says.
type lineOf struct {
	index int
	text  string
	shown time.Time // without a terminal: when a line was last printed
}

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet, now: time.Now}
	if f := terminal(w); f != nil {
		p.size = func() (int, int) {
			width, height, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 || height <= 0 {
				return 80, 24
			}
			return width, height
		}
	}
	return p
}

// show is called by the runner about every 100 ms of each run's time.
func (p *progress) show(s scenarios.Status) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	i, found := slices.BinarySearchFunc(p.runs, s.Index, func(r lineOf, index int) int { return r.index - index })
	if !found {
		p.runs = slices.Insert(p.runs, i, lineOf{index: s.Index, shown: now})
	}
	p.runs[i].text = line(s)
	if p.size != nil {
		p.rewrite(now, i, s.Finished)
	} else if s.Finished || now.Sub(p.runs[i].shown) >= lineEvery {
		p.runs[i].shown = now
		fmt.Fprintln(p.w, p.runs[i].text)
	}
	if s.Finished {
		p.runs = slices.Delete(p.runs, i, i+1)
	}
}

// rewrite draws the lines of the runs under way over what was drawn before. One
// that has finished stays above them for good.
func (p *progress) rewrite(now time.Time, i int, finished bool) {
	if !finished && p.drawn > 0 && now.Sub(p.last) < rewriteEvery {
		return
	}
	p.last = now
	var b strings.Builder
	if p.drawn > 0 {
		b.WriteByte('\r')
	}
	if p.drawn > 1 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn-1) // cursor up
	}
	b.WriteString("\x1b[J") // erase from the cursor to the end of the screen
	if finished {
		fmt.Fprintln(&b, p.runs[i].text)
	}
	width, height := p.size()
	p.drawn = 0
	for j, r := range p.runs {
		if finished && j == i || p.drawn == height-1 { // what scrolled away could not be rewritten
			continue
		}
		if p.drawn > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(cut(r.text, width-1)) // nor could a line that wraps
		p.drawn++
	}
	_, _ = io.WriteString(p.w, b.String()) // a terminal that is gone ends nothing
}

// cut returns the first n characters of s.
func cut(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// line says how far a run is.
func line(s scenarios.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%d/%d] %s  %.1f s", s.Index, s.Total, s.Run, s.At.Seconds())
	switch {
	case errors.Is(s.Err, context.Canceled):
		b.WriteString(", interrupted")
	case s.Err != nil:
		first, _, _ := strings.Cut(s.Err.Error(), "\n")
		fmt.Fprintf(&b, ", %s", first)
	case s.Finished:
		b.WriteString(", done")
	case s.Left > 0:
		fmt.Fprintf(&b, ", %.0f s left", s.Left.Seconds())
	}
	fmt.Fprintf(&b, "  %s", rate(s.Goodput))
	for _, path := range s.Paths {
		fmt.Fprintf(&b, "  %s %.1f MB", path.Name, float64(path.Bytes)/1e6)
	}
	return b.String()
}

// rate writes bits per second in Mbit/s, or in kbit/s where that would be nothing.
func rate(bps float64) string {
	if bps < 0.995e6 {
		return fmt.Sprintf("%.0f kbit/s", bps/1e3)
	}
	return fmt.Sprintf("%.2f Mbit/s", bps/1e6)
}

// done leaves the cursor on a new line when runs were left under way.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		fmt.Fprintln(p.w)
		p.drawn = 0
	}
}
