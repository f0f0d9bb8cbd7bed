package tcp

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mptcplab/mptcp/cc"
)

var update = flag.Bool("update", false, "write testdata/goodput.golden")

// goodput runs a transfer without end for d and returns what arrived, in bytes/s,
// and the sender's Info. It begins to count after a quarter of the time.
func goodput(t testing.TB, name string, pt path, d time.Duration, seed uint64) (float64, Info) {
	f, ok := cc.Lookup(name)
	if !ok {
		t.Fatalf("no controller %s", name)
	}
	p := newPair(t, pt, seed)
	p.fam, p.wnd = f, 8<<20
	p.start(nil, nil)
	p.side[0].u.endless, p.side[1].u.sink = true, true
	p.run(time.Hour, func() bool { return p.now.Seconds() > d.Seconds()/4 })
	begin, had := p.now, p.side[1].u.have
	p.run(time.Hour, func() bool { return p.now.Seconds() > d.Seconds() })
	return float64(p.side[1].u.have-had) / p.now.Sub(begin).Seconds(), p.side[0].u.c.Info(p.now)
}

// TestGoldenGoodput compares goodput by loss, round-trip time and controller at
// 20 Mbit/s, with a queue of one BDP, with the file in the repository: every change
// of behaviour shows as a diff of it. go test ./mptcp/tcp -run TestGoldenGoodput
// -update writes it anew.
func TestGoldenGoodput(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty minutes of packets")
	}
	const file = "testdata/goodput.golden"
	const perByte = 400 * time.Nanosecond // 20 Mbit/s
	var b strings.Builder
	fmt.Fprintf(&b, "# Goodput in Mbit/s from the fifth to the twentieth second, and segments sent again,\n")
	fmt.Fprintf(&b, "# of one flow at 20 Mbit/s with a queue of one BDP (20 packets at least), by random\n")
	fmt.Fprintf(&b, "# loss and round-trip time. Written by go test ./mptcp/tcp -run TestGoldenGoodput -update\n")
	fmt.Fprintf(&b, "%-8s %6s", "cc", "loss")
	rtts := []int{10, 40, 100, 200}
	for _, rtt := range rtts {
		fmt.Fprintf(&b, " %15s", fmt.Sprintf("%d ms", rtt))
	}
	b.WriteByte('\n')
	for _, name := range []string{"reno", "cubic", "bbr", "wvegas"} {
		for _, loss := range []int{0, 1, 10, 30} { // per mille
			fmt.Fprintf(&b, "%-8s %5.1f%%", name, float64(loss)/10)
			for _, rtt := range rtts {
				delay := time.Duration(rtt) * time.Millisecond / 2
				pt := path{delay: delay, perByte: perByte, queue: max(int(2*delay/perByte)/1500, 20), loss: loss}
				rate, i := goodput(t, name, pt, 20*time.Second, 1)
				fmt.Fprintf(&b, " %8.3f (%4d)", rate*8/1e6, i.TotalRetrans)
			}
			b.WriteByte('\n')
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d\n is  %s\n was %s", i+1, at(got, i), line)
		}
	}
	if t.Failed() {
		t.Log("if this change is meant: go test ./mptcp/tcp -run TestGoldenGoodput -update")
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// TestCubicFills: a CUBIC flow fills 95 % of {1, 10, 100 Mbit/s} x {10, 100 ms} with
// one BDP of queue, less what headers take: of 1500 bytes 1448 are payload.
func TestCubicFills(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes of packets")
	}
	for _, rate := range []int{1, 10, 100} {
		for _, rtt := range []int{10, 100} {
			perByte := 8 * time.Microsecond / time.Duration(rate)
			delay := time.Duration(rtt) * time.Millisecond / 2
			bdp := max(int(2*delay/perByte), 1)
			d := 60 * time.Second
			if rate == 100 {
				d = 20 * time.Second
			}
			got, i := goodput(t, "cubic", path{delay: delay, perByte: perByte, queue: max((bdp+1499)/1500, 1)}, d, 1)
			share := got * 8 / float64(rate*1e6) * 1500 / 1448
			t.Logf("%3d Mbit/s, %3d ms: %.1f %% of the rate, %d segments again", rate, rtt, 100*share, i.TotalRetrans)
			if share < 0.95 {
				t.Errorf("%d Mbit/s, %d ms: %.1f %% of the rate, want 95", rate, rtt, 100*share)
			}
		}
	}
}
