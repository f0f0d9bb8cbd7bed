package cc

import (
	"testing"
	"time"
)

// rounds feeds a cubic controller one round for each RTT of the list: a whole
// window acknowledged by ACKs of two segments.
func rounds(f *Flow, c Controller, delivered *uint64, rtts ...time.Duration) {
	for _, rtt := range rtts {
		window := f.Cwnd
		for left := window; left > 0; left -= 2 {
			n := min(2, left)
			*delivered += uint64(n * f.MSS)
			c.OnAck(f, &Sample{Acked: n, Delivered: *delivered, RTT: rtt, InFlight: window, CwndLimited: true})
		}
	}
}

func initialFlow() (*Flow, Controller) {
	f := &Flow{Cwnd: 10, SSThresh: MaxSSThresh, MSS: 1000, MinRTT: 50 * time.Millisecond}
	return f, cubicFamily{}.New(f, 0)
}

func repeat(rtt time.Duration, n int) (list []time.Duration) {
	for range n {
		list = append(list, rtt)
	}
	return list
}

// As long as the round-trip time stands, slow start doubles the window each round.
func TestHyStartNoAlarm(t *testing.T) {
	f, c := initialFlow()
	var delivered uint64
	rounds(f, c, &delivered, repeat(50*time.Millisecond, 6)...)
	if f.Cwnd != 640 || f.SSThresh != MaxSSThresh {
		t.Errorf("cwnd %d, ssthresh %d after 6 rounds, want 640 and none", f.Cwnd, f.SSThresh)
	}
	// Less than the threshold, an eighth of 50 ms, is no alarm.
	rounds(f, c, &delivered, 55*time.Millisecond)
	if f.Cwnd != 1280 {
		t.Errorf("cwnd %d after a round with 5 ms more, want 1280", f.Cwnd)
	}
}

// A round-trip time that grows by more than the threshold leads, by five rounds
// with a quarter of the growth, to congestion avoidance.
func TestHyStartLeavesSlowStart(t *testing.T) {
	f, c := initialFlow()
	var delivered uint64
	rounds(f, c, &delivered, repeat(50*time.Millisecond, 4)...) // 160
	rounds(f, c, &delivered, 57*time.Millisecond)
	if f.Cwnd >= 320 || f.Cwnd < 200 || f.SSThresh != MaxSSThresh {
		t.Fatalf("cwnd %d, ssthresh %d in the round of the alarm; want between 200 and a doubling, and none", f.Cwnd, f.SSThresh)
	}
	before := f.Cwnd
	rounds(f, c, &delivered, 58*time.Millisecond)
	if want := before + before/4; f.Cwnd < want-1 || f.Cwnd > want+1 {
		t.Errorf("conservative slow start took cwnd from %d to %d, want %d", before, f.Cwnd, want)
	}
	rounds(f, c, &delivered, repeat(58*time.Millisecond, 5)...)
	if f.SSThresh == MaxSSThresh || f.SSThresh > f.Cwnd {
		t.Errorf("ssthresh %d, cwnd %d after five rounds: slow start goes on", f.SSThresh, f.Cwnd)
	}
	left := f.Cwnd
	rounds(f, c, &delivered, 58*time.Millisecond)
	if f.Cwnd > left+left/10 {
		t.Errorf("cwnd grew from %d to %d in a round of congestion avoidance", left, f.Cwnd)
	}
}

// An alarm that was false is taken back: "if currentRoundMinRTT <
// cssBaselineMinRtt" slow start resumes
// (https://www.rfc-editor.org/rfc/rfc9406#section-4.2).
func TestHyStartFalseAlarm(t *testing.T) {
	f, c := initialFlow()
	var delivered uint64
	rounds(f, c, &delivered, repeat(50*time.Millisecond, 4)...)
	rounds(f, c, &delivered, 60*time.Millisecond, 50*time.Millisecond)
	before := f.Cwnd
	rounds(f, c, &delivered, 50*time.Millisecond)
	if f.Cwnd != 2*before {
		t.Errorf("cwnd from %d to %d in the round after a false alarm, want a doubling", before, f.Cwnd)
	}
}

// After a loss slow start is the ordinary one.
func TestHyStartOnlyAtFirst(t *testing.T) {
	f, c := initialFlow()
	f.SSThresh = 1000
	var delivered uint64
	rounds(f, c, &delivered, 50*time.Millisecond, 50*time.Millisecond, 80*time.Millisecond, 120*time.Millisecond)
	if f.Cwnd != 160 {
		t.Errorf("cwnd %d after four rounds, want 160", f.Cwnd)
	}
}
