package mptcp

import (
	"net/netip"
	"slices"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// Signals ride on pure ACKs, which TCP does not retransmit: each has a small
// state of its own.

// signalState is that of a signal that is sent once.
type signalState uint8

const (
	signalIdle signalState = iota
	signalWanted
	signalSent
)

func (s *signalState) want() { *s = signalWanted }

// announcement is an address of ours that is being announced.
type announcement struct {
	id     uint8
	addr   netip.AddrPort
	state  signalState
	echoed bool
	tries  int
	at     clock.Instant // repeat then, unless it was echoed
}

// maxAnnounce is how often an ADD_ADDR without echo is repeated (Linux:
// ADD_ADDR_RETRANS_MAX).
const maxAnnounce = 3

// signals are the connection's: they go on any subflow.
type signals struct {
	announced []announcement
	echoes    queue[wire.AddAddr]
	removals  []uint8
	known     []remoteAddr // that the peer announced
	held      bool         // by maxSignals, until heldTill if the peer does not speak before
	heldTill  clock.Instant
}

type remoteAddr struct {
	id   uint8
	addr netip.AddrPort
}

// maxSignals is how many segments in a row may do nothing but carry an address.
//
// "an MPTCP implementation SHOULD NOT send more than two duplicate ACKs in a row for
// the purposes of sending MPTCP options alone, in order to ensure that no
// middleboxes misinterpret this as a sign of congestion"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3).
const maxSignals = 2

// deadline returns when the next ADD_ADDR is to be sent.
func (s *signals) deadline() clock.Instant {
	at := clock.Never
	if s.held {
		at = s.heldTill
	}
	for i := range s.announced {
		if a := &s.announced[i]; !a.echoed && a.state == signalSent && a.tries < maxAnnounce {
			at = clock.Min(at, a.at)
		}
	}
	return at
}

// waiting reports whether something wants to go out.
func (s *signals) waiting() bool {
	if s.echoes.len() > 0 || len(s.removals) > 0 {
		return true
	}
	for i := range s.announced {
		if s.announced[i].state == signalWanted {
			return true
		}
	}
	return false
}

// announce begins to send ADD_ADDR.
func (c *Conn) announce(now clock.Instant, id uint8, addr netip.AddrPort) {
	c.signals.announced = slices.DeleteFunc(c.signals.announced, func(a announcement) bool { return a.id == id && a.addr == addr })
	c.signals.announced = append(c.signals.announced, announcement{id: id, addr: addr, state: signalWanted, at: c.repeatAt(now, 0)})
	c.again = true
}

// repeatAt is when an ADD_ADDR is repeated after so many tries. "According to local
// policy, the lack of this type of "echo" can indicate to the initial ADD_ADDR sender
// that the ADD_ADDR needs to be retransmitted."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1). The policy is that of Linux
// 6.18: after the longest RTO of the subflows or add_addr_timeout, whichever is
// shorter, doubled each time.
func (c *Conn) repeatAt(now clock.Instant, tries int) clock.Instant {
	if c.cfg.AddAddrTimeout < 0 {
		return clock.Never
	}
	var longest time.Duration
	for _, sf := range c.subflows {
		if sf.stage == open && !sf.stale {
			longest = max(longest, sf.tcp.RTO())
		}
	}
	if longest == 0 || longest > c.cfg.AddAddrTimeout {
		longest = c.cfg.AddAddrTimeout
	}
	return now.Add(longest << tries)
}

// announces reports whether a, with its port, is announced.
func (s *signals) announces(a netip.AddrPort) bool {
	for i := range s.announced {
		if s.announced[i].addr == a {
			return true
		}
	}
	return false
}

// withdraw sends REMOVE_ADDR and forgets the announcement.
func (c *Conn) withdraw(id uint8) {
	kept := c.signals.announced[:0]
	for _, a := range c.signals.announced {
		if a.id != id {
			kept = append(kept, a)
		}
	}
	c.signals.announced = kept
	c.signals.removals = append(c.signals.removals, id)
	if sf := c.signalPath(); sf != nil && sf.signalled < maxSignals {
		sf.tcp.AckNow() // before the FIN of the address's own subflows
	}
	c.again = true
}

// signalWork repeats announcements and asks for ACKs to carry what waits.
func (c *Conn) signalWork(now clock.Instant) {
	if c.done || c.speech != multipath || !c.signals.waiting() || c.signalPath() == nil {
		c.signals.held = false // nobody waits for heldTill
	}
	if c.done {
		return
	}
	for _, sf := range c.subflows {
		if sf.stage == open && (sf.prio == signalWanted || sf.fail == signalWanted) {
			sf.ackOwed = true
		}
	}
	if c.speech != multipath {
		return
	}
	for i := range c.signals.announced {
		a := &c.signals.announced[i]
		if a.state == signalSent && !a.echoed && a.tries < maxAnnounce && a.at <= now {
			a.state = signalWanted
			a.tries++
			a.at = c.repeatAt(now, a.tries)
			if a.tries == maxAnnounce {
				c.tellPM(now, pm.Event{Kind: pm.AnnounceRepeated, Path: -1, Local: a.addr, LocalID: a.id})
			}
		}
	}
	if c.signals.waiting() {
		c.wakeSignals(now)
	}
}

// wakeSignals asks for an ACK to carry an address, as soon as one may go.
func (c *Conn) wakeSignals(now clock.Instant) {
	sf, q := c.signalPath(), &c.signals
	if sf == nil {
		return
	}
	if sf.signalled >= maxSignals {
		if !q.held {
			q.held, q.heldTill = true, now.Add(sf.tcp.RTO())
			return
		}
		if now < q.heldTill {
			return
		}
		sf.signalled = 0
	}
	q.held = false
	sf.ackOwed = true
}

// signalPath returns the subflow that carries the connection's signals: the
// first that works, if possible one that is not silent.
func (c *Conn) signalPath() *subflow {
	var some *subflow
	for _, sf := range c.subflows {
		if !sf.usable() || !sf.linked {
			continue
		}
		if sf.rtos == 0 {
			return sf
		}
		if some == nil {
			some = sf
		}
	}
	return some
}

// signalOptions adds what waits to a segment without data, as far as there is
// room: at most one ADD_ADDR or REMOVE_ADDR.
func (sf *subflow) signalOptions(now clock.Instant, s *wire.Segment, room int) {
	c, o := sf.conn, &s.Options
	left := room - dssAckLen
	if o.DSS.HasMap {
		left = room - dssReserve
	}
	if sf.fail == signalWanted && left >= failLen {
		sf.failOption(now, o)
		left -= failLen
	}
	if sf.prio == signalWanted && left >= prioLen {
		sf.prio = signalSent
		o.Has |= wire.HasMPPrio
		o.MPPrio.Backup = sf.backup
		left -= prioLen
		c.stack.counters.MPTcpExtMPPrioTx++
		sf.trace(now, trace.Event{Kind: trace.PrioSent, Flag: sf.backup})
	}
	if s.Flags&wire.FIN != 0 || sf != c.signalPath() || !c.signals.waiting() || sf.signalled >= maxSignals {
		return
	}
	c.addressOption(now, sf, o, left, room)
	if o.Has&(wire.HasAddAddr|wire.HasRemoveAddr) != 0 {
		sf.signalled++
	}
	if c.signals.waiting() {
		c.again = true
	}
}

// addressOption adds one echo, REMOVE_ADDR or ADD_ADDR. As in Linux an ADD_ADDR or
// its echo goes without DSS: for TCP such a segment is a duplicate ACK. Only a
// DATA_FIN stays with it if there is room, and what the DSS would have said for the
// first time goes on an ACK of its own.
func (c *Conn) addressOption(now clock.Instant, sf *subflow, o *wire.Options, left, room int) {
	fits := func(n int, alone bool) bool {
		if n <= room && o.Has&wire.HasMPTCP == wire.HasDSS && (alone && !o.DSS.HasMap || n > left) {
			o.Has &^= wire.HasDSS
			if o.DSS.HasMap || !c.saidAll() {
				sf.ackOwed, c.again = true, true // with what it would have said
			}
			return true
		}
		return n <= left
	}
	q := &c.signals
	if a, ok := q.echoes.front(); ok {
		if fits(a.Len(), true) {
			q.echoes.pop()
			o.Has |= wire.HasAddAddr
			o.AddAddr = a
			c.stack.counters.MPTcpExtEchoAddTx++
			sf.trace(now, trace.Event{Kind: trace.AddAddrSent, Remote: netip.AddrPortFrom(a.Addr, a.Port), A: uint64(a.ID), Flag: true})
		} else if a.Len() > room {
			q.echoes.pop()
			c.stack.counters.MPTcpExtEchoAddTxDrop++
		}
		return
	}
	if n := len(q.removals); n > 0 {
		r := wire.RemoveAddr{Num: min(n, 9)}
		copy(r.IDs[:], q.removals[:r.Num])
		if fits(r.Len(), false) {
			q.removals = q.removals[:copy(q.removals, q.removals[r.Num:])]
			o.Has |= wire.HasRemoveAddr
			o.RemoveAddr = r
			c.stack.counters.MPTcpExtRmAddrTx += uint64(r.Num)
			for _, id := range r.IDs[:r.Num] {
				sf.trace(now, trace.Event{Kind: trace.RemoveAddrSent, A: uint64(id)})
			}
		}
		return
	}
	for i := range q.announced {
		a := &q.announced[i]
		if a.state != signalWanted {
			continue
		}
		opt := wire.AddAddr{ID: a.id, Addr: a.addr.Addr(), Port: a.addr.Port(),
			HMAC: wire.AddAddrHMAC(c.localKey, c.remoteKey, a.id, a.addr.Addr(), a.addr.Port())}
		if fits(opt.Len(), true) {
			a.state = signalSent
			c.tellPM(now, pm.Event{Kind: pm.AnnounceSent, Path: -1, Local: a.addr, LocalID: a.id})
			o.Has |= wire.HasAddAddr
			o.AddAddr = opt
			c.stack.counters.MPTcpExtAddAddrTx++
			sf.trace(now, trace.Event{Kind: trace.AddAddrSent, Remote: a.addr, A: uint64(a.id)})
		} else if opt.Len() > room {
			// IPv6 with port never fits beside timestamps.
			a.state, a.tries = signalSent, maxAnnounce
			c.stack.counters.MPTcpExtAddAddrTxDrop++
			c.tellPM(now, pm.Event{Kind: pm.AnnounceSent, Path: -1, Local: a.addr, LocalID: a.id})
			c.stack.drop(now, "no room for ADD_ADDR")
		}
		return
	}
}

// failOption adds MP_FAIL.
func (sf *subflow) failOption(now clock.Instant, o *wire.Options) {
	sf.fail = signalSent
	o.Has |= wire.HasMPFail
	o.MPFail = sf.failDSN
	sf.conn.stack.counters.MPTcpExtMPFailTx++
	sf.trace(now, trace.Event{Kind: trace.FailSent, A: uint64(sf.failDSN)})
	if sf.rx.failed {
		sf.failAt = now.Add(sf.tcp.RTO() << sf.failTries)
	}
}

// handleAddAddr takes ADD_ADDR: an echo ends our repetitions, an address is
// echoed and goes to the path manager. "If a host receives an ADD_ADDR option for
// which it cannot validate the HMAC, it SHOULD silently ignore the option."; "If no
// port is specified, MPTCP SHOULD attempt to connect to the specified address on the
// same port as the port that is already in use by the subflow on which the ADD_ADDR
// signal was sent"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1).
func (c *Conn) handleAddAddr(now clock.Instant, sf *subflow, a *wire.AddAddr) {
	addr := netip.AddrPortFrom(a.Addr, a.Port)
	if a.Port != 0 && (a.Echo || c.validAddr(a)) {
		c.stack.counters.MPTcpExtPortAdd++
	}
	if a.Echo {
		c.stack.counters.MPTcpExtEchoAdd++
		sf.trace(now, trace.Event{Kind: trace.AddAddrReceived, Remote: addr, A: uint64(a.ID), Flag: true})
		for i := range c.signals.announced {
			m := &c.signals.announced[i]
			if m.id == a.ID && m.addr == addr && !m.echoed {
				m.echoed = true
				c.tellPM(now, pm.Event{Kind: pm.AnnounceEchoed, Path: sf.id, Local: addr, LocalID: a.ID})
			}
		}
		return
	}
	if !c.validAddr(a) {
		c.stack.drop(now, "ADD_ADDR with a wrong HMAC")
		return
	}
	c.stack.counters.MPTcpExtAddAddr++
	sf.trace(now, trace.Event{Kind: trace.AddAddrReceived, Remote: addr, A: uint64(a.ID)})
	if c.stack.user != nil && !c.stack.user.Attended {
		c.stack.counters.MPTcpExtAddAddrDrop++ // there is no daemon
		return
	}
	if c.signals.echoes.len() < 8 {
		c.signals.echoes.push(wire.AddAddr{Echo: true, ID: a.ID, Addr: a.Addr, Port: a.Port})
	} else {
		c.stack.counters.MPTcpExtEchoAddTxDrop++
	}
	c.again = true
	if !c.signals.learn(a.ID, addr) {
		return
	}
	e := pm.Event{Kind: pm.Announced, Token: c.token, Path: sf.id, Local: c.laddr, Remote: addr, RemoteID: a.ID}
	c.stack.pm.Handle(now, e)
	if addr.Port() == 0 { // shown is the port that a subflow would go to
		e.Remote = netip.AddrPortFrom(addr.Addr(), sf.remote.Port())
	}
	c.stack.show(now, e)
}

// validAddr reports whether an ADD_ADDR is the peer's.
func (c *Conn) validAddr(a *wire.AddAddr) bool {
	return a.HMAC == wire.AddAddrHMAC(c.remoteKey, c.localKey, a.ID, a.Addr, a.Port)
}

// learn remembers an address of the peer; false: its id belongs to another one,
// which would have to be removed first. What is announced again may be tried again, and
// "If the port number is different, the receiving host SHOULD try to set up a new
// subflow to this new address/port combination."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1).
func (s *signals) learn(id uint8, addr netip.AddrPort) bool {
	for _, k := range s.known {
		if k.id == id && k.addr.Addr() != addr.Addr() {
			return false
		}
	}
	for _, k := range s.known {
		if k.id == id && k.addr == addr {
			return true
		}
	}
	if len(s.known) >= 256 {
		return false
	}
	s.known = append(s.known, remoteAddr{id, addr})
	return true
}

// handleRemoveAddr closes the subflows of the ids that are gone.
func (c *Conn) handleRemoveAddr(now clock.Instant, r *wire.RemoveAddr) {
	for _, id := range r.IDs[:min(r.Num, len(r.IDs))] {
		c.stack.counters.MPTcpExtRmAddr++
		c.trace(now, trace.Event{Kind: trace.RemoveAddrReceived, Path: -1, A: uint64(id)})
		kept := c.signals.known[:0]
		for _, k := range c.signals.known {
			if k.id != id {
				kept = append(kept, k)
			}
		}
		c.signals.known = kept
		for _, sf := range c.subflows {
			switch {
			case sf.remoteID != id:
			case c.cfg.RemoveAddrKeepalive && sf.stage == open:
				sf.askAlive(now)
			default:
				sf.leave("remove_addr")
			}
		}
		c.tellPM(now, pm.Event{Kind: pm.Removed, Path: -1, RemoteID: id})
	}
}

// leave is retire after an ACK, which says what this subflow has not said yet
// (mptcp_subflow_shutdown).
func (sf *subflow) leave(why string) {
	if sf.stage != open {
		sf.retire(why)
		return
	}
	sf.leaving = why
	sf.tcp.AckNow()
	sf.conn.again = true
}

// retire closes a subflow whose address is gone or that is not wanted any more:
// FIN, and nobody waits for the answer.
func (sf *subflow) retire(why string) {
	if sf.over {
		return
	}
	sf.close()
	sf.tcp.Orphan()
	sf.end(why)
	sf.conn.again = true
}

// handlePrio takes MP_PRIO: it changes the subflow that carries it.
func (sf *subflow) handlePrio(now clock.Instant, backup bool) {
	c := sf.conn
	c.stack.counters.MPTcpExtMPPrioRx++
	sf.trace(now, trace.Event{Kind: trace.PrioReceived, Flag: backup})
	if sf.peerBackup != backup {
		sf.peerBackup = backup
		sf.trace(now, trace.Event{Kind: trace.SubflowBackup, Flag: backup, Text: "peer"})
	}
	c.tellSubflow(now, pm.SubPriority, sf)
}

// setBackup tells the peer by MP_PRIO how to use the subflow.
func (sf *subflow) setBackup(now clock.Instant, backup bool) {
	if sf.over {
		return
	}
	sf.prio.want() // also if it is so already, as by Linux
	sf.conn.again = true
	if sf.backup == backup {
		return
	}
	sf.backup = backup
	sf.trace(now, trace.Event{Kind: trace.SubflowBackup, Flag: backup, Text: "local"})
}
