package expect

import (
	"fmt"
	"slices"
	"strings"

	"mptcplab/topology/decode"
)

// selector reads (2s..10s), (3s) or (axis=label).
func (p *parser) selector(n *nameNode, s string) error {
	n.text += "(" + s + ")"
	if axis, label, ok := strings.Cut(s, "="); ok {
		return p.axis(n, strings.TrimSpace(axis), strings.TrimSpace(label))
	}
	if n.window.Kind != Whole {
		return fmt.Errorf("%s: one window is enough", n.text)
	}
	if from, to, ok := strings.Cut(s, ".."); ok {
		return n.span(strings.TrimSpace(from), strings.TrimSpace(to))
	}
	at, err := decode.ParseTime(s)
	if err != nil {
		return fmt.Errorf("%s: wanted is a window (2s..10s), an instant (3s) or another run (axis=label): %w", n.text, err)
	}
	if !n.e.gauge {
		return fmt.Errorf("%s: %s has no value at an instant; ask for a window, such as (2s..10s)", n.text, n.e.words)
	}
	n.window = Window{Kind: Instant, From: at}
	return nil
}

func (n *nameNode) span(from, to string) (err error) {
	n.window.Kind = Span
	if from != "" {
		if n.window.From, err = decode.ParseTime(from); err != nil {
			return fmt.Errorf("%s: %w", n.text, err)
		}
	}
	if to != "" {
		if n.window.To, err = decode.ParseTime(to); err != nil {
			return fmt.Errorf("%s: %w", n.text, err)
		}
	}
	switch {
	case from == "" && to == "":
		return fmt.Errorf("%s: a window needs an edge", n.text)
	case to != "" && n.window.To <= n.window.From:
		return fmt.Errorf("%s: the window ends before it begins", n.text)
	case !n.e.window:
		return fmt.Errorf("%s: %s is of the whole run and has no window", n.text, n.e.words)
	}
	return nil
}

func (p *parser) axis(n *nameNode, axis, label string) error {
	if n.axis != "" {
		return fmt.Errorf("%s: one other run is enough", n.text)
	}
	k := slices.IndexFunc(p.n.Axes, func(a AxisNames) bool { return a.Name == axis })
	if k < 0 {
		var names []string
		for _, a := range p.n.Axes {
			names = append(names, a.Name)
		}
		return fmt.Errorf("%s: there is no axis %q%s", n.text, axis, decode.Suggest(axis, names))
	}
	a := &p.n.Axes[k]
	if label == "prev" {
		i := slices.Index(a.Labels, p.n.label(axis))
		if i <= 0 {
			n.missing = fmt.Sprintf("%s=%s is the first, nothing is before it", axis, p.n.label(axis))
			return nil
		}
		label = a.Labels[i-1]
	}
	if !slices.Contains(a.Labels, label) {
		return fmt.Errorf("%s: %s has no %q%s", n.text, axis, label, decode.Suggest(label, a.Labels))
	}
	n.axis, n.label = axis, label
	return nil
}

func (n *Names) label(axis string) string {
	if axis == "pairing" {
		return n.Pairing
	}
	for _, a := range n.Point {
		if a.Name == axis {
			return a.Label
		}
	}
	return ""
}
