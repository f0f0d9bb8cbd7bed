package tcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
	"net/netip"
)

func newConn(now clock.Instant, p Params, u Upper) *Conn {
	sc := p.Scratch
	if sc == nil {
		sc = new(Scratch)
	}
	c := &Conn{
		upper: u, cfg: sc.config(p.Config), scratch: sc,
		local: p.OwnLocal, remote: p.OwnRemote,
		family: p.Family, iss: p.ISS, tsOffset: p.TSOffset,
		mtu:    p.MTU,
		timers: clock.NewTimers(numTimers),
		board:  newScoreboard(),
	}
	if c.local == nil {
		ends := [2]netip.AddrPort{p.Local, p.Remote}
		c.local, c.remote = &ends[0], &ends[1]
	}
	if c.mtu == 0 {
		c.mtu = 1500
	}
	if c.family == nil {
		f, ok := cc.Lookup(c.cfg.CongestionControl)
		if !ok {
			panic("BUG: unknown congestion control " + c.cfg.CongestionControl)
		}
		c.family = f
	}
	// "If an MSS Option is not received at connection setup, TCP implementations
	// MUST assume a default send MSS of 536 ... for IPv4 or 1220 ... for IPv6"
	// (https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1).
	c.peerMSS = defaultMSS
	if c.headerLen() == 60 {
		c.peerMSS = 1220
	}
	c.rcvMSS = defaultMSS
	c.reordering = c.cfg.Reordering
	c.repeatedSince, c.probingSince = clock.Never, clock.Never
	c.tsOK, c.sackOK, c.wsOK = !c.cfg.NoTimestamps, !c.cfg.NoSACK, !c.cfg.NoWindowScaling
	c.rtt.rto = initialRTO
	c.rcvScale = uint8(c.cfg.WScale)
	c.flow = cc.Flow{Cwnd: c.cfg.InitialCwnd, SSThresh: cc.MaxSSThresh, MSS: c.MSS(), AsLinux: c.cfg.AsLinux}
	c.ctrl = c.family.New(&c.flow, now)
	c.lastDataRecv, c.lastAckRecv, c.flow.LastSent = now, now, now
	return c
}

// Connect opens a connection actively: the SYN goes out with the next Output.
// A Params without Family uses the controller that Config names; an unknown name
// is a mistake of the caller's that panics.
func Connect(now clock.Instant, p Params, u Upper) *Conn {
	c := newConn(now, p, u)
	c.state = StateSYNSent
	c.wishFastOpen(&p.FastOpen)
	c.fo.asked = p.FastOpen.Option
	c.fitSYNOptions(p.SYNOptions)
	c.ecn.ok = c.cfg.ECN == ECNOn
	c.owed.syn = true
	return c
}

// Accept opens a connection passively from a SYN: it is in SYN-RECEIVED, the
// SYN/ACK goes out with the next Output. The upper hears nothing of it until
// Accept has returned: whoever calls has seen the SYN's options.
func Accept(now clock.Instant, p Params, u Upper, syn *wire.Segment) *Conn {
	c := newConn(now, p, u)
	c.passive = true
	c.takeSYN(now, syn)
	c.wishFastOpen(&p.FastOpen)
	c.fitSYNOptions(p.SYNOptions)
	c.state = StateSYNReceived
	c.owed.syn = true
	return c
}

// Resume says that the SYN/ACK of a connection made by Accept has gone out already, for
// the first time at sentAt and retransmits times more, with a window of wnd bytes:
// whoever has kept only the SYN until the third ACK came says so before that is
// processed.
func (c *Conn) Resume(sentAt clock.Instant, retransmits, wnd int) {
	c.owed.syn = false
	c.fo.wish = nil
	c.sndNxt = 1
	c.synSentAt, c.synRetransmits = sentAt, retransmits
	c.rcvAdv = c.rcvNxt.Add(wnd)
}

// takeSYN takes the peer's sequence number, window and options from its SYN.
func (c *Conn) takeSYN(now clock.Instant, s *wire.Segment) {
	o := &s.Options
	c.takeECN(s)
	c.irs = s.Seq
	// The window of our SYN holds for what follows the peer's.
	c.rcvAdv = wire.Seq(1).Add(c.rcvAdv.Sub(c.rcvNxt))
	c.rcvNxt, c.lastAcked = 1, 1
	c.tsOK = c.tsOK && o.Has&wire.HasTimestamps != 0
	c.sackOK = c.sackOK && o.Has&wire.HasSACKPermitted != 0
	c.wsOK = c.wsOK && o.Has&wire.HasWScale != 0
	if c.wsOK {
		c.sndScale = min(o.WScale, maxWScale)
	} else {
		c.sndScale, c.rcvScale = 0, 0
	}
	if o.Has&wire.HasMSS != 0 && o.MSS > 0 {
		c.peerMSS = int(o.MSS)
	}
	if c.tsOK {
		c.tsRecent, c.tsRecentAt, c.hasTS = o.TSVal, now, true
	}
	// The window in a SYN is never scaled (RFC 7323, 2.2).
	c.sndWnd = int(s.Window)
	c.maxSndWnd = c.sndWnd
	c.flow.MSS = c.MSS()
}

