package relay

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/impairments"
	"mptcplab/impairments/internal/nstest"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

const ms = time.Millisecond

// lab is a relay between two ends that the test holds.
type lab struct {
	t     testing.TB
	relay *Relay
	ends  [2]link.Device
	mac   [2][6]byte
}

// newLab puts a relay between two veth pairs, in a namespace of its own.
func newLab(t *testing.T, cfg [2]impairments.Config) *lab {
	t.Helper()
	var devices [4]link.Device
	l := &lab{t: t}
	for i, names := range [2][2]string{{"a0", "a1"}, {"b0", "b1"}} {
		nstest.Veth(t, names[0], names[1])
		for j, name := range names {
			e, err := link.OpenEthernet(name)
			if err != nil {
				t.Fatal(err)
			}
			devices[2*i+j] = e
			if j == 0 {
				l.mac[i] = e.MAC()
			}
		}
	}
	l.ends = [2]link.Device{devices[0], devices[2]}
	l.start(devices[1], devices[3], cfg)
	return l
}

// newPipeLab puts a relay between two pipes.
func newPipeLab(t testing.TB, cfg [2]impairments.Config) *lab {
	t.Helper()
	l := &lab{t: t}
	var inner [2]link.Device
	for i := range inner {
		var err error
		if l.ends[i], inner[i], err = link.Pipe(1500, impairments.Overhead); err != nil {
			t.Fatal(err)
		}
	}
	l.start(inner[0], inner[1], cfg)
	return l
}

func (l *lab) start(a, b link.Device, cfg [2]impairments.Config) {
	l.t.Helper()
	r, err := New(a, b, impairments.NewLink(nil, impairments.NewWire(1, "link", cfg, 0), nil), host.NewClock())
	if err != nil {
		l.t.Fatal(err)
	}
	l.relay = r
	l.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			l.t.Errorf("the relay ended with %v", err)
		}
		for _, e := range l.ends {
			e.Close()
		}
	})
}

const testType = 0x88B5 // EtherType for experiments

// send sends frames of size bytes from an end, numbered from first.
func (l *lab) send(end int, first, n, size int) {
	l.t.Helper()
	frame := make([]byte, size)
	copy(frame, l.mac[1-end][:])
	binary.BigEndian.PutUint16(frame[12:], testType)
	for i := range n {
		binary.BigEndian.PutUint32(frame[14:], uint32(first+i))
		for {
			err := l.ends[end].Write(frame)
			if err == nil {
				break
			}
			if !errors.Is(err, link.ErrFull) {
				l.t.Fatal(err)
			}
			l.wait(l.ends[end], unix.POLLOUT, time.Second)
		}
	}
}

