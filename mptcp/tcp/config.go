package tcp

import (
	"time"

	"mptcplab/mptcp/wire"
)

// Constants of Linux's TCP; RFC 6298 and 5681 leave them to the implementation
// or give other values, as said.
const (
	initialRTO    = time.Second            // RFC 6298, 2.1
	fallbackRTO   = 3 * time.Second        // after a SYN was retransmitted and gave no sample: RFC 6298, 5.7
	timeoutMin    = 2 * time.Millisecond   // TCP_TIMEOUT_MIN: two ticks
	minATO        = 40 * time.Millisecond  // TCP_ATO_MIN and TCP_DELACK_MIN
	maxATO        = 200 * time.Millisecond // TCP_DELACK_MAX; RFC 9293, 3.8.6.3 allows 500 ms
	oowACKLimit   = 500 * time.Millisecond // tcp_invalid_ratelimit
	maxQuickACKs  = 16
	dupThresh     = 3 // RFC 5681, 3.2
	maxOptionsLen = 40
	defaultMSS    = 536                 // RFC 9293, 3.7.1
	minMSS        = 48                  // TCP_MIN_SND_MSS: 40 bytes of options and 8 of payload
	pawsIdle      = 24 * 24 * time.Hour // RFC 7323, 5.5: older timestamps prove nothing
	minRTTWindow  = 300 * time.Second   // tcp_min_rtt_wlen
)

// withDefaults returns c with its zero values replaced by the defaults.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	count := func(n *int, v int) {
		switch {
		case *n == 0:
			*n = v
		case *n < 0:
			*n = 0
		}
	}
	def(&c.RTOMin, 200*time.Millisecond)
	def(&c.RTOMax, 120*time.Second)
	def(&c.KeepaliveInterval, 75*time.Second)
	def(&c.TimeWait, 60*time.Second)
	def(&c.FinTimeout, 60*time.Second)
	count(&c.InitialCwnd, 10)
	count(&c.SYNRetries, 6)
	count(&c.SYNACKRetries, 5)
	count(&c.Retries2, 15)
	count(&c.KeepaliveProbes, 9)
	count(&c.Reordering, dupThresh)
	count(&c.MinTSOSegs, minTSOSegs)
	count(&c.TSOWinDivisor, winDivisor)
	c.InitialCwnd, c.TSOWinDivisor = max(c.InitialCwnd, 1), max(c.TSOWinDivisor, 1)
	if c.CongestionControl == "" {
		c.CongestionControl = "cubic"
	}
	if c.MaxWindow <= 0 {
		c.MaxWindow = 6 << 20
	}
	if c.WScale <= 0 {
		c.WScale = scaleFor(c.MaxWindow)
	}
	c.WScale = min(c.WScale, maxWScale)
	if c.TTL == 0 {
		c.TTL = 64
	}
	return c
}

// maxWScale is the largest shift: "the maximum scale exponent is limited to 14"
// (https://www.rfc-editor.org/rfc/rfc7323#section-2.3).
const maxWScale = 14

// scaleFor returns the smallest shift that lets the window field say wnd.
func scaleFor(wnd int) int {
	s := 0
	for s < maxWScale && wnd>>s > 65535 {
		s++
	}
	return s
}

// headerLen returns the length of the IP and TCP headers without options.
func (c *Conn) headerLen() int {
	if c.local.Addr().Unmap().Is4() {
		return 40
	}
	return 60
}

// fullMSS returns the payload of a full segment less timestamps, before the
// upper's options.
func (c *Conn) fullMSS() int {
	n := max(min(c.peerMSS, c.mtu-c.headerLen()), minMSS)
	if c.cfg.MaxSeg > 0 {
		n = min(n, c.cfg.MaxSeg)
	}
	if c.mtup.enabled && c.mtup.bounds {
		n = min(n, c.mtup.low-c.headerLen())
	}
	if c.tsOK {
		n -= wire.TimestampsLen
	}
	return c.boundToHalf(n)
}

// boundToHalf returns n, or half of the largest window that the peer ever offered
// if that is less: two segments always fit (tcp_bound_to_half_wnd).
func (c *Conn) boundToHalf(n int) int {
	half := c.maxSndWnd
	if half > defaultMSS {
		half /= 2
	}
	if half == 0 || n <= half {
		return n
	}
	return max(half, minMSS-c.timestampsLen())
}

func (c *Conn) timestampsLen() int {
	if c.tsOK {
		return wire.TimestampsLen
	}
	return 0
}

// MSS returns the bytes of payload in a full segment: what the peer's MSS option
// and the path's MTU allow, less timestamps and what ReserveOptions keeps free.
func (c *Conn) MSS() int { return max(c.fullMSS()-c.reserved, 8) }

// sendMSS returns the bytes of payload in a full segment that leaves now: less what the
// SACK option takes of a plain stream's segments (tcp_current_mss).
func (c *Conn) sendMSS() int { return max(c.MSS()-c.sackLen(), 8) }

// ReserveOptions tells how many bytes of options (encoded, padded) the upper will
// add to segments with data: MSS and Room leave space for them.
func (c *Conn) ReserveOptions(n int) {
	c.reserved = n
	c.flow.MSS = c.MSS()
}

// SetMTU changes the MTU of the path. Segments in flight that are now too large
// count as lost and are cut.
func (c *Conn) SetMTU(n int) {
	c.mtu = n
	c.flow.MSS = c.MSS()
	c.markOversize()
}
