package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/wire"
)

// stage is how far a subflow has come.
type stage uint8

const (
	opening        stage = iota // TCP and MPTCP handshake
	preEstablished              // the third ACK with MP_JOIN waits for the fourth: no data (RFC 8684, 3.2)
	open
	ended // told everybody; TCP may still be in TIME-WAIT
)

// subflow is one TCP connection of a Conn and its tcp.Upper. A plain TCP
// connection has exactly one.
type subflow struct {
	conn          *Conn
	tcp           *tcp.Conn
	id            int // ordinal in the connection
	local, remote netip.AddrPort
	localID       uint8
	remoteID      uint8
	link          machine.LinkID
	mtu           int  // of the link
	linked        bool // there is a route
	join          bool // by MP_JOIN
	active        bool // we sent the SYN
	requested     bool // by the path manager: it hears of the end
	stage         stage
	backup        bool  // we asked the peer to use it as backup
	peerBackup    bool  // the peer asked us
	wscale        uint8 // of the windows that the peer sends

	localNonce, remoteNonce uint32
	joinAt                  clock.Instant // repeat the third ACK

	tx sendSide
	rx receiveSide

	rtos               int // expiries of the retransmission timer without progress
	lastRecv, lastData clock.Instant

	signalled     int           // segments that only carried an address, since the peer spoke
	failDSN       wire.DSN      // MP_FAIL
	failAt        clock.Instant // repeat ours then: no infinite mapping has come
	failTries     int
	removal       removal
	rst           wire.MPTCPRst // what goes on our RST
	rstText       string
	peerRst       *wire.Options // of the RST that came
	reason        string        // of the end
	reinjected    uint64
	joinTries     int
	edge          uint64 // right edge of the connection's window as this subflow said it
	penalisedAt   clock.Instant
	prio          signalState // MP_PRIO
	fail          signalState
	stale         bool
	ackOwed       bool   // an ACK with news of the connection is owed
	dataAckOwed   bool   // data has come since a DATA_ACK went out on it
	ackAfterFIN   bool   // not before the FIN that is being sent
	reset         bool   // MP_TCPRST goes on our RST
	closing       bool   // Close was called: nothing new is sent
	over          bool   // TCP is done or dead: to be reaped
	gone          bool   // TCP is closed: nothing more comes from it
	leaving       string // why it is to be closed once an ACK has gone out
	finSeen       bool
	isEstablished bool
	foAgain       bool // Fast Open is tried again after a blackhole
	failOnReset   bool // MP_FAIL goes on our RST
	keysOwed      bool // the SYN/ACK came again: the peer has not got our third ACK
	proven        bool // by MP_JOIN, and a DATA_ACK has come for data: options pass in both directions
}

// noOptions are those of a RST that has not come.
var noOptions wire.Options

// newSubflow makes a subflow without TCP; connect or accept follows.
func (c *Conn) newSubflow(local, remote netip.AddrPort) *subflow {
	sf := &subflow{conn: c, id: c.nextPath, local: local, remote: remote, joinAt: clock.Never, failAt: clock.Never,
		removal: removal{at: clock.Never}, peerRst: &noOptions}
	c.nextPath++
	sf.tx.init()
	sf.rx.init()
	sf.join = len(c.subflows) > 0 || sf.id > 0
	sf.findLink()
	c.subflows = append(c.subflows, sf)
	c.stack.bind(flowKey{local, remote}, sf)
	return sf
}

// connect begins the handshake actively.
func (sf *subflow) connect(now clock.Instant, fo tcp.FastOpen) {
	sf.active = true
	sf.conn.stack.counters.TcpActiveOpens++
	p := sf.params(now)
	p.FastOpen = fo
	if !sf.conn.streaming() {
		p.SYNOptions = capableLen
	}
	sf.tcp = tcp.Connect(now, p, sf)
	sf.begun(now)
}

