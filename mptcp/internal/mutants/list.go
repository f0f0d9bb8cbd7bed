package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one seeded fault: in a file, within a function, a text becomes another.
type mutant struct {
	name     string
	line     int    // in the list
	file     string // from the root of the repository
	within   string // what the line begins with after which the text stands; "": the file
	old, new string
}

// readList reads a list of mutants:
//
//	# comment
//	== name
//	file: mptcp/tcp/x.go
//	in: func (c *Conn) f
//	- a line as it is, without its indent
//	+ the line that takes its place
//
// Several lines with "-" stand one after the other in the file; "in" is needed where
// the text is not the only one of its kind.
func readList(path string) ([]mutant, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []mutant
	n := 0
	for l := range strings.Lines(string(b)) {
		n++
		l = strings.TrimRight(l, "\n")
		name, begins := strings.CutPrefix(l, "== ")
		switch {
		case begins:
			list = append(list, mutant{name: name, line: n})
			continue
		case l == "" || strings.HasPrefix(l, "#"):
			continue
		case len(list) == 0:
			return nil, fmt.Errorf("%s:%d: %q stands before the first ==", path, n, l)
		}
		m := &list[len(list)-1]
		key, rest, _ := strings.Cut(l, " ")
		switch key {
		case "file:":
			m.file = rest
		case "in:":
			m.within = rest
		case "-":
			m.old += rest + "\n"
		case "+":
			m.new += rest + "\n"
		default:
			return nil, fmt.Errorf("%s:%d: %q is none of ==, file:, in:, -, +, #", path, n, l)
		}
	}
	return list, nil
}

// apply returns the file of a mutant with its fault in. It is an error if the text is
// not there, or not only once: the code has changed, and the list has to follow.
func (m *mutant) apply(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if m.old == "" || m.old == m.new {
		return "", errors.New("it changes nothing")
	}
	lines := strings.SplitAfter(string(b), "\n")
	from, to := 0, len(lines)
	if m.within != "" {
		if from, to, err = function(lines, m.within); err != nil {
			return "", err
		}
	}
	old := strings.SplitAfter(strings.TrimSuffix(m.old, "\n"), "\n")
	at := -1
	for i := from; i+len(old) <= to; i++ {
		if !sameLines(lines[i:i+len(old)], old) {
			continue
		}
		if at >= 0 {
			return "", fmt.Errorf("%s has the text at line %d and at line %d", m.file, at+1, i+1)
		}
		at = i
	}
	if at < 0 {
		return "", fmt.Errorf("%s no longer has the text %q", m.file, strings.TrimSpace(m.old))
	}
	return strings.Join(lines[:at], "") + m.new + strings.Join(lines[at+len(old):], ""), nil
}

// function returns the lines of the declaration that begins with head.
func function(lines []string, head string) (from, to int, err error) {
	for i, l := range lines {
		if !strings.HasPrefix(l, head+"(") && !strings.HasPrefix(l, head+" ") {
			continue
		}
		for j := i; j < len(lines); j++ {
			if strings.HasPrefix(lines[j], "}") || strings.HasPrefix(lines[j], ")") || j == i && strings.HasSuffix(strings.TrimSpace(l), "}") {
				return i, j + 1, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("no line begins with %q", head)
}

func sameLines(a, b []string) bool {
	for i := range b {
		if strings.TrimSpace(a[i]) != strings.TrimSpace(b[i]) {
			return false
		}
	}
	return true
}
