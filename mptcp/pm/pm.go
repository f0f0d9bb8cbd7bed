// Package pm holds path managers: events in, actions out, in the vocabulary of
// the kernel's mptcp_pm netlink family and of mptcpd. There is one manager per
// stack, as endpoints and limits are per stack.
//
// Kernel is the in-kernel path manager of Linux 6.18, with its endpoints, flags and
// limits; fullmesh, ndiffports and single-path are other policies over the same
// endpoints. Userspace leaves the decisions to who reads the events and gives
// commands.
package pm

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
)

// EndpointFlags are the flags of an endpoint, in the words of ip-mptcp(8).
type EndpointFlags uint16

// The flags.
const (
	Signal EndpointFlags = 1 << iota
	Subflow
	Backup
	Fullmesh
	Implicit
	Laminar
)

// Endpoint is an address that the stack may use for subflows or announce.
type Endpoint struct {
	ID    uint8 // 0: the manager assigns one
	Addr  netip.Addr
	Port  uint16 // only with Signal
	Dev   string // name of the link, for show
	Flags EndpointFlags
}

// Limits are the kernel's limits.
type Limits struct {
	Subflows        int // additional subflows per connection
	AddAddrAccepted int
}

// Config is what a path manager is made of.
type Config struct {
	Name            string // "" or kernel, fullmesh, ndiffports, single-path, userspace
	Endpoints       []Endpoint
	Limits          Limits
	SubflowsPerPair int                  // fullmesh, ndiffports; 0 is 1
	BringUp         time.Duration        // single-path: how long the next path takes to come up
	JoinAt          func() clock.Instant // when a subflow that is decided on is opened; nil: at once, as by Linux
}

// EventKind says what happened.
type EventKind uint8

// The events (mptcp_pm.yaml), and those below the line, which are the stack's own
// and no monitor shows.
const (
	Created     EventKind = iota + 1 // first subflow, handshake begun
	Established                      // fully established: joins are possible now
	ConnClosed
	Announced      // ADD_ADDR received: Remote (port 0: none said), RemoteID
	Removed        // REMOVE_ADDR received: RemoteID
	SubEstablished // Path, Local, Remote, LocalID, RemoteID, Backup
	SubClosed      // Path ..., ResetReason, ResetFlags, Err
	SubPriority
	ListenerCreated // Local
	ListenerClosed  // Local

	SubBegun         // Path: the SYN that an action asked for goes out
	SubFailed        // it could not: Err
	Fallen           // the connection is plain TCP: it has one subflow, for good
	SubStale         // Path: nothing came through for a while
	AnnounceSent     // our ADD_ADDR went out: LocalID
	AnnounceEchoed   // and was echoed
	AnnounceRepeated // for the last time, without echo
	LinkUp           // Local became usable
	LinkDown         // Local is gone
)

// Event is what a manager is told. Token names the connection.
type Event struct {
	Kind              EventKind
	Token             uint32
	Path              int // ordinal of the subflow; -1: none
	Local, Remote     netip.AddrPort
	LocalID, RemoteID uint8
	Backup            bool // the peer asked for it
	ServerSide        bool
	DenyJoinID0       bool // the peer set C in MP_CAPABLE
	V4Only            bool // Established: an IPv4 socket, which takes no IPv6 subflow
	ResetReason       uint8
	ResetFlags        uint8
	Reset             bool  // ResetReason and ResetFlags count: MP_TCPRST came
	Err               Errno // of a subflow that failed; 0: none
}

// ActionKind says what the stack is to do.
type ActionKind uint8

// The actions.
const (
	Announce       ActionKind = iota + 1 // send ADD_ADDR: Local, LocalID
	Remove                               // send REMOVE_ADDR: LocalID
	SubflowCreate                        // MP_JOIN from Local (invalid: as the route says; port 0: any) to Remote
	SubflowDestroy                       // Path: close it
	SetBackup                            // Path, Backup: MP_PRIO
)

// Action is what a manager wants.
type Action struct {
	Kind              ActionKind
	Token             uint32
	Path              int
	Local, Remote     netip.AddrPort
	LocalID, RemoteID uint8
	Backup            bool
}

// Manager decides on subflows and announcements.
type Manager interface {
	Handle(now clock.Instant, e Event)
	Advance(now clock.Instant)
	Next() (Action, bool)
	Deadline() clock.Instant

	// Accept reserves a subflow that the peer opened; false: it is refused.
	Accept(token uint32) bool
	// LocalID returns the address id of one of our addresses in a connection.
	LocalID(token uint32, a netip.AddrPort) (uint8, error)
	// Backup reports whether subflows from the address are for backup.
	Backup(token uint32, a netip.AddrPort) bool
	// Tally counts what a connection has used of the limits.
	Tally(token uint32) Tally
}

// queue holds the actions that wait for the stack.
type queue struct {
	actions []Action
	head    int
}

func (q *queue) do(a Action) { q.actions = append(q.actions, a) }

// Next implements Manager.
func (q *queue) Next() (Action, bool) {
	if q.head == len(q.actions) {
		q.actions, q.head = q.actions[:0], 0
		return Action{}, false
	}
	q.head++
	return q.actions[q.head-1], true
}
