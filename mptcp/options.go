package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// Lengths of options in octets, padded.
const (
	dssReserve  = 28 // DSS with 64-bit DATA_ACK and mapping, with or without checksum
	dssAckLen   = 12
	capableData = 24
	failLen     = 12
	prioLen     = 4

	infiniteLen   = 20 // DSS with an infinite mapping alone
	capableLen    = 4  // MP_CAPABLE on a SYN
	capableAnswer = 12 // and on a SYN/ACK
)

// Options implements tcp.Upper.
func (sf *subflow) Options(now clock.Instant, s *wire.Segment, ssn wire.Seq, n, room int) (wnd int) {
	c := sf.conn
	switch {
	case s.Flags&wire.RST != 0:
		sf.resetOptions(now, s)
		return 0
	case s.Flags&wire.SYN != 0:
		sf.synOptions(now, s)
	case sf.tcp.State() == tcp.StateTimeWait:
		// All is said; a kernel's TIME-WAIT knows no MPTCP.
	case c.mapped():
		sf.multipathOptions(now, s, ssn, n, room)
	case c.speech == fallen:
		sf.lastOptions(now, s, ssn, n)
	}
	unit := uint64(1)
	if s.Flags&wire.SYN == 0 {
		unit = uint64(sf.tcp.WindowUnit())
	}
	before := c.recv.edge
	wnd = c.advertise(unit)
	if sf.edge < before && c.recv.edge == before && s.Options.Has&wire.HasDSS != 0 {
		c.stack.counters.MPTcpExtRcvWndShared++ // another subflow had opened it
	}
	sf.edge = c.recv.edge
	if s.Options.Has&wire.HasDSS != 0 && s.Options.DSS.HasAck {
		c.ackSaid, c.edgeSaid, sf.dataAckOwed = c.dataAck(), c.recv.edge, false
	}
	return wnd
}

// saidAll reports whether DATA_ACK and window are those that went out last with a
// DSS.
func (c *Conn) saidAll() bool {
	w := &c.recv
	return c.ackSaid == c.dataAck() && c.edgeSaid == max(w.edge, w.read+uint64(w.limit))
}

// dataAckDue reports whether a DATA_ACK goes on a segment with data. In other segments it
// always is. With Config.DataAckOnAdvance a segment with data has one where it says what is
// new, what the peer may have missed (it has sent data again), or that options pass.
//
// "The DATA_ACK MAY be included in all segments; however, optimizations SHOULD be considered in
// more advanced implementations, where the Data ACK is present in segments only when the Data
// ACK value advances" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
func (sf *subflow) dataAckDue() bool {
	c := sf.conn
	return !c.cfg.DataAckOnAdvance || !sf.proven || sf.dataAckOwed || !c.saidAll()
}

// resetOptions says on a RST why, and whether the whole connection ends.
func (sf *subflow) resetOptions(now clock.Instant, s *wire.Segment) {
	c, o := sf.conn, &s.Options
	if c.fastClosed {
		o.Has |= wire.HasFastClose
		o.FastClose = c.remoteKey
		c.stack.counters.MPTcpExtMPFastcloseTx++
	}
	if sf.reset || c.speech == multipath && s.Flags&wire.ACK != 0 { // TCP's own (keepalive), too; also beside MP_FASTCLOSE, as Linux does
		o.Has |= wire.HasMPTCPRst
		o.MPTCPRst = sf.rst
		if sf.active || sf.isEstablished { // Linux resets half-open joins by itself, and counts nothing
			c.stack.counters.MPTcpExtMPRstTx++
		}
		if sf.failOnReset {
			o.Has |= wire.HasMPFail
			o.MPFail = sf.failDSN
			c.stack.counters.MPTcpExtMPFailTx++
			sf.trace(now, trace.Event{Kind: trace.FailSent, A: uint64(sf.failDSN)})
		}
	}
	sf.trace(now, trace.Event{Kind: trace.ResetSent, A: uint64(sf.rst.Reason), Text: sf.rstText})
}

