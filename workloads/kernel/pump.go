package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/host"
	"mptcplab/workloads"
)

// ErrClosed is what the calls of a closed pump return.
var ErrClosed = errors.New("kernel: pump is closed")

// recheck is how often a socket that waits for its last acknowledgment is looked at,
// should no event say that it came.
const recheck = 10 * time.Millisecond

// Config says what a pump runs.
type Config struct {
	// Open runs a function in the host's namespace (netns.Node.Do): sockets are
	// made there. nil: where the pump was started.
	Open  func(func() error) error
	Apps  []workloads.App
	Clock *host.Clock
}

// Pump runs applications on one host's kernel sockets. Its methods may be called from
// any goroutine, but not from within an application or Do.
type Pump struct {
	clock *host.Clock
	kick  int // eventfd

	mu      sync.Mutex
	sockets sockets
	apps    []running
	closed  bool
	err     error

	done    chan struct{} // closed when all applications are done, or the pump broke
	allDone bool
	stopped chan struct{}
}

type running struct {
	app  workloads.App
	done bool
}

// Start runs the applications until Close. When it returns, each was stepped once:
// servers listen.
func Start(c Config) (*Pump, error) {
	if c.Open == nil {
		c.Open = func(f func() error) error { return f() }
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("kernel: epoll: %w", err)
	}
	kick, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("kernel: eventfd: %w", err)
	}
	p := &Pump{
		clock:   c.Clock,
		kick:    kick,
		sockets: sockets{open: c.Open, epoll: epoll},
		done:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for _, a := range c.Apps {
		p.apps = append(p.apps, running{app: a})
	}
	stepped := make(chan struct{})
	go p.run(stepped)
	<-stepped
	return p, nil
}

// Done is closed when all applications are done, or when the pump broke (Err).
func (p *Pump) Done() <-chan struct{} { return p.done }

// Err returns what broke the pump, if anything did.
func (p *Pump) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Do runs f between two steps of the applications, which are stepped after it.
func (p *Pump) Do(f func(now clock.Instant)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	f(p.clock.Now())
	p.wake()
	return nil
}

// Close stops the applications where they are and closes their sockets.
func (p *Pump) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.stopped
		return p.err
	}
	p.closed = true
	p.wake()
	p.mu.Unlock()
	<-p.stopped
	p.sockets.closeAll()
	unix.Close(p.sockets.epoll)
	unix.Close(p.kick)
	return p.err
}

func (p *Pump) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.kick, one[:]) // EAGAIN: it is awake already
}

// run is the pump's thread. See host.Monitor for why it is locked and polls.
func (p *Pump) run(stepped chan<- struct{}) {
	defer close(p.stopped)
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine, its slack with it
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	fds := []unix.PollFd{
		{Fd: int32(p.sockets.epoll), Events: unix.POLLIN},
		{Fd: int32(p.kick), Events: unix.POLLIN},
	}
	events := make([]unix.EpollEvent, 64)
	for first := true; ; first = false {
		next, run := p.turn()
		if first {
			close(stepped)
		}
		if !run {
			return
		}
		var timeout *unix.Timespec
		if next != clock.Never {
			ts := unix.NsecToTimespec(int64(max(0, next.Sub(p.clock.Now()))))
			timeout = &ts
		}
		if _, err := unix.Ppoll(fds, timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
			p.fail(fmt.Errorf("kernel: ppoll: %w", err))
			return
		}
		// Fetching an edge forgets it; which socket it was does not matter.
		for {
			n, err := unix.EpollWait(p.sockets.epoll, events, 0)
			if err != nil || n < len(events) {
				break
			}
		}
		var count [8]byte
		_, _ = unix.Read(p.kick, count[:])
	}
}

func (p *Pump) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	p.finish()
}

// finish closes done, once.
func (p *Pump) finish() {
	if !p.allDone {
		p.allDone = true
		close(p.done)
	}
}

// turn steps every application that isn't done and returns when the next turn is
// needed at the latest; run is false when the pump is closed.
func (p *Pump) turn() (next clock.Instant, run bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false
	}
	now := p.clock.Now()
	next = clock.Never
	done := true
	for i := range p.apps {
		a := &p.apps[i]
		if a.done {
			continue
		}
		var at clock.Instant
		at, a.done = a.app.Step(now, &p.sockets)
		if !a.done {
			done = false
			next = clock.Min(next, at)
		}
	}
	if p.sockets.reap() && !done {
		// The last acknowledgment came after the application had looked. No event
		// will tell it again.
		next = now
	}
	if p.sockets.closing() {
		next = clock.Min(next, now.Add(recheck))
	}
	if done && !p.sockets.closing() {
		p.finish()
	}
	return next, true
}
