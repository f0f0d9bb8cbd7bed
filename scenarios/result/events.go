package result

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
)

// EventWriter writes events.ndjson: one JSON object a line, "t" in seconds
// first. It may be used by several goroutines.
type EventWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// Tracer returns the tracer of a host's stack.
func (w *EventWriter) Tracer(host string) trace.Tracer { return &hostTracer{w, host} }

type hostTracer struct {
	w    *EventWriter
	host string
}

// Trace writes a line.
func (h *hostTracer) Trace(e trace.Event) {
	w := h.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(appendTrace(w.buf[:0], h.host, &e), '\n')
	w.w.Write(w.buf) //nolint:errcheck // the file keeps the error for Close
}

// KindMonitor is the kind of the path manager's events, whose "text" is the line that
// "ip mptcp monitor" prints.
const KindMonitor = "monitor"

// Monitor returns what takes the path manager's events of a host's stack.
func (w *EventWriter) Monitor(host string) func(now clock.Instant, e pm.Event) {
	return func(now clock.Instant, e pm.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.buf = append(appendText(appendHead(w.buf[:0], now, host, KindMonitor), "text", e.String()), '}', '\n')
		w.w.Write(w.buf) //nolint:errcheck // the file keeps the error for Close
	}
}

// Timeline writes what an event of the timeline did, at the time it did it.
func (w *EventWriter) Timeline(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := appendHead(w.buf[:0], clock.Instant(e.Actual*1e9+0.5), "", "timeline")
	b = appendText(b, "name", e.Name)
	b = appendText(b, "text", e.Text)
	b = append(b, `,"at_s":`...)
	b = strconv.AppendFloat(b, e.At, 'f', -1, 64)
	b = append(b, `,"happened":`...)
	b = strconv.AppendBool(b, e.Happened)
	w.buf = append(b, '}', '\n')
	w.w.Write(w.buf) //nolint:errcheck // the file keeps the error for Close
}

// fields names what counts in a kind of trace event; "": does not. A name that
// ends in _ms is a time in nanoseconds there.
type fields struct {
	addrs, token bool
	remote       bool // Remote only
	a, b, c, d   string
	n, flag      string
	text         string
}

var fieldsOf = map[trace.Kind]fields{
	trace.ConnCreated:        {addrs: true, token: true, flag: "connects"},
	trace.MPTCPEstablished:   {token: true, a: "local_key", b: "remote_key", c: "local_idsn", d: "remote_idsn"},
	trace.Fallback:           {text: "reason"},
	trace.SubflowCreated:     {addrs: true, a: "local_id", b: "remote_id", flag: "backup"},
	trace.SubflowEstablished: {addrs: true, a: "srtt_ms"},
	trace.SubflowClosed:      {text: "reason"},
	trace.SubflowBackup:      {flag: "backup", text: "by"},
	trace.RTOExpired:         {a: "rto_ms", b: "backoff", c: "srtt_ms"},
	trace.RecoveryEntered:    {a: "cwnd", b: "ssthresh"},
	trace.RecoveryLeft:       {a: "cwnd"},
	trace.Retransmitted:      {a: "ssn", n: "bytes"},
	trace.Mapped:             {a: "dsn", b: "ssn", n: "bytes", flag: "reinjection"},
	trace.Acked:              {a: "dsn"},
	trace.Delivered:          {a: "offset", n: "bytes"},
	trace.AddAddrSent:        {remote: true, a: "id", flag: "echo"},
	trace.AddAddrReceived:    {remote: true, a: "id", flag: "echo"},
	trace.RemoveAddrSent:     {a: "id"},
	trace.RemoveAddrReceived: {a: "id"},
	trace.PrioSent:           {flag: "backup"},
	trace.PrioReceived:       {flag: "backup"},
	trace.FastCloseSent:      {},
	trace.FastCloseReceived:  {},
	trace.ResetSent:          {a: "code", text: "reason"},
	trace.ResetReceived:      {a: "code"},
	trace.FailSent:           {a: "dsn"},
	trace.FailReceived:       {a: "dsn"},
	trace.DataFINSent:        {a: "dsn"},
	trace.DataFINReceived:    {a: "dsn"},
	trace.SubflowStale:       {flag: "stale"},
	trace.ConnClosed:         {text: "reason"},
	trace.Dropped:            {text: "reason"},
	trace.LinkChanged:        {a: "link", flag: "up"},
}

