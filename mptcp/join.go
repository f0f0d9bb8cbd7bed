package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// inputJoin answers a SYN with MP_JOIN.
//
// "If the token is unknown or the host wants to refuse subflow establishment
// [...], the receiver will send back a reset (RST) signal, analogous to an
// unknown port in TCP" (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (s *Stack) inputJoin(now clock.Instant, seg *wire.Segment, iss wire.Seq) {
	o := &seg.Options.MPJoin
	s.counters.MPTcpExtMPJoinSynRx++
	if o.Backup {
		s.counters.MPTcpExtMPJoinSynBackupRx++
	}
	c := s.tokens[o.Token]
	if c == nil {
		s.counters.MPTcpExtMPJoinNoTokenFound++
		s.reset(seg, &wire.MPTCPRst{Reason: wire.RstMPTCP})
		return
	}
	if c.speech != multipath || !c.confirmed || c.err != nil || c.recv.finDone && c.writeEnded {
		if !c.confirmed {
			s.counters.MPTcpExtMPJoinNotEstablished++
		}
		s.reset(seg, &wire.MPTCPRst{Reason: wire.RstProhibited})
		return
	}
	id, err := c.localID(seg.Dst)
	if len(c.subflows) >= maxSubflows || err != nil {
		if err != nil {
			s.counters.MPTcpExtMPJoinNoIdFound++
		}
		s.reset(seg, &wire.MPTCPRst{Reason: wire.RstResources})
		return
	}
	if c.otherPort(seg.Dst) {
		if !c.signals.announces(seg.Dst) {
			s.counters.MPTcpExtMismatchPortSynRx++
			s.reset(seg, &wire.MPTCPRst{Reason: wire.RstProhibited})
			return
		}
		s.counters.MPTcpExtMPJoinPortSynRx++
	}
	j := &joinRequest{conn: c, localID: id, remoteID: o.AddrID, backup: s.pm.Backup(c.token, seg.Dst),
		peerBackup: o.Backup, remoteNonce: o.Nonce, localNonce: c.nonce()}
	r := &request{join: j, local: seg.Dst, remote: seg.Src, syn: recordSYN(seg), iss: iss}
	r.ordinal = c.ordinal
	s.boundJoins(r)
	s.begin(now, r, tcp.FastOpen{})
}

// boundJoins makes room for one more join among those whose third ACK has not come: the
// oldest goes. They are the state that SYN cookies cannot do without; Linux keeps as many
// in a table then (COOKIE_JOIN_SLOTS).
func (s *Stack) boundJoins(r *request) {
	for s.joins.len() > 0 {
		oldest, _ := s.joins.front()
		if !oldest.dropped && s.joins.len() < maxJoinRequests {
			break
		}
		s.joins.pop()
		oldest.drop(s)
	}
	s.joins.push(r)
}

// maxJoinRequests bounds the joins of a stack whose third ACK has not come.
const maxJoinRequests = 1024

// otherPort reports whether a is at another port than the connection began at: it
// takes joins there if it has announced that.
func (c *Conn) otherPort(a netip.AddrPort) bool { return a.Port() != c.laddr.Port() }

// startJoin opens a subflow as the path manager wants.
func (c *Conn) startJoin(now clock.Instant, a *pm.Action) (*subflow, error) {
	s := c.stack
	if c.speech != multipath || !c.confirmed || c.err != nil {
		return nil, ErrNotConnected
	}
	if len(c.subflows) >= maxSubflows {
		return nil, ErrAddrInUse
	}
	id := a.LocalID
	local, err := s.pickLocal(c.samePort(a.Local, a.Remote), a.Remote)
	if err == nil && !a.Local.IsValid() {
		id, err = c.localID(local)
	}
	if err != nil {
		switch err {
		case ErrAddrNotAvail, ErrAddrInUse:
			s.counters.MPTcpExtMPJoinSynTxBindErr++
		default:
			s.counters.MPTcpExtMPJoinSynTxConnectErr++
		}
		return nil, err
	}
	sf := c.newSubflow(local, a.Remote)
	sf.requested = true
	sf.localID = id
	sf.remoteID = a.RemoteID
	sf.backup = a.Backup
	sf.localNonce = c.nonce()
	s.counters.MPTcpExtMPJoinSynTx++
	sf.connect(now, tcp.FastOpen{})
	s.touch(c)
	return sf, nil
}

// samePort gives local, if it has no port, the one of the first subflow: "The local port
// for such SYNs SHOULD also be the same as the port for the first subflow"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.9.1). Not twice to the same remote
// address: the peer or a middlebox may still remember the subflow that was there.
func (c *Conn) samePort(local, remote netip.AddrPort) netip.AddrPort {
	at := netip.AddrPortFrom(local.Addr(), c.laddr.Port())
	if local.Port() != 0 || !local.IsValid() || local.Addr() == c.laddr.Addr() || c.stack.flows[flowKey{at, remote}] != nil {
		return local
	}
	for i := range c.ended {
		if c.ended[i].Local == at && c.ended[i].Remote == remote {
			return local
		}
	}
	return at
}

func (c *Conn) nonce() uint32 {
	c.nextDraw++
	return uint32(c.stack.draw("nonce", c.ordinal, c.nextDraw))
}

// joinSYNOptions adds MP_JOIN to our SYN.
func (sf *subflow) joinSYNOptions(o *wire.Options) {
	c := sf.conn
	o.Has |= wire.HasMPJoin
	j := &o.MPJoin
	*j = wire.MPJoin{Form: wire.JoinSYN, Backup: sf.backup, AddrID: sf.localID, Token: c.remoteToken, Nonce: sf.localNonce}
}

