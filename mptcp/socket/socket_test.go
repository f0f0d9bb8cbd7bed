package socket

import (
	"net/netip"
	"testing"
	"time"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/machine"
)

// world is a stack that talks to itself.
type world struct {
	t   *testing.T
	s   *mptcp.Stack
	l   *Layer
	now clock.Instant
	ops []*Op
}

var (
	here = netip.MustParseAddrPort("10.0.0.1:80")
	buf  = make([]byte, machine.BufferSize)
)

func newWorld(t *testing.T) *world {
	s := mptcp.New(mptcp.Env{Links: []mptcp.Link{{Name: "lo", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}}})
	return &world{t: t, s: s, l: New(s, mptcp.Config{}), now: 1}
}

// run lets d pass, in steps of at most 10 ms; packets come back at once.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); ; w.now = min(end, w.now.Add(10*time.Millisecond)) {
		w.s.Advance(w.now)
		for i := 0; i < 1000; i++ {
			m, n, ok := w.s.Output(w.now, buf)
			if !ok {
				break
			}
			w.s.Input(w.now, m, append([]byte(nil), buf[:n]...))
		}
		for _, o := range w.ops {
			o.Try(w.now)
		}
		if w.now >= end {
			return
		}
	}
}

func (w *world) start(o *Op) *Op {
	o.Try(w.now)
	w.ops = append(w.ops, o)
	return o
}

func (w *world) want(o *Op, n int, e Errno) {
	w.t.Helper()
	if !o.Done || o.N != n || o.Err != e {
		w.t.Errorf("done %v, %d %v; want %d %v", o.Done, o.N, o.Err, n, e)
	}
}

// TestBlocking: accept, connect, read and poll wait and return when they can.
func TestBlocking(t *testing.T) {
	for _, proto := range []int{IPProtoTCP, IPProtoMPTCP} {
		w := newWorld(t)
		srv, _ := w.l.Socket(AFInet, SockStream, proto)
		if e := w.l.Bind(srv, here); e != OK {
			t.Fatal(e)
		}
		if e := w.l.Listen(srv, 5); e != OK {
			t.Fatal(e)
		}
		acc := w.start(w.l.AcceptOp(w.now, srv))
		cli, _ := w.l.Socket(AFInet, SockStream, proto)
		con := w.start(w.l.ConnectOp(w.now, cli, here))
		if acc.Done || con.Done {
			t.Fatal("returned before any packet")
		}
		w.run(50 * time.Millisecond)
		w.want(con, 0, OK)
		w.want(acc, 5, OK)
		fds := []PollFD{{FD: acc.N, Events: PollIn}}
		pol := w.start(w.l.PollOp(w.now, fds, time.Second))
		red := w.start(w.l.ReadOp(w.now, acc.N, make([]byte, 100), 0))
		w.run(100 * time.Millisecond)
		if pol.Done || red.Done {
			t.Fatal("returned without data")
		}
		w.want(w.start(w.l.WriteOp(w.now, cli, make([]byte, 70), 0)), 70, OK)
		w.run(50 * time.Millisecond)
		w.want(pol, 1, OK)
		w.want(red, 70, OK)
		if fds[0].Revents != PollIn {
			t.Errorf("revents %#x", fds[0].Revents)
		}
		if e := w.l.Shutdown(cli, ShutWR); e != OK {
			t.Error(e)
		}
		if _, e := w.l.Write(cli, []byte("x"), 0); e != EPIPE {
			t.Errorf("write after shutdown: %v", e)
		}
		w.run(50 * time.Millisecond)
		w.want(w.start(w.l.ReadOp(w.now, acc.N, make([]byte, 1), 0)), 0, OK)
		if m := w.l.Poll(acc.N, PollIn|PollRdHup); m != PollIn|PollRdHup {
			t.Errorf("poll at the end: %#x", m)
		}
	}
}

// TestTimeouts: SO_RCVTIMEO, the timeout of poll, and SO_SNDTIMEO of connect.
func TestTimeouts(t *testing.T) {
	w := newWorld(t)
	srv, _ := w.l.Socket(AFInet, SockStream, IPProtoTCP)
	w.l.Bind(srv, here)
	w.l.Listen(srv, 5)
	if e := w.l.SetTimeout(srv, SORcvTimeo, 200*time.Millisecond); e != OK {
		t.Fatal(e)
	}
	acc := w.start(w.l.AcceptOp(w.now, srv))
	pol := w.start(w.l.PollOp(w.now, []PollFD{{FD: srv, Events: PollIn}}, 300*time.Millisecond))
	w.run(190 * time.Millisecond)
	if acc.Done || pol.Done {
		t.Fatal("returned too early")
	}
	w.run(20 * time.Millisecond)
	w.want(acc, -1, EAGAIN)
	w.run(100 * time.Millisecond)
	w.want(pol, 0, OK)

	cli, _ := w.l.Socket(AFInet, SockStream, IPProtoTCP)
	w.l.SetTimeout(cli, SOSndTimeo, 100*time.Millisecond)
	con := w.start(w.l.ConnectOp(w.now, cli, netip.MustParseAddrPort("10.0.0.77:80"))) // nobody there
	w.run(110 * time.Millisecond)
	w.want(con, -1, EINPROGRESS)
	if e := w.l.Connect(w.now, cli, here); e != EALREADY {
		t.Errorf("connect again: %v", e)
	}
}

