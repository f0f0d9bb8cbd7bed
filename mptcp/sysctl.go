package mptcp

import "time"

// Sysctl are the settings of a whole stack, as net.ipv4 and net.mptcp have them. Zero is
// the kernel's default, a negative number is 0.
type Sysctl struct {
	NoMPTCP           bool          // net.mptcp.enabled=0: no new MPTCP socket; those there are go on
	FastOpen          int           // tcp_fastopen: bits of FastOpen...; 0 is 1
	FastOpenKeys      FastOpenKeys  // tcp_fastopen_key; empty: drawn from the seed
	FastOpenBlackhole time.Duration // tcp_fastopen_blackhole_timeout_sec; 0: never
	SYNCookies        int           // tcp_syncookies: 0 is 1 (under pressure), 2 always, negative never
	MaxSYNBacklog     int           // tcp_max_syn_backlog: half-open connections where there are no cookies; 0 is 4096
	SOMaxConn         int           // net.core.somaxconn: bounds every backlog; 0 is 4096
	AbortOnOverflow   bool          // tcp_abort_on_overflow
	MigrateReq        bool          // tcp_migrate_req: what a closed listener leaves goes to another one at its address
	BlackholeTimeout  time.Duration // net.mptcp.blackhole_timeout; 0 is an hour
}

// The bits of tcp_fastopen.
const (
	FastOpenClient           = 0x1   // data in our SYNs
	FastOpenServer           = 0x2   // and in those that arrive
	FastOpenClientNoCookie   = 0x4   // also without a cookie
	FastOpenServerNoCookie   = 0x200 // the same for those that arrive
	FastOpenServerAnySockets = 0x400 // listeners need no TCP_FASTOPEN
)

// Sysctl returns the settings, to be changed while the stack lives: what is set counts
// for what happens from now on.
func (s *Stack) Sysctl() *Sysctl { return &s.sysctl }

// set returns v, def for 0 and 0 for what is negative.
func set[T int | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

func (y *Sysctl) fastOpen(bit int) bool      { return set(y.FastOpen, FastOpenClient)&bit != 0 }
func (y *Sysctl) synCookies() int            { return set(y.SYNCookies, 1) }
func (y *Sysctl) maxSYNBacklog() int         { return set(y.MaxSYNBacklog, 4096) }
func (y *Sysctl) soMaxConn() int             { return set(y.SOMaxConn, 4096) }
func (y *Sysctl) blackhole() time.Duration   { return set(y.BlackholeTimeout, time.Hour) }
func (y *Sysctl) foBlackhole() time.Duration { return set(y.FastOpenBlackhole, 0) }
