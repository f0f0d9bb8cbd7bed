package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mptcplab/scenarios"
)

// watched is a progress with a clock and, if it has a size, a terminal of its own.
type watched struct {
	*progress
	out  strings.Builder
	time time.Time
}

func watch(width, height int) *watched {
	w := &watched{time: time.Unix(1000, 0)}
	w.progress = newProgress(&w.out, false)
	w.now = func() time.Time { return w.time }
	if width > 0 {
		w.size = func() (int, int) { return width, height }
	}
	return w
}

// said returns what was written since the last call.
func (w *watched) said() string {
	s := w.out.String()
	w.out.Reset()
	return s
}

func at(index int, seconds float64) scenarios.Status {
	return scenarios.Status{Run: string(rune('a'+index-1)) + "/seed=7", Index: index, Total: 3, At: time.Duration(seconds * 1e9)}
}

func finished(s scenarios.Status, err error) scenarios.Status {
	s.Finished, s.Err = true, err
	return s
}

func TestLine(t *testing.T) {
	under := at(2, 12.34)
	under.Left, under.Goodput = 7600*time.Millisecond, 16.456e6
	under.Paths = []scenarios.PathBytes{{Name: "wifi", Bytes: 19_650_000}, {Name: "lte", Bytes: 49_999}}
	slow := at(1, 3)
	slow.Goodput = 41_600
	for _, c := range []struct {
		s    scenarios.Status
		want string
	}{
		{under, "[2/3] b/seed=7  12.3 s, 8 s left  16.46 Mbit/s  wifi 19.6 MB  lte 0.0 MB"},
		{finished(under, nil), "[2/3] b/seed=7  12.3 s, done  16.46 Mbit/s  wifi 19.6 MB  lte 0.0 MB"},
		{slow, "[1/3] a/seed=7  3.0 s  42 kbit/s"},
		{finished(slow, context.Canceled), "[1/3] a/seed=7  3.0 s, interrupted  42 kbit/s"},
		{finished(slow, errors.New("interface gone\nand more")), "[1/3] a/seed=7  3.0 s, interface gone  42 kbit/s"},
	} {
		if got := line(c.s); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Without a terminal: a plain line every ten seconds for each run, and one at its
// end.
func TestProgressWithoutTerminal(t *testing.T) {
	w := watch(0, 0)
	w.show(at(1, 0))
	w.show(at(2, 0))
	if s := w.said(); s != "" {
		t.Errorf("at once: %q", s)
	}
	for range 99 {
		w.time = w.time.Add(100 * time.Millisecond)
		w.show(at(1, 1))
	}
	if s := w.said(); s != "" {
		t.Errorf("before ten seconds: %q", s)
	}
	w.time = w.time.Add(100 * time.Millisecond)
	w.show(at(1, 10))
	w.show(at(2, 10))
	w.show(at(1, 10.1))
	if s := w.said(); s != "[1/3] a/seed=7  10.0 s  0 kbit/s\n[2/3] b/seed=7  10.0 s  0 kbit/s\n" {
		t.Errorf("after ten seconds: %q", s)
	}
	w.show(finished(at(1, 11), nil))
	w.show(at(3, 0)) // its ten seconds begin now
	w.time = w.time.Add(9 * time.Second)
	w.show(at(3, 9))
	w.done()
	if s := w.said(); s != "[1/3] a/seed=7  11.0 s, done  0 kbit/s\n" {
		t.Errorf("at the end: %q", s)
	}
}

// screen is a terminal as far as progress uses one: the lines on it after what was
// written to it.
func screen(s string) []string {
	lines, row := []string{""}, 0
	for s != "" {
		switch {
		case strings.HasPrefix(s, "\x1b[J"):
			lines = append(lines[:row], "") // progress erases from the first column only
			s = s[3:]
		case strings.HasPrefix(s, "\x1b["):
			row -= int(s[2] - '0')
			s = s[4:]
		case s[0] == '\n':
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
			s = s[1:]
		case s[0] == '\r':
			s = s[1:]
		default:
			n := strings.IndexAny(s, "\x1b\r\n")
			if n < 0 {
				n = len(s)
			}
			lines[row] += s[:n]
			s = s[n:]
		}
	}
	return lines
}

func onScreen(t *testing.T, w *watched, want ...string) {
	t.Helper()
	if got := strings.Join(screen(w.out.String()), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("on the screen\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// On a terminal several runs at once have a line each, in their order; those that
// are over stay above.
func TestProgressOnTerminal(t *testing.T) {
	w := watch(100, 24)
	w.show(at(2, 1))
	onScreen(t, w, "[2/3] b/seed=7  1.0 s  0 kbit/s")
	w.show(at(1, 1)) // too soon to draw
	onScreen(t, w, "[2/3] b/seed=7  1.0 s  0 kbit/s")
	w.time = w.time.Add(rewriteEvery)
	w.show(at(2, 2))
	onScreen(t, w, "[1/3] a/seed=7  1.0 s  0 kbit/s", "[2/3] b/seed=7  2.0 s  0 kbit/s")
	w.show(finished(at(2, 3), nil))
	onScreen(t, w, "[2/3] b/seed=7  3.0 s, done  0 kbit/s", "[1/3] a/seed=7  1.0 s  0 kbit/s")
	w.time = w.time.Add(rewriteEvery)
	w.show(at(3, 1))
	onScreen(t, w, "[2/3] b/seed=7  3.0 s, done  0 kbit/s", "[1/3] a/seed=7  1.0 s  0 kbit/s", "[3/3] c/seed=7  1.0 s  0 kbit/s")
	w.show(finished(at(1, 4), nil))
	w.show(finished(at(3, 5), nil))
	w.done()
	onScreen(t, w, "[2/3] b/seed=7  3.0 s, done  0 kbit/s", "[1/3] a/seed=7  4.0 s, done  0 kbit/s", "[3/3] c/seed=7  5.0 s, done  0 kbit/s", "")
}

// A line that wrapped or scrolled away could not be rewritten.
func TestProgressFitsTheTerminal(t *testing.T) {
	w := watch(16, 3)
	for i := 1; i <= 3; i++ {
		w.time = w.time.Add(rewriteEvery)
		w.show(at(i, 1))
	}
	onScreen(t, w, "[1/3] a/seed=7 ", "[2/3] b/seed=7 ")
	w.done() // interrupted: what comes next begins on a line of its own
	if !strings.HasSuffix(w.out.String(), "\n") {
		t.Error("the cursor is not on a new line")
	}
	if got := cut("żółw", 2); got != "żó" {
		t.Errorf("cut in characters: %q", got)
	}
}

func TestQuiet(t *testing.T) {
	w := watch(80, 24)
	w.quiet = true
	w.show(at(1, 1))
	w.show(finished(at(1, 2), nil))
	w.done()
	if s := w.said(); s != "" {
		t.Errorf("%q", s)
	}
}

func TestColour(t *testing.T) {
	got := colour("broke    a: gone\n  ok    a  x\n  FAIL  b  y is ok\nskipped  c: okay\n")
	want := "\x1b[1;31mbroke\x1b[0m    a: gone\n\x1b[32m  ok\x1b[0m    a  x\n\x1b[1;31m  FAIL\x1b[0m  b  y is ok\nskipped  c: okay\n"
	if got != want {
		t.Errorf("%q", got)
	}
}

// A file is no terminal; a terminal with NO_COLOR gets none.
func TestNoColour(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if coloured(f) || coloured(new(strings.Builder)) {
		t.Error("coloured without a terminal")
	}
	_, tty := openTerminal(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !coloured(tty) {
		t.Error("no colour on a terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if coloured(tty) {
		t.Error("coloured though NO_COLOR is set")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if coloured(tty) || newProgress(tty, false).size != nil {
		t.Error("escape sequences on a dumb terminal")
	}
}