// receive returns the numbers of up to n frames that come to an end, giving up when
// none comes for patience.
func (l *lab) receive(end, n int, patience time.Duration) (numbers []int) {
	l.t.Helper()
	for len(numbers) < n && l.wait(l.ends[end], unix.POLLIN, patience) {
		_, err := l.ends[end].ReadBatch(func(f []byte) {
			if len(f) >= 18 && binary.BigEndian.Uint16(f[12:]) == testType {
				numbers = append(numbers, int(binary.BigEndian.Uint32(f[14:])))
			}
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	return numbers
}

func (l *lab) wait(d link.Device, event int16, patience time.Duration) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(d.Fd()), Events: event}}
		n, err := unix.Poll(fds, int(patience.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

func both(c impairments.Config) [2]impairments.Config { return [2]impairments.Config{c, c} }

// 25 ms each way are a round trip of 50 ms and not less, over veth and AF_PACKET.
func TestRoundTripInNamespace(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	l := newLab(t, both(impairments.Config{Delay: 25 * ms}))
	for i := range 5 {
		start := time.Now()
		l.send(0, i, 1, 100)
		if got := l.receive(1, 1, 5*time.Second); len(got) != 1 || got[0] != i {
			t.Fatalf("frame %d: the far end has %v", i, got)
		}
		l.send(1, 100+i, 1, 100)
		if got := l.receive(0, 1, 5*time.Second); len(got) != 1 || got[0] != 100+i {
			t.Fatalf("frame %d: the near end has %v", 100+i, got)
		}
		if rtt := time.Since(start); rtt < 50*ms {
			t.Errorf("round trip %v, want at least 50ms", rtt)
		} else {
			t.Logf("round trip %v", rtt)
		}
	}
	s := l.relay.Stats()
	if s.Directions[0].Packets != 5 || s.Directions[1].Packets != 5 || s.Lateness.Deadlines < 10 {
		t.Errorf("stats %+v", s)
	}
	t.Logf("lateness %+v", s.Lateness)
}

// 200 frames of 1,000 bytes at 16 Mbit/s take 100 ms, and none is lost on the way.
func TestRateInNamespace(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	l := newLab(t, both(impairments.Config{Rate: 16e6, Queue: impairments.Queue{Packets: 300}}))
	start := time.Now()
	l.send(0, 0, 200, 1000)
	got := l.receive(1, 200, 5*time.Second)
	if took := time.Since(start); len(got) != 200 || took < 100*ms {
		t.Errorf("%d of 200 frames in %v, want all in 100ms at least", len(got), took)
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("frame %d came as number %d", n, i)
		}
	}
}

func TestLossInNamespace(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	l := newLab(t, both(impairments.Config{Loss: impairments.Loss{Packets: []int{2, 5}}}))
	l.send(0, 1, 6, 100)
	got := l.receive(1, 4, 5*time.Second)
	want := []int{1, 3, 4, 6}
	if len(got) != len(want) {
		t.Fatalf("frames %v came, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("frames %v came, want %v", got, want)
		}
	}
	if s := l.relay.Stats().Directions[0]; s.Lost != 2 || s.Packets != 4 {
		t.Errorf("stats %+v, want 2 lost and 4 delivered", s)
	}
}

// A black hole takes what is under way with it; after its end frames pass again.
func TestBlackHole(t *testing.T) {
	open := impairments.Config{Delay: time.Hour}
	l := newPipeLab(t, both(open))
	l.send(0, 0, 10, 100)
	l.until(func(s Stats) bool { return s.Devices[0].RxPackets == 10 })
	if err := l.relay.Set(0, impairments.Config{Delay: time.Hour, Blackhole: true}); err != nil {
		t.Fatal(err)
	}
	l.send(0, 10, 10, 100)
	l.until(func(s Stats) bool { return s.Directions[0].Blackholed == 20 })
	if err := l.relay.Set(0, impairments.Config{}); err != nil {
		t.Fatal(err)
	}
	l.send(0, 99, 1, 100)
	if got := l.receive(1, 1, 5*time.Second); len(got) != 1 || got[0] != 99 {
		t.Errorf("frames %v came, want 99 alone", got)
	}
}

// until polls the relay's counts: its thread is another one.
func (l *lab) until(reached func(Stats) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !reached(l.relay.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("never reached; stats %+v", l.relay.Stats())
		}
	}
}

// A change of the configuration reaches a relay that sleeps for longer.
func TestSetWakes(t *testing.T) {
	l := newPipeLab(t, both(impairments.Config{Rate: 8, Queue: impairments.Queue{Packets: 10}}))
	l.send(0, 1, 2, 100) // 100 s each
	l.until(func(s Stats) bool { return s.Devices[0].RxPackets == 2 })
	if err := l.relay.Set(0, impairments.Config{Blackhole: true}); err != nil {
		t.Fatal(err)
	}
	if err := l.relay.Set(0, impairments.Config{}); err != nil {
		t.Fatal(err)
	}
	l.send(0, 3, 1, 100)
	if got := l.receive(1, 1, 5*time.Second); len(got) != 1 || got[0] != 3 {
		t.Errorf("frames %v came, want 3", got)
	}
	if err := l.relay.Set(2, impairments.Config{}); err == nil {
		t.Error("direction 2 is accepted")
	}
}

// A device that goes away ends the relay and is told.
func TestFailure(t *testing.T) {
	a, inner, err := link.Pipe(1500, impairments.Overhead)
	if err != nil {
		t.Fatal(err)
	}
	b, inner2, err := link.Pipe(1500, impairments.Overhead)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := New(inner, inner2, impairments.NewLink(nil, impairments.NewWire(1, "l", [2]impairments.Config{}, 0), nil), host.NewClock())
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	<-r.Failed()
	if err := r.Close(); !errors.Is(err, link.ErrGone) {
		t.Errorf("Close: %v, want link.ErrGone", err)
	}
	if err := r.Set(0, impairments.Config{}); !errors.Is(err, host.ErrClosed) {
		t.Errorf("Set after Close: %v", err)
	}
}

func TestLateness(t *testing.T) {
	w := &timed{Link: impairments.NewLink(nil, impairments.NewWire(1, "l", both(impairments.Config{Delay: ms}), 0), nil)}
	buf := make([]byte, machine.BufferSize)
	now := clock.Instant(0)
	// 99 deadlines are met 10 us late, one 5 ms.
	for i := range 100 {
		w.Input(now, machine.Meta{}, make([]byte, 60))
		late := 10 * time.Microsecond
		if i == 50 {
			late = 5 * ms
		}
		now = w.Deadline().Add(late)
		w.Advance(now)
		if _, _, ok := w.Output(now, buf); !ok {
			t.Fatal("nothing came out")
		}
	}
	want := Lateness{Deadlines: 100, Mean: (99*10*time.Microsecond + 5*ms) / 100, Max: 5 * ms, P99: 16384}
	if got := w.lateness(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMachineContract(t *testing.T) {
	build := func() machine.Machine {
		return &timed{Link: impairments.NewLink(nil, impairments.NewWire(1, "l", both(impairments.Config{Delay: ms, Jitter: ms, Rate: 1e6}), 0), nil)}
	}
	var script []machine.Step
	for i := range 50 {
		script = append(script, machine.Step{At: clock.Instant(i) * 100_000, Link: machine.LinkID(i % 2), Data: make([]byte, 100+i)})
	}
	if err := machine.Check(build, script, clock.Instant(time.Second)); err != nil {
		t.Error(err)
	}
}

// BenchmarkRoundTrip measures what the relay adds to a round trip without delay.
func BenchmarkRoundTrip(b *testing.B) {
	l := newPipeLab(b, [2]impairments.Config{})
	for b.Loop() {
		l.send(0, 1, 1, 1000)
		l.receive(1, 1, 5*time.Second)
		l.send(1, 1, 1, 1000)
		l.receive(0, 1, 5*time.Second)
	}
	b.ReportMetric(float64(l.relay.Stats().Lateness.P99.Microseconds()), "late-p99-us")
}
