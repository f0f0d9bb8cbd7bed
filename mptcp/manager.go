package mptcp

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/mptcp/tcp"
	"mptcplab/mptcp/wire"
)

// Monitor calls f with every event of the path manager that "ip mptcp monitor"
// shows; e.String() is its line. f must not call back into the stack; nil ends it.
// With the userspace path manager, f stands for the daemon: without, joins and
// addresses of the peer are refused.
func (s *Stack) Monitor(f func(now clock.Instant, e pm.Event)) {
	s.monitor = f
	if s.user != nil {
		s.user.Attended = f != nil
	}
}

// setManager makes the path manager that the host is configured with. Endpoints and
// limits are there with each, even if the userspace one pays no regard to them.
func (s *Stack) setManager(h *HostConfig) {
	cfg := pm.Config{Name: h.PathManager, Endpoints: h.Endpoints, Limits: h.Limits, SubflowsPerPair: h.SubflowsPerPair, BringUp: h.BringUp}
	if h.JoinDelay > 0 {
		cfg.JoinAt = s.joinAt
	}
	k, err := pm.NewKernel(cfg)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	s.endpoints, s.pm = k, k
	if h.PathManager == "userspace" {
		s.user = pm.NewUserspace()
		s.pm = s.user
	}
}

// joinAt is when the path manager opens a subflow that it decides on now.
func (s *Stack) joinAt() clock.Instant {
	s.delays++
	return s.now.Add(time.Duration(s.draw("join delay", 0, s.delays) % uint64(s.env.Host.JoinDelay)))
}

// tellPM hands an event to the path manager, whose answer is fetched by runPM, and
// to who monitors.
func (s *Stack) tellPM(now clock.Instant, e pm.Event) {
	s.pm.Handle(now, e)
	s.show(now, e)
}

// show hands an event to who monitors.
func (s *Stack) show(now clock.Instant, e pm.Event) {
	if s.monitor != nil && e.Kind.Shown() {
		s.monitor(now, e)
	}
}

func (c *Conn) tellPM(now clock.Instant, e pm.Event) {
	if c.token == 0 {
		return
	}
	e.Token = c.token
	c.stack.tellPM(now, e)
	c.again = true
}

// tellSubflow tells the path manager of a subflow.
func (c *Conn) tellSubflow(now clock.Instant, kind pm.EventKind, sf *subflow) {
	c.tellPM(now, sf.event(kind))
}

func (sf *subflow) event(kind pm.EventKind) pm.Event {
	return pm.Event{Kind: kind, Path: sf.id, Local: sf.local, Remote: sf.remote,
		LocalID: sf.localID, RemoteID: sf.remoteID, Backup: sf.peerBackup, ServerSide: sf.conn.server}
}

// tellConn tells of the connection: its first subflow's handshake, or more.
func (c *Conn) tellConn(now clock.Instant, kind pm.EventKind) {
	c.tellPM(now, pm.Event{Kind: kind, Path: 0, Local: c.laddr, Remote: c.raddr,
		ServerSide: c.server, DenyJoinID0: c.denyJoin, V4Only: c.v4only})
}

// tellClosed tells of a subflow that ended. As in Linux only connections that live
// in both directions show that.
func (c *Conn) tellClosed(now clock.Instant, sf *subflow) {
	e := sf.event(pm.SubClosed)
	e.Err = sf.errno()
	if sf.peerRst.Has&wire.HasMPTCPRst != 0 {
		e.Reset, e.ResetReason = true, uint8(sf.peerRst.MPTCPRst.Reason)
		if sf.peerRst.MPTCPRst.Transient {
			e.ResetFlags = 1
		}
	}
	if c.send.closed || c.recv.finDone || c.done || c.streaming() {
		e.Token = c.token
		c.stack.pm.Handle(now, e)
		c.again = true
		return
	}
	c.tellPM(now, e)
}

// errno is the error of the subflow's socket.
func (sf *subflow) errno() pm.Errno {
	switch {
	case sf.reason == "timeout":
		return pm.ETIMEDOUT
	case sf.reason == "rst" && sf.active && !sf.isEstablished && sf.stage != preEstablished && sf.tcp.State() != tcp.StateEstablished:
		return pm.ECONNREFUSED
	case sf.reason == "rst":
		return pm.ECONNRESET
	}
	return 0
}

// tellEstablished tells of a join that may carry data. Who opened it has shown it
// already, as Linux does (mptcp_finish_join).
func (c *Conn) tellEstablished(now clock.Instant, sf *subflow) {
	if !sf.join {
		return
	}
	e := sf.event(pm.SubEstablished)
	e.Token = c.token
	c.stack.pm.Handle(now, e)
	if !sf.active {
		c.stack.show(now, e)
	}
	c.again = true
}

// runPM carries out what the path manager wants. It returns the first error.
func (s *Stack) runPM(now clock.Instant) (first error) {
	for {
		a, ok := s.pm.Next()
		if !ok {
			return first
		}
		if c := s.tokens[a.Token]; c != nil {
			if err := c.act(now, &a); err != nil && first == nil {
				first = err
			}
			s.touch(c)
		}
	}
}

// act carries out one action on the connection.
func (c *Conn) act(now clock.Instant, a *pm.Action) error {
	c.again = true
	switch a.Kind {
	case pm.Announce:
		c.announce(now, a.LocalID, a.Local)
	case pm.Remove:
		c.withdraw(a.LocalID)
	case pm.SubflowCreate:
		sf, err := c.startJoin(now, a)
		if err != nil {
			c.tellPM(now, pm.Event{Kind: pm.SubFailed, Path: -1, Local: a.Local, Remote: a.Remote, LocalID: a.LocalID, RemoteID: a.RemoteID})
			return err
		}
		c.tellSubflow(now, pm.SubBegun, sf)
	case pm.SubflowDestroy:
		if sf := c.byOrdinal(a.Path); sf != nil && !sf.over {
			c.stack.counters.MPTcpExtRmSubflow++
			sf.leave("endpoint removed")
		}
	case pm.SetBackup:
		if sf := c.byOrdinal(a.Path); sf != nil {
			sf.setBackup(now, a.Backup)
		}
	}
	return nil
}

func (c *Conn) byOrdinal(path int) *subflow {
	for _, sf := range c.subflows {
		if sf.id == path {
			return sf
		}
	}
	return nil
}

// localID returns the address id of one of our addresses: "The Address IDs of the
// subflow used in the initial SYN exchange of the first subflow in the connection
// are implicit and have the value zero."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.2).
func (c *Conn) localID(a netip.AddrPort) (uint8, error) {
	if a.Addr() == c.laddr.Addr() {
		return 0, nil
	}
	return c.stack.pm.LocalID(c.token, a)
}
