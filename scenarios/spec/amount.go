package spec

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mptcplab/topology/decode"
	"mptcplab/workloads"
)

// Draw is a time that is fixed or drawn from the seed.
type Draw = workloads.Draw[time.Duration]

// SizeDraw is a size that is fixed or drawn from the seed, in bytes.
type SizeDraw = workloads.Draw[int]

var drawType = decode.Type[Draw]{
	What:   "a time, exp(1s) or uniform(1s..2s)",
	Parse:  ParseDraw,
	Schema: decode.OneOf(decode.TimeType.Schema, decode.Pattern(`^(exp|uniform)\(.*\)$`)),
}

var sizeDrawType = decode.Type[SizeDraw]{
	What:   "a size, exp(10KB) or uniform(1KB..9KB)",
	Parse:  parseSizeDraw,
	Schema: decode.OneOf(decode.SizeType.Schema, decode.Pattern(`^(exp|uniform)\(.*\)$`)),
}

// ParseDraw reads a time, exp(MEAN) or uniform(FROM..TO).
func ParseDraw(s string) (Draw, error) {
	kind, a, b, err := parseDraw(s, "1s", "1s..2s", decode.ParseTime)
	return Draw{Kind: kind, A: a, B: b}, err
}

func parseSizeDraw(s string) (SizeDraw, error) {
	kind, a, b, err := parseDraw(s, "10KB", "1KB..9KB", bytesType.Parse)
	return SizeDraw{Kind: kind, A: int(a), B: int(b)}, err
}

// parseDraw reads a draw of values that one reads.
func parseDraw[T time.Duration | uint64](s, mean, span string, one func(string) (T, error)) (kind string, a, b T, err error) {
	kind, rest, ok := strings.Cut(s, "(")
	if !ok {
		a, err = one(s)
		return "", a, 0, err
	}
	arg, closed := strings.CutSuffix(rest, ")")
	if !closed {
		return "", 0, 0, fmt.Errorf("%q has no closing parenthesis", s)
	}
	switch kind {
	case "exp":
		a, err = one(arg)
	case "uniform":
		from, to, ok := strings.Cut(arg, "..")
		if !ok {
			return "", 0, 0, fmt.Errorf("%q: wanted is uniform(FROM..TO)", s)
		}
		if a, err = one(from); err == nil {
			b, err = one(to)
		}
		if err == nil && b < a {
			err = fmt.Errorf("%q ends before it begins", s)
		}
	default:
		err = fmt.Errorf("%q is no distribution; allowed: exp(%s) uniform(%s)", kind, mean, span)
	}
	return kind, a, b, err
}

// FormatDraw writes a draw as ParseDraw reads it.
func FormatDraw(d Draw) string {
	switch d.Kind {
	case "exp":
		return "exp(" + decode.FormatTime(d.A) + ")"
	case "uniform":
		return "uniform(" + decode.FormatTime(d.A) + ".." + decode.FormatTime(d.B) + ")"
	}
	return decode.FormatTime(d.A)
}

// amountKey declares a size, a time, a draw of sizes or a file.
func (d *document) amountKey(m *decode.Map, key, doc string, dst *Amount) {
	var file string
	fileKeys := func(m *decode.Map) {
		decode.Get(m, "file", decode.TextType, &file, "whose bytes are sent; beside or below the scenario")
		m.Require("file")
	}
	schema := func() *decode.Schema {
		return decode.OneOf(sizeDrawType.Schema, decode.TimeType.Schema, decode.Describe(fileKeys))
	}
	m.Key(key, doc, schema, func(n *decode.Node, path string) {
		if n.Kind == decode.Dict {
			decode.Object(m.Report(), n, n.At, path, fileKeys)
			if f := n.Get("file"); f != nil && file != "" {
				*dst = d.fileAmount(file, path, f.At, m.Report())
			}
			return
		}
		if a, ok := amountType.Read(m.Report(), n, path); ok {
			*dst = a
		}
	})
}

// ours are the names in a result folder beside which the files of a scenario are
// kept.
var ours = []string{"result.json", "scenario.yaml", "series.csv", "runs", "plots"}

// fileAmount looks a file up. It must lie beside or below the scenario, so that
// the stored scenario, too, can have it so.
func (d *document) fileAmount(file, path string, at Position, r *decode.Report) (a Amount) {
	clean := filepath.Clean(file)
	first, _, _ := strings.Cut(filepath.ToSlash(clean), "/")
	if !filepath.IsLocal(file) || clean == "." || slices.Contains(ours, first) {
		r.Errorf(at, "%s.file: %q is no file beside or below the scenario, or called as a result is", path, file)
		return a
	}
	a.File, a.Path = file, filepath.Join(filepath.Dir(d.file), clean)
	info, err := os.Stat(a.Path)
	switch {
	case err != nil:
		r.Errorf(at, "%s.file: cannot read %s: %v", path, file, unwrapPath(err))
	case !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > math.MaxInt32:
		r.Errorf(at, "%s.file: %s is no file of 1B to 2GiB", path, file)
	default:
		a.Bytes = uint64(info.Size())
	}
	return a
}

var amountType = decode.Type[Amount]{What: "a size (40MB), a time (20s), uniform(8MiB..24MiB) or {file: PATH}", Parse: func(s string) (a Amount, err error) {
	if strings.Contains(s, "(") {
		a.Size, err = parseSizeDraw(s)
		return a, err
	}
	q, err := decode.ParseQuantity(s)
	if err != nil {
		return a, fmt.Errorf("%q is neither a size (40MB) nor a time (20s)", s)
	}
	switch q.Dim {
	case decode.Time:
		a.Time, err = decode.ParseTime(s)
	case decode.Size:
		a.Bytes, err = decode.ParseSize(s)
	default:
		return a, fmt.Errorf("%q is %s; wanted is a size (40MB) or a time (20s)", s, q.Dim)
	}
	if err == nil && a == (Amount{}) {
		err = fmt.Errorf("%q moves nothing", s)
	}
	return a, err
}}