// accept answers a SYN.
func (sf *subflow) accept(now clock.Instant, syn *wire.Segment, iss wire.Seq, fo tcp.FastOpen) {
	sf.noteSYN(syn)
	sf.lastRecv = now
	p := sf.params(now)
	p.ISS, p.FastOpen = iss, fo
	if !sf.conn.streaming() {
		p.SYNOptions = capableAnswer
	}
	sf.tcp = tcp.Accept(now, p, sf, syn)
	sf.begun(now)
}

// acceptEarly takes the SYN of accept as Fast Open: its data is the beginning of the
// stream, and the connection is open.
func (sf *subflow) acceptEarly(now clock.Instant, syn *wire.Segment) {
	c, r := sf.conn, &sf.rx
	c.early = c.listener
	c.early.fastOpenPending++
	mapped := !r.streaming
	if mapped {
		r.infinite(1, 0)
	}
	sf.tcp.AcceptData(now, syn)
	if mapped {
		r.streaming, r.synData = false, r.nxt-1
	}
	c.send.open(uint64(sf.window(syn)))
	sf.openNow(now)
	c.becomeEstablished(now)
}

// settleEarly is the end of a handshake that began with Fast Open.
func (sf *subflow) settleEarly(now clock.Instant, reset bool) {
	if c := sf.conn; c.early != nil {
		c.early.fastOpenDone(now, reset && c.listener == nil)
		c.early = nil
	}
}

func (sf *subflow) begun(now clock.Instant) {
	if !sf.conn.streaming() {
		sf.tcp.ReserveOptions(dssReserve)
	} else {
		sf.tx.infinite(1, 0)
		sf.rx.infinite(1, 0)
	}
	sf.trace(now, trace.Event{Kind: trace.SubflowCreated, Local: sf.local, Remote: sf.remote,
		A: uint64(sf.localID), B: uint64(sf.remoteID), Flag: sf.backup || sf.peerBackup})
}

func (sf *subflow) params(now clock.Instant) tcp.Params {
	c, s := sf.conn, sf.conn.stack
	sf.mtu = defaultMTU
	if sf.linked {
		sf.mtu = s.links[sf.link].MTU
	}
	p := s.tcpParams(&c.cfg.TCP, sf.local, sf.remote, 0)
	if sf.active {
		p.ISS = s.iss(now, sf.local, sf.remote)
	}
	p.MTU, p.Family = sf.mtu, c.family
	p.OwnLocal, p.OwnRemote = &sf.local, &sf.remote
	return p
}

// tcpParams are those of a TCP connection by the route that it has now.
func (s *Stack) tcpParams(cfg *tcp.Config, local, remote netip.AddrPort, iss wire.Seq) tcp.Params {
	mtu := defaultMTU
	if id, ok := s.route(local.Addr(), remote.Addr()); ok {
		mtu = s.links[id].MTU
	}
	return tcp.Params{Config: cfg, Local: local, Remote: remote, ISS: iss, TSOffset: s.tsOffset(local, remote), MTU: mtu, Scratch: &s.scratch}
}

// findLink looks up by which link the subflow's packets leave.
func (sf *subflow) findLink() {
	sf.link, sf.linked = sf.conn.stack.route(sf.local.Addr(), sf.remote.Addr())
}

// linkChanged looks up the routes of all subflows again.
func (c *Conn) linkChanged() {
	for _, sf := range c.subflows {
		sf.findLink()
		if !sf.linked {
			continue
		}
		if mtu := c.stack.links[sf.link].MTU; mtu != sf.mtu { // keep what PMTUD found
			sf.mtu = mtu
			sf.tcp.SetMTU(mtu)
		}
	}
}

// segment takes a segment of this subflow from the wire.
func (sf *subflow) segment(now clock.Instant, s *wire.Segment) {
	sf.lastRecv = now
	sf.signalled = 0
	if s.Flags&wire.RST != 0 {
		o := s.Options
		sf.peerRst = &o
	}
	if c := sf.conn; c.early != nil && c.speech == offered && overtakes(s, sf.tcp.IRS().Add(int(sf.tcp.RcvNxt()))) {
		return
	}
	if s.Flags&wire.SYN != 0 && sf.isEstablished {
		sf.keysOwed = true
	}
	sf.tcp.Segment(now, s)
}

