package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
)

// AddEndpoint adds an endpoint (ip mptcp endpoint add) and returns its id. Live
// connections use it.
func (s *Stack) AddEndpoint(now clock.Instant, e pm.Endpoint) (id uint8, err error) {
	s.now = now
	id, err = s.pm.AddEndpoint(e)
	s.runPM(now)
	return id, err
}

// DeleteEndpoint deletes an endpoint (ip mptcp endpoint delete id): live
// connections close the subflows from it and send REMOVE_ADDR.
func (s *Stack) DeleteEndpoint(now clock.Instant, id uint8) error {
	s.now = now
	err := s.pm.DeleteEndpoint(id)
	s.runPM(now)
	return err
}

// ChangeEndpoint sets the flags of an endpoint (ip mptcp endpoint change id): of
// those Backup and Fullmesh can change, and live connections follow.
func (s *Stack) ChangeEndpoint(now clock.Instant, id uint8, flags pm.EndpointFlags) error {
	s.now = now
	err := s.pm.ChangeEndpoint(id, flags)
	s.runPM(now)
	return err
}

// FlushEndpoints deletes all endpoints (ip mptcp endpoint flush).
func (s *Stack) FlushEndpoints(now clock.Instant) {
	s.now = now
	s.pm.FlushEndpoints()
	s.runPM(now)
}

// SetLimits sets the limits (ip mptcp limits set).
func (s *Stack) SetLimits(l pm.Limits) { s.pm.SetLimits(l) }

// Endpoints returns the endpoints in the order of their ids.
func (s *Stack) Endpoints() []pm.Endpoint { return s.pm.Endpoints() }

// tellPM hands an event to the path manager; its answer is fetched by runPM.
func (s *Stack) tellPM(now clock.Instant, e pm.Event) {
	// An error means an event of a connection that the manager does not know
	// (any more): there is nobody to tell.
	_ = s.pm.Handle(now, e)
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
	c.tellPM(now, pm.Event{Kind: kind, Path: sf.id, Local: sf.local, Remote: sf.remote,
		LocalID: sf.localID, RemoteID: sf.remoteID, Backup: sf.backup, ServerSide: c.server})
}

func (c *Conn) tellEstablished(now clock.Instant, sf *subflow) {
	if sf.join {
		c.tellSubflow(now, pm.SubEstablished, sf)
	}
}

// runPM carries out what the path manager wants.
func (s *Stack) runPM(now clock.Instant) {
	for {
		a, ok := s.pm.Next()
		if !ok {
			return
		}
		if c := s.tokens[a.Token]; c != nil {
			c.act(now, &a)
			s.touch(c)
		}
	}
}

// act carries out one action on the connection.
func (c *Conn) act(now clock.Instant, a *pm.Action) {
	switch a.Kind {
	case pm.Announce:
		c.announce(a.LocalID, a.Local)
	case pm.Remove:
		c.withdraw(a.LocalID)
	case pm.SubflowCreate:
		if err := c.startJoin(now, a.Local, a.Remote, a.RemoteID, a.Backup); err != nil {
			c.tellPM(now, pm.Event{Kind: pm.SubClosed, Path: -1, Local: a.Local, Remote: a.Remote,
				LocalID: a.LocalID, RemoteID: a.RemoteID, Err: 1})
		}
	case pm.SubflowDestroy:
		if sf := c.byOrdinal(a.Path); sf != nil && !sf.over {
			c.stack.counters.MPTcpExtRmSubflow++
			sf.retire("endpoint removed")
		}
	case pm.SetBackup:
		if sf := c.byOrdinal(a.Path); sf != nil {
			sf.setBackup(now, a.Backup)
		}
	}
	c.again = true
}

func (c *Conn) byOrdinal(path int) *subflow {
	for _, sf := range c.subflows {
		if sf.id == path {
			return sf
		}
	}
	return nil
}
