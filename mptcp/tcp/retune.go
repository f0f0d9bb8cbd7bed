package tcp

import (
	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
)

// Retune takes over from cfg what may change during a connection's life: Nagle,
// congestion control, user timeout, keepalive, TTL, TOS and mark.
func (c *Conn) Retune(now clock.Instant, cfg *Config) {
	own := *c.cfg // others may have the same
	c.cfg = &own
	c.cfg.NoDelay, c.cfg.Cork = cfg.NoDelay, cfg.Cork
	c.cfg.UserTimeout = cfg.UserTimeout
	c.cfg.NotSentLowat, c.cfg.NoPMTUD = cfg.NotSentLowat, cfg.NoPMTUD
	c.cfg.TOS = cfg.TOS
	c.cfg.Mark = cfg.Mark
	if cfg.TTL != 0 {
		c.cfg.TTL = cfg.TTL
	}
	d := cfg.withDefaults()
	c.cfg.RTOMax = d.RTOMax
	c.setCongestion(now, d.CongestionControl)
	c.cfg.KeepaliveInterval, c.cfg.KeepaliveProbes = d.KeepaliveInterval, d.KeepaliveProbes
	if d.KeepaliveIdle != c.cfg.KeepaliveIdle {
		c.cfg.KeepaliveIdle = d.KeepaliveIdle
		c.timers.Stop(timerKeepalive)
		if c.state == StateEstablished || c.state == StateCloseWait {
			c.startKeepalive(now)
		}
	}
}

// setCongestion puts another controller in charge, which begins with cwnd and ssthresh
// as they are (tcp_reinit_congestion_control). Those of subflows are coupled.
func (c *Conn) setCongestion(now clock.Instant, name string) {
	f, ok := cc.Lookup(name)
	if !ok || !c.streams() || name == c.cfg.CongestionControl {
		return
	}
	c.family.Drop(c.ctrl)
	c.cfg.CongestionControl = name
	c.family = f
	c.ctrl = f.New(&c.flow, now)
	c.priorSSThresh = 0
}

// Config returns what the connection was told, with defaults.
func (c *Conn) Config() *Config { return c.cfg }

var stateNames = [...]string{
	StateEstablished: "ESTAB", StateSYNSent: "SYN-SENT", StateSYNReceived: "SYN-RECV",
	StateFINWait1: "FIN-WAIT-1", StateFINWait2: "FIN-WAIT-2", StateTimeWait: "TIME-WAIT", StateClosed: "UNCONN",
	StateCloseWait: "CLOSE-WAIT", StateLastAck: "LAST-ACK", StateListen: "LISTEN", StateClosing: "CLOSING",
}

// String returns the name that ss prints.
func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return "UNKNOWN"
}
