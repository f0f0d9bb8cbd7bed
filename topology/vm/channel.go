package vm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The channel carries frames from the guest to the host: one byte that says what it
// is, the length in four bytes, big-endian, and the payload.
const (
	frameHello  = 'h' // the machine is up: release, a blank, milliseconds since boot
	frameStdout = 'o'
	frameStderr = 'e'
	frameTar    = 't' // part of an archive with the results
	frameExit   = 'x' // exit status in decimal: the last frame
)

// maxFrame bounds the payload of a frame.
const maxFrame = 64 << 10

// portName is the virtio port's name in /sys/class/virtio-ports.
const portName = "mptcplab.results"

var errFrame = errors.New("vm: malformed frame from the guest")

// sender writes frames; any goroutine may.
type sender struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sender) send(kind byte, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n := min(len(p), maxFrame)
		head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(n))
		if _, err := s.w.Write(append(head, p[:n]...)); err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// stream is the sender's io.Writer for one kind of frame.
type stream struct {
	s    *sender
	kind byte
}

func (w stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := w.s.send(w.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// receive reads one frame into buf, which holds maxFrame bytes. At the end of the
// channel the error is io.EOF.
func receive(r io.Reader, buf []byte) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errFrame
		}
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return 0, nil, errFrame
	}
	return head[0], buf[:n], nil
}
