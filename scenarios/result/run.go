package result

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// RunWriter writes the files of one run. What they hold is streamed out:
// memory does not grow with the run. Errors of writing are kept, and returned
// by Close.
type RunWriter struct {
	Series  *SeriesWriter
	Events  *EventWriter
	Sockets *SocketWriter
	Capture *Capture // nil: packets are not kept

	files []*file
}

// CaptureNone, CaptureHeaders and CaptureAll say how much of each packet goes
// into packets.pcapng.
const (
	CaptureNone    = 0
	CaptureHeaders = 128
	CaptureAll     = 262144
)

// Run makes the files of a run. The snap length is in octets, CaptureNone for no
// capture; interfaces are named in the order given.
func (d *Dir) Run(id string, snap int, interfaces []string) (*RunWriter, error) {
	dir, err := RunDir(d.path, id)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w := &RunWriter{}
	open := func(name string) (*file, error) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		w.files = append(w.files, &file{f: f, w: bufio.NewWriterSize(f, 1<<16)})
		return w.files[len(w.files)-1], nil
	}
	f, err := open(seriesPart)
	if err != nil {
		return nil, err
	}
	w.Series = &SeriesWriter{w: f}
	if f, err = open(EventsFile); err != nil {
		return nil, err
	}
	w.Events = &EventWriter{w: f}
	if f, err = open(SocketsFile); err != nil {
		return nil, err
	}
	w.Sockets = &SocketWriter{w: f}
	if snap != CaptureNone {
		if f, err = open(CaptureFile); err != nil {
			return nil, err
		}
		w.Capture = NewCapture(f, snap, interfaces)
	}
	return w, nil
}

// Close flushes and closes all files and returns the first error of each.
func (w *RunWriter) Close() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.close())
	}
	w.files = nil
	return errors.Join(errs...)
}

// file is a buffered file that several goroutines may append records to. Its
// bufio.Writer keeps the first error.
type file struct {
	mu sync.Mutex
	f  *os.File
	w  *bufio.Writer
}

// Write appends a whole record.
func (f *file) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.w == nil {
		return 0, os.ErrClosed
	}
	return f.w.Write(b)
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := errors.Join(f.w.Flush(), f.f.Close())
	f.w = nil
	return err
}
