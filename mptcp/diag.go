package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
)

// MPTCPInfo is what getsockopt(SOL_MPTCP, MPTCP_INFO) returns: struct mptcp_info of
// Linux, under its names, less their prefix in Go.
type MPTCPInfo struct {
	Subflows           int           `json:"mptcpi_subflows"`        // beside the first
	AddAddrSignal      int           `json:"mptcpi_add_addr_signal"` // addresses announced
	AddAddrAccepted    int           `json:"mptcpi_add_addr_accepted"`
	SubflowsMax        int           `json:"mptcpi_subflows_max"`
	AddAddrSignalMax   int           `json:"mptcpi_add_addr_signal_max"` // endpoints with the flag signal
	AddAddrAcceptedMax int           `json:"mptcpi_add_addr_accepted_max"`
	Flags              InfoFlags     `json:"mptcpi_flags"`
	Token              uint32        `json:"mptcpi_token"`
	WriteSeq           uint64        `json:"mptcpi_write_seq"` // DSN behind the last byte written
	SndUna             uint64        `json:"mptcpi_snd_una"`   // DSN of the first byte not DATA_ACKed
	RcvNxt             uint64        `json:"mptcpi_rcv_nxt"`   // DSN expected next
	LocalAddrUsed      int           `json:"mptcpi_local_addr_used"`
	LocalAddrMax       int           `json:"mptcpi_local_addr_max"` // endpoints with the flag subflow
	CsumEnabled        bool          `json:"mptcpi_csum_enabled"`
	Retransmits        uint          `json:"mptcpi_retransmits"` // of the connection's timer, in a row
	BytesRetrans       uint64        `json:"mptcpi_bytes_retrans"`
	BytesSent          uint64        `json:"mptcpi_bytes_sent"`
	BytesReceived      uint64        `json:"mptcpi_bytes_received"`
	BytesAcked         uint64        `json:"mptcpi_bytes_acked"`
	SubflowsTotal      int           `json:"mptcpi_subflows_total"`
	LastDataSent       time.Duration `json:"mptcpi_last_data_sent_ns"` // since
	LastDataRecv       time.Duration `json:"mptcpi_last_data_recv_ns"`
	LastAckRecv        time.Duration `json:"mptcpi_last_ack_recv_ns"`
}

// InfoFlags are the flags MPTCP_INFO_FLAG_*.
type InfoFlags uint32

// The flags of MPTCPInfo.
const (
	InfoFallback          InfoFlags = 1 << iota // plain TCP by now
	InfoRemoteKeyReceived                       // the peer's key is known
)

// SubflowFlags are the flags MPTCP_SUBFLOW_FLAG_*: what ss prints as tcp-ulp-mptcp
// flags, one letter each.
type SubflowFlags uint16

// The flags of a subflow. REM is what the peer asked for, LOC what we did.
const (
	SubflowMCapRem          SubflowFlags = 1 << iota // M: the peer sent MP_CAPABLE
	SubflowMCapLoc                                   // m
	SubflowJoinRem                                   // J: the peer sent MP_JOIN
	SubflowJoinLoc                                   // j
	SubflowBkupRem                                   // B
	SubflowBkupLoc                                   // b
	SubflowFullyEstablished                          // e: no MP_CAPABLE or MP_JOIN is owed any more
	SubflowConnected                                 // c
	SubflowMapValid                                  // v: the mapping at hand is not used up
)

// String returns the letters of ss, in its order.
func (f SubflowFlags) String() string {
	const letters = "MmJjBbecv"
	var b []byte
	for i := range len(letters) {
		if f&(1<<i) != 0 {
			b = append(b, letters[i])
		}
	}
	return string(b)
}

// SockDiag is one socket as inet_diag shows it and ss prints it.
type SockDiag struct {
	State    string         `json:"state"` // LISTEN, ESTAB, ...
	RecvQ    int            `json:"recv_q"`
	SendQ    int            `json:"send_q"`
	Local    netip.AddrPort `json:"local"`
	Remote   netip.AddrPort `json:"remote"` // invalid: a listener
	Proto    string         `json:"proto"`  // mptcp or tcp, as the socket was opened
	MPTCP    *MPTCPInfo     `json:"mptcp_info,omitempty"`
	Reason   string         `json:"fallback_reason,omitempty"`
	Subflows []SubflowDiag  `json:"subflows,omitempty"` // those that live
}

// SubflowDiag is one subflow: struct mptcp_subflow_info, tcp_info and what ss prints
// as tcp-ulp-mptcp.
type SubflowDiag struct {
	ID                int            `json:"id"` // subflow_id: an ordinal, from 0 here
	State             string         `json:"state"`
	Local             netip.AddrPort `json:"local"`
	Remote            netip.AddrPort `json:"remote"`
	Dev               string         `json:"dev,omitempty"`
	Mark              uint32         `json:"mark,omitempty"` // SO_MARK
	Flags             SubflowFlags   `json:"-"`
	FlagLetters       string         `json:"flags,omitempty"` // Flags as ss prints them
	TokenLoc          uint32         `json:"token_loc,omitempty"`
	TokenRem          uint32         `json:"token_rem,omitempty"`
	IDLoc             uint8          `json:"id_loc"`
	IDRem             uint8          `json:"id_rem"`
	MapSeq            uint64         `json:"map_seq,omitempty"`    // DSN of the mapping at hand
	MapSSN            uint32         `json:"map_sfseq,omitempty"`  // its subflow sequence number
	SSNOffset         uint32         `json:"ssn_offset,omitempty"` // IRS: ssn = sequence number - that
	MapLen            int            `json:"map_len,omitempty"`
	Stale             bool           `json:"stale,omitempty"`
	CongestionControl string         `json:"congestion"`
	TCP               tcp.Info       `json:"tcp_info"`
}

