package netem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/impairments"
	"mptcplab/impairments/internal/nstest"
	"mptcplab/mptcp/link"
)

// openKernel gives the test a namespace with a veth pair and a Conn in it. It skips,
// loudly, where the kernel has no netem; make test-vm runs these tests where it has.
func openKernel(t *testing.T) (c *Conn, ifindex int) {
	t.Helper()
	ifindex, _ = nstest.Veth(t, "near", "far")
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Supported(); err != nil {
		if !errors.Is(err, ErrUnsupported) {
			t.Fatalf("the probe fails in another way than it should: %v", err)
		}
		t.Skipf("NOT TESTED: %v", err)
	}
	return c, ifindex
}

// kernelConfigs are what a scenario may ask.
var kernelConfigs = []impairments.Config{
	{Delay: 15 * ms, Rate: 20e6, Loss: impairments.Loss{Random: impairments.Chance{P: 0.001}}, Queue: impairments.Queue{Time: 100 * ms}},
	{Delay: 30 * ms, Jitter: 5 * ms, InOrder: true, Rate: 10e6, Queue: impairments.Queue{Time: 300 * ms}},
	{Delay: 10 * ms, Jitter: 3 * ms, Distribution: impairments.Normal},
	{Delay: 10 * ms, Jitter: 3 * ms, Distribution: impairments.Pareto},
	{Delay: 10 * ms, Jitter: 3 * ms, Distribution: impairments.ParetoNormal},
	{Delay: 10 * ms, Jitter: 3 * ms},
	{Loss: impairments.Loss{GE: &impairments.GilbertElliott{P: 0.01, R: 0.1, LossBad: 0.7, LossGood: 0.001}}},
	{Delay: 100 * time.Second, Loss: impairments.Loss{Random: impairments.Chance{P: 0.1, Correlation: 0.25}},
		Duplicate: impairments.Chance{P: 0.01, Correlation: 0.5}, Corrupt: impairments.Chance{P: 0.02, Correlation: 0.75}},
	{Delay: ms, Reorder: impairments.Chance{P: 0.25, Correlation: 0.5}, Gap: 5},
	{Rate: 1e6, Duplicate: impairments.Chance{P: 0.5}, Queue: impairments.Queue{Packets: 30}},
	{Rate: 8_000_000, Burst: 10_000, Queue: impairments.Queue{Bytes: 50_000}},
	{Rate: 40e9, Burst: 1_000_000},
	{Rate: 40e9, Delay: ms},
	{Rate: 8, Queue: impairments.Queue{Packets: 1}},
	{Rate: 10e6, Delay: ms, Jitter: ms, Limit: 20, Reorder: impairments.Chance{P: 0.1}},
	{Blackhole: true, Rate: 1e6, Delay: ms},
	{},
}

func TestKernelRoundTrip(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	for _, cfg := range kernelConfigs {
		plan, err := Plan(cfg, 1500, 42)
		if err != nil {
			t.Fatalf("%+v: %v", cfg, err)
		}
		if err := c.Apply(index, plan); err != nil {
			t.Errorf("%s%v", Tc("near", plan), err)
			continue
		}
		if err := c.Verify(index, plan); err != nil {
			t.Errorf("%s%v", Tc("near", plan), err)
		}
	}
	// Every other option that the encoder knows.
	for _, o := range everything() {
		plan := []Qdisc{{Root, rootMajor << 16, o}}
		if err := c.Apply(index, plan); err != nil {
			t.Errorf("%s%v", Tc("near", plan), err)
		} else if err := c.Verify(index, plan); err != nil {
			t.Errorf("%s%v", Tc("near", plan), err)
		}
	}
}

// Every configuration follows every other, on a running link, and is what the kernel
// has then.
func TestKernelChanges(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	for i, from := range kernelConfigs {
		for j, to := range kernelConfigs {
			installed := mustPlan(t, from)
			if err := c.Apply(index, installed); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			tree, err := c.Change(index, installed, mustPlan(t, to))
			if err == nil {
				err = c.Verify(index, tree)
			}
			if err == nil { // and once more in the other direction
				if tree, err = c.Change(index, tree, installed); err == nil {
					err = c.Verify(index, tree)
				}
			}
			if err != nil {
				t.Errorf("from %d to %d: %v", i, j, err)
			}
		}
	}
}

