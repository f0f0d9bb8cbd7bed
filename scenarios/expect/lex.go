package expect

import (
	"fmt"
	"strings"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokNumber
	tokName
	tokText   // quoted
	tokOp     // + - * / ( ) and comparisons
	tokSelect // (...) right after a name
)

type token struct {
	kind tokenKind
	text string
	at   int // byte offset
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// lex cuts an expression into tokens. A minus or plus inside a name belongs to
// it (wifi-lost, wifi+s2): the operators stand between spaces.
func lex(s string) ([]token, error) {
	var list []token
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n':
			i++
		case isDigit(c) || c == '.' && i+1 < len(s) && isDigit(s[i+1]):
			end := number(s, i)
			list = append(list, token{tokNumber, s[i:end], i})
			i = end
		case isLetter(c):
			end := name(s, i)
			list = append(list, token{tokName, s[i:end], i})
			i = end
		case c == '"' || c == '\'':
			n := strings.IndexByte(s[i+1:], c)
			if n < 0 {
				return nil, fmt.Errorf("the quote at %q is not closed", rest(s, i))
			}
			list = append(list, token{tokText, s[i+1 : i+1+n], i})
			i += n + 2
		case c == '(' && i > 0 && len(list) > 0 && touches(list[len(list)-1], s, i):
			n := strings.IndexByte(s[i:], ')')
			if n < 0 {
				return nil, fmt.Errorf("the parenthesis at %q is not closed", rest(s, i))
			}
			list = append(list, token{tokSelect, s[i+1 : i+n], i})
			i += n + 1
		default:
			op := operator(s[i:])
			if op == "" {
				return nil, fmt.Errorf("%q is no part of an expression", rest(s, i))
			}
			list = append(list, token{tokOp, op, i})
			i += len(op)
		}
	}
	return append(list, token{tokEnd, "", len(s)}), nil
}

func rest(s string, i int) string {
	if len(s)-i > 20 {
		return s[i:i+20] + "..."
	}
	return s[i:]
}

// touches reports whether the parenthesis at i is a selector: it follows a name
// with dots, or another selector, without a space. A word without dots before it
// is a function.
func touches(last token, s string, i int) bool {
	switch last.kind {
	case tokName:
		return last.at+len(last.text) == i && strings.Contains(last.text, ".")
	case tokSelect:
		return s[i-1] == ')'
	}
	return false
}

func number(s string, i int) int {
	for i < len(s) && (isDigit(s[i]) || s[i] == '.') {
		i++
	}
	if i < len(s) && s[i] == '%' {
		return i + 1
	}
	for i < len(s) && isLetter(s[i]) {
		i++
	}
	return i
}

// name reads words with dots between them; a word may be a star.
func name(s string, i int) int {
	for i < len(s) {
		c := s[i]
		inside := i+1 < len(s) && (isLetter(s[i+1]) || isDigit(s[i+1]))
		switch {
		case isLetter(c) || isDigit(c):
		case c == '.' && i+1 < len(s) && (inside || s[i+1] == '*'):
		case (c == '-' || c == '+') && inside:
		case c == '*' && s[i-1] == '.':
		default:
			return i
		}
		i++
	}
	return i
}

func operator(s string) string {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")"} {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}
