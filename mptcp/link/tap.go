package link

import "golang.org/x/sys/unix"

// Tap sees every frame that an interface receives or sends, for captures.
type Tap struct {
	*socket
	deliver func(age int64, out bool, frame []byte)
	now     unix.Timespec
	frame   func(received) // t.receive, bound once
}

// OpenTap opens a tap on the interface of that name in the namespace of the calling
// thread.
func OpenTap(name string) (*Tap, error) {
	s, err := openSocket(name, true)
	if err != nil {
		return nil, err
	}
	t := &Tap{socket: s}
	t.frame = t.receive
	return t, nil
}

// Fd is the descriptor to poll for POLLIN.
func (t *Tap) Fd() int { return t.fd }

// ReadBatch hands waiting frames to deliver: how long before the call the kernel saw
// it, in nanoseconds (negative if it came meanwhile), whether it was sent by this side,
// and the frame, borrowed. It returns how many it took; 0 and nil: none waits.
func (t *Tap) ReadBatch(deliver func(age int64, out bool, frame []byte)) (int, error) {
	t.deliver = deliver
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &t.now); err != nil {
		return 0, err
	}
	return t.read(t.frame)
}

func (t *Tap) receive(p received) {
	t.deliver(t.now.Nano()-p.at.Nano(), p.outgoing, p.frame)
}

// Dropped returns how many frames could not be kept.
func (t *Tap) Dropped() uint64 { return t.drops() }

// Close closes the tap.
func (t *Tap) Close() error { return t.close() }