// multipathOptions adds MP_CAPABLE, MP_JOIN, or DSS and signals to a segment that
// is neither SYN nor RST.
func (sf *subflow) multipathOptions(now clock.Instant, s *wire.Segment, ssn wire.Seq, n, room int) {
	c, o := sf.conn, &s.Options
	switch {
	case sf.join && sf.active && sf.stage == preEstablished:
		o.Has |= wire.HasMPJoin
		o.MPJoin = wire.MPJoin{Form: wire.JoinACK,
			HMAC: wire.JoinHMAC(c.localKey, c.remoteKey, sf.localNonce, sf.remoteNonce)}
		return
	case sf.joining():
		return
	case !sf.join && sf.active && !c.confirmed && sf.capableAgain(s, ssn, n):
		sf.capableOptions(o, ssn, n)
		return
	}
	o.Has |= wire.HasDSS
	d := &o.DSS
	// "If data is received with a 64-bit DSN, it MUST be acknowledged with a 64-bit
	// Data ACK" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
	*d = wire.DSS{HasAck: c.speech == multipath && (n == 0 || sf.dataAckDue()), Ack64: c.ack64, DataAck: c.dataAck()}
	switch {
	case n == 0 && c.fastWait.path == sf:
		o.Has |= wire.HasFastClose
		o.FastClose = c.remoteKey
		c.stack.counters.MPTcpExtMPFastcloseTx++
	case n > 0:
		if m := sf.tx.at(ssn); m != nil {
			sf.mappingOption(now, d, m)
		}
	case !d.HasAck:
		o.Has &^= wire.HasDSS // nothing to say without the peer's key
	default:
		if c.dataFINDue() {
			if spare := room - dssReserve; sf.fail == signalWanted && spare < failLen || sf.prio == signalWanted && spare < prioLen {
				sf.ackOwed, c.again = true, true // the DATA_FIN has an ACK of its own
			} else {
				c.finOption(now, d)
			}
		}
		sf.signalOptions(now, s, room)
	}
}

// joining reports whether the MP_JOIN handshake of the subflow is not done.
func (sf *subflow) joining() bool { return sf.join && sf.stage != open && !sf.isEstablished }

// mappingOption writes mapping m into d, the same each time: "A sender MUST NOT
// change this mapping after it has been declared" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func (sf *subflow) mappingOption(now clock.Instant, d *wire.DSS, m *sndMap) {
	c := sf.conn
	d.HasMap, d.DSN64 = true, true
	d.DSN = c.sndBase.Add(int(m.off))
	d.SSN = sf.tx.wire(m.ssn)
	d.DataLen = uint16(m.n)
	if m.fin {
		d.DataLen++
		d.DataFIN = true
	}
	d.HasChecksum, d.Checksum = c.checksum, m.csum
}

// capableAgain reports whether MP_CAPABLE with both keys belongs on a segment:
// on all that begin at the first octet, until the peer has shown by a DSS that
// one got through.
func (sf *subflow) capableAgain(s *wire.Segment, ssn wire.Seq, n int) bool {
	first := wire.Seq(1 + sf.tx.synData)
	if n > 0 {
		return ssn == first
	}
	if sf.keysOwed {
		sf.keysOwed = false
		return true
	}
	return sf.tcp.SndNxt() == first && s.Flags&wire.FIN == 0 && !sf.conn.dataFINDue()
}

// capableOptions adds MP_CAPABLE in its third form, with the data-level length on
// a segment with data: "Conveying the keys on the first data packet allows the TCP
// reliability mechanisms to ensure that the packet is successfully delivered."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (sf *subflow) capableOptions(o *wire.Options, ssn wire.Seq, n int) {
	c := sf.conn
	flags := wire.CapSHA256
	if c.checksum {
		flags |= wire.CapChecksum
	}
	o.Has |= wire.HasMPCapable
	o.MPCapable = wire.MPCapable{Version: version, Flags: flags, NumKeys: 2, SenderKey: c.localKey, ReceiverKey: c.remoteKey}
	if n == 0 {
		return
	}
	if m := sf.tx.at(ssn); m != nil {
		o.MPCapable.HasDataLen, o.MPCapable.DataLen = true, uint16(m.n)
		o.MPCapable.HasChecksum, o.MPCapable.Checksum = c.checksum, m.csum
	}
}

// lastOptions are those that still follow a fallback: MP_FAIL and the infinite
// mapping that answer a checksum failure.
func (sf *subflow) lastOptions(now clock.Instant, s *wire.Segment, ssn wire.Seq, n int) {
	c, o := sf.conn, &s.Options
	if n == 0 && sf.fail == signalWanted {
		sf.failOption(now, o)
	}
	if n > 0 && sf.tx.announceInfinite && sf.tx.pos(ssn) == sf.tx.infSSN {
		if !sf.tx.infiniteSaid {
			sf.tx.infiniteSaid = true
			c.stack.counters.MPTcpExtInfiniteMapTx++
		}
		o.Has |= wire.HasDSS
		// An infinite mapping: "This is achieved by setting the Data-Level Length
		// field of the DSS option to the reserved value of 0." Its checksum is 0
		// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
		o.DSS = wire.DSS{HasMap: true, DSN64: true, DSN: c.sndBase.Add(int(sf.tx.infOff)), SSN: sf.tx.wire(sf.tx.infSSN), HasChecksum: c.checksum}
	}
}

