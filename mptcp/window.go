package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/window"
	"mptcplab/mptcp/wire"
)

// recvWindow is the one receive window of a connection: "MPTCP also uses a unique
// receive window, shared between the subflows.", relative to the DATA_ACK
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.4).
type recvWindow struct {
	ring      window.Ring
	ooo       window.Ranges // what counts, from nxt on
	read, nxt uint64        // read by the application; received in order
	edge      uint64        // right edge of the largest window advertised
	told      uint64        // and as the window field could say it
	limit     int           // size of the window, bytes
	max       int           // it grows to that; limit if it is fixed

	fin             uint64
	hasFIN, finDone bool // the peer's DATA_FIN (or FIN) is known; is reached

	epoch      clock.Instant // for autotuning: since then
	epochRead  uint64        // the application had read that much
	epochBegun bool
}

// initialWindow is where autotuning begins: more than tcp_rmem's default of
// 128 KiB, so that slow start on a path of some 20 Mbit/s never meets it.
const initialWindow = 256 << 10

func (w *recvWindow) init(cfg *Config) {
	w.limit, w.max = initialLimit(cfg), or(cfg.RecvBuffer, cfg.RecvBufferMax)
	w.edge = uint64(w.limit)
	w.ring = window.NewRing(0, withSlack(w.limit))
}

// initialLimit is the window of a connection that begins.
func initialLimit(cfg *Config) int { return or(cfg.RecvBuffer, min(initialWindow, cfg.RecvBufferMax)) }

// withSlack is what the ring holds: a window may be larger on the wire than we
// said, because of rounding up to the unit of its scale (at most 1<<14, most often
// 128) in each of the ACKs while the application does not read.
func withSlack(limit int) int { return limit + limit/16 + 1<<14 }

func (w *recvWindow) peek() []byte {
	n := w.nxt - w.read
	if n == 0 {
		return nil
	}
	p := w.ring.Peek(w.read)
	return p[:min(uint64(len(p)), n)]
}

// advertise returns the window to write into a segment that carries the present
// DATA_ACK. "a receiver MUST NOT shrink the right edge of the receive window (i.e.,
// DATA_ACK + receive window)"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.4).
//
// The window field counts units of its scale, and DATA_ACK does not move by whole
// units: rounding down would move the edge back by a part of one. So it is rounded
// up then, as far as the ring goes.
func (c *Conn) advertise(unit uint64) int {
	w := &c.recv
	w.edge = max(w.edge, w.read+uint64(w.limit))
	exact := max(int(w.edge-w.nxt), 0)
	if unit <= 1 || c.streaming() {
		return exact
	}
	wnd := uint64(exact) / unit * unit
	if w.nxt+wnd < w.told {
		most := (w.read + uint64(w.ring.Cap()) - w.nxt) / unit * unit
		wnd = max(wnd, min((w.told-w.nxt+unit-1)/unit*unit, most))
	}
	w.told = max(w.told, w.nxt+wnd)
	return int(wnd)
}

// consumed is called after the application took n bytes: the window moves and
// perhaps grows, and if it had been nearly closed the peer is told at once, on
// all subflows.
func (w *recvWindow) consumed(c *Conn, n int) {
	w.autotune(c)
	left := int64(w.edge) - int64(w.nxt)
	now := int64(w.read) + int64(w.limit) - int64(w.nxt)
	step := int64(min(2*c.mss(), w.limit/2))
	if left*2 <= int64(w.limit) && now >= 2*left && now-left >= step {
		c.ackAll()
		c.stack.touch(c)
	}
}

// autotune makes the window, in each round-trip time, at least twice what the
// application took in the last, as dynamic right-sizing does
// (tcp_rcv_space_adjust): then the peer's congestion window is the limit. The
// round-trip time is the longest that TCP sees in what arrives (RcvRTT), or that of
// the handshakes: queues may make the true one several times longer, so an eighth of
// the window taken is enough to double it.
func (w *recvWindow) autotune(c *Conn) {
	now := c.stack.now
	rtt := c.receiveRTT()
	if w.epochBegun && now.Sub(w.epoch) < rtt {
		return
	}
	if took := w.read - w.epochRead; w.epochBegun && now.Sub(w.epoch) < 2*rtt {
		for _, sf := range c.subflows {
			sf.tcp.NoteRead(int(took))
		}
		if took > uint64(w.limit/8) && w.limit < w.max {
			w.limit = min(max(2*w.limit, 2*int(took)), w.max)
			w.ring.SetCap(withSlack(w.limit))
		}
	}
	w.epoch, w.epochRead, w.epochBegun = now, w.read, true
}

// receiveRTT is the longest of the subflows' round-trip times as a receiver knows
// them.
func (c *Conn) receiveRTT() time.Duration {
	rtt := c.maxSRTT()
	for _, sf := range c.subflows {
		if sf.isEstablished {
			rtt = max(rtt, sf.tcp.RcvRTT())
		}
	}
	return rtt
}

// maxSRTT is the longest of the subflows' round-trip times.
func (c *Conn) maxSRTT() time.Duration {
	rtt := 10 * time.Millisecond
	for _, sf := range c.subflows {
		if sf.isEstablished {
			rtt = max(rtt, sf.tcp.SRTT())
		}
	}
	return rtt
}

// mss returns the largest payload of a segment on any subflow.
func (c *Conn) mss() int {
	n := 0
	for _, sf := range c.subflows {
		n = max(n, sf.tcp.MSS())
	}
	return or(n, 536)
}

// dataAck is what we acknowledge: everything in order, and the DATA_FIN, which
// "occupies 1 octet (the final octet) of the connection-level sequence space"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.3).
func (c *Conn) dataAck() wire.DSN {
	n := c.recv.nxt
	if c.recv.finDone {
		n++
	}
	return c.rcvBase.Add(int(n))
}

// dataAcked takes a DATA_ACK and the window that came with it.
func (c *Conn) dataAcked(now clock.Instant, sf *subflow, ack wire.DSN, wnd int) {
	w := &c.send
	off := c.sndOffset(ack)
	last := w.nxt
	if w.finSent {
		last = w.end + 1
	}
	if off > last {
		return // of bytes never sent, or older than the first
	}
	// "It should only update its local receive window values when the largest
	// sequence number allowed (i.e., DATA_ACK + receive window) increases on the
	// receipt of a DATA_ACK."
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.5).
	if w.open(off + uint64(wnd)) {
		c.rtxTries = 0
		c.again = true
	}
	if w.closed && off == w.end+1 && !c.finAcked {
		c.finAcked = true
		c.again = true
		off--
		c.rtxTries = 0
	} else if off > w.end {
		off = w.end
	}
	if off <= w.una {
		return
	}
	n := off - w.una
	w.una = off
	c.stats.acked += n
	c.rtxTries = 0
	c.armRetransmit(now)
	c.reinject.cut(off)
	c.freed(now)
	if c.tracing() {
		sf.trace(now, trace.Event{Kind: trace.Acked, A: uint64(c.sndBase) + off, N: int(n)})
	}
}

func (c *Conn) sndOffset(d wire.DSN) uint64 { return uint64(d - c.sndBase) }
func (c *Conn) rcvOffset(d wire.DSN) uint64 { return uint64(d - c.rcvBase) }
