package netem

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mptcplab/impairments"
)

const ms = time.Millisecond

func TestPlan(t *testing.T) {
	const root = "tc qdisc replace dev eth0 root handle 10: netem "
	for _, tt := range []struct {
		name string
		cfg  impairments.Config
		want []string
	}{
		{"perfect wire", impairments.Config{}, nil},
		{"queue without a rate is nothing", impairments.Config{Queue: impairments.Queue{Packets: 3}}, nil},
		{"Wi-Fi of the handover", impairments.Config{Rate: 20e6, Delay: 15 * ms, Loss: impairments.Loss{Random: impairments.Chance{P: 0.001}}, Queue: impairments.Queue{Time: 100 * ms}},
			[]string{root + "limit 1000000 delay 15ms loss random 0.1%", "tc qdisc replace dev eth0 parent 10:1 handle 11: netem limit 165 rate 20mbit"}},
		{"LTE of the handover", impairments.Config{Rate: 10e6, Delay: 30 * ms, Jitter: 5 * ms, InOrder: true, Queue: impairments.Queue{Time: 300 * ms}},
			[]string{root + "limit 1000000 delay 30ms 5ms rate 100gbit", "tc qdisc replace dev eth0 parent 10:1 handle 11: netem limit 247 rate 10mbit"}},
		{"jitter that reorders", impairments.Config{Delay: 10 * ms, Jitter: 10 * ms, Distribution: impairments.ParetoNormal},
			[]string{root + "limit 1000000 delay 10ms 10ms distribution paretonormal"}},
		{"queue in packets", impairments.Config{Rate: 1e9, Queue: impairments.Queue{Packets: 64}},
			[]string{root + "limit 1000000", "tc qdisc replace dev eth0 parent 10:1 handle 11: netem limit 64 rate 1gbit"}},
		{"default queue, 20 packets", impairments.Config{Rate: 1e6},
			[]string{root + "limit 1000000", "tc qdisc replace dev eth0 parent 10:1 handle 11: netem limit 20 rate 1mbit"}},
		{"default queue, one BDP", impairments.Config{Rate: 100e6, Delay: 50 * ms},
			[]string{root + "limit 1000000 delay 50ms", "tc qdisc replace dev eth0 parent 10:1 handle 11: netem limit 825 rate 100mbit"}},
		{"token bucket", impairments.Config{Rate: 5e6, Burst: 10_000, Queue: impairments.Queue{Bytes: 50_000}},
			[]string{root + "limit 1000000", "tc qdisc replace dev eth0 parent 10:1 handle 11: tbf rate 5mbit burst 10000 limit 50000",
				"tc qdisc replace dev eth0 parent 11:1 handle 12: bfifo limit 50000"}},
		{"duplicates forbid a second netem", impairments.Config{Rate: 5e6, Duplicate: impairments.Chance{P: 0.01}, Queue: impairments.Queue{Packets: 9}},
			[]string{root + "limit 1000000 duplicate 1%", "tc qdisc replace dev eth0 parent 10:1 handle 11: tbf rate 5mbit burst 3028 limit 13626",
				"tc qdisc replace dev eth0 parent 11:1 handle 12: pfifo limit 9"}},
		{"one plain netem", impairments.Config{Rate: 10e6, Delay: ms, Limit: 20, Reorder: impairments.Chance{P: 0.25, Correlation: 0.5}},
			[]string{root + "limit 20 delay 1ms reorder 25% 50% gap 1 rate 10mbit"}},
		{"Gilbert-Elliott", impairments.Config{Loss: impairments.Loss{GE: &impairments.GilbertElliott{P: 0.01, R: 0.1, LossBad: 0.7, LossGood: 0.001}}},
			[]string{root + "limit 1000000 loss gemodel 1% 10% 70% 0.1%"}},
		{"black hole keeps the tree", impairments.Config{Rate: 10e6, Delay: ms, Duplicate: impairments.Chance{P: 1}, Blackhole: true, Queue: impairments.Queue{Bytes: 5000}},
			[]string{root + "limit 1000000 loss random 100%", "tc qdisc replace dev eth0 parent 10:1 handle 11: tbf rate 10mbit burst 3028 limit 5000",
				"tc qdisc replace dev eth0 parent 11:1 handle 12: bfifo limit 5000"}},
	} {
		plan, err := Plan(tt.cfg, 1500, 1)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, want := Tc("eth0", plan), strings.Join(tt.want, "\n")
		if strings.TrimSpace(got) != want {
			t.Errorf("%s:\n%swant\n%s", tt.name, got, want)
		}
	}
}

