package drill

import (
	"fmt"
	"io"
	"strings"
)

// Options are those of a run of scripts.
type Options struct {
	Defines map[string]string // words of the scripts that are replaced
	Mode    Mode              // the only one to run in; "": all that the script allows
	TAP     bool              // write a Test Anything Protocol stream, version 13
}

// Outcome is the result of one script in all its modes.
type Outcome struct {
	File    string
	Mode    Mode  // in which it failed
	Err     error // nil: it passed
	Skipped bool  // it does not run in the mode that was asked for
}

// RunModes runs a script in all its modes up to the first failure. A run that
// breaks an invariant of the stack is a failure, too.
func RunModes(file string, opt Options) (o Outcome) {
	o.File, o.Skipped = file, true
	for _, m := range modesOf(file) {
		if opt.Mode != "" && m != opt.Mode {
			continue
		}
		o.Mode, o.Skipped = m, false
		if o.Err = runSafely(file, m, opt.Defines); o.Err != nil {
			return o
		}
	}
	return o
}

// runSafely makes a panic of the stack the failure of its script.
func runSafely(file string, m Mode, defines map[string]string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: the stack panicked: %v", file, v)
		}
	}()
	return RunFile(file, m, defines)
}

// Suite runs scripts and writes a line for each and what failed. It returns how
// many failed.
func Suite(w io.Writer, files []string, opt Options) (failed int, err error) {
	p := &reporter{w: w}
	if opt.TAP {
		p.printf("TAP version 13\n1..%d\n", len(files))
	}
	skipped := 0
	for i, f := range files {
		o := RunModes(f, opt)
		switch {
		case o.Err != nil:
			failed++
		case o.Skipped:
			skipped++
		}
		if opt.TAP {
			p.tap(i+1, o)
		} else {
			p.line(o)
		}
	}
	if !opt.TAP {
		p.printf("%d of %d scripts passed", len(files)-skipped-failed, len(files)-skipped)
		if skipped > 0 {
			p.printf(", %d not for %s", skipped, opt.Mode)
		}
		p.printf("\n")
	}
	return failed, p.err
}

// reporter keeps the first error of its writer.
type reporter struct {
	w   io.Writer
	err error
}

func (p *reporter) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// line writes one result for people.
func (p *reporter) line(o Outcome) {
	switch {
	case o.Skipped:
		p.printf("skip %s\n", o.File)
	case o.Err == nil:
		p.printf("ok   %s\n", o.File)
	default:
		p.printf("FAIL %s [%s]\n%v\n", o.File, o.Mode, o.Err)
	}
}

// tap writes one test point, and the failure as a YAML block.
func (p *reporter) tap(n int, o Outcome) {
	if o.Err == nil {
		skip := ""
		if o.Skipped {
			skip = " # SKIP not for this IP version"
		}
		p.printf("ok %d - %s%s\n", n, o.File, skip)
		return
	}
	p.printf("not ok %d - %s\n  ---\n  mode: %s\n  message: |\n", n, o.File, o.Mode)
	for l := range strings.SplitSeq(o.Err.Error(), "\n") {
		p.printf("    %s\n", l)
	}
	p.printf("  ...\n")
}
