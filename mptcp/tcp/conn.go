package tcp

import (
	"errors"
	"net/netip"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// Why a connection ended, from Err.
var (
	ErrReset       = errors.New("tcp: connection reset by peer")
	ErrRefused     = errors.New("tcp: connection refused")
	ErrTimedOut    = errors.New("tcp: connection timed out")
	ErrUnreachable = errors.New("tcp: destination unreachable")
)

// Conn is one TCP connection. Its owner feeds it segments and time, drains
// Output after each mutation, and sends new data with Room and Send.
//
// Inside, every position is an ssn: relative to the initial sequence number of
// its direction. Only emit and Segment add and take off iss and irs.
type Conn struct {
	upper         Upper
	cfg           *Config         // with defaults; perhaps others', too
	local, remote *netip.AddrPort // perhaps the owner's
	family        cc.Family
	ctrl          cc.Controller
	flow          cc.Flow
	state         State
	err, softErr  error
	timers        clock.Timers
	scratch       *Scratch

	iss, irs           wire.Seq
	tsOffset           uint32
	mtu                int
	peerMSS            int
	reserved           int  // bytes of options the upper adds to data
	tsOK, sackOK, wsOK bool // offered or negotiated
	passive            bool // opened by Accept
	sndScale, rcvScale uint8

	sender
	receiver
	recovery
	fo     fastOpenState
	mtup   mtuProbe
	wq     writeQueue
	ecn    ecnState
	chrono chrono
	drs    receiveRate

	owed  owed
	count counters
	rtt   rttEstimator
	rate  rateSampler
	rack  rackState
	board scoreboard
}

// sender holds the send sequence variables (RFC 9293, 3.3.1).
type sender struct {
	sndUna, sndNxt wire.Seq
	sndWnd         int      // bytes from sndUna
	sndWL1         wire.Seq // peer's ssn of the last window update
	maxSndWnd      int
	laterMTU       int      // of the path, to be taken over at a timeout; 0: none
	sndSml         wire.Seq // end of the last segment below MSS, for Nagle
	cwndUsageSeq   wire.Seq

	lastAck        wire.DSN // DATA_ACK seen last: its moving makes an ACK news
	backoff        int
	retransmits    int // RTOs since una last moved
	synRetransmits int
	synSentAt      clock.Instant
	persistBackoff int
	repeatedSince  clock.Instant // the first retransmission since una moved; Never
	probingSince   clock.Instant // the first probe of the window that is shut; Never
	probesOut      int           // keepalive and window probes since the last ACK
	lastRTO        clock.Instant
	expiredRTO     time.Duration // what expired then
	idleHalvings   int
	paced          int // segments with data sent, up to pacingFree

	maxPacketsOut int           // over the current window of data
	cwndUsed      int           // the most segments in flight since cwnd was last used up
	cwndUsedAt    clock.Instant // when it was
	lastXmit      clock.Instant // anything
	lastAckRecv   clock.Instant

	tlpHigh     wire.Seq // end of the tail loss probe under way; 0: none
	tlpRetrans  bool     // the probe was a retransmission
	tlpBlind    bool     // no RTT sample since the last probe
	probeCredit bool     // one new segment beyond cwnd (TLP)
	forceCredit bool     // one new segment against Nagle and SWS avoidance (persist)
	burst       uint32   // counts, by two, what makes segments go out: repairs, and one later new data
	cwndHeld    bool     // cwnd has held back something since the last segment
	cwndLimited bool
	closing     bool // Close was called: FIN after the data
	finSent     bool // the FIN is at sndNxt-1
	orphan      bool
	readClosed  bool // CloseRead was called

	lastRetrans    wire.Seq
	lastRetransLen int
}

// receiver holds the receive sequence variables.
type receiver struct {
	rcvNxt     wire.Seq
	rcvAdv     wire.Seq // right edge of the window advertised, never moves back
	lastAcked  wire.Seq // Last.ACK.sent (RFC 7323, 4.3)
	rcvFIN     wire.Seq // where the peer's FIN stands, if hasFIN
	ranges     rangeSet // received beyond rcvNxt
	recent     [4]span  // of those, the most recent first (RFC 2018, 4)
	rcvMSS     int      // the largest payload seen: what a full segment is
	tsRecent   uint32
	tsRecentAt clock.Instant
	maxOffered int // the largest window the upper ever offered

	ackPushed    int // small or pushed segments since the last ACK, for reads; at most 2
	lastSegLen   int // payload and options of the last one below rcvMSS
	ato          time.Duration
	quickACKs    int // ACKs that go out at once, at the start and after disorder
	lastDataRecv clock.Instant
	lastOOW      clock.Instant // last ACK for a segment out of window
	oowSent      bool
	ackNow       bool // the segment at hand is acknowledged at once
	pingpong     bool
	holdACK      bool // of the SYN/ACK: data is about to follow
	hasTS        bool
	hasFIN       bool
	finArrived   bool
}

// owed says what Output has to write besides retransmissions.
type owed struct {
	syn      bool
	rst      bool // ours: the connection is aborted
	rstFlags wire.Flags
	stray    bool // RST that answers a segment that fits nothing
	straySeq wire.Seq
	acks     int // pure ACKs
	probe    bool
	tlp      bool // retransmit the last segment as a probe
	dsacks   [4]span
	numDSACK int
	// blocks are the SACK blocks, each by a number in it, that the pure ACKs owed
	// begin with in turn, at most maxOwedACKs: those from nextBlock on.
	blocks    []wire.Seq
	nextBlock int
	closed    bool // Event(Closed) has been said
}

// counters are what Info shows and nothing here depends on.
type counters struct {
	bytesSent, bytesRetrans   uint64
	bytesAcked, bytesReceived uint64

	// Segments, as wide as Linux has them.
	segsIn, segsOut         uint32
	totalRetrans            uint32
	dsackDups, reordSeen    uint32
	delivered, deliveredCE  uint32
	dataSegsIn, dataSegsOut uint32
	rcvOutOfOrder           uint32
	rtos                    uint32
}

// The timers of a connection.
const (
	timerRTO     = iota // also SYN and SYN/ACK
	timerTLP            // RFC 8985, 7
	timerReorder        // RFC 8985, 6.3
	timerDelACK
	timerPersist
	timerKeepalive
	timerLinger // TIME-WAIT and orphans in FIN-WAIT-2
	timerPace
	numTimers
)

// SndNxt returns the ssn of the next new byte.
func (c *Conn) SndNxt() wire.Seq { return c.sndNxt }

// SndUna returns the ssn of the first byte that is not acknowledged.
func (c *Conn) SndUna() wire.Seq { return c.sndUna }

// RcvNxt returns the peer's ssn that is expected next.
func (c *Conn) RcvNxt() wire.Seq { return c.rcvNxt }

// SndWndEnd returns the right edge of the peer's window as the peer said it on
// this connection, as an ssn of ours.
func (c *Conn) SndWndEnd() wire.Seq { return c.sndUna.Add(c.sndWnd) }

// ISS returns our initial sequence number, as on the wire.
func (c *Conn) ISS() wire.Seq { return c.iss }

// IRS returns the peer's initial sequence number, as on the wire.
func (c *Conn) IRS() wire.Seq { return c.irs }

// Flow returns what congestion control sees of the connection.
func (c *Conn) Flow() *cc.Flow { return &c.flow }

// State returns the state of the connection.
func (c *Conn) State() State { return c.state }

// Err returns why the connection ended, or the last soft ICMP error; nil after
// an orderly close.
func (c *Conn) Err() error {
	if c.err != nil {
		return c.err
	}
	return c.softErr
}

// SRTT returns the smoothed round-trip time; 0 before the first sample.
func (c *Conn) SRTT() time.Duration { return c.rtt.smoothed() }

// ProbesOut returns the probes of a window or of life since the last ACK.
func (c *Conn) ProbesOut() int { return c.probesOut }

// WindowUnit returns how many bytes a unit of the window field stands for in what
// we send, SYNs apart.
func (c *Conn) WindowUnit() int { return 1 << c.rcvScale }

// ExpiredRTO returns the retransmission timeout that expired last, with the
// back-off that it had, and the back-off since.
func (c *Conn) ExpiredRTO() (rto time.Duration, backoff int) { return c.expiredRTO, c.backoff }

// LastRetransmit returns what went out again last: n bytes at ssn (a FIN has none).
func (c *Conn) LastRetransmit() (ssn wire.Seq, n int) { return c.lastRetrans, c.lastRetransLen }

// InFlight returns the segments that are believed to be in the network: sent,
// and neither acknowledged nor SACKed nor lost ("pipe" of RFC 6675, 4).
func (c *Conn) InFlight() int { return c.board.pipe() }

// Deadline says when Advance is needed next; after Advance(now) and a complete
// drain it is later than now.
func (c *Conn) Deadline() clock.Instant { return c.timers.Next() }
