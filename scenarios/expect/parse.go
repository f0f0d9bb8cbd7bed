package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mptcplab/topology/decode"
)

// Parse reads an expression for one run and checks its names, its units and the
// dimensions of both sides.
func Parse(s string, names *Names) (*Comparison, error) {
	tokens, err := lex(s)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, n: names}
	c, err := p.comparison()
	if err != nil {
		return nil, err
	}
	c.text = s
	return c, c.bind()
}

type parser struct {
	tokens []token
	i      int
	n      *Names
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) take(op string) bool {
	if t := p.peek(); t.kind == tokOp && t.text == op {
		p.i++
		return true
	}
	return false
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

func (p *parser) comparison() (*Comparison, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &Comparison{left: left}
	t := p.next()
	switch {
	case t.kind == tokName && t.text == "within":
		if err := p.within(c); err != nil {
			return nil, err
		}
	case t.kind == tokOp && slices.Contains(comparisons, t.text):
		c.op = t.text
	case t.kind == tokEnd:
		return nil, fmt.Errorf("an expectation compares: A OP B with OP one of %s, or A within 15%% of B", strings.Join(comparisons, " "))
	default:
		return nil, fmt.Errorf("%q stands where a comparison is wanted: %s within", t.text, strings.Join(comparisons, " "))
	}
	if c.right, err = p.sum(); err != nil {
		return nil, err
	}
	if t := p.next(); t.kind != tokEnd {
		return nil, fmt.Errorf("%q is left over at the end", t.text)
	}
	return c, c.check()
}

func (p *parser) within(c *Comparison) error {
	t := p.next()
	num, ok := strings.CutSuffix(t.text, "%")
	q, err := decode.ParseQuantity(num)
	if t.kind != tokNumber || !ok || err != nil || q.Value < 0 {
		return fmt.Errorf("%q stands where a percentage is wanted: within 15%% of B", t.text)
	}
	if of := p.next(); of.text != "of" {
		return fmt.Errorf("within %s needs an \"of\": within 15%% of B", t.text)
	}
	c.op, c.percent = "within", q.Value
	return nil
}

// check compares the dimensions of both sides.
func (c *Comparison) check() error {
	l, r := c.left.dim(), c.right.dim()
	if !l.same(r) {
		return fmt.Errorf("the left side is %s, the right side is %s", l, r)
	}
	if l.kind != decode.Number && c.op != "==" && c.op != "!=" {
		return fmt.Errorf("%s can only be compared with == and !=", l.kind)
	}
	return nil
}

func (p *parser) sum() (node, error) { return p.chain([]string{"+", "-"}, p.product) }

func (p *parser) product() (node, error) { return p.chain([]string{"*", "/"}, p.factor) }

func (p *parser) chain(ops []string, part func() (node, error)) (node, error) {
	a, err := part()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			return a, nil
		}
		p.next()
		b, err := part()
		if err != nil {
			return nil, err
		}
		if a, err = calculate(t.text, a, b); err != nil {
			return nil, err
		}
	}
}

func calculate(op string, a, b node) (node, error) {
	da, db := a.dim(), b.dim()
	if da.kind != decode.Number || db.kind != decode.Number {
		return nil, fmt.Errorf("%s and %s cannot be calculated with", da, db)
	}
	n := &arith{op: op, a: a, b: b}
	switch op {
	case "*":
		n.d = dim{bits: da.bits + db.bits, sec: da.sec + db.sec}
	case "/":
		n.d = dim{bits: da.bits - db.bits, sec: da.sec - db.sec}
	default:
		if !da.same(db) {
			word := map[string]string{"+": "added to", "-": "taken from"}[op]
			return nil, fmt.Errorf("%s cannot be %s %s", db, word, da)
		}
		n.d = da
		if da.zero {
			n.d = db
		}
	}
	n.d.zero = false
	return n, nil
}

// maxDepth bounds the nesting of parentheses.
const maxDepth = 100

