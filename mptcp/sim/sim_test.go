package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

const ms = clock.Instant(1_000_000)

// node for tests: it sends every period to link 0, and what arrives goes to out
// link by link.
type beacon struct {
	period, next clock.Instant
	left         int
	owed         [][]byte
	links        []machine.LinkID
	got          []string
	reflect      bool
	onInput      func(now clock.Instant)
	lazy         bool // Advance does not help
}

func newBeacon(period clock.Instant, n int) *beacon {
	b := &beacon{period: period, next: period, left: n}
	if n == 0 {
		b.next = clock.Never
	}
	return b
}

func (b *beacon) Input(now clock.Instant, m machine.Meta, data []byte) {
	b.got = append(b.got, fmt.Sprintf("%d/%d:%s", now/ms, m.Link, data))
	if b.reflect {
		b.owed, b.links = append(b.owed, slices.Clone(data)), append(b.links, m.Link)
	}
	if b.onInput != nil {
		b.onInput(now)
	}
}

func (b *beacon) Advance(now clock.Instant) {
	for b.left > 0 && b.next <= now && !b.lazy {
		b.left--
		b.owed, b.links = append(b.owed, fmt.Appendf(nil, "%d", b.left)), append(b.links, 0)
		b.next += b.period
		if b.left == 0 {
			b.next = clock.Never
		}
	}
}

func (b *beacon) Deadline() clock.Instant { return b.next }

func (b *beacon) Output(_ clock.Instant, buf []byte) (machine.Meta, int, bool) {
	if len(b.owed) == 0 {
		return machine.Meta{}, 0, false
	}
	m, n := machine.Meta{Link: b.links[0]}, copy(buf, b.owed[0])
	b.owed, b.links = b.owed[1:], b.links[1:]
	return m, n, true
}

func (b *beacon) SetWritable(machine.LinkID, bool) {}

func join(t testing.TB, s *Sim, a int, al machine.LinkID, b int, bl machine.LinkID) {
	t.Helper()
	if err := s.Join(a, al, b, bl); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	s := New(1)
	a, b := newBeacon(10*ms, 3), newBeacon(0, 0)
	b.reflect = true
	na, nb := s.Add("a", a), s.Add("b", b)
	join(t, s, na, 0, nb, 7)
	var taps []string
	s.Tap = func(now clock.Instant, node int, link machine.LinkID, out bool, pkt []byte) {
		taps = append(taps, fmt.Sprint(now/ms, " ", node, "/", link, " ", out, " ", string(pkt)))
	}
	if err := s.Run(10 * ms); err != nil {
		t.Fatal(err)
	}
	if want := "[10 0/0 true 2 10 1/7 false 2 10 1/7 true 2 10 0/0 false 2]"; fmt.Sprint(taps) != want {
		t.Errorf("taps %v, want %v", taps, want)
	}
	if s.Now() != 10*ms || s.Idle() || s.Packets() != 2 {
		t.Errorf("now %d, idle %v, %d packets", s.Now(), s.Idle(), s.Packets())
	}
	if err := s.Run(clock.Never); err != nil {
		t.Fatal(err)
	}
	if want := "[10/0:2 20/0:1 30/0:0]"; fmt.Sprint(a.got) != want {
		t.Errorf("a got %v, want %v", a.got, want)
	}
	if s.Now() != 30*ms || !s.Idle() {
		t.Errorf("now %d, idle %v: a run to Never ends with the last deadline", s.Now(), s.Idle())
	}
	if err := s.Run(50 * ms); err != nil || s.Now() != 50*ms {
		t.Errorf("an idle run to 50 ms is at %d: %v", s.Now(), err)
	}
}

// Nodes that are due at once go by their numbers; calls go before them.
func TestOrderWithinAnInstant(t *testing.T) {
	s := New(1)
	sink := newBeacon(0, 0)
	var nodes []int
	for range 5 {
		nodes = append(nodes, s.Add("n", newBeacon(10*ms, 2)))
	}
	end := s.Add("sink", sink)
	for i := range nodes {
		join(t, s, nodes[len(nodes)-1-i], 0, end, machine.LinkID(i))
	}
	s.At(10*ms, func() { sink.got = append(sink.got, "first") })
	s.At(10*ms, func() {
		sink.got = append(sink.got, "second")
		s.At(0, func() { sink.got = append(sink.got, "third") })
	})
	if err := s.Run(10 * ms); err != nil {
		t.Fatal(err)
	}
	if want := "[first second third 10/4:1 10/3:1 10/2:1 10/1:1 10/0:1]"; fmt.Sprint(sink.got) != want {
		t.Errorf("order %v, want %v", sink.got, want)
	}
}

