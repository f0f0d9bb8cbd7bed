// Package pm holds path managers: events in, actions out, in the vocabulary of
// the kernel's mptcp_pm netlink family and of mptcpd. There is one manager per
// stack, as endpoints and limits are per stack.
package pm

import (
	"net/netip"

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
	ID    uint8 // 0: the manager assigns the lowest free one
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

// EventKind says what happened.
type EventKind uint8

// The events (mptcp_pm.yaml).
const (
	Created     EventKind = iota + 1 // first subflow, handshake begun
	Established                      // fully established: joins are possible now
	ConnClosed
	Announced      // ADD_ADDR received: Remote, RemoteID
	Removed        // REMOVE_ADDR received: RemoteID
	SubEstablished // Path, Local, Remote, LocalID, RemoteID, Backup
	SubClosed      // Path ...
	SubPriority
	AnnounceEchoed // our ADD_ADDR was echoed: LocalID
	LinkUp         // Local became usable
	LinkDown       // Local is gone
)

// Event is what a manager is told. Token names the connection.
type Event struct {
	Kind              EventKind
	Token             uint32
	Path              int // ordinal of the subflow; -1: none
	Local, Remote     netip.AddrPort
	LocalID, RemoteID uint8
	Backup            bool
	ServerSide        bool
	DenyJoinID0       bool // the peer set C in MP_CAPABLE
	Err               int  // errno of a failed action; 0: none
}

// ActionKind says what the stack is to do.
type ActionKind uint8

// The actions.
const (
	Announce       ActionKind = iota + 1 // send ADD_ADDR: Local, LocalID
	Remove                               // send REMOVE_ADDR: LocalID
	SubflowCreate                        // MP_JOIN from Local (port 0: any) to Remote
	SubflowDestroy                       // Path: close it
	SetBackup                            // Path, Backup: MP_PRIO
	ListenerCreate                       // for a signalled port: Local
	ListenerDestroy
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
	Handle(now clock.Instant, e Event) error
	Advance(now clock.Instant)
	Next() (Action, bool)
	Deadline() clock.Instant
}
