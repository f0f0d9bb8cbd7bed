package drill

import (
	"fmt"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/socket"
)

// opFunc begins reading or writing.
type opFunc func(now clock.Instant, fd int, p []byte, flags int) *socket.Op

func callSetsockopt(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(5); err != nil {
		return nil, nil, err
	}
	fd, err := a.fd(0)
	if err != nil {
		return nil, nil, err
	}
	level, err := a.int(1)
	if err != nil {
		return nil, nil, err
	}
	name, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	v := &a.c.Args[3]
	switch {
	case v.Kind == ExprStruct && level == socket.SOLSocket && name == socket.SOLinger:
		m, err := members(v, "onoff", "linger")
		if err != nil {
			return nil, nil, err
		}
		return done(r.sock.SetLinger(fd, socket.Linger{On: m[0] != 0, Seconds: int(m[1])})), nil, nil
	case v.Kind == ExprStruct && level == socket.SOLSocket:
		m, err := members(v, "tv_sec", "tv_usec")
		if err != nil {
			return nil, nil, err
		}
		d := time.Duration(m[0])*time.Second + time.Duration(m[1])*time.Microsecond
		return done(r.sock.SetTimeout(fd, int(name), d)), nil, nil
	case v.Kind == ExprString && level == socket.SOLTCP && name == socket.TCPFastopenKey:
		n, err := a.int(4)
		if err != nil {
			return nil, nil, err
		}
		key := []byte(v.Text)
		if n < 0 || int(n) > len(key) {
			return nil, nil, fmt.Errorf("the key has %d bytes", len(key))
		}
		return done(r.sock.SetFastOpenKey(fd, key[:n])), nil, nil
	case v.Kind == ExprString || v.Kind == ExprStruct || v.Kind == ExprEllipsis:
		return done(socket.ENOPROTOOPT), nil, nil
	}
	n, err := value(v)
	if err != nil {
		return nil, nil, err
	}
	return done(r.sock.SetOption(fd, int(level), int(name), int(n))), nil, nil
}

func callGetsockopt(r *run, a args) (*socket.Op, func(int) error, error) {
	if err := a.need(5); err != nil {
		return nil, nil, err
	}
	fd, err := a.fd(0)
	if err != nil {
		return nil, nil, err
	}
	level, err := a.int(1)
	if err != nil {
		return nil, nil, err
	}
	name, err := a.int(2)
	if err != nil {
		return nil, nil, err
	}
	if level == socket.SOLTCP && name == socket.TCPFastopenKey {
		return fastOpenKey(r, a, fd)
	}
	n, e := r.sock.Option(fd, int(level), int(name))
	op := done(e)
	if a.c.Args[3].Kind == ExprString || e != socket.OK {
		return op, nil, nil
	}
	want, err := value(&a.c.Args[3])
	if err != nil {
		return nil, nil, err
	}
	size, err := value(&a.c.Args[4])
	if err != nil {
		return nil, nil, err
	}
	return op, func(int) error {
		switch {
		case int64(n) != want:
			return fmt.Errorf("expected value %d but got %d", want, n)
		case size != 4:
			return fmt.Errorf("expected length %d but got 4", size)
		}
		return nil
	}, nil
}

// fastOpenKey reads TCP_FASTOPEN_KEY, whose value is a string.
func fastOpenKey(r *run, a args, fd int) (*socket.Op, func(int) error, error) {
	key, e := r.sock.FastOpenKey(fd)
	size, err := value(&a.c.Args[4])
	if err != nil {
		return nil, nil, err
	}
	want := a.c.Args[3].Text
	return done(e), func(int) error {
		if e == socket.OK && (string(key) != want || int64(len(key)) != size) {
			return fmt.Errorf("expected the key %q of %d bytes but got %q", want, size, key)
		}
		return nil
	}, nil
}
