package mptcp

import (
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
)

// AddEndpoint adds an endpoint (ip mptcp endpoint add) and returns its id. Live
// connections use it.
func (s *Stack) AddEndpoint(now clock.Instant, e pm.Endpoint) (id uint8, err error) { return 0, nil }

// DeleteEndpoint deletes an endpoint (ip mptcp endpoint delete id): live
// connections close the subflows from it and send REMOVE_ADDR.
func (s *Stack) DeleteEndpoint(now clock.Instant, id uint8) error { return nil }

// ChangeEndpoint sets the flags of an endpoint (ip mptcp endpoint change id).
func (s *Stack) ChangeEndpoint(now clock.Instant, id uint8, flags pm.EndpointFlags) error { return nil }

// FlushEndpoints deletes all endpoints (ip mptcp endpoint flush).
func (s *Stack) FlushEndpoints(now clock.Instant) {}

// SetLimits sets the limits (ip mptcp limits set).
func (s *Stack) SetLimits(l pm.Limits) {}

// Endpoints returns the endpoints in the order of their ids.
func (s *Stack) Endpoints() []pm.Endpoint { return nil }
