package drill

import (
	"fmt"
	"net/netip"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/socket"
)

// blockedCall is a system call that waits, or has returned and is to be checked.
type blockedCall struct {
	call  *Call
	op    *socket.Op
	began clock.Instant
	end   clock.Instant // when it should return; Never: at once
	done  clock.Instant // when it did
	after func(n int) error
}

// args gives a handler the arguments of a call.
type args struct {
	r *run
	c *Call
}

func (a args) need(n int) error {
	if len(a.c.Args) < n {
		return fmt.Errorf("%s needs %d arguments", a.c.Name, n)
	}
	return nil
}

func (a args) int(i int) (int64, error) { return value(&a.c.Args[i]) }

// fd returns the layer's descriptor of argument i; one that the script never got
// is passed on as it is not open.
func (a args) fd(i int) (int, error) {
	v, err := a.int(i)
	if err != nil {
		return 0, err
	}
	if fd, ok := a.r.fds[int(v)]; ok {
		return fd, nil
	}
	return -1, nil
}

// runCall runs a system call and checks its result, unless it waits.
func (r *run) runCall(e *Event, origin clock.Instant) error {
	c := e.Call
	b := &blockedCall{call: c, began: r.now, end: clock.Never, done: clock.Never}
	if e.Time.Blocking {
		b.end = origin.Add(e.Time.End)
	}
	h, ok := handlers[c.Name]
	if !ok {
		return r.fail(c.Line, "", unsupported("the system call %s", c.Name))
	}
	op, after, err := h(r, args{r, c})
	if err != nil {
		return r.fail(c.Line, "runtime error in "+c.Name+" call", err)
	}
	b.op, b.after = op, after
	r.pending = b
	r.retry()
	// The call is a mutation: what it made the stack send, and what else it
	// did, happens now.
	r.stack.Advance(r.now)
	r.drain()
	r.retry()
	if b.end == clock.Never && b.done == clock.Never {
		r.pending = nil
		return r.fail(c.Line, "runtime error in "+c.Name+" call", fmt.Errorf("unexpectedly blocked: the line has no time to return"))
	}
	return r.checkCall()
}

// retry lets the call that waits try again.
func (r *run) retry() {
	b := r.pending
	if b == nil || b.done != clock.Never {
		return
	}
	if b.op.Try(r.now) {
		b.done = r.now
		r.drain()
	} else {
		r.drain()
	}
}

// checkCall checks the result of a call that has returned.
func (r *run) checkCall() error {
	b := r.pending
	if b == nil || b.done == clock.Never {
		return nil
	}
	r.pending = nil
	fail := func(err error) error { return r.fail(b.call.Line, "runtime error in "+b.call.Name+" call", err) }
	if err := checkResult(b.call, b.op); err != nil {
		return fail(err)
	}
	if b.after != nil {
		if err := b.after(b.op.N); err != nil {
			return fail(err)
		}
	}
	if b.end != clock.Never {
		tol := r.toleranceFor(b.end.Sub(b.began))
		if d := b.done.Sub(b.end); d > tol || d < -tol {
			return fail(fmt.Errorf("expected to return at %s sec but returned at %s sec; tolerance %s", seconds(b.end), seconds(b.done), tol))
		}
	}
	return nil
}

// awaitCall lets at most d pass for the call that waits to return.
func (r *run) awaitCall(d time.Duration) error {
	limit := r.now.Add(d)
	for r.pending != nil && r.pending.done == clock.Never {
		at := r.deadline()
		if at > limit {
			line, name := r.pending.call.Line, r.pending.call.Name
			r.pending = nil
			return r.fail(line, "runtime error in "+name+" call", fmt.Errorf("it still waits %v later", d))
		}
		r.turn(max(at, r.now))
	}
	return r.checkCall()
}

// checkResult compares a result with the script's.
func checkResult(c *Call, op *socket.Op) error {
	got := op.N
	if op.Err != socket.OK {
		got = -1
	}
	suffix := ""
	if op.Err != socket.OK {
		suffix = " " + op.Err.String()
	}
	if c.Result.Kind != ExprEllipsis {
		want, err := value(&c.Result)
		switch {
		case err != nil:
			return err
		case returnsFD[c.Name] && want >= 0:
			if got < 0 {
				return fmt.Errorf("expected result %d but got %d%s", want, got, suffix)
			}
		case int64(got) != want:
			return fmt.Errorf("expected result %d but got %d%s", want, got, suffix)
		}
	}
	if c.Errno != "" && op.Err.String() != c.Errno {
		return fmt.Errorf("expected errno %s but got %s", c.Errno, op.Err)
	}
	return nil
}

// returnsFD are the calls whose result is a name for a descriptor.
var returnsFD = map[string]bool{"socket": true, "accept": true, "accept4": true, "epoll_create": true, "epoll_create1": true, "open": true}

// instant is the result of a call that never waits.
func instant(n int, e socket.Errno) *socket.Op { return &socket.Op{N: n, Err: e, Done: true} }

// done is instant for calls without a result.
func done(e socket.Errno) *socket.Op {
	if e != socket.OK {
		return instant(-1, e)
	}
	return instant(0, socket.OK)
}

// family returns the family of the run's sockets.
func (r *run) family() int {
	if r.set.mode == IPv4 {
		return socket.AFInet
	}
	return socket.AFInet6
}

// address returns the address that an argument names: "..." is the configured one.
func (r *run) address(e *Expr, configured netip.AddrPort) (netip.AddrPort, int, error) {
	switch e.Kind {
	case ExprEllipsis:
		return configured, r.family(), nil
	case ExprSymbol:
		v, err := value(e)
		return configured, int(v), err
	case ExprStruct:
		return r.sockaddr(e, configured)
	}
	return configured, 0, unsupported("this address")
}

// sockaddr reads {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("...")}.
func (r *run) sockaddr(e *Expr, a netip.AddrPort) (netip.AddrPort, int, error) {
	family := r.family()
	for _, f := range e.Fields {
		arg := &f.Val
		if arg.Kind == ExprCall && len(arg.List) > 0 {
			arg = &arg.List[len(arg.List)-1]
		}
		switch f.Name {
		case "sa_family":
			v, err := value(&f.Val)
			if err != nil {
				return a, 0, err
			}
			family = int(v)
		case "sin_port", "sin6_port":
			v, err := value(arg)
			if err != nil {
				return a, 0, err
			}
			a = netip.AddrPortFrom(a.Addr(), uint16(v))
		case "sin_addr", "sin6_addr":
			ip, err := netip.ParseAddr(arg.Text)
			if err != nil {
				return a, 0, unsupported("this address")
			}
			a = netip.AddrPortFrom(ip.Unmap(), a.Port())
		default:
			return a, 0, unsupported("the member %s of an address", f.Name)
		}
	}
	return a, family, nil
}

// flowOfFD returns the flow of a script's descriptor.
func (r *run) flowOfFD(fd int) *flow {
	for _, f := range r.flows {
		if f.fd == fd {
			return f
		}
	}
	return nil
}
