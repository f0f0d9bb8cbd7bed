package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// version is the version of MPTCP that the stack speaks, and the only one.
const version = 1

// offer is what a SYN and its listener have come to about MPTCP.
type offer struct {
	capable  bool   // MP_CAPABLE is answered, with our key
	why      reason // if it is not
	plain    bool   // the listener is a TCP socket
	checksum bool
	denyJoin bool // the peer set flag C
	key      uint64
	token    uint32
}

// judge judges the SYN of a new passive connection. draw makes the key; token 0: there is
// none.
func (l *Listener) judge(now clock.Instant, seg *wire.Segment, draw func() (key uint64, token uint32)) (f offer) {
	n := &l.stack.counters
	o := &seg.Options.MPCapable
	has := seg.Options.Has&wire.HasMPCapable != 0
	switch {
	case l.cfg.PlainTCP:
		f.plain, f.why = true, reasonNoCapableInSYN
		if has {
			f.why = reasonPlainSocket
		}
		return f
	case !has:
		f.why = reasonNoCapableInSYN
		return f
	case !acceptable(o) || o.NumKeys != 0:
		f.why = reasonCapableRefused // the kernel's parser does not count it either
		return f
	}
	n.MPTcpExtMPCapableSYNRX++
	// "if either host requires the use of checksums, checksums MUST be used"
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
	f.checksum = l.cfg.ChecksumEnabled || o.Flags&wire.CapChecksum != 0
	f.denyJoin = o.Flags&wire.CapNoJoin != 0
	f.key, f.token = draw()
	if f.capable = f.token != 0; !f.capable {
		n.MPTcpExtMPFallbackTokenInit++
		f.why = reasonNoToken
	}
	return f
}

// accept begins a passive connection with what was judged.
func (c *Conn) accept(now clock.Instant, f *offer) {
	switch {
	case f.plain:
		if f.why == reasonPlainSocket {
			c.fallbackReason = f.why.String()
		}
	case !f.capable:
		c.speech = offered
		c.fall(now, f.why)
	default:
		c.speech = offered
		c.checksum, c.denyJoin = f.checksum, f.denyJoin
		c.setKey(f.key, f.token)
	}
}

// acceptable checks version and flags of MP_CAPABLE.
//
// "If receiving a message with the "B" flag set to 1 and this is not understood,
// then the MP_CAPABLE in this SYN MUST be silently ignored"; "If flag bits "D"
// through "H" are all 0, the MP_CAPABLE option MUST be treated as invalid and
// ignored"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func acceptable(o *wire.MPCapable) bool {
	return o.Version >= version && o.Flags&wire.CapExtend == 0 && o.Flags&wire.CapSHA256 != 0
}

// neverFallBack and more SYNs with MP_CAPABLE are all SYNs, as in Linux.
const neverFallBack = 128

// capableFlags are ours: B is 0, H alone names the algorithm.
func capableFlags(cfg *Config, checksum bool) wire.CapableFlags {
	f := wire.CapSHA256
	if checksum || cfg.ChecksumEnabled {
		f |= wire.CapChecksum
	}
	if cfg.DenyJoinInitial {
		f |= wire.CapNoJoin
	}
	return f
}

// synOptions adds MP_CAPABLE or MP_JOIN to our SYN or SYN/ACK.
func (sf *subflow) synOptions(now clock.Instant, s *wire.Segment) {
	c := sf.conn
	o := &s.Options
	switch {
	case sf.join:
		sf.joinSYNOptions(o)
	case sf.active:
		c.synsSent++
		if c.speech != offered {
			return
		}
		if c.synsSent == 1 {
			c.stack.counters.MPTcpExtMPCapableSYNTX++
		}
		o.Has |= wire.HasMPCapable
		o.MPCapable = wire.MPCapable{Version: version, Flags: capableFlags(c.cfg, c.checksum)}
	case c.speech == offered || c.speech == multipath:
		o.Has |= wire.HasMPCapable
		o.MPCapable = wire.MPCapable{Version: version, Flags: capableFlags(c.cfg, c.checksum), NumKeys: 1, SenderKey: c.localKey}
	}
}

// answered takes the SYN/ACK: MPTCP's options, then what they mean for data in our SYN.
func (sf *subflow) answered(now clock.Instant, s *wire.Segment) error {
	sf.fastOpenReply(s)
	if err := sf.handleSYNACK(now, s); err != nil || sf.join {
		return err
	}
	sf.accountSYNData(now)
	sf.conn.heardSYNACK(now)
	return nil
}

