package drill

import (
	"fmt"
	"slices"
	"strings"
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
		key := make([]byte, max(n, 0)) // what lies behind the string is nobody's business
		copy(key, v.Text)
		return done(r.sock.SetFastOpenKey(fd, key)), nil, nil
	case v.Kind == ExprString && level == socket.SOLTCP && name == socket.TCPCongestion:
		return done(r.sock.SetCongestion(fd, strings.TrimRight(v.Text, "\x00"))), nil, nil
	case v.Kind == ExprString || v.Kind == ExprStruct || v.Kind == ExprEllipsis:
		return done(socket.ENOPROTOOPT), nil, nil
	}
	n, err := value(v)
	if err != nil {
		return nil, nil, err
	}
	size, err := a.int(4)
	switch {
	case err != nil:
		return nil, nil, err
	case size < 1 || size < 4 && level != socket.SOLIP: // of these a byte is enough (do_ip_setsockopt)
		return done(socket.EINVAL), nil, nil
	case size < 4:
		n &= 0xff
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
	switch v := &a.c.Args[3]; {
	case level == socket.SOLTCP && name == socket.TCPCongestion:
		got, e := r.sock.Congestion(fd)
		return done(e), func(int) error {
			if e == socket.OK && v.Kind == ExprString && got != strings.TrimRight(v.Text, "\x00") {
				return fmt.Errorf("expected %q but got %q", v.Text, got)
			}
			return nil
		}, nil
	case v.Kind == ExprStruct:
		return structOption(r, v, fd, int(level), int(name))
	}
	n, e := r.sock.Option(fd, int(level), int(name))
	op := done(e)
	if k := a.c.Args[3].Kind; k == ExprString || k == ExprEllipsis || e != socket.OK {
		return op, nil, nil
	}
	want, err := value(&a.c.Args[3])
	if err != nil {
		return nil, nil, err
	}
	size := int64(4)
	if a.c.Args[4].Kind != ExprEllipsis {
		if size, err = value(&a.c.Args[4]); err != nil {
			return nil, nil, err
		}
	}
	return op, func(int) error {
		switch {
		case int64(n) != want:
			return fmt.Errorf("expected value %d but got %d", want, n)
		case size > 4:
			return fmt.Errorf("expected length %d but got 4", size)
		}
		return nil
	}, nil
}

// structOption reads SO_LINGER, SO_RCVTIMEO or SO_SNDTIMEO.
func structOption(r *run, v *Expr, fd, level, name int) (*socket.Op, func(int) error, error) {
	var names []string
	var got []int64
	e := socket.ENOPROTOOPT
	switch {
	case level == socket.SOLSocket && name == socket.SOLinger:
		l, no := r.sock.Linger(fd)
		on := int64(0)
		if l.On {
			on = 1
		}
		e, names, got = no, []string{"onoff", "linger"}, []int64{on, int64(l.Seconds)}
	case level == socket.SOLSocket && (name == socket.SORcvTimeo || name == socket.SOSndTimeo):
		d, no := r.sock.Timeout(fd, name)
		e, names, got = no, []string{"tv_sec", "tv_usec"}, []int64{int64(d / time.Second), int64(d % time.Second / time.Microsecond)}
	}
	if e != socket.OK {
		return done(e), nil, nil
	}
	want, err := members(v, names...)
	if err != nil {
		return nil, nil, err
	}
	return done(e), func(int) error {
		if !slices.Equal(want, got) {
			return fmt.Errorf("expected %v %d but got %d", names, want, got)
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
