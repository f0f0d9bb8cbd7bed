package mptcp

import (
	"runtime"
	"testing"
	"time"

	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// heap returns the bytes that live after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// twins are a client and a server without any distance between them.
type twins struct {
	t     *testing.T
	hosts [2]*Stack
	ln    *Listener
	now   clock.Instant
	buf   []byte
}

func newTwins(t *testing.T, cfg Config) *twins {
	w := &twins{t: t, buf: make([]byte, machine.BufferSize)}
	for i := range w.hosts {
		w.hosts[i] = New(Env{Host: HostConfig{Default: cfg}, Links: hostLinks(i+1, 1), Seed: [32]byte{byte(i)}})
	}
	var err error
	if w.ln, err = w.hosts[1].Listen(nil, addrPort("10.0.1.2:80")); err != nil {
		t.Fatal(err)
	}
	return w
}

// exchange carries packets until nobody has one.
func (w *twins) exchange() {
	for quiet := 0; quiet < 2; {
		for i, h := range w.hosts {
			m, n, ok := h.Output(w.now, w.buf)
			if !ok {
				quiet++
				continue
			}
			quiet = 0
			w.hosts[1-i].Input(w.now, m, w.buf[:n])
		}
	}
	for _, h := range w.hosts {
		for {
			if _, ok := h.NextEvent(); !ok {
				break
			}
		}
	}
}

// pass lets time pass, timers included.
func (w *twins) pass(d time.Duration) {
	for end := w.now.Add(d); ; {
		w.exchange()
		at := clock.Min(w.hosts[0].Deadline(), w.hosts[1].Deadline())
		w.now = max(w.now, min(at, end))
		for _, h := range w.hosts {
			h.Advance(w.now)
		}
		if at > end {
			w.exchange()
			return
		}
	}
}

// connect opens a connection.
func (w *twins) connect() (cli, srv *Conn) {
	w.t.Helper()
	cli, err := w.hosts[0].Dial(w.now, nil, addrPort("10.0.1.1:0"), addrPort("10.0.1.2:80"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.exchange()
	srv, ok := w.ln.Accept()
	if !ok {
		w.t.Fatal("nothing to accept")
	}
	return cli, srv
}

// say sends n bytes from one end to the other.
func (w *twins) say(from, to *Conn, n int) {
	w.t.Helper()
	got := 0
	for n > 0 {
		k, err := from.Write(make([]byte, min(n, 1<<16)), false)
		if err != nil && err != ErrWouldBlock {
			w.t.Fatal(err)
		}
		w.exchange()
		got = to.Readable()
		to.Discard(got)
		if n -= k; k == 0 && got == 0 {
			w.now = w.now.Add(time.Millisecond)
			w.pass(0)
		}
	}
	w.exchange()
	to.Discard(to.Readable())
}

// Many short connections leave nothing behind, for either protocol and
// at either end, and while TIME-WAIT lasts little.
func TestManyConnectionsLeaveNothing(t *testing.T) {
	const number = 10_000
	for _, plain := range []bool{true, false} {
		w := newTwins(t, Config{PlainTCP: plain})
		c, s := w.connect() // what is made once
		w.say(c, s, 1000)
		c.Close()
		w.exchange()
		s.Close()
		w.pass(3 * time.Minute)
		before := heap()
		for range number {
			c, s := w.connect()
			w.say(c, s, 1000)
			w.say(s, c, 3000)
			c.Close()
			w.exchange()
			s.Close()
			w.exchange()
			w.now = w.now.Add(time.Second / number)
		}
		c, s = nil, nil
		if n := len(w.hosts[0].flows); n < number {
			t.Errorf("plain %v: %d in TIME-WAIT", plain, n)
		}
		waiting := heap()
		if per := (waiting - before) / number; per > 1024 {
			t.Errorf("plain %v: %d bytes for each connection in TIME-WAIT", plain, per)
		}
		w.pass(3 * time.Minute)
		after := heap()
		t.Logf("plain %v: %d bytes before, %+d in TIME-WAIT (%d each), %+d after", plain, before, waiting-before, (waiting-before)/number, after-before)
		if after-before > 128<<10 { // 13 bytes for each
			t.Errorf("plain %v: %d bytes are left", plain, after-before)
		}
		for i, h := range w.hosts {
			if len(h.flows) != 0 || len(h.tokens) != 0 || h.Deadline() != clock.Never {
				t.Errorf("host %d: %d flows, %d tokens, deadline %v", i, len(h.flows), len(h.tokens), h.Deadline())
			}
		}
		runtime.KeepAlive(w)
	}
}

// An idle established connection, of TCP or MPTCP, costs at most 4 KiB, and buffers of
// idle connections are released: one that has moved much data is no larger then than one
// that never had any.
func TestIdleConnectionIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory, which the race detector's is not")
	}
	const number = 200
	for _, plain := range []bool{true, false} {
		fresh := int64(0)
		for _, bytes := range []int{0, 1000, 1 << 20} {
			w := newTwins(t, Config{PlainTCP: plain})
			w.connect()
			w.pass(time.Minute)
			before := heap()
			conns := make([]*Conn, 0, 2*number)
			for range number {
				c, s := w.connect()
				w.say(c, s, bytes)
				w.say(s, c, bytes)
				conns = append(conns, c, s)
			}
			w.pass(time.Minute)
			per := (heap() - before) / int64(len(conns))
			t.Logf("plain %v, %d bytes each way: %d bytes a connection", plain, bytes, per)
			if bytes == 0 {
				fresh = per
			}
			if per > 4096 {
				t.Errorf("%d bytes each way: %d bytes a connection", bytes, per)
			}
			if per > fresh+256 {
				t.Errorf("plain %v, %d bytes each way: %d bytes a connection, %d before", plain, bytes, per, fresh)
			}
			c, s := conns[0], conns[1]
			w.say(c, s, 100_000)
			w.say(s, c, 100_000)
			runtime.KeepAlive(conns)
			runtime.KeepAlive(w)
		}
	}
}
