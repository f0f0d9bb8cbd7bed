package decode

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Quantity is a number with its dimension, in seconds, bit/s, bytes or packets.
type Quantity struct {
	Value float64
	Dim   Dim
}

// ParseQuantity reads a number with or without unit; a percentage is a number.
func ParseQuantity(s string) (Quantity, error) {
	num, word := splitNumber(strings.TrimSpace(s))
	v, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return Quantity{}, fmt.Errorf("%q is no number", s)
	}
	switch {
	case word == "":
		return Quantity{v, Number}, nil
	case word == "%":
		return Quantity{v / 100, Number}, nil
	case strings.EqualFold(word, "mbps"):
		return Quantity{}, errMbps
	}
	var all []string
	for _, d := range []Dim{Time, Rate, Size, Packets} {
		for _, u := range units[d] {
			if u.word == word {
				return Quantity{v * u.scale, d}, nil
			}
		}
		all = append(all, unitWords(d)...)
	}
	return Quantity{}, fmt.Errorf("%q: unknown unit %q%s", s, word, Suggest(word, all))
}

// Range is an inclusive range of quantities; an end that is absent is infinite.
type Range struct {
	From, To Quantity
	Step     float64 // in the unit of the ends; 0: none
}

// ParseRange reads 1..5, 4.., ..200KB or 50KB..1000KB step 50KB.
func ParseRange(s string) (Range, error) {
	body, stepText, hasStep := strings.Cut(s, " step ")
	from, to, ok := strings.Cut(strings.TrimSpace(body), "..")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !ok || from == "" && to == "" {
		return Range{}, fmt.Errorf("%q is not a range, such as 1..5, 4.. or ..200KB", s)
	}
	r := Range{From: Quantity{Value: math.Inf(-1)}, To: Quantity{Value: math.Inf(1)}}
	var err error
	if from != "" {
		if r.From, err = ParseQuantity(from); err != nil {
			return r, err
		}
	}
	if to != "" {
		if r.To, err = ParseQuantity(to); err != nil {
			return r, err
		}
	}
	if from == "" {
		r.From.Dim = r.To.Dim
	} else if to == "" {
		r.To.Dim = r.From.Dim
	}
	switch {
	case from != "" && to != "" && r.From.Dim != r.To.Dim && r.From != (Quantity{}):
		return r, fmt.Errorf("%q goes from %s to %s", s, r.From.Dim, r.To.Dim)
	case r.From.Value > r.To.Value:
		return r, fmt.Errorf("%q ends before it begins", s)
	}
	r.From.Dim = r.To.Dim
	return r, r.step(s, stepText, hasStep)
}

func (r *Range) step(s, text string, given bool) error {
	if !given {
		return nil
	}
	q, err := ParseQuantity(text)
	switch {
	case err != nil:
		return err
	case q.Dim != r.From.Dim || q.Value <= 0:
		return fmt.Errorf("%q: the step must be %s above 0", s, r.From.Dim)
	case math.IsInf(r.From.Value, 0) || math.IsInf(r.To.Value, 0):
		return fmt.Errorf("%q: a range with a step needs both ends", s)
	}
	r.Step = q.Value
	return nil
}

// Contains reports whether q lies in the range.
func (r Range) Contains(q Quantity) bool {
	return (q.Dim == r.From.Dim || q.Value == 0) && q.Value >= r.From.Value && q.Value <= r.To.Value
}

// IsRange reports whether s is written as a range.
func IsRange(s string) bool { return strings.Contains(s, "..") }