func TestDo(t *testing.T) {
	s := New(1)
	a, b := newBeacon(0, 0), newBeacon(0, 0)
	na, nb := s.Add("a", a), s.Add("b", b)
	join(t, s, na, 0, nb, 0)
	say := func(n *beacon, text string) func(clock.Instant) {
		return func(clock.Instant) {
			n.owed, n.links = append(n.owed, []byte(text)), append(n.links, 0)
		}
	}
	// From within the turn of another node it waits for its end.
	b.onInput = func(now clock.Instant) {
		if len(b.got) == 1 {
			s.Do(na, say(a, "again"))
			if len(a.owed) > 0 {
				t.Error("Do from within a turn took effect at once")
			}
		}
	}
	s.At(5*ms, func() { s.Do(na, say(a, "hello")) })
	if err := s.Run(10 * ms); err != nil {
		t.Fatal(err)
	}
	s.Do(na, say(a, "now"))
	if want := "[5/0:hello 5/0:again 10/0:now]"; fmt.Sprint(b.got) != want {
		t.Errorf("b got %v, want %v", b.got, want)
	}
}

func TestFailures(t *testing.T) {
	stuck := func(s *Sim) {
		a, b := newBeacon(10*ms, 1), newBeacon(0, 0)
		a.reflect, b.reflect = true, true
		na, nb := s.Add("a", a), s.Add("b", b)
		join(t, s, na, 0, nb, 0)
		s.MaxTurns = 1000
	}
	busy := func(s *Sim) {
		a := newBeacon(10*ms, 1)
		a.lazy = true
		s.Add("a", a)
	}
	odd := errors.New("the sum is odd")
	broken := func(s *Sim) {
		s.Add("a", newBeacon(10*ms, 2))
		s.Invariant = func(now clock.Instant) error {
			if now > 0 {
				return odd
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name, want string
		is         error
		build      func(*Sim)
	}{
		{"ping-pong without delay", "sim: seed 99, at 0.010000000 s, node", ErrStuck, stuck},
		{"busy loop", "sim: seed 99, at 0.010000000 s, node a: deadline 10000000 ns is not after now", nil, busy},
		{"invariant", "sim: seed 99, at 0.010000000 s, node a: the sum is odd", odd, broken},
	} {
		s := New(99)
		tt.build(s)
		err := s.Run(100 * ms)
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if again := s.Run(200 * ms); again != err || s.Now() != 10*ms {
			t.Errorf("%s: a failed run went on: %v at %d", tt.name, again, s.Now())
		}
	}
	s := New(1)
	a, b := s.Add("a", newBeacon(0, 0)), s.Add("b", newBeacon(0, 0))
	join(t, s, a, 0, b, 0)
	for _, err := range []error{s.Join(a, 1, a, 2), s.Join(a, 0, b, 1), s.Join(a, 1, b, 0)} {
		if err == nil {
			t.Error("a wrong join was accepted")
		}
	}
}

// Whatever breaks inside a machine, the message says how to see it again.
func TestPanicNamesSeed(t *testing.T) {
	s := New(42)
	a, b := newBeacon(10*ms, 1), newBeacon(0, 0)
	b.onInput = func(clock.Instant) { panic("BUG: no such thing") }
	join(t, s, s.Add("a", a), 0, s.Add("b", b), 0)
	defer func() {
		got := fmt.Sprint(recover())
		if want := "sim: seed 42, at 0.010000000 s, node b: BUG: no such thing"; got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	_ = s.Run(20 * ms)
	t.Error("no panic")
}

func TestFingerprint(t *testing.T) {
	run := func(seed uint64, n int, period clock.Instant) uint64 {
		s := New(seed)
		join(t, s, s.Add("a", newBeacon(period, n)), 0, s.Add("b", newBeacon(0, 0)), 0)
		if err := s.Run(1000 * ms); err != nil {
			t.Fatal(err)
		}
		return s.Fingerprint()
	}
	base := run(1, 20, 10*ms)
	if base != run(1, 20, 10*ms) {
		t.Error("equal runs differ")
	}
	for name, other := range map[string]uint64{"seed": run(2, 20, 10*ms), "packets": run(1, 19, 10*ms), "times": run(1, 20, 10*ms+1)} {
		if other == base {
			t.Errorf("runs with other %s have the same fingerprint", name)
		}
	}
}

// The indexed heap against a plain search.
func TestDeadlines(t *testing.T) {
	var d deadlines
	var plain []clock.Instant
	x := uint64(1)
	for range 40 {
		d.add()
		plain = append(plain, clock.Never)
	}
	for range 20_000 {
		x = x*6364136223846793005 + 1442695040888963407
		id, at := int(x>>33)%len(plain), clock.Instant(x>>50)
		if x>>40&7 == 0 {
			at = clock.Never
		}
		d.set(id, at)
		plain[id] = at
		gotID, gotAt := d.first()
		want := slices.Min(plain)
		if gotAt != want || plain[gotID] != want || want != clock.Never && gotID != slices.Index(plain, want) {
			t.Fatalf("first is %d at %d, want %d at %d", gotID, gotAt, slices.Index(plain, want), want)
		}
	}
}

func TestAgenda(t *testing.T) {
	var a agenda
	var got []int
	for i, at := range []clock.Instant{5, 3, 5, 1, 3} {
		a.push(at, func() { got = append(got, i) })
	}
	for a.next() != clock.Never {
		a.pop()()
	}
	if !slices.Equal(got, []int{3, 1, 4, 0, 2}) {
		t.Errorf("order %v", got)
	}
}
