package impairments

import (
	"encoding/binary"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

const (
	ms = clock.Instant(time.Millisecond)
	us = clock.Instant(time.Microsecond)
)

// A rig drives a wire on time.
type rig struct {
	t   testing.TB
	w   *Wire
	now clock.Instant
	buf []byte
	in  []byte
	out [2][]delivery // by direction
	n   [2]int
}

type delivery struct {
	number int // of the packet in its direction, from 1
	at     clock.Instant
	data   []byte // if keep
}

func newRig(t testing.TB, seed uint64, up Config) *rig {
	return &rig{t: t, w: NewWire(seed, "test", [2]Config{up, {}}, Overhead),
		buf: make([]byte, machine.BufferSize), in: make([]byte, 2000)}
}

// send sends a packet of n bytes (with Ethernet header) up or down, now.
func (r *rig) send(dir, n int) {
	r.n[dir]++
	pkt := r.in[:n-Overhead]
	binary.BigEndian.PutUint64(pkt, uint64(r.n[dir]))
	r.w.Input(r.now, machine.Meta{Link: machine.LinkID(dir), CsumOK: true}, pkt)
	r.drain()
}

func (r *rig) drain() {
	for {
		m, n, ok := r.w.Output(r.now, r.buf)
		if !ok {
			break
		}
		dir := 1 - int(m.Link)
		number := -1
		if n >= 8 {
			number = int(binary.BigEndian.Uint64(r.buf))
		}
		r.out[dir] = append(r.out[dir], delivery{number: number, at: r.now})
	}
	if at := r.w.Deadline(); at <= r.now {
		r.t.Fatalf("deadline %d is not after %d", at, r.now)
	}
}

// until lets time pass.
func (r *rig) until(at clock.Instant) {
	for next := r.w.Deadline(); next <= at; next = r.w.Deadline() {
		r.now = next
		r.w.Advance(next)
		r.drain()
	}
	r.now = at
}

// stream sends count packets of n bytes up, one each gap, and waits for them.
func (r *rig) stream(count, n int, gap clock.Instant) {
	for range count {
		r.send(0, n)
		r.until(r.now + gap)
	}
	r.until(r.now + 100_000*ms)
}
