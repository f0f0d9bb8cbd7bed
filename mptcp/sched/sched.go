// Package sched holds packet schedulers: which subflow carries the next bytes.
// A scheduler decides from a view and keeps no reference to it.
package sched

import (
	"strings"
	"time"

	"mptcplab/mptcp/cc"
	"mptcplab/mptcp/clock"
)

// MaxPaths is the most subflows of one connection.
const MaxPaths = 32

// Set is a set of paths by their index in View.Paths.
type Set uint32

// Of returns the set of one path.
func Of(i int) Set { return 1 << uint(i) }

// Has reports whether path i is in s.
func (s Set) Has(i int) bool { return s&(1<<uint(i)) != 0 }

// Source says which bytes a decision is about.
type Source uint8

// The sources.
const (
	New      Source = iota // bytes never sent, in order of the data sequence
	Reinject               // bytes queued for reinjection
	Copy                   // bytes that other paths carry, from Path.CopyNext on (redundant)
)

// Decision is what to send where.
type Decision struct {
	Paths Set
	From  Source
	Burst int // bytes that may go before the next question; 0: one segment
}

// Path is what a scheduler sees of one subflow that may carry data.
type Path struct {
	ID           int // ordinal of the subflow in its connection, stable
	SRTT, RTTVar time.Duration
	MinRTT       time.Duration
	Cwnd         int    // bytes
	InFlight     int    // bytes
	Unacked      int    // bytes sent and not acknowledged, lost or not
	Room         int    // bytes that may be sent now; 0: none
	MSS          int    // bytes
	Queued       int    // bytes bound to it and not sent
	Pacing       uint64 // bytes/s: what Linux paces at, or would
	CAState      cc.State
	LastRecv     clock.Instant // last segment received on it
	LastData     clock.Instant // last segment with data or a new acknowledgment received on it
	StaleCount   int
	CopyNext     uint64 // stream offset of the next byte that a redundant copy on it would carry
	Backup       bool
	Stale        bool
	RTOs         int // consecutive expiries of its retransmission timer
}

// View is the state of a connection at the time of a decision.
type View struct {
	Now            clock.Instant
	Paths          []Path
	Queued         int    // bytes never sent that wait in the send buffer
	ReinjectLen    int    // bytes queued for reinjection
	ReinjectSent   Set    // paths that already carried the head of the reinjection queue
	Window         int    // bytes that the connection's send window still allows
	HeadCarriers   Set    // paths that carried it
	Reinjected     uint64 // bytes that went out again on another path, so far
	SndUna, SndNxt uint64 // stream offsets
}

// Scheduler decides for one connection and may keep state.
type Scheduler interface {
	// Next picks paths with Room > 0 or, if it binds ahead, with Bindable > 0;
	// false: send nothing now. Several paths at once carry the same bytes.
	Next(v *View) (Decision, bool)
	// Sent tells that n bytes went to the path with this ID.
	Sent(path, n int)
	// Depth is how many bytes may be bound to p ahead of its cwnd; 0: late binding.
	Depth(p *Path) int
}

// Bindable returns how many bytes may still be bound to p by a scheduler with that
// Depth for it.
func (p *Path) Bindable(depth int) int { return max(p.Cwnd+depth-p.Unacked-p.Queued, 0) }

// Lookup returns a new scheduler by name; false: no such scheduler.
func Lookup(name string) (Scheduler, bool) {
	switch name {
	case "minrtt":
		return &ordered{minRTT{}}, true
	case "default", "burst":
		return new(linger), true
	case "roundrobin":
		return newRoundRobin(), true
	case "redundant":
		return redundant{}, true
	case "last-received":
		return &ordered{lastReceived{}}, true
	case "last-received-any":
		return &ordered{lastReceivedAny{}}, true
	case "blest":
		return newBLEST(), true
	case "ecf":
		return new(ecf), true
	case "first":
		return &program{choose: first}, true
	case "bkup":
		return &program{choose: firstRegular}, true
	case "rr":
		return &program{choose: afterLast, last: -1}, true
	case "red":
		return &program{choose: everyPath}, true
	case "stale":
		return &program{choose: notStale, marked: -1}, true
	}
	if list, ok := strings.CutPrefix(name, "weighted"); ok {
		return newWeighted(list)
	}
	return nil, false
}
