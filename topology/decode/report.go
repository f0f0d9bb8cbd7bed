// Package decode turns YAML into Go values and gathers every mistake with its
// place. A block of a file is described once, by a function that declares its
// keys on a [Map]; the same function decodes the block and describes it for the
// JSON Schema, so the two cannot disagree.
package decode

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is where something stands in a file. Lines and columns count from 1;
// File may also be "--set" or another place that values come from.
type Position struct {
	File         string
	Line, Column int
}

// String returns FILE:LINE:COL, or FILE alone if there is no line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Mistake is one thing wrong in a file: what is wrong, and what is allowed.
type Mistake struct {
	At   Position
	Text string
}

// Error returns FILE:LINE:COL: TEXT.
func (m Mistake) Error() string { return m.At.String() + ": " + m.Text }

// Errors are all mistakes of a file, in the order of their places.
type Errors []Mistake

// Error returns one mistake a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, m := range e {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Report gathers mistakes. The zero value is ready to use.
type Report struct {
	list []Mistake
	seen map[Mistake]bool
}

// Errorf adds a mistake. The same one at the same place is kept once: a file is
// decoded for every point of its sweep.
func (r *Report) Errorf(at Position, format string, args ...any) {
	m := Mistake{at, fmt.Sprintf(format, args...)}
	if r.seen[m] {
		return
	}
	if r.seen == nil {
		r.seen = make(map[Mistake]bool)
	}
	r.seen[m] = true
	r.list = append(r.list, m)
}

// Failed reports whether there is any mistake.
func (r *Report) Failed() bool { return len(r.list) > 0 }

// All returns the mistakes in the order of their places.
func (r *Report) All() []Mistake {
	err, _ := r.Err().(Errors)
	return err
}

// Err returns nil or all mistakes, as [Errors].
func (r *Report) Err() error {
	if len(r.list) == 0 {
		return nil
	}
	list := Errors(slices.Clone(r.list))
	slices.SortStableFunc(list, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.At.File, b.At.File), a.At.Line-b.At.Line, a.At.Column-b.At.Column)
	})
	return list
}

// Suggest returns `; did you mean "X"?` with the word nearest to s, or the words
// that are allowed, or nothing if there are none.
func Suggest(s string, words []string) string {
	if near := Nearest(s, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return Allowed(words)
}

// Allowed returns `; allowed: A B C`, cut after the first sixteen words.
func Allowed(words []string) string {
	if len(words) == 0 {
		return ""
	}
	const most = 16
	if len(words) > most {
		return "; allowed: " + strings.Join(words[:most], " ") + " ..."
	}
	return "; allowed: " + strings.Join(words, " ")
}

// Nearest returns the word that differs from s by the fewest edits, or "" if
// none is near enough to be what was meant.
func Nearest(s string, words []string) string {
	best, found := min(3, (len(s)+2)/3)+1, ""
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w)); d < best {
			best, found = d, w
		}
	}
	return found
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours between a and b (optimal string alignment).
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
