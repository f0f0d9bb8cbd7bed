package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/tcp"
)

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