// handleSYNACK reads the options of the SYN/ACK that answers our SYN.
func (sf *subflow) handleSYNACK(now clock.Instant, s *wire.Segment) error {
	c := sf.conn
	if sf.join {
		return sf.handleJoinSYNACK(now, s)
	}
	if c.speech != offered {
		return nil
	}
	o := &s.Options.MPCapable
	// "If a SYN contains an MP_CAPABLE option but the SYN/ACK does not, [...] the
	// MPTCP session MUST operate as a regular, single-path TCP session."
	// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
	if s.Options.Has&wire.HasMPCapable == 0 {
		c.fall(now, reasonNoCapableInSYNACK)
		return nil
	}
	if !acceptable(o) || o.Version != version || o.NumKeys != 1 {
		c.fall(now, reasonSYNACKRefused)
		return nil
	}
	c.stack.counters.MPTcpExtMPCapableSYNACKRX++
	c.checksum = c.cfg.ChecksumEnabled || o.Flags&wire.CapChecksum != 0
	c.denyJoin = o.Flags&wire.CapNoJoin != 0
	c.learnKey(now, o.SenderKey)
	c.send.open(uint64(sf.window(s))) // relative to IDSN + 1, as if DATA_ACKed
	return nil
}

// learnKey completes the keys: the connection speaks MPTCP.
func (c *Conn) learnKey(now clock.Instant, key uint64) {
	c.remoteKey = key
	c.remoteToken = wire.Token(key)
	c.rcvBase = wire.IDSN(key).Add(1 - int(c.subflows[0].rx.synData))
	c.ackSaid, c.edgeSaid = c.dataAck(), c.recv.edge // as the handshake implies
	c.speech = multipath
	c.tellConn(now, pm.Created)
	c.trace(now, trace.Event{Kind: trace.MPTCPEstablished, Path: -1, A: c.localKey, B: key,
		C: uint64(wire.IDSN(c.localKey)), D: uint64(wire.IDSN(key))})
}

// handleThirdACK reads the first segment after our SYN/ACK: the third ACK, or
// data that came in its stead.
//
// "If the third packet (the ACK) does not contain the MP_CAPABLE option, then the
// session MUST fall back to operating as a regular, single-path TCP session."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (sf *subflow) handleThirdACK(now clock.Instant, s *wire.Segment) {
	c := sf.conn
	o := &s.Options.MPCapable
	switch {
	case s.Options.Has&wire.HasMPCapable == 0 || o.NumKeys != 2 || !acceptable(o):
		c.fall(now, reasonNoCapableInACK) // none that is understood
		return
	case o.ReceiverKey != c.localKey:
		c.fall(now, reasonCapableRefused)
		return
	}
	c.stack.counters.MPTcpExtMPCapableACKRX++
	c.learnKey(now, o.SenderKey)
	c.send.open(uint64(sf.window(s))) // relative to IDSN + 1, as if DATA_ACKed
	c.confirm(now)
}

// handleCapableData registers the mapping of MP_CAPABLE with data: "the data
// parameters in an MP_CAPABLE are semantically equivalent to those in a DSS option
// and can be used interchangeably"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (sf *subflow) handleCapableData(now clock.Instant, s *wire.Segment) error {
	o := &s.Options.MPCapable
	if sf.join || s.Options.Has&wire.HasMPCapable == 0 || !o.HasDataLen || o.DataLen == 0 {
		return nil
	}
	d := wire.DSS{HasMap: true, DSN64: true, DSN: sf.conn.rcvBase.Add(int(sf.rx.synData)), SSN: 1, DataLen: o.DataLen,
		HasChecksum: o.HasChecksum, Checksum: o.Checksum}
	return sf.addMapping(now, &d)
}

// confirm makes the connection fully established: the peer has shown that it has
// our key. Joins are possible from now on: "new subflows MUST NOT be
// established [...] until a DSS option has been successfully received across the
// path"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.1).
func (c *Conn) confirm(now clock.Instant) {
	if c.confirmed || c.speech != multipath {
		return
	}
	c.confirmed = true
	c.again = true
	c.tellConn(now, pm.Established)
}

// becomeEstablished is the end of the first subflow's handshake.
func (c *Conn) becomeEstablished(now clock.Instant) {
	if c.established {
		return
	}
	c.established = true
	c.countEstablished()
	m := Established | Writable
	if c.listener != nil {
		c.listener.ready(c)
	}
	c.notify(m)
}

// countEstablished keeps the gauge of MPTCP sockets in ESTABLISHED. As in the
// kernel, a socket counts that fell back as client; one that was accepted
// without MP_CAPABLE in the SYN is a TCP socket.
func (c *Conn) countEstablished() {
	if c.speech == plainTCP || c.server && c.token == 0 || c.counted {
		return
	}
	c.counted = true
	c.stack.counters.MPTcpExtMPCurrEstab++
}

func (c *Conn) uncountEstablished() {
	if c.counted && !c.uncounted {
		c.uncounted = true
		c.stack.counters.MPTcpExtMPCurrEstab--
	}
}