// options adds MP_JOIN to the SYN/ACK.
func (j *joinRequest) options(o *wire.Options) {
	c := j.conn
	o.Has |= wire.HasMPJoin
	o.MPJoin = wire.MPJoin{Form: wire.JoinSYNACK, Backup: j.backup, AddrID: j.localID, Nonce: j.localNonce}
	// "HMAC(Key=(Key-B + Key-A), Msg=(R-B + R-A))", truncated to its leftmost
	// 64 bits (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
	mac := wire.JoinHMAC(c.localKey, c.remoteKey, j.localNonce, j.remoteNonce)
	copy(o.MPJoin.HMAC[:8], mac[:8])
}

// handleJoinSYNACK checks the peer's HMAC: "If the token is accepted at Host B but
// the HMAC returned to Host A does not match the one expected, Host A MUST close the
// subflow with a TCP RST."; "If the SYN/ACK as received at Host A does not have an
// MP_JOIN option, Host A MUST close the subflow with a TCP RST."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (sf *subflow) handleJoinSYNACK(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	o := &s.Options.MPJoin
	if s.Options.Has&wire.HasMPJoin == 0 || o.Form != wire.JoinSYNACK {
		c.stack.counters.MPTcpExtMPJoinSynAckNoMPJoin++
		return sf.resetError(wire.RstMPTCP, "no MP_JOIN in SYN/ACK")
	}
	sf.remoteNonce = o.Nonce
	mac := wire.JoinHMAC(c.remoteKey, c.localKey, sf.remoteNonce, sf.localNonce)
	if [8]byte(mac[:8]) != [8]byte(o.HMAC[:8]) {
		c.stack.counters.MPTcpExtMPJoinSynAckHMacFailure++
		return sf.resetError(wire.RstMPTCP, "wrong HMAC in SYN/ACK")
	}
	c.stack.counters.MPTcpExtMPJoinSynAckRx++
	if sf.remote.Port() != c.raddr.Port() {
		c.stack.counters.MPTcpExtMPJoinPortSynAckRx++
	}
	if o.Backup {
		c.stack.counters.MPTcpExtMPJoinSynAckBackupRx++
	}
	sf.remoteID = o.AddrID
	sf.peerBackup = o.Backup
	sf.stage = preEstablished
	c.multi = true
	shown := sf.event(pm.SubEstablished)
	shown.Token = c.token
	c.stack.show(now, shown)
	sf.joinAt = now.Add(sf.ackTimeout())
	return nil
}

// handleJoinACK checks the third ACK. The stack's limits refuse a subflow only
// here, as the kernel's do.
func (sf *subflow) handleJoinACK(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	o := &s.Options.MPJoin
	if s.Options.Has&wire.HasMPJoin == 0 || o.Form != wire.JoinACK {
		c.stack.counters.MPTcpExtMPJoinAckNoMPJoin++
		return sf.resetError(wire.RstMPTCP, "no MP_JOIN in third ACK")
	}
	if o.HMAC != wire.JoinHMAC(c.remoteKey, c.localKey, sf.remoteNonce, sf.localNonce) {
		c.stack.counters.MPTcpExtMPJoinAckHMacFailure++
		return sf.resetError(wire.RstMPTCP, "wrong HMAC in third ACK")
	}
	other := c.otherPort(sf.local)
	if other && !c.signals.announces(sf.local) {
		c.stack.counters.MPTcpExtMismatchPortAckRx++
		return sf.resetError(wire.RstProhibited, "port not announced any more")
	}
	if c.err != nil || !c.stack.pm.Accept(c.token) {
		c.stack.counters.MPTcpExtMPJoinRejected++
		return sf.resetError(wire.RstProhibited, "limit of subflows")
	}
	if other {
		c.stack.counters.MPTcpExtMPJoinPortAckRx++
	}
	sf.requested = true
	c.stack.counters.MPTcpExtMPJoinAckRx++
	sf.openNow(now)
	// "receipt of this packet MUST trigger a regular TCP ACK in response": the fourth
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
	sf.ackOwed = true
	c.again = true
	return nil
}

// handleFourthACK ends PRE_ESTABLISHED on the side that joined.
func (sf *subflow) handleFourthACK(now clock.Instant, s *wire.Segment) error {
	if s.Options.Has&wire.HasMPTCP == 0 {
		return sf.resetError(wire.RstMiddlebox, "no MPTCP option in fourth ACK")
	}
	sf.joinAt = clock.Never
	sf.openNow(now)
	return nil
}

// ackTimeout is when the third ACK of a join is repeated: after two round trips, each
// time, as by Linux (schedule_3rdack_retransmission), a second if none is known. It is
// never less than the least RTO: the tries are few.
func (sf *subflow) ackTimeout() time.Duration {
	if sf.tcp.SRTT() == 0 {
		return time.Second
	}
	return max(2*sf.tcp.SRTT(), 200*time.Millisecond)
}

// confirmJoins repeats third ACKs: "the packet MUST be retransmitted if this ACK is
// not received" (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (c *Conn) confirmJoins(now clock.Instant) {
	for _, sf := range c.subflows {
		if sf.joinAt > now {
			continue
		}
		sf.joinTries++
		if sf.joinTries > maxJoinTries {
			sf.joinAt = clock.Never
			sf.abort(wire.RstMPTCP, "fourth ACK never came")
			continue
		}
		sf.joinAt = now.Add(sf.ackTimeout())
		sf.tcp.AckNow()
	}
}

const (
	maxSubflows  = 32 // sched.MaxPaths
	maxJoinTries = 30
)