// noteSYN remembers the shift of the windows to come: "The window field in a
// segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be scaled."
// (https://www.rfc-editor.org/rfc/rfc7323#section-2.2).
func (sf *subflow) noteSYN(s *wire.Segment) {
	sf.wscale = 0
	if s.Options.Has&wire.HasWScale != 0 && !sf.conn.cfg.TCP.NoWindowScaling {
		sf.wscale = min(s.Options.WScale, 14)
	}
}

// window returns the window that a segment of the peer's advertises.
func (sf *subflow) window(s *wire.Segment) int {
	if s.Flags&wire.SYN != 0 {
		return int(s.Window)
	}
	return int(s.Window) << sf.wscale
}

// usable reports whether the subflow may carry data.
func (sf *subflow) usable() bool {
	return sf.stage == open && !sf.closing && !sf.over && sf.leaving == ""
}

// Unsent implements tcp.Upper.
func (sf *subflow) Unsent() (n int, push, more bool) {
	c := sf.conn
	if sf.stage != open && !c.streaming() || sf.closing && !c.streaming() {
		return 0, false, false
	}
	n = int(c.send.end - c.send.nxt)
	if !c.streaming() {
		n += c.reinject.len() + sf.tx.boundLen
	}
	return n, n > 0 && c.send.pushAt > c.send.nxt, c.send.more && n > sf.tx.boundLen
}

// Event implements tcp.Upper.
func (sf *subflow) Event(now clock.Instant, e tcp.Event) {
	c := sf.conn
	switch e {
	case tcp.Established:
		if !sf.active {
			c.stack.counters.TcpPassiveOpens++
		}
		sf.connected(now)
	case tcp.RTOExpired:
		c.stack.counters.TcpExtTCPTimeouts++
		sf.rtoExpired(now)
		sf.watchFastOpen(now, false)
		if sf.tcp.State() == tcp.StateSYNSent && !sf.join {
			c.givesUpOffer(now, false)
		}
	case tcp.FINReceived:
		sf.finSeen = true
	case tcp.ResetReceived:
		sf.countEnd()
		sf.resetReceived(now)
	case tcp.ResetChallenged:
		sf.doubtFastOpen(now)
	case tcp.TimedOut:
		sf.countEnd()
		sf.watchFastOpen(now, true)
		if !c.established && sf.active && !sf.join {
			c.givesUpOffer(now, true)
		}
		sf.gone = true
		sf.end("timeout")
	case tcp.ICMPError:
		if sf.tcp.State() == tcp.StateClosed {
			sf.gone = true
			sf.end("icmp")
		}
	case tcp.Closed:
		sf.settleEarly(now, false)
		sf.gone = true
		if sf.tcp.Err() == tcp.ErrReset { // by us: what came can be no part of the stream
			sf.end("rst")
		}
		sf.end("fin")
	case tcp.RecoveryEntered:
		f := sf.tcp.Flow()
		sf.trace(now, trace.Event{Kind: trace.RecoveryEntered, A: uint64(f.Cwnd * f.MSS), B: uint64(f.SSThresh * f.MSS)})
	case tcp.RecoveryLeft:
		f := sf.tcp.Flow()
		sf.trace(now, trace.Event{Kind: trace.RecoveryLeft, A: uint64(f.Cwnd * f.MSS)})
	case tcp.Retransmit:
		c.stack.counters.TcpRetransSegs++
		if c.tracing() {
			ssn, n := sf.tcp.LastRetransmit()
			sf.trace(now, trace.Event{Kind: trace.Retransmitted, A: sf.tx.pos(ssn), N: n})
		}
	}
	c.again = true
}

