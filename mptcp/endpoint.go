package mptcp

import (
	"net/netip"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
)

// AddEndpoint adds an endpoint (ip mptcp endpoint add) and returns its id. Live
// connections use it; with a port it is listened on for their joins.
func (s *Stack) AddEndpoint(now clock.Instant, e pm.Endpoint) (id uint8, err error) {
	s.now = now
	s.runPM(now) // what was decided before comes first
	var l *Listener
	if e.Port != 0 && pm.CheckEndpoint(e) == nil {
		if l, err = s.listenEndpoint(now, netip.AddrPortFrom(e.Addr.Unmap(), e.Port)); err != nil {
			return 0, err
		}
	}
	if id, err = s.endpoints.AddEndpoint(e); err != nil && l != nil {
		l.Close()
	}
	s.runPM(now)
	return id, err
}

// listenEndpoint makes the listener of a signalled port: it takes joins only.
func (s *Stack) listenEndpoint(now clock.Instant, a netip.AddrPort) (*Listener, error) {
	l, err := s.Listen(&Config{}, a)
	if err == nil {
		l.joinsOnly = true
	}
	return l, err
}

// closeEndpoints closes the listeners whose endpoint is gone.
func (s *Stack) closeEndpoints(old []pm.Endpoint) {
	for _, e := range old {
		l := s.listeners[netip.AddrPortFrom(e.Addr, e.Port)]
		if e.Port == 0 || l == nil || !l.joinsOnly {
			continue
		}
		gone := true
		for _, have := range s.endpoints.Endpoints() {
			gone = gone && have != e
		}
		if gone {
			l.Close()
		}
	}
}

// DeleteEndpoint deletes an endpoint (ip mptcp endpoint delete id): live
// connections close the subflows from it and send REMOVE_ADDR.
func (s *Stack) DeleteEndpoint(now clock.Instant, id uint8) error {
	s.now = now
	s.runPM(now)
	old := s.endpoints.Endpoints()
	err := s.endpoints.DeleteEndpoint(now, id)
	s.closeEndpoints(old)
	s.runPM(now)
	return err
}

// RemoveID0 withdraws the address by which connections began, whose id is 0 in each
// (ip mptcp endpoint delete id 0 ADDRESS): their initial subflows are closed.
func (s *Stack) RemoveID0(now clock.Instant, a netip.Addr) {
	s.now = now
	s.runPM(now)
	s.endpoints.RemoveID0(now, a)
	s.runPM(now)
}

// ChangeEndpoint sets the flags of an endpoint (ip mptcp endpoint change id): of
// those Backup and Fullmesh can change, and live connections follow.
func (s *Stack) ChangeEndpoint(now clock.Instant, id uint8, flags pm.EndpointFlags) error {
	s.now = now
	s.runPM(now)
	err := s.endpoints.ChangeEndpoint(id, flags)
	s.runPM(now)
	return err
}

// FlushEndpoints deletes all endpoints (ip mptcp endpoint flush).
func (s *Stack) FlushEndpoints(now clock.Instant) {
	s.now = now
	s.runPM(now)
	old := s.endpoints.Endpoints()
	s.endpoints.FlushEndpoints(now)
	s.closeEndpoints(old)
	s.runPM(now)
}

// SetLimits sets the limits (ip mptcp limits set).
func (s *Stack) SetLimits(l pm.Limits) error { return s.endpoints.SetLimits(l) }

// Endpoints returns the endpoints in the order of their ids.
func (s *Stack) Endpoints() []pm.Endpoint { return s.endpoints.Endpoints() }

// The commands of the userspace path manager name a connection by our token. They
// return pm.EINVAL if that is another one's.

// Announce sends ADD_ADDR for e on one connection.
func (s *Stack) Announce(now clock.Instant, token uint32, e pm.Endpoint) error {
	return s.command(now, func(u *pm.Userspace) error { return u.Announce(token, e) })
}

// Remove sends REMOVE_ADDR for an address id of one connection.
func (s *Stack) Remove(now clock.Instant, token uint32, id uint8) error {
	return s.command(now, func(u *pm.Userspace) error { return u.Remove(token, id) })
}

// CreateSubflow opens a subflow of a connection, from an address with its id to an
// address of the peer.
func (s *Stack) CreateSubflow(now clock.Instant, token uint32, local pm.Endpoint, remote netip.AddrPort) error {
	return s.command(now, func(u *pm.Userspace) error {
		err := u.CreateSubflow(token, local, remote)
		if err != nil {
			return err
		}
		if err = s.runPM(now); err != nil {
			u.Forget(token, local.Addr.Unmap())
		}
		return err
	})
}

// DestroySubflow closes a subflow of a connection.
func (s *Stack) DestroySubflow(now clock.Instant, token uint32, local, remote netip.AddrPort) error {
	return s.command(now, func(u *pm.Userspace) error { return u.DestroySubflow(token, local, remote) })
}

// SetFlags tells the peer by MP_PRIO whether a subflow is for backup.
func (s *Stack) SetFlags(now clock.Instant, token uint32, local, remote netip.AddrPort, flags pm.EndpointFlags) error {
	return s.command(now, func(u *pm.Userspace) error { return u.SetFlags(token, local, remote, flags) })
}

// Addrs lists the addresses that commands gave a connection.
func (s *Stack) Addrs(token uint32) ([]pm.Endpoint, error) {
	if s.user == nil {
		return nil, pm.EINVAL
	}
	return s.user.Addrs(token)
}

func (s *Stack) command(now clock.Instant, f func(u *pm.Userspace) error) error {
	s.now = now
	if s.user == nil {
		return pm.EINVAL // the connection is the in-kernel manager's
	}
	s.runPM(now)
	err := f(s.user)
	s.runPM(now)
	return err
}
