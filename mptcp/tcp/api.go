// Package tcp is one TCP connection (RFC 9293, 7323, 2018, 2883, 3168, 5681, 5682,
// 5961, 6298, 6582, 6937, 8985), as an MPTCP subflow or alone. It holds no payload and
// reads no clock; what it carries is behind Upper.
//
// # How it works
//
// Segment takes what arrives, Advance what time brings; both only record what is
// owed. Output writes it, one packet a call: SYN, ACKs, repairs, probes, FIN, RST.
// New data goes when the owner asks Room and calls Send, so that an MPTCP
// scheduler decides at the last moment which connection carries which bytes.
//
// The sender keeps a scoreboard of runs (runs.go) in two orders: by sequence
// number for ACKs and by transmission for RACK. From an ACK follow, in this
// order (ack.go): the window, what it delivers, the round-trip time, what is lost
// (rack.go, or duplicate ACKs where the peer has no SACK), the state of recovery
// (recovery.go, with Linux's five states), and cwnd, by PRR or the controller.
//
// What a plain stream has written and not sent stands in a queue of buffers as
// Linux would have them (writequeue.go): they say where PSH goes and what Nagle's
// algorithm and TSO hold back.
//
// # Where it differs
//
// Decisions, times and their order are Linux 6.18's, checked by running the same
// scripts on both (mptcp/drill). Unlike it, a subflow does not restart the RTO at
// a tail loss probe (see extendRTO), it has no step 2.b of F-RTO, for its new data
// is the scheduler's, and its segments end at mappings, not at chunks. Every ICMP
// error but a refusal in SYN-SENT is a hint. There is no urgent data.
package tcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/wire"
)

// Config is what one connection is told; zero values are the defaults.
type Config struct {
	CongestionControl string        // "" is cubic
	InitialCwnd       int           // segments; 0 is 10 (RFC 6928)
	RTOMin            time.Duration // 0 is 200 ms (Linux): RTO = SRTT + max(4 RTTVAR, RTOMin)
	RTOMax            time.Duration // 0 is 120 s (Linux)
	SYNRetries        int           // 0 is 6 (tcp_syn_retries); negative: none
	SYNACKRetries     int           // 0 is 5
	SYNLinearTimeouts int           // so many SYNs more, and without back-off (Linux since 6.5: 4)
	Retries2          int           // 0 is 15 (tcp_retries2)
	NoIdleRestart     bool          // tcp_slow_start_after_idle=0: cwnd stays after idle times
	NoSACK            bool
	NoTimestamps      bool
	NoWindowScaling   bool
	WScale            int           // shift to offer; 0 derives it from the receive buffer bound MaxWindow
	MaxWindow         int           // largest receive window in bytes ever to advertise; 0 is 6 MiB
	NoDelay           bool          // TCP_NODELAY
	Cork              bool          // TCP_CORK: a partial segment waits for more; of plain streams
	ECN               ECNMode       // tcp_ecn
	NoFRTO            bool          // tcp_frto=0
	Reordering        int           // 0 is 3 (tcp_reordering): duplicate ACKs before loss is assumed, segments
	MinTSOSegs        int           // 0 is 2 (tcp_min_tso_segs): the least segments of a chunk
	TSOWinDivisor     int           // 0 is 3 (tcp_tso_win_divisor): a chunk waits for that part of the window
	KeepaliveIdle     time.Duration // 0: no keepalive
	KeepaliveInterval time.Duration // 0 is 75 s
	KeepaliveProbes   int           // 0 is 9
	UserTimeout       time.Duration // 0: none (TCP_USER_TIMEOUT)
	TimeWait          time.Duration // 0 is 60 s (Linux)
	FinTimeout        time.Duration // 0 is 60 s (tcp_fin_timeout), for orphans in FIN-WAIT-2
	MaxSeg            int           // TCP_MAXSEG: bounds the MSS we announce and that of the peer; 0: no bound
	TTL               uint8         // 0 is 64
	TOS               uint8
	Mark              uint32 // SO_MARK: for show, nothing filters by it
}

// Params is what distinguishes one connection from another.
type Params struct {
	Config        *Config
	Local, Remote netip.AddrPort
	ISS           wire.Seq // by RFC 6528, chosen by the stack
	TSOffset      uint32   // added to the timestamp clock (milliseconds)
	MTU           int      // of the link: MSS = MTU - 40 or - 60
	Family        cc.Family
	FastOpen      FastOpen
	SYNOptions    int // octets of options that the upper adds to SYN or SYN/ACK
}

// State is a state of the TCP state machine (RFC 9293, 3.3.2), with the numbers of Linux.
type State uint8

// The states.
const (
	StateEstablished State = iota + 1
	StateSYNSent
	StateSYNReceived
	StateFINWait1
	StateFINWait2
	StateTimeWait
	StateClosed
	StateCloseWait
	StateLastAck
	StateListen
	StateClosing
)

// Info is what tcp_info shows, under its names, in Go spelling. Times are
// durations, sizes bytes unless a comment says segments.
type Info struct {
	State                  State
	CAState                cc.State
	Retransmits            int // consecutive, of the oldest segment
	Probes                 int // of a window or of life, unanswered
	Backoff                int
	RTO, ATO               time.Duration
	SndMSS, RcvMSS         int
	Unacked                int // segments
	Sacked                 int // segments
	Lost                   int // segments
	Retrans                int // segments in flight again
	RTT, RTTVar            time.Duration
	MinRTT                 time.Duration
	RcvRTT                 time.Duration // as the receiver estimates it
	RcvSpace               int           // what the application read in such a time
	SndSSThresh            int           // segments
	SndCwnd                int           // segments
	RcvSSThresh            int
	Reordering             int // segments
	PMTU                   int
	TotalRetrans           uint64 // segments
	TotalRTO               uint64 // timeouts
	PacingRate             uint64 // bytes/s
	DeliveryRate           uint64 // bytes/s
	DeliveryRateAppLimited bool
	BytesSent              uint64 // payload, with retransmissions
	BytesRetrans           uint64
	BytesAcked             uint64
	BytesReceived          uint64
	NotSentBytes           int
	SegsOut, SegsIn        uint64
	DataSegsOut            uint64
	DataSegsIn             uint64
	Delivered              uint64        // segments
	DeliveredCE            uint64        // segments with a congestion mark
	BusyTime               time.Duration // with something to send
	RwndLimited            time.Duration // of that held by the peer's window
	SndbufLimited          time.Duration // of that held by the send buffer
	DSACKDups              uint64
	ReordSeen              uint64
	RcvOOOPack             uint64 // segments that arrived out of order
	SndWnd, RcvWnd         int
	LastDataSent           time.Duration // since
	LastDataRecv           time.Duration
	LastAckRecv            time.Duration

	Options              uint8 // TCPI_OPT_*: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 SYN data was acknowledged
	SndWScale, RcvWScale uint8
	AdvMSS               int
}
