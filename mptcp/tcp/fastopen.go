package tcp

import (
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
)

// TCP Fast Open (RFC 7413): data in the SYN. Who may send it, and with which cookie,
// is the stack's to know; here is what becomes of it.
//
// Where Linux and the RFC leave a choice it is Linux's: a SYN that goes out again
// carries neither data nor option, data in a SYN/ACK is taken if our SYN asked for
// Fast Open, and what the SYN/ACK does not acknowledge goes again at once.

// FastOpen says what the first SYN, or our SYN/ACK, has of it.
type FastOpen struct {
	Option bool          // the option: Cookie, which asks for one if its Len is 0
	Cookie wire.FastOpen // as it goes out
	Data   int           // bytes from ssn 1 on that the SYN carries, at most FastOpenRoom
}

// fastOpenState is what a connection remembers of it.
type fastOpenState struct {
	wish    *FastOpen // for the first SYN or SYN/ACK; nil: nothing, any more
	exp     bool      // it was in the experimental form
	asked   bool      // the option was on our SYN
	sent    bool      // data was
	acked   bool      // and was taken, or we took the peer's (TCPI_OPT_SYN_DATA)
	failed  uint8     // why no data went with the SYN, or was not taken: TFO...
	passive bool      // we took the SYN as an open connection: data may flow before the third ACK
	// accepted: by the application, before the third ACK. An ICMP error is a hint then.
	accepted bool
}

// Why Fast Open failed (enum tcp_fastopen_client_fail).
const (
	tfoCookieUnavailable = iota + 1
	tfoDataNotAcked
	tfoSYNRetransmitted
)

// FastOpenRoom returns how many bytes a SYN may carry: a segment of the MSS that the
// peer announced last time, 0 for one that is not known, with the space of all options
// left free, for middleboxes add some (Linux, tcp_send_syn_data).
func FastOpenRoom(p *Params, cachedMSS int) int {
	c := Conn{local: &p.Local}
	mss := p.MTU - c.headerLen()
	if cachedMSS > 0 {
		mss = min(mss, cachedMSS)
	}
	if p.Config != nil && p.Config.MaxSeg > 0 {
		mss = min(mss, p.Config.MaxSeg)
	}
	return max(mss-maxOptionsLen, 0)
}

// wishFastOpen notes what the first SYN, or the SYN/ACK, is to have.
func (c *Conn) wishFastOpen(f *FastOpen) {
	if f.Option || f.Data > 0 {
		wish := *f
		c.fo.wish, c.fo.exp = &wish, f.Cookie.Exp
	}
	if f.Option && f.Cookie.Len == 0 {
		c.fo.failed = tfoCookieUnavailable
	}
}

// fitSYNOptions leaves timestamps out of a SYN or SYN/ACK that has no room for them
// beside Fast Open and the n octets of the upper: "if the security impact of reducing
// the cookie size is not deemed acceptable, the listener can reduce the amount of space
// used by other TCP options by omitting the TCP timestamps"
// (https://www.rfc-editor.org/rfc/rfc8684#appendix-B.1).
func (c *Conn) fitSYNOptions(n int) {
	if c.fo.wish == nil || !c.fo.wish.Option || n == 0 || !c.tsOK {
		return
	}
	o := wire.Options{Has: wire.HasTimestamps, FastOpen: c.fo.wish.Cookie}
	c.synOptions(&o)
	if o.Len()+n > maxOptionsLen {
		c.tsOK = false
	}
}

// sentSYNData does the accounts of the n bytes that the SYN carried.
func (c *Conn) sentSYNData(now clock.Instant, n int) {
	c.fo.sent = true
	c.board.push(run{start: 1, end: wire.Seq(1).Add(n), mss: n, flags: runPush, sentAt: now, rate: c.rate.sent(now, true)})
	c.maxRun = max(c.maxRun, n)
	c.sndNxt = wire.Seq(1).Add(n)
	c.count.bytesSent += uint64(n)
}

// ackedSYNData takes what a SYN/ACK acknowledges of the data in our SYN.
func (c *Conn) ackedSYNData(now clock.Instant, ack wire.Seq) {
	if !c.fo.sent {
		return
	}
	var a ackEvent
	c.sndUna = ack
	c.count.bytesAcked += uint64(ack.Sub(1))
	c.clean(now, ack, &a)
	c.fo.acked = c.board.packets == 0
	if n := uint32(a.acked); n > 0 && c.fo.acked {
		c.count.delivered += n - 1 // one came with the SYN
	} else {
		c.count.delivered += n
	}
	c.upper.Acked(now, ack)
}

// loseSYNData sends again what the SYN/ACK left unacknowledged. Nothing was congested:
// cwnd stays as it is.
//
// "The client SHOULD retransmit any unacknowledged data in the first ACK packet"
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2).
func (c *Conn) loseSYNData(now clock.Instant) {
	c.fo.failed = tfoDataNotAcked
	if c.synRetransmits > 0 {
		c.fo.failed = tfoSYNRetransmitted
	}
	for id := c.board.head; id != noRun; id = c.board.at(id).next {
		c.board.setLost(id)
	}
	c.enterRepair(now)
	c.armRTO(now)
}