// The verification finds what another hand changed.
func TestKernelVerifyNotices(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	plan := mustPlan(t, impairments.Config{Delay: 15 * ms, Rate: 1e6})
	if err := c.Apply(index, plan); err != nil {
		t.Fatal(err)
	}
	other := *plan[0].Options.(*Netem)
	other.Latency++
	if err := c.modify(index, Qdisc{Root, plan[0].Handle, &other}, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(index, plan); !errors.Is(err, ErrMismatch) {
		t.Errorf("a nanosecond of delay more: %v", err)
	}
	if err := c.Clear(index); err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(index, plan); !errors.Is(err, ErrMismatch) {
		t.Errorf("nothing installed: %v", err)
	}
}

// ends are packet sockets at both ends of the pair: what near sends passes the qdiscs.
type ends struct {
	t         *testing.T
	near, far *link.Ethernet
}

func openEnds(t *testing.T) *ends {
	t.Helper()
	near, err := link.OpenEthernet("near")
	if err != nil {
		t.Fatal(err)
	}
	far, err := link.OpenEthernet("far")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return &ends{t, near, far}
}

// testType is an EtherType for experiments.
const testType = 0x88B5

// send sends frame number n, 1,000 bytes long.
func (e *ends) send(n uint32) {
	e.t.Helper()
	frame := make([]byte, 1000)
	mac := e.far.MAC()
	copy(frame, mac[:])
	binary.BigEndian.PutUint16(frame[12:], testType)
	binary.BigEndian.PutUint32(frame[14:], n)
	if err := e.near.Write(frame); err != nil {
		e.t.Fatal(err)
	}
}

// receive returns the numbers of the frames that arrive until quiet has passed
// without one, and when the first came.
func (e *ends) receive(quiet time.Duration) (numbers []uint32, first time.Time) {
	e.t.Helper()
	for {
		fds := []unix.PollFd{{Fd: int32(e.far.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(quiet.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return numbers, first
		}
		_, err = e.far.ReadBatch(func(f []byte) {
			if len(f) < 18 || !bytes.Equal(f[12:14], []byte{testType >> 8, testType & 0xFF}) {
				return
			}
			if len(numbers) == 0 {
				first = time.Now()
			}
			numbers = append(numbers, binary.BigEndian.Uint32(f[14:]))
		})
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *ends) burst(n int) {
	for i := range n {
		e.send(uint32(i))
	}
}

func TestKernelDelayIsAtLeastTheDelay(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	e := openEnds(t)
	if err := c.Apply(index, mustPlan(t, impairments.Config{Delay: 50 * ms, Rate: 1e6, Queue: impairments.Queue{Packets: 100}})); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e.send(7)
	got, first := e.receive(2 * time.Second)
	// 1,000 bytes at 1 Mbit/s are 8 ms more.
	if d := first.Sub(start); len(got) != 1 || d < 58*ms {
		t.Errorf("%d frames, the first after %v, want 1 after 58ms at least", len(got), d)
	}
}

func TestKernelQueueDropsItsTail(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	e := openEnds(t)
	for _, cfg := range []impairments.Config{
		{Rate: 4e6, Delay: 20 * ms, Queue: impairments.Queue{Packets: 30}},
		{Rate: 4e6, Delay: 20 * ms, Burst: 1514, Queue: impairments.Queue{Bytes: 30_000}},
	} {
		plan := mustPlan(t, cfg)
		if err := c.Apply(index, plan); err != nil {
			t.Fatal(err)
		}
		e.burst(200)
		got, _ := e.receive(2 * time.Second)
		// 30 wait; a slow machine sends some while the burst still comes. All that
		// came through kept their order, and the first 30 are there.
		if len(got) < 30 || len(got) > 150 {
			t.Errorf("%s%d of 200 frames came through a queue of 30", Tc("near", plan), len(got))
		}
		for i := range min(len(got), 30) {
			if got[i] != uint32(i) {
				t.Errorf("frame %d came as number %d", got[i], i)
				break
			}
		}
		st, err := c.Read(index)
		if err != nil {
			t.Fatal(err)
		}
		if dropped := st[len(st)-1].Stats.Dropped + st[1].Stats.Dropped; dropped < uint64(200-len(got)) {
			t.Errorf("%d dropped of 200, %d came", dropped, len(got))
		}
	}
}

// What is in the delay line and in the queue when a black hole begins never comes
// out, not after its end either; what comes after the end does.
func TestKernelBlackHole(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	e := openEnds(t)
	open := impairments.Config{Rate: 1e6, Delay: 300 * ms, Queue: impairments.Queue{Packets: 100}}
	hole := open
	hole.Blackhole = true
	tree, err := c.Change(index, nil, mustPlan(t, open))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		e.burst(50)
		if tree, err = c.Change(index, tree, mustPlan(t, hole)); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(index, tree); err != nil {
			t.Error(err)
		}
		e.burst(20)
		if got, _ := e.receive(time.Second); len(got) != 0 {
			t.Errorf("round %d: %d frames came out of the black hole", round, len(got))
		}
		if tree, err = c.Change(index, tree, mustPlan(t, open)); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(index, tree); err != nil {
			t.Error(err)
		}
		e.send(99)
		if got, _ := e.receive(time.Second); len(got) != 1 || got[0] != 99 {
			t.Errorf("round %d: after its end came %v, want 99 alone", round, got)
		}
	}
}

// Jitter reorders, unless it must not.
func TestKernelOrder(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	e := openEnds(t)
	for _, inOrder := range []bool{false, true} {
		cfg := impairments.Config{Delay: 100 * ms, Jitter: 50 * ms, Distribution: impairments.Normal, InOrder: inOrder}
		if err := c.Apply(index, mustPlan(t, cfg)); err != nil {
			t.Fatal(err)
		}
		e.burst(100)
		got, _ := e.receive(2 * time.Second)
		ordered := true
		for i := 1; i < len(got); i++ {
			ordered = ordered && got[i] > got[i-1]
		}
		if len(got) != 100 || ordered != inOrder {
			t.Errorf("in order %v: %d of 100 frames, ordered %v", inOrder, len(got), ordered)
		}
	}
}

// A change of the rate on a running link loses nothing of the delay line.
func TestKernelChangeLosesNothing(t *testing.T) {
	if !nstest.Enter(t) {
		return
	}
	c, index := openKernel(t)
	e := openEnds(t)
	cfg := impairments.Config{Rate: 2e6, Delay: 100 * ms, Queue: impairments.Queue{Packets: 200}}
	tree, err := c.Change(index, nil, mustPlan(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []impairments.Config{{Rate: 10e6, Delay: 100 * ms, Queue: impairments.Queue{Packets: 200}}, {Delay: 100 * ms}, {}} {
		e.burst(100)
		if tree, err = c.Change(index, tree, mustPlan(t, next)); err != nil {
			t.Fatal(err)
		}
		if got, _ := e.receive(2 * time.Second); len(got) != 100 {
			t.Errorf("to %+v: %d of 100 frames came", next, len(got))
		}
	}
}
