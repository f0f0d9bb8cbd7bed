package decode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Dim is the dimension of a quantity.
type Dim uint8

// The dimensions.
const (
	Number  Dim = iota // without unit, percent included
	Time               // seconds
	Rate               // bit/s
	Size               // bytes
	Packets            // packets
	Truth              // true or false
	Words              // text
)

// String names the dimension with an example.
func (d Dim) String() string {
	return [...]string{"a number", "a time", "a rate", "a size", "a number of packets", "true or false", "a text"}[d]
}

type unit struct {
	word  string
	scale float64
}

// The words of section 1 of the schema; rates are tc's and decimal.
var units = map[Dim][]unit{
	Time:    {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}},
	Rate:    {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}},
	Size:    {{"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}},
	Packets: {{"p", 1}},
}

func unitWords(d Dim) []string {
	var w []string
	for _, u := range units[d] {
		w = append(w, u.word)
	}
	return w
}

var examples = map[Dim]string{Time: "15ms", Rate: "20mbit", Size: "200KB", Packets: "40p"}

var errMbps = errors.New(`"mbps" is refused: tc reads it as megabytes per second; write mbit`)

// splitNumber cuts s after its leading decimal number.
func splitNumber(s string) (num, word string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || i == 0 && (s[0] == '-' || s[0] == '+')) {
		i++
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// parseUnit reads a quantity of dimension d in the smallest integral unit (ns,
// bit/s, bytes, packets). Decimals are exact as long as the result is integral.
func parseUnit(s string, d Dim) (int64, error) {
	what := fmt.Sprintf("%s, such as %s", d, examples[d])
	num, word := splitNumber(strings.TrimSpace(s))
	if num == "" || num == "-" || num == "+" {
		return 0, fmt.Errorf("%q is not %s", s, what)
	}
	v, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not %s: %q is no number", s, what, num)
	}
	if word == "" && v == 0 {
		return 0, nil
	}
	if word == "" {
		return 0, fmt.Errorf("%q has no unit; write %s (units: %s)", s, what, strings.Join(unitWords(d), " "))
	}
	scale, err := unitScale(s, word, d)
	if err != nil {
		return 0, err
	}
	if v < 0 || num[0] == '-' {
		return 0, fmt.Errorf("%q is negative; %s is 0 or more", s, d)
	}
	return scaled(s, num, scale, what)
}

func unitScale(s, word string, d Dim) (int64, error) {
	if strings.EqualFold(word, "mbps") && d == Rate {
		return 0, errMbps
	}
	for _, u := range units[d] {
		if u.word == word {
			if d == Time {
				return int64(math.Round(u.scale * 1e9)), nil
			}
			return int64(u.scale), nil
		}
	}
	for _, u := range units[d] {
		if strings.EqualFold(u.word, strings.TrimSuffix(strings.ToLower(word), "/s")) {
			return 0, fmt.Errorf("%q: unknown unit %q; did you mean %q?", s, word, u.word)
		}
	}
	for _, other := range []Dim{Time, Rate, Size, Packets} {
		for _, u := range units[other] {
			if u.word == word {
				return 0, fmt.Errorf("%q is %s; wanted is %s, such as %s", s, other, d, examples[d])
			}
		}
	}
	return 0, fmt.Errorf("%q: unknown unit %q; units of %s: %s", s, word, d, strings.Join(unitWords(d), " "))
}

// scaled returns num times scale without rounding, or says that it is too fine
// or too large.
func scaled(s, num string, scale int64, what string) (int64, error) {
	whole, frac, _ := strings.Cut(strings.TrimPrefix(num, "+"), ".")
	if whole == "" {
		whole = "0"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/scale {
		return 0, fmt.Errorf("%q is too large for %s", s, what)
	}
	total := n * scale
	frac = strings.TrimRight(frac, "0")
	if frac == "" {
		return total, nil
	}
	rest := scale
	for _, c := range frac {
		// The next decimal is worth a tenth of the one before; what is left of
		// the scale must stay divisible or the value is not integral.
		if rest%10 != 0 {
			v, err := strconv.ParseFloat("0."+frac, 64)
			part := v * float64(scale)
			if err != nil || part != math.Trunc(part) {
				return 0, fmt.Errorf("%q is finer than the smallest unit of %s", s, what)
			}
			return addPart(s, total, int64(part), what)
		}
		rest /= 10
		part := int64(c-'0') * rest
		var err error
		if total, err = addPart(s, total, part, what); err != nil {
			return 0, err
		}
	}
	return total, nil
}

func addPart(s string, total, part int64, what string) (int64, error) {
	if total > math.MaxInt64-part {
		return 0, fmt.Errorf("%q is too large for %s", s, what)
	}
	return total + part, nil
}

// ParseTime reads a time such as 15ms.
func ParseTime(s string) (time.Duration, error) {
	v, err := parseUnit(s, Time)
	return time.Duration(v), err
}

// ParseRate reads a rate such as 20mbit, in bit/s.
func ParseRate(s string) (uint64, error) {
	v, err := parseUnit(s, Rate)
	return uint64(v), err
}

// ParseSize reads a size such as 200KB, in bytes.
func ParseSize(s string) (uint64, error) {
	v, err := parseUnit(s, Size)
	return uint64(v), err
}

// ParsePackets reads a number of packets such as 40p.
func ParsePackets(s string) (int, error) {
	v, err := parseUnit(s, Packets)
	if err == nil && v > math.MaxInt32 {
		return 0, fmt.Errorf("%q is too many packets", s)
	}
	return int(v), err
}

// ParseProbability reads 0.1% as 0.001. A percent sign is always needed, save for 0.
func ParseProbability(s string) (float64, error) {
	num, word := splitNumber(strings.TrimSpace(s))
	v, err := strconv.ParseFloat(num, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a probability, such as 0.1%%", s)
	case word == "" && v == 0:
		return 0, nil
	case word == "":
		return 0, fmt.Errorf("%q has no unit; write a probability with a percent sign, such as 0.1%%", s)
	case word != "%":
		return 0, fmt.Errorf("%q: unknown unit %q; write a probability with a percent sign, such as 0.1%%", s, word)
	case v < 0 || num[0] == '-' || v > 100:
		return 0, fmt.Errorf("%q is outside 0%%..100%%", s)
	}
	return v / 100, nil
}

// FormatTime writes d in the largest unit that needs no decimals.
func FormatTime(d time.Duration) string { return formatUnit(int64(d), Time) }

// FormatRate writes a rate in bit/s as tc does.
func FormatRate(bps uint64) string { return formatUnit(int64(bps), Rate) }

// FormatSize writes a size in bytes.
func FormatSize(n uint64) string { return formatUnit(int64(n), Size) }

// FormatPackets writes a number of packets as tc prints it.
func FormatPackets(n int) string { return strconv.Itoa(n) + "p" }

func formatUnit(v int64, d Dim) string {
	if v == 0 && d == Time {
		return "0s"
	}
	if v == 0 {
		return "0" + examples[d][strings.IndexFunc(examples[d], func(r rune) bool { return r > '9' }):]
	}
	best := ""
	for _, u := range units[d] {
		scale := int64(u.scale)
		if d == Time {
			scale = int64(math.Round(u.scale * 1e9))
		}
		if v%scale != 0 {
			continue
		}
		if s := strconv.FormatInt(v/scale, 10) + u.word; best == "" || v/scale < leading(best) {
			best = s
		}
	}
	return best
}

func leading(s string) int64 {
	num, _ := splitNumber(s)
	v, _ := strconv.ParseInt(num, 10, 64)
	return v
}

// FormatProbability writes p (0 to 1) with a percent sign, by the fewest digits
// that read back as the same number.
func FormatProbability(p float64) string {
	for digits := 1; digits < 18; digits++ {
		s := strconv.FormatFloat(p*100, 'g', digits, 64)
		if v, err := strconv.ParseFloat(s, 64); err == nil && v/100 == p {
			return strconv.FormatFloat(v, 'f', -1, 64) + "%"
		}
	}
	return strconv.FormatFloat(p*100, 'f', -1, 64) + "%"
}
