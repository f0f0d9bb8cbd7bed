package observe

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Dir is the way of data: up from client to server, down from server to client.
type Dir uint8

// The directions.
const (
	Up Dir = iota
	Down
)

// String returns "up" or "down", as in series.csv.
func (d Dir) String() string {
	if d == Up {
		return "up"
	}
	return "down"
}

// Conn is a connection: MPTCP with its subflows, or plain TCP with one. The
// fields are for reading.
type Conn struct {
	ID             int // from 1, in the order of the first SYN
	Flow           string
	Client, Server netip.AddrPort // of the first subflow
	Start          clock.Instant  // the first SYN
	Established    clock.Instant  // the SYN/ACK arrived at the client; clock.Never before
	Closed         clock.Instant  // all subflows gone; clock.Never before

	// Keys, tokens and initial data sequence numbers, by the end that chose
	// them: Up is the client's. Zero until seen.
	Keys  [2]uint64
	Token [2]uint32
	IDSN  [2]wire.DSN

	Subflows []*Subflow
	Dirs     [2]Direction
	Events   []Event // the first maxEvents of them

	// Fallback says why the connection is plain TCP; "" as long as it is MPTCP
	// or the handshake is not over.
	Fallback string

	obs       *Observer
	decided   bool // the three-way handshake is over
	agreed    bool // MP_CAPABLE in SYN and SYN/ACK as the receivers saw them
	confirmed bool // the server saw both keys, or data signals
	failSeen  bool // MP_FAIL went before
	capable   [2]sighting
	observed  [2]bool // by end: its interfaces are among those we see
}

// sighting is whether MP_CAPABLE was in the latest SYN (or SYN/ACK) where it
// left and where it arrived.
type sighting struct{ left, leftWith, arrived, arrivedWith bool }

// Direction is the data of one direction of a connection.
type Direction struct {
	// Delivered is the in-order progress: bytes that the receiver has
	// DATA_ACKed (plain TCP: ACKed).
	Delivered int64
	// FirstSent and FirstReceived count bytes whose first copy left the sender
	// and arrived at the receiver.
	FirstSent, FirstReceived uint64
	// Finished: DATA_FIN (plain TCP: FIN) was acknowledged.
	Finished bool

	gaps     GapTracker
	sent     ranges
	received ranges
	fin      int64 // offset of DATA_FIN, if finKnown
	finKnown bool
	ending   Ending // of the gap under way, should the next ACK end it
}

// MPTCP reports whether the connection carries data signals: agreed in the
// handshake and not fallen back.
func (c *Conn) MPTCP() bool { return c.agreed && c.Fallback == "" }

// LongestGap returns the longest time without a new in-order byte in a
// direction that meets [from, to). See GapTracker.LongestGap.
func (c *Conn) LongestGap(d Dir, from, to clock.Instant) (Gap, bool) {
	return c.Dirs[d].gaps.LongestGap(from, to)
}

// GapResolution returns the length up to which gaps have been forgotten.
func (c *Conn) GapResolution(d Dir) time.Duration { return c.Dirs[d].gaps.Resolution() }

// LastProgress returns when the last new in-order byte was acknowledged.
func (c *Conn) LastProgress(d Dir) clock.Instant { return c.Dirs[d].gaps.Last() }

// Setup returns the time from the first SYN to the SYN/ACK at the client.
func (c *Conn) Setup() (time.Duration, bool) {
	return c.Established.Sub(c.Start), c.Established != clock.Never
}

// EstablishedSubflows counts subflows whose handshake completed.
func (c *Conn) EstablishedSubflows() int {
	n := 0
	for _, s := range c.Subflows {
		if s.Established != clock.Never {
			n++
		}
	}
	return n
}

// setKey takes a key as seen on the wire.
func (c *Conn) setKey(d Dir, key uint64) {
	if c.Keys[d] != 0 || key == 0 {
		return
	}
	c.Keys[d], c.Token[d], c.IDSN[d] = key, wire.Token(key), wire.IDSN(key)
	c.obs.tokens[c.Token[d]] = c
}

// offset turns a data sequence number into an offset in the stream: the first
// byte, IDSN+1, is 0. One of 32 bits is the one nearest to near.
func (c *Conn) offset(d Dir, dsn wire.DSN, wide bool, near int64) int64 {
	base := c.IDSN[d] + 1
	if wide {
		return int64(dsn - base)
	}
	return near + int64(int32(uint32(dsn)-uint32(base)-uint32(near)))
}

// progress notes that the receiver acknowledged everything below off.
func (c *Conn) progress(at clock.Instant, d Dir, off int64) {
	dir := &c.Dirs[d]
	if dir.finKnown && off > dir.fin {
		off, dir.Finished = dir.fin, true
	}
	if off <= dir.Delivered {
		return
	}
	dir.Delivered = off
	dir.gaps.Progress(at, dir.ending)
	dir.ending = Ending{By: -1}
	dir.sent.cut(off)
	dir.received.cut(off)
	if c.obs.opt.OnProgress != nil {
		c.obs.opt.OnProgress(c, d, at, off)
	}
}

// close notes that a subflow has gone; with the last one the connection is over.
func (c *Conn) close(at clock.Instant) {
	if c.Closed != clock.Never {
		return
	}
	for _, s := range c.Subflows {
		if !s.closed && s.Established != clock.Never {
			return
		}
	}
	c.Closed = at
	c.obs.forget(c)
}
