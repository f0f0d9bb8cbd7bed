package drill

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// kind is what a token is.
type kind uint8

const (
	tokEOF kind = iota
	tokWord
	tokInt
	tokHex
	tokFloat
	tokString // without quotes, escapes undone
	tokShell  // `...`
	tokCode   // %{ ... }%
	tokOption // --name=value
	tokIPv4
	tokIPv6
	tokEllipsis
	tokChar // any other character
)

// token is one word of a script. text is what stands there, less quotes.
type token struct {
	kind kind
	text string
	line int
	end  int // the offset behind it
}

// is reports whether t is the character or the word s.
func (t token) is(s string) bool {
	return (t.kind == tokChar || t.kind == tokWord || t.kind == tokEllipsis) && t.text == s
}

// String names the token in an error message.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the script"
	case tokString:
		return strconv.Quote(t.text)
	case tokShell:
		return "a command"
	case tokCode:
		return "a code block"
	}
	return "'" + t.text + "'"
}

// SyntaxError is a mistake in a script, or something that this interpreter does
// not support.
type SyntaxError struct {
	File string
	Line int
	Text string
}

// Error returns FILE:LINE: text.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// lexer splits a script into tokens. Longest match wins, as in the original.
type lexer struct {
	src     string
	pos     int
	line    int
	defines map[string]string
}

var errUnterminated = errors.New("unterminated")

// next returns the next token.
func (l *lexer) next() (token, error) {
	if err := l.skipSpace(); err != nil {
		return token{kind: tokEOF, line: l.line}, err
	}
	line := l.line
	t, err := l.scan()
	t.line, t.end = line, l.pos
	if err == nil && t.kind == tokWord {
		t = l.replace(t)
	}
	return t, err
}

// replace puts the value of a word from --define in its place.
func (l *lexer) replace(t token) token {
	v, ok := l.defines[t.text]
	if !ok {
		return t
	}
	t.text = v
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		t.kind = tokInt
	} else if _, err := strconv.ParseUint(v, 0, 64); err == nil && strings.HasPrefix(v, "0x") {
		t.kind = tokHex
	}
	return t
}

// skipSpace skips white space and comments.
func (l *lexer) skipSpace() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.pos++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == '\f' || rest[0] == '\v':
			l.pos++
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			l.pos += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return fmt.Errorf("%w comment", errUnterminated)
			}
			l.take(n + 4)
		default:
			return nil
		}
	}
	return nil
}

// take returns the next n bytes and counts the lines in them.
func (l *lexer) take(n int) string {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(s, "\n")
	return s
}

// scan reads one token at pos.
func (l *lexer) scan() (token, error) {
	rest := l.src[l.pos:]
	switch {
	case rest == "":
		return token{kind: tokEOF}, nil
	case rest[0] == '"':
		return l.scanString()
	case rest[0] == '`':
		return l.between(tokShell, "`", "`")
	case strings.HasPrefix(rest, "%{"):
		return l.between(tokCode, "%{", "}%")
	case strings.HasPrefix(rest, "..."):
		return token{kind: tokEllipsis, text: l.take(3)}, nil
	case strings.HasPrefix(rest, "--") && len(rest) > 2 && isWord(rest[2]):
		return token{kind: tokOption, text: l.take(span(rest, func(c byte) bool { return c > ' ' }))}, nil
	}
	if k, n := ipAddress(rest); n > 0 {
		return token{kind: k, text: l.take(n)}, nil
	}
	k, n := number(rest)
	if w := span(rest, isWord); w > n {
		k, n = tokWord, w
	}
	if n == 0 {
		k, n = tokChar, 1
	}
	return token{kind: k, text: l.take(n)}, nil
}

// number returns kind and length of the number that s begins with.
func number(s string) (kind, int) {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		if n := span(s[2:], isHex); n > 0 {
			return tokHex, n + 2
		}
	}
	sign := 0
	if s[0] == '-' {
		sign = 1
	}
	n := sign + span(s[sign:], isDigit)
	if n < len(s) && s[n] == '.' {
		if f := span(s[n+1:], isDigit); f > 0 {
			return tokFloat, n + 1 + f
		}
	}
	if n > sign {
		return tokInt, n
	}
	return tokChar, 0
}

// maxAddress is longer than any address in text, so that a long run of digits and
// colons costs little.
const maxAddress = 48

// ipAddress returns kind and length of the IP address that s begins with.
func ipAddress(s string) (kind, int) {
	s = s[:min(len(s), maxAddress)]
	n := span(s, func(c byte) bool { return isDigit(c) || c == '.' })
	if strings.Count(s[:n], ".") == 3 {
		if a, err := netip.ParseAddr(s[:n]); err == nil && a.Is4() {
			return tokIPv4, n
		}
	}
	n = span(s, func(c byte) bool { return isHex(c) || c == ':' || c == '.' })
	if strings.Contains(s[:n], "::") || strings.Count(s[:n], ":") >= 7 {
		for ; n > 1; n-- {
			if _, err := netip.ParseAddr(s[:n]); err == nil {
				return tokIPv6, n
			}
		}
	}
	return tokChar, 0
}

// between reads what stands between two marks.
func (l *lexer) between(k kind, open, end string) (token, error) {
	body := l.src[l.pos+len(open):]
	n := strings.Index(body, end)
	if n < 0 {
		return token{}, fmt.Errorf("%w %s", errUnterminated, open)
	}
	l.take(len(open))
	t := token{kind: k, text: l.take(n)}
	l.take(len(end))
	return t, nil
}

// scanString reads a string in double quotes.
func (l *lexer) scanString() (token, error) {
	var b strings.Builder
	for i := l.pos + 1; i < len(l.src); i++ {
		switch c := l.src[i]; c {
		case '"':
			l.take(i + 1 - l.pos)
			return token{kind: tokString, text: b.String()}, nil
		case '\\':
			v, n, err := escape(l.src[i+1:])
			if err != nil {
				return token{}, err
			}
			b.WriteByte(v)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return token{}, fmt.Errorf("%w string", errUnterminated)
}

// escape reads what follows a backslash.
func escape(s string) (v byte, n int, err error) {
	if s == "" {
		return 0, 0, fmt.Errorf("%w string", errUnterminated)
	}
	if i := strings.IndexByte("ntrfv", s[0]); i >= 0 {
		return "\n\t\r\f\v"[i], 1, nil
	}
	if s[0] == 'x' && len(s) >= 3 {
		if u, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return byte(u), 3, nil
		}
	}
	if s[0] == 'x' {
		return 0, 0, errors.New("bad escape in a string")
	}
	return s[0], 1, nil
}

// raw returns what stands before the next ch and skips both: notes in
// parentheses are free text.
func (l *lexer) raw(ch byte) (string, error) {
	n := strings.IndexByte(l.src[l.pos:], ch)
	if n < 0 {
		return "", fmt.Errorf("%w '('", errUnterminated)
	}
	s := l.take(n)
	l.take(1)
	return s, nil
}

func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}
