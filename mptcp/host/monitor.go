package host

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/link"
	"mptcplab/mptcp/machine"
)

// ErrClosed is what the calls of a closed monitor return.
var ErrClosed = errors.New("host: monitor is closed")

// Config says what a monitor runs.
type Config struct {
	Machine machine.Machine
	Devices []link.Device // by machine.LinkID; the monitor owns them from Start on
	Clock   *Clock
	// Tap sees every packet, in the order in which the machine took or gave it. It
	// runs under the monitor's lock; the packet is borrowed. nil: none.
	Tap func(now clock.Instant, id machine.LinkID, out bool, packet []byte)
}

// Monitor drives one machine in real time. Its methods may be called from any
// goroutine, but not from within the machine, the tap or Do.
type Monitor struct {
	machine machine.Machine
	clock   *Clock
	tap     func(clock.Instant, machine.LinkID, bool, []byte)
	kick    int // eventfd that ends the driver's poll

	mu      sync.Mutex
	ports   []port
	buf     []byte
	now     clock.Instant // of the turn that runs
	next    clock.Instant // for which the driver sleeps; earlier wishes kick it
	polling bool          // the driver sleeps, or is about to
	closed  bool
	err     error

	failed  chan struct{} // closed when err is set
	stopped chan struct{} // closed when the driver thread has ended
}

// port is a device and what keeps it from taking packets.
type port struct {
	dev     link.Device
	input   func([]byte)
	full    bool   // the device could not take pending
	pending []byte // waits for POLLOUT
	burst   int    // packets sent in this turn
	resting bool   // burst is spent: the next turn goes on
}

// maxBurst is how many packets a device takes in one turn. A machine may have a whole
// window to send, and on veth the answers to its first packets wait before the last
// one is sent: they are read in between, as Linux does with its small queues below TCP.
const maxBurst = 64

// Start runs the machine until Close or until a device fails. When it returns, the
// machine had its first turn: servers listen.
func Start(c Config) (*Monitor, error) {
	kick, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("host: eventfd: %w", err)
	}
	m := &Monitor{
		machine: c.Machine,
		clock:   c.Clock,
		tap:     c.Tap,
		kick:    kick,
		buf:     make([]byte, machine.BufferSize),
		next:    clock.Never,
		failed:  make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for i, dev := range c.Devices {
		id := machine.LinkID(i)
		m.ports = append(m.ports, port{
			dev:     dev,
			input:   func(p []byte) { m.input(id, p) },
			pending: make([]byte, 0, dev.MTU()),
		})
	}
	begun := make(chan struct{})
	go m.drive(begun)
	<-begun
	return m, nil
}

// Do runs f as one mutation of the machine: under the lock, at the present time, and
// followed by a drain.
func (m *Monitor) Do(f func(now clock.Instant)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.now = m.clock.Now()
	f(m.now)
	gated := m.drain()
	if d := m.machine.Deadline(); m.polling && (d < m.next || gated) {
		m.wake()
	}
	return nil
}

// Failed is closed when a device has failed; Err says how. The machine stands still
// then.
func (m *Monitor) Failed() <-chan struct{} { return m.failed }

// Err returns what ended the monitor: nil while it runs and after Close.
func (m *Monitor) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Stats returns the counts of a device.
func (m *Monitor) Stats(id machine.LinkID) link.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ports[id].dev.Stats()
}

// Close stops the driver and closes the devices. It returns what had ended the
// monitor before, if anything.
func (m *Monitor) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		<-m.stopped
		return m.err
	}
	m.closed = true
	m.wake()
	m.mu.Unlock()
	<-m.stopped
	for i := range m.ports {
		m.ports[i].dev.Close()
	}
	unix.Close(m.kick)
	return m.err
}

func (m *Monitor) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(m.kick, one[:]) // EAGAIN: it is awake already
}

func (m *Monitor) input(id machine.LinkID, packet []byte) {
	if m.tap != nil {
		m.tap(m.now, id, false, packet)
	}
	m.machine.Input(m.now, machine.Meta{Link: id}, packet)
}