// TestErrno: what a kernel says of sockets in the wrong state.
func TestErrno(t *testing.T) {
	w := newWorld(t)
	if _, e := w.l.Socket(17, SockStream, 0); e != EAFNOSUPPORT {
		t.Errorf("family: %v", e)
	}
	fd, _ := w.l.Socket(AFInet, SockStream|ONonblock, IPProtoTCP)
	if fl, _ := w.l.Flags(fd); fl != ORDWR|ONonblock {
		t.Errorf("flags %#x", fl)
	}
	_, rd := w.l.Read(fd, buf, 0)
	_, wr := w.l.Write(fd, buf, 0)
	_, ac := w.l.Accept(fd)
	for i, tt := range []struct{ got, want Errno }{
		{rd, ENOTCONN}, {wr, EPIPE}, {ac, EINVAL},
		{w.l.Shutdown(fd, ShutWR), ENOTCONN}, {w.l.Shutdown(fd, 9), EINVAL}, {w.l.Listen(fd, 1), OK},
		{w.l.SetOption(fd, SOLTCP, 999, 1), ENOPROTOOPT}, {w.l.SetOption(fd, 999, 1, 1), ENOPROTOOPT},
		{w.l.SetOption(fd, SOLIP, IPTTL, 0), EINVAL}, {w.l.SetOption(fd, SOLTCP, TCPFastopenConnect, 2), EINVAL},
		{w.l.Close(99), EBADF}, {w.l.Close(fd), OK}, {w.l.Close(fd), EBADF},
	} {
		if tt.got != tt.want {
			t.Errorf("call %d: %v, want %v", i, tt.got, tt.want)
		}
	}
	if m := w.l.Poll(fd, PollIn); m != PollNval {
		t.Errorf("poll of a closed descriptor: %#x", m)
	}
}

// TestNotEnabled: with net.mptcp.enabled=0 there are no new MPTCP sockets, and TCP is
// not touched.
func TestNotEnabled(t *testing.T) {
	w := newWorld(t)
	w.s.Sysctl().NoMPTCP = true
	if _, e := w.l.Socket(AFInet, SockStream, IPProtoMPTCP); e != ENOPROTOOPT {
		t.Errorf("MPTCP: %v", e)
	}
	if _, e := w.l.Socket(AFInet, SockStream, IPProtoTCP); e != OK {
		t.Errorf("TCP: %v", e)
	}
	if _, err := w.s.Dial(w.now, nil, netip.AddrPort{}, here); err != mptcp.ErrNoMPTCP {
		t.Errorf("dial: %v", err)
	}
	if _, err := w.s.Listen(nil, here); err != mptcp.ErrNoMPTCP {
		t.Errorf("listen: %v", err)
	}
}

// TestRefused: the error is told once, by connect's waiter or SO_ERROR.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	fd, _ := w.l.Socket(AFInet, SockStream, IPProtoTCP)
	con := w.start(w.l.ConnectOp(w.now, fd, here))
	w.run(20 * time.Millisecond)
	w.want(con, -1, ECONNREFUSED)
	if v, _ := w.l.Option(fd, SOLSocket, SOError); v != 0 {
		t.Errorf("SO_ERROR %d after connect told it", v)
	}
	if m := w.l.Poll(fd, PollOut); m != PollOut|PollHup {
		t.Errorf("poll %#x", m)
	}
}

// TestOptions: what is set is read back.
func TestOptions(t *testing.T) {
	w := newWorld(t)
	fd, _ := w.l.Socket(AFInet, SockStream, IPProtoMPTCP)
	plain, _ := w.l.Socket(AFInet, SockStream, IPProtoTCP)
	for _, o := range []struct{ fd, level, name, set, get int }{
		{fd, SOLSocket, SOReuseAddr, 1, 1}, {fd, SOLSocket, SOSndBuf, 10000, 20000}, {fd, SOLSocket, SORcvBuf, 10000, 20000},
		{fd, SOLTCP, TCPNoDelay, 1, 1}, {fd, SOLTCP, TCPCork, 1, 1}, {plain, SOLTCP, TCPSynCnt, 3, 3}, {plain, SOLTCP, TCPUserTimeout, 500, 500},
		{fd, SOLIP, IPTOS, 0x13, 0x10}, {fd, SOLIP, IPTTL, 9, 9},
	} {
		if e := w.l.SetOption(o.fd, o.level, o.name, o.set); e != OK {
			t.Errorf("%+v: %v", o, e)
		}
		if v, e := w.l.Option(o.fd, o.level, o.name); v != o.get || e != OK {
			t.Errorf("%+v: got %d %v", o, v, e)
		}
	}
	if v, _ := w.l.Option(fd, SOLTCP, TCPIsMPTCP); v != 1 {
		t.Error("not MPTCP")
	}
}
