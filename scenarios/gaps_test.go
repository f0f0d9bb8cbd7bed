package scenarios

import (
	"testing"
	"time"

	"mptcplab/mptcp/clock"
)

func at(ms int) clock.Instant { return clock.Instant(ms) * clock.Instant(time.Millisecond) }

func TestGapTracker(t *testing.T) {
	g := gapTracker{last: clock.Never}
	g.begin(at(0))
	g.progress(at(100))
	g.mark(at(150), "lost")
	g.progress(at(400)) // 100 to 400 meets [150, 1000)
	g.progress(at(450))
	g.mark(at(1000), "back")
	g.progress(at(1500)) // 450 to 1500 meets both
	g.progress(at(1510))
	g.finish()
	g.mark(at(2000), "late")
	g.cut(at(3000))
	want := []struct {
		event      string
		met        bool
		start, end clock.Instant
	}{
		{"lost", true, at(450), at(1500)},
		{"back", true, at(450), at(1500)},
		{"late", false, 0, 0},
	}
	for i, w := range want {
		got := g.windows[i]
		if got.event != w.event || got.met != w.met || got.start != w.start || got.end != w.end {
			t.Errorf("window %d = %+v, want %+v", i, got, w)
		}
	}
}

func TestGapTrackerUnfinished(t *testing.T) {
	g := gapTracker{last: clock.Never}
	g.begin(at(0))
	g.progress(at(100))
	g.mark(at(200), "lost")
	g.cut(at(10_000))
	if w := g.windows[0]; !w.met || w.start != at(100) || w.end != at(10_000) {
		t.Errorf("got %+v, want a gap from 100 ms to 10 s", w)
	}
}
