package tcp

import "mptcplab/mptcp/clock"

// LastUsed returns when the last segment with data or an acknowledgment was sent or
// received.
func (c *Conn) LastUsed() clock.Instant { return max(c.flow.LastSent, c.lastDataRecv, c.lastAckRecv) }

// HoldsMemory reports whether the connection has memory that it does not need while
// nothing is under way.
func (c *Conn) HoldsMemory() bool {
	return c.board.packets == 0 && c.board.slab != nil || c.ranges.empty() && c.ranges.spans != nil ||
		len(c.owed.blocks) == 0 && c.owed.blocks != nil || c.wq.bufs != nil && c.wq.head == len(c.wq.bufs)
}

// ReleaseMemory gives it back.
func (c *Conn) ReleaseMemory() {
	if c.board.packets == 0 {
		order := c.board.order
		c.board = newScoreboard()
		c.board.order = order
	}
	if c.ranges.empty() {
		c.ranges.spans = nil
	}
	if c.wq.head == len(c.wq.bufs) {
		c.wq.bufs, c.wq.head = nil, 0
	}
	if len(c.owed.blocks) == 0 {
		c.owed.blocks = nil
	}
}
