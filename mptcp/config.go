package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
)

// Config is what a scenario says about a socket and a result repeats: plain
// data; zero is the default.
type Config struct {
	TCP      tcp.Config
	PlainTCP bool // a TCP socket: no MPTCP option is ever sent

	Scheduler                   string        // "" is minrtt
	ChecksumEnabled             bool          // net.mptcp.checksum_enabled
	FastCloseACK                bool          // Abort: MP_FASTCLOSE on an ACK (RFC 8684, 3.5, option A), not on RSTs as in Linux
	DenyJoinInitial             bool          // allow_join_initial_addr_port=0: flag C
	DataAckOnAdvance            bool          // segments with data carry a DATA_ACK only if it or the window moves (RFC 8684, 3.3.2); Linux: all do
	RemoveAddrKeepalive         bool          // on REMOVE_ADDR ask the subflow by a keepalive, and close it only if it is silent
	AddAddrTimeout              time.Duration // 0 is 120 s; negative: none is sent again
	CloseTimeout                time.Duration // 0 is 60 s
	StaleLossCount              int           // 0 is 4
	ResetLossCount              int           // a subflow is reset after that many expiries in a row while another works; 0: never, as in Linux
	SYNRetriesBeforeTCPFallback int           // 0 is 2; negative: none, only the first SYN; 128 or more: all

	Backlog          int          // of a listener: how many connections wait for Accept; 0 is SOMaxConn, negative: none
	ReusePort        bool         // SO_REUSEPORT: several listeners may have one address
	FastOpenQueue    int          // TCP_FASTOPEN of a listener: how many connections may be open before their third ACK
	FastOpenNoCookie bool         // TCP_FASTOPEN_NO_COOKIE
	FastOpenKeys     FastOpenKeys // TCP_FASTOPEN_KEY
	DeferAccept      int          // TCP_DEFER_ACCEPT of a listener: a third ACK without data counts after so many repetitions of the SYN/ACK

	SendBuffer    int // bytes; 0 grows by need to SendBufferMax. Fixed, a plain stream's holds what Linux's does (tcp.Conn.Memory)
	SendBufferMax int // bytes; 0 is as much as the receive buffer
	RecvBuffer    int // bytes of payload, a fixed window; 0 grows by need to RecvBufferMax
	RecvBufferMax int // bytes; 0 is 6 MiB (tcp_rmem)

	OpportunisticRetransmission bool
	Penalization                bool
}

// HostConfig is what a scenario says about a host's stack.
type HostConfig struct {
	Default     Config
	PathManager string // kernel (default), fullmesh, ndiffports, single-path, userspace
	Endpoints   []pm.Endpoint
	Limits      pm.Limits
	Sysctl      Sysctl

	SubflowsPerPair int           // fullmesh, ndiffports: 0 is 1
	BringUp         time.Duration // single-path: how long the next path takes to come up
	JoinDelay       time.Duration // subflows are opened after a random time up to that (RFC 8684, 3.9.2); 0: at once, as by Linux
}

// Link is one of a host's interfaces as its stack sees it.
type Link struct {
	Name     string         // the interface: "wifi"
	Prefixes []netip.Prefix // own addresses with their prefix length
	Routes   []Route
	MTU      int // 0 is 1500
	Up       bool
}

// Route is one route over a link. A stack looks a route up by source address
// first: the links that own the source, then by longest prefix, then Metric.
type Route struct {
	Prefix  netip.Prefix
	Gateway netip.Addr // invalid: on link
	Metric  int
}

// Env is what a machine may not take by itself.
type Env struct {
	Host  HostConfig
	Links []Link       // LinkID is the index
	Seed  [32]byte     // every draw is PRF(seed, purpose, connection, ordinal)
	Trace trace.Tracer // nil: none
}