// HandleOptions implements tcp.Upper.
func (sf *subflow) HandleOptions(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	if len(s.Payload) > 0 {
		sf.lastData = now
		sf.dataAckOwed = true
	}
	if s.Flags&wire.SYN != 0 {
		sf.noteSYN(s)
		if sf.active && s.Flags&wire.ACK != 0 {
			return sf.answered(now, s)
		}
		if sf.active && !sf.join && c.speech == offered && sf.stage == opening {
			c.fall(now, reasonSimultaneousOpen)
		}
		return nil
	}
	if s.Flags&wire.RST != 0 {
		if c.speech == offered && !sf.active && !sf.join {
			c.fall(now, reasonNoCapableInACK) // in place of the third ACK of an early connection
		}
		return nil
	}
	if c.speech == offered && !sf.active && !sf.join {
		sf.handleThirdACK(now, s)
	}
	if c.speech != multipath {
		sf.movedStream(s)
		return nil
	}
	if sf.join && sf.stage != open {
		if err := sf.handleJoining(now, s); err != nil {
			return err
		}
	}
	if !sf.join && !c.confirmed {
		if err := sf.checkFirst(now, s); err != nil || c.streaming() {
			return err
		}
	}
	if !sf.proven && sf.stage == open {
		if err := sf.checkProven(now, s); err != nil || c.streaming() {
			return err
		}
	}
	if sf.unheard(s) {
		return sf.fallOrReset(now, reasonNoDataACK)
	}
	return sf.handleSignals(now, s)
}

// unheard reports whether the first subflow acknowledges data without MPTCP in
// mid-life: a receiver that got data without mapping has fallen back, or a middlebox
// acknowledges for it. Data that only goes one way would wait for its DATA_ACK for
// ever, and what is sent again for want of it a receiver that has fallen back takes for
// the stream's next bytes: if we cannot fall back, too, the subflow is closed.
//
// "Performance Enhancing Proxies (PEPs) might proactively ACK data to increase
// performance. [...] MPTCP will, therefore, fall back to single-path TCP or close the
// problematic subflow" (https://www.rfc-editor.org/rfc/rfc8684#section-6).
func (sf *subflow) unheard(s *wire.Segment) bool {
	state := sf.tcp.State()
	return !sf.join && sf.stage == open && s.Options.Has&wire.HasMPTCP == 0 &&
		(state == tcp.StateEstablished || state == tcp.StateCloseWait) && sf.tx.acked > sf.conn.send.una &&
		!sf.rx.failed // else bytes are missing, and only an infinite mapping says where the stream goes on
}

// checkProven judges the first acknowledgment of data on a subflow that joined, and on
// the first one of a server, which has the keys before it hears a DSS.
//
// "If, however, an ACK is received for data (not just for the SYN) without a DSS
// option containing a Data ACK, the sender determines that the path is not MPTCP
// capable. In the case of this occurring on an additional subflow (i.e., one
// started with MP_JOIN), the host MUST close the subflow with a RST, which SHOULD
// contain an MP_TCPRST option (Section 3.6) with a "Middlebox interference" reason
// code"; on the first subflow, "before any additional subflows are added, the
// implementation MUST drop out of MPTCP mode and fall back to regular TCP"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7). A Data ACK shows that
// the path lets them through also if nothing was sent on it; what acknowledges a FIN
// may come from a host that has forgotten the connection already, as Linux's
// TIME-WAIT.
func (sf *subflow) checkProven(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	o, state := &s.Options, sf.tcp.State()
	switch {
	case o.Has&wire.HasDSS != 0 && o.DSS.HasAck:
		sf.proven = true
	case sf.tx.una <= 1 || o.Has&wire.HasMPTCP != 0:
	case sf.rx.failed: // an infinite mapping is to come
	case !sf.join && c.mayFall():
		c.fall(now, reasonNoDataACK)
	case state == tcp.StateEstablished || state == tcp.StateCloseWait:
		return sf.resetError(wire.RstMiddlebox, "no DSS in acknowledgment of data")
	}
	return nil
}

