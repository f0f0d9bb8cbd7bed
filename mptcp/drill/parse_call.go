package drill

import (
	"strings"
)

// call parses a system call and its result.
func (p *parser) call() (*Call, error) {
	c := &Call{Line: p.tok.line}
	var err error
	if c.Name, err = p.word("a system call"); err != nil {
		return nil, err
	}
	if err = p.expect("("); err != nil {
		return nil, err
	}
	if c.Args, err = p.nested(")", 0); err != nil {
		return nil, err
	}
	if err = p.expect("="); err != nil {
		return nil, err
	}
	if c.Result, err = p.expr(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokWord {
		c.Errno = p.tok.text
		if err = p.advance(); err != nil {
			return nil, err
		}
	}
	if p.tok.is("(") {
		if c.Note, err = p.lex.raw(')'); err != nil {
			return nil, p.at(p.tok.line, "%v", err)
		}
		c.Note = strings.TrimSpace(c.Note)
		err = p.advance()
	}
	return c, err
}

// maxDepth bounds how deep lists and structs may be nested.
const maxDepth = 20

func (p *parser) expr() (Expr, error) { return p.exprAt(0) }

// exprAt parses a|b|c, whose parts may be nested.
func (p *parser) exprAt(depth int) (Expr, error) {
	if depth > maxDepth {
		return Expr{}, p.at(p.tok.line, "nested too deeply")
	}
	e, err := p.operand(depth)
	if err != nil || !p.tok.is("|") {
		return e, err
	}
	or := Expr{Kind: ExprOr, List: []Expr{e}}
	for p.tok.is("|") {
		if err := p.advance(); err != nil {
			return or, err
		}
		e, err := p.operand(depth)
		if err != nil {
			return or, err
		}
		or.List = append(or.List, e)
	}
	return or, nil
}

// operand parses one value.
func (p *parser) operand(depth int) (Expr, error) {
	t := p.tok
	switch {
	case t.kind == tokInt || t.kind == tokHex:
		v, err := p.integer()
		return Expr{Kind: ExprInt, Int: v}, err
	case t.kind == tokFloat:
		return Expr{Kind: ExprFloat, Text: t.text}, p.advance()
	case t.kind == tokString:
		return Expr{Kind: ExprString, Text: t.text}, p.advance()
	case t.kind == tokEllipsis:
		return Expr{Kind: ExprEllipsis}, p.advance()
	case t.is("["):
		return p.list(depth)
	case t.is("{"):
		return p.structure(depth)
	case t.kind == tokWord:
		if err := p.advance(); err != nil {
			return Expr{}, err
		}
		if ok, err := p.accept("("); !ok || err != nil {
			return Expr{Kind: ExprSymbol, Text: t.text}, err
		}
		args, err := p.nested(")", depth)
		return Expr{Kind: ExprCall, Text: t.text, List: args}, err
	}
	return Expr{}, p.unexpected("a value")
}

func (p *parser) list(depth int) (Expr, error) {
	if err := p.advance(); err != nil {
		return Expr{}, err
	}
	l, err := p.nested("]", depth)
	return Expr{Kind: ExprList, List: l}, err
}

// nested parses the members of a list up to end.
func (p *parser) nested(end string, depth int) ([]Expr, error) {
	var list []Expr
	if ok, err := p.accept(end); ok || err != nil {
		return nil, err
	}
	for {
		e, err := p.exprAt(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		if ok, err := p.accept(","); err != nil {
			return nil, err
		} else if !ok {
			return list, p.expect(end)
		}
	}
}

// structure parses {name=value, name(arg)=value, value}.
func (p *parser) structure(depth int) (Expr, error) {
	e := Expr{Kind: ExprStruct}
	if err := p.advance(); err != nil {
		return e, err
	}
	if ok, err := p.accept("}"); ok || err != nil {
		return e, err
	}
	for {
		f, err := p.field(depth + 1)
		if err != nil {
			return e, err
		}
		e.Fields = append(e.Fields, f)
		if ok, err := p.accept(","); err != nil {
			return e, err
		} else if !ok {
			return e, p.expect("}")
		}
	}
}

// field parses one member of a struct.
func (p *parser) field(depth int) (Field, error) {
	v, err := p.exprAt(depth)
	if err != nil || !p.tok.is("=") {
		return Field{Val: v}, err
	}
	f := Field{Name: v.Text}
	switch {
	case v.Kind == ExprCall && len(v.List) == 1:
		f.Arg = &v.List[0]
	case v.Kind != ExprSymbol:
		return f, p.unexpected("a member")
	}
	if err := p.advance(); err != nil {
		return f, err
	}
	f.Val, err = p.exprAt(depth)
	return f, err
}
