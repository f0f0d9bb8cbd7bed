package result

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
)

// Dump is a line of sockets.ndjson: every socket of one host's stack at one
// instant, as ss -M shows them.
type Dump struct {
	At      float64          `json:"t"` // seconds
	Host    string           `json:"host"`
	Event   string           `json:"event,omitempty"` // of the timeline, before it acts; "" every second
	Sockets []mptcp.SockDiag `json:"sockets"`
}

// SocketWriter writes sockets.ndjson.
type SocketWriter struct{ w io.Writer }

// Dump writes the sockets of a host.
func (w *SocketWriter) Dump(at clock.Instant, host, event string, sockets []mptcp.SockDiag) {
	b, err := json.Marshal(Dump{At: at.Seconds(), Host: host, Event: event, Sockets: list(sockets)})
	if err != nil {
		panic("BUG: " + err.Error()) // numbers, texts and addresses only
	}
	w.w.Write(append(b, '\n')) //nolint:errcheck // the file keeps the error for Close
}

// ReadSockets calls f for each line of a run's sockets.ndjson.
func ReadSockets(dir, run string, f func(Dump) error) (err error) {
	d, err := RunDir(dir, run)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(d, SocketsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	r := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		var x Dump
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("%s:%d: %w", filepath.Join(d, SocketsFile), n, err)
		}
		if err := f(x); err != nil {
			return err
		}
	}
}
