// Package trace is one stream of typed events from the stack. Logs, event files,
// time series and golden tests are readers of that stream; the stack itself has
// no logger. An event is a flat struct, handed over by value: tracing allocates
// nothing.
package trace

import (
	"net/netip"

	"mptcplab/mptcp/clock"
)

// Kind says what happened; its String is the name in events.ndjson.
type Kind uint8

// The kinds of events. The comment names the fields of Event that count beside
// At, Kind, Conn and Path.
const (
	_                  Kind = iota
	ConnCreated             // Local, Remote, Token; Flag: we connect (else: accepted)
	MPTCPEstablished        // Token, A: local key, B: remote key, C: local IDSN, D: remote IDSN
	Fallback                // Text: reason
	SubflowCreated          // Local, Remote, A: local address id, B: remote address id, Flag: backup
	SubflowEstablished      // Local, Remote, A: SRTT in ns
	SubflowClosed           // Text: reason (fin, rst, timeout, remove_addr, ...)
	SubflowBackup           // Flag: is backup now; Text: local or peer
	RTOExpired              // A: RTO in ns that expired, B: back-off count, C: SRTT in ns
	RecoveryEntered         // A: cwnd in bytes, B: ssthresh in bytes
	RecoveryLeft            // A: cwnd in bytes
	Retransmitted           // A: ssn, N: bytes
	Mapped                  // a new mapping: A: DSN, B: ssn, N: bytes; Flag: reinjection
	Acked                   // A: DSN up to which everything is DATA_ACKed
	Delivered               // in order to the application's buffer: A: stream offset after it, N: bytes
	AddAddrSent             // Remote: address (port 0: none), A: id, Flag: echo
	AddAddrReceived         // the same
	RemoveAddrSent          // A: id
	RemoveAddrReceived      // A: id
	PrioSent                // Flag: backup
	PrioReceived            // Flag: backup
	FastCloseSent           //
	FastCloseReceived       //
	ResetSent               // A: reason code of MP_TCPRST, Text
	ResetReceived           // A: reason code
	FailSent                // A: DSN
	FailReceived            // A: DSN
	DataFINSent             // A: DSN
	DataFINReceived         // A: DSN
	SubflowStale            // Flag: is stale now
	ConnClosed              // Text: reason
	Dropped                 // a packet: Text: reason (a constant)
	LinkChanged             // A: link, Flag: up
)

// Event is one event. Which fields count depends on Kind.
type Event struct {
	At            clock.Instant
	Kind          Kind
	Conn          uint32 // ordinal of the connection in its stack, from 1; 0: none
	Path          int32  // ordinal of the subflow in its connection, from 0; -1: none
	Token         uint32
	Local, Remote netip.AddrPort
	A, B, C, D    uint64
	N             int
	Flag          bool
	Text          string // a constant: nothing is formatted on the packet path
}

// Tracer reads the stream. The stack calls it while it works: it must not call
// back into the stack.
type Tracer interface{ Trace(e Event) }
