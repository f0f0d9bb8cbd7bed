package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/machine"
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
	DenyJoinInitial             bool          // allow_join_initial_addr_port=0: flag C
	AddAddrTimeout              time.Duration // 0 is 120 s
	CloseTimeout                time.Duration // 0 is 60 s
	StaleLossCount              int           // 0 is 4
	SYNRetriesBeforeTCPFallback int           // 0 is 2; negative: never

	SendBuffer    int // bytes; 0 grows by need to SendBufferMax
	SendBufferMax int // bytes; 0 is 4 MiB (tcp_wmem)
	RecvBuffer    int // bytes of payload, a fixed window; 0 grows by need to RecvBufferMax
	RecvBufferMax int // bytes; 0 is 6 MiB (tcp_rmem)

	OpportunisticRetransmission bool
	Penalization                bool
}

// HostConfig is what a scenario says about a host's stack.
type HostConfig struct {
	Default     Config
	PathManager string // kernel (default), fullmesh
	Endpoints   []pm.Endpoint
	Limits      pm.Limits
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

/*
The stack's API:

	func New(env Env) *Stack                                          // *Stack is a machine.Machine on IP packets
	func (s *Stack) SetLink(now, machine.LinkID, Link) error          // emits LinkUp and LinkDown to the path manager
	func (s *Stack) Dial(now, *Config, laddr, raddr netip.AddrPort) (*Conn, error) // laddr may be zero or have port 0
	func (s *Stack) Listen(*Config, laddr netip.AddrPort) (*Listener, error)
	func (l *Listener) Accept() (*Conn, bool); Close()
	func (s *Stack) NextEvent() (Ready, bool)                         // FIFO of connections and listeners with news
	func (s *Stack) Counters() *Counters
	func (s *Stack) AddEndpoint(now, pm.Endpoint) (id uint8, err error); DeleteEndpoint(now, id); ChangeEndpoint(now, id, flags); FlushEndpoints(now); SetLimits(pm.Limits); Endpoints() []pm.Endpoint
	func (s *Stack) Conns() []*Conn

	func (c *Conn) Read(p) (int, error)       // ErrWouldBlock, io.EOF, or the error that ended it
	func (c *Conn) Write(p, more bool) (int, error)
	func (c *Conn) Peek() []byte; Discard(n)
	func (c *Conn) CloseWrite() error; Close(); Abort()
	func (c *Conn) Established() bool; Err() error; Done() bool // Done: closed on both sides, nothing owed
	func (c *Conn) LocalAddr, RemoteAddr; Token() uint32; Ordinal() uint32
	func (c *Conn) Info(now) Info
*/
var _ machine.LinkID

// Info is what ss -M and MPTCP_FULL_INFO show of a connection.
type Info struct {
	Token          uint32
	MPTCP          bool   // speaks MPTCP now
	Fallback       bool   // an end asked for MPTCP and this is plain TCP
	FallbackReason string // "" unless Fallback
	Checksum       bool
	BytesSent      uint64 // stream bytes handed to subflows for the first time
	BytesAcked     uint64 // DATA_ACKed (plain TCP: acknowledged)
	BytesReceived  uint64 // in order
	BytesRetrans   uint64 // on subflows
	Reinjected     uint64 // bytes mapped again on another subflow
	Duplicate      uint64 // bytes received more than once at connection level
	SndBuf, RcvBuf int
	SndWnd, RcvWnd int
	Subflows       []SubflowInfo
}

// SubflowInfo is what is known of one subflow, also of one that is closed.
type SubflowInfo struct {
	ID                int
	Local, Remote     netip.AddrPort
	LocalID, RemoteID uint8
	Link              machine.LinkID
	Backup            bool // we or the peer asked for backup
	Stale             bool
	Established       bool
	Closed            bool
	CloseReason       string
	Reinjected        uint64 // bytes of other subflows' data mapped again on this one
	TCP               tcp.Info
}
