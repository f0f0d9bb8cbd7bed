package mptcp

import (
	"net/netip"
	"sort"

	"mptcplab/mptcp/clock"
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

// Info returns the state of the connection and its subflows, the closed ones
// included, in the order of their ordinals.
func (c *Conn) Info(now clock.Instant) Info {
	in := Info{
		Token: c.token, MPTCP: c.speech == multipath,
		Fallback: c.fallbackReason != "", FallbackReason: c.fallbackReason,
		Checksum:  c.checksum && c.speech == multipath,
		BytesSent: c.stats.sent, BytesAcked: c.stats.acked, BytesReceived: c.recv.nxt,
		Reinjected: c.stats.reinjected, Duplicate: c.stats.duplicate,
		SndBuf: c.send.limit, RcvBuf: c.recv.limit,
		SndWnd: c.windowLeft(), RcvWnd: int(c.recv.edge - c.recv.nxt),
	}
	in.Subflows = append(in.Subflows, c.ended...)
	for _, sf := range c.subflows {
		if sf.stage != ended {
			in.Subflows = append(in.Subflows, sf.info(now))
		}
	}
	sort.Slice(in.Subflows, func(i, j int) bool { return in.Subflows[i].ID < in.Subflows[j].ID })
	for i := range in.Subflows {
		in.BytesRetrans += in.Subflows[i].TCP.BytesRetrans
	}
	return in
}

func (sf *subflow) info(now clock.Instant) SubflowInfo {
	return SubflowInfo{
		ID: sf.id, Local: sf.local, Remote: sf.remote, LocalID: sf.localID, RemoteID: sf.remoteID,
		Link: sf.link, Backup: sf.backup || sf.peerBackup, Stale: sf.stale,
		Established: sf.isEstablished, Closed: sf.over, CloseReason: sf.reason,
		Reinjected: sf.reinjected, TCP: sf.tcp.Info(now),
	}
}
