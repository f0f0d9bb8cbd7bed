package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal returns the file that w is if it is a terminal on which a cursor can be
// moved, else nil.
func terminal(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return f
}

// coloured reports whether colours are wanted on w: on a terminal, unless NO_COLOR
// is set to anything (https://no-color.org).
func coloured(w io.Writer) bool {
	return terminal(w) != nil && os.Getenv("NO_COLOR") == ""
}

// The words of plots.Table that colour helps to find, as they begin a line.
var colours = []struct{ word, code string }{
	{"  ok", "\x1b[32m"},
	{"  FAIL", "\x1b[1;31m"},
	{"broke", "\x1b[1;31m"},
}

// colour marks verdicts in a table: only their words, so that the rest reads alike
// on dark and light ground.
func colour(table string) string {
	lines := strings.Split(table, "\n")
	for i, line := range lines {
		for _, c := range colours {
			if rest, found := strings.CutPrefix(line, c.word+" "); found {
				lines[i] = c.code + c.word + "\x1b[0m " + rest
			}
		}
	}
	return strings.Join(lines, "\n")
}
