package mptcp

import (
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/trace"
	"mptcplab/mptcp/window"
	"mptcplab/mptcp/wire"
)

// reinjectQueue holds the ranges of the stream that are to be mapped again on
// another subflow, lowest first.
type reinjectQueue struct{ set window.Ranges }

func (q *reinjectQueue) add(lo, hi uint64)    { q.set.Add(lo, hi) }
func (q *reinjectQueue) remove(lo, hi uint64) { q.set.Remove(lo, hi) }
func (q *reinjectQueue) cut(off uint64)       { q.set.Cut(off) }
func (q *reinjectQueue) reset()               { q.set.Clear() }
func (q *reinjectQueue) empty() bool          { return q.set.Len() == 0 }
func (q *reinjectQueue) len() int             { return int(q.set.Count()) }

func (q *reinjectQueue) head() (window.Range, bool) { return q.set.Next(0) }

// requeue queues what is under way on sf and not DATA_ACKed: "The Data
// Sequence Mapping allows senders to resend data with the same data sequence number
// on a different subflow. When doing this, a host MUST still retransmit the original
// data on the original subflow"
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.6).
func (c *Conn) requeue(sf *subflow) {
	if c.speech != multipath || c.done {
		return
	}
	maps := sf.tx.maps.all()
	for i := range maps {
		m := &maps[i]
		lo, hi := max(m.off, c.send.una), m.off+uint64(m.n)
		if m.queued || lo >= hi {
			continue
		}
		m.queued = true
		c.reinject.add(lo, hi)
		c.multi = true
	}
	c.again = true
}

// rescue queues for sf, which was just opened, what is stuck on paths that went
// silent while there was no other: their next timeout may be minutes away.
func (c *Conn) rescue(sf *subflow) {
	for _, o := range c.subflows {
		if o != sf && o.usable() && o.rtos == 0 {
			return // o carries, or has been given, all of it
		}
	}
	for _, o := range c.subflows {
		if o == sf || o.rtos == 0 {
			continue
		}
		maps := o.tx.maps.all()
		for i := range maps {
			maps[i].queued = false
		}
		c.requeue(o)
		c.rtxTries = 0
	}
}

// rtoExpired acts on the retransmission timer of a subflow: its data goes to the
// others, and after StaleLossCount times it is not scheduled any more.
func (sf *subflow) rtoExpired(now clock.Instant) {
	c := sf.conn
	sf.rtos++
	rto, backoff := sf.tcp.ExpiredRTO()
	sf.trace(now, trace.Event{Kind: trace.RTOExpired, A: uint64(rto), B: uint64(backoff), C: uint64(sf.tcp.SRTT())})
	if c.speech != multipath || sf.stage != open {
		return
	}
	if sf.rtos == c.cfg.StaleLossCount {
		c.tellSubflow(now, pm.SubStale, sf)
	}
	if !c.others(sf) {
		return
	}
	c.requeue(sf)
	if !sf.stale && sf.rtos >= c.cfg.StaleLossCount {
		sf.stale = true
		c.unbind(sf)
		c.stack.counters.MPTcpExtSubflowStale++
		sf.trace(now, trace.Event{Kind: trace.SubflowStale, Flag: true})
	}
	if most := c.cfg.ResetLossCount; most > 0 && sf.rtos >= most {
		// "If multiple retransmissions that indicate that a subflow is performing badly are
		// triggered, this MAY lead to a host resetting the subflow with a RST. [...] A RST for
		// this purpose SHOULD be accompanied by an "Unacceptable performance" MP_TCPRST option"
		// (https://www.rfc-editor.org/rfc/rfc8684#section-3.3.6).
		sf.abort(wire.RstPerformance, "unacceptable performance")
	}
}

// progress is called when the peer acknowledges something on the subflow.
func (sf *subflow) progress(now clock.Instant) {
	sf.rtos = 0
	sf.lastData = now
	if sf.stale {
		sf.stale = false
		sf.conn.stack.counters.MPTcpExtSubflowRecover++
		sf.trace(now, trace.Event{Kind: trace.SubflowStale, Flag: false})
	}
}

