// Package spec is the scenario file: reading it with every mistake at once,
// defaults, include, parameters, sweeps and pairings, and its JSON Schema. What
// it yields is a list of Runs in which nothing is left to be assumed.
package spec

import (
	"net/netip"
	"time"

	"mptcplab/impairments"
	"mptcplab/mptcp/pm"
	"mptcplab/scenarios/expect"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// Stack is what a host runs.
type Stack string

// The stacks.
const (
	StackMPTCP       Stack = "mptcp"        // ours, MPTCP sockets
	StackTCP         Stack = "tcp"          // ours, TCP sockets
	StackKernelMPTCP Stack = "kernel-mptcp" // Linux, IPPROTO_MPTCP
	StackKernelTCP   Stack = "kernel-tcp"   // Linux, IPPROTO_TCP
)

// Kernel reports whether the stack is Linux's.
func (s Stack) Kernel() bool { return s == StackKernelMPTCP || s == StackKernelTCP }

// MPTCP reports whether the stack speaks MPTCP.
func (s Stack) MPTCP() bool { return s == StackMPTCP || s == StackKernelMPTCP }

// Run is one pairing x sweep point x repetition, resolved: what a fabric runs.
type Run struct {
	ID        string // "mptcp-mptcp/mode=full/seed=7"
	Pairing   string // "" if the file has none
	Point     []Axis // sweep axes and their labels, in order
	Seed      uint64
	Topology  *topology.Topology
	Hosts     []Host // every host of the topology, in its order
	Workloads []Workload
	Timeline  []Event
	Duration  time.Duration // 0: until all workloads are done
	Timeout   time.Duration
	Expect    []Expectation                    // those that apply to this run
	Behaviour map[string][2]topology.Behaviour // of the links that events change, before them
}

// Axis is one axis of a sweep and its value in a run.
type Axis = expect.Axis

// Host is what a host runs.
type Host struct {
	Name        string
	Stack       Stack
	Settings    Settings
	PathManager string        // kernel, fullmesh, ndiffports, single-path, userspace
	Endpoints   []pm.Endpoint // "auto" is resolved: addresses written out
	Limits      pm.Limits
}

// Settings are the mptcp and tcp keys that hold for a socket, by the last word of
// the sysctl, defaults filled in. Given names those that the file set itself: a
// kernel stack that cannot have them refuses the run instead of degrading it.
type Settings struct {
	MPTCP map[string]string
	TCP   map[string]string
	Given map[string]bool // "tcp.congestion_control"
}

// Workload is one application pair: of a group, that of one member.
type Workload struct {
	Name                           string
	Member                         string     // the host of a group that it belongs to; ""
	Type                           string     // bulk, request-response
	Client, Server                 string     // host names
	ClientAddr                     netip.Addr // source address; invalid: any
	ClientLink                     string     // the link whose address it is; ""
	ServerAddr                     netip.Addr
	Port                           uint16
	Proto                          string // "mptcp", "tcp" or "": what the host's stack is
	Start                          time.Duration
	Stagger                        Draw // between the starts of members, or of parallel connections
	Parallel                       int
	ClientSettings, ServerSettings Settings // hosts' settings with the workload's own on top
	MayFail                        bool

	// Bulk: each a size in bytes or a time; both directions at once.
	Download, Upload Amount
	Bitrate          uint64 // bit/s; 0: as fast as it goes
	Write            WritePattern

	// Request-response.
	Request, Response SizeDraw
	Count             int
	Think             Draw
	Reconnect         time.Duration // 0: never
}

// Flow is what its connection is called, or what the names of parallel ones begin
// with: "page", "page.sta7".
func (w *Workload) Flow() string {
	if w.Member == "" {
		return w.Name
	}
	return w.Name + "." + w.Member
}

// Amount is how much a bulk transfer moves: bytes, or for how long, or bytes drawn
// from the seed, or a file's.
type Amount struct {
	Bytes uint64 // of a file, too
	Time  time.Duration
	Size  SizeDraw // Kind "": not drawn
	File  string   // as the scenario has it, relative to its folder; ""
	Path  string   // where it is
}

// WritePattern is mptcp_connect's -j and -r: the first write's size, the largest
// write, and the pause between writes. Zero: no limit, no pause.
type WritePattern struct {
	First, Max int
	Pause      time.Duration
}

// Event is one entry of the timeline. Exactly one of the subjects is set.
type Event struct {
	At    time.Duration      // unless When is set
	When  *expect.Comparison // it comes After later than the first instant at which this holds
	After time.Duration
	Name  string
	Part  string // the name of the event that it is a part of: a group's is one event for each member, the first has the Name

	Link   string                 // impairments change: the whole new Config of both directions
	Impair *[2]impairments.Config // for events with When: as if it came after those with At
	Change [2]topology.Change     // what of it changes: the named keys, by direction
	Ramp   time.Duration
	LinkUp *bool // state: down and up of the link

	Iface   string // HOST.LINK
	IfaceUp *bool
	Notice  bool
	Noticed []pm.Endpoint // with Notice: the endpoints that go, or come back, with the interface

	Host           string
	AddEndpoint    *pm.Endpoint
	DeleteEndpoint *pm.Endpoint // by ID or address, resolved
	RemoveID0      netip.Addr   // the initial address of connections that is deleted
	ChangeEndpoint *pm.Endpoint // ID or address, and its new flags
	FlushEndpoints bool
	SetLimits      *pm.Limits
	Filter         *[]impairments.Rule // the host's new packet filter
	Commands       []Command

	Middlebox string
	Enabled   *bool
	Rules     *[]impairments.Rule

	Workload  string
	Stop      bool
	Scheduler string // its connections' from now on; "": as it was

	Mark  string
	Check *expect.Comparison // must hold then
}

// Position is where something stands in a scenario file.
type Position = decode.Position

// Expectation is one entry of expect, bound to the run that it judges. Package
// scenarios/expect evaluates it.
type Expectation = expect.Expectation
