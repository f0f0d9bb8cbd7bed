package decode

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"15ms": 15 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "0": 0, "0s": 0, "2h": 2 * time.Hour,
		"1min": time.Minute, "7us": 7 * time.Microsecond, "3ns": 3, "0.1ms": 100 * time.Microsecond, "10 ms": 10 * time.Millisecond,
		"0.25min": 15 * time.Second, "1.000s": time.Second, ".5s": 500 * time.Millisecond,
	} {
		if got, err := ParseTime(s); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"15":       `"15" has no unit; write a time, such as 15ms (units: ns us ms s min h)`,
		"-3ms":     "is negative",
		"15mbit":   "is a rate; wanted is a time",
		"15msec":   `unknown unit "msec"`,
		"15MS":     `did you mean "ms"?`,
		"ms":       "is not a time",
		"":         "is not a time",
		"1..2s":    "is no number",
		"1.5ns":    "finer than the smallest unit",
		"9999999h": "too large",
	} {
		if got, err := ParseTime(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", s, got, err, want)
		}
	}
}

func TestParseRateSizePackets(t *testing.T) {
	for s, want := range map[string]uint64{"20mbit": 20e6, "1gbit": 1e9, "64kbit": 64e3, "5bit": 5, "0.5mbit": 500_000, "0": 0} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"20mbps", "20Mbps"} {
		if _, err := ParseRate(s); err == nil || err.Error() != `"mbps" is refused: tc reads it as megabytes per second; write mbit` {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := ParseRate("20Mbit/s"); err == nil || !strings.Contains(err.Error(), `"mbit"`) {
		t.Errorf("Mbit/s: %v", err)
	}
	for s, want := range map[string]uint64{"200KB": 200e3, "200kB": 200e3, "1MiB": 1 << 20, "3B": 3, "0.5KiB": 512, "2GB": 2e9} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	if n, err := ParsePackets("40p"); err != nil || n != 40 {
		t.Errorf("40p: %v %v", n, err)
	}
	if _, err := ParsePackets("0.5p"); err == nil {
		t.Error("half a packet")
	}
}

func TestParseProbability(t *testing.T) {
	for s, want := range map[string]float64{"0.1%": 0.001, "100%": 1, "0": 0, "0%": 0, "50 %": 0.5} {
		if got, err := ParseProbability(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{"0.1": "percent sign", "101%": "outside 0%..100%", "-1%": "outside", "x": "not a probability", "1ms": "unknown unit"} {
		if _, err := ParseProbability(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestFormat(t *testing.T) {
	for got, want := range map[string]string{
		FormatTime(90 * time.Second):        "90s",
		FormatTime(10 * time.Minute):        "10min",
		FormatTime(1500 * time.Microsecond): "1500us",
		FormatTime(0):                       "0s",
		FormatRate(20e6):                    "20mbit",
		FormatRate(1500):                    "1500bit",
		FormatSize(81920):                   "80KiB",
		FormatSize(200e3):                   "200kB",
		FormatSize(16 << 20):                "16MiB",
		FormatPackets(40):                   "40p",
		FormatProbability(0.001):            "0.1%",
		FormatProbability(0.07):             "7%",
		FormatProbability(1.0 / 3):          "33.33333333333333%",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestParseRange(t *testing.T) {
	r, err := ParseRange("50KB..1000KB step 50KB")
	if err != nil || r.From != (Quantity{50e3, Size}) || r.To != (Quantity{1e6, Size}) || r.Step != 50e3 {
		t.Errorf("%+v %v", r, err)
	}
	for _, c := range []struct {
		s, q string
		in   bool
	}{{"1..5", "5", true}, {"1..5", "6", false}, {"4..", "1000", true}, {"4..", "3", false}, {"..200KB", "200KB", true}, {"..200KB", "0.2MB", true}, {"..200KB", "201KB", false}, {"..200KB", "1s", false}} {
		r, err := ParseRange(c.s)
		q, err2 := ParseQuantity(c.q)
		if err != nil || err2 != nil || r.Contains(q) != c.in {
			t.Errorf("%s in %s: %v, %v %v", c.q, c.s, r.Contains(q), err, err2)
		}
	}
	for _, s := range []string{"..", "5..1", "1s..5KB", "1", "1.. step 1", "1..5 step 0", "1..5 step 1s", "x..y"} {
		if _, err := ParseRange(s); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}

func TestNearest(t *testing.T) {
	for s, want := range map[string]string{"dealy": "delay", "rate": "rate", "Rate": "rate", "xyz": "", "blackole": "blackhole", "in-order": "in_order"} {
		if got := Nearest(s, []string{"delay", "rate", "blackhole", "in_order"}); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestParseName(t *testing.T) {
	for s, ok := range map[string]bool{"wifi": true, "a": true, "wifi-2_b": true, "Wifi": false, "2g": false, "": false, "a.b": false, "abcdefghijklmno": true, "abcdefghijklmnop": false} {
		if _, err := ParseName(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// What is read can be written, and reads as the same again.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"15ms", "1.5s", "20mbit", "20mbps", "200KB", "1MiB", "40p", "0.1%", "0", "-3s", "1e9s", "99999999999h", "..", "exp(1s)", "0.0000000001ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseTime(s); err == nil {
			if again, err := ParseTime(FormatTime(v)); err != nil || again != v || v < 0 {
				t.Errorf("time %q: %v, again %v, %v", s, v, again, err)
			}
		}
		if v, err := ParseRate(s); err == nil {
			if again, err := ParseRate(FormatRate(v)); err != nil || again != v {
				t.Errorf("rate %q: %v, again %v, %v", s, v, again, err)
			}
		}
		if v, err := ParseSize(s); err == nil {
			if again, err := ParseSize(FormatSize(v)); err != nil || again != v {
				t.Errorf("size %q: %v, again %v, %v", s, v, again, err)
			}
		}
		if v, err := ParseProbability(s); err == nil {
			if again, err := ParseProbability(FormatProbability(v)); err != nil || again != v || v < 0 || v > 1 || math.IsNaN(v) {
				t.Errorf("probability %q: %v, again %v, %v", s, v, again, err)
			}
		}
		if r, err := ParseRange(s); err == nil && !(r.From.Value <= r.To.Value) {
			t.Errorf("range %q: %+v", s, r)
		}
		_, _ = ParsePackets(s)
		_, _ = ParseQuantity(s)
		_, _ = ParseName(s)
	})
}