// armRetransmit starts the connection's own timer. It covers what no subflow's
// TCP sees to: a window that is shut, bytes acknowledged by a subflow and never
// DATA_ACKed ("a
// [connection-level] timer", LC-29, https://www.rfc-editor.org/rfc/rfc8684#section-3.3.6),
// and DATA_FIN.
func (c *Conn) armRetransmit(now clock.Instant) {
	if c.streaming() || c.done || c.nothingOutstanding() && !c.shut() {
		c.rtxAt = clock.Never
		return
	}
	c.rtxAt = now.Add(c.rtxInterval())
}

func (c *Conn) nothingOutstanding() bool {
	return c.send.una == c.send.nxt && (!c.send.finSent || c.writeEnded)
}

// shut reports whether bytes wait although nothing is under way: for the peer's
// window, as a rule. The subflow that heard of it need not be one that still
// works: if this lasts, the connection probes.
func (c *Conn) shut() bool {
	w := &c.send
	return c.speech == multipath && !c.done && w.una == w.nxt && w.nxt < w.end && !w.more
}

// watchWindow starts the connection's timer when the peer's window is found shut. As
// Linux, which then makes the byte that is its probe and gives it to TCP, it counts
// each time that this happens, not each probe.
func (c *Conn) watchWindow(now clock.Instant) {
	shut := c.shut() && c.windowLeft() == 0
	if shut && !c.send.shut {
		c.stack.counters.MPTcpExtWinProbe++
	}
	c.send.shut = shut
	if c.rtxAt == clock.Never && c.shut() {
		c.armRetransmit(now)
	}
}

// minDataFINTimeout is Linux's TCP_RTO_MIN.
const minDataFINTimeout = 200 * time.Millisecond

// rtxInterval is the longest retransmission timeout of the subflows that work,
// doubled for each try.
func (c *Conn) rtxInterval() time.Duration {
	const (
		fallback = time.Second
		most     = 120 * time.Second
	)
	if w := &c.send; w.finSent && w.una == w.end {
		// Only a DATA_FIN is outstanding: after 0.2, 0.2, 0.4 s, as Linux repeats it.
		return min(minDataFINTimeout<<min(max(c.rtxTries, 1)-1, 10), most)
	}
	var d time.Duration
	for _, sf := range c.subflows {
		if sf.usable() && !sf.stale && sf.rtos == 0 {
			d = max(d, sf.tcp.RTO())
		}
	}
	return min(or(d, fallback)<<min(c.rtxTries, 10), most)
}

// retransmit is the expiry of the connection's timer.
func (c *Conn) retransmit(now clock.Instant) {
	c.rtxAt = clock.Never
	if c.streaming() || c.done || c.nothingOutstanding() && !c.shut() {
		return
	}
	c.rtxTries++
	if c.shut() {
		if c.windowLeft() > 0 { // if not, each subflow's TCP asks by itself
			c.send.crumb, c.again = true, true
		}
	} else if c.send.una == c.send.end {
		c.ackAll() // with the DATA_FIN
	} else if hi := c.orphaned(); hi > c.send.una {
		c.reinject.add(c.send.una, hi)
	}
	c.armRetransmit(now)
}

// orphaned returns the end of the bytes from una on that no working subflow has
// under way; una if there are none.
func (c *Conn) orphaned() uint64 {
	const most = 64 << 10
	una := c.send.una
	hi := min(c.send.nxt, una+most)
	for _, sf := range c.subflows {
		if !sf.usable() || sf.rtos > 0 {
			continue
		}
		for i := range sf.tx.maps.all() {
			m := &sf.tx.maps.all()[i]
			if m.off+uint64(m.n) > una {
				hi = min(hi, max(m.off, una))
			}
		}
		for _, r := range sf.tx.bound.all() {
			if r.hi > una {
				hi = min(hi, max(r.lo, una))
			}
		}
	}
	return hi
}

// noteReinjected counts n bytes that went out again on sf.
func (c *Conn) noteReinjected(sf *subflow, n int) {
	c.stats.reinjected += uint64(n)
	sf.reinjected += uint64(n)
	c.multi = true
	c.stack.counters.MPTcpExtMPTCPRetrans++
}
