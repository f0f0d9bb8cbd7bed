package tcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Upper is what a TCP connection carries: a byte stream or an MPTCP subflow. TCP
// holds no payload: it asks for it by position. All positions are ssn: relative
// to the initial sequence number of their direction, the SYN is 0, the first
// byte of payload 1 (the number space of RFC 8684, 3.3.1).
type Upper interface {
	// Unsent says how many bytes wait that this connection may send beyond
	// those sent already, whether the last write pushed, and whether the
	// application announced more (MSG_MORE, cork). For Nagle, application
	// limits, TLP and F-RTO ("new data first").
	Unsent() (n int, push, more bool)
	// Plan describes the segment at ssn, to retransmit or being sent: n bytes of
	// at most max, never across the end of a mapping, optLen bytes of options
	// that Options will add, and whether PSH belongs on it.
	Plan(ssn wire.Seq, max int) (n, optLen int, push bool)
	// Options adds the upper's options to s.Options, at most room bytes when
	// encoded, and returns the receive window in bytes to advertise, relative to
	// s.Ack for plain TCP. s has its flags, Seq, Ack; n is the payload length that
	// follows at ssn (ssn counts only if n > 0 or s has SYN or FIN).
	Options(now clock.Instant, s *wire.Segment, ssn wire.Seq, n, room int) (wnd int)
	// Fill writes the payload that starts at ssn: new, or once more.
	Fill(b []byte, ssn wire.Seq)

	// HandleOptions sees each acceptable segment after its ACK was processed
	// and before Event(Established) and Deliver, and an acceptable RST before
	// Event(ResetReceived). An error resets the connection; a *ResetError
	// carries the reason for MP_TCPRST.
	HandleOptions(now clock.Instant, s *wire.Segment) error
	// Deliver hands over payload that arrived, in any order, trimmed to the
	// window. It returns how many bytes from the front were kept: what is not
	// kept is neither acknowledged nor SACKed.
	Deliver(now clock.Instant, ssn wire.Seq, p []byte) (kept int)
	// InOrder says that everything before rcvNxt has arrived; fin: and that the
	// peer's FIN has (rcvNxt counts it).
	InOrder(now clock.Instant, rcvNxt wire.Seq, fin bool)
	// Acked says that the peer has acknowledged everything before una.
	Acked(now clock.Instant, una wire.Seq)
	// Event reports a change of the connection.
	Event(now clock.Instant, e Event)
}

// Event is a change that the Upper hears of. What led to it (reset reason, ICMP
// code) is in Conn.Info and Conn.Err.
type Event uint8

// The events.
const (
	SYNReceived     Event = iota + 1 // simultaneous open: SYN/ACK is owed (Accept itself says nothing)
	Established                      // the handshake is done
	RTOExpired                       // the retransmission timer (also of SYN, SYN/ACK) expired; back-off doubled
	FINReceived                      // peer's FIN arrived in order
	ResetReceived                    // acceptable RST; the connection is gone
	ResetChallenged                  // a RST in the window that may be an attacker's
	TimedOut                         // gave up; the connection is gone
	ICMPError                        // soft or hard error, see Err
	MSSChanged                       // MTU or options changed the payload of a segment
	RecoveryEntered                  // fast recovery or loss began
	RecoveryLeft                     // it ended; one for each RecoveryEntered
	Retransmit                       // a segment went out again, see LastRetransmit
	Closed                           // nothing left to do: the owner may drop it; the last event of every connection
)

// ResetError makes TCP reset the connection and say why in MP_TCPRST.
type ResetError struct {
	Reason    wire.RstReason
	Transient bool
	Text      string // a constant
}

func (e *ResetError) Error() string { return e.Text }