// appendTrace appends one trace event as a JSON object.
func appendTrace(b []byte, host string, e *trace.Event) []byte {
	f := fieldsOf[e.Kind]
	b = appendHead(b, e.At, host, e.Kind.String())
	if e.Conn != 0 {
		b = appendNumber(b, "conn", uint64(e.Conn))
	}
	if e.Conn != 0 && e.Path >= 0 {
		b = appendNumber(b, "path", uint64(e.Path))
	}
	if f.token {
		b = appendNumber(b, "token", uint64(e.Token))
	}
	if f.addrs {
		b = appendAddr(b, "local", e.Local)
	}
	if f.addrs || f.remote {
		b = appendAddr(b, "remote", e.Remote)
	}
	b = appendValue(b, f.a, e.A)
	b = appendValue(b, f.b, e.B)
	b = appendValue(b, f.c, e.C)
	b = appendValue(b, f.d, e.D)
	if f.n != "" {
		b = appendNumber(b, f.n, uint64(e.N))
	}
	if f.flag != "" {
		b = append(appendName(b, f.flag), strconv.FormatBool(e.Flag)...)
	}
	if f.text != "" {
		b = appendText(b, f.text, e.Text)
	}
	return append(b, '}')
}

func appendHead(b []byte, at clock.Instant, host, kind string) []byte {
	b = append(b, `{"t":`...)
	b = appendDecimal(b, int64(at), 9)
	if host != "" {
		b = appendText(b, "host", host)
	}
	return appendText(b, "kind", kind)
}

// appendDecimal appends v / 10^digits exactly.
func appendDecimal(b []byte, v int64, digits int) []byte {
	if v < 0 {
		b = append(b, '-')
		v = -v
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	b = append(strconv.AppendInt(b, v/unit, 10), '.')
	for v %= unit; unit > 1; v %= unit {
		unit /= 10
		b = append(b, byte('0'+v/unit))
	}
	return b
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendNumber(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendName(b, name), v, 10)
}

func appendValue(b []byte, name string, v uint64) []byte {
	switch {
	case name == "":
		return b
	case strings.HasSuffix(name, "_ms"):
		return appendDecimal(appendName(b, name), int64(v), 6)
	}
	return appendNumber(b, name, v)
}

func appendAddr(b []byte, name string, a netip.AddrPort) []byte {
	b = append(appendName(b, name), '"')
	return append(a.AppendTo(b), '"')
}

func appendText(b []byte, name, text string) []byte {
	q, _ := json.Marshal(text) // a string always can be
	return append(appendName(b, name), q...)
}

// EventLine is a line of events.ndjson.
type EventLine struct {
	At         clock.Instant
	Host, Kind string
	Conn       uint32
	Path       int32                  // -1: none
	Fields     map[string]json.Number // numbers beside these
	Texts      map[string]string
	Flags      map[string]bool
}

// ReadEvents calls f for each line of a run's events.ndjson.
func ReadEvents(dir, run string, f func(EventLine) error) (err error) {
	d, err := RunDir(dir, run)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(d, EventsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return scanEvents(file, f)
}

func scanEvents(r io.Reader, f func(EventLine) error) error {
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		e, err := parseEvent(s.Text())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", EventsFile, n, err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return s.Err()
}

func parseEvent(line string) (EventLine, error) {
	e := EventLine{Path: -1, Fields: map[string]json.Number{}, Texts: map[string]string{}, Flags: map[string]bool{}}
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return e, err
	}
	for name, v := range m {
		switch v := v.(type) {
		case string:
			e.Texts[name] = v
		case bool:
			e.Flags[name] = v
		case json.Number:
			e.Fields[name] = v
		}
	}
	t, err := parseSeconds(e.Fields["t"].String())
	if err != nil {
		return e, err
	}
	e.At, e.Host, e.Kind = t, e.Texts["host"], e.Texts["kind"]
	if v, err := strconv.ParseUint(e.Fields["conn"].String(), 10, 32); err == nil {
		e.Conn = uint32(v)
	}
	if v, err := strconv.ParseInt(e.Fields["path"].String(), 10, 32); err == nil {
		e.Path = int32(v)
	}
	for _, name := range []string{"t", "conn", "path"} {
		delete(e.Fields, name)
	}
	delete(e.Texts, "host")
	delete(e.Texts, "kind")
	return e, nil
}

// parseSeconds reads seconds with nine decimals, exactly.
func parseSeconds(s string) (clock.Instant, error) {
	whole, frac, ok := strings.Cut(s, ".")
	v, err := strconv.ParseInt(whole+frac, 10, 64)
	if !ok || len(frac) != 9 || err != nil {
		return 0, fmt.Errorf("%q is no time with nine decimals", s)
	}
	return clock.Instant(v), nil
}
