package impairments

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/wire"
)

// Rule is one thing that a middlebox does, and to which packets. The zero values of
// the fields mean what they say there.
type Rule struct {
	Match     Match
	Do        Action
	Direction Way

	WithReset bool           // Reject: answers with a RST instead of ICMP port unreachable
	TCPRst    *wire.MPTCPRst // Reset: MP_TCPRST on the RSTs; nil: none
	Size      int            // Split: payload bytes of a piece; Coalesce: at most that many together
	Wait      time.Duration  // Coalesce: how long a segment waits for the next
	Once      bool           // Split: options on the first piece alone; Coalesce: those of the first stay, else of the last
	Rewrite   Edit           // Rewrite
}

// Way is the direction that a rule looks at.
type Way uint8

// The ways. Up is from link 0 to link 1.
const (
	Both Way = iota
	Up
	Down
)

// covers reports whether w holds for packets of direction dir.
func (w Way) covers(dir int) bool { return w == Both || int(w) == dir+1 }

// Action is what a rule does.
type Action uint8

// The actions.
const (
	Strip       Action = iota + 1 // takes the matched options out of the header
	Nop                           // overwrites them with NOP
	Drop                          // loses the packet
	Reject                        // loses it and tells the sender
	Reset                         // loses it and resets both ends in the name of the other
	Split                         // cuts a segment into pieces
	Coalesce                      // puts segments that follow each other together
	RewriteData                   // changes numbers or payload
	Acknowledge                   // acknowledges data itself and answers for it
)

// ActionWords are the words for the actions, by Action.
var ActionWords = []string{"", "strip", "nop", "drop", "reject", "reset", "split", "coalesce", "rewrite", "ack"}

func (a Action) String() string { return ActionWords[a] }

// Match says which packets a rule is for: all conditions must hold. Conditions on
// TCP hold for TCP alone. A TCP packet whose checksum is wrong, and a fragment,
// match no rule.
type Match struct {
	Options        OptionKinds // has one of these; 0: does not matter
	Flags, NoFlags wire.Flags  // all set; none set
	Data, NoData   bool        // with payload; without
	Src, Dst       netip.Prefix
	First, Last    int           // of those that match otherwise, counted from 1, only these; First 0: all; Last 0: to the end
	Idle           time.Duration // the connection was silent for that long, and until its next SYN; 0: does not matter
	Unseen         bool          // acknowledges what did not pass here
	Hole           bool          // does not follow on what passed here
}

// tcp reports whether a condition is one on TCP.
func (m *Match) tcp() bool {
	return m.Options != 0 || m.Flags|m.NoFlags != 0 || m.Data || m.NoData || m.Idle > 0 || m.Unseen || m.Hole
}

// Edit is what RewriteData does. The bytes are remembered by sequence number, so
// that a retransmission is changed in the same way, and if their number changes,
// sequence and acknowledgment numbers behind them are changed, too.
type Edit struct {
	ISN    bool // the initial sequence number, and with it all that follow
	At     int  // offset in the payload
	Invert int  // bytes that are inverted
	Remove int  // bytes that go
	Insert string
}

// Empty reports whether the payload stays as it is.
func (e *Edit) Empty() bool { return e.Invert == 0 && e.Remove == 0 && e.Insert == "" }

// OptionKinds is a set of TCP options, those of MPTCP by their subtypes.
type OptionKinds uint32

// Words for options that rules can name. The bits of OptionKinds are their indices.
var OptionWords = []string{
	"mp_capable", "mp_join", "dss", "add_addr", "remove_addr", "mp_prio", "mp_fail", "mp_fastclose", "mp_tcprst",
	"add_addr_echo", "mptcp", "mss", "wscale", "sack_permitted", "sack", "timestamps", "fastopen",
}

const (
	bitAddAddr = 3
	bitEcho    = 9
	bitMPTCP   = 10
)

// kindsOf returns the words that are right for an option: its own, and for MPTCP
// "mptcp".
func kindsOf(option []byte) OptionKinds {
	switch option[0] {
	case 30:
		if len(option) < 3 {
			return 1 << bitMPTCP
		}
		sub := int(option[2] >> 4)
		switch {
		case sub == bitAddAddr && option[2]&1 != 0:
			sub = bitEcho
		case sub >= bitEcho:
			return 1 << bitMPTCP
		}
		return 1<<bitMPTCP | 1<<sub
	case 2, 3, 4, 5:
		return 1 << (bitMPTCP - 1 + int(option[0]))
	case 8:
		return 1 << (bitMPTCP + 5)
	case 34:
		return 1 << (bitMPTCP + 6)
	}
	return 0
}
