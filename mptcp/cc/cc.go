// Package cc holds congestion controllers behind one interface. cwnd and
// ssthresh are the connection's own, counted in segments as in Linux; a
// controller moves them.
package cc

import (
	"time"

	"mptcplab/mptcp/clock"
)

// State is the state of the sender, as Linux's tcp_ca_state.
type State uint8

// The states.
const (
	Open State = iota
	Disorder
	CWR
	Recovery
	Loss
)

// Flow is what a controller sees and moves of one TCP connection (a subflow or
// alone). tcp.Conn owns it.
type Flow struct {
	Cwnd        int // segments
	SSThresh    int // segments; MaxSSThresh at first
	MSS         int // bytes of payload in a full segment
	SRTT        time.Duration
	MinRTT      time.Duration
	RTTVar      time.Duration
	State       State
	Established bool          // false before the handshake is done and after the end
	AppLimited  bool          // what is in flight was sent without enough to send
	PaceAt      clock.Instant // no segment before, if the controller paces
	LastSent    clock.Instant // data, before what goes out now
	AsLinux     bool          // CUBIC as in Linux, also where RFC 9406 and 9438 have it otherwise

	// HoldsBack is set by a controller that keeps cwnd down to measure: TCP marks
	// what is in flight as application-limited.
	HoldsBack bool
}

// MaxSSThresh is ssthresh before any loss: out of reach.
const MaxSSThresh = 1<<31 - 1

// InSlowStart reports whether cwnd is below ssthresh.
func (f *Flow) InSlowStart() bool { return f.Cwnd < f.SSThresh }

// Sample is what one ACK told.
type Sample struct {
	Now         clock.Instant
	Acked       int           // segments newly acknowledged, cumulatively or by SACK
	Lost        int           // segments newly deemed lost
	TotalLost   int           // segments deemed lost so far, also by timers
	Delivered   uint64        // bytes delivered so far
	Una, Nxt    uint64        // bytes acknowledged, and sent, so far
	Rate        uint64        // delivery rate in bytes/s; 0: none, and Prior says nothing
	Prior       uint64        // Delivered when the segment that Rate is about was sent
	RTT         time.Duration // of the oldest segment acknowledged; 0: none
	LastRTT     time.Duration // of the newest, which waited least for others; 0: none
	InFlight    int           // segments, before this ACK
	Pipe        int           // segments in flight after it
	CwndLimited bool          // the sender was held by cwnd
	AppLimited  bool
	DelayedACK  bool // the ACK may have waited for a second segment
	ECE         bool
}

// Event is something other than an ACK.
type Event uint8

// The events.
const (
	EnterRecovery Event = iota
	LeaveRecovery
	RTO
	IdleRestart
	ECN
	Penalise
	Transmit // data is sent with nothing in flight (CA_EVENT_TX_START)
)

// Controller is the congestion control of one connection.
type Controller interface {
	// OnAck is called for each ACK that acknowledges something while the
	// controller is in charge (not in Recovery, unless Owns).
	OnAck(f *Flow, s *Sample)
	// SSThresh returns the new ssthresh in segments at a loss.
	SSThresh(f *Flow) int
	// Undo restores what a spurious loss took away.
	Undo(f *Flow)
	Event(f *Flow, now clock.Instant, e Event)
	// Owns reports whether cwnd in recovery is the controller's, too (BBR);
	// the others leave it to PRR.
	Owns() bool
	// Pacing returns the rate in bytes/s; 0: not paced.
	Pacing(f *Flow) uint64
}

// Family makes the controllers of one MPTCP connection, one per subflow. Coupled
// controllers share their state in it.
type Family interface {
	New(f *Flow, now clock.Instant) Controller
	Drop(c Controller)
}

// Known reports whether Lookup finds the name.
func Known(name string) bool {
	_, ok := Lookup(name)
	return ok
}

// Lookup returns a new family by the name under which Linux and our scenarios
// know it ("reno", "cubic", "lia", ...); false: no such controller.
func Lookup(name string) (Family, bool) {
	switch name {
	case "reno":
		return renoFamily{}, true
	case "cubic":
		return cubicFamily{}, true
	case "bbr":
		return bbrFamily{}, true
	case "lia":
		return &coupledFamily{rule: lia{}}, true
	case "olia":
		return &coupledFamily{rule: olia{}}, true
	case "balia":
		return &coupledFamily{rule: balia{}}, true
	case "ewtcp":
		return &coupledFamily{rule: ewtcp{}}, true
	case "coupled":
		return &coupledFamily{rule: fullyCoupled{}}, true
	case "wvegas":
		return new(wvegasFamily), true
	}
	return nil, false
}