// drain empties the machine's output into the devices and reports whether a device
// is not to get more for now.
func (m *Monitor) drain() (gated bool) {
	for m.err == nil {
		meta, n, ok := m.machine.Output(m.now, m.buf)
		if !ok {
			break
		}
		if int(meta.Link) >= len(m.ports) || meta.Link < 0 {
			m.fail(fmt.Errorf("host: the machine sent to link %d of %d", meta.Link, len(m.ports)))
			break
		}
		p := &m.ports[meta.Link]
		switch {
		case p.full: // the machine knows, and has lost a packet of its own
			continue
		case !m.write(meta.Link, m.buf[:n]):
			p.pending = append(p.pending[:0], m.buf[:n]...)
			p.full = true
		default:
			if p.burst++; p.burst < maxBurst || p.resting {
				continue
			}
			p.resting = true
		}
		gated = true
		m.machine.SetWritable(meta.Link, false)
	}
	return gated
}

// write gives a packet to a device; false: the device is full.
func (m *Monitor) write(id machine.LinkID, packet []byte) bool {
	switch err := m.ports[id].dev.Write(packet); {
	case err == nil:
		if m.tap != nil {
			m.tap(m.now, id, true, packet)
		}
	case errors.Is(err, link.ErrFull):
		return false
	default:
		m.fail(fmt.Errorf("host: link %d: %w", id, err))
	}
	return true
}

func (m *Monitor) fail(err error) {
	if m.err == nil {
		m.err = err
		close(m.failed)
		m.wake()
	}
}

// drive is the driver thread: it sleeps in ppoll until a device is ready, the
// machine's deadline has come or a Do asks for more. Measured: a ppoll of a locked
// thread with timer slack 1 wakes 17 to 51 us late, time.AfterFunc 1 ms.
func (m *Monitor) drive(begun chan<- struct{}) {
	defer close(m.stopped)
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine, its slack with it
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	fds := make([]unix.PollFd, len(m.ports)+1)
	for first := true; ; first = false {
		wait, run := m.turn(fds)
		if first {
			close(begun)
		}
		if !run {
			return
		}
		if err := poll(fds, wait); err != nil {
			m.mu.Lock()
			m.fail(fmt.Errorf("host: ppoll: %w", err))
			m.mu.Unlock()
		}
	}
}

// turn deals with what the last poll found and with time, and prepares the next
// poll. run is false when the monitor has ended.
func (m *Monitor) turn(fds []unix.PollFd) (wait time.Duration, run bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polling = false
	if m.closed || m.err != nil {
		return 0, false
	}
	m.now = m.clock.Now()
	if m.receive(fds) {
		m.drain()
	}
	if m.machine.Deadline() <= m.now {
		m.machine.Advance(m.now)
		m.drain()
	}
	if m.err != nil {
		return 0, false
	}
	resting := m.prepare(fds)
	m.polling = true
	m.next = m.machine.Deadline()
	switch {
	case resting:
		return 0, true
	case m.next == clock.Never:
		return -1, true
	}
	return max(0, m.next.Sub(m.clock.Now())), true
}

// receive feeds one batch of every device that is ready, and opens those again that
// can take packets. It reports whether anything changed.
func (m *Monitor) receive(fds []unix.PollFd) (changed bool) {
	for i := range m.ports {
		p := &m.ports[i]
		p.burst = 0
		closed := p.full || p.resting
		if p.full && fds[i].Revents&unix.POLLOUT != 0 && m.write(machine.LinkID(i), p.pending) {
			p.full = false
		}
		p.resting = false
		if closed && !p.full {
			m.machine.SetWritable(machine.LinkID(i), true)
			changed = true
		}
		if fds[i].Revents&^unix.POLLOUT == 0 {
			continue
		}
		n, err := p.dev.ReadBatch(p.input)
		if err != nil {
			m.fail(fmt.Errorf("host: link %d: %w", i, err))
			return false
		}
		changed = changed || n > 0
	}
	if fds[len(m.ports)].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(m.kick, count[:])
	}
	return changed
}

// prepare sets up the next poll, which is only a look if a device rests.
func (m *Monitor) prepare(fds []unix.PollFd) (resting bool) {
	for i := range m.ports {
		resting = resting || m.ports[i].resting
		fds[i] = unix.PollFd{Fd: int32(m.ports[i].dev.Fd()), Events: unix.POLLIN}
		if m.ports[i].full {
			fds[i].Events |= unix.POLLOUT
		}
	}
	fds[len(m.ports)] = unix.PollFd{Fd: int32(m.kick), Events: unix.POLLIN}
	return resting
}

// poll is ppoll(2); a negative wait is for ever.
func poll(fds []unix.PollFd, wait time.Duration) error {
	var timeout *unix.Timespec
	if wait >= 0 {
		ts := unix.NsecToTimespec(int64(wait))
		timeout = &ts
	}
	if _, err := unix.Ppoll(fds, timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}
