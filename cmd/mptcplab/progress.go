package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"mptcplab/scenarios"
)

// progress shows one line per run: on a terminal it is rewritten in place, else
// a plain line is printed every ten seconds.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	quiet    bool
	terminal bool
	last     time.Time
	shown    bool // a line is on the terminal that is to be overwritten
}

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet, last: time.Now()}
	if f, ok := w.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
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
	every := 10 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if !s.Finished && time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(s))
		p.shown = true
		if s.Finished {
			fmt.Fprintln(p.w)
			p.shown = false
		}
		return
	}
	fmt.Fprintln(p.w, p.line(s))
}

func (p *progress) line(s scenarios.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%d/%d] %s  %.1f s", s.Index, s.Total, s.Run, s.At.Seconds())
	switch {
	case s.Finished:
		fmt.Fprintf(&b, ", done")
	case s.Left > 0:
		fmt.Fprintf(&b, ", %.0f s left", s.Left.Seconds())
	}
	fmt.Fprintf(&b, "  %.2f Mbit/s", s.Goodput/1e6)
	for _, path := range s.Paths {
		fmt.Fprintf(&b, "  %s %.1f MB", path.Name, float64(path.Bytes)/1e6)
	}
	return b.String()
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprintln(p.w)
		p.shown = false
	}
}