// countEnd counts an end by a RST of the peer or by silence.
func (sf *subflow) countEnd() {
	if n := &sf.conn.stack.counters; sf.isEstablished {
		n.TcpEstabResets++
	} else {
		n.TcpAttemptFails++
	}
}

// connected is the end of the TCP handshake.
func (sf *subflow) connected(now clock.Instant) {
	c := sf.conn
	if sf.join {
		return // established by the third and fourth ACK: join.go
	}
	sf.settleEarly(now, false)
	sf.openNow(now)
	c.becomeEstablished(now)
}

// openNow lets data flow.
func (sf *subflow) openNow(now clock.Instant) {
	if sf.stage == open {
		return
	}
	sf.stage = open
	sf.isEstablished = true
	sf.conn.multi = sf.conn.multi || sf.join
	sf.lastData = now
	sf.trace(now, trace.Event{Kind: trace.SubflowEstablished, Local: sf.local, Remote: sf.remote, A: uint64(sf.tcp.SRTT())})
	sf.conn.tellEstablished(now, sf)
	sf.conn.rescue(sf)
}

// end records why the subflow is over; the first reason counts.
func (sf *subflow) end(reason string) {
	if sf.reason == "" {
		sf.reason = reason
	}
	sf.over = true
}

// resetReceived records the RST of the peer.
func (sf *subflow) resetReceived(now clock.Instant) {
	c := sf.conn
	var code wire.RstReason
	if sf.peerRst.Has&wire.HasMPTCPRst != 0 && !c.streaming() {
		c.stack.counters.MPTcpExtMPRstRx++
		code = sf.peerRst.MPTCPRst.Reason
	}
	sf.settleEarly(now, true)
	sf.trace(now, trace.Event{Kind: trace.ResetReceived, A: uint64(code)})
	if sf.peerRst.Has&wire.HasFastClose != 0 && sf.peerRst.FastClose == c.localKey && c.speech == multipath {
		c.fastCloseReceived(now)
	}
	if sf.peerRst.Has&wire.HasMPFail != 0 && c.speech == multipath {
		c.stack.counters.MPTcpExtMPFailRx++
		sf.trace(now, trace.Event{Kind: trace.FailReceived, A: uint64(sf.peerRst.MPFail)})
	}
	sf.gone = true
	sf.end("rst")
}

// abort resets the subflow and tells the peer why.
func (sf *subflow) abort(reason wire.RstReason, text string) {
	if sf.gone || sf.rstText != "" {
		return
	}
	if sf.conn.speech == multipath || sf.join {
		sf.rst, sf.reset = wire.MPTCPRst{Reason: reason}, true
	}
	sf.rstText = text
	sf.end(text)
	sf.tcp.Abort(reason)
}

// resetError is what HandleOptions returns to make TCP reset the subflow.
func (sf *subflow) resetError(reason wire.RstReason, text string) error {
	sf.rst, sf.reset = wire.MPTCPRst{Reason: reason}, true
	sf.rstText = text
	sf.end(text)
	return &tcp.ResetError{Reason: reason, Text: text}
}

// dssError resets the subflow for what a DSS says, or for one that is missing.
func (sf *subflow) dssError(reason wire.RstReason, text string) error {
	sf.conn.stack.counters.MPTcpExtDssReset++
	return sf.resetError(reason, text)
}

// close begins the FIN exchange of the subflow.
func (sf *subflow) close() {
	if sf.closing || sf.over {
		return
	}
	sf.closing = true
	sf.conn.unbind(sf)
	sf.tcp.Close()
}

// trace hands an event of the subflow to the tracer.
func (sf *subflow) trace(now clock.Instant, e trace.Event) {
	if t := sf.conn.stack.env.Trace; t != nil {
		e.At, e.Conn, e.Token, e.Path = now, sf.conn.ordinal, sf.conn.token, int32(sf.id)
		t.Trace(e)
	}
}
