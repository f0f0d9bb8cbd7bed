package machine

import (
	"bytes"
	"errors"
	"fmt"

	"mptcplab/mptcp/clock"
)

// maxDrain bounds how many packets one mutation may make a machine send: more is
// an endless drain.
const maxDrain = 1 << 16

// poisonOutput is how much of the output buffer is overwritten before each call:
// a full packet of an Ethernet link.
const poisonOutput = 2048

// Checker is a machine around another one that watches the contract, on both
// sides: what the machine does and what its driver does. It changes nothing but
// the lifetime of buffers: input is overwritten after the call and the output
// buffer before it, so that a machine that keeps or trusts them is found out.
type Checker struct {
	m       Machine
	err     error
	now     clock.Instant
	state   checkState
	outputs int // since the last mutation
	blocked []LinkID
	in      []byte
}

// checkState is where the driver is in its turn (contract, 1).
type checkState uint8

const (
	idle     checkState = iota // drained; the deadline may be asked for
	input                      // Input was called: more of the same batch may follow
	advanced                   // Advance was called: to be drained
	mutated                    // an API call: to be drained
)

// Checked returns m inside a Checker.
func Checked(m Machine) *Checker { return &Checker{m: m} }

// Err returns the first breach of the contract, or nil.
func (c *Checker) Err() error { return c.err }

// Unwrap returns the machine inside.
func (c *Checker) Unwrap() Machine { return c.m }

// Mutated tells the checker that an API of the machine inside was called at now.
func (c *Checker) Mutated(now clock.Instant) {
	c.tick(now)
	c.mutate(mutated)
}

func (c *Checker) breach(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("machine contract, at %d ns: "+format, append([]any{int64(c.now)}, args...)...)
	}
}

func (c *Checker) tick(now clock.Instant) {
	if now < c.now {
		c.breach("driver: now went back to %d ns", int64(now))
		return
	}
	if now == clock.Never {
		c.breach("driver: now is Never")
	}
	c.now = now
}

func (c *Checker) mutate(s checkState) {
	if c.state != idle && (c.state != input || s != input) {
		c.breach("driver: a mutation before the last one was drained")
	}
	c.state = s
	c.outputs = 0
}

// Input implements Machine.
func (c *Checker) Input(now clock.Instant, m Meta, data []byte) {
	c.tick(now)
	c.mutate(input)
	c.in = append(c.in[:0], data...)
	c.m.Input(now, m, c.in)
	if !bytes.Equal(c.in, data) {
		c.breach("machine: Input changed a packet that it only borrows")
	}
	poison(c.in)
}

// Advance implements Machine.
func (c *Checker) Advance(now clock.Instant) {
	c.tick(now)
	c.mutate(advanced)
	c.m.Advance(now)
}

// Deadline implements Machine.
func (c *Checker) Deadline() clock.Instant {
	at := c.m.Deadline()
	if c.state != idle {
		c.breach("driver: Deadline before the drain was complete")
	}
	return at
}

// Output implements Machine.
func (c *Checker) Output(now clock.Instant, buf []byte) (Meta, int, bool) {
	c.tick(now)
	if len(buf) < BufferSize {
		c.breach("driver: a buffer of %d bytes for Output", len(buf))
	}
	poison(buf[:min(len(buf), poisonOutput)])
	m, n, ok := c.m.Output(now, buf)
	if !ok {
		c.drained()
		return m, n, false
	}
	c.outputs++
	switch {
	case c.outputs > maxDrain:
		c.breach("machine: more than %d packets in one drain", maxDrain)
		return m, n, false
	case n <= 0 || n > len(buf):
		c.breach("machine: a packet of %d bytes in a buffer of %d", n, len(buf))
		return m, 0, false
	case m.SegSize < 0 || m.SegSize > n:
		c.breach("machine: segments of %d bytes in a packet of %d", m.SegSize, n)
	case (m.CsumStart != 0 || m.CsumOffset != 0) && int(m.CsumStart)+int(m.CsumOffset)+2 > n:
		c.breach("machine: checksum to complete at %d+%d in a packet of %d bytes", m.CsumStart, m.CsumOffset, n)
	}
	for _, link := range c.blocked {
		if link == m.Link {
			c.breach("machine: a packet for link %d, which is not writable", link)
		}
	}
	return m, n, true
}

// drained ends a turn. A drain after Advance leaves no deadline that is due
// (contract, 3).
func (c *Checker) drained() {
	if c.state == advanced {
		if at := c.m.Deadline(); at <= c.now {
			c.breach("machine: Deadline is %d ns, not later than now, after Advance and a drain", int64(at))
		}
	}
	c.state = idle
}

// SetWritable implements Machine.
func (c *Checker) SetWritable(link LinkID, ok bool) {
	for i, l := range c.blocked {
		if l == link {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			break
		}
	}
	if !ok {
		c.blocked = append(c.blocked, link)
	}
	c.m.SetWritable(link, ok)
}

// pattern is what poisoned bytes look like.
var pattern = bytes.Repeat([]byte{0xdb}, BufferSize)

func poison(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, pattern):]
	}
}

// ErrNoPackets says that a script made a machine send nothing: it proved little.
var ErrNoPackets = errors.New("machine: the script made the machine send nothing")
