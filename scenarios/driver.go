package scenarios

import (
	"context"
	"net/netip"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/spec"
)

// driver is a fabric as the runner sees it: virtual time or namespaces. Except
// for do, its methods are called from the runner's own goroutine only.
type driver interface {
	now() clock.Instant
	// do runs f in a turn of host: nothing else touches the host's applications
	// and stack meanwhile.
	do(host string, f func(now clock.Instant))
	// change is do, after which the host's applications run: f changed them.
	change(host string, f func(now clock.Instant))
	// run lets the lab work until the clock reaches until, or ctx ends.
	run(ctx context.Context, until clock.Instant) error

	setImpairments(link string, c [2]impairments.Config) error
	setLinkUp(link string, up bool) error
	setIfaceUp(host, link string, up bool) error
	addEndpoint(host string, e pm.Endpoint) error
	deleteEndpoint(host string, e pm.Endpoint) error // by ID, or by address
	changeEndpoint(host string, e pm.Endpoint) error
	flushEndpoints(host string) error
	removeID0(host string, a netip.Addr) error
	// command is one of the userspace path manager's, all of whose ends are known.
	command(host string, token uint32, c spec.Command) error
	openListener(host string, at netip.AddrPort) error
	closeListener(host string, at netip.AddrPort) error
	setLimits(host string, l pm.Limits) error
	// setRules and setEnabled are of a middlebox on all its links; setRules also of
	// the filter of a host.
	setRules(name string, rules []impairments.Rule) error
	setEnabled(middlebox string, on bool) error
	// hits returns how many packets each rule of a middlebox or filter was applied to.
	hits(name string) []uint64

	// counters calls f with each counter of host, in a fixed order.
	counters(host string, f func(name string, v uint64)) error
	// sockets returns what ss shows of our stack on host; nil of a kernel's.
	sockets(host string) []mptcp.SockDiag
	linkStats(link string, direction int) (impairments.Stats, bool)
	// congestionControl is what the host's sockets really use.
	congestionControl(host string) string
	// degraded lists what was asked for and could not be had.
	degraded() []string
	// idle reports whether no host owes anything any more.
	idle() bool
	fingerprint() string
	// every is how often conditions of events are looked at.
	every() time.Duration
	close() error
}

// sampleEvery is the distance of the rows in series.csv.
const sampleEvery = 100 * time.Millisecond
