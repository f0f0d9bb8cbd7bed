package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

var (
	v4a = netip.MustParseAddrPort("10.0.1.1:40000")
	v4b = netip.MustParseAddrPort("10.0.2.1:8080")
	v6a = netip.MustParseAddrPort("[2001:db8:1::1]:40000")
	v6b = netip.MustParseAddrPort("[2001:db8:2::1]:8080")
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// optionCases are options as they stand on the wire, by hand from the figures of
// RFC 8684, RFC 7323, RFC 2018 and RFC 7413, padded as Linux does. tcpdump 4.99
// reads all but two of them as the text says, apart from the padding, which it
// shows, and no-join and len of MP_CAPABLE, which it does not: MP_CAPABLE with a
// checksum and MP_TCPRST are beyond it.
var optionCases = []struct {
	name string
	o    Options
	wire string
	text string
}{
	{"syn", Options{Has: HasMSS | HasSACKPermitted | HasTimestamps | HasWScale, MSS: 1460, TSVal: 1, TSEcr: 0, WScale: 7},
		"020405b4 0402080a 00000001 00000000 01030307",
		"mss 1460,sackOK,TS val 1 ecr 0,wscale 7"},
	{"syn without timestamps", Options{Has: HasMSS | HasSACKPermitted | HasWScale, MSS: 1440, WScale: 14},
		"020405a0 01010402 0103030e",
		"mss 1440,sackOK,wscale 14"},
	{"timestamps", Options{Has: HasTimestamps, TSVal: 0x01020304, TSEcr: 0xfffffffe},
		"0101080a 01020304 fffffffe",
		"TS val 16909060 ecr 4294967294"},
	{"sack 1", Options{Has: HasSACK, NumSACK: 1, SACK: [4]SACKBlock{{1000, 2000}}},
		"0101050a 000003e8 000007d0",
		"sack 1 {1000:2000}"},
	{"sack 3 with timestamps", Options{Has: HasTimestamps | HasSACK, NumSACK: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {0xffffffff, 0}}},
		"0101080a 00000000 00000000 0101051a 00000001 00000002 00000003 00000004 ffffffff 00000000",
		"TS val 0 ecr 0,sack 3 {1:2}{3:4}{4294967295:0}"},
	{"tfo request", Options{Has: HasFastOpen}, "22020101", "tfo cookiereq"},
	{"tfo cookie", Options{Has: HasFastOpen, FastOpen: FastOpen{Len: 8, Cookie: [16]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
		"220a0102 03040506 07080101", "tfo cookie 0102030405060708"},
	{"tfo cookie 6", Options{Has: HasFastOpen, FastOpen: FastOpen{Len: 6, Cookie: [16]byte{1, 2, 3, 4, 5, 6}}},
		"22080102 03040506", "tfo cookie 010203040506"},
	{"tfo experimental request", Options{Has: HasFastOpen, FastOpen: FastOpen{Exp: true}}, "fe04f989", "exp-tfo cookiereq"},
	{"tfo experimental cookie", Options{Has: HasFastOpen, FastOpen: FastOpen{Exp: true, Len: 8, Cookie: [16]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
		"fe0cf989 01020304 05060708", "exp-tfo cookie 0102030405060708"},
	{"tfo experimental cookie 6", Options{Has: HasFastOpen, FastOpen: FastOpen{Exp: true, Len: 6, Cookie: [16]byte{1, 2, 3, 4, 5, 6}}},
		"fe0af989 01020304 05060101", "exp-tfo cookie 010203040506"},

	{"capable syn", Options{Has: HasMPCapable, MPCapable: MPCapable{Version: 1, Flags: CapSHA256}},
		"1e040101", "mptcp 4 capable v1"},
	{"capable synack", Options{Has: HasMPCapable, MPCapable: MPCapable{Version: 1, Flags: CapSHA256 | CapChecksum, NumKeys: 1, SenderKey: 0x0102030405060708}},
		"1e0c0181 01020304 05060708", "mptcp 12 capable v1 csum {0x102030405060708}"},
	{"capable ack", Options{Has: HasMPCapable, MPCapable: MPCapable{Version: 1, Flags: CapSHA256 | CapNoJoin, NumKeys: 2, SenderKey: 1, ReceiverKey: 2}},
		"1e140121 00000000 00000001 00000000 00000002", "mptcp 20 capable v1 no-join {0x1,0x2}"},
	{"capable data", Options{Has: HasMPCapable, MPCapable: MPCapable{Version: 1, Flags: CapSHA256, NumKeys: 2, SenderKey: 1, ReceiverKey: 2, HasDataLen: true, DataLen: 100}},
		"1e160101 00000000 00000001 00000000 00000002 00640101", "mptcp 22 capable v1 {0x1,0x2} len 100"},
	{"capable data csum", Options{Has: HasMPCapable, MPCapable: MPCapable{Version: 1, Flags: CapSHA256 | CapChecksum, NumKeys: 2, SenderKey: 1, ReceiverKey: 2, HasDataLen: true, DataLen: 100, HasChecksum: true, Checksum: 0xabcd}},
		"1e180181 00000000 00000001 00000000 00000002 0064abcd", "mptcp 24 capable v1 csum {0x1,0x2} len 100 csum 0xabcd"},

	{"join syn", Options{Has: HasMPJoin, MPJoin: MPJoin{Form: JoinSYN, Backup: true, AddrID: 3, Token: 0x01020304, Nonce: 0xa0b0c0d0}},
		"1e0c1103 01020304 a0b0c0d0", "mptcp 12 join backup id 3 token 0x1020304 nonce 0xa0b0c0d0"},
	{"join synack", Options{Has: HasMPJoin, MPJoin: MPJoin{Form: JoinSYNACK, AddrID: 4, HMAC: [20]byte{1, 2, 3, 4, 5, 6, 7, 8}, Nonce: 9}},
		"1e101004 01020304 05060708 00000009", "mptcp 16 join id 4 hmac 0x102030405060708 nonce 0x9"},
	{"join ack", Options{Has: HasMPJoin, MPJoin: MPJoin{Form: JoinACK, HMAC: [20]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}}},
		"1e181000 01020304 05060708 090a0b0c 0d0e0f10 11121314", "mptcp 24 join hmac 0x0102030405060708090a0b0c0d0e0f1011121314"},

	{"dss ack32", Options{Has: HasDSS, DSS: DSS{HasAck: true, DataAck: 7}}, "1e082001 00000007", "mptcp 8 dss ack 7"},
	{"dss ack64", Options{Has: HasDSS, DSS: DSS{HasAck: true, Ack64: true, DataAck: 1 << 32}}, "1e0c2003 00000001 00000000", "mptcp 12 dss ack 4294967296"},
	{"dss map32", Options{Has: HasDSS, DSS: DSS{HasMap: true, DSN: 5, SSN: 6, DataLen: 7}},
		"1e0e2004 00000005 00000006 00070101", "mptcp 14 dss seq 5 subseq 6 len 7"},
	{"dss map64 csum", Options{Has: HasDSS, DSS: DSS{HasMap: true, DSN64: true, DSN: 0x0102030405060708, SSN: 1, DataLen: 1448, HasChecksum: true, Checksum: 0x1234}},
		"1e14200c 01020304 05060708 00000001 05a81234", "mptcp 20 dss seq 72623859790382856 subseq 1 len 1448 csum 0x1234"},
	{"dss full", Options{Has: HasTimestamps | HasDSS, DSS: DSS{HasAck: true, Ack64: true, DataAck: 1, HasMap: true, DSN64: true, DSN: 2, SSN: 3, DataLen: 4, HasChecksum: true, Checksum: 5, DataFIN: true}},
		"0101080a 00000000 00000000 1e1c201f 00000000 00000001 00000000 00000002 00000003 00040005",
		"TS val 0 ecr 0,mptcp 28 dss fin ack 1 seq 2 subseq 3 len 4 csum 0x5"},
	{"dss ack64 map64", Options{Has: HasDSS, DSS: DSS{HasAck: true, Ack64: true, DataAck: 1, HasMap: true, DSN64: true, DSN: 2, SSN: 3, DataLen: 4}},
		"1e1a200f 00000000 00000001 00000000 00000002 00000003 00040101", "mptcp 26 dss ack 1 seq 2 subseq 3 len 4"},

	{"add_addr v4", Options{Has: HasAddAddr, AddAddr: AddAddr{ID: 1, Addr: netip.MustParseAddr("10.0.2.1"), HMAC: 0x0102030405060708}},
		"1e103001 0a000201 01020304 05060708", "mptcp 16 add-addr v1 id 1 10.0.2.1 hmac 0x102030405060708"},
	{"add_addr v4 port", Options{Has: HasAddAddr, AddAddr: AddAddr{ID: 1, Addr: netip.MustParseAddr("10.0.2.1"), Port: 443, HMAC: 0x0102030405060708}},
		"1e123001 0a000201 01bb0102 03040506 07080101", "mptcp 18 add-addr v1 id 1 10.0.2.1:443 hmac 0x102030405060708"},
	{"add_addr v4 echo", Options{Has: HasAddAddr, AddAddr: AddAddr{Echo: true, ID: 1, Addr: netip.MustParseAddr("10.0.2.1")}},
		"1e083101 0a000201", "mptcp 8 add-addr v1-echo id 1 10.0.2.1"},
	{"add_addr v4 port echo", Options{Has: HasAddAddr, AddAddr: AddAddr{Echo: true, ID: 1, Addr: netip.MustParseAddr("10.0.2.1"), Port: 443}},
		"1e0a3101 0a000201 01bb0101", "mptcp 10 add-addr v1-echo id 1 10.0.2.1:443"},
	{"add_addr v6", Options{Has: HasAddAddr, AddAddr: AddAddr{ID: 2, Addr: netip.MustParseAddr("2001:db8::1"), HMAC: 1}},
		"1e1c3002 20010db8 00000000 00000000 00000001 00000000 00000001", "mptcp 28 add-addr v1 id 2 2001:db8::1 hmac 0x1"},
	{"add_addr v6 port", Options{Has: HasAddAddr, AddAddr: AddAddr{ID: 2, Addr: netip.MustParseAddr("2001:db8::1"), Port: 443, HMAC: 1}},
		"1e1e3002 20010db8 00000000 00000000 00000001 01bb0000 00000000 00010101", "mptcp 30 add-addr v1 id 2 2001:db8::1:443 hmac 0x1"},
	{"add_addr v6 echo", Options{Has: HasAddAddr, AddAddr: AddAddr{Echo: true, ID: 2, Addr: netip.MustParseAddr("2001:db8::1")}},
		"1e143102 20010db8 00000000 00000000 00000001", "mptcp 20 add-addr v1-echo id 2 2001:db8::1"},
	{"add_addr v6 port echo", Options{Has: HasAddAddr, AddAddr: AddAddr{Echo: true, ID: 2, Addr: netip.MustParseAddr("2001:db8::1"), Port: 443}},
		"1e163102 20010db8 00000000 00000000 00000001 01bb0101", "mptcp 22 add-addr v1-echo id 2 2001:db8::1:443"},

	{"remove_addr 1", Options{Has: HasRemoveAddr, RemoveAddr: RemoveAddr{Num: 1, IDs: [37]uint8{5}}}, "1e044005", "mptcp 4 rem-addr id 5"},
	{"remove_addr 3", Options{Has: HasRemoveAddr, RemoveAddr: RemoveAddr{Num: 3, IDs: [37]uint8{5, 6, 7}}}, "1e064005 06070101", "mptcp 6 rem-addr id 5 6 7"},
	{"prio", Options{Has: HasMPPrio, MPPrio: MPPrio{Backup: true}}, "1e035101", "mptcp 3 prio backup"},
	{"prio regular", Options{Has: HasMPPrio}, "1e035001", "mptcp 3 prio non-backup"},
	{"fail", Options{Has: HasMPFail, MPFail: 0x0102030405060708}, "1e0c6000 01020304 05060708", "mptcp 12 fail seq 72623859790382856"},
	{"fail with map", Options{Has: HasMPFail | HasDSS, MPFail: 1, DSS: DSS{HasMap: true, DSN: 5, SSN: 6}},
		"1e0c6000 00000000 00000001 1e0e2004 00000005 00000006 00000101", "mptcp 12 fail seq 1,mptcp 14 dss seq 5 subseq 6 len 0"},
	{"fastclose", Options{Has: HasFastClose, FastClose: 0x0102030405060708}, "1e0c7000 01020304 05060708", "mptcp 12 fast-close key 0x102030405060708"},
	{"rst", Options{Has: HasMPTCPRst, MPTCPRst: MPTCPRst{Transient: true, Reason: RstTooMuchData}}, "1e048104", "mptcp 4 tcprst too-much-data transient"},
	{"fastclose and rst", Options{Has: HasFastClose | HasMPTCPRst, FastClose: 1}, "1e0c7000 00000000 00000001 1e048000", "mptcp 12 fast-close key 0x1,mptcp 4 tcprst unspecified"},
	{"prio and remove", Options{Has: HasDSS | HasMPPrio | HasRemoveAddr, DSS: DSS{HasAck: true, DataAck: 7}, RemoveAddr: RemoveAddr{Num: 1, IDs: [37]uint8{5}}},
		"1e082001 00000007 1e035001 1e044005", "mptcp 8 dss ack 7,mptcp 3 prio non-backup,mptcp 4 rem-addr id 5"},
}

func TestOptions(t *testing.T) {
	for _, c := range optionCases {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.wire)
			got := AppendOptions(nil, &c.o)
			if !bytes.Equal(got, want) {
				t.Errorf("AppendOptions:\n got %x\nwant %x", got, want)
			}
			if n := c.o.Len(); n != len(want) {
				t.Errorf("Len = %d, want %d", n, len(want))
			}
			var o Options
			ParseOptions(want, &o)
			if o != c.o {
				t.Errorf("ParseOptions:\n got %+v\nwant %+v", o, c.o)
			}
			if s := o.String(); s != c.text {
				t.Errorf("String:\n got %s\nwant %s", s, c.text)
			}
		})
	}
}

