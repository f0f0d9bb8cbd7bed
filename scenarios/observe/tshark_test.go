package observe_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/wire"
	"mptcplab/scenarios"
	"mptcplab/scenarios/observe"
	"mptcplab/scenarios/result"
	"mptcplab/scenarios/spec"
)

// early begins a filter for the first thousand frames alone: handshakes are there,
// and tshark takes seconds for all.
const early = "early: "

// tshark returns the fields of the frames of a capture that a filter selects, a
// row a frame. Payload is not dissected: random bytes look like anything.
func tshark(t *testing.T, file, filter string, fields ...string) [][]string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" { // .ci/run installs it: a lane that could run must run
			t.Fatal("tshark is not installed")
		}
		t.Skip("SKIPPED: tshark is not installed, so nothing but our own parser has seen these packets")
	}
	args := []string{"-n", "-r", file, "-Y", strings.TrimPrefix(filter, early), "-d", "tcp.port==1-65535,data", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	if strings.HasPrefix(filter, early) {
		args = append(args, "-c", "1000")
	}
	cmd := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatalf("tshark says %q where a number belongs", s)
	}
	return n
}

// capture runs the handover in virtual time, with less to download, and returns
// the capture.
func capture(t *testing.T) string {
	t.Helper()
	f, err := spec.Load(filepath.Join("..", "wifi-lte-handover.yaml"), spec.Options{
		Fabric: "virtual", Only: []string{"pairing=mptcp-mptcp"},
		Sets: []string{"workloads.get.download=3MB", "timeline.0.at=500ms", "timeline.1.at=2s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := scenarios.Run(context.Background(), f, scenarios.Options{Fabric: "virtual", Out: out, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	dir, err := result.RunDir(out, f.Runs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, result.CaptureFile)
}

// piece is data as it leaves its sender: where it stands in the data sequence
// space, and how long it is.
type piece struct {
	dsn uint64
	n   int
}

// tshark and the observer read the same from a capture of our stack: no field is
// malformed or unknown, and keys, tokens, IDSNs and the DSN of every piece of
// data agree.
func TestTsharkAgrees(t *testing.T) {
	file := capture(t)
	var ours []piece
	withOption, malformed := 0, uint64(0)
	var conns []*observe.Conn
	scan(t, file, func(o *observe.Observer) { conns, malformed = o.Conns(), o.Malformed },
		func(d observe.Data) {
			idsn := d.Conn.IDSN[d.Dir]
			ours = append(ours, piece{uint64(idsn.Add(int(d.Offset) + 1)), d.Len})
		},
		func(s *wire.Options) {
			if s.Has&wire.HasMPTCP != 0 {
				withOption++
			}
		})
	if malformed != 0 || len(conns) != 1 {
		t.Fatalf("%d malformed packets, %d connections", malformed, len(conns))
	}
	c := conns[0]

	const strange = "_ws.malformed || _ws.short || (tcp.option_kind == 30 && !tcp.options.mptcp.subtype) || tcp.options.mptcp.subtype > 8 || tcp.options.mptcp.version != 1"
	for _, row := range tshark(t, file, strange, "frame.number", "tcp.options.mptcp.subtype") {
		t.Errorf("tshark finds a frame malformed, or knows no subtype: %v", row)
	}
	if rows := tshark(t, file, "tcp.options.mptcp.subtype", "frame.number"); len(rows) != withOption {
		t.Errorf("tshark sees MPTCP in %d frames, we in %d", len(rows), withOption)
	}

	// The third ACK holds both keys; what tshark computes there is of the client's.
	withKeys := tshark(t, file, early+"tcp.options.mptcp.recvkey", "tcp.options.mptcp.sendkey", "tcp.options.mptcp.recvkey", "mptcp.expected_token", "mptcp.expected_idsn")
	if len(withKeys) == 0 {
		t.Error("no third ACK with both keys")
	}
	for _, row := range withKeys {
		compare(t, "client's key", number(t, row[0]), c.Keys[observe.Up])
		compare(t, "server's key", number(t, row[1]), c.Keys[observe.Down])
		compare(t, "client's token", number(t, row[2]), uint64(c.Token[observe.Up]))
		compare(t, "client's IDSN", number(t, row[3]), uint64(c.IDSN[observe.Up]))
	}
	rows := tshark(t, file, early+"tcp.flags.syn == 1 && tcp.flags.ack == 1 && mptcp.expected_token", "mptcp.expected_token", "mptcp.expected_idsn")
	if len(rows) == 0 {
		t.Error("no SYN/ACK with a key")
	}
	for _, row := range rows {
		compare(t, "server's token", number(t, row[0]), uint64(c.Token[observe.Down]))
		compare(t, "server's IDSN", number(t, row[1]), uint64(c.IDSN[observe.Down]))
	}
	rows = tshark(t, file, early+"tcp.options.mptcp.recvtok", "tcp.options.mptcp.recvtok", "mptcp.stream")
	if len(rows) == 0 {
		t.Error("no MP_JOIN")
	}
	for _, row := range rows {
		compare(t, "token of MP_JOIN", number(t, row[0]), uint64(c.Token[observe.Down]))
		compare(t, "tshark's connection of the subflow", number(t, row[1]), 0)
	}

	// Data as it leaves: the mapping's DSN, moved on to where the segment starts.
	var theirs []piece
	for _, row := range tshark(t, file, "tcp.len > 0 && frame.packet_flags_direction == 2 && tcp.options.mptcp.rawdataseqno",
		"tcp.options.mptcp.rawdataseqno", "tcp.options.mptcp.subflowseqno", "tcp.seq", "tcp.len") {
		dsn := number(t, row[0]) + number(t, row[2]) - number(t, row[1])
		theirs = append(theirs, piece{dsn, int(number(t, row[3]))})
	}
	if len(ours) < 2000 || !slices.Equal(ours, theirs) {
		t.Errorf("data sequence numbers differ: we have %d pieces, tshark %d; first %v and %v", len(ours), len(theirs), first(ours), first(theirs))
	}
}

func first(p []piece) []piece { return p[:min(3, len(p))] }

func compare(t *testing.T, what string, theirs, ours uint64) {
	t.Helper()
	if theirs != ours {
		t.Errorf("%s: tshark %d, we %d", what, theirs, ours)
	}
}

// scan reads a capture through an observer and, packet by packet, the options.
func scan(t *testing.T, file string, done func(*observe.Observer), data func(observe.Data), opt func(*wire.Options)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	o := observe.New(observe.Options{OnData: data})
	var options wire.Options
	err = result.ScanCapture(f, func(at clock.Instant, iface string, out bool, ip []byte) {
		o.Packet(at, iface, out, ip)
		wire.ParseOptions(ip[40:20+int(ip[32]>>4)*4], &options) // IPv4 without options
		opt(&options)
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	done(o)
}

// Every option that we can write is one that tshark can read, field by field.
func TestTsharkReadsEveryOption(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.9.9"), netip.MustParseAddr("fd00::9")
	tests := []struct {
		name  string
		flags wire.Flags
		opt   wire.Options
		want  map[string]string
	}{
		{"capable SYN", wire.SYN, wire.Options{Has: wire.HasMPCapable, MPCapable: wire.MPCapable{Version: 1, Flags: wire.CapSHA256 | wire.CapChecksum}},
			map[string]string{"subtype": "0", "version": "1", "sha256.flag": "1", "checksumreq.flags": "1"}},
		{"capable data", wire.ACK, wire.Options{Has: wire.HasMPCapable, MPCapable: wire.MPCapable{Version: 1, Flags: wire.CapSHA256, NumKeys: 2, SenderKey: 5, ReceiverKey: 6, HasDataLen: true, DataLen: 7, HasChecksum: true, Checksum: 8}},
			map[string]string{"sendkey": "5", "recvkey": "6", "datalvllen": "7", "checksum": "0x0008"}},
		{"join SYN", wire.SYN, wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYN, Backup: true, AddrID: 3, Token: 77, Nonce: 88}},
			map[string]string{"subtype": "1", "backup.flag": "1", "addrid": "3", "recvtok": "77", "sendrand": "88"}},
		{"join SYN/ACK", wire.SYN | wire.ACK, wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinSYNACK, AddrID: 3, Nonce: 88, HMAC: [20]byte{7: 9}}},
			map[string]string{"sendtrunchmac": "9", "sendrand": "88"}},
		{"join ACK", wire.ACK, wire.Options{Has: wire.HasMPJoin, MPJoin: wire.MPJoin{Form: wire.JoinACK, HMAC: [20]byte{19: 9}}},
			map[string]string{"sendhmac": strings.Repeat("00", 19) + "09"}},
		{"DSS 64", wire.ACK, wire.Options{Has: wire.HasDSS, DSS: wire.DSS{HasAck: true, Ack64: true, DataAck: 1 << 40, HasMap: true, DSN64: true, DSN: 1 << 41, SSN: 9, DataLen: 10, HasChecksum: true, Checksum: 11, DataFIN: true}},
			map[string]string{"subtype": "2", "rawdataack": "1099511627776", "rawdataseqno": "2199023255552", "subflowseqno": "9", "datalvllen": "10", "datafin.flag": "1"}},
		{"DSS 32", wire.ACK, wire.Options{Has: wire.HasDSS, DSS: wire.DSS{HasAck: true, DataAck: 12, HasMap: true, DSN: 13, SSN: 14, DataLen: 15}},
			map[string]string{"rawdataack": "12", "rawdataseqno": "13", "subflowseqno": "14", "datalvllen": "15", "dseqn8.flag": "0"}},
		{"ADD_ADDR", wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{ID: 4, Addr: v4, Port: 8080, HMAC: 99}},
			map[string]string{"subtype": "3", "addrid": "4", "ipv4": "10.0.9.9", "port": "8080", "addaddrtrunchmac": "99", "echo": "0"}},
		{"ADD_ADDR IPv6", wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{ID: 4, Addr: v6, HMAC: 99}},
			map[string]string{"ipv6": "fd00::9", "addaddrtrunchmac": "99"}},
		{"ADD_ADDR echo", wire.ACK, wire.Options{Has: wire.HasAddAddr, AddAddr: wire.AddAddr{Echo: true, ID: 4, Addr: v4}},
			map[string]string{"echo": "1", "ipv4": "10.0.9.9"}},
		{"REMOVE_ADDR", wire.ACK, wire.Options{Has: wire.HasRemoveAddr, RemoveAddr: wire.RemoveAddr{Num: 2, IDs: [37]uint8{5, 6}}},
			map[string]string{"subtype": "4", "addrid": "5,6"}},
		{"MP_PRIO", wire.ACK, wire.Options{Has: wire.HasMPPrio, MPPrio: wire.MPPrio{Backup: true}},
			map[string]string{"subtype": "5", "backup.flag": "1"}},
		{"MP_FAIL", wire.ACK, wire.Options{Has: wire.HasMPFail, MPFail: 21},
			map[string]string{"subtype": "6", "rawdataseqno": "21"}},
		{"MP_FASTCLOSE", wire.ACK, wire.Options{Has: wire.HasFastClose, FastClose: 22},
			map[string]string{"subtype": "7", "recvkey": "22"}},
		{"MP_TCPRST", wire.RST, wire.Options{Has: wire.HasMPTCPRst, MPTCPRst: wire.MPTCPRst{Transient: true, Reason: wire.RstPerformance}},
			map[string]string{"subtype": "8", "flag_T.flag": "1", "rst_reason": "0x05"}},
	}
	var b bytes.Buffer
	packets := result.NewCapture(&b, result.CaptureHeaders, []string{"a.b"})
	fields := []string{"_ws.malformed"}
	var cases []int // by frame
	for i, tt := range tests {
		for _, with := range []wire.OptionSet{0, wire.HasTimestamps} {
			o := tt.opt
			if o.Has |= with; o.Len() > 40 {
				continue
			}
			p := wire.AppendPacket(nil, &wire.Segment{Src: netip.AddrPortFrom(v4, uint16(1000+len(cases))), Dst: netip.AddrPortFrom(v4, 80),
				TTL: 64, Flags: tt.flags, Seq: 1, Ack: 1, Options: o, Payload: make([]byte, 200)})
			packets.Packet(clock.Instant(len(cases)), "a.b", true, p)
			cases = append(cases, i)
		}
		for field := range tt.want {
			if f := "tcp.options.mptcp." + field; !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "p.pcapng")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	rows := tshark(t, file, "tcp", fields...)
	if len(rows) != len(cases) {
		t.Fatalf("%d of %d frames", len(rows), len(cases))
	}
	for i, row := range rows {
		tt := tests[cases[i]]
		if row[0] != "" {
			t.Errorf("%s: malformed", tt.name)
		}
		for field, want := range tt.want {
			if got := row[slices.Index(fields, "tcp.options.mptcp."+field)]; got != want {
				t.Errorf("%s: %s: tshark reads %q, want %q", tt.name, field, got, want)
			}
		}
	}
}
