package drill

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands splits a shell text at newlines, "&&" and ";", drops comments, and makes
// white space one blank, except in quotes.
func commands(text string) []string {
	var list []string
	var b strings.Builder
	flush := func() {
		if c := strings.TrimSpace(b.String()); c != "" {
			list = append(list, c)
		}
		b.Reset()
	}
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		last := byte(' ')
		if s := b.String(); s != "" {
			last = s[len(s)-1]
		}
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
			b.WriteByte(c)
		case c == '\n' || c == ';':
			flush()
		case c == '&' && strings.HasPrefix(text[i:], "&&"):
			flush()
			i++
		case c == '#' && last == ' ':
			n := strings.IndexByte(text[i:], '\n')
			if n < 0 {
				n = len(text) - i
			}
			i += n - 1
		case c == ' ' || c == '\t' || c == '\r':
			if last != ' ' {
				b.WriteByte(' ')
			}
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return list
}

var arithmetic = regexp.MustCompile(`\$\(\(([^()]*)\)\)`)

// shellWords splits a command into words as a shell does: quotes are taken off, and
// $((...)) is computed.
func shellWords(c string) ([]string, error) {
	var err error
	c = arithmetic.ReplaceAllStringFunc(c, func(m string) string {
		e := &evaluator{src: arithmetic.FindStringSubmatch(m)[1]}
		v, e2 := e.or()
		if err = errors.Join(err, e2); e.pos < len(e.src) {
			err = errors.Join(err, unsupported("%q in a command", m))
		}
		return strconv.FormatInt(int64(v), 10)
	})
	if err != nil {
		return nil, err
	}
	var words []string
	var b strings.Builder
	quote, begun := byte(0), false
	for i := 0; i < len(c); i++ {
		switch ch := c[i]; {
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '"' || ch == '\''):
			quote, begun = ch, true
		case quote == 0 && ch == ' ':
			if begun {
				words = append(words, b.String())
			}
			b.Reset()
			begun = false
		default:
			b.WriteByte(ch)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		words = append(words, b.String())
	}
	return words, nil
}

// sleep lets time pass.
func (r *run) sleep(args []string) error {
	if len(args) != 1 {
		return errors.New("sleep needs a number of seconds")
	}
	s, err := strconv.ParseFloat(args[0], 64)
	if err != nil || s < 0 || s > 1e6 {
		return fmt.Errorf("sleep %s", args[0])
	}
	r.step(r.now.Add(time.Duration(s * float64(time.Second))))
	return nil
}

// nstat runs "nstat [-az] [NAME] | grep PATTERN | grep -q PATTERN" on the counters, and
// fails as the last grep does.
func (r *run) nstat(c string) error {
	negated := strings.HasPrefix(c, "! ")
	parts := strings.Split(strings.TrimPrefix(c, "! "), "|")
	words, err := shellWords(strings.TrimSpace(parts[0]))
	if err != nil {
		return err
	}
	all, absolute := false, false
	var names []string
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") {
			all, absolute = all || strings.Contains(w, "z"), absolute || strings.Contains(w, "a")
		} else {
			names = append(names, w)
		}
	}
	var lines []string
	for name, v := range r.readCounters() {
		if !absolute {
			v -= r.counters[name]
		}
		if (v != 0 || all) && (len(names) == 0 || slices.Contains(names, name)) {
			lines = append(lines, fmt.Sprintf("%-31s %-18d 0.0", name, v))
		}
	}
	for _, p := range parts[1:] {
		if lines, err = grep(strings.TrimSpace(p), lines); err != nil {
			return err
		}
	}
	if (len(lines) > 0) == negated {
		return errors.New("the counters do not say so")
	}
	return nil
}

// grep returns the lines that a grep command lets through.
func grep(c string, lines []string) ([]string, error) {
	words, err := shellWords(c)
	if err != nil {
		return nil, err
	}
	invert, pattern := false, ""
	for i, w := range words {
		switch {
		case i == 0 && w != "grep":
			return nil, unsupported("%s in a pipe", w)
		case i > 0 && strings.HasPrefix(w, "-"):
			invert = invert || strings.Contains(w, "v")
		case i > 0:
			pattern = w
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(lines, func(l string) bool { return re.MatchString(l) == invert }), nil
}

// linkSet is "ip link set [dev] tun0 mtu N"; other settings change no stack without
// offload.
func (r *run) linkSet(args []string) error {
	for i := 0; i+1 < len(args); i++ {
		if args[i] != "mtu" {
			continue
		}
		n, err := strconv.Atoi(args[i+1])
		if err != nil || n < 68 || n > 65535 {
			return fmt.Errorf("mtu %s", args[i+1])
		}
		r.link.MTU = n
		err = r.stack.SetLink(r.now, 0, r.link)
		r.drain()
		return err
	}
	return nil
}
