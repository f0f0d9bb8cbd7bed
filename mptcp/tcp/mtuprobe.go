package tcp

import "mptcplab/mptcp/clock"

type mtuProbe struct{ size int }

func (c *Conn) mtuProbeLost(clock.Instant) bool { return false }
func (c *Conn) mtuProbeAcked(clock.Instant)     {}
func (c *Conn) mtuBlackHole(clock.Instant)      {}
func (c *Conn) startMTUProbing(clock.Instant)   {}