func (p *parser) factor() (node, error) {
	t := p.next()
	switch {
	case t.kind == tokNumber:
		q, err := decode.ParseQuantity(t.text)
		if err != nil {
			return nil, err
		}
		d := dimOf(q.Dim)
		d.zero = q == decode.Quantity{}
		return &literal{Num(q.Value * scaleOf(q.Dim)), d}, nil
	case t.kind == tokText:
		return &literal{Word(t.text), dim{kind: decode.Words}}, nil
	case t.kind == tokOp && t.text == "(":
		if p.depth++; p.depth > maxDepth {
			return nil, errors.New("too many parentheses")
		}
		n, err := p.sum()
		if err == nil && !p.take(")") {
			err = errors.New("a parenthesis is not closed")
		}
		p.depth--
		return n, err
	case t.kind == tokName:
		return p.word(t)
	case t.kind == tokEnd:
		return nil, errors.New("the expression ends where a name or a value is wanted")
	}
	return nil, fmt.Errorf("%q stands where a name or a value is wanted", t.text)
}

var functions = []string{"min", "max", "sum", "mean", "median", "p95", "jain", "count"}

// word reads true, false, a function, a bare word or a result name.
func (p *parser) word(t token) (node, error) {
	if t.text == "true" || t.text == "false" {
		return &literal{Truth(t.text == "true"), dim{kind: decode.Truth}}, nil
	}
	if strings.Contains(t.text, ".") {
		return p.name(t)
	}
	if p.take("(") {
		return p.function(t.text)
	}
	return &literal{Word(t.text), dim{kind: decode.Words}}, nil
}

func (p *parser) function(fn string) (node, error) {
	if !slices.Contains(functions, fn) {
		return nil, fmt.Errorf("unknown function %q%s", fn, decode.Suggest(fn, functions))
	}
	t := p.next()
	if t.kind != tokName || !strings.Contains(t.text, "*") {
		return nil, fmt.Errorf("%s( ) takes one name with a star in it, such as flow.*.goodput", fn)
	}
	n, err := p.name(t)
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, fmt.Errorf("the parenthesis of %s( is not closed", fn)
	}
	arg := n.(*nameNode)
	arg.each = false
	f := &funcNode{fn: fn, arg: arg, d: arg.dim()}
	switch {
	case fn == "count":
		f.d = dim{}
	case f.d.kind != decode.Number:
		return nil, fmt.Errorf("%s( ) is of numbers; %s is %s", fn, arg.text, f.d)
	case fn == "jain":
		f.d = dim{}
	}
	return f, nil
}

func (p *parser) name(t token) (node, error) {
	n := &nameNode{text: t.text}
	var err error
	if n.list, n.e, n.aggregate, err = p.n.resolve(t.text); err != nil {
		return nil, err
	}
	n.each = strings.Contains(t.text, "*")
	for p.peek().kind == tokSelect {
		if err := p.selector(n, p.next().text); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// bind lines up the stars outside functions: all names with stars must have them
// stand for the same things.
func (c *Comparison) bind() error {
	var first *nameNode
	var err error
	c.outside(func(n *nameNode) {
		if !n.each {
			return
		}
		if first == nil {
			first = n
			for _, x := range n.list {
				c.bindings = append(c.bindings, strings.Join(x.stars, "."))
			}
			return
		}
		var words []string
		for _, x := range n.list {
			words = append(words, strings.Join(x.stars, "."))
		}
		if !slices.Equal(words, c.bindings) {
			err = fmt.Errorf("the stars of %s and %s do not stand for the same things", first.text, n.text)
		}
	})
	return err
}

// outside calls f for the names that no function holds.
func (c *Comparison) outside(f func(*nameNode)) {
	var visit func(n node)
	visit = func(n node) {
		switch n := n.(type) {
		case *nameNode:
			f(n)
		case *arith:
			visit(n.a)
			visit(n.b)
		}
	}
	visit(c.left)
	visit(c.right)
}
