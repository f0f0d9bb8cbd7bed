package tcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// The least MTU that we believe a router to have: Linux's ip_rt_min_pmtu, and
// what IPv6 guarantees (RFC 8200, 5).
const (
	minMTU4 = 552
	minMTU6 = 1280
)

// ICMP processes an ICMP error about this connection.
//
// An error counts only if it quotes what is in flight: "the TCP sequence number
// contained in the payload ... is within the range SND.UNA =< SEG.SEQ < SND.NXT"
// (https://www.rfc-editor.org/rfc/rfc5927#section-4.1).
//
// It returns false if not.
func (c *Conn) ICMP(now clock.Instant, m *wire.ICMP) bool {
	if c.state == StateClosed || !m.HasQuote {
		return true
	}
	if q := m.QuoteSeq - c.iss; q.Less(c.sndUna) || !q.Less(c.sndNxt) {
		return false
	}
	if m.Kind == wire.ICMPTooBig {
		c.packetTooBig(now, m.MTU)
		return true
	}
	err := icmpError(m.Kind)
	if err == nil {
		return true
	}
	if c.state == StateSYNSent || c.state == StateSYNReceived && !c.fo.accepted {
		// As in Linux any error ends the attempt to open (tcp_v4_err).
		c.end(now, err, ICMPError)
		return true
	}
	// In synchronized states even a hard error is only a hint (RFC 5927, 5.2).
	c.softErr = err
	c.upper.Event(now, ICMPError)
	return true
}

// TakeSoftErr returns what ICMP hinted at last, once (sk_err_soft); nil: nothing.
func (c *Conn) TakeSoftErr() error {
	err := c.softErr
	c.softErr = nil
	return err
}

// icmpError returns what an ICMP error says to the application; nil: nothing.
func icmpError(k wire.ICMPKind) error {
	switch k {
	case wire.ICMPProtocolUnreachable, wire.ICMPPortUnreachable:
		return ErrRefused
	case wire.ICMPNetUnreachable, wire.ICMPHostUnreachable, wire.ICMPProhibited, wire.ICMPTimeExceeded:
		return ErrUnreachable
	}
	return nil
}

// packetTooBig lowers the MTU of the path (RFC 1191, RFC 8201).
func (c *Conn) packetTooBig(now clock.Instant, mtu int) {
	least := minMTU4
	if c.headerLen() == 60 {
		least = minMTU6
	}
	if mtu = max(mtu, least); mtu >= c.mtu {
		return
	}
	if c.cfg.NoPMTUD && c.headerLen() == 40 {
		c.laterMTU = mtu // with the next retransmission (tcp_v4_mtu_reduced, IP_PMTUDISC_DONT)
		return
	}
	c.SetMTU(mtu)
	if c.board.lost > 0 {
		c.enterRepair(now)
	}
	if c.state == StateSYNSent && c.fo.sent && c.synRetransmits == 0 {
		// The SYN with data did not fit: at once once more, without (Linux,
		// tcp_simple_retransmit).
		c.synRetransmits++
		c.count.totalRetrans++
		c.owed.syn = true
	}
	c.upper.Event(now, MSSChanged)
}
