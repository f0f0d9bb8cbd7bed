package tcp

// Retune takes over from cfg what may change during a connection's life: Nagle,
// user timeout, keepalive probes, TTL and TOS.
func (c *Conn) Retune(cfg *Config) {
	c.cfg.NoDelay = cfg.NoDelay
	c.cfg.UserTimeout = cfg.UserTimeout
	c.cfg.TOS = cfg.TOS
	if cfg.TTL != 0 {
		c.cfg.TTL = cfg.TTL
	}
}
