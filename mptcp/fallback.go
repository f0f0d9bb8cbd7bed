package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// Fallback is a one-way door with many entrances: whoever finds one calls fall.
// "Once MPTCP falls back to regular TCP, it MUST NOT revert to MPTCP later in the
// connection." (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).

// reason is an entrance.
type reason uint8

const (
	reasonNoCapableInSYN reason = iota
	reasonNoCapableInSYNACK
	reasonNoCapableInACK
	reasonCapableRefused
	reasonSYNACKRefused
	reasonSYNUnanswered
	reasonBlackhole
	reasonNoToken
	reasonPlainSocket
	reasonSimultaneousOpen
	reasonNoDSS
	reasonNoDataACK
	reasonDataWithoutMapping
	reasonInfiniteMapping
	reasonMPFail
)

var reasonText = [...]string{
	reasonNoCapableInSYN:     "no MP_CAPABLE in SYN",
	reasonNoCapableInSYNACK:  "no MP_CAPABLE in SYN/ACK",
	reasonNoCapableInACK:     "no MP_CAPABLE in third ACK",
	reasonCapableRefused:     "MP_CAPABLE with version, flags or key that do not fit",
	reasonSYNACKRefused:      "MP_CAPABLE in SYN/ACK with version or flags that do not fit",
	reasonSYNUnanswered:      "no answer to SYN with MP_CAPABLE",
	reasonBlackhole:          "MPTCP was blocked here a while ago",
	reasonNoToken:            "no key whose token is free",
	reasonPlainSocket:        "TCP socket at this end",
	reasonSimultaneousOpen:   "simultaneous open",
	reasonNoDSS:              "no DSS in first segment from peer",
	reasonNoDataACK:          "no DSS in acknowledgment of data",
	reasonDataWithoutMapping: "data without mapping",
	reasonInfiniteMapping:    "infinite mapping from peer",
	reasonMPFail:             "MP_FAIL from peer",
}

func (r reason) String() string { return reasonText[r] }

// count counts the entrance as the kernel does.
func (r reason) count(c *Counters) {
	switch r {
	case reasonNoCapableInSYNACK, reasonSYNACKRefused:
		c.MPTcpExtMPCapableFallbackSYNACK++
	case reasonNoCapableInACK:
		c.MPTcpExtMPCapableFallbackACK++
	case reasonSYNUnanswered:
		c.MPTcpExtMPCapableSYNTXDrop++
	case reasonBlackhole:
		c.MPTcpExtMPCapableSYNTXDisabled++
	case reasonSimultaneousOpen:
		c.MPTcpExtSimultConnectFallback++
	case reasonNoDSS:
		c.MPTcpExtMPCapableDataFallback++
	case reasonNoDataACK, reasonDataWithoutMapping, reasonInfiniteMapping: // of MP_FAIL InfiniteMapTx tells
		c.MPTcpExtDssFallback++
	}
}

// fall makes the connection a byte stream on its only subflow: what follows on
// it is the stream, byte for byte, in both directions.
func (c *Conn) fall(now clock.Instant, r reason) {
	if c.streaming() {
		return
	}
	early := c.speech == offered || c.speech == plainTCP
	c.speech = fallen
	c.fallbackReason = r.String()
	r.count(&c.stack.counters)
	c.stack.dropToken(c)
	c.rtxAt = clock.Never
	c.reinject.reset()
	c.trace(now, trace.Event{Kind: trace.Fallback, Path: -1, Text: c.fallbackReason})
	for _, sf := range c.subflows {
		if sf.tcp == nil || sf.over {
			continue
		}
		if sf.join { // its handshake was under way
			sf.abort(wire.RstMPTCP, "fallback")
			continue
		}
		if (r == reasonNoDataACK || r == reasonNoDSS) && sf.tx.una > 1+sf.tx.synData {
			// Data was acknowledged without Data ACK: "The sender will send one final Data
			// Sequence Mapping, with the Data-Level Length value of 0 indicating an infinite
			// mapping (to inform the other end in case the path drops options in one
			// direction only), and then revert to sending data on the single subflow without
			// any MPTCP options." (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
			sf.tx.announceInfinite = true
		}
		if sf.tcp.ReserveOptions(0); sf.tx.announceInfinite {
			sf.tcp.ReserveOptions(infiniteLen) // until it has arrived
		}
		if early {
			sf.tx.infinite(1, 0)
			sf.rx.infinite(1, 0)
		} else {
			c.unbind(sf)
			sf.tx.infinite(sf.tx.nxt, c.send.nxt)
			sf.rx.infinite(sf.rx.nxt, c.recv.nxt)
			sf.drainUnmapped(now)
			c.streamAcked(now, c.send.nxt-min(c.send.nxt, sf.tx.nxt-sf.tx.una))
		}
	}
	if !early {
		c.tellPM(now, pm.Event{Kind: pm.Fallen, Path: -1})
	}
	c.streamClose()
	c.again = true
}

