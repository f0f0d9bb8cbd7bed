package drill

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAssertions(t *testing.T) {
	info := map[string]int64{"tcpi_a": 7, "tcpi_b": 0}
	for _, tt := range []struct{ text, want string }{
		{"assert tcpi_a == 7, tcpi_a", ""},
		{"assert tcpi_a == 8, tcpi_a", "AssertionError: assert tcpi_a == 8, tcpi_a (7)"},
		{"assert 1 <= tcpi_a <= 7", ""},
		{"assert 1 <= tcpi_a < 7", "AssertionError"},
		{"assert (tcpi_a & 4) != 0 and not tcpi_b", ""},
		{"assert tcpi_b or tcpi_a - 7", "AssertionError"},
		{"assert(tcpi_a * 2 + 1 == 0xf)", ""},
		{"assert tcpi_a / 0", "ZeroDivisionError"},
		{"assert tcpi_c", "the name tcpi_c is not supported"},
		{"assert tcpi_a )", "not supported"},
		{"assert abs(tcpi_a - 9.5) < 2.6 and max(1, tcpi_a) == 7", ""},
		{"assert tcpi_a in (1, 7) and tcpi_b not in [1, 2]", ""},
		{"assert tcpi_a / 2 == 3.5 and tcpi_a // 2 == 3 and -tcpi_a % 4 == 1", ""},
		{"assert tcpi_a in (1, 2)", "AssertionError"},
		{"assert tcpi_a == 7, 'a=%d' % tcpi_a", ""},
		{"assert abs()", "of nothing"},
		{"x = 5", "not supported"},
		{"print(tcpi_a)", ""},
	} {
		a := assertion{1, tt.text, info}
		err := a.check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestStatements(t *testing.T) {
	got := statements("\nassert a; assert b # no\nassert c == \\\n  d\nassert (e\n == f)\n")
	want := []statement{{1, "assert a"}, {1, "assert b"}, {2, "assert c ==    d"}, {4, "assert (e == f)"}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

// TestFailures: a script that does not hold fails at its line and says both packets
// and both times.
func TestFailures(t *testing.T) {
	const open = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1460>
`
	const established = open + `+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
`
	for _, tt := range []struct{ text, want string }{
		{open + "+0 > S. 0:0(0) ack 1 <mss 1400>", "f.pkt:5: error handling packet: live packet field tcp option 1: expected: mss 1400 vs actual: mss 1460\nscript packet:   0.000000 S. 0:0(0) ack 1 <mss 1400>\nactual packet:   0.000000 S. 0:0(0) ack 1 win 65535 <mss 1460>"},
		{open + "+.1 > S. 0:0(0) ack 1 <mss 1460>", "f.pkt:5: error handling packet: timing error: expected outbound packet at 0.100000 sec but happened at 0.000000 sec"},
		{open + "+0 > S. 0:0(0) ack 2 <mss 1460>", "tcp_ack_seq: expected: 2 vs actual: 1"},
		{open + "+0 > S. 0:0(0) ack 1", "tcp options: expected: 0 options vs actual: 1"},
		{open + "+0 > [tos 0x10] S. 0:0(0) ack 1 <...>", "ip_tos: expected: 16 vs actual: 0"},
		{open + "+0 accept(3, ..., ...) = 4", "f.pkt:5: runtime error in accept call: unexpectedly blocked"},
		{established + "+0 > . 1:1(0) ack 1", "f.pkt:8: error handling packet: timed out waiting for packet"},
		{established + "+0 write(4, ..., 10) = 11", "f.pkt:8: runtime error in write call: expected result 11 but got 10"},
		{established + "+0 write(4, NULL, 10) = -1 EPIPE (x)", "expected errno EPIPE but got EFAULT"},
		{established + "+0 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1", "tcp_seq of the next part: expected: 11 vs actual: 1"},
		{established + "+0...0.1 read(4, ..., 10) = 10", "it still waits 1s later"},
		{established + "+0...0.1 read(4, ..., 10) = 10\n+.5 < P. 1:11(10) ack 1 win 1000", "expected to return at 0.200000 sec but returned at 0.600000 sec"},
		{established + "+0 %{ assert tcpi_state == TCP_CLOSE, tcpi_state }%", "f.pkt:8: error executing code: AssertionError"},
		{established + "+0 `test $(nstat -zjs | jq '.kernel.MPTcpExtMPJoinSynRx') -eq 3`", "MPTcpExtMPJoinSynRx is 0, want -eq 3"},
		{established + "+0 `rm -rf x`", `f.pkt:8: the command "rm -rf x" is not supported`},
		{established + "+0 mmap(4) = 0", "f.pkt:8: the system call mmap is not supported"},
		{"--nothing\n" + open, "f.pkt:1: --nothing: is not supported"},
	} {
		err := Run("f.pkt", tt.text, IPv4, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// TestSuite: the report counts, and TAP has a point for each script.
func TestSuite(t *testing.T) {
	files := []string{"testdata/tcp/open/active.pkt", "testdata/none.pkt"}
	var b strings.Builder
	if n, err := Suite(&b, files, Options{TAP: true}); n != 1 || err != nil {
		t.Errorf("%d failed, %v", n, err)
	}
	for _, want := range []string{"TAP version 13\n1..2\nok 1 - testdata/tcp/open/active.pkt\nnot ok 2 - testdata/none.pkt\n  ---\n"} {
		if !strings.HasPrefix(b.String(), want) {
			t.Errorf("TAP:\n%s", b.String())
		}
	}
	b.Reset()
	if _, err := Suite(&b, files, Options{}); err != nil || !strings.Contains(b.String(), "1 of 2 scripts passed") {
		t.Errorf("report:\n%s", b.String())
	}
	if _, err := Suite(fullDisk{}, files, Options{TAP: true}); err == nil {
		t.Error("an error of the writer is lost")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A script runs in the modes that its name allows, or in the one that was asked for.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"all.pkt", "only_v4.pkt", "only_v6.pkt"} {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte("`true`\n0 socket(..., SOCK_STREAM, IPPROTO_MPTCP) = 3\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for mode, want := range map[Mode]string{
		"":     "3 of 3 scripts passed\n",
		IPv4:   "2 of 2 scripts passed, 1 not for ipv4\n",
		Mapped: "2 of 2 scripts passed, 1 not for ipv4-mapped-ipv6\n",
		IPv6:   "2 of 2 scripts passed, 1 not for ipv6\n",
	} {
		var b bytes.Buffer
		if n, err := Suite(&b, files, Options{Mode: mode}); n != 0 || err != nil || !strings.HasSuffix(b.String(), want) {
			t.Errorf("%q: %d failed, %v:\n%swant at the end %s", mode, n, err, b.String(), want)
		}
	}
	if _, err := ParseMode("ipv5"); err == nil {
		t.Error("took ipv5")
	}
}