func TestPlanRefusals(t *testing.T) {
	p := impairments.Chance{P: 0.1}
	for _, tt := range []struct {
		cfg     impairments.Config
		says    string
		express bool // refused because netem lacks it, not because it makes no sense
	}{
		{impairments.Config{Loss: impairments.Loss{Packets: []int{3, 7}}}, "packets [3 7]", true},
		{impairments.Config{Loss: impairments.Loss{Segments: []int{3}}}, "segments [3]", true},
		{impairments.Config{Loss: impairments.Loss{Random: p, GE: &impairments.GilbertElliott{}}}, "at once", true},
		{impairments.Config{Reorder: p}, "without a delay", true},
		{impairments.Config{Reorder: p, Delay: ms, Rate: 1e6}, "skips the rate", true},
		{impairments.Config{Rate: 1e6, Limit: 5, Burst: 5000}, "token bucket", true},
		{impairments.Config{Rate: 1e6, Limit: 5, Queue: impairments.Queue{Packets: 3}}, "limit with queue", true},
		{impairments.Config{Rate: 1e6, Burst: 1000}, "never pass", true},
		{impairments.Config{Rate: 7}, "least is 8", true},
		{impairments.Config{Delay: time.Minute, Jitter: 3 * time.Second}, "jitter of 3s", true},
		{impairments.Config{Delay: -1}, "negative", false},
		{impairments.Config{Loss: impairments.Loss{Random: impairments.Chance{P: 1.5}}}, "not between 0 and 1", false},
		{impairments.Config{Loss: impairments.Loss{GE: &impairments.GilbertElliott{LossGood: -1}}}, "gemodel", false},
		{impairments.Config{Distribution: 9}, "distribution", false},
	} {
		_, err := Plan(tt.cfg, 1500, 1)
		if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrInexpressible) != tt.express {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.says)
		}
	}
	if _, err := Plan(impairments.Config{}, 10, 1); err == nil {
		t.Error("MTU 10 is accepted")
	}
}

// tc must understand what Tc prints: its parser stands before the kernel's answer.
func TestTcUnderstands(t *testing.T) {
	tc, err := exec.LookPath("tc")
	if err != nil {
		t.Skip("no tc to ask")
	}
	for _, o := range everything() {
		if n, ok := o.(*Netem); ok && (n.Limit == 0 || n.Limit > 1<<30 || n.Latency == 1 || n.Rate > 1e11) {
			continue // beyond what this tc takes
		}
		// The interface does not exist: parsed or not is all that is seen.
		words := strings.Fields("qdisc replace dev nosuch0 root handle 10: " + o.Kind() + " " + o.Tc())
		out, _ := exec.Command(tc, words...).CombinedOutput()
		if !strings.Contains(string(out), "nosuch0") {
			t.Errorf("tc %s: %s", strings.Join(words, " "), out)
		}
	}
}

func TestHandles(t *testing.T) {
	for h, want := range map[Handle]string{Root: "root", 0x100000: "10:", 0x100001: "10:1", 0x8001_0000: "8001:"} {
		if h.String() != want {
			t.Errorf("%#x prints as %s, want %s", uint32(h), h, want)
		}
	}
}