// enterRepair enters Loss for segments that were lost without congestion (Linux,
// tcp_non_congestion_loss_retransmit).
func (c *Conn) enterRepair(now clock.Instant) {
	if c.flow.State == cc.Loss {
		return
	}
	c.highSeq = c.sndNxt
	c.flow.SSThresh = c.currentSSThresh()
	c.priorSSThresh, c.undoing = 0, false
	c.setState(now, cc.Loss)
}

// takeSYNPayload takes data and FIN that stand behind the SYN of s. Of how the peer sends
// they say nothing (tcp_fastopen_add_skb), and the SYN's answer acknowledges them.
func (c *Conn) takeSYNPayload(now clock.Instant, s *wire.Segment) {
	data := *s
	data.Flags &^= wire.SYN
	data.Seq = s.Seq.Add(1)
	mss := c.rcvMSS
	c.receive(now, &data, 1)
	c.rcvMSS, c.lastSegLen, c.ackPushed, c.ato, c.quickACKs = mss, 0, 0, 0, 0
	c.fo.acked = true
	c.owed.acks = 0
	c.timers.Stop(timerDelACK)
}

// AcceptData takes a SYN that Accept has seen as Fast Open: its data is delivered, and
// data may be sent before the third ACK comes.
//
// "If the FastOpened flag is set, the packet acknowledges the SYN and data sequence."
// (https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2).
func (c *Conn) AcceptData(now clock.Instant, syn *wire.Segment) {
	c.fo.passive = true
	c.rcvAdv = c.rcvNxt.Add(len(syn.Payload) + 1)
	if syn.Len() > 1 {
		c.takeSYNPayload(now, syn)
	}
}

// Accepted says that the application has the connection.
func (c *Conn) Accepted() { c.fo.accepted = true }

// FastOpenAsked reports whether the option was on our SYN, and in which form.
func (c *Conn) FastOpenAsked() (asked, exp bool) { return c.fo.asked, c.fo.exp }

// SYNDataSent reports whether our SYN had data.
func (c *Conn) SYNDataSent() bool { return c.fo.sent }

// SYNRetransmits returns how often our SYN or SYN/ACK went out again.
func (c *Conn) SYNRetransmits() int { return c.synRetransmits }

// Timeouts returns how often in a row the retransmission timer has expired.
func (c *Conn) Timeouts() int { return c.retransmits }

// HoldACK makes the ACK of the SYN/ACK wait for data that the application is about to
// write: "Save one ACK. Data will be ready after several ticks" (Linux).
func (c *Conn) HoldACK() { c.holdACK = true }

// ackSYNACK owes the third packet of the handshake. It waits for data, or where the
// peer has closed already for our answer to that.
func (c *Conn) ackSYNACK(now clock.Instant) {
	if !c.holdACK && !c.finArrived {
		c.owed.acks = 1
		return
	}
	c.ato, c.quickACKs, c.pingpong, c.lastDataRecv = minATO, maxQuickACKs, false, now
	c.timers.Set(timerDelACK, now.Add(maxATO))
}

// synGivesUp reports whether a SYN has been tried for as long as SYNRetries with
// back-off take, as Linux measures it beside counting (retransmits_timed_out): the
// linear tries before make no connection wait longer.
func (c *Conn) synGivesUp(now clock.Instant) bool {
	if c.passive || c.synRetransmits == 0 {
		return false
	}
	var limit time.Duration
	for i, rto := 0, time.Duration(initialRTO); i <= c.cfg.SYNRetries; i++ {
		limit += rto
		rto = min(2*rto, c.cfg.RTOMax)
	}
	return now.Sub(c.synSentAt) >= limit
}

// establishFastOpen goes on where a connection stands of which more than the SYN was sent
// or taken before it is established: data may be under way, and the peer may have closed.
func (c *Conn) establishFastOpen(now clock.Instant) {
	if c.board.packets > 0 {
		// "we could try to be more aggressive" (Linux, tcp_rcv_synrecv_state_fastopen):
		// what SACK says of one or two segments waits for the timeout, too.
		at := now
		if c.timers.Armed(timerReorder) {
			c.timers.Stop(timerReorder)
			at = max(c.board.at(c.board.head).sentAt, now.Add(tick-c.RTO()))
		}
		c.armRTO(at)
	}
	if c.finArrived {
		c.finReceived(now)
	}
}

// holdsSYNACK reports whether the retransmission timer is the SYN/ACK's: "Before we
// receive ACK to our SYN-ACK don't retransmit anything else" (Linux).
func (c *Conn) holdsSYNACK() bool { return c.state == StateSYNReceived && c.fo.passive }
