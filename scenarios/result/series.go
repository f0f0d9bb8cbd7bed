package result

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const seriesHeader = "run,flow,path,host,direction,metric,unit,time_s,value\n"

// SeriesWriter writes rows of series.csv. It may be used by several goroutines.
type SeriesWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// Sample writes one row. Numbers are the shortest decimals that read back as
// the same float64, so equal values give equal bytes.
func (s *SeriesWriter) Sample(r Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buf[:0]
	for _, f := range [...]string{r.Run, r.Flow, r.Path, r.Host, r.Direction, r.Metric, r.Unit} {
		b = append(appendCSV(b, f), ',')
	}
	b = strconv.AppendFloat(b, r.Time, 'f', -1, 64)
	b = append(b, ',')
	b = strconv.AppendFloat(b, r.Value, 'f', -1, 64)
	s.buf = append(b, '\n')
	s.w.Write(s.buf) //nolint:errcheck // the file keeps the error for Close
}

// appendCSV appends a field, quoted if it must be (RFC 4180).
func appendCSV(b []byte, f string) []byte {
	if !strings.ContainsAny(f, ",\"\r\n") {
		return append(b, f...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(f, `"`, `""`)...)
	return append(b, '"')
}

// ReadSeries calls f for each row of series.csv of a result directory, in order.
func ReadSeries(dir string, f func(Sample) error) (err error) {
	file, err := os.Open(filepath.Join(dir, SeriesFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return scanSeries(file, f)
}

func scanSeries(r io.Reader, f func(Sample) error) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord = 9
	c.ReuseRecord = true
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", SeriesFile, err)
	}
	if strings.Join(header, ",")+"\n" != seriesHeader {
		return fmt.Errorf("%s: unknown columns %q", SeriesFile, header)
	}
	seen := make(map[string]string) // few words, many rows
	word := func(s string) string {
		if w, ok := seen[s]; ok {
			return w
		}
		s = strings.Clone(s)
		seen[s] = s
		return s
	}
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", SeriesFile, err)
		}
		s := Sample{Run: word(row[0]), Flow: word(row[1]), Path: word(row[2]), Host: word(row[3]),
			Direction: word(row[4]), Metric: word(row[5]), Unit: word(row[6])}
		var errT, errV error
		s.Time, errT = strconv.ParseFloat(row[7], 64)
		s.Value, errV = strconv.ParseFloat(row[8], 64)
		if err := errors.Join(errT, errV); err != nil {
			line, _ := c.FieldPos(7)
			return fmt.Errorf("%s:%d: %w", SeriesFile, line, err)
		}
		if err := f(s); err != nil {
			return err
		}
	}
}