// synOptions fills in what our SYN offers, or our SYN/ACK agrees to.
func (c *Conn) synOptions(o *wire.Options) {
	o.Has |= wire.HasMSS
	o.MSS = uint16(min(max(c.mtu-c.headerLen(), 0), 65535))
	if c.cfg.MaxSeg > 0 {
		o.MSS = min(o.MSS, uint16(c.cfg.MaxSeg))
	}
	if c.sackOK {
		o.Has |= wire.HasSACKPermitted
	}
	if c.wsOK {
		o.Has |= wire.HasWScale
		o.WScale = c.rcvScale
	}
	if c.fo.wish != nil && c.fo.wish.Option {
		o.Has |= wire.HasFastOpen
		o.FastOpen = c.fo.wish.Cookie
	}
}

// segmentSYNSent handles a segment in SYN-SENT (RFC 9293, 3.10.7.3).
func (c *Conn) segmentSYNSent(now clock.Instant, s *wire.Segment) {
	ack := s.Ack - c.iss
	acked := s.Flags&wire.ACK != 0
	if acked && (!wire.Seq(0).Less(ack) || c.sndNxt.Less(ack)) {
		// "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit
		// is set, if so drop the segment and return)"
		if s.Flags&wire.RST == 0 {
			c.owed.stray, c.owed.straySeq = true, s.Ack
			if c.synRetransmits == 0 && c.timers.Armed(timerRTO) {
				// Our RST may have ended what sent this: the SYN goes again at once, as
				// in Linux (tcp_rcv_synsent_state_process).
				c.timers.Set(timerRTO, now.Add(timeoutMin))
			}
		}
		return
	}
	if acked && s.Options.Has&wire.HasTimestamps != 0 && c.tsOK && s.Options.TSEcr != 0 &&
		(int32(s.Options.TSEcr-c.tsClock(now)) > 0 || int32(s.Options.TSEcr-c.tsClock(c.synSentAt)) < 0) {
		// An echo from the future, or from before the SYN, is of another connection (as
		// in Linux).
		if s.Flags&wire.RST == 0 {
			c.owed.stray, c.owed.straySeq = true, s.Ack
		}
		return
	}
	if s.Flags&wire.RST != 0 {
		if acked {
			c.end(now, ErrRefused, ResetReceived)
		}
		return
	}
	if s.Flags&wire.SYN == 0 {
		return
	}
	c.takeSYN(now, s)
	if !acked {
		c.simultaneousOpen(now, s)
		return
	}
	c.state = StateSYNReceived // until the upper agrees: it may have us reset
	c.sndWL1 = 0
	c.synAcked(now, ack)
	c.sampleSYN(now, s)
	c.ackedSYNData(now, ack)
	if !c.handleOptions(now, s) {
		return
	}
	c.establish(now)
	if c.state == StateClosed {
		return
	}
	if c.board.packets > 0 {
		c.loseSYNData(now) // and its segments acknowledge the SYN/ACK
		return
	}
	if s.Len() > 1 && (c.fo.asked || c.fo.sent) {
		c.takeSYNPayload(now, s)
	}
	c.ackSYNACK(now)
}

// simultaneousOpen answers a SYN that crossed ours: "enter SYN-RECEIVED, form a
// SYN,ACK segment ... and send it".
func (c *Conn) simultaneousOpen(now clock.Instant, s *wire.Segment) {
	c.state = StateSYNReceived
	c.owed.syn = true
	c.timers.Stop(timerRTO)
	if c.handleOptions(now, s) {
		c.upper.Event(now, SYNReceived)
	}
}

// synAcked notes that the peer has our SYN.
func (c *Conn) synAcked(now clock.Instant, ack wire.Seq) {
	c.sndUna = 1
	c.count.delivered++
	if !c.passive {
		c.count.bytesAcked++ // the SYN, as Linux counts it
	}
	c.owed.syn = false
	c.timers.Stop(timerRTO)
	c.backoff, c.retransmits = 0, 0
	c.lastAckRecv = now
	if first := c.fo.sent && ack == c.sndNxt; c.synRetransmits > 1 && !first {
		// "If the SYN or SYN/ACK is lost, the initial window ... MUST be one segment"
		// (RFC 5681, 3.1); the first may only have been slow (RFC 6928, 2), as it was
		// if its data arrived.
		c.flow.Cwnd = 1
	}
	c.upper.Acked(now, 1)
}

// sampleSYN takes the round trip of our SYN or SYN/ACK, of which s is the answer, unless
// that shows one of data.
func (c *Conn) sampleSYN(now clock.Instant, s *wire.Segment) {
	if c.rtt.srtt8 != 0 {
		return
	}
	rtt := c.echoRTT(now, s)
	if c.synRetransmits == 0 {
		rtt = max(now.Sub(c.synSentAt), 1)
	}
	if rtt <= 0 {
		// "the RTO MUST be re-initialized to 3 seconds when data transmission begins"
		// (https://www.rfc-editor.org/rfc/rfc6298#section-5, 5.7).
		c.rtt.rto = min(fallbackRTO, c.cfg.RTOMax)
		return
	}
	c.rtt.observeMin(now, rtt)
	c.flow.MinRTT = c.rtt.min
	c.sampleRTT(now, rtt)
}

// establish enters ESTABLISHED, or FIN-WAIT-1 if Close came first.
func (c *Conn) establish(now clock.Instant) {
	c.state = StateEstablished
	if c.closing {
		c.state = StateFINWait1
	}
	if c.fo.passive || c.fo.sent {
		c.establishFastOpen(now)
	}
	c.flow.Established = true
	c.flow.MSS = c.MSS()
	c.repeatedSince = clock.Never
	c.cwndUsedAt = now
	c.startMTUProbing(now)
	c.startKeepalive(now)
	c.upper.Event(now, Established)
}
