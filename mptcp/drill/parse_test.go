package drill

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/wire"
)

// visible are the folders of scripts that this package did not write, if they are
// there: beside the repository.
func visible(t testing.TB) []string {
	t.Helper()
	return scriptsBelow(t, "../../../shared/packetdrill", "../../../../shared/packetdrill")
}

// scriptsBelow returns the scripts below the first of dirs that exists.
func scriptsBelow(t testing.TB, dirs ...string) []string {
	t.Helper()
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		files, err := Find(dir)
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	return nil
}

func TestVisibleScriptsParse(t *testing.T) {
	files := visible(t)
	if len(files) == 0 {
		t.Skip("the scripts are not there")
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(filepath.Base(f), string(src), map[string]string{"TFO_COOKIE": "3021b9d889017eeb"})
		if err != nil {
			t.Error(err)
			continue
		}
		if len(s.Events) < 3 {
			t.Errorf("%s: %d events", f, len(s.Events))
		}
	}
}

// line parses one event.
func line(t *testing.T, text string) Event {
	t.Helper()
	s, err := Parse("t.pkt", "0 `true`\n"+text, map[string]string{"COOKIE": "12ab", "N": "7", "H": "0x10"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Events) != 2 {
		t.Fatalf("%s: %d events", text, len(s.Events))
	}
	return s.Events[1]
}

func TestTimes(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		text string
		want Time
	}{
		{"+0 close(3) = 0", Time{Kind: TimeRelative, Relative: true}},
		{"0.5 close(3) = 0", Time{Kind: TimeAbsolute, At: 500 * ms, End: 500 * ms}},
		{"+.01 close(3) = 0", Time{Kind: TimeRelative, Relative: true, At: 10 * ms, End: 10 * ms}},
		{"+0...0.4 close(3) = 0", Time{Kind: TimeRelative, Relative: true, End: 400 * ms, Blocking: true}},
		{"+.002 ... .004 close(3) = 0", Time{Kind: TimeRelative, Relative: true, At: 2 * ms, End: 4 * ms, Blocking: true}},
		{"+.3~+.4 > . 1:1(0) ack 1", Time{Kind: TimeRange, Relative: true, At: 300 * ms, End: 400 * ms}},
		{"1~2 > . 1:1(0) ack 1", Time{Kind: TimeRange, At: 1000 * ms, End: 2000 * ms}},
		{"* > . 1:1(0) ack 1", Time{Kind: TimeAny}},
		{"+.0000015 close(3) = 0", Time{Kind: TimeRelative, Relative: true, At: 2000, End: 2000}},
	} {
		if got := line(t, tt.text).Time; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func TestPackets(t *testing.T) {
	p := line(t, "+0 > [tos 0x10, ttl N] addr[a] > 192.0.2.1:80 SEW. 5:15(10) ack 7 win 9 urg 2 <mss 1460, FO COOKIE, sack 1:2 3:4>").Packet
	switch {
	case !p.Out || p.IP.TOS != 0x10 || p.IP.TTL != 7 || p.Src.Var != "a" || p.Dst.Port != 80 || p.Dst.Addr.String() != "192.0.2.1":
		t.Errorf("header: %+v", p)
	case p.Flags != wire.SYN|wire.ACK|wire.ECE|wire.CWR || p.Seq != 5 || p.Len != 10 || p.Ack != 7 || p.Window != 9 || p.Urgent != 2:
		t.Errorf("segment: %+v", p)
	case len(p.Options) != 3 || p.Options[0].Val != 1460 || string(p.Options[1].Cookie) != "\x12\xab" || p.Options[2].Blocks[1] != [2]uint32{3, 4}:
		t.Errorf("options: %+v", p.Options)
	}
	p = line(t, "+0 < > addr[b] - 1:1(0) win 4 <...>").Packet
	if p.Out || !p.HasTuple || p.Src != (End{}) || p.Dst.Var != "b" || p.Flags != 0 || !p.AnyOpts {
		t.Errorf("empty end: %+v", p)
	}
	p = line(t, "+0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]").Packet
	if *p.ICMP != (ICMP{"unreachable", "frag_needed", 1200, 1, 1460}) {
		t.Errorf("icmp: %+v", p.ICMP)
	}
}

func TestOptions(t *testing.T) {
	p := line(t, `+0 < . 1:1(0) win 1 <mpcapable v1 flags[flag_a, flag_h] key[k=2, l] mpcdatalen 5,
		dss dack4=1 dsn8 ssn=3 dll=4 cksum=0x10 fin, mp_join_syn backup=1 address_id=4 token=sha256_32(k) rand=9,
		mp_join_syn_ack sender_hmac=auto, add_address address_id=5 addr[v=inet6_addr("2001:db8::1")] port=7 hmac=auto,
		remove_address address_id=[1, 2], mp_prio backup=0, mp_reset 6 flags[flag_t], mp_fastclose k=1, TS val 5 ecr 6>`).Packet
	o := p.Options
	if len(o) != 10 {
		t.Fatalf("%d options", len(o))
	}
	d := DSS{HasDACK: true, DACK: Number{Given: true, Val: 1}, HasDSN: true, DSN8: true, SSN: 3, DLL: 4, HasChecksum: true, Checksum: 16, FIN: true}
	switch {
	case o[0].Version != 1 || o[0].Flags != 0x81 || o[0].Keys[0] != KeyRef{"k", true, 2} || o[0].Keys[1] != KeyRef{Name: "l"} || o[0].DataLen != 5:
		t.Errorf("mpcapable: %+v", o[0])
	case o[1].DSS != d:
		t.Errorf("dss: %+v", o[1].DSS)
	case o[2].Backup != 1 || o[2].AddressID != 4 || o[2].Token.Var != "k" || o[2].Rand != 9:
		t.Errorf("join: %+v", o[2])
	case !o[3].AutoHMAC || o[3].Kind != OptJoinSYNACK:
		t.Errorf("join: %+v", o[3])
	case o[4].Addr.Name != "v" || o[4].Addr.Addr.String() != "2001:db8::1" || o[4].Port != 7 || !o[4].AutoHMAC:
		t.Errorf("add_address: %+v", o[4])
	case string(o[5].IDs) != "\x01\x02" || o[6].Backup != 0 || o[7].Reason != 6 || !o[7].Transient || !o[8].HasKey || o[8].Key != 1:
		t.Errorf("rest: %+v", o[5:])
	}
}

func TestCalls(t *testing.T) {
	c := line(t, `+0 poll([{fd=3, events=POLLIN|POLLOUT, revents=0}], 1, -1) = -1 EAGAIN (it can't be)`).Call
	if c.Name != "poll" || c.Errno != "EAGAIN" || c.Note != "it can't be" || c.Result.Int != -1 || len(c.Args) != 3 {
		t.Errorf("%+v", c)
	}
	f := c.Args[0].List[0].Fields
	if len(f) != 3 || f[1].Name != "events" || f[1].Val.Kind != ExprOr || f[1].Val.List[1].Text != "POLLOUT" {
		t.Errorf("%+v", f)
	}
	c = line(t, `+0 recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 0}], msg_flags=0}, 0) = 0x2 (flags O_RDWR)`).Call
	f = c.Args[1].Fields
	if len(f) != 3 || f[1].Name != "msg_iov" || f[1].Arg.Int != 1 || c.Result.Int != 2 {
		t.Errorf("%+v", f)
	}
}

// TestSyntaxErrors: every mistake says where it is.
func TestSyntaxErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "x.pkt:1: no events"},
		{"1 `true`", "x.pkt:1: the time of the first event is not 0"},
		{"0 `true`\n+0 < . 1:2(3) win 1", "x.pkt:2: 1:2 is not 3 bytes"},
		{"0 `true`\n+0 < . 1:1(0)", "x.pkt:2: an injected segment needs a window"},
		{"0 `true`\n+0 < . 1:1(0) win 65536", "x.pkt:2: 65536 is not between 0 and 65535"},
		{"0 `true`\n\n+0 > X 1:1(0)", "x.pkt:3: unknown flag 'X'"},
		{"0 `true`\n+0 > . 1:1(0) <mss 1460, what>", "x.pkt:2: unknown TCP option what"},
		{"0 `true`\n+0 > udp (5)", "x.pkt:2: udp packets are not supported"},
		{"0 `true`\n`x`\n+0 close(3) = 0", "x.pkt:2: a command without a time"},
		{"0 `true", "x.pkt:1: unterminated `"},
		{"0 close(\"x", "x.pkt:1: unterminated string"},
		{"0 `true` /* x", "unterminated comment"},
		{"0 `true`\n+0~+1 close(3) = 0", "x.pkt:2: only an expected packet"},
		{"0 `true`\n+0...1 > . 1:1(0)", "x.pkt:2: only a system call"},
		{"0 `true`\n+0 close(3 = 0", "x.pkt:2: unexpected '='"},
		{"0 f(" + strings.Repeat("[", 40), "nested too deeply"},
		{"0 f(99999999999999999999) = 0", "out of range"},
	} {
		_, err := Parse("x.pkt", tt.text, nil)
		var se *SyntaxError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// FuzzParse: no text makes the parser panic, and its errors have a line.
func FuzzParse(f *testing.F) {
	own, _ := Find("testdata")
	for _, file := range append(visible(f), own...) {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add("0 `true` +0~+.1 > SE. 0:0(0) ack 1 <FO 12, sack 1:2, ...> %{ assert a == 1 }% `x`")
	f.Fuzz(func(t *testing.T, src string) {
		s, err := Parse("f.pkt", src, map[string]string{"A": "1"})
		if err == nil {
			if len(s.Events) == 0 {
				t.Error("no events, no error")
			}
			return
		}
		var se *SyntaxError
		if !errors.As(err, &se) || se.Line < 1 || se.Line > 1+strings.Count(src, "\n") {
			t.Errorf("error %v", err)
		}
	})
}
