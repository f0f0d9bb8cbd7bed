package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// fastCloseWait is the state FASTCLOSE_WAIT: MP_FASTCLOSE went out on an ACK of
// path, and the peer's RST is awaited. The connection is over for its owner.
type fastCloseWait struct {
	path  *subflow // nil: not in this state
	tries int
	at    clock.Instant // repeat then
}

// maxFastClose bounds the repetitions of MP_FASTCLOSE on an ACK.
//
// "the number of retransmissions SHOULD be limited; this limit is implementation
// specific. A RECOMMENDED number is 3."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.5).
const maxFastClose = 3

// Abort ends the connection at once: RST for plain TCP; for MPTCP a RST with
// MP_FASTCLOSE on every subflow, as Linux does (RFC 8684, 3.5, option R), or with
// Config.FastCloseACK an ACK with MP_FASTCLOSE on one subflow and RSTs on the
// others (option A).
func (c *Conn) Abort() {
	if c.done {
		return
	}
	now := c.stack.now
	if c.speech == multipath {
		c.trace(now, trace.Event{Kind: trace.FastCloseSent, Path: -1})
		if !c.cfg.FastCloseACK || !c.beginFastClose(now) {
			c.fastClosed = true
		}
	}
	c.fail(now, ErrAborted, "aborted")
	c.stack.touch(c)
}

// beginFastClose enters FASTCLOSE_WAIT; false: no subflow works.
//
// "Host A sends an ACK containing the MP_FASTCLOSE option on one subflow [...] On
// all the other subflows, Host A sends a regular TCP RST to close these subflows
// and tears them down." (https://www.rfc-editor.org/rfc/rfc8684#section-3.5).
func (c *Conn) beginFastClose(now clock.Instant) bool {
	sf := c.signalPath()
	if sf == nil {
		return false
	}
	c.fastWait = fastCloseWait{path: sf, at: now.Add(sf.tcp.RTO())}
	sf.rx.failed = true // "no data will be accepted anymore"
	sf.ackOwed = true
	return true
}

// fastCloseDeadline returns when MP_FASTCLOSE is to be repeated.
func (c *Conn) fastCloseDeadline() clock.Instant {
	if w := &c.fastWait; w.path != nil && !w.path.over {
		return w.at
	}
	return clock.Never
}

// repeatFastClose is the expiry of that time.
//
// "If Host A does not receive a TCP RST in reply to its MP_FASTCLOSE after one
// retransmission timeout (RTO) [...] it SHOULD retransmit the MP_FASTCLOSE. [...]
// If no TCP RST is received in response, Host A SHOULD send a TCP RST with the
// MP_FASTCLOSE option itself when it releases state in order to clear any
// remaining state at middleboxes."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.5).
func (c *Conn) repeatFastClose(now clock.Instant) {
	w := &c.fastWait
	if w.tries++; w.tries > maxFastClose {
		c.fastClosed = true
		w.path.abort(wire.RstUnspecified, "no answer to MP_FASTCLOSE")
		return
	}
	w.at = now.Add(w.path.tcp.RTO())
	w.path.tcp.AckNow()
}

// handleFastClose acts on MP_FASTCLOSE on an ACK. A wrong key has no effect.
//
// "Host B answers on the same subflow with a TCP RST and tears down all subflows
// also through sending TCP RST signals."; "If Host A receives an MP_FASTCLOSE
// instead of a TCP RST, both hosts attempted fast closure simultaneously. Host A
// should reply with a TCP RST and tear down the connection."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.5).
func (c *Conn) handleFastClose(now clock.Instant, sf *subflow, key uint64) {
	switch {
	case key != c.localKey:
	case c.done:
		sf.abort(wire.RstUnspecified, "mp_fastclose")
	default:
		c.fastCloseReceived(now)
	}
}

func (c *Conn) fastCloseReceived(now clock.Instant) {
	c.stack.counters.MPTcpExtMPFastcloseRx++
	c.fastClosedByPeer = true // the others are reset with reason 0, as by Linux
	c.trace(now, trace.Event{Kind: trace.FastCloseReceived, Path: -1})
	c.fail(now, ErrReset, "mp_fastclose")
}