// mayFall reports whether the connection can still become a byte stream: it has never had
// a second subflow, and no byte of it was sent or received twice or dropped, so that the
// subflow's bytes are the stream's (allow_infinite_fallback in Linux).
func (c *Conn) mayFall() bool { return !c.multi && !c.streaming() }

// fallOrReset makes the connection a byte stream, or resets the subflow if it cannot
// become one.
func (sf *subflow) fallOrReset(now clock.Instant, r reason) error {
	if !sf.conn.mayFall() {
		return sf.resetError(wire.RstMiddlebox, r.String())
	}
	sf.conn.fall(now, r)
	return nil
}

// contiguous reports whether the stream can go on with the byte that the subflow
// expects, whatever its mapping: the connection may fall back, and what is mapped further
// on says the same.
func (sf *subflow) contiguous() bool {
	c, r := sf.conn, &sf.rx
	if !c.mayFall() || c.recv.ooo.Len() > 0 || r.failed {
		return false
	}
	for i := range r.maps.all() {
		if m := &r.maps.all()[i]; m.end() > r.nxt && m.off-m.ssn != c.recv.nxt-r.nxt {
			return false
		}
	}
	return true
}

// checkFirst judges segments on the first subflow until the peer has shown that
// its DSS gets through.
//
// "If, however, an ACK is received for data (not just for the SYN) without a DSS
// option containing a Data ACK, the sender determines that the path is not MPTCP
// capable. [...] In the case of such an ACK being received on the first subflow
// [...] the implementation MUST drop out of MPTCP mode and fall back to regular
// TCP." (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func (sf *subflow) checkFirst(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	o := &s.Options
	switch {
	case o.Has&wire.HasDSS != 0 && o.DSS.HasAck,
		o.Has&wire.HasAddAddr != 0 && !o.AddAddr.Echo:
		c.confirm(now)
	case o.Has&wire.HasMPTCP != 0 || s.Flags&wire.RST != 0:
	case s.Len() == 0 && sf.tx.una <= 1+sf.tx.synData:
		// Neither data nor an acknowledgment of data: it proves nothing.
	default:
		return sf.fallOrReset(now, reasonNoDSS)
	}
	return nil
}

// handleFail acts on MP_FAIL: the peer found a checksum wrong.
//
// "the receiver of an MP_FAIL MUST also respond with an MP_FAIL in the reverse
// direction and entirely revert to a regular TCP session"; what follows the data
// sequence number in it goes again, behind an infinite mapping
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func (sf *subflow) handleFail(now clock.Instant, dsn wire.DSN) {
	c := sf.conn
	c.stack.counters.MPTcpExtMPFailRx++
	sf.trace(now, trace.Event{Kind: trace.FailReceived, A: uint64(dsn)})
	if !c.mayFall() {
		return
	}
	if sf.rx.failed {
		// The answer to ours: the peer's stream goes on with its infinite mapping.
		return
	}
	c.unbind(sf)
	off := c.sndOffset(dsn)
	if off < c.send.una || off > c.send.nxt {
		off = c.send.una
	}
	c.send.nxt = off
	sf.tx.discarded(off)
	if c.send.finSent {
		c.send.finSent = false
	}
	sf.failDSN = c.rcvBase.Add(int(c.recv.nxt))
	sf.fail.want()
	sf.tx.announceInfinite = true
	c.fall(now, reasonMPFail)
	c.streamAcked(now, off) // on the only subflow all before it has arrived
}

