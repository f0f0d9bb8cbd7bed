package host

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

// echo sends back what it gets, delay later, and counted numbers on its own.
type echo struct {
	delay   time.Duration
	queue   []parcel
	shut    bool
	numbers int // still to send, now
	sent    uint64
}

type parcel struct {
	at   clock.Instant
	data []byte
}

func (e *echo) Input(now clock.Instant, _ machine.Meta, data []byte) {
	e.queue = append(e.queue, parcel{now.Add(e.delay), append([]byte(nil), data...)})
}
func (e *echo) Advance(clock.Instant) {}
func (e *echo) Deadline() clock.Instant {
	if len(e.queue) == 0 || e.shut {
		return clock.Never
	}
	return e.queue[0].at
}
func (e *echo) Output(now clock.Instant, buf []byte) (machine.Meta, int, bool) {
	switch {
	case e.shut:
	case e.numbers > 0:
		e.numbers--
		binary.BigEndian.PutUint64(buf, e.sent)
		e.sent++
		return machine.Meta{}, 1000, true
	case len(e.queue) > 0 && e.queue[0].at <= now:
		n := copy(buf, e.queue[0].data)
		e.queue = e.queue[1:]
		return machine.Meta{}, n, true
	}
	return machine.Meta{}, 0, false
}
func (e *echo) SetWritable(_ machine.LinkID, ok bool) { e.shut = !ok }

// start runs e on one end of a pipe and returns the other.
func start(t *testing.T, e *echo, tap func(clock.Instant, machine.LinkID, bool, []byte)) (*Monitor, link.Device) {
	t.Helper()
	a, b, err := link.Pipe(1500, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Start(Config{Machine: e, Devices: []link.Device{a}, Clock: NewClock(), Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); b.Close() })
	return m, b
}

// next returns what arrives on dev, waiting for it at most as long as a broken test may.
func next(t *testing.T, dev link.Device) (got [][]byte) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(dev.Fd()), Events: unix.POLLIN}}
	for begin := time.Now(); len(got) == 0; {
		if err := poll(fds, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if fds[0].Revents == 0 {
			if time.Since(begin) < 10*time.Second {
				continue // a signal: the runtime's own, on a busy machine
			}
			t.Fatal("nothing arrived within 10 s")
		}
		if _, err := dev.ReadBatch(func(p []byte) { got = append(got, append([]byte(nil), p...)) }); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestMonitorEchoesAfterItsDeadline(t *testing.T) {
	const delay = 20 * time.Millisecond
	var mu sync.Mutex
	var at [2]clock.Instant
	m, peer := start(t, &echo{delay: delay}, func(now clock.Instant, id machine.LinkID, out bool, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		if id != 0 || string(p) != "hello" {
			t.Errorf("tap: link %d, %q", id, p)
		}
		if out {
			at[1] = now
		} else {
			at[0] = now
		}
	})
	if err := peer.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, peer); string(got[0]) != "hello" {
		t.Fatalf("got %q", got[0])
	}
	if err := m.Do(func(clock.Instant) {}); err != nil { // the turn that sent it is over
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if d := at[1].Sub(at[0]); d < delay {
		t.Errorf("sent %v after it came, the machine asked for %v", d, delay)
	}
}

// TestMonitorReadsBetweenBursts has the machine send a window in one go, while what
// arrives shows how much of it was sent before the monitor read again.
func TestMonitorReadsBetweenBursts(t *testing.T) {
	e := &echo{}
	var out, before int
	m, peer := start(t, e, func(_ clock.Instant, _ machine.LinkID, sent bool, p []byte) {
		switch {
		case sent && len(p) == 1000:
			out++
		case !sent:
			before = out
		}
	})
	if err := m.Do(func(clock.Instant) {
		if err := peer.Write([]byte("answer")); err != nil {
			t.Error(err)
		}
		e.numbers = 150
	}); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < 151; {
		got += len(next(t, peer))
	}
	if err := m.Do(func(clock.Instant) {
		if out != 150 || before > 2*maxBurst {
			t.Errorf("%d packets sent, %d of them before the answer was read; want 150, at most %d", out, before, 2*maxBurst)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestMonitorGatesAFullDevice(t *testing.T) {
	const packets = 5000 // 5 MB: more than any socket buffer takes
	e := &echo{}
	m, peer := start(t, e, nil)
	if err := m.Do(func(clock.Instant) { e.numbers = packets }); err != nil {
		t.Fatal(err)
	}
	// Nobody reads: sooner or later the machine's packets are stuck.
	for stuck, sent := 0, uint64(0); stuck < 1000; stuck++ {
		if err := m.Do(func(clock.Instant) {
			if e.sent != sent {
				stuck, sent = 0, e.sent
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Do(func(clock.Instant) {
		if e.numbers == 0 || !e.shut {
			t.Fatal("the device never was full: the test shows nothing")
		}
	}); err != nil {
		t.Fatal(err)
	}
	for want := uint64(0); want < packets; {
		for _, p := range next(t, peer) {
			if got := binary.BigEndian.Uint64(p); got != want {
				t.Fatalf("packet %d arrived, want %d", got, want)
			}
			want++
		}
	}
}

func TestMonitorReportsAVanishedDevice(t *testing.T) {
	m, peer := start(t, &echo{}, nil)
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("no failure within 10 s")
	}
	if err := m.Err(); !errors.Is(err, link.ErrGone) {
		t.Errorf("Err() = %v, want ErrGone", err)
	}
	if err := m.Close(); !errors.Is(err, link.ErrGone) {
		t.Errorf("Close() = %v, want ErrGone", err)
	}
	if err := m.Do(func(clock.Instant) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Do() after Close = %v, want ErrClosed", err)
	}
}

func TestDoWakesTheDriverForAnEarlierDeadline(t *testing.T) {
	e := &echo{delay: time.Millisecond}
	m, peer := start(t, e, nil)
	if err := m.Do(func(now clock.Instant) { e.Input(now, machine.Meta{}, []byte("from Do")) }); err != nil {
		t.Fatal(err)
	}
	if got := next(t, peer); string(got[0]) != "from Do" {
		t.Errorf("got %q", got[0])
	}
}