// Diag returns every socket of the stack: listeners, then connections, each in the
// order of their making.
func (s *Stack) Diag(now clock.Instant) []SockDiag {
	var all []SockDiag
	for _, l := range s.listening {
		d := SockDiag{State: "LISTEN", RecvQ: l.backlog.len(), SendQ: l.backlogMax(), Local: l.addr, Proto: proto(&l.cfg)}
		all = append(all, d)
	}
	for _, c := range s.conns {
		if !c.done {
			all = append(all, c.Diag(now))
		}
	}
	return all
}

func proto(cfg *Config) string {
	if cfg.PlainTCP {
		return "tcp"
	}
	return "mptcp"
}

// Diag returns the connection as ss shows it.
func (c *Conn) Diag(now clock.Instant) SockDiag {
	d := SockDiag{
		State: c.CloseState(), RecvQ: c.readable(), SendQ: c.Unacked(),
		Local: c.laddr, Remote: c.raddr, Proto: proto(c.cfg), Reason: c.fallbackReason,
	}
	if !c.cfg.PlainTCP {
		in := c.MPTCPInfo(now)
		d.MPTCP = &in
	}
	for _, sf := range c.subflows {
		if sf.stage != ended {
			d.Subflows = append(d.Subflows, sf.diag(now))
		}
	}
	return d
}

// MPTCPInfo returns what MPTCP_INFO tells of the connection.
func (c *Conn) MPTCPInfo(now clock.Instant) MPTCPInfo {
	s := c.stack
	k := s.pm.Tally(c.token)
	in := MPTCPInfo{
		Subflows: k.Subflows, AddAddrSignal: k.AddAddrSignal, AddAddrAccepted: k.AddAddrAccepted, LocalAddrUsed: k.LocalAddrUsed,
		SubflowsMax: s.endpoints.Limits().Subflows, AddAddrAcceptedMax: s.endpoints.Limits().AddAddrAccepted,
		Token: c.token, CsumEnabled: c.checksum, Retransmits: c.rtxTries,
		WriteSeq: uint64(c.sndBase) + c.send.end, SndUna: uint64(c.sndBase) + c.send.una, RcvNxt: uint64(c.dataAck()),
		BytesRetrans: c.stats.reinjected, BytesSent: c.stats.sent, BytesReceived: c.recv.nxt, BytesAcked: c.stats.acked,
	}
	if c.fallbackReason != "" {
		in.Flags |= InfoFallback
	}
	if c.speech == multipath {
		in.Flags |= InfoRemoteKeyReceived
	}
	for _, e := range s.endpoints.Endpoints() {
		if e.Flags&pm.Signal != 0 {
			in.AddAddrSignalMax++
		}
		if e.Flags&pm.Subflow != 0 {
			in.LocalAddrMax++
		}
	}
	first := true
	for _, sf := range c.subflows {
		if sf.stage == ended {
			continue
		}
		t := sf.tcp.Info(now)
		if first {
			in.LastDataSent, in.LastDataRecv, in.LastAckRecv = t.LastDataSent, t.LastDataRecv, t.LastAckRecv
			first = false
		}
		in.SubflowsTotal++
		in.LastDataSent = min(in.LastDataSent, t.LastDataSent)
		in.LastDataRecv = min(in.LastDataRecv, t.LastDataRecv)
		in.LastAckRecv = min(in.LastAckRecv, t.LastAckRecv)
	}
	return in
}

func (sf *subflow) diag(now clock.Instant) SubflowDiag {
	c := sf.conn
	d := SubflowDiag{
		ID: sf.id, Local: sf.local, Remote: sf.remote, IDLoc: sf.localID, IDRem: sf.remoteID,
		Mark: sf.tcp.Config().Mark, CongestionControl: sf.tcp.Config().CongestionControl, Flags: sf.flags(), Stale: sf.stale, TCP: sf.tcp.Info(now),
	}
	d.State = d.TCP.State.String()
	d.FlagLetters = d.Flags.String()
	if sf.linked {
		d.Dev = c.stack.links[sf.link].Name
	}
	if c.speech != multipath {
		return d
	}
	d.TokenLoc, d.TokenRem, d.SSNOffset = c.token, c.remoteToken, uint32(sf.tcp.IRS())
	if m, ok := sf.rx.held(); ok {
		d.MapSeq, d.MapSSN, d.MapLen = uint64(c.rcvBase)+m.off, uint32(m.ssn-sf.rx.synData), int(m.n)
	}
	return d
}

// flags returns the subflow's flags as subflow_get_info sets them.
func (sf *subflow) flags() SubflowFlags {
	c := sf.conn
	var f SubflowFlags
	set := func(on bool, bit SubflowFlags) {
		if on {
			f |= bit
		}
	}
	mpc := !c.streaming() && !sf.join
	set(mpc && !sf.active, SubflowMCapRem)
	set(mpc && sf.active, SubflowMCapLoc)
	set(sf.join && !sf.active, SubflowJoinRem)
	set(sf.join && sf.active, SubflowJoinLoc)
	set(sf.peerBackup, SubflowBkupRem)
	set(sf.backup, SubflowBkupLoc)
	set(c.speech == multipath && sf.isEstablished && (sf.proven || !sf.join && c.confirmed), SubflowFullyEstablished)
	set(sf.isEstablished, SubflowConnected)
	_, held := sf.rx.held()
	set(c.speech == multipath && held, SubflowMapValid)
	return f
}

// held returns the mapping that is not used up yet, if there is one.
func (r *receiveSide) held() (rcvMap, bool) {
	m, ok := r.maps.front()
	return m, ok && m.ssn <= r.nxt && r.nxt < m.end()
}
