package workloads

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"

	"mptcplab/mptcp/clock"
)

// Meter is what one end of a flow measured. It belongs to the host that runs the
// end: read it only there.
type Meter struct {
	Start       clock.Instant // client: connect was called; server: the connection was accepted; Never before
	Established clock.Instant // handshake done; Never before
	LastRead    clock.Instant // last byte read; Never before the first
	Finished    clock.Instant // the end's part is over; Never before
	Read        uint64        // bytes read by the application, in order
	Written     uint64        // bytes accepted by the socket
	Errors      int           // connections that broke
	Err         error         // the last error
	EOF         bool          // the peer's end of stream was read

	// Progress, if set, is called at each read that brought bytes.
	Progress func(now clock.Instant, total uint64)

	// Waiting, if set, is called when an application that asks and answers begins
	// to wait for bytes, and when it has them.
	Waiting func(now clock.Instant, begins bool)

	sent, received hash.Hash
}

// NewMeter returns a meter that has measured nothing.
func NewMeter() *Meter {
	return &Meter{
		Start: clock.Never, Established: clock.Never, LastRead: clock.Never, Finished: clock.Never,
		sent: sha256.New(), received: sha256.New(),
	}
}

// Clone returns what the meter says now: the host may go on.
func (m *Meter) Clone() *Meter {
	c := *m
	c.sent, c.received = clone(m.sent), clone(m.received)
	return &c
}

func clone(h hash.Hash) hash.Hash {
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic("BUG: " + err.Error()) // SHA-256 can
	}
	return c
}

func (m *Meter) wrote(p []byte) {
	m.Written += uint64(len(p))
	m.sent.Write(p)
}

func (m *Meter) read(now clock.Instant, p []byte) {
	m.Read += uint64(len(p))
	m.LastRead = now
	m.received.Write(p)
	if m.Progress != nil {
		m.Progress(now, m.Read)
	}
}

func (m *Meter) waiting(now clock.Instant, begins bool) {
	if m.Waiting != nil {
		m.Waiting(now, begins)
	}
}

func (m *Meter) failed(err error) {
	m.Errors++
	m.Err = err
}

// Span is how long the end took, from connect or accept to its own end; false: it
// is not over.
func (m *Meter) Span() (time.Duration, bool) {
	if m.Start == clock.Never || m.Finished == clock.Never {
		return 0, false
	}
	return m.Finished.Sub(m.Start), true
}

// SHA256Sent returns the digest of the bytes that the socket accepted, in hex.
func (m *Meter) SHA256Sent() string { return hex.EncodeToString(m.sent.Sum(nil)) }

// SHA256Received returns the digest of the bytes read, in hex.
func (m *Meter) SHA256Received() string { return hex.EncodeToString(m.received.Sum(nil)) }