// TestOptionsMalformed: what Linux's tcp_parse_options does with odd options.
func TestOptionsMalformed(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		has        OptionSet
	}{
		{"empty", "", 0},
		{"end of list stops", "00 020405b4", 0},
		{"unknown kind is skipped", "fd03aa 020405b4", HasMSS},
		{"length zero stops", "fd00 020405b4", 0},
		{"length one stops", "1e01 020405b4", 0},
		{"length over the end stops", "020405b4 080a0000", HasMSS},
		{"lone kind at the end", "020405b4 02", HasMSS},
		{"MSS of wrong length", "020305 01", 0},
		{"window scale of wrong length", "03040707", 0},
		{"SACK-permitted of wrong length", "040300", 0},
		{"timestamps of wrong length", "080900000001000000", 0},
		{"SACK without block", "0502", 0},
		{"SACK with half a block", "0506 00000001", 0},
		{"cookie of odd length", "2207 0102030405", 0},
		{"cookie too short", "2204 0102", 0},
		{"cookie too long", "2214 010203040506070801020304050607080910", 0},
		{"experiment of another", "fe04 1234", 0},
		{"experiment without id", "fe03 12", 0},

		{"MPTCP without subtype", "1e02", HasMalformedMPTCP},
		{"unknown subtype is skipped", "1e04f000 020405b4", HasMSS},
		{"capable 3", "1e0301", HasMalformedMPTCP},
		{"capable 8", "1e080181 00000001", HasMalformedMPTCP},
		{"capable 21", "1e150181 00000000 00000001 00000000 00000002 00", HasMalformedMPTCP},
		{"join 13", "1e0d1003 01020304 a0b0c0d0 00", HasMalformedMPTCP},
		{"join 8", "1e081003 01020304", HasMalformedMPTCP},
		{"dss 3", "1e0320", HasMalformedMPTCP},
		{"dss without ack", "1e042001", HasMalformedMPTCP},
		{"dss ack64 in 4", "1e082003 00000007", HasMalformedMPTCP},
		{"dss checksum without map", "1e0a2001 00000007 abcd", HasMalformedMPTCP},
		{"dss map too long", "1e102004 00000005 00000006 0007abcd", HasDSS},
		{"dss map longer still", "1e112004 00000005 00000006 0007abcd ff", HasMalformedMPTCP},
		{"dss of nothing", "1e042000", HasDSS},
		{"add_addr without HMAC", "1e083001 0a000201", HasMalformedMPTCP},
		{"add_addr echo with HMAC", "1e103101 0a000201 01020304 05060708", HasMalformedMPTCP},
		{"add_addr 3", "1e0330", HasMalformedMPTCP},
		{"remove_addr of none", "1e0340", HasMalformedMPTCP},
		{"prio with address id", "1e045101", HasMalformedMPTCP},
		{"fail 8", "1e086000 01020304", HasMalformedMPTCP},
		{"fastclose 13", "1e0d7000 01020304 05060708 00", HasMalformedMPTCP},
		{"rst 3", "1e0380", HasMalformedMPTCP},
		{"malformed and good", "1e0380 1e048104", HasMalformedMPTCP | HasMPTCPRst},
	} {
		var o Options
		ParseOptions(unhex(t, c.wire), &o)
		if o.Has != c.has {
			t.Errorf("%s: Has = %b, want %b", c.name, o.Has, c.has)
		}
	}
}

