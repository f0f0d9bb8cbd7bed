package drill

import (
	"net/netip"
	"time"

	"mptcplab/mptcp/wire"
)

// Script is a parsed script.
type Script struct {
	File    string
	Options []ScriptOption
	Init    *Command // nil: none
	Events  []Event
	Cleanup *Command // nil: none
}

// ScriptOption is one --name=value line.
type ScriptOption struct {
	Line        int
	Name, Value string
}

// Event is one line: at what time what happens. One of the pointers is set.
type Event struct {
	Line    int
	Time    Time
	Packet  *Packet
	Call    *Call
	Command *Command
	Code    *Code
}

// TimeKind says how the time of an event is given.
type TimeKind uint8

// The kinds of times.
const (
	TimeAbsolute TimeKind = iota // T
	TimeRelative                 // +T
	TimeRange                    // A~B, +A~+B: outbound packets
	TimeAny                      // *: outbound packets
)

// Time is when an event happens, in microseconds.
type Time struct {
	Kind     TimeKind
	Relative bool // to the event before
	At       time.Duration
	End      time.Duration // of a range; of a blocking call
	Blocking bool          // T...E
}

// Command is a shell command.
type Command struct {
	Line int
	Text string
}

// Code is a block of assertions.
type Code struct {
	Line int
	Text string
}

// Packet is a packet that is injected or expected.
type Packet struct {
	Line     int
	Out      bool // expected from the stack
	IP       IPInfo
	HasTuple bool
	Src, Dst End
	ICMP     *ICMP // nil: TCP
	Flags    wire.Flags
	AE       bool
	ACE      int // -1: not given
	Seq, Len int64
	HasAck   bool
	Ack      int64
	Window   int // -1: not given
	Urgent   uint16
	AnyOpts  bool // <...>
	Options  []Option
}

// IPInfo is what is said of the IP header.
type IPInfo struct {
	TOS      int // -1: not given
	ECN      int // -1: not given; 0 to 3
	TTL      int // -1: not given
	Flow     int // -1: not given
	AnyECT   bool
	Brackets bool
}

// End is one end of a tuple: a variable, an address, a port, or nothing.
type End struct {
	Var  string
	Addr netip.Addr
	Port uint16
}

// ICMP is an ICMP message about a segment that the stack sent.
type ICMP struct {
	Type, Code string
	MTU        int
	Seq, Len   int64
}

// OptionKind says which TCP option it is.
type OptionKind uint8

// The options.
const (
	OptNOP OptionKind = iota
	OptEOL
	OptMSS
	OptWScale
	OptSACKOK
	OptSACK
	OptTS
	OptFO
	OptFOExp
	OptMD5
	OptCapable
	OptDSS
	OptJoinSYN
	OptJoinSYNACK
	OptJoinACK
	OptAddAddr
	OptRemoveAddr
	OptPrio
	OptReset
	OptFastClose
	OptFail
)

// Option is one TCP option of a packet line. Which fields count depends on Kind.
type Option struct {
	Kind   OptionKind
	Line   int
	Val    uint32 // MSS, WScale, TS val
	Ecr    uint32
	Blocks [][2]uint32
	Cookie []byte

	Version, Flags byte
	Keys           []KeyRef
	DataLen        int // of mpcdatalen; -1: none

	DSS DSS

	Backup    int // -1: not given
	AddressID int // -1: not given
	Token     *TokenRef
	Rand      int64 // -1: not given
	AutoHMAC  bool
	HMAC      uint64
	Addr      AddrRef
	Port      int // -1: not given
	Echo      bool
	IDs       []byte
	Reason    byte
	Transient bool
	HasKey    bool // MP_FASTCLOSE with a number of its own
	Key       uint64
	HasDSN    bool // MP_FAIL
	DSN       uint64
}

// KeyRef names a key and perhaps gives it its value.
type KeyRef struct {
	Name string
	Set  bool
	Val  uint64 // as written: little endian on the wire
}

// TokenRef says what a token is made of.
type TokenRef struct {
	Auto bool
	Var  string // sha256_32(var); "" with Auto false: Val
	SHA1 bool
	Val  uint32
}

// AddrRef is addr[v] or addr[v=...]; Addr is invalid if no value is given.
type AddrRef struct {
	Name string
	Addr netip.Addr
}

// DSS is a DSS option as written.
type DSS struct {
	DACK, DSN       Number
	HasDACK, HasDSN bool
	DACK8, DSN8     bool
	SSN, DLL        int64 // -1: not given
	HasChecksum     bool
	Checksum        uint16
	AutoChecksum    bool // cksum without a value: the right one
	FIN             bool
}

// Number is a data sequence number as written: relative to the first byte.
type Number struct {
	Given bool
	Val   uint64
	// trunc_r64_hmac(var), ...(number): Val counts from the IDSN of that key.
	Hashed, SHA1 bool
	Hash         string
	Key          uint64
}

// Call is a system call.
type Call struct {
	Line   int
	Name   string
	Args   []Expr
	Result Expr
	Errno  string // "": none
	Note   string
}

// ExprKind says what an expression is.
type ExprKind uint8

// The kinds of expressions.
const (
	ExprInt ExprKind = iota
	ExprSymbol
	ExprString
	ExprEllipsis
	ExprList
	ExprStruct
	ExprOr
	ExprCall
	ExprFloat
)

// Expr is an argument or result of a system call.
type Expr struct {
	Kind   ExprKind
	Int    int64
	Text   string // symbol, string, function name
	List   []Expr // list, parts of a|b, arguments
	Fields []Field
}

// Field is one member of a struct; Name is "" if it is known by its place.
type Field struct {
	Name string
	Arg  *Expr // as in msg_iov(1)=...
	Val  Expr
}
