package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// errClosed is what a call gets whose namespace was torn down.
var errClosed = errors.New("netns: namespace is closed")

// thread is an operating system thread in a network namespace of its own. The
// namespace has no name: it lives as long as the thread, the descriptor and the
// sockets opened in it, hence at most as long as the process.
type thread struct {
	ns    *os.File // the namespace
	sysfs error    // why /sys doesn't show the namespace; nil: it does
	calls chan func()
	quit  chan struct{}
	ended chan struct{}
}

// newThread starts a thread in a new, empty namespace.
func newThread() (*thread, error) {
	t := &thread{calls: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{})}
	started := make(chan error)
	go t.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return t, nil
}

func (t *thread) run(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The runtime never ends the main thread, so it would hold the namespace
		// for the life of the process. While this goroutine occupies it, another
		// one gets another thread.
		again := make(chan error)
		go t.run(again)
		err := <-again
		runtime.UnlockOSThread()
		started <- err
		return
	}
	defer close(t.ended)
	// The goroutine ends without unlocking: the runtime then ends the thread
	// instead of giving it, in the wrong namespace, to other goroutines.
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		started <- fmt.Errorf("netns: unshare(CLONE_NEWNET): %w", err)
		return
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		started <- fmt.Errorf("netns: %w", err)
		return
	}
	t.ns = ns
	t.sysfs = mountSysfs()
	started <- nil
	for {
		select {
		case f := <-t.calls:
			f()
		case <-t.quit:
			return
		}
	}
}

// do runs f on the thread.
func (t *thread) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case t.calls <- func() { result <- f() }:
		return <-result
	case <-t.ended:
		return errClosed
	}
}

// close ends the thread. The kernel frees the namespace when the last socket
// opened in it is closed, too.
func (t *thread) close() {
	select {
	case <-t.ended:
		return
	default:
	}
	close(t.quit)
	<-t.ended
	t.ns.Close()
}
