package drill

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse parses a script. defines replace words, as --define does. An error is a
// *SyntaxError.
func Parse(file, src string, defines map[string]string) (*Script, error) {
	p := &parser{lex: lexer{src: src, line: 1, defines: defines}, file: file}
	s, err := p.script()
	if err != nil {
		var se *SyntaxError
		if errors.As(err, &se) {
			return nil, err
		}
		return nil, p.at(p.lex.line, "%v", err)
	}
	return s, nil
}

// parser looks one token ahead.
type parser struct {
	lex  lexer
	file string
	tok  token
}

func (p *parser) at(line int, format string, args ...any) error {
	return &SyntaxError{p.file, line, fmt.Sprintf(format, args...)}
}

// advance takes the next token.
func (p *parser) advance() error {
	t, err := p.lex.next()
	if err != nil {
		return p.at(t.line, "%v", err)
	}
	p.tok = t
	return nil
}

// unexpected is the error of a token out of place.
func (p *parser) unexpected(want string) error {
	return p.at(p.tok.line, "unexpected %v where %s should be", p.tok, want)
}

// expect takes the character or word s.
func (p *parser) expect(s string) error {
	if !p.tok.is(s) {
		return p.unexpected("'" + s + "'")
	}
	return p.advance()
}

// accept takes the character or word s if it is there.
func (p *parser) accept(s string) (bool, error) {
	if !p.tok.is(s) {
		return false, nil
	}
	return true, p.advance()
}

// integer takes a number, decimal or hexadecimal.
func (p *parser) integer() (int64, error) {
	var v int64
	var err error
	switch p.tok.kind {
	case tokInt:
		v, err = strconv.ParseInt(p.tok.text, 10, 64)
		if err != nil {
			var u uint64
			u, err = strconv.ParseUint(p.tok.text, 10, 64)
			v = int64(u)
		}
	case tokHex:
		var u uint64
		u, err = strconv.ParseUint(p.tok.text[2:], 16, 64)
		v = int64(u)
	default:
		return 0, p.unexpected("a number")
	}
	if err != nil {
		return 0, p.at(p.tok.line, "the number %s is out of range", p.tok.text)
	}
	return v, p.advance()
}

// number takes a number from 0 to max.
func (p *parser) number(max int64) (int64, error) {
	line := p.tok.line
	text := p.tok.text
	v, err := p.integer()
	if err == nil && (v < 0 || v > max) {
		err = p.at(line, "%s is not between 0 and %d", text, max)
	}
	return v, err
}

// word takes a name.
func (p *parser) word(what string) (string, error) {
	if p.tok.kind != tokWord {
		return "", p.unexpected(what)
	}
	s := p.tok.text
	return s, p.advance()
}

// script parses a whole file.
func (p *parser) script() (*Script, error) {
	s := &Script{File: p.file}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.tok.kind == tokOption {
		name, value, _ := strings.Cut(strings.TrimPrefix(p.tok.text, "--"), "=")
		s.Options = append(s.Options, ScriptOption{p.tok.line, name, value})
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if p.tok.kind == tokShell {
		c, err := p.command()
		if err != nil {
			return nil, err
		}
		s.Init = c
	}
	for p.tok.kind != tokEOF {
		if p.tok.kind == tokShell {
			c, err := p.command()
			if err != nil {
				return nil, err
			}
			if p.tok.kind != tokEOF {
				return nil, p.at(c.Line, "a command without a time, and it is neither the first nor the last line")
			}
			s.Cleanup = c
			break
		}
		e, err := p.event()
		if err != nil {
			return nil, err
		}
		s.Events = append(s.Events, e)
	}
	if len(s.Events) == 0 {
		return nil, p.at(p.lex.line, "no events")
	}
	if t := s.Events[0].Time; t.At != 0 || t.Kind == TimeRange || t.Kind == TimeAny {
		return nil, p.at(s.Events[0].Line, "the time of the first event is not 0")
	}
	return s, nil
}

func (p *parser) command() (*Command, error) {
	c := &Command{Line: p.tok.line, Text: p.tok.text}
	return c, p.advance()
}

// event parses a time and what happens then.
func (p *parser) event() (Event, error) {
	e := Event{Line: p.tok.line}
	var err error
	if e.Time, err = p.time(); err != nil {
		return e, err
	}
	e.Line = p.tok.line
	switch {
	case p.tok.is("<") || p.tok.is(">"):
		e.Packet, err = p.packet()
	case p.tok.kind == tokShell:
		e.Command, err = p.command()
	case p.tok.kind == tokCode:
		e.Code = &Code{p.tok.line, p.tok.text}
		err = p.advance()
	case p.tok.kind == tokWord:
		e.Call, err = p.call()
	default:
		err = p.unexpected("a packet, a system call, a command or a code block")
	}
	if err != nil {
		return e, err
	}
	outbound := e.Packet != nil && e.Packet.Out
	if (e.Time.Kind == TimeRange || e.Time.Kind == TimeAny) && !outbound {
		return e, p.at(e.Line, "only an expected packet may have a range of times or any time")
	}
	if e.Time.Blocking && e.Call == nil {
		return e, p.at(e.Line, "only a system call may have a time to return")
	}
	return e, nil
}

// time parses the time of an event.
func (p *parser) time() (t Time, err error) {
	if ok, err := p.accept("*"); ok {
		return Time{Kind: TimeAny}, err
	}
	if t.Relative, err = p.accept("+"); err != nil {
		return t, err
	}
	if t.Relative {
		t.Kind = TimeRelative
	}
	if t.At, err = p.seconds(); err != nil {
		return t, err
	}
	t.End = t.At
	switch {
	case p.tok.is("~"):
		t.Kind = TimeRange
		if err = p.advance(); err != nil {
			return t, err
		}
		if _, err = p.accept("+"); err != nil {
			return t, err
		}
		t.End, err = p.seconds()
	case p.tok.kind == tokEllipsis:
		t.Blocking = true
		if err = p.advance(); err != nil {
			return t, err
		}
		if _, err = p.accept("+"); err != nil {
			return t, err
		}
		t.End, err = p.seconds()
	}
	if err == nil && t.End < t.At {
		err = p.at(p.tok.line, "the time ends before it begins")
	}
	return t, err
}

// seconds takes a number of seconds, kept in microseconds.
func (p *parser) seconds() (time.Duration, error) {
	if p.tok.kind != tokInt && p.tok.kind != tokFloat {
		return 0, p.unexpected("a time")
	}
	f, err := strconv.ParseFloat(p.tok.text, 64)
	if err != nil || f < 0 || f > 1e6 {
		return 0, p.at(p.tok.line, "%s seconds is no time", p.tok.text)
	}
	return time.Duration(f*1e6+0.5) * time.Microsecond, p.advance()
}