func TestOptionsLastCounts(t *testing.T) {
	var o Options
	ParseOptions(unhex(t, "020405b4 02040200 1e048104 1e048003"), &o)
	if o.MSS != 512 || o.MPTCPRst != (MPTCPRst{Reason: RstProhibited}) {
		t.Errorf("MSS %d, %+v", o.MSS, o.MPTCPRst)
	}
}

// JOI-02, JOI-06, DSS-01, ADD-07, ADD-08, RST-03, RST-04: reserved and unassigned bits
// are sent as 0 and ignored on receipt: "The other bits are currently unassigned; they
// MUST be set to 0 by a sender and MUST be ignored by the receiver."
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.4.1).
func TestReservedBits(t *testing.T) {
	masks := map[byte][2]byte{ // by subtype, of the octets with subtype and flags
		subJoin: {0x0e, 0}, subDSS: {0x0f, 0xe0}, subAddAddr: {0x0e, 0}, subRemoveAddr: {0x0f, 0}, subPrio: {0x0e, 0},
		subFail: {0x0f, 0xff}, subFastClose: {0x0f, 0xff}, subRst: {0x0e, 0},
	}
	seen := make(map[byte]bool)
	for _, c := range optionCases {
		b := unhex(t, c.wire)
		if len(b) < 4 || b[0] != kindMPTCP || int(b[1]) < len(b)-3 { // one MPTCP option, and its padding
			continue
		}
		m, ok := masks[b[2]>>4]
		if b[2]>>4 == subJoin && b[1] == 24 {
			m = [2]byte{0x0f, 0xff}
		}
		if b[1] == 3 { // no second octet of flags
			m[1] = 0
		}
		if !ok {
			continue
		}
		seen[b[2]>>4] = true
		if b[2]&m[0] != 0 || b[3]&m[1] != 0 {
			t.Errorf("%s: reserved bits are sent: %x", c.name, b)
		}
		b[2] |= m[0]
		b[3] |= m[1]
		var o Options
		ParseOptions(b, &o)
		if o != c.o {
			t.Errorf("%s with reserved bits set: %+v", c.name, o)
		}
	}
	if len(seen) != len(masks) {
		t.Errorf("subtypes %v", seen)
	}
}

// LC-40: the reason codes that section 3.6 defines
// (https://www.rfc-editor.org/rfc/rfc8684#section-3.6).
func TestResetReasons(t *testing.T) {
	for code, r := range []RstReason{RstUnspecified, RstMPTCP, RstResources, RstProhibited, RstTooMuchData, RstPerformance, RstMiddlebox} {
		o := Options{Has: HasMPTCPRst, MPTCPRst: MPTCPRst{Reason: r}}
		if b := AppendOptions(nil, &o); int(b[3]) != code {
			t.Errorf("%v is code %d, want %d", r, b[3], code)
		}
	}
}
