package drill

import (
	"fmt"
	"io"
	"strings"
)

// Outcome is the result of one script in all its modes.
type Outcome struct {
	File string
	Mode Mode  // in which it failed
	Err  error // nil: it passed
}

// RunModes runs a script in all its modes up to the first failure. A run that
// breaks an invariant of the stack is a failure, too.
func RunModes(file string, defines map[string]string) (o Outcome) {
	o.File = file
	for _, m := range modesOf(file) {
		o.Mode = m
		if o.Err = runSafely(file, m, defines); o.Err != nil {
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

// Suite runs scripts and writes a line for each and what failed; tap: as a Test
// Anything Protocol stream (version 13). It returns how many failed.
func Suite(w io.Writer, files []string, defines map[string]string, tap bool) (failed int, err error) {
	p := &reporter{w: w}
	if tap {
		p.printf("TAP version 13\n1..%d\n", len(files))
	}
	for i, f := range files {
		o := RunModes(f, defines)
		if o.Err != nil {
			failed++
		}
		switch {
		case tap:
			p.tap(i+1, o)
		case o.Err == nil:
			p.printf("ok   %s\n", f)
		default:
			p.printf("FAIL %s [%s]\n%v\n", f, o.Mode, o.Err)
		}
	}
	if !tap {
		p.printf("%d of %d scripts passed\n", len(files)-failed, len(files))
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

// tap writes one test point, and the failure as a YAML block.
func (p *reporter) tap(n int, o Outcome) {
	if o.Err == nil {
		p.printf("ok %d - %s\n", n, o.File)
		return
	}
	p.printf("not ok %d - %s\n  ---\n  mode: %s\n  message: |\n", n, o.File, o.Mode)
	for l := range strings.SplitSeq(o.Err.Error(), "\n") {
		p.printf("    %s\n", l)
	}
	p.printf("  ...\n")
}