// handleJoining goes on with the MP_JOIN handshake.
func (sf *subflow) handleJoining(now clock.Instant, s *wire.Segment) error {
	if sf.isEstablished {
		return nil
	}
	if sf.active {
		return sf.handleFourthACK(now, s)
	}
	return sf.handleJoinACK(now, s)
}

// handleSignals reads DSS and everything else that an established MPTCP subflow
// may carry.
func (sf *subflow) handleSignals(now clock.Instant, s *wire.Segment) error {
	c, o := sf.conn, &s.Options
	if o.Has&wire.HasMPTCP == 0 {
		return nil
	}
	if o.Has&wire.HasMPJoin != 0 && o.MPJoin.Form == wire.JoinACK && !sf.active {
		sf.ackOwed = true // the fourth ACK was lost
	}
	if o.Has&wire.HasFastClose != 0 {
		c.handleFastClose(now, sf, o.FastClose)
		if c.err != nil {
			return nil
		}
	}
	if o.Has&wire.HasMPFail != 0 {
		sf.handleFail(now, o.MPFail)
	}
	if o.Has&wire.HasAddAddr != 0 {
		c.handleAddAddr(now, sf, &o.AddAddr)
	}
	if o.Has&wire.HasRemoveAddr != 0 {
		c.handleRemoveAddr(now, &o.RemoveAddr)
	}
	if o.Has&wire.HasMPPrio != 0 {
		sf.handlePrio(now, o.MPPrio.Backup)
	}
	if err := sf.handleCapableData(now, s); err != nil {
		return err
	}
	if o.Has&wire.HasDSS == 0 || c.streaming() {
		return nil
	}
	return sf.handleDSS(now, s)
}

// handleDSS reads DATA_ACK with the window, the mapping and DATA_FIN.
func (sf *subflow) handleDSS(now clock.Instant, s *wire.Segment) error {
	c, d := sf.conn, &s.Options.DSS
	if d.HasAck {
		// "an implementation MUST NOT use the RCV.WND field of a TCP segment at the
		// connection level if it does not also carry a DSS option with a Data ACK
		// field" (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.2).
		c.dataAcked(now, sf, expand(d.DataAck, d.Ack64, c.sndBase.Add(int(c.send.una))), sf.window(s))
	}
	if !d.HasMap || d.DataLen == 0 && len(s.Payload) == 0 {
		return nil // an infinite mapping comes with its first data, and Linux looks for it there
	}
	if r := &sf.rx; r.failed {
		if d.DataLen != 0 {
			return nil // of bytes that are discarded
		}
		// "The sender no longer knows what subflow-level sequence number the receiver is
		// genuinely operating at (the middlebox will be faking ACKs in return)"
		// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7): a number behind the failure
		// means the segment itself.
		if r.pos(d.SSN.Add(int(r.synData))) > r.failedAt {
			d.SSN = (s.Seq - sf.tcp.IRS()).Add(-int(r.synData))
		}
	}
	if !sf.covers(d, s) {
		c.stack.counters.MPTcpExtDSSNoMatchTCP++
		if sf.contiguous() {
			c.fall(now, reasonDataWithoutMapping)
			return nil
		}
		return sf.dssError(wire.RstMPTCP, "mapping of other bytes than the segment's")
	}
	return sf.addMapping(now, d)
}

// covers reports whether mapping and segment have bytes in common, if both have any:
// "The mapping provided by a Data Sequence Mapping MUST apply to some or all of the
// subflow sequence space in the TCP segment that carries the option."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func (sf *subflow) covers(d *wire.DSS, s *wire.Segment) bool {
	n := int(d.DataLen)
	if d.DataFIN {
		n--
	}
	if n <= 0 || len(s.Payload) == 0 {
		return true
	}
	behind := s.Seq.Sub(sf.tcp.IRS().Add(int(d.SSN) + int(sf.rx.synData))) // of the segment's first byte behind the mapping's
	return behind < n && -behind < len(s.Payload)
}

// expand returns the 64-bit number whose low half was received and that is
// nearest to near: "Implementations MUST accept a 32-bit DSN and implicitly
// promote it to a 64-bit quantity by incrementing the upper 32 bits of the sequence
// number each time the lower 32 bits wrap."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.1).
func expand(v wire.DSN, full bool, near wire.DSN) wire.DSN {
	if full {
		return v
	}
	return near + wire.DSN(int64(int32(uint32(v)-uint32(near))))
}
