package machine

import (
	"bytes"
	"fmt"

	"mptcplab/mptcp/clock"
)

// Step is one step of a script for Check: at its time Do is called on the
// machine, or else Data arrives on Link.
type Step struct {
	At   clock.Instant
	Link LinkID
	Data []byte
	Do   func(m Machine, now clock.Instant)
}

// Check drives machines from build through a script, whose steps are in the order
// of time, until the time end, and returns the first breach of the contract. Each
// drive starts with a new machine: on time, twice (both must send the same); with
// early calls of Advance between the deadlines (again the same); late, as on a
// busy computer; and with links that stop being writable.
func Check(build func() Machine, script []Step, end clock.Instant) error {
	first := drive{Checker: Checked(build())}
	if err := first.run(script, end); err != nil {
		return err
	}
	if len(first.log) == 0 {
		return ErrNoPackets
	}
	for _, d := range []*drive{{name: "again"}, {name: "early", early: true}} {
		d.Checker = Checked(build())
		if err := d.run(script, end); err != nil {
			return err
		}
		if !bytes.Equal(d.log, first.log) {
			return fmt.Errorf("machine: run %s: sent %d packets (%d bytes with their times), the first run %d (%d), or others",
				d.name, d.packets, len(d.log), first.packets, len(first.log))
		}
	}
	for _, d := range []*drive{{name: "late", late: 1_700_000}, {name: "gated", gate: true}} {
		d.Checker = Checked(build())
		if err := d.run(script, end); err != nil {
			return err
		}
	}
	return nil
}

// A drive is one run of a script.
type drive struct {
	*Checker
	name    string
	early   bool
	late    clock.Instant // deadlines are met that much later, ns
	gate    bool
	blocked LinkID // -1: none
	turns   int
	packets int
	log     []byte // packets with their links and times
	buf     []byte
}

func (d *drive) run(script []Step, end clock.Instant) error {
	d.buf, d.blocked = make([]byte, BufferSize), -1
	next := clock.Min(d.m.Deadline(), end)
	for _, s := range script {
		if s.At > end {
			break
		}
		d.until(next, s.At)
		now := max(s.At, d.now)
		if s.Do != nil {
			d.Mutated(now)
			s.Do(d.m, now)
		} else {
			d.Input(now, Meta{Link: s.Link}, s.Data)
		}
		next = d.turn()
	}
	d.until(next, end)
	if d.err != nil && d.name != "" {
		return fmt.Errorf("run %s: %w", d.name, d.err)
	}
	return d.err
}

// until meets the deadlines up to at.
func (d *drive) until(next, at clock.Instant) clock.Instant {
	for d.err == nil && next != clock.Never && next+d.late <= at {
		if mid := d.now + (next-d.now)/2; d.early && mid > d.now && mid < next {
			d.Advance(mid)
			d.turn()
		}
		d.Advance(max(next+d.late, d.now))
		next = d.turn()
	}
	return next
}

// turn drains the machine and returns its deadline. If links are gated, the first
// that sends stops being writable for some turns.
func (d *drive) turn() clock.Instant {
	d.turns++
	if d.blocked >= 0 && d.turns%8 == 0 {
		d.SetWritable(d.blocked, true)
		d.blocked = -1
	}
	for d.err == nil {
		m, n, ok := d.Output(d.now, d.buf)
		if !ok {
			break
		}
		d.packets++
		d.log = fmt.Appendf(d.log, "%d %d %d ", d.now, m.Link, n)
		d.log = append(d.log, d.buf[:n]...)
		if d.gate && d.blocked < 0 && d.turns%8 < 4 {
			d.blocked = m.Link
			d.SetWritable(d.blocked, false)
		}
	}
	return d.Deadline()
}
