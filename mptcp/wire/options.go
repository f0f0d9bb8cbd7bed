package wire

import "net/netip"

// OptionSet says which options a segment carries.
type OptionSet uint32

// The options that Options can hold.
const (
	HasMSS OptionSet = 1 << iota
	HasWScale
	HasSACKPermitted
	HasTimestamps
	HasSACK
	HasFastOpen
	HasMPCapable
	HasMPJoin
	HasDSS
	HasAddAddr
	HasRemoveAddr
	HasMPPrio
	HasMPFail
	HasFastClose
	HasMPTCPRst
	// HasMalformedMPTCP is set by the parser when an MPTCP option was there
	// whose length or content no rule allows; the option itself is not reported.
	HasMalformedMPTCP

	// HasMPTCP is any MPTCP option.
	HasMPTCP = HasMPCapable | HasMPJoin | HasDSS | HasAddAddr | HasRemoveAddr |
		HasMPPrio | HasMPFail | HasFastClose | HasMPTCPRst
)

// Options holds the options of one segment, at most one of each kind: fixed
// size, no allocation. A field counts only if its bit is set in Has.
type Options struct {
	Has          OptionSet
	MSS          uint16
	WScale       uint8 // shift count as on the wire (RFC 7323: above 14 counts as 14)
	TSVal, TSEcr uint32
	NumSACK      int // blocks used in SACK
	SACK         [4]SACKBlock
	FastOpen     FastOpen

	MPCapable  MPCapable
	MPJoin     MPJoin
	DSS        DSS
	AddAddr    AddAddr
	RemoveAddr RemoveAddr
	MPPrio     MPPrio
	MPFail     DSN
	FastClose  uint64 // the key of the receiver of MP_FASTCLOSE
	MPTCPRst   MPTCPRst
}

// SACKBlock is a received range [Left, Right) (RFC 2018), absolute.
type SACKBlock struct{ Left, Right Seq }

// FastOpen is the Fast Open option (RFC 7413); Len 0 asks for a cookie.
type FastOpen struct {
	Len    int
	Cookie [16]byte
	Exp    bool // in the experimental form, kind 254 with 0xF989
}

// MPCapable is MP_CAPABLE, version 1 (RFC 8684, 3.1). The form follows from what
// is present: SYN (no key, 4 octets), SYN/ACK (sender's key, 12), ACK (both
// keys, 20), with data (22, or 24 with checksum).
type MPCapable struct {
	Version     uint8
	Flags       CapableFlags
	NumKeys     int // 0, 1 or 2
	SenderKey   uint64
	ReceiverKey uint64
	HasDataLen  bool
	DataLen     uint16
	HasChecksum bool
	Checksum    uint16
}

// CapableFlags are the bits A to H of MP_CAPABLE.
type CapableFlags uint8

// The bits of MP_CAPABLE that have a meaning (RFC 8684, 3.1).
const (
	CapChecksum  CapableFlags = 0x80 // A: checksum required
	CapExtend    CapableFlags = 0x40 // B: extensibility
	CapNoJoin    CapableFlags = 0x20 // C: no subflow to the initial address and port
	CapSHA256    CapableFlags = 0x01 // H: HMAC-SHA256
	CapAlgorithm CapableFlags = 0x1F // D to H
)

// JoinForm tells the three forms of MP_JOIN apart.
type JoinForm uint8

// The forms of MP_JOIN (RFC 8684, 3.2): 12, 16 and 24 octets.
const (
	JoinSYN JoinForm = iota + 1
	JoinSYNACK
	JoinACK
)

// MPJoin is MP_JOIN (RFC 8684, 3.2).
type MPJoin struct {
	Form   JoinForm
	Backup bool     // B; SYN and SYN/ACK
	AddrID uint8    // SYN and SYN/ACK
	Token  uint32   // SYN: the receiver's token
	Nonce  uint32   // SYN and SYN/ACK
	HMAC   [20]byte // SYN/ACK: the first 8 octets; ACK: all 20
}

// DSS is the Data Sequence Signal (RFC 8684, 3.3).
type DSS struct {
	HasAck      bool // A
	Ack64       bool // a: eight octets
	DataAck     DSN  // with Ack64 false only the low 32 bits count
	HasMap      bool // M
	DSN64       bool // m: eight octets
	DSN         DSN  // with DSN64 false only the low 32 bits count
	SSN         Seq  // relative to the initial sequence number: the SYN is 0
	DataLen     uint16
	HasChecksum bool
	Checksum    uint16
	DataFIN     bool // F
}

// AddAddr is ADD_ADDR (RFC 8684, 3.4.1).
type AddAddr struct {
	Echo bool
	ID   uint8
	Addr netip.Addr
	Port uint16 // 0: none given
	HMAC uint64 // the rightmost 64 bits; absent in an echo
}

// RemoveAddr is REMOVE_ADDR (RFC 8684, 3.4.2).
type RemoveAddr struct {
	Num int
	IDs [37]uint8 // as many as fit into 40 octets
}

// MPPrio is MP_PRIO (RFC 8684, 3.3.8).
type MPPrio struct{ Backup bool }

// MPTCPRst is MP_TCPRST (RFC 8684, 3.6).
type MPTCPRst struct {
	Transient bool
	Reason    RstReason
}

// RstReason is the reason code of MP_TCPRST.
type RstReason uint8

// The reason codes (RFC 8684, 3.6).
const (
	RstUnspecified RstReason = iota
	RstMPTCP
	RstResources
	RstProhibited
	RstTooMuchData
	RstPerformance
	RstMiddlebox
)
