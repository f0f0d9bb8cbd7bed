package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Conn is one TCP connection. Its owner feeds it segments and time, drains
// Output after each mutation, and sends new data with Room and Send.
type Conn struct {
	state State
	err   error
	flow  cc.Flow
}

// Connect opens a connection actively: the SYN goes out with the next Output.
func Connect(now clock.Instant, p Params, u Upper) *Conn { return new(Conn) }

// Accept opens a connection passively from a SYN: it is in SYN-RECEIVED, the
// SYN/ACK goes out with the next Output. The upper hears nothing of it until
// Accept has returned: whoever calls has seen the SYN's options.
func Accept(now clock.Instant, p Params, u Upper, syn *wire.Segment) *Conn { return new(Conn) }

// Segment processes a segment of this connection. s is borrowed for the call.
// The upper is called in this order: Acked, HandleOptions, Event(Established) if
// s completed the handshake, Deliver, InOrder.
func (c *Conn) Segment(now clock.Instant, s *wire.Segment) {}

// Advance lets time pass to now.
func (c *Conn) Advance(now clock.Instant) {}

// Deadline says when Advance is needed next; after Advance(now) and a complete
// drain it is later than now.
func (c *Conn) Deadline() clock.Instant { return clock.Never }

// Output writes one IP packet that TCP itself owes to the front of b: SYN, ACK,
// FIN, RST, a retransmission, a probe. ok is false when nothing is owed.
func (c *Conn) Output(now clock.Instant, b []byte) (n int, ok bool) { return 0, false }

// Room returns how many bytes of one new segment the congestion window, the
// peer's window, the pacer, Nagle's algorithm and probe credit (limited
// transmit, TLP, persist) allow now: at most MSS, 0 for none.
func (c *Conn) Room(now clock.Instant) int { return 0 }

// Send writes one IP packet with n <= Room new bytes at SndNxt to the front of b
// and returns its length. It calls the upper's Options and Fill.
func (c *Conn) Send(now clock.Instant, n int, b []byte) int { return 0 }

// AckNow makes an ACK go out with the next Output, with or without news: a
// window update, a signal in the upper's options. A segment with data that goes
// out first serves as well.
func (c *Conn) AckNow() {}

// Close sends a FIN after everything that Unsent reports has been sent.
func (c *Conn) Close() {}

// Orphan says that nobody will read from or write to the connection again
// (after Close): FIN-WAIT-2 is then bounded by FinTimeout.
func (c *Conn) Orphan() {}

// Abort resets the connection: RST with the next Output, with MP_TCPRST if the
// upper's Options adds it. Err is a *ResetError with reason.
func (c *Conn) Abort(reason wire.RstReason) {}

// ReserveOptions tells how many bytes of options the upper will add to segments
// with data (encoded, padded): MSS and Room leave space for them.
func (c *Conn) ReserveOptions(n int) {}

// SndNxt returns the ssn of the next new byte.
func (c *Conn) SndNxt() wire.Seq { return 0 }

// SndUna returns the ssn of the first byte that is not acknowledged.
func (c *Conn) SndUna() wire.Seq { return 0 }

// RcvNxt returns the peer's ssn that is expected next.
func (c *Conn) RcvNxt() wire.Seq { return 0 }

// SndWndEnd returns the right edge of the peer's window as the peer said it on
// this connection, as an ssn of ours.
func (c *Conn) SndWndEnd() wire.Seq { return 0 }

// ISS returns our initial sequence number, as on the wire.
func (c *Conn) ISS() wire.Seq { return 0 }

// IRS returns the peer's initial sequence number, as on the wire.
func (c *Conn) IRS() wire.Seq { return 0 }

// SetMTU changes the MTU of the path.
func (c *Conn) SetMTU(n int) {}

// MSS returns the bytes of payload in a full segment: what the peer's MSS option
// and the path's MTU allow, less timestamps and what ReserveOptions keeps free.
func (c *Conn) MSS() int { return 0 }

// Flow returns what congestion control sees of the connection.
func (c *Conn) Flow() *cc.Flow { return &c.flow }

// State returns the state of the connection.
func (c *Conn) State() State { return c.state }

// Err returns why the connection ended, or the last soft ICMP error; nil after
// an orderly close.
func (c *Conn) Err() error { return c.err }

// Info returns what tcp_info shows.
func (c *Conn) Info(now clock.Instant) Info { return Info{} }

// RTO returns the retransmission timeout with its back-off.
func (c *Conn) RTO() time.Duration { return 0 }

// SRTT returns the smoothed round-trip time; 0 before the first sample.
func (c *Conn) SRTT() time.Duration { return 0 }

// InFlight returns the segments that are believed to be in the network.
func (c *Conn) InFlight() int { return 0 }

// LastRetransmit returns what went out again last: n bytes at ssn.
func (c *Conn) LastRetransmit() (ssn wire.Seq, n int) { return 0, 0 }

// Penalise halves the congestion window of a path that holds up the connection
// (Raiciu et al., NSDI 2012).
func (c *Conn) Penalise(now clock.Instant) {}
