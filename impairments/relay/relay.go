// Package relay imposes a link's impairments in real time without the kernel's help:
// it drives an impairments.Wire, the same machine as in virtual time, between two
// devices that carry Ethernet frames. It is what stands in on kernels without netem.
//
// The driver is host.Monitor's: one locked thread in ppoll over both devices, with a
// timer slack of 1 ns, so that the wire's deadlines are met to some tens of
// microseconds; a relay measures by how much they are missed. What it adds cannot
// be undone: a packet is as late as the thread that reads it.
//
// The frames must be whole: checksums and segmentation must not be left to the
// devices (offloads off on the interfaces at the other ends).
package relay

import (
	"fmt"
	"math/bits"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

// Relay is a wire at work. Its methods may be called from any goroutine.
type Relay struct {
	monitor *host.Monitor
	link    *timed
}

// New begins to pass frames between the devices a and b (the link's first and
// second end), which it owns from then on, as l says. Its wire is to be made with
// overhead 0, since frames carry their Ethernet header; it belongs to the relay.
func New(a, b link.Device, l *impairments.Link, c *host.Clock) (*Relay, error) {
	t := &timed{Link: l}
	m, err := host.Start(host.Config{Machine: t, Devices: []link.Device{a, b}, Clock: c})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &Relay{monitor: m, link: t}, nil
}

// Set changes the behaviour of one direction (0: from a to b, 1: from b to a) from now
// on. The error is host.ErrClosed.
func (r *Relay) Set(dir int, cfg impairments.Config) error {
	if dir != 0 && dir != 1 {
		return fmt.Errorf("relay: direction %d is neither 0 nor 1", dir)
	}
	return r.monitor.Do(func(now clock.Instant) { r.link.Wire.SetConfig(now, dir, cfg) })
}

// Do calls f in a turn of the relay: nothing else touches its middleboxes meanwhile.
// The error is host.ErrClosed.
func (r *Relay) Do(f func()) error { return r.monitor.Do(func(clock.Instant) { f() }) }

// Stats is what a relay did.
type Stats struct {
	Directions [2]impairments.Stats
	Devices    [2]link.Stats // of a and b
	Lateness   Lateness
}

// Stats returns the counts so far; those of a closed relay are zero.
func (r *Relay) Stats() Stats {
	var s Stats
	err := r.monitor.Do(func(clock.Instant) {
		for dir := range s.Directions {
			s.Directions[dir] = r.link.Wire.Stats(dir)
		}
		s.Lateness = r.link.lateness()
	})
	if err != nil {
		return s
	}
	for i := range s.Devices {
		s.Devices[i] = r.monitor.Stats(machine.LinkID(i))
	}
	return s
}

// Failed is closed when a device has failed; Close says how.
func (r *Relay) Failed() <-chan struct{} { return r.monitor.Failed() }

// Close ends the relay and closes its devices. What is under way is lost. The error
// is what had ended the relay before.
func (r *Relay) Close() error { return r.monitor.Close() }

// Lateness says by how much the wire's deadlines were missed: the scheduling delay
// that the run saw.
type Lateness struct {
	Deadlines uint64
	Mean, Max time.Duration
	P99       time.Duration // an upper bound, to the next power of two
}

// timed is a link that notes how late it is driven.
type timed struct {
	*impairments.Link
	count   uint64
	sum     time.Duration
	max     time.Duration
	buckets [64]uint64 // by the number of bits of the nanoseconds
}

var _ machine.Machine = (*timed)(nil)

// Input implements machine.Machine.
func (t *timed) Input(now clock.Instant, m machine.Meta, data []byte) {
	t.note(now)
	t.Link.Input(now, m, data)
}

// Advance implements machine.Machine.
func (t *timed) Advance(now clock.Instant) {
	t.note(now)
	t.Link.Advance(now)
}

// note records a deadline that has come.
func (t *timed) note(now clock.Instant) {
	d := t.Link.Deadline()
	if d > now {
		return
	}
	late := now.Sub(d)
	t.count++
	t.sum += late
	t.max = max(t.max, late)
	t.buckets[bits.Len64(uint64(late))]++
}

func (t *timed) lateness() Lateness {
	if t.count == 0 {
		return Lateness{}
	}
	l := Lateness{Deadlines: t.count, Mean: t.sum / time.Duration(t.count), Max: t.max}
	beyond := t.count / 100 // may be later than the percentile
	for i := len(t.buckets) - 1; i >= 0; i-- {
		if t.buckets[i] > beyond {
			l.P99 = min(t.max, time.Duration(1)<<i)
			break
		}
		beyond -= t.buckets[i]
	}
	return l
}
