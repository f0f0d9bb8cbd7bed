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
// a tail loss probe (see extendRTO), and its segments end at mappings, not at chunks. Every ICMP
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
	AsLinux           bool          // also where RFC 5961, 8985, 9406 and 9438 have it otherwise
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
	MTUProbing        MTUProbing    // tcp_mtu_probing
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
	NoPMTUD           bool          // IP_PMTUDISC_DONT: a packet that is too big goes again at the timeout only
	NotSentLowat      int           // TCP_NOTSENT_LOWAT; 0: no bound
	TTL               uint8         // 0 is 64
	TOS               uint8
	Mark              uint32 // SO_MARK: for show, nothing filters by it
}

// Params is what distinguishes one connection from another.
type Params struct {
	Config        *Config
	Local, Remote netip.AddrPort

	OwnLocal, OwnRemote *netip.AddrPort // the same, where the owner keeps them; nil: they are copied

	ISS        wire.Seq // by RFC 6528, chosen by the stack
	TSOffset   uint32   // added to the timestamp clock (milliseconds)
	MTU        int      // of the link: MSS = MTU - 40 or - 60
	Family     cc.Family
	Scratch    *Scratch // shared by all connections of a stack; nil: its own
	FastOpen   FastOpen
	SYNOptions int // octets of options that the upper adds to SYN or SYN/ACK
}

// Scratch is what connections of one stack need only while they are at work, and what
// most of them have in common: an idle one is smaller without. The zero value is ready.
type Scratch struct {
	out       wire.Segment // the segment being written
	sample    cc.Sample
	raw       Config // the last that a connection was told
	completed *Config
}

// config returns cfg with defaults, the same as before for the same.
func (s *Scratch) config(cfg *Config) *Config {
	var raw Config
	if cfg != nil {
		raw = *cfg
	}
	if s.completed == nil || s.raw != raw {
		c := raw.withDefaults()
		s.raw, s.completed = raw, &c
	}
	return s.completed
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
	State                  State         `json:"tcpi_state"`
	CAState                cc.State      `json:"tcpi_ca_state"`
	Retransmits            int           `json:"tcpi_retransmits"` // consecutive, of the oldest segment
	Probes                 int           `json:"tcpi_probes"`      // of a window or of life, unanswered
	Backoff                int           `json:"tcpi_backoff"`
	RTO                    time.Duration `json:"tcpi_rto_ns"`
	ATO                    time.Duration `json:"tcpi_ato_ns"`
	SndMSS                 int           `json:"tcpi_snd_mss"`
	RcvMSS                 int           `json:"tcpi_rcv_mss"`
	Unacked                int           `json:"tcpi_unacked"` // segments
	Sacked                 int           `json:"tcpi_sacked"`  // segments
	Lost                   int           `json:"tcpi_lost"`    // segments
	Retrans                int           `json:"tcpi_retrans"` // segments in flight again
	RTT                    time.Duration `json:"tcpi_rtt_ns"`
	RTTVar                 time.Duration `json:"tcpi_rttvar_ns"`
	MinRTT                 time.Duration `json:"tcpi_min_rtt_ns"`
	RcvRTT                 time.Duration `json:"tcpi_rcv_rtt_ns"`   // as the receiver estimates it
	RcvSpace               int           `json:"tcpi_rcv_space"`    // what the application read in such a time
	SndSSThresh            int           `json:"tcpi_snd_ssthresh"` // segments
	SndCwnd                int           `json:"tcpi_snd_cwnd"`     // segments
	RcvSSThresh            int           `json:"tcpi_rcv_ssthresh"`
	Reordering             int           `json:"tcpi_reordering"` // segments
	PMTU                   int           `json:"tcpi_pmtu"`
	TotalRetrans           uint64        `json:"tcpi_total_retrans"` // segments
	TotalRTO               uint64        `json:"tcpi_total_rto"`     // timeouts
	PacingRate             uint64        `json:"tcpi_pacing_rate"`   // bytes/s
	DeliveryRate           uint64        `json:"tcpi_delivery_rate"` // bytes/s
	DeliveryRateAppLimited bool          `json:"tcpi_delivery_rate_app_limited"`
	BytesSent              uint64        `json:"tcpi_bytes_sent"` // payload, with retransmissions
	BytesRetrans           uint64        `json:"tcpi_bytes_retrans"`
	BytesAcked             uint64        `json:"tcpi_bytes_acked"`
	BytesReceived          uint64        `json:"tcpi_bytes_received"`
	NotSentBytes           int           `json:"tcpi_notsent_bytes"`
	SegsOut                uint64        `json:"tcpi_segs_out"`
	SegsIn                 uint64        `json:"tcpi_segs_in"`
	DataSegsOut            uint64        `json:"tcpi_data_segs_out"`
	DataSegsIn             uint64        `json:"tcpi_data_segs_in"`
	Delivered              uint64        `json:"tcpi_delivered"`         // segments
	DeliveredCE            uint64        `json:"tcpi_delivered_ce"`      // segments with a congestion mark
	BusyTime               time.Duration `json:"tcpi_busy_time_ns"`      // with something to send
	RwndLimited            time.Duration `json:"tcpi_rwnd_limited_ns"`   // of that held by the peer's window
	SndbufLimited          time.Duration `json:"tcpi_sndbuf_limited_ns"` // of that held by the send buffer
	DSACKDups              uint64        `json:"tcpi_dsack_dups"`
	ReordSeen              uint64        `json:"tcpi_reord_seen"`
	RcvOOOPack             uint64        `json:"tcpi_rcv_ooopack"` // segments that arrived out of order
	SndWnd                 int           `json:"tcpi_snd_wnd"`
	RcvWnd                 int           `json:"tcpi_rcv_wnd"`
	LastDataSent           time.Duration `json:"tcpi_last_data_sent_ns"` // since
	LastDataRecv           time.Duration `json:"tcpi_last_data_recv_ns"`
	LastAckRecv            time.Duration `json:"tcpi_last_ack_recv_ns"`

	Options   uint8 `json:"tcpi_options"`              // TCPI_OPT_*: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 SYN data was acknowledged
	TFOFail   uint8 `json:"tcpi_fastopen_client_fail"` // 1 there was no cookie, 2 the data was not acknowledged, 3 after the SYN had been repeated
	SndWScale uint8 `json:"tcpi_snd_wscale"`
	RcvWScale uint8 `json:"tcpi_rcv_wscale"`
	AdvMSS    int   `json:"tcpi_advmss"`
}
