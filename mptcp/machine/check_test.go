package machine

import (
	"errors"
	"strings"
	"testing"

	"mptcplab/mptcp/clock"
)

// relay is a well-behaved machine: what comes in on link 0 goes out on link 1
// after delay, one packet a time. Its faults are the test's.
type relay struct {
	delay clock.Instant
	queue []held
	gated [2]bool
	fault string
	count int
}

type held struct {
	at   clock.Instant
	link LinkID
	data []byte
}

func (r *relay) Input(now clock.Instant, m Meta, data []byte) {
	kept := append([]byte(nil), data...)
	switch r.fault {
	case "keeps the input":
		kept = data
	case "changes the input":
		data[0]++
	}
	r.queue = append(r.queue, held{now + r.delay, 1 - m.Link, kept})
}

func (r *relay) Advance(clock.Instant) { r.count++ }

func (r *relay) Deadline() clock.Instant {
	next := clock.Never
	for _, h := range r.queue {
		if !r.gated[h.link] {
			next = clock.Min(next, h.at)
		}
	}
	if r.fault == "busy loop" && next != clock.Never {
		return 1
	}
	return next
}

func (r *relay) Output(now clock.Instant, buf []byte) (Meta, int, bool) {
	for i, h := range r.queue {
		if h.at > now || r.gated[h.link] && r.fault != "ignores the gate" {
			continue
		}
		r.queue = append(r.queue[:i], r.queue[i+1:]...)
		m, n := Meta{Link: h.link}, copy(buf, h.data)
		switch r.fault {
		case "too long":
			n = len(buf) + 1
		case "empty":
			n = 0
		case "segments":
			m.SegSize = n + 1
		case "checksum":
			m.CsumStart, m.CsumOffset = uint16(n), 16
		case "minds early calls":
			buf[0] = byte(r.count)
		case "endless":
			r.queue = append(r.queue, h)
		}
		return m, n, true
	}
	return Meta{}, 0, false
}

func (r *relay) SetWritable(link LinkID, ok bool) { r.gated[link] = !ok }

func script() []Step {
	var s []Step
	for i := range 40 {
		s = append(s, Step{At: clock.Instant(i) * 1_000_000, Link: LinkID(i & 1), Data: []byte{byte(i), 2, 3, 4}})
	}
	return append(s, Step{At: 50_000_000, Do: func(m Machine, now clock.Instant) {
		m.(*relay).queue = append(m.(*relay).queue, held{now + 5, 1, []byte("api")})
	}})
}

func TestCheckAccepts(t *testing.T) {
	for _, delay := range []clock.Instant{0, 1, 2_500_000, 7_000_000} {
		if err := Check(func() Machine { return &relay{delay: delay} }, script(), 100_000_000); err != nil {
			t.Errorf("delay %d: %v", delay, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for fault, want := range map[string]string{
		"changes the input": "only borrows",
		"busy loop":         "not later than now",
		"ignores the gate":  "not writable",
		"too long":          "a packet of",
		"empty":             "a packet of 0",
		"segments":          "segments of",
		"checksum":          "checksum to complete",
		"minds early calls": "run early",
		"endless":           "in one drain",
	} {
		build := func() Machine { return &relay{delay: 2_500_000, fault: fault} }
		err := Check(build, script(), 100_000_000)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ... %s ...", fault, err, want)
		}
	}
	if err := Check(func() Machine { return &relay{delay: 1} }, nil, 1000); !errors.Is(err, ErrNoPackets) {
		t.Errorf("an empty script: %v", err)
	}
}

// A machine that keeps what it borrowed sends poison: whoever reads its packets
// notices.
func TestCheckedPoisonsInput(t *testing.T) {
	c := Checked(&relay{fault: "keeps the input"})
	buf := make([]byte, BufferSize)
	c.Input(0, Meta{}, []byte{1, 2, 3})
	if _, n, _ := c.Output(0, buf); n != 3 || buf[0] != 0xdb {
		t.Errorf("packet % x is not poisoned", buf[:n])
	}
}

// The checker watches the driver, too.
func TestCheckedDriver(t *testing.T) {
	buf := make([]byte, BufferSize)
	drain := func(c *Checker, now clock.Instant) {
		for {
			if _, _, ok := c.Output(now, buf); !ok {
				return
			}
		}
	}
	for _, tt := range []struct {
		name, want string
		drive      func(c *Checker)
	}{
		{"good", "", func(c *Checker) {
			c.Input(5, Meta{}, []byte{1})
			c.Input(5, Meta{}, []byte{2})
			drain(c, 5)
			c.Deadline()
			c.Advance(9)
			drain(c, 9)
			c.Mutated(9)
			drain(c, 9)
		}},
		{"time goes back", "went back", func(c *Checker) { c.Advance(5); drain(c, 5); c.Advance(4) }},
		{"Never", "Never", func(c *Checker) { c.Advance(clock.Never) }},
		{"no drain after Advance", "before the last one was drained", func(c *Checker) { c.Advance(1); c.Input(1, Meta{}, []byte{1}) }},
		{"no drain after Input", "before the last one was drained", func(c *Checker) { c.Input(1, Meta{}, []byte{1}); c.Advance(1) }},
		{"no drain after an API call", "before the last one was drained", func(c *Checker) { c.Mutated(1); c.Advance(1) }},
		{"early deadline", "before the drain was complete", func(c *Checker) { c.Advance(1); c.Deadline() }},
		{"small buffer", "a buffer of 100 bytes", func(c *Checker) { c.Output(0, buf[:100]) }},
	} {
		c := Checked(&relay{})
		tt.drive(c)
		if err := c.Err(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want ... %s ...", tt.name, err, tt.want)
		}
	}
}