// checksumFailed acts on a mapping that starts at off and whose sum is wrong.
//
// With several subflows "the affected subflow must be immediately closed with a RST
// that includes an MP_FAIL option"; "when there is only one path, it will send back
// an MP_FAIL option on the subflow-level ACK"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.7).
func (sf *subflow) checksumFailed(now clock.Instant, off uint64) {
	c := sf.conn
	c.stack.counters.MPTcpExtDataCsumErr++
	sf.failDSN = c.rcvBase.Add(int(off))
	if c.mayFall() {
		sf.rx.failed, sf.rx.failedAt = true, sf.rx.nxt
		sf.fail.want()
		c.again = true
		return
	}
	c.stack.counters.MPTcpExtDssReset++
	sf.failOnReset = true
	sf.abort(wire.RstMiddlebox, "checksum")
}

// falling reports whether MP_FAIL went out and no infinite mapping has come yet. The peer
// may be a byte stream already: it would take what is sent again for new bytes.
func (c *Conn) falling() bool {
	for _, sf := range c.subflows {
		if sf.rx.failed && !sf.over {
			return true
		}
	}
	return false
}

// movedStream takes an infinite mapping after the fallback: the peer fell back later than
// we did, on an MP_FAIL perhaps that was forged or our answer to such a one, and its stream
// goes on with bytes that we have had.
func (sf *subflow) movedStream(s *wire.Segment) {
	c, r, d := sf.conn, &sf.rx, &s.Options.DSS
	if c.speech != fallen || c.remoteKey == 0 || !r.streaming ||
		s.Options.Has&wire.HasDSS == 0 || !d.HasMap || d.DataLen != 0 || len(s.Payload) == 0 {
		return
	}
	ssn, off := r.pos(d.SSN.Add(int(r.synData))), c.rcvOffset(expand(d.DSN, d.DSN64, c.rcvBase.Add(int(c.recv.nxt))))
	follows := r.infOff + (r.nxt - r.infSSN)
	if ssn < r.nxt || off >= follows+(ssn-r.nxt) {
		return
	}
	r.insert(rcvMap{ssn: r.nxt, off: follows, n: ssn - r.nxt})
	r.infinite(ssn, off)
}

// maxFail is how often MP_FAIL is repeated: it rides on an ACK, which TCP does not
// repeat. Linux, which sends it once, waits for the answer as we do.
const maxFail = 3

// repeatFails says MP_FAIL again where the infinite mapping does not come, and gives
// the subflow up in the end.
func (c *Conn) repeatFails(now clock.Instant) {
	for _, sf := range c.subflows {
		if sf.failAt > now || sf.over {
			continue
		}
		sf.failAt = clock.Never
		if sf.failTries++; sf.failTries > maxFail {
			sf.abort(wire.RstMiddlebox, "no answer to MP_FAIL")
			continue
		}
		sf.fail.want()
	}
}

// infiniteMapping acts on a mapping of length 0: the peer sends a byte stream
// from ssn on, beginning with the byte at off.
func (sf *subflow) infiniteMapping(now clock.Instant, ssn, off uint64) error {
	c := sf.conn
	c.stack.counters.MPTcpExtInfiniteMapRx++
	if ssn > sf.rx.nxt && ssn-sf.rx.nxt == off-c.recv.nxt && sf.contiguous() {
		// It overtook data that is under way, or that a middlebox acknowledged for us.
		c.fall(now, reasonInfiniteMapping)
		return nil
	}
	if !c.mayFall() || off > c.recv.nxt {
		// Discarded bytes never come again behind a mapping that skips them.
		return sf.dssError(wire.RstMPTCP, "infinite mapping skips a hole")
	}
	if sf.rx.failed && ssn > sf.rx.nxt {
		sf.rx.nxt = ssn // what lies between was discarded
	}
	sf.rx.failed, sf.failAt = false, clock.Never
	c.fall(now, reasonInfiniteMapping)
	sf.rx.infinite(ssn, off)
	return nil
}
